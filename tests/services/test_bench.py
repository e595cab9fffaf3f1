"""The test bench itself: servers are shared, end with the run, and say what is missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.conftest import LONG_FILES
from tests.services.base import Facts, Service, ServiceError, find_program, free_port
from tests.services.clamav import Clamd
from tests.services.client import Services
from tests.services.plugin import Run
from tests.services.postgres import Postgres, PostgresServer
from tests.services.seaweedfs import SeaweedFS


class Absent(Service):
    """Needs a program that no package has."""

    def start(self) -> Facts:
        find_program("no-such-program", "the Debian package example")
        raise AssertionError("it was found")


class Stillborn(Service):
    """Ends at once."""

    def start(self) -> Facts:
        self.spawn("/bin/sh", "-c", "echo the reason; exit 3")
        self.wait_until(lambda: False)
        return {}


@pytest.fixture
def run() -> Iterator[Run]:
    """A whole bench of the test's own, to end as it likes."""
    run = Run()
    yield run
    run.end()


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def soon(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.02)
    return is_so()


def test_everyone_gets_the_same_server(run: Run) -> None:
    services = Services(run.address)
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(services.shared, Clamd) for _ in range(8)]
    assert len({answer.result()["pid"] for answer in asked}) == 1


def test_a_private_server_is_another_and_ends_with_the_block(run: Run) -> None:
    services = Services(run.address)
    shared = services.shared(Clamd)
    with services.private(Clamd, max_scan_seconds=5) as facts:
        assert facts["pid"] != shared["pid"]
        assert alive(facts["pid"])
    assert not alive(facts["pid"])
    assert alive(shared["pid"])


def test_all_servers_and_the_folder_go_with_the_run(run: Run) -> None:
    services = Services(run.address)
    with ThreadPoolExecutor(3) as threads:
        pids = [
            facts["pid"] for facts in threads.map(services.shared, (Postgres, SeaweedFS, Clamd))
        ]
    assert all(map(alive, pids))
    run.end()
    assert not any(map(alive, pids))
    assert not run.folder.exists()
    assert not list(Path("/tmp").glob(f"seaweedfs-*-{pids[1]}*"))


def test_servers_die_with_a_killed_host(run: Run) -> None:
    services = Services(run.address)
    pids = [services.shared(Clamd)["pid"], services.shared(Postgres)["pid"]]
    run.host.kill()
    assert soon(lambda: not any(map(alive, pids)))


def test_ctrl_c_does_not_reach_the_host_before_its_servers(run: Run) -> None:
    services = Services(run.address)
    pid = services.shared(Clamd)["pid"]
    os.kill(run.host.pid, signal.SIGINT)
    os.kill(run.host.pid, signal.SIGTERM)
    assert services.shared(Clamd)["pid"] == pid
    assert alive(pid)


WAITS = """
import time
from pathlib import Path
from tests.services.clamav import Clamd

def test_that_waits(services):
    pid = services.shared(Clamd)["pid"]
    Path(__file__).with_name("new").write_text(str(pid))
    Path(__file__).with_name("new").rename(Path(__file__).with_name("pid"))
    time.sleep(30)
"""


@pytest.mark.parametrize(
    ("number", "workers"),
    [(signal.SIGINT, "0"), (signal.SIGINT, "1"), (signal.SIGTERM, "0"), (signal.SIGKILL, "1")],
)
def test_a_run_that_is_ended_leaves_nothing(
    tmp_path: Path, number: signal.Signals, workers: str
) -> None:
    (tmp_path / "test_waits.py").write_text(WAITS)
    with (
        tempfile.TemporaryDirectory(prefix="b-") as temporary,
        subprocess.Popen(
            [
                *(sys.executable, "-m", "pytest", "--noconftest", "-p", "tests.services.plugin"),
                *("-p", "no:cacheprovider", "-n", workers, "--capture=no", tmp_path),
            ],
            cwd=Path(__file__).parents[2],
            env=os.environ | {"TMPDIR": temporary},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            # A run in the background of a script was told to ignore Ctrl-C and would pass that on.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as inner,
    ):
        assert soon((tmp_path / "pid").exists)
        pid = int((tmp_path / "pid").read_text())
        if number == signal.SIGINT:
            os.killpg(inner.pid, number)  # a Ctrl-C in a terminal reaches all of the group
        else:
            inner.send_signal(number)
        assert soon(lambda: not alive(pid))
        assert soon(lambda: not list(Path(temporary).glob("dask-test-*")))
        inner.wait(60)


def test_a_missing_program_fails_with_the_package_to_install(run: Run) -> None:
    with pytest.raises(ServiceError, match="Install the Debian package example"):
        Services(run.address).shared(Absent)


def test_a_server_that_does_not_start_says_why(run: Run) -> None:
    with pytest.raises(ServiceError, match="code 3") as failure:
        Services(run.address).shared(Stillborn)
    assert "the reason" in str(failure.value)
    assert [path.name for path in run.folder.iterdir() if path.is_dir()] == []


def test_ports_are_handed_out_once() -> None:
    ports = [free_port() for _ in range(200)]
    assert len(set(ports)) == len(ports)
    assert all(20000 <= port < 32000 for port in ports)


def test_postgres_answers_by_url_parts(postgres_server: PostgresServer) -> None:
    with psycopg.connect(postgres_server.dsn()) as connection:
        row = connection.execute("SELECT current_user, current_setting('listen_addresses')")
        assert row.fetchone() == ("postgres", "")


def test_the_files_that_are_run_first_exist() -> None:
    tests = Path(__file__).parents[1]
    gone = [name for name in LONG_FILES if not (tests / name).exists()]
    assert not gone, f"{gone}: mend LONG_FILES in tests/conftest.py. `--durations=0` says what is."
