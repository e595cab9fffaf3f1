"""The pytest plugin: one host per run, and a fixture for each server.

The pytest process that collects (with ``-n``: the controller) starts the host and tells its
workers the address through the environment. See ``tests/services/__init__.py``.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.services.base import ServiceError
from tests.services.clamav import Clamd, ClamdServer
from tests.services.client import Services
from tests.services.postgres import Postgres, PostgresServer
from tests.services.seaweedfs import SeaweedFS, SeaweedServer

ADDRESS_VARIABLE = "TEST_SERVICES_SOCKET"
_run = pytest.StashKey["Run"]()


class Run:
    """The host process of this run and its folder; only where pytest was started."""

    def __init__(self) -> None:
        # The path of a unix socket may have 107 bytes, so a deep TMPDIR is passed over.
        place = tempfile.gettempdir()
        self.folder = Path(
            tempfile.mkdtemp(prefix="dask-test-", dir=place if len(place) <= 50 else "/tmp")
        )
        # Passable, not readable: PostgreSQL runs as another user below it.
        self.folder.chmod(0o711)
        self.address = str(self.folder / "host.sock")
        # Bound here, so that whoever connects early waits in line instead of being refused.
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.address)
            os.chmod(self.address, 0o600)
            listener.listen(128)
            with (self.folder / "host.log").open("wb") as log:
                number = listener.fileno()
                self.host = subprocess.Popen(
                    [sys.executable, "-m", "tests.services.host", str(number), str(self.folder)],
                    cwd=Path(__file__).parents[2],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=[number],
                    start_new_session=True,
                )

    def end(self) -> None:
        """Closing the pipe is the signal to stop; the kernel does the same if we are killed."""
        assert self.host.stdin is not None
        self.host.stdin.close()
        try:
            self.host.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.host.kill()
            self.host.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        run = config.stash[_run] = Run()
        os.environ[ADDRESS_VARIABLE] = run.address


def pytest_unconfigure(config: pytest.Config) -> None:
    run = config.stash.get(_run, None)
    if run is not None:
        os.environ.pop(ADDRESS_VARIABLE, None)
        run.end()


@pytest.fixture(scope="session")
def services() -> Services:
    """The test servers: ``services.shared(Class)`` or ``with services.private(Class)``."""
    return Services(os.environ[ADDRESS_VARIABLE])


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> object:
    """A server that cannot start fails the test with its reason alone, without our frames."""
    try:
        return (yield)
    except ServiceError as failure:
        pytest.fail(str(failure), pytrace=False)


@pytest.fixture(scope="session")
def postgres_server(services: Services) -> PostgresServer:
    """The run's PostgreSQL, as superuser. Make your own database; do not use ``postgres``."""
    return PostgresServer(**services.shared(Postgres))


@pytest.fixture(scope="session")
def seaweed(services: Services) -> SeaweedServer:
    """The run's S3. Make a bucket of your own."""
    return SeaweedServer(**services.shared(SeaweedFS))


@pytest.fixture(scope="session")
def clamd_server(services: Services) -> ClamdServer:
    """The run's virus scanner, with small limits; see ``tests/services/clamav.py``."""
    return ClamdServer(**services.shared(Clamd))
