"""Health, readiness and metrics, on a port of their own that students' networks do not reach.

``/health/live`` says that the process answers, ``/health/ready`` that the school could serve a page
now (database at the newest revision, file store, scanner), ``/metrics`` is for Prometheus.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

import click
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy import text

from dask_platform.db import migrate
from dask_platform.db.embedded import die_with_parent
from dask_platform.entry.wiring import build_platform, configure_logging, database_url
from dask_platform.kernel.errors import DaskError
from dask_platform.kernel.settings import load_settings
from dask_platform.web.platform import Platform


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
        except Exception as error:
            found[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
    return found


def make_health(platform: Platform, url: str) -> Callable[..., Iterable[bytes]]:
    """A WSGI application of three pages."""

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        kind = "application/json"
        if path == "/health/live":
            status, body = "200 OK", b'{"live": true}'
        elif path == "/health/ready":
            found = checks(platform, url)
            good = all(state == "ok" for state in found.values())
            status = "200 OK" if good else "503 Service Unavailable"
            body = json.dumps(found).encode()
        elif path == "/metrics":
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
            status, body, kind = "200 OK", generate_latest(registry), "text/plain; version=0.0.4"
        else:
            status, body = "404 Not Found", b"{}"
        start(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]

    return answer


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Probes every few seconds are no news."""


@click.command()
def health() -> None:
    """Serve health and metrics; ``serve`` starts this by itself."""
    die_with_parent()
    settings = load_settings()
    configure_logging(settings)
    os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(settings.home / "metrics"))
    host, _, port = settings.health_bind.rpartition(":")
    platform = build_platform(settings)
    application = make_health(platform, database_url(settings, "web"))
    with make_server(host, int(port), application, WSGIServer, _Quiet) as server:
        server.serve_forever()
