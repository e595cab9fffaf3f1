"""What is found in a page: forms, and links to where people log in, search and write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_platform.features.recorder.reading import FOUND_MOST, purpose, read_page
from dask_platform.features.recorder.seen import Asked, What, kind_of
from dask_platform.features.recorder.shapes import merged, shape_of, shapes_of, wider
from dask_platform.features.whitelists.rules import Kind

BASE = "https://wiki.no/side"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/logg-inn", "login"), ("/Login", "login"), ("/wiki/Diskusjon:Katt", "talk"),
        ("/w/Special:Search", "search"), ("/kontakt.html", "contact"), ("/s%C3%B8k", "search"),
        ("/katt", None), ("/loginnkommande", None), ("/", None),
    ],
)  # fmt: skip
def test_what_a_place_is_for(path: str, said: str | None) -> None:
    assert purpose(path) == said


def test_forms_and_telling_links_are_found() -> None:
    page = (
        b"<title> En \n side </title><form action=/sok?x=1><form method=POST></form>"
        b"<a href=/logg-inn?neste=/katt>x</a><a href=https://annet.no/login>y</a>"
        b"<a href=/katt>k</a><a href='javascript:login()'>z</a><a href='http://[::'>w</a>"
    )
    read = read_page(page, "utf-8", BASE)
    assert read.title == "En side"
    assert [(one.url, one.kind, one.note) for one in read.found] == [
        ("https://wiki.no/sok", What.FORM, "GET"),
        ("https://wiki.no/logg-inn", What.LINK, "login"),
    ]


def test_a_form_without_an_address_is_the_pages_own() -> None:
    (found,) = read_page(b"<form method=post>", None, BASE).found
    assert (found.url, found.note) == (BASE, "POST")


def test_text_counts_without_script() -> None:
    read = read_page(b"<p>abc</p><script>var a = 1</script><noscript>mer</noscript>", None, BASE)
    assert (read.text, read.runs) == (3, True)
    assert not read_page(b"<p>abc</p>", None, BASE).runs


def test_what_is_found_has_an_end() -> None:
    page = "".join(f"<a href=/login/{n}>x</a>" for n in range(1000)).encode()
    assert len(read_page(page, None, BASE).found) == FOUND_MOST


@given(st.binary(max_size=200))
def test_no_bytes_break_it(data: bytes) -> None:
    read_page(data, None, BASE)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("", Kind.INTEGER), ("12", Kind.INTEGER), ("2026-11-22", Kind.DATE), ("2.0-b_1", Kind.WORD),
        ("hei du", Kind.TEXT), ("katt&hund", Kind.TEXT), ("https://x.no/", None),
        ("//x.no", None), ("x" * 501, None), ("a\u200bb", None),
    ],
)  # fmt: skip
def test_the_shape_is_the_narrowest(value: str, kind: Kind | None) -> None:
    assert shape_of(value) == kind


def test_a_parameter_that_stands_twice_has_no_shape() -> None:
    assert shapes_of([("a", "1"), ("a", "2")]) == (Asked("a", None, 1),)


@given(st.sampled_from([None, *Kind]), st.sampled_from([None, *Kind]))
def test_wider_is_the_same_both_ways(one: Kind | None, other: Kind | None) -> None:
    assert wider(one, other) == wider(other, one)
    assert wider(one, one) == one


def test_what_is_merged_fits_both() -> None:
    one, other = (Asked("a", Kind.INTEGER, 3),), (Asked("a", Kind.DATE, 10), Asked("b", None, 1))
    assert merged(one, other) == (Asked("a", Kind.WORD, 10), Asked("b", None, 1))


@pytest.mark.parametrize(
    ("destination", "mime", "page", "kind"),
    [
        ("document", "application/pdf", True, What.PAGE), ("image", "a/b", True, What.PICTURE),
        ("", "text/html", True, What.PAGE), ("", "text/html", False, What.FILE),
        ("empty", "text/html", True, What.FETCH), ("", "text/css", False, What.STYLE),
        ("", "font/woff2", False, What.FONT), ("", "video/mp4", False, What.MEDIA),
        ("", "text/javascript", False, What.SCRIPT), ("embed", "x/y", True, What.FILE),
    ],
)  # fmt: skip
def test_what_kind_of_place(destination: str, mime: str, page: bool, kind: What) -> None:
    assert kind_of(destination, mime, page=page) is kind
