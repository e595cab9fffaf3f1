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
from contextlib import contextmanager
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

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's own: that is closed to the user whom PostgreSQL runs as when we are root."""
    with tempfile.TemporaryDirectory(prefix="dask-demo-") as made:
        yield Path(made)


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


def test_it_serves_keeps_its_data_and_stops_on_sigterm(folder: Path) -> None:
    home = folder / "home"
    with demo(home) as first:
        first.ready()
        assert "password" in first.page("/login")
        for username, *_rest in PEOPLE:
            assert f"  {username} " in first.said()
        secret = (home / "secret-key").read_text()
        assert len(first.processes()) >= 4
        first.process.terminate()
        assert first.process.wait(GONE_SECONDS) == 0
        first.wait_until_gone()
    with demo(home) as second:
        second.ready()
        assert (home / "secret-key").read_text() == secret
        second.process.send_signal(signal.SIGINT)
        assert second.process.wait(GONE_SECONDS) == 0
        second.wait_until_gone()


def test_two_run_side_by_side_and_a_third_in_the_same_folder_is_refused(folder: Path) -> None:
    with demo(folder / "one") as one, demo(folder / "two") as two:
        one.ready()
        two.ready()
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


def test_a_killed_demo_leaves_nothing_behind(folder: Path) -> None:
    with demo(folder / "home") as made:
        made.ready()
        made.process.kill()
        made.process.wait()
        made.wait_until_gone()


@pytest.mark.parametrize("part", ["gunicorn", "worker", "postgres"])
def test_a_crash_of_any_part_stops_everything(folder: Path, part: str) -> None:
    with demo(folder / "home") as made:
        made.ready()
        # The oldest process of that name is the one the others hang on.
        pid = min(pid for pid, words in made.processes().items() if part in words)
        os.kill(pid, signal.SIGKILL)
        assert made.process.wait(GONE_SECONDS) == 1
        assert "ended by itself" in made.said()
        made.wait_until_gone()


def test_a_taken_port_is_named(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "dask_platform.entry.cli", "demo"],
            env={**os.environ, "DASK_HOME": str(folder), "PORT": str(port)}, cwd=ROOT,
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == 1
    assert f"Port {port} is taken".encode() in done.stderr
