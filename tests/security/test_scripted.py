"""Pages whose own script runs: what stays, what is mapped, and what never reaches the browser."""

# ruff: noqa: E501 - pages and what becomes of them stand side by side
from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser, LexborNode

from dask_platform.kernel.errors import TooLarge
from dask_platform.security.reader import AllowedForm, Field, Kind
from dask_platform.security.scripted import Frame, Rewritten, rewrite
from dask_platform.security.scripted_css import NOWHERE, map_css

BASE = "https://side.no/mappe/side"
CDN = "http://cdn-no.ressurs.localhost"
OUT = "ute.example"
#: Every attribute that a browser reads an address from, and those that once were.
ADDRESSES = frozenset(
    (
        *("action", "archive", "attributionsrc", "background", "cite", "classid", "codebase"),
        *("data", "dynsrc", "formaction", "href", "imagesrcset", "longdesc", "lowsrc", "manifest"),
        *("ping", "poster", "profile", "src", "srcdoc", "srcset", "xlink:href"),
    )
)
#: Those in which only what stands in ``url()`` is an address.
PAINT = frozenset(
    ("clip-path", "cursor", "fill", "filter", "marker-end", "mask", "stroke", "style")
)


def place(url: str, kind: Kind) -> str | None:
    """``side.no`` is the page's own, ``cdn.no`` a helper's; both answer their places with them."""
    if url.startswith("https://side.no/"):
        return url.removeprefix("https://side.no")
    if url.startswith("https://cdn.no/"):
        rest = url.removeprefix("https://cdn.no")
        return f"{CDN}{rest}" if kind == "script" else f"/_dask/via/cdn-no{rest}"
    return url if url.startswith(f"{CDN}/") else None


def ask(url: str) -> str | None:
    return f"/_dask/go?to={url.encode().hex()}"


def made(page: str, **given_: object) -> Rewritten:
    return rewrite(page.encode(), charset="utf-8", base=BASE, place=place, ask=ask, **given_)  # type: ignore[arg-type]


def body(page: str, **given_: object) -> str:
    """What the body of a page with ``page`` in its body becomes."""
    tree = LexborHTMLParser(made(f"<body>{page}", **given_).html)
    assert tree.body is not None
    return tree.body.inner_html or ""


def head(page: str, **given_: object) -> str:
    tree = LexborHTMLParser(made(f"<!doctype html><head>{page}</head>", **given_).html)
    assert tree.head is not None
    return tree.head.inner_html or ""


def nodes(tree: LexborHTMLParser) -> list[LexborNode]:
    assert tree.root is not None
    found, parts = [], [tree.root]
    while parts:
        part = parts.pop()
        found += part.css("*")
        parts += part.template_fragments()
    return found


# -- what a page needs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("<a href=neste>x</a>", '<a href="/mappe/neste">x</a>'),
        ("<a href=#her>x</a>", '<a href="#her">x</a>'),
        ("<a href=/en#to>x</a>", '<a href="/en#to">x</a>'),
        ("<img src=//cdn.no/a.png>", '<img src="/_dask/via/cdn-no/a.png">'),
        (
            '<img srcset="a.png 1x, //ute.example/b.png 2x">',
            '<img srcset="/mappe/a.png 1x">',
        ),
        (
            "<script src=https://cdn.no/a.js></script>",
            f'<script src="{CDN}/a.js" crossorigin="use-credentials"></script>',
        ),
        (
            "<script src=a.js integrity=sha384-x></script>",
            '<script src="/mappe/a.js" integrity="sha384-x" crossorigin="use-credentials"></script>',
        ),
        (
            '<script type="application/ld+json">{"a":1}</script>',
            '<script type="application/ld+json">{"a":1}</script>',
        ),
        ('<div class="ds-x" id=main data-x=1>', '<div class="ds-x" id="main" data-x="1"></div>'),
        ('<p style="color:red">x', '<p style="color:red">x</p>'),
        (
            '<p style="background:url(//cdn.no/a.png)">',
            '<p style="background:url(&quot;/_dask/via/cdn-no/a.png&quot;)"></p>',
        ),
        ("<img src=data:image/png;base64,AA==>", '<img src="data:image/png;base64,AA==">'),
        (
            "<svg><use href=#a></use><use href=/s.svg#b></use></svg>",
            '<svg><use href="#a"></use><use href="/s.svg#b"></use></svg>',
        ),
        ("<video src=v.mp4 poster=p.png controls>",
         '<video src="/mappe/v.mp4" poster="/mappe/p.png" controls=""></video>'),
        ("<iframe src=/del title=Del></iframe>", '<a href="/del">Del</a>'),
    ],
)  # fmt: skip
def test_what_is_open_is_found(written: str, becomes: str) -> None:
    assert body(written) == becomes


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        (f"<a href=//{OUT}/x>x</a>",
         f'<a href="{ask(f"https://{OUT}/x")}" title="Ask for this page">x</a>'),
        ("<a href=javascript:x()>x</a>", "<a>x</a>"),
        ("<a href=data:text/html,x>x</a>", "<a>x</a>"),
        ("<a href=mailto:a@b.no>x</a>", "<a>x</a>"),
        (f"<img src=//{OUT}/a.png alt=x>", '<img alt="x">'),
        ("<img src=data:text/html,x>", "<img>"),
        ("<img src=a onerror=x() ONLOAD=y()>", '<img src="/mappe/a">'),
        (f"<script src=//{OUT}/a.js></script>", ""),
        ("<script type=speculationrules>{}</script>", ""),
        (f"<iframe src=//{OUT}/f width=1></iframe>", ""),
        ("<iframe srcdoc='<p>x'></iframe>", ""),
        ("<object data=//ute.example/o hidden><p>Ellers</p></object>", "<p>Ellers</p>"),
        ("<embed hidden src=e>", ""),
        (f"<a href=/x ping=//{OUT} target=_blank attributionsrc>x</a>", '<a href="/x">x</a>'),
        (f"<svg><animate attributeName=href to=//{OUT} /></svg>",
         f'<svg><animate to="//{OUT}"></animate></svg>'),
        (f"<svg fill=url(//{OUT}/a)></svg>", f'<svg fill="url(&quot;{NOWHERE}&quot;)"></svg>'),
        (f"<p style='background:u\\72l(//{OUT}/a)'>",
         f'<p style="background:url(&quot;{NOWHERE}&quot;)"></p>'),
        ("<button formaction=/x formmethod=post>x</button>", "<button>x</button>"),
        (f"<table background=//{OUT}/a></table>", "<table></table>"),
        ("<script nonce=gjettet>x</script>", '<script crossorigin="use-credentials">x</script>'),
    ],
)  # fmt: skip
def test_what_is_not_open_goes(written: str, becomes: str) -> None:
    assert body(written) == becomes


@pytest.mark.parametrize(
    "written",
    [
        f'<meta http-equiv=refresh content="0;url=//{OUT}">', "<meta http-equiv=x content=y>",
        '<meta http-equiv="Content-Security-Policy" content="default-src *">',
        "<meta name=referrer content=unsafe-url>", "<meta charset=utf-16>",
        "<meta name=Origin-Trial content=x>", f"<base href=//{OUT}>",
        f"<link rel=preconnect href=//{OUT}>", "<link rel=preconnect href=//cdn.no>",
        f"<link rel=dns-prefetch href=//{OUT}>", "<link rel=prefetch href=/a>",
        "<link rel=prerender href=/a>", "<link rel=manifest href=/m>", "<link rel=next href=/a>",
        f"<link rel=stylesheet href=//{OUT}/s.css>", f"<link rel=icon href=//{OUT}/i>",
        "<link rel=import href=/a>", "<link rel=serviceworker href=/a>",
        "<link rel=preload as=fetch href=/a>", f"<noscript><img src=//{OUT}></noscript>",
    ],
)  # fmt: skip
def test_what_acts_beside_the_policy_goes(written: str) -> None:
    assert head(written) == ""


def test_a_listed_sheet_stays_without_its_promise() -> None:
    written = "<link rel='stylesheet prefetch' href=//cdn.no/s.css integrity=x crossorigin>"
    assert head(written) == '<link rel="stylesheet" href="/_dask/via/cdn-no/s.css">'


def test_addresses_are_read_from_the_base_that_goes() -> None:
    page = "<head><base href=https://cdn.no/bok/></head><body><img src=a.png><a href=#x>x</a>"
    html = made(page).html
    assert '<img src="/_dask/via/cdn-no/bok/a.png">' in html
    assert '<a href="#x">' in html
    assert "<base" not in html


def test_what_waits_for_script_is_rewritten_too() -> None:
    page = (
        f"<template><template><img src=//{OUT}/a onerror=x><a href=/b>b</a></template></template>"
    )
    assert body(page) == '<template><template><img><a href="/b">b</a></template></template>'


def test_scripts_carry_the_pages_word_and_no_other() -> None:
    html = made("<script nonce=a>1</script><svg><script>2</script></svg>", nonce="N").html
    tree = LexborHTMLParser(html)
    assert [one.attributes.get("nonce") for one in tree.css("script")] == ["N", "N"]


def test_script_is_not_touched() -> None:
    text = 'if (a < b && c) { d = "</p>" + "<a href=//ute.example>" } // æ \\u003c'
    assert f">{text}</script>" in made(f"<script>{text}</script>").html


# -- modules -------------------------------------------------------------------------------------


def imports(page: str, **given_: object) -> dict[str, object]:
    tree = LexborHTMLParser(made(page, **given_).html)
    (found,) = tree.css('script[type="importmap"]')
    said: dict[str, object] = json.loads(found.text(deep=True))
    return said


def test_an_import_map_is_mapped() -> None:
    own = {
        "imports": {"a": "//cdn.no/a.js", "b": "./b.js", "c": "https://cdn.no/c/", "d": "d.js",
                    "e": f"https://{OUT}/e.js", "f": 7},
        "scopes": {"/s/": {"a": "/x.js"}, f"https://{OUT}/": {"a": "/x.js"}},
        "integrity": {"https://cdn.no/a.js": "sha"},
    }  # fmt: skip
    page = f"<script type=importmap>{json.dumps(own)}</script>"
    assert imports(page) == {
        "imports": {"a": f"{CDN}/a.js", "b": "/mappe/b.js", "c": f"{CDN}/c/"},
        "scopes": {"/s/": {"a": "/x.js"}},
    }


def test_a_module_finds_a_helper_by_its_whole_address() -> None:
    page = '<title>x</title><script type=module>import "https://cdn.no/a.js"</script>'
    said = imports(page, modules={"https://cdn.no/": f"{CDN}/"})
    assert said == {"imports": {"https://cdn.no/": f"{CDN}/"}}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"imports": 1}', '{"scopes": []}', "[" * 5000])
def test_a_broken_import_map_means_nothing(text: str) -> None:
    assert imports(f"<script type=importmap>{text}</script>") == {"imports": {}}


# -- forms ---------------------------------------------------------------------------------------

SEARCH = AllowedForm("https://side.no/sok", "GET", (Field("q", "text", 30),))
SEND = AllowedForm(
    "https://side.no/send", "POST", (Field("svar", "text", 30),), ("ord", "hemmelig")
)


def test_a_form_that_no_rule_names_is_the_scripts_alone() -> None:
    assert body(f"<form action=//{OUT} method=post><input name=q></form>", forms=(SEARCH,)) == (
        '<form method="dialog"><input name="q"></form>'
    )


def test_a_form_that_is_named_sends_its_fields_alone() -> None:
    page = "<form action=/sok?x=1 target=_top><input name=q><input name=sporing value=1></form>"
    assert body(page, forms=(SEARCH,)) == (
        '<form action="/sok" method="get" accept-charset="utf-8">'
        '<input name="q"><input value="1"></form>'
    )


def test_a_form_with_post_carries_the_callers_word() -> None:
    page = "<form action=/send method=post><input name=ord value=min><input name=svar></form>"
    written = body(page, forms=(SEND,))
    assert '<input value="min"><input name="svar">' in written
    assert '<input type="hidden" name="ord" value="hemmelig">' in written
    assert body(written, forms=(SEND,)) == written


# -- sheets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("a{b:url(a.png)}", 'a{b:url("/mappe/a.png")}'),
        ("a{b:URL( 'a.png' )}", 'a{b:url( "/mappe/a.png" )}'),
        ('a{b:\\75 \\52L("a.png")}', 'a{b:url("/mappe/a.png")}'),
        ("a{b:url(a\\.png)}", 'a{b:url("/mappe/a.png")}'),
        ('@import "//cdn.no/s.css" screen;', '@import "/_dask/via/cdn-no/s.css" screen;'),
        ("@im\\port url(//cdn.no/s.css);", '@im\\port url("/_dask/via/cdn-no/s.css");'),
        (f"@import '//{OUT}/s.css';", f'@import "{NOWHERE}";'),
        (f"a{{b:url(//{OUT}/a) c}}", f'a{{b:url("{NOWHERE}") c}}'),
        (f"a{{b:image-set('//{OUT}/a' 1x, url(b.png) 2x)}}",
         f'a{{b:image-set("{NOWHERE}" 1x, url("/mappe/b.png") 2x)}}'),
        ("/* url(a) */ a{content:'url(a)'}", "/* url(a) */ a{content:'url(a)'}"),
        ("a{b:url(data:image/png;base64,AA==)}", 'a{b:url("data:image/png;base64,AA==")}'),
        ("a{b:url(data:text/html,x)}", f'a{{b:url("{NOWHERE}")}}'),
        ("a{b:url(#f)}", 'a{b:url("#f")}'),
        (f"a{{b:url(x y //{OUT})}}", f'a{{b:url("{NOWHERE}")}}'),
        (f"a{{b:url(//{OUT}", f'a{{b:url("{NOWHERE}")'),
        ("@media (400px<width){a{b:c}}", "@media (400px<width){a{b:c}}"),
        ("@font-face{src:url(f.woff2) format('woff2')}",
         "@font-face{src:url(\"/mappe/f.woff2\") format('woff2')}"),
    ],
)  # fmt: skip
def test_a_sheet_keeps_all_but_its_addresses(written: str, becomes: str) -> None:
    assert map_css(written, base=BASE, place=place) == becomes


@given(
    st.lists(
        st.sampled_from(
            ["url(", ")", "'", '"', "/*", "*/", "\\", "75", " ", "//ute.example/a", "a.png", "{",
             "}", ";", "@import ", "image-set(", "src(", "\n", "u", "rl(", "#", "<", "data:"]
        ),
        max_size=25,
    ).map("".join)
)  # fmt: skip
def test_mapping_a_sheet_again_with_what_is_ours_changes_nothing(text: str) -> None:
    given_: set[str] = set()

    def noted(url: str, kind: Kind) -> str | None:
        found = place(url, kind)
        if found is not None:
            given_.add(found)
        return found

    once = map_css(text, base=BASE, place=noted)
    assert map_css(once, base=BASE, place=noted, ours=given_) == once


# -- of all pages --------------------------------------------------------------------------------

_TAGS = ["a", "img", "script", "style", "svg", "p", "form", "input", "iframe", "template", "table",
         "select", "option", "math", "mtext", "mglyph", "use", "image", "link", "meta", "base", "noscript",
         "object", "foreignObject", "title", "textarea", "video", "source", "td", "b", "h1", "frameset",
         "body", "html", "head", "annotation-xml", "plaintext", "desc", "importmap"]  # fmt: skip
_VALUES = st.sampled_from(
    [f"https://{OUT}/x", f"//{OUT}", f"\t//{OUT}", f"/\\{OUT}", "a", "/b", "#c",
     f"url(//{OUT}/a)", f"a 1x, //{OUT}/b 2x", "javascript:x", f"data:text/html,<img src=//{OUT}>",
     "stylesheet", "refresh", "importmap", "module", "get", "//cdn.no/a", f"http://{OUT}:8/x"]
)  # fmt: skip
_ATTRIBUTE = st.builds(
    lambda name, value: f' {name}="{value}"',
    st.sampled_from([*sorted(ADDRESSES | PAINT), "rel", "type", "onload", "http-equiv", "method", "as",
                     "SRC", "attributeName", "to", "media", "target", "nonce"]),
    _VALUES,
)  # fmt: skip
_PIECES = st.one_of(
    st.builds(
        lambda tag, attributes: f"<{tag}{''.join(attributes)}>",
        st.sampled_from(_TAGS), st.lists(_ATTRIBUTE, max_size=3),
    ),
    st.sampled_from([f"</{one}>" for one in _TAGS]),
    st.sampled_from(
        ["tekst", "<!--", "-->", "<![CDATA[", "]]>", "&lt;img src=//ute.example&gt;", "\x00", '">',
         '{"imports": {"a": "//ute.example/a.js"}}', "@import '//ute.example/a.css';"]
    ),
)  # fmt: skip
PAGES = st.lists(_PIECES, max_size=14).map("".join)


@settings(max_examples=400)
@given(PAGES)
def test_no_address_of_another_host_is_left_and_again_changes_nothing(page: str) -> None:
    try:
        first = made(page, nonce="N", forms=(SEARCH,), modules={"https://cdn.no/": f"{CDN}/"})
    except TooLarge:
        return
    tree = LexborHTMLParser(first.html, scripting=True)
    for node in nodes(tree):
        for name, value in node.attributes.items():
            low = name.lower()
            assert not low.startswith("on"), first.html
            if low in PAINT:
                assert f"({OUT}" not in (value or "").replace("/", ""), first.html
            elif low in ADDRESSES:
                own = re.match(r"/(?![/\\])", value or "")
                assert own or OUT not in (value or ""), first.html
                assert not (value or "").strip().lower().startswith(("javascript:", "data:text"))
        tag = (node.tag or "").lower()
        assert tag not in ("base", "iframe", "object", "embed", "frame", "noscript"), first.html
        assert not (tag == "meta" and "http-equiv" in node.attributes), first.html
        if tag == "style" and node.parent is not None:
            css = node.text(deep=True)
            assert not re.search(rf"(?i)@import\s*['\"][^'\"]*{OUT}", css), first.html
        if tag == "script" and (node.attributes.get("type") or "").lower() == "importmap":
            assert OUT not in node.text(deep=True), first.html
    again = made(first.html, nonce="N", forms=(SEARCH,), modules={"https://cdn.no/": f"{CDN}/"})
    assert again.html == first.html


def test_a_page_that_never_comes_to_rest_is_refused_or_rests() -> None:
    nested = "<table><a>" * 200 + "<p>" * 200
    try:
        first = made(nested)
    except TooLarge:
        return
    assert made(first.html).html == first.html


# -- our own part --------------------------------------------------------------------------------


def test_ours_comes_before_all_of_the_sites() -> None:
    frame = Frame(
        {"src": "/_dask/guard.js"}, '<template shadowrootmode="closed"><b>Her</b></template>'
    )
    page = "<head><script>1</script></head><body><p>x</p><dask-bar>falsk</dask-bar>"
    tree = LexborHTMLParser(made(page, frame=frame).html)
    assert tree.head is not None
    assert tree.body is not None
    assert [one.tag for one in tree.head.iter()] == ["meta", "script", "script"]
    script = tree.head.css_first("script")
    assert script is not None
    assert script.attributes.get("src") == "/_dask/guard.js"
    first = tree.body.first_child
    assert first is not None
    assert first.html == (
        '<dask-bar><template shadowrootmode="closed"><b>Her</b></template></dask-bar>'
    )


def test_what_had_no_place_is_told() -> None:
    told = made(f"<img src=//{OUT}/a><script src=//{OUT}/b></script>").refused
    assert set(told) == {("image", f"https://{OUT}/a"), ("script", f"https://{OUT}/b")}


def test_the_title_is_the_pages() -> None:
    assert made("<title> Regn  ut </title><svg><title>nei</title></svg>").title == "Regn ut"


@pytest.mark.parametrize("data", [b"\xff\xfe<\x00p\x00>\x00", "<p>æ".encode("latin-1")])
def test_bytes_are_read_as_a_browser_reads_them(data: bytes) -> None:
    found = rewrite(data, charset=None, base=BASE, place=place, ask=ask)
    assert "<p>" in found.html
