"""An officer records a site in a real browser, another approves the draft, a student reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from werkzeug.serving import make_server

from dask_platform.adapters.upstream import MemoryUpstream
from dask_platform.adapters.upstream import Page as Answer
from dask_platform.features.broker.addresses import Domain
from dask_platform.features.broker.application import make_broker
from tests.browser.inspection import AXE_SCRIPT, faults
from tests.browser.site import WIDE, QuietHandler
from tests.world import World

pytestmark = pytest.mark.browser

SITE = "https://sagbladet.no"
CDN = "https://cdn.example.com"
DRAWING = (
    b"<svg xmlns='http://www.w3.org/2000/svg' width='40' height='40'>"
    b"<rect width='40' height='40'/></svg>"
)
FRONT = f"""<!doctype html><html lang=nb><head><title>Sagbladet</title>
<link rel=stylesheet href="{CDN}/stil.css"></head><body><h1>Sager</h1>
<p>En sag er et verktøy med tenner. Her kan du lese om tre slag.</p>
<ul><li><a href="/sager/handsag">Håndsag</a><li><a href="/sager/bandsag">Båndsag</a>
<li><a href="/sager/stikksag">Stikksag</a><li><a href="/logg-inn">Logg inn</a></ul>
<form action="/sok"><input name=q><button>Søk</button></form>
<img src="{CDN}/sag.svg" alt="En sag"><p id=ut>Skript har ikke kjørt</p>
<script src="{CDN}/sag.js"></script></body></html>"""
SCRIPT = f"""
document.getElementById("ut").textContent = "Skript har kjørt";
fetch("https://api.example.com/data?hvem=anna").catch(() => 0);
new Image().src = "https://teller.example.com/p.gif";
navigator.serviceWorker && navigator.serviceWorker.register("/sw.js").catch(() => 0);
navigator.sendBeacon("{SITE}/skriv", "hei");
"""


def _page(body: str, title: str) -> Answer:
    text = f"<!doctype html><html lang=nb><title>{title}</title><h1>{title}</h1><p>{body}</p>"
    return Answer(text.encode(), headers={"content-type": "text/html; charset=utf-8"})


PAGES = {
    f"{SITE}/": Answer(FRONT.encode(), headers={"content-type": "text/html; charset=utf-8"}),
    f"{SITE}/sager/handsag": _page("Dras for hånd.", "Håndsag"),
    f"{SITE}/sager/bandsag": _page("Et bånd med tenner.", "Båndsag"),
    f"{SITE}/sager/stikksag": _page("Går opp og ned.", "Stikksag"),
    f"{CDN}/stil.css": Answer(b"h1{color:green}", headers={"content-type": "text/css"}),
    f"{CDN}/sag.svg": Answer(DRAWING, headers={"content-type": "image/svg+xml"}),
    f"{CDN}/sag.js": Answer(SCRIPT.encode(), headers={"content-type": "text/javascript"}),
}


@dataclass
class House:
    """School and broker behind one door. ``asked`` is every address any browser asked for."""

    world: World
    browser: Browser
    upstream: MemoryUpstream
    origin: str
    asked: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def person(self, name: str) -> Page:
        """A PC of their own, logged in at the school."""
        context = self.browser.new_context(base_url=self.origin, viewport=WIDE, locale="nb-NO")
        context.set_default_timeout(15_000)
        context.add_cookies(
            [{"name": "dask", "value": self.world.session(name), "url": self.origin}]
        )
        context.on("request", lambda request: self.asked.append(request.url))
        self.contexts.append(context)
        return context.new_page()


@pytest.fixture
def house(world: World, chromium: Browser) -> Iterator[House]:
    served: dict[str, Any] = {}

    def door(environ: dict[str, Any], start: Any) -> Any:
        below = served["domain"].label(environ.get("HTTP_HOST", "")) is not None
        return served["broker" if below else "school"](environ, start)

    server = make_server("127.0.0.1", 0, door, threaded=True, request_handler=QuietHandler)
    outside = f"http://ressurs.localhost:{server.port}"
    platform = world.platform
    platform.settings = platform.settings.model_copy(update={"resources_url": outside})
    upstream = platform.upstream = MemoryUpstream(PAGES)
    served.update(domain=Domain.of(outside), school=world.app, broker=make_broker(platform))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made = House(world, chromium, upstream, f"http://127.0.0.1:{server.port}")
    try:
        yield made
    finally:
        for context in made.contexts:
            context.close()
        server.shutdown()
        thread.join()
        server.server_close()


def looked_at(page: Page) -> None:
    """Nothing is wrong with the page for anybody, wide or narrow."""
    page.evaluate(AXE_SCRIPT)
    assert faults(page, "nb", dark=False) == []


def recorded(house: House, officer: Page, *, copy: bool = False) -> Page:
    """Start a recording in the school, and read the site in a tab of its own."""
    officer.goto("/whitelists/record")
    officer.get_by_label("Adressen til nettstedet").fill("sagbladet.no")
    officer.get_by_label("Hvorfor").fill("Til snekkerfaget.")
    if copy:
        officer.get_by_label("Lag en kopi").check()
    officer.get_by_role("button", name="Start").click()
    with officer.expect_popup() as popup:
        officer.get_by_role("link", name="Åpne nettstedet").click()
    tab = popup.value
    tab.get_by_text("Skript har kjørt").wait_for()
    assert tab.locator("dask-bar").is_visible()
    assert tab.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(0, 128, 0)"
    assert tab.evaluate("document.querySelector('img').naturalWidth") == 40
    for name in ("Håndsag", "Båndsag", "Stikksag"):
        tab.get_by_role("link", name=name).click()
        tab.get_by_role("heading", name=name).wait_for()
        tab.go_back()
    tab.wait_for_load_state("networkidle")
    return tab


def proposed(officer: Page, profile: str) -> str:
    """Draft a rule and propose it; the address of the proposal."""
    officer.get_by_role("link", name="Lag utkast").click()
    looked_at(officer)
    officer.get_by_label(profile).check()
    officer.get_by_label("Kortnavn").fill("sagbladet")
    officer.get_by_label("Beskrivelse, bokmål").fill("Om sager.")
    officer.get_by_label("Beskrivelse, nynorsk").fill("Om sager.")
    officer.get_by_label("Kontor").fill("Sikkerhet")
    officer.get_by_role("button", name="Vis meg regelen").click()
    officer.get_by_role("heading", name="Hva den åpner").wait_for()
    looked_at(officer)
    officer.get_by_role("button", name="Send forslaget").click()
    officer.wait_for_url("**/whitelists/proposals/*")
    return officer.url


def approved(house: House, address: str) -> None:
    other = house.person("stein")
    other.goto(address)
    other.locator("summary", has_text="Godkjenn").click()
    other.get_by_role("button", name="Godkjenn", exact=True).click()
    other.get_by_text("Det gjelder fra nå av").wait_for()


def test_from_a_recording_to_a_student_who_reads(house: House) -> None:
    officer = house.person("sigrid")
    recorded(house, officer)
    officer.get_by_role("link", name="Vis det som er nytt").click()
    shown = officer.locator("main").inner_text()
    for words in (
        "Du åpnet 4 sider", "De trengte 2 verter", "skript: 1", "api.example.com/data",
        "teller.example.com/p.gif", "sagbladet.no/logg-inn", "sagbladet.no/sok",
    ):  # fmt: skip
        assert words in shown, words
    assert "anna" not in shown
    looked_at(officer)
    officer.get_by_role("button", name="Avslutt opptaket").click()
    address = proposed(officer, "Rensede sider uten skript")
    approved(house, address)
    student = house.person("anna")
    student.goto("/sites/sagbladet/open")
    student.get_by_role("heading", name="Sager").wait_for()
    student.get_by_role("link", name="Håndsag").click()
    student.get_by_role("heading", name="Håndsag").wait_for()
    ours = (house.origin, f"http://sagbladet-no.ressurs.localhost:{house.origin[-5:]}")
    away = [url for url in house.asked if not url.startswith(ours)]
    # What script asked for by itself, the policy stopped before it became a request.
    assert all(url.startswith(("https://api.", "https://teller.", f"{SITE}/")) for url in away)
    hosts = {one.url.split("/")[2] for one in house.upstream.requests}
    assert hosts == {"sagbladet.no", "cdn.example.com"}
    assert not any(one.url.endswith("/sw.js") for one in house.upstream.requests)


def test_a_tab_that_stays_open_shows_nothing_after_the_end(house: House) -> None:
    officer = house.person("sigrid")
    tab = recorded(house, officer)
    officer.get_by_role("button", name="Avslutt opptaket").click()
    officer.get_by_text("Opptaket er avsluttet").wait_for()
    before = len(house.upstream.requests)
    answer = tab.goto(f"http://sagbladet-no.ressurs.localhost:{house.origin[-5:]}/sager/handsag")
    assert answer is not None
    assert answer.status == 401
    assert len(house.upstream.requests) == before


def test_a_copy_is_read_with_the_site_gone(house: House) -> None:
    officer = house.person("sigrid")
    recorded(house, officer, copy=True)
    officer.get_by_role("link", name="Vis det som er nytt").click()
    address = proposed(officer, "Kopien som ble laget")
    approved(house, address)
    house.upstream.pages.clear()
    student = house.person("anna")
    student.goto("/sites/sagbladet/open")
    student.get_by_role("heading", name="Sager").wait_for()
    assert student.evaluate("document.querySelector('#dask-site img').naturalWidth") == 40
    student.get_by_role("link", name="Stikksag").click()
    student.get_by_text("Går opp og ned.").wait_for()
