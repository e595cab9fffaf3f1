"""A school that is served, and the browser in which people open it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.world import World

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDE = {"width": 1280, "height": 900}


class QuietHandler(WSGIRequestHandler):
    """Keeps connections open as nginx does, and writes nothing to the terminal."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        pass


@contextmanager
def served(world: World) -> Iterator[str]:
    """The school over HTTP on a free port of loopback; its origin."""
    server = make_server("127.0.0.1", 0, world.app, threaded=True, request_handler=QuietHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Visitor:
    """A person at one PC. ``complaints`` is what the browser wrote to its console."""

    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)

    def fail_on_complaints(self) -> None:
        assert not self.complaints, "the browser complained:\n" + "\n".join(self.complaints)


@dataclass
class Site:
    world: World
    origin: str
    browser: Browser

    @contextmanager
    def visitor(self, name: str | None = None, *, script: bool = True) -> Iterator[Visitor]:
        """A fresh browser profile; with ``name`` that person is logged in already."""
        context = self.browser.new_context(
            base_url=self.origin, java_script_enabled=script, viewport=WIDE, locale="nb-NO"
        )
        context.set_default_timeout(15_000)
        if name is not None:
            self._log_in(context, name)
        visitor = Visitor(context, context.new_page())
        visitor.page.on("console", lambda message: _note(visitor, message.type, message.text))
        visitor.page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        try:
            yield visitor
        finally:
            context.close()

    def _log_in(self, context: BrowserContext, name: str) -> None:
        context.add_cookies(
            [{"name": "dask", "value": self.world.session(name), "url": self.origin}]
        )


def _note(visitor: Visitor, kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        visitor.complaints.append(f"{kind}: {text} at {visitor.page.url}")
