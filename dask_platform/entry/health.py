"""Health, readiness and metrics, on a port of their own that students' networks do not reach.

``/health/live`` says that the process answers, ``/health/ready`` that the school could serve a page
now (database at the newest revision, file store, scanner, directory), ``/metrics`` is for
Prometheus and says the same beside the figures of all workers.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

import click
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy import text

from dask_platform.db import migrate
from dask_platform.entry.wiring import build_platform, configure_logging, database_url
from dask_platform.kernel.errors import ConfigurationError, DaskError
from dask_platform.kernel.settings import load_settings
from dask_platform.web.platform import Platform

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
# How old an answer about a part may be. Many probes at once cost the parts one question.
READY_SECONDS = 1.0
METRICS_SECONDS = 15.0
IDLE_SECONDS = 10  # how long a connection may say nothing


def checks(platform: Platform, url: str) -> dict[str, str]:
    """Each part and «ok», or what is wrong with it in the operator's words."""

    def database() -> None:
        with platform.database.work() as uow:
            uow.execute(text("SELECT 1"))
        current, head = migrate.current_and_head(url)
        if current != head:
            raise RuntimeError(f"at revision {current}, newest is {head}: run db upgrade")

    parts: dict[str, Callable[[], Any]] = {
        "database": database,
        "files": platform.files.check,
        "scanner": platform.scanner.version,
    }
    if platform.directory is not None:
        parts["directory"] = platform.directory.check
    found = {}
    for name, check in parts.items():
        try:
            check()
            found[name] = "ok"
        except DaskError as error:
            found[name] = str(error)
        except Exception as error:  # whatever it is, the operator must read it
            first = (str(error).splitlines() or [""])[0]
            found[name] = f"{type(error).__name__}: {first[:200]}"
    return found


class Checked:
    """The parts' state, asked anew when it is too old; one asks while the others wait for it."""

    def __init__(self, check: Callable[[], dict[str, str]]) -> None:
        self._check = check
        self._lock = threading.Lock()
        self._found: dict[str, str] = {}
        self._at = float("-inf")

    def get(self, no_older_than: float) -> dict[str, str]:
        asked = time.monotonic()
        with self._lock:
            if self._at < asked - no_older_than:
                self._found = self._check()
                self._at = time.monotonic()
            return self._found


def make_health(platform: Platform, url: str) -> Callable[..., Iterable[bytes]]:
    """A WSGI application of three pages."""
    checked = Checked(lambda: checks(platform, url))

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        kind = "application/json"
        if path == "/health/live":
            status, body = "200 OK", b'{"live": true}'
        elif path == "/health/ready":
            found = checked.get(READY_SECONDS)
            good = all(state == "ok" for state in found.values())
            status = "200 OK" if good else "503 Service Unavailable"
            body = json.dumps(found).encode()
        elif path == "/metrics":
            body = metrics(checked.get(METRICS_SECONDS))
            status, kind = "200 OK", "text/plain; version=0.0.4; charset=utf-8"
        else:
            status, body = "404 Not Found", b"{}"
        start(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]

    return answer


def metrics(found: dict[str, str]) -> bytes:
    """The workers' figures added up, and 1 or 0 for each part."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    body = generate_latest(registry)
    parts = "".join(
        f'dask_part_ok{{part="{name}"}} {int(state == "ok")}\n' for name, state in found.items()
    )
    head = "# HELP dask_part_ok Whether a part answers\n# TYPE dask_part_ok gauge\n"
    return body + (head + parts).encode()


class HealthServer(ThreadingMixIn, WSGIServer):
    """A thread a connection: a probe that waits for a dead part keeps no other waiting."""

    daemon_threads = True


class HealthServer6(HealthServer):
    address_family = socket.AF_INET6


class _Quiet(WSGIRequestHandler):
    timeout = IDLE_SECONDS

    def log_message(self, format: str, *args: Any) -> None:
        """Probes every few seconds are no news."""


def health_server(bind: str, application: Callable[..., Iterable[bytes]]) -> WSGIServer:
    """Listens on ``address:port`` (IPv6 in brackets). Raises ``ConfigurationError``."""
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    if bind.startswith("unix:") or not port.isdigit():
        raise ConfigurationError([f"DASK_HEALTH_BIND: write address:port. Got {bind!r}."])
    kind = HealthServer6 if ":" in host else HealthServer
    return make_server(host, int(port), application, kind, _Quiet)


@click.command()
def health() -> None:
    """Serve health and metrics; ``serve`` starts this by itself."""
    settings = load_settings()
    configure_logging(settings)
    folder = os.environ.setdefault(METRICS_VARIABLE, str(settings.home / "metrics"))
    Path(folder).mkdir(parents=True, exist_ok=True)
    platform = build_platform(settings)
    application = make_health(platform, database_url(settings, "web"))
    with health_server(settings.health_bind, application) as server:
        server.serve_forever()
