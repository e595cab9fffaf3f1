"""A form that is sent to a site, filled in by hand in a real browser: the demo's own word quiz."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Browser, BrowserContext
from werkzeug.serving import make_server

import dask_platform.entry.demo_site as demo_site
from dask_platform.adapters.upstream import MemoryUpstream, Page
from dask_platform.entry.demo_site import quiz
from dask_platform.features.broker.application import make_broker
from dask_platform.features.whitelists.files import read_rule
from tests.browser.site import QuietHandler
from tests.features.broker.conftest import Outside
from tests.features.broker.test_forms import supervise
from tests.world import World

FOLDER = Path(demo_site.__file__).parent
RULE = "fjordleksikon-ordprove"
SITE = "https://fjordleksikon.example"
HTML = {"content-type": "text/html; charset=utf-8"}


@pytest.fixture
def outside(world: World) -> Iterator[Outside]:
    """The broker over HTTP, the quiz behind it, and a teacher who has opened it for the room."""
    served: dict[str, Any] = {}
    server = make_server(
        "127.0.0.1", 0, lambda *given: served["app"](*given), threaded=True,
        request_handler=QuietHandler,
    )  # fmt: skip
    platform = world.platform
    platform.settings = platform.settings.model_copy(
        update={"resources_url": f"http://ressurs.localhost:{server.port}"}
    )
    answer = quiz.answered(parse_qs("bre=sno&fjord=hav&setning=En foss faller."))
    form = (FOLDER / "pages" / "ordprove.html").read_bytes()
    platform.upstream = MemoryUpstream(
        {
            f"{SITE}/ordprove": Page(form, headers=HTML),
            f"{SITE}{quiz.PATH}": Page(answer.encode(), headers=HTML),
        }
    )
    served["app"] = make_broker(platform)
    made = Outside(world, served["app"], platform.upstream)
    file = f"{RULE}.yaml"
    placed, wrong = read_rule((FOLDER / "whitelists" / "national" / file).read_bytes(), file)
    assert placed is not None, wrong
    made.open(placed.rule)
    supervise(made, RULE)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context()
    context.set_default_timeout(15_000)
    yield context
    context.close()


def sent(outside: Outside) -> list[str]:
    return [one.form.decode() for one in outside.upstream.requests if one.form is not None]


def test_a_quiz_is_filled_in_and_sent(outside: Outside, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(outside.ticket("anna", RULE))
    page.get_by_label("Snø som er presset til is").check()
    page.get_by_label("Sjøvann").check()
    page.get_by_label("Skriv en setning om en foss").fill("Vannet faller\nfort & høyt.")
    page.get_by_role("button", name="Send svarene").click()
    assert page.locator("#dask-site h1").inner_text() == "Ordprøve: svar"
    assert "2 av 2 er riktige" in page.locator("#dask-site").inner_text()
    assert sent(outside) == ["bre=sno&fjord=hav&setning=Vannet+faller%0D%0Afort+%26+h%C3%B8yt."], (
        "the listed fields as they were written, and neither the page's hidden one nor ours"
    )


def test_what_cannot_be_sent_is_said_and_not_lost(
    outside: Outside, context: BrowserContext
) -> None:
    page = context.new_page()
    page.goto(outside.ticket("anna", RULE))
    words = "Skriv til meg på https://ute.example/ i dag"
    page.get_by_label("Skriv en setning om en foss").fill(words)
    page.get_by_role("button", name="Send svarene").click()
    assert page.locator("h1").inner_text() == "Ikke sendt"
    assert words in page.locator(".written").all_inner_texts()
    page.go_back()
    assert page.get_by_label("Skriv en setning om en foss").is_visible()
    assert sent(outside) == []


def test_another_page_cannot_send_it(outside: Outside, context: BrowserContext) -> None:
    """Not with the very word in it: the browser says where the form stood."""
    page = context.new_page()
    page.goto(outside.ticket("anna", RULE))
    action = page.url.partition("/ordprove")[0] + quiz.PATH
    word = page.locator("input[name=_dask_token]").get_attribute("value")
    page.route(
        "http://ute.example/",
        lambda route: route.fulfill(
            content_type="text/html",
            body=f'<form method=post action="{action}"><input name=setning value=hei>'
            f'<input name=_dask_token value="{word}"><button>Send</button></form>',
        ),
    )
    page.goto("http://ute.example/")
    page.get_by_role("button", name="Send").click()
    page.wait_for_url(f"{action}**")
    assert sent(outside) == []
