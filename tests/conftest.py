"""What every test may use. The fixtures themselves live in the plugins named here."""

import pytest

# Their assertions, too, should say what they compared.
pytest.register_assert_rewrite("tests.contracts")

pytest_plugins = ["tests.services.plugin", "tests.db_fixtures"]
