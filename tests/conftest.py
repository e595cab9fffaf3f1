"""What every test may use. The fixtures themselves live in the plugins named here."""

import gc
import os
import sys

import hypothesis
import pytest

#: The files that take longest, longest first. A worker takes the next file when it is through with
#: one: a long one begun late would leave the other workers with nothing to do.
LONG_FILES = (
    "entry/test_demo.py",
    "web/test_fuzz.py",
    "browser/test_pages.py",
    "attacks/test_getting_out.py",
    "services/test_bench.py",
    "features/courses/test_authoring.py",
    "web/test_matrix.py",
    "features/handins/test_marking.py",
    "entry/test_cli.py",
    "features/handins/test_hand_in.py",
    "features/identity/test_second_factor.py",
    "entry/test_backup.py",
    "entry/test_restore.py",
    "features/handins/test_files.py",
    "features/identity/test_sessions.py",
    "security/test_policy_agreement.py",
    "adapters/test_storage_large.py",
    "infra/test_production.py",
    "browser/test_thin_path.py",
)

# A machine under load is not a slow program: no test fails for its time.
hypothesis.settings.register_profile("dask", deadline=None)
hypothesis.settings.load_profile("dask")

# Their assertions, too, should say what they compared.
pytest.register_assert_rewrite("tests.contracts")

pytest_plugins = ["tests.services.plugin", "tests.db_fixtures"]

# The tests start some forty Python processes; without this each would compile the platform anew.
# The Makefile says the same, for runs that begin there.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first; xdist keeps this order (``--no-loadscope-reorder``)."""
    folder = os.path.dirname(__file__)
    places = {os.path.join(folder, name): at for at, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: places.get(str(item.path), len(places)))


def pytest_collection_finish() -> None:
    """What is there now stays to the end: the collector of garbage need not look at it again."""
    gc.collect()
    gc.freeze()
