"""An empty frame is a second window, in which what the guard took away is still there. Ways to have
one made without naming it: each ends in a datagram outside, if it works."""

from __future__ import annotations

import pytest

from dask_platform.adapters.upstream import Page
from tests.browser.test_scripted import TRY, Place
from tests.browser.test_scripted import browser as browser  # the fixtures
from tests.browser.test_scripted import outer as outer
from tests.browser.test_scripted import place as place
from tests.features.broker.conftest import SITE

XHTML = "http://www.w3.org/1999/xhtml"
SVG = (
    "<svg xmlns='http://www.w3.org/2000/svg'><foreignObject>"
    f"<iframe xmlns='{XHTML}'/></foreignObject></svg>"
)
PEER = (
    "const p = new window[0].RTCPeerConnection({iceServers: [{urls: 'stun:127.0.0.1:' +"
    " ute.split(':')[2]}]}); p.createDataChannel('x'); await p.setLocalDescription();"
    " await wait(1200); throw 1"
)
XSLT = (
    "<xsl:stylesheet version='1.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform'>"
    f"<xsl:template match='/'><xsl:element name='iframe' namespace='{XHTML}'/></xsl:template>"
    "</xsl:stylesheet>"
)
FRAMES = {
    "an entity of xml": "const d = new DOMParser().parseFromString(`<!DOCTYPE a [<!ENTITY e"
    f" \"&#60;iframe xmlns='{XHTML}'/&#62;\">]><a>&e;</a>`, 'text/xml');"
    " document.body.append(d.documentElement.firstElementChild);",
    "a drawing that was fetched": "const x = new XMLHttpRequest(); x.open('GET', '/tegning.svg');"
    " x.responseType = 'document'; await new Promise((y) => {x.onloadend = y; x.send()});"
    " document.body.append(x.response.documentElement.firstElementChild.firstElementChild);",
    "a transformation": "const parse = (t) => new DOMParser().parseFromString(t, 'text/xml');"
    f" const s = new XSLTProcessor(); s.importStylesheet(parse(`{XSLT}`));"
    " document.body.append(s.transformToFragment(parse('<a/>'), document));",
    "two writes": "document.open(); document.write('<ifr'); document.write('ame></iframe>');"
    " document.close();",
    "a document of its own": "document.body.append(document.implementation"
    f".createDocument('{XHTML}', 'iframe', null).documentElement);",
}


@pytest.mark.parametrize("way", FRAMES)
def test_no_frame_is_made_behind_the_guards_back(place: Place, way: str) -> None:
    place.outside.upstream.pages[f"{SITE}/tegning.svg"] = Page(
        SVG.encode(), headers={"content-type": "image/svg+xml"}
    )
    tab = place.open()
    came = tab.evaluate(TRY, [place.ute, FRAMES[way] + PEER])
    tab.wait_for_timeout(300)
    assert came.startswith("shut"), came
    assert not place.outer.arrived, f"{way} left the house"


def test_writing_in_pieces_still_writes(place: Place) -> None:
    tab = place.open()
    came = tab.evaluate(
        TRY,
        [place.ute, "document.open(); document.write('<p>a <b'); document.write('>b</b> < c');"
         " document.close(); throw document.body.textContent"],
    )  # fmt: skip
    assert came == "shut: a b < c"
