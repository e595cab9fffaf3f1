"""What a reader keeps of an ordinary page, and what holds of every page."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dask_platform.kernel.errors import TooLarge
from dask_platform.security.reader import Policy, Style
from tests.security.reader.opinions import ASK, OURS, assert_clean, shown

PAGES = Path(__file__).parent / "pages"
#: One soup has a few of these; ``+`` stands for a space.
PIECES = Path(__file__).parent / "corpus" / "pieces.txt"
_PIECES = st.sampled_from(
    [*PIECES.read_text(encoding="utf-8").split(), "\0", "\r", "\n", "\n\n", " "]
)
_SOUP = st.lists(_PIECES, max_size=40).map(lambda parts: "".join(parts).replace("+", " "))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_SOUP)
def test_every_soup_is_clean_and_at_rest(soup: str) -> None:
    found, placed = shown(soup)
    assert_clean(found, placed)
    assert shown(found.html)[0].html == found.html


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([None, "utf-8", "utf-16", "utf-7", "gbk", "ÿ"]))
def test_any_bytes_in_any_encoding_come_out_clean(data: bytes, charset: str | None) -> None:
    found, placed = shown(data, charset=charset)
    assert_clean(found, placed)


@pytest.mark.parametrize(
    ("data", "charset", "encoding"),
    [
        pytest.param(b"\xef\xbb\xbfb\xc3\xa6r", "latin1", "utf-8", id="mark-beats-header"),
        pytest.param("\ufeffbær".encode("utf-16-le"), "utf-8", "utf-16le", id="utf-16-mark"),
        pytest.param("\ufeffbær".encode("utf-16-be"), None, "utf-16be", id="utf-16-be-mark"),
        pytest.param(b"b\xe6r", "ISO-8859-1", "windows-1252", id="header"),
        pytest.param(b"<meta charset=latin1>b\xe6r", None, "windows-1252", id="meta"),
        pytest.param(b"<meta charset=utf-16>b\xc3\xa6r", None, "utf-8", id="meta-utf-16"),
        pytest.param(
            b"<!-- <meta charset=utf-8> --><meta http-equiv=content-type "
            b"content='text/html; charset=iso-8859-15'>b\xe6r",
            None,
            "iso-8859-15",
            id="meta-http-equiv",
        ),
        pytest.param(b"<meta charset=utf-7>b\xc3\xa6r", None, "utf-8", id="utf-7-is-nothing"),
        pytest.param(b"b\xe6r", "utf-7", "windows-1252", id="utf-7-header"),
        pytest.param(b"<a title='<meta charset=gbk>'>b\xc3\xa6r", None, "utf-8", id="in-a-value"),
        pytest.param(b" " * 1024 + b"<meta charset=gbk>b\xc3\xa6r", None, "utf-8", id="too-late"),
    ],
)
def test_the_encoding_is_the_standards(data: bytes, charset: str | None, encoding: str) -> None:
    found, _placed = shown(data, charset=charset)
    assert found.encoding == encoding
    assert "bær" in found.html


def test_utf_7_is_no_markup() -> None:
    found, _placed = shown(b"<meta charset=utf-7>+ADw-script+AD4-alert(1)+ADw-/script+AD4-")
    assert found.html == "+ADw-script+AD4-alert(1)+ADw-/script+AD4-"


def test_an_article_keeps_what_is_worth_reading() -> None:
    found, placed = shown((PAGES / "encyclopedia.html").read_bytes())
    assert_clean(found, placed)
    assert (found.title, found.language, found.direction) == ("Bjørk – Lekseboka", "nb", "")
    assert found.classes == ("no-js", "theme-light", "article")
    assert found.icon == f"{OURS}/favicon.ico"
    first, second = found.sheets
    assert getattr(first, "url", None) == f"{OURS}/static/site.css"
    assert isinstance(second, Style)
    assert ":where(#dask-site) .infobox { float: right" in second.text
    assert "fixed" not in second.text
    for piece in (
        '<h1 id="r-Bjørk">Bjørk</h1>',
        '<i lang="la">Betula</i>',
        "<sub>2</sub>",
        '<math display="inline"><mi>A</mi>',
        "<summary>Språk</summary>",
        '<bdi lang="ar" dir="rtl">',
        '<li value="3">Dunbjørk</li>',
        f'src="{OURS}/bilder/bjork.jpg"',
        f"{OURS}/bilder/bjork-400.jpg 400w",
        'href="#r-kilder"',
        '<input id="r-q" type="search" name="q" maxlength="40"',
        f'Trevennene <a href="{ASK}https%3A%2F%2Felsewhere.example%2F',
        "Skriv til oss",
        "Lekseboka",
    ):
        assert piece in found.html, piece
    assert found.html.count("bjork.jpg") == 2, "the picture of <noscript> is the same picture"
    for piece in ("<script", "token", "Meny</button", "mailto", "stats.elsewhere", "iframe"):
        assert piece not in found.html
    assert ("image", "https://stats.elsewhere.example/p.gif") in found.refused
    assert ("style", "https://fonts.elsewhere.example/css?family=Lato") in found.refused


def test_a_table_keeps_its_shape() -> None:
    found, placed = shown((PAGES / "table.html").read_bytes())
    assert_clean(found, placed)
    assert found.language == "nn-NO"
    for piece in (
        "<caption>Folketal",
        '<th scope="row" headers="r-f">Innlandet</th>',
        '<th scope="col" colspan="2">',
        '<td align="right">169&nbsp;610</td>',
        "<tfoot>",
        "sjå",
    ):
        assert piece in found.html, piece


def test_film_pictures_and_a_form_that_is_allowed() -> None:
    found, placed = shown((PAGES / "media.html").read_bytes())
    assert_clean(found, placed)
    for piece in (
        f'<source src="{OURS}/film.mp4" type="video/mp4">',
        f'<track src="{OURS}/film.vtt" kind="captions" srclang="en" label="English" default="">',
        f'poster="{OURS}/still.jpg"',
        f'srcset="{OURS}/wide.avif 2x"',
        '<option value="dato" selected="">Newest</option>',
        'value="plane"',
        '<button type="submit">Go</button>',
        "Your message",
    ):
        assert piece in found.html, piece
    for piece in ("elsewhere", "autoplay", "secret", "email", "beforehand", "password", "Hello"):
        assert piece not in found.html, piece


def test_without_styles_there_are_none() -> None:
    page = "<link rel=stylesheet href=/a.css><style>p{color:red}</style><p style=color:red>x"
    found, _placed = shown(page, policy=Policy(styles=False))
    assert (found.html, found.sheets) == ("<p>x</p>", ())


def test_a_page_that_is_too_long_is_refused() -> None:
    with pytest.raises(TooLarge, match="too long"):
        shown("x" * 4_000_001)
