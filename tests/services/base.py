"""What every server of the test bench has in common.

Only the standard library is imported here: the host starts with each pytest run, also with those
that need no server.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Facts = dict[str, Any]

_LAUNCH = Path(__file__).with_name("launch.py")
_handed_out: set[int] = set()
_ports_lock = threading.Lock()


class ServiceError(Exception):
    """A server did not start; the message says why and what to do."""


class MissingProgramError(ServiceError):
    """A program is not installed; the message names the package that has it."""


class Service:
    """One server. Subclasses implement :meth:`start`; the rest has defaults.

    ``folder`` is a fresh folder of the service's own, removed after it. ``options`` are what the
    test asked for; they must survive JSON. A service is started in a thread that lives as long as
    the service does, which is what ties the server's life to the host's.
    """

    #: What ends it at the end of a run. A test bench need not save anything.
    stop_signal = signal.SIGTERM
    #: How long it may take to end before SIGKILL, in seconds.
    stop_patience = 5.0
    #: How often a start is tried anew: a free port may be taken by someone else in between.
    attempts = 3

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Facts:
        """Start the server, wait until it answers, and return how to reach it.

        The facts go to tests as JSON. Raise :class:`ServiceError` when it does not come up.
        """
        raise NotImplementedError

    def stop(self) -> None:
        """End the server and wait until it is gone."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(self.stop_patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    # --- helpers for subclasses -------------------------------------------------------------

    def spawn(
        self, *command: str | Path, user: str | None = None, env: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Run ``command`` (first word: a full path) in the folder, output to ``log`` there."""
        words = [sys.executable, "-I", "-S", _LAUNCH, int(self.stop_signal), user or "-", *command]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(word) for word in words],
                cwd=self.folder,
                env=(os.environ | env) if env else None,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.process

    def wait_until(self, answers: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until ``answers()`` is true; an ``OSError`` in it counts as *not yet*."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process is not None and self.process.poll() is not None:
                raise ServiceError(
                    f"{type(self).__name__} ended with code {self.process.returncode} at start.\n"
                    + self.log_tail()
                )
            try:
                if answers():
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise ServiceError(
            f"{type(self).__name__} did not answer within {seconds:.0f} s.\n" + self.log_tail()
        )

    def log_tail(self, size: int = 3000) -> str:
        log = self.folder / "log"
        return log.read_bytes()[-size:].decode(errors="replace") if log.exists() else "(no log)"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid


def find_program(name: str, package: str) -> Path:
    """The full path of ``name``, looked for in ``PATH``, beside Python and in ``/usr/sbin``.

    ``package`` names what to install, as in ``the Debian package clamav-daemon``.
    """
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        raise MissingProgramError(f"The program {name} is not installed. Install {package}.")
    return Path(found)


def free_port() -> int:
    """A TCP port on loopback that nobody listens on and that was not handed out before.

    Taken from below the range the kernel uses for outgoing connections, so that no connection
    takes it by chance before the server does.
    """
    with _ports_lock:
        for _ in range(1000):
            port = random.randrange(20000, 32000)
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
            if port not in _handed_out:
                _handed_out.add(port)
                return port
    raise ServiceError("There is no free TCP port between 20000 and 32000.")
