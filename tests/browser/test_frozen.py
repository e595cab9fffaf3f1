"""A frozen site in a real browser: searching it, following a link, seeing its pictures."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page
from werkzeug.serving import make_server

from dask_platform.adapters.upstream import MemoryUpstream
from dask_platform.entry.demo_copy import HOST, MAIN, make
from dask_platform.features.broker.application import make_broker
from tests.browser.site import WIDE, QuietHandler
from tests.copies import AT
from tests.features.broker.conftest import Outside
from tests.features.broker.test_frozen import put
from tests.features.whitelists.build import rule
from tests.world import World

NARROW = {"width": 320, "height": 700}


@pytest.fixture
def outside(world: World, tmp_path: Path) -> Iterator[Outside]:
    """The broker over HTTP on loopback, with the demo's copy in force; no upstream answers."""
    served: dict[str, Any] = {}
    server = make_server(
        "127.0.0.1", 0, lambda *given: served["app"](*given), threaded=True,
        request_handler=QuietHandler,
    )  # fmt: skip
    platform = world.platform
    platform.settings = platform.settings.model_copy(
        update={"resources_url": f"http://ressurs.localhost:{server.port}"}
    )
    platform.upstream = MemoryUpstream({})
    made = Outside(world, make_broker(platform), platform.upstream)
    make(tmp_path / "tre.zim", AT.date())
    made.open(
        rule(
            id="tre", host=HOST, profile="frozen", copy=put(made, tmp_path / "tre.zim"),
            title={"nb": "Tre og verktøy", "nn": "Tre og verktøy"},
            examples={"pass": [f"https://{HOST}/{MAIN}"], "refuse": [f"https://{HOST}:8443/"]},
        )
    )  # fmt: skip
    served["app"] = made.broker
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def shown(page: Page) -> list[int]:
    """How wide each picture on the page really is; 0 for one that did not come."""
    page.wait_for_load_state("networkidle")
    found: list[int] = page.evaluate("[...document.images].map((one) => one.naturalWidth)")
    return found


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_student_searches_follows_a_link_and_sees_pictures(
    outside: Outside, chromium: Browser, size: dict[str, int]
) -> None:
    page = chromium.new_page(viewport=size)  # type: ignore[arg-type]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(outside.ticket("anna", "tre"))
    assert page.title() == "Tre og verktøy – DASK"
    assert len(shown(page)) == 4
    assert all(shown(page))
    page.get_by_role("search").get_by_role("searchbox").fill("klubbe")
    page.get_by_role("search").get_by_role("button").click()
    page.get_by_role("link", name="Stemjern").click()
    page.wait_for_url("**/stemjern")
    assert all(shown(page))
    page.get_by_role("link", name="hammer").click()
    page.wait_for_url("**/hammer")
    length = page.evaluate(
        "new Promise((done) => { const one = document.querySelector('audio');"
        " one.readyState ? done(one.duration) : one.onloadedmetadata = () => done(one.duration) })"
    )
    assert 2 < length < 3, "the sound comes, and its length is known"
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    here = urlsplit(page.url).hostname
    assert {urlsplit(url).hostname for url in asked} == {here}
    assert outside.upstream.requests == [], "nothing was asked for outside"
    page.close()
