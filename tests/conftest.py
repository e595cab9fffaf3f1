"""What every test may use. The fixtures themselves live in the plugins named here."""

import hypothesis
import pytest

# A machine under load is not a slow program: no test fails for its time.
hypothesis.settings.register_profile("dask", deadline=None)
hypothesis.settings.load_profile("dask")

# Their assertions, too, should say what they compared.
pytest.register_assert_rewrite("tests.contracts")

pytest_plugins = ["tests.services.plugin", "tests.db_fixtures"]
