"""The platform itself as a server: ``dask-platform serve`` and ``dask-platform worker``."""

from __future__ import annotations

import signal
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.services.base import Facts, Service, free_port

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class SchoolServer:
    """``pid`` is gunicorn's master. ``health`` is where health and metrics are asked for."""

    pid: int
    socket: str
    health: str
    log: str


class School(Service):
    """gunicorn with ``infra/gunicorn.conf.py``, on a unix socket.

    Options: ``env``, the ``DASK_*`` settings but for the two addresses, which are made here, and
    ``socket``, where nginx will look for it.
    """

    stop_signal = signal.SIGQUIT  # gunicorn: at once, without waiting for connections
    stop_patience = 30.0

    def start(self) -> Facts:
        path = self.options["socket"]
        port = free_port()
        settings = {"DASK_BIND": f"unix:{path}", "DASK_HEALTH_BIND": f"127.0.0.1:{port}"}
        self.spawn(
            Path(sys.executable), "-m", "dask_platform.entry.cli", "serve",
            env={**self.options["env"], **settings, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        health = f"http://127.0.0.1:{port}"
        self.wait_until(lambda: Path(path).is_socket() and _live(f"{health}/health/live"))
        return {
            "pid": self.pid,
            "socket": path,
            "health": health,
            "log": str(self.folder / "log"),
        }


class Worker(Service):
    """The job worker. Option ``env``: the ``DASK_*`` settings."""

    stop_signal = signal.SIGTERM
    stop_patience = 30.0

    def start(self) -> Facts:
        self.spawn(
            Path(sys.executable), "-m", "dask_platform.entry.cli", "worker",
            env={**self.options["env"], "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        return {"pid": self.pid, "log": str(self.folder / "log")}


def _live(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - loopback
        return bool(answer.status == 200)
