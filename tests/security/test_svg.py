"""Drawings: what is allowed, and what each kind of mischief is called."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_platform.security.svg import MAX_BYTES, MAX_PROBLEMS, check_svg

GOOD = """<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
     viewBox="0 0 100 50" role="img" aria-labelledby="t">
  <title id="t">En sag med vern</title>
  <desc>Bladet står til venstre.</desc>
  <style>.a { fill: #1e4b7a; stroke-width: 2px } text { font: 12px sans-serif }</style>
  <defs>
    <linearGradient id="g"><stop offset="0" stop-color="red"/></linearGradient>
    <linearGradient id="h" xlink:href="#g"/>
    <pattern id="p" width="4" height="4"><path d="M0 0h4" fill="url(#g)"/></pattern>
    <symbol id="s"><circle r="3" fill="url(#h)"/></symbol>
    <g id="k"><path d="M0 0"/></g>
    <marker id="m"><path d="M0 0L4 2"/></marker>
  </defs>
  <use href="#s" x="4"/><use xlink:href="#k"/>
  <rect class="a" width="10" height="10" fill="url(#p)" style="opacity: .5"/>
  <path d="M1 1" marker-end="url('#m')"/>
  <text x="1" xml:lang="nn">url(http) og javascript: er ord</text>
</svg>
"""


def drawing(body: str, root: str = "") -> bytes:
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f"{root}><title>t</title>\n{body}</svg>"
    ).encode()


def test_a_plain_drawing_is_accepted() -> None:
    assert check_svg(GOOD.encode()) == []
    assert check_svg(b"\xef\xbb\xbf" + GOOD.encode()) == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<script>attack()</script>", "<script> is not allowed"),
        ("<SCRIPT/>", "<SCRIPT> is not allowed"),
        ('<x:script xmlns:x="http://www.w3.org/2000/svg"/>', "<script> is not allowed"),
        ('<script xmlns="http://www.w3.org/1999/xhtml"/>', "<script> is not allowed"),
        ('<g xmlns="http://www.w3.org/1999/xhtml"/>', "<g> is not allowed"),
        ("<foreignObject/>", "<foreignObject> is not allowed"),
        ('<a href="#x"/>', "<a> is not allowed"),
        ('<image href="#x"/>', "<image> is not allowed"),
        ('<animate attributeName="href" values="javascript:x"/>', "<animate> is not allowed"),
        ('<set attributeName="onclick" to="x"/>', "<set> is not allowed"),
        ('<filter id="f"/>', "<filter> is not allowed"),
        ("<metadata/>", "<metadata> is not allowed"),
        ('<g onclick="attack()"/>', "attribute onclick on <g>"),
        ('<g ONLOAD="attack()"/>', "attribute ONLOAD on <g>"),
        ('<g data-x="1"/>', "attribute data-x on <g>"),
        ('<g xml:base="//evil.example"/>', "attribute base on <g>"),
        ('<g xmlns:i="urn:i" i:label="x"/>', "attribute label on <g>"),
        ('<use href="//evil.example/x.svg#a"/>', "only point inside"),
        ('<use href="data:image/svg+xml,x"/>', "only point inside"),
        ('<use xlink:href="java&#10;script:x"/>', "only point inside"),
        ('<use href=" #a"/>', "only point inside"),
        ('<rect fill="url(//evil.example)"/>', "only point inside"),
        ('<rect fill="url(#a) url(//evil.example)"/>', "only point inside"),
        ('<rect fill="u&#x72;l(http://evil.example)"/>', "only point inside"),
        ('<rect mask="URL( data:x )"/>', "not allowed"),
        ('<rect fill="javascript:x"/>', "value that is not allowed"),
        ('<rect style="fill:url(//evil.example)"/>', "style has something"),
        ('<rect style="fill:u\\72l(x)"/>', "style has something"),
        ('<rect style="fill:ur/**/l(x)"/>', "style has something"),
        ('<rect style="width:expression(x)"/>', "style has something"),
        ("<style>@import '//evil.example'</style>", "style has something"),
        ("<style>@font-face{src:x}</style>", "style has something"),
        ("<style><![CDATA[a{b:url(x)}]]></style>", "style has something"),
        ("<style>a{}<g/>@import x</style>", "style has something"),
        ('<?xml-stylesheet href="//evil.example"?>', "instruction <?xml-stylesheet"),
        ("<?php x?>", "instruction <?php"),
        ("&evil;", "cannot be read"),
        ("<g>", "cannot be read"),
        ("\x00", "cannot be read"),
    ],
)
def test_mischief_is_named_with_its_line(body: str, problem: str) -> None:
    problems = check_svg(drawing(body))
    assert any(found.line == 2 and problem in found.english for found in problems), problems


@pytest.mark.parametrize(
    "prolog",
    [
        '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://evil.example/svg11.dtd">',
        '<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE svg [<!ENTITY % x SYSTEM "http://evil.example"> %x;]>',
    ],
)
def test_a_document_type_is_refused_before_anything_else(prolog: str) -> None:
    problems = check_svg(prolog.encode() + drawing("&a;&x;"))
    assert len(problems) == 1
    assert "<!DOCTYPE" in problems[0].english


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_only_utf_8(encoding: str) -> None:
    data = f'<?xml version="1.0" encoding="{encoding}"?>'.encode(encoding) + drawing(
        "<text>å</text>"
    ).decode().encode(encoding)
    assert check_svg(data)


def test_a_declared_encoding_must_be_true() -> None:
    data = b'<?xml version="1.0" encoding="utf-7"?>' + drawing("")
    assert [str(one) for one in check_svg(data)] == ["line 1: The file must be saved as UTF-8."]


@pytest.mark.parametrize("title", ["", "<title> \n </title>", "<g><title>x</title></g>"])
def test_a_drawing_needs_a_title(title: str) -> None:
    (problem,) = check_svg(f'<svg xmlns="http://www.w3.org/2000/svg">{title}</svg>'.encode())
    assert "no <title>" in problem.english


@pytest.mark.parametrize(
    "data", [b"", b"x", b"<html/>", b"<svg/>", b'<html xmlns="http://www.w3.org/2000/svg"/>']
)
def test_what_is_no_drawing(data: bytes) -> None:
    assert len(check_svg(data)) == 1


@pytest.mark.parametrize(
    "body",
    [
        '<g id="a"><path/></g><g id="b"><use href="#a"/></g><use href="#b"/>',
        '<use id="a" href="#b"/><use href="#a"/>',
        '<symbol id="a"><use href="#b"/></symbol>',
        '<pattern id="a"><pattern id="b"/></pattern>',
        '<pattern id="a"><rect/></pattern><pattern id="b"><rect fill="url(#a)"/></pattern>',
        '<mask id="a"><rect/></mask><mask id="b"><rect mask="url(#a)"/></mask>',
    ],
)
def test_parts_that_multiply_are_refused(body: str) -> None:
    assert any("Draw the shapes there" in one.english for one in check_svg(drawing(body)))


def test_size_depth_and_number_are_bounded() -> None:
    began = time.process_time()
    assert "too large" in check_svg(b" " * (MAX_BYTES + 1))[0].english
    assert "too complicated" in check_svg(drawing("<g>" * 50_000))[0].english
    assert "too complicated" in check_svg(drawing("<g/>" * 50_000))[0].english
    assert len(check_svg(drawing("<a/>" * 50_000))) == MAX_PROBLEMS
    assert time.process_time() - began < 10


@given(st.binary(max_size=300))
def test_any_bytes_are_judged(data: bytes) -> None:
    assert check_svg(data)


@given(
    st.lists(
        st.sampled_from(
            ["<g>", "</g>", "<style>", "</style>", "<use href='#a'/>", "<title>", "</title>", "x",
             "<!--", "-->", "<![CDATA[", "]]>", "&amp;", "&#0;", "<g id='a'>", "<?x y?>",
             "<!DOCTYPE x>"]
        ),
        max_size=15,
    )
)  # fmt: skip
def test_any_drawing_is_judged(pieces: list[str]) -> None:
    for problem in check_svg(drawing("".join(pieces))):
        assert problem.line > 0
        assert problem.english
