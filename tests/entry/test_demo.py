"""The demo: it comes up, keeps its data, and leaves no process behind however it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from dask_platform.entry.demo_people import PEOPLE

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 120
GONE_SECONDS = 30


class Demo:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        environment = {k: v for k, v in os.environ.items() if not k.startswith("DASK_")}
        environment |= {"DASK_HOME": str(home), "PORT": str(self.port)}
        self.log = (home.parent / f"{home.name}.log").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dask_platform.entry.cli", "demo"],
            env=environment, cwd=ROOT, stdout=self.log, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def said(self) -> str:
        self.log.flush()
        return Path(self.log.name).read_text(encoding="utf-8", errors="replace")

    def ready(self) -> Demo:
        deadline = time.monotonic() + READY_SECONDS
        while f"ready http://localhost:{self.port}\n" not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)
        return self

    def page(self, path: str) -> str:
        url = f"http://localhost:{self.port}{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())

    def processes(self) -> dict[int, str]:
        """Everything that runs for this demo: it has the folder in its environment or its words."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes()
                if str(self.home).encode() in words + (folder / "environ").read_bytes():
                    found[int(folder.name)] = words.replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
        return {pid: words for pid, words in found.items() if words and pid != os.getpid()}

    def wait_until_gone(self) -> None:
        deadline = time.monotonic() + GONE_SECONDS
        while left := self.processes():
            assert time.monotonic() < deadline, f"left behind: {left}"
            time.sleep(0.2)

    def stop(self, number: signal.Signals) -> int:
        """Ask it to end with this signal; its exit status, once nothing of it runs any more."""
        self.process.send_signal(number)
        status = self.process.wait(GONE_SECONDS)
        self.wait_until_gone()
        return status

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)


def _folder() -> tempfile.TemporaryDirectory[str]:
    """Not pytest's own: that is closed to the user whom PostgreSQL runs as when we are root."""
    return tempfile.TemporaryDirectory(prefix="dask-demo-")


@dataclass(frozen=True)
class FirstStart:
    """What was seen of a demo that began with nothing, and its folder after it was stopped."""

    home: Path
    log_in_page: str
    said: str
    processes: int
    status: int
    secret: str


@pytest.fixture(scope="module")
def first() -> Iterator[FirstStart]:
    """Filled once: it takes the longest of all that a demo does."""
    with _folder() as made, demo(Path(made) / "home") as one:
        one.ready()
        page, processes = one.page("/login"), len(one.processes())
        status = one.stop(signal.SIGTERM)
        secret = (one.home / "secret-key").read_text()
        yield FirstStart(one.home, page, one.said(), processes, status, secret)


class Stock:
    """Demos that run. A test that only looks leaves them to the next; one that ends its demo takes
    it away. Each runs in a copy of the first one's folder, and so has nothing to fill."""

    def __init__(self, first: FirstStart, folder: Path, stack: ExitStack) -> None:
        self._first = first
        self._folder = folder
        self._stack = stack
        self._running: list[Demo] = []
        self._number = 0

    def look_at(self, many: int) -> list[Demo]:
        while len(self._running) < many:
            self._number += 1
            home = self._folder / str(self._number)
            # `cp`, because the data belong to the user whom PostgreSQL runs as.
            subprocess.run(["cp", "-a", self._first.home, home], check=True)
            self._running.append(self._stack.enter_context(demo(home)))
        return [one.ready() for one in self._running[:many]]

    def take(self) -> Demo:
        (taken,) = self.look_at(1)
        self._running.remove(taken)
        return taken


@pytest.fixture(scope="module")
def stock(first: FirstStart) -> Iterator[Stock]:
    with _folder() as made, ExitStack() as stack:
        yield Stock(first, Path(made), stack)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def demo(home: Path) -> Iterator[Demo]:
    made = Demo(home)
    try:
        yield made
    finally:
        made.end()


def test_it_serves_and_stops_on_sigterm(first: FirstStart) -> None:
    assert "password" in first.log_in_page
    for username, *_rest in PEOPLE:
        assert f"  {username} " in first.said
    assert first.processes >= 4
    assert first.status == 0


def test_two_run_side_by_side_and_a_third_in_the_same_folder_is_refused(stock: Stock) -> None:
    one, two = stock.look_at(2)
    assert "password" in one.page("/login")
    assert "password" in two.page("/login")
    third = subprocess.run(
        [sys.executable, "-m", "dask_platform.entry.cli", "demo"],
        env={**os.environ, "DASK_HOME": str(one.home), "PORT": str(free_port())}, cwd=ROOT,
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert third.returncode == 1
    assert b"already runs" in third.stderr
    assert "password" in one.page("/login")


def test_it_keeps_its_data_and_stops_on_ctrl_c(first: FirstStart, stock: Stock) -> None:
    second = stock.take()
    assert (second.home / "secret-key").read_text() == first.secret
    assert second.stop(signal.SIGINT) == 0


def test_a_killed_demo_leaves_nothing_behind(stock: Stock) -> None:
    made = stock.take()
    made.process.kill()
    made.process.wait()
    made.wait_until_gone()


@pytest.mark.parametrize("part", ["gunicorn", "worker", "postgres"])
def test_a_crash_of_any_part_stops_everything(stock: Stock, part: str) -> None:
    made = stock.take()
    # The oldest process of that name is the one the others hang on.
    pid = min(pid for pid, words in made.processes().items() if part in words)
    os.kill(pid, signal.SIGKILL)
    assert made.process.wait(GONE_SECONDS) == 1
    assert "ended by itself" in made.said()
    made.wait_until_gone()


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "dask_platform.entry.cli", "demo"],
            env={**os.environ, "DASK_HOME": str(tmp_path), "PORT": str(port)}, cwd=ROOT,
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == 1
    assert f"Port {port} is taken".encode() in done.stderr
