"""Style sheets by their tokens: what stays, what goes, and that none reaches past the container."""

from __future__ import annotations

import re

import pytest
import tinycss2
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_platform.security.reader import clean_css, clean_declarations
from tests.security.reader.opinions import OURS, Broker

SHEET = "https://leksikon.no/static/site.css"
S = ":where(#dask-site)"


def clean(text: str) -> str:
    return clean_css(text, base=SHEET, place=Broker().place)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("p{color:red}", f"{S} p {{ color: red; }}"),
        ("body.a>p,html .b{top:0}", f"{S}.a>p, {S} .b {{ top: 0; }}"),
        ("html > body.k #x{top:0}", f"{S}.k #r-x {{ top: 0; }}"),
        ("p{background:url(a.png)}", f'{S} p {{ background: url("{OURS}/static/a.png"); }}'),
        ("p{c\\6flor:r\\65 d}", f"{S} p {{ color: red; }}"),
        ("p{position:fixed}", f"{S} p {{ position: static; }}"),
        ("p{position:S\\54icky!important}", f"{S} p {{ position: static; }}"),
        (
            '@import "b.css" print;p{top:0}',
            f'@import url("{OURS}/static/b.css") print;\n{S} p {{ top: 0; }}',
        ),
        (
            'p{background:image-set("a.png" 1x,url(b.png) 2x)}',
            f'{S} p {{ background: image-set(url("{OURS}/static/a.png") 1x,'
            f'url("{OURS}/static/b.png") 2x); }}',
        ),
        (
            "@font-face{font-family:Lese;src:url(/f.woff2) format('woff2')}",
            f'@font-face {{ font-family: Lese; src: url("{OURS}/f.woff2") format("woff2"); }}',
        ),
        ("@media (max-width:9em){p{top:0}}", f"@media (max-width:9em) {{\n{S} p {{ top: 0; }}\n}}"),
        ("p{content:'</style><!--'}", f'{S} p {{ content: "\\3c /style>\\3c !--"; }}'),
    ],
)
def test_what_is_known_stays(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned
    assert clean(cleaned) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "p{background:url(https://ond.example/a)}",
        "p{background:u\\72l(//ond.example/a)}",
        "p{background:url( 'javascript:alert(1)' )}",
        "p{background:url(data:image/svg+xml,x)}",
        "p{background:image-set('https://ond.example/a' 1x)}",
        "p{background:-webkit-image-set(var(--x) 1x)}",
        "p{background:src(var(--x))}",
        "p{background:image('https://ond.example/a')}",
        "p{background:cross-fade(url(/a.png), url(//ond.example/a))}",
        "p{background:element(#r-x)}",
        "p{width:expression(alert(1))}",
        "p{width:e/**/xpression(alert(1))}",
        "p{behavior:url(/a.htc)}",
        "p{-moz-binding:url(/a.xml#x)}",
        "p{b\\65havior:url(/a)}",
        "p{filter:progid:DXImageTransform.Microsoft.X(src='//ond.example')}",
        "p{cursor:url(/a.png),auto}",
        "p{position:var(--x)}",
        "p{--x:{a:b}}",
        "@import 'https://ond.example/x.css';",
        "@import url(//ond.example/x.css) supports(display:grid);",
        "p{}@import '/late.css';p",
        "@namespace svg url(http://www.w3.org/2000/svg);",
        "@charset 'utf-7';",
        "@page{margin:0}",
        "@property --x{syntax:'*';inherits:false}",
        "@view-transition{navigation:auto}",
        "@document url(https://leksikon.no/){p{top:0}}",
        "@font-face{font-family:Inter;src:url(/f.woff2)}",
        "@font-face{font-family:'DASK-bar';src:url(/f.woff2)}",
        "@font-face{font-family:x;src:url(//ond.example/f.woff2)}",
        "body+p{top:0}",
        "html~*{top:0}",
        ":root + .bar{top:0}",
        f"{S}+p{{top:0}}",
        f"{S} ~ p{{top:0}}",
        "#dask-site{contain:none}",
        "p:has(#dask-site){top:0}",
        "svg|p{top:0}",
        "p || td{top:0}",
        "> p{top:0}",
        "p{{top:0}}",
        "<!-- -->",
        "@layer x</style>",
    ],
)
def test_what_is_not_known_goes(text: str) -> None:
    assert clean(text) == ""


def test_what_is_nested_in_a_rule_goes_and_the_rule_stays() -> None:
    assert clean("p{color:red;:root:has(&){top:0}}") == f"{S} p {{ color: red; }}"


def test_a_style_attribute_follows_the_same_rules() -> None:
    place = Broker().place
    assert clean_declarations("color:red;position:fixed", base=SHEET, place=place) == (
        "color: red; position: static;"
    )
    assert clean_declarations("background:url(//ond.example)", base=SHEET, place=place) is None
    assert clean_declarations("}p{top:0", base=SHEET, place=place) is None


_PIECES = st.sampled_from(
    [
        *("p", ".a", "#b", "body", "html", ":root", ":has(", ":not(", ")", ">", "+", "~", ",", " "),
        *("{", "}", ";", ":", "color:red", "top:0", "background:", "url(/a.png)", "url(//o.no/x)"),
        *(
            "image-set(",
            "'/b.png'",
            '"',
            "'",
            "\\",
            "\\65 ",
            "/*",
            "*/",
            "@media print",
            "@import ",
        ),
        *("@supports (a:b)", "@layer x", "@keyframes k", "@font-face", "src:", "--x:", "var(--x)"),
        *("position:fixed", "!important", "<!--", "-->", "</style>", "[a=b]", "expression(", "\n"),
        *("from", "1e3", "-", "#", "@", "\0", "u+1?", "calc(1px + 2%)", ":where(#dask-site)"),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(_PIECES, max_size=30).map("".join))
def test_every_sheet_is_narrow_placed_and_at_rest(text: str) -> None:
    broker = Broker()
    cleaned = clean_css(text, base=SHEET, place=broker.place)
    assert clean_css(cleaned, base=SHEET, place=broker.place) == cleaned
    assert "</" not in cleaned
    assert "<!" not in cleaned
    for url in re.findall(r"url\(([^)]*)\)", cleaned):
        assert url.strip('"') in broker.given
    _assert_narrow(tinycss2.parse_stylesheet(cleaned, skip_whitespace=True))


def _assert_narrow(rules: list[object]) -> None:
    for rule in rules:
        kind = getattr(rule, "type", "")
        assert kind in ("qualified-rule", "at-rule"), rule
        if kind == "qualified-rule":
            prelude = tinycss2.serialize(rule.prelude)  # type: ignore[attr-defined]
            assert prelude.startswith(S), prelude
        elif getattr(rule, "lower_at_keyword", "") in ("media", "supports", "layer", "container"):
            _assert_narrow(
                tinycss2.parse_rule_list(
                    rule.content or [],  # type: ignore[attr-defined]
                    skip_whitespace=True,
                )
            )
