"""A page full of tricks, through the broker, in a real browser: nothing runs and nothing leaves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext
from werkzeug.serving import make_server

from dask_platform.adapters.upstream import MemoryUpstream, Page
from dask_platform.features.broker.application import make_broker
from tests.browser.site import QuietHandler
from tests.features.broker.conftest import SITE, Outside
from tests.features.whitelists.build import rule
from tests.world import World

OUT = "https://ute.example"
TRICKS = f"""
<!doctype html><html lang=nb manifest="{OUT}/m" onload="window.ran=1"><head><title>Side</title>
<base href="{OUT}/"><meta http-equiv=refresh content="0;url={OUT}/refresh">
<meta http-equiv=Content-Security-Policy content="default-src *">
<link rel=preload as=image href="{OUT}/pre.png"><link rel=dns-prefetch href="{OUT}">
<link rel=prefetch href="{OUT}/f"><link rel=stylesheet href="{OUT}/s.css">
<link rel=icon href="{OUT}/i.ico"><script src="{OUT}/s.js"></script>
<script>window.ran=2;fetch("{OUT}/fetch");navigator.serviceWorker.register("/sw.js")</script>
<style>@import "{OUT}/i.css";h1{{background:url({OUT}/b.png)}}
p{{background:\\75rl({OUT}/c.png);list-style:image-set("{OUT}/d.png" 1x)}}
@font-face{{font-family:x;src:url({OUT}/f.woff2)}} p{{font-family:x}}</style></head>
<body onload="window.ran=3" background="{OUT}/bg.png"><h1>Les dette</h1>
<p id=p style="background:url({OUT}/e.png)" onclick="window.ran=4">Tekst</p>
<img src=x onerror="window.ran=5"><img src="{OUT}/img.png" srcset="{OUT}/2.png 2x">
<svg onload="window.ran=6"><script>window.ran=7</script><use href="{OUT}/u.svg#a"/>
<foreignObject><iframe src="javascript:parent.ran=8"></iframe></foreignObject>
<image href="{OUT}/svg.png"/><animate attributeName=href values="javascript:top.ran=9"/></svg>
<iframe src="{OUT}/frame"></iframe><iframe srcdoc="<script>parent.ran=10</script>"></iframe>
<object data="{OUT}/o"></object><embed src="{OUT}/e"><portal src="{OUT}/p"></portal>
<video autoplay src="{OUT}/v.mp4" poster="{OUT}/v.png"><track default src="{OUT}/t.vtt"></video>
<audio autoplay src="{OUT}/a.mp3"></audio><input type=image src="{OUT}/in.png">
<noscript><p title="</noscript><img src=x onerror=window.ran=12>"></noscript>
<form action="{OUT}/form"><input name=q value=hei><button id=send>Send</button></form>
<a id=ping href="/norge" ping="{OUT}/ping">Norge</a> <a id=ute href="{OUT}/">Ute</a>
<a id=js href="javascript:window.ran=13">js</a> <a id=data href="data:text/html,x">data</a>
<details open ontoggle="window.ran=14"><marquee onstart="window.ran=15">m</marquee></details>
<div id=dask-site><a id=main href="//ute.example">//</a></div>
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=ran=11&gt;">
</body></html>
"""


@dataclass
class Way:
    """A way out that a browser can take. ``asked`` is every address that the browser asked for."""

    outside: Outside
    context: BrowserContext
    here: str
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def way(world: World, chromium: Browser) -> Iterator[Way]:
    served: dict[str, Any] = {}
    server = make_server(
        "127.0.0.1", 0, lambda *given: served["app"](*given), threaded=True,
        request_handler=QuietHandler,
    )  # fmt: skip
    platform = world.platform
    platform.settings = platform.settings.model_copy(
        update={"resources_url": f"http://ressurs.localhost:{server.port}"}
    )
    page = Page(TRICKS.encode(), headers={"content-type": "text/html; charset=utf-8"})
    drawing = b"<svg xmlns='http://www.w3.org/2000/svg'><script>document.title='ran'</script></svg>"
    platform.upstream = MemoryUpstream(
        {
            f"{SITE}/": page,
            f"{SITE}/a.svg": Page(drawing, headers={"content-type": "image/svg+xml"}),
        }
    )
    served["app"] = make_broker(platform)
    outside = Outside(world, served["app"], platform.upstream)
    outside.open(rule())
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    context = chromium.new_context()
    context.set_default_timeout(15_000)
    made = Way(outside, context, f"http://leksikon-no.ressurs.localhost:{server.port}")
    context.on("request", lambda request: made.asked.append(request.url))
    try:
        yield made
    finally:
        context.close()
        server.shutdown()
        thread.join()
        server.server_close()


def test_no_trick_of_a_page_runs_or_leaves(way: Way) -> None:
    page = way.context.new_page()
    page.goto(way.outside.ticket("anna"))
    assert page.locator("#dask-site h1").inner_text() == "Les dette"
    page.wait_for_load_state("networkidle")
    shown = page.locator("#dask-site")
    for words in ("Tekst", "Send", "Norge", "Ute", "js data", "//"):
        assert words in shown.inner_text(), "it is cleaned and not thrown away"
    links = page.locator("#dask-site [href]").all()
    assert links
    for link in links:
        wish = "http://localhost:8000/sites/wishes/new?address=https%3A%2F%2Fute.example%2F"
        assert (link.get_attribute("href") or "").startswith(wish)
    for trap in ("#r-p", "#dask-site details"):
        page.locator(trap).click()
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.ran") is None
    assert way.asked
    for url in way.asked:
        assert url.startswith(f"{way.here}/"), f"the browser asked for {url}"
    upstream = way.outside.upstream
    assert isinstance(upstream, MemoryUpstream)
    assert {urlsplit(one.url).hostname for one in upstream.requests} == {"leksikon.no"}
    assert way.context.service_workers == []
    assert [one["name"] for one in way.context.cookies()] == ["dask-site"]


def test_a_drawing_opened_by_itself_runs_nothing(way: Way) -> None:
    page = way.context.new_page()
    page.goto(way.outside.ticket("anna"))
    page.goto(f"{way.here}/a.svg")
    assert page.title() != "ran"


def test_another_host_of_the_broker_knows_nobody(way: Way) -> None:
    page = way.context.new_page()
    page.goto(way.outside.ticket("anna"))
    answer = page.goto(way.here.replace("leksikon-no", "ute-example"))
    assert answer is not None
    assert answer.status == 401
    assert "Tilbake til skolen" in page.content()
