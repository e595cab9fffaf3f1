"""Cookies of sites: one jar a student and host, and none of it in any browser."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from dask_platform.adapters.upstream import Page
from dask_platform.features.broker import jar
from dask_platform.kernel.clock import SystemClock
from tests.features.broker.conftest import SITE, Outside, html
from tests.features.whitelists.build import rule

ATLAS = "https://atlas.no"


def setting(*cookies: str) -> Page:
    return Page(b"<p>ok</p>", 200, {"content-type": "text/html"}, cookies)


def sent(outside: Outside, client: FlaskClient, path: str = "/norge") -> str | None:
    """The cookies that go out with the next request."""
    outside.get(client, path)
    return outside.upstream.requests[-1].cookie


@pytest.fixture
def anna(outside: Outside) -> FlaskClient:
    return outside.visitor("anna")


def test_a_cookie_stays_in_the_jar_and_out_of_the_browser(
    outside: Outside, anna: FlaskClient
) -> None:
    outside.upstream.pages[f"{SITE}/sett"] = setting("valg=nn; Path=/; HttpOnly; Secure")
    answer = outside.get(anna, "/sett")
    assert "Set-Cookie" not in answer.headers
    assert sent(outside, anna) == "valg=nn"


def test_two_students_never_share_a_jar(outside: Outside, anna: FlaskClient) -> None:
    outside.upstream.pages[f"{SITE}/sett"] = setting("beskjed=hei-bo")
    outside.get(anna, "/sett")
    bo = outside.visitor("bo")
    assert sent(outside, bo) is None
    outside.upstream.pages[f"{SITE}/sett"] = setting("beskjed=hei-anna")
    outside.get(bo, "/sett")
    assert sent(outside, anna) == "beskjed=hei-bo"


def test_two_students_at_one_pc_never_share_a_jar(outside: Outside, anna: FlaskClient) -> None:
    outside.upstream.pages[f"{SITE}/sett"] = setting("beskjed=hei-bo")
    outside.get(anna, "/sett")
    outside.enter(anna, "bo")
    assert sent(outside, anna) is None


@pytest.mark.parametrize(
    "domain", ["atlas.no", ".no", "leksikon.no", ".leksikon.no", "ressurs.localhost"]
)
def test_a_cookie_is_one_hosts_whatever_it_says(
    outside: Outside, anna: FlaskClient, domain: str
) -> None:
    examples = {"pass": [f"{ATLAS}/"], "refuse": [f"{ATLAS}:8443/"]}
    outside.open(rule(id="atlas", host="atlas.no", examples=examples))
    outside.upstream.pages[f"{ATLAS}/"] = html("Atlas")
    outside.upstream.pages[f"{SITE}/sett"] = setting(f"a=b; Domain={domain}")
    outside.get(anna, "/sett")
    outside.enter(anna, outside.school("anna"), "atlas")
    outside.get(anna, "/", "http://atlas-no.ressurs.localhost:8000")
    assert outside.upstream.requests[-1].url == f"{ATLAS}/"
    assert outside.upstream.requests[-1].cookie is None


def test_paths_and_their_order(outside: Outside, anna: FlaskClient) -> None:
    pages = outside.upstream.pages
    pages[f"{SITE}/sett"] = setting("a=1", "a=2; Path=/norge", "b=3; Path=/nor", "c=4; Path=x")
    outside.get(anna, "/sett")
    assert sent(outside, anna, "/norge") == "a=2; a=1; c=4"
    assert sent(outside, anna, "/") == "a=1; c=4"


@pytest.mark.parametrize(
    ("said", "after", "stays"),
    [
        ("Max-Age=60", 59, True), ("Max-Age=60", 61, False), ("Max-Age=0", 0, False),
        ("Max-Age=-1", 0, False), ("Expires=Thu, 01 Jan 1970 00:00:00 GMT", 0, False),
        ("Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", 0, True),
        ("Expires=Fri, 31 Dec 9999 23:59:59 GMT", 1000, True), ("", 1000, True),
    ],
)  # fmt: skip
def test_a_cookie_ends(
    outside: Outside, anna: FlaskClient, said: str, after: int, stays: bool
) -> None:
    outside.upstream.pages[f"{SITE}/sett"] = setting(f"a=b; {said}")
    outside.get(anna, "/sett")
    outside.world.clock.move(timedelta(seconds=after))
    assert sent(outside, anna) == ("a=b" if stays else None)


def test_no_cookie_outlives_a_week(outside: Outside, anna: FlaskClient) -> None:
    outside.upstream.pages[f"{SITE}/sett"] = setting("a=b; Max-Age=999999999", "c=d")
    outside.get(anna, "/sett")
    outside.world.clock.move(timedelta(days=7))
    assert sent(outside, outside.visitor("anna")) is None


def test_a_site_takes_its_cookie_back(outside: Outside, anna: FlaskClient) -> None:
    outside.upstream.pages[f"{SITE}/sett"] = setting("a=b", "c=d", "a=x; Max-Age=0")
    outside.get(anna, "/sett")
    assert sent(outside, anna) == "c=d"


@pytest.mark.parametrize(
    "line",
    [
        "", ";", "=", "=b", "a", "a=b\r\nX: y", "a=b\x00", "a b=c", 'a="b"', "a=b,c", "a=\\",
        "a=æ", "æ=a", "a" * 300 + "=b", "a=" + "b" * 5000, "a=\u202e", "\x1b=1", "a==b=c,",
    ],
)  # fmt: skip
def test_what_is_no_cookie_is_dropped(outside: Outside, anna: FlaskClient, line: str) -> None:
    outside.upstream.pages[f"{SITE}/sett"] = setting(line)
    assert outside.get(anna, "/sett").status_code == 200
    assert sent(outside, anna) is None


@pytest.mark.parametrize(
    "said",
    [
        "Max-Age=--5", "Max-Age=²", "Max-Age=99999999999999999999", "Max-Age=",
        "Path=/" + "x" * 600,
        "Expires=Mon, 01 Jan 2030 00:00:00 +99999999999999999999", "Expires=x", "Expires=1",
        "Expires=Mon, 99 Foo 0000 99:99:99 GMT", "Expires=Mon, 01 Jan 0001 00:00:00 +2359",
        "Max-Age=1_0", "Expires=Fri, 31 Dec 9999 23:59:59 -2359",
    ],
)  # fmt: skip
def test_what_a_site_says_wrongly_breaks_no_page(
    outside: Outside, anna: FlaskClient, said: str
) -> None:
    outside.upstream.pages[f"{SITE}/sett"] = setting(f"a=b; {said}")
    assert outside.get(anna, "/sett").status_code == 200
    assert sent(outside, anna) in ("a=b", None)


@given(st.text(max_size=80))
def test_any_line_is_read_or_dropped(line: str) -> None:
    now = SystemClock().now()
    found = jar.read(line, now)
    if found is not None:
        name, value, path, expires = found
        assert (name + value).isascii()
        assert not set(name + value) & set(' ";,\\\r\n\x00')
        assert path.startswith("/")
        assert expires <= now + jar.LONGEST


def test_a_jar_has_a_bottom_and_a_brim(outside: Outside, anna: FlaskClient) -> None:
    for batch in range(3):
        outside.upstream.pages[f"{SITE}/sett"] = setting(*(f"n{batch}-{i}=x" for i in range(40)))
        outside.get(anna, "/sett")
    with outside.world.owner() as uow:
        assert uow.scalar(text("SELECT count(*) FROM site_cookie")) == jar.MOST
    assert len((sent(outside, anna) or "").split("; ")) == jar.MOST
