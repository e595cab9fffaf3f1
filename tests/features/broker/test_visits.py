"""The log of what went out: a line for each request, read by security of the unit alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient

from dask_platform.adapters.upstream import Page
from dask_platform.features.broker.review import PAGE_SIZE
from tests.features.broker.conftest import HERE, SITE, Outside
from tests.features.whitelists.build import rule

SEARCH = {"path": "/finn", "fields": [{"name": "q", "type": "text", "length": 30}]}


@pytest.fixture
def anna(outside: Outside) -> FlaskClient:
    outside.open(
        rule(
            closed=["/hemmelig"], forms=[SEARCH],
            query=[{"name": "side", "type": "integer", "length": 3}],
        )
    )  # fmt: skip
    pages = outside.upstream.pages
    pages[f"{SITE}/finn?q=fisk"] = pages[f"{SITE}/finn?q="] = pages[f"{SITE}/norge"]
    pages[f"{SITE}/norge?side=2"] = pages[f"{SITE}/norge"]
    pages[f"{SITE}/a.png"] = Page(b"x" * 1234, headers={"content-type": "image/png"})
    pages[f"{SITE}/til"] = Page(b"", 302, {"location": "/norge"})
    return outside.visitor("anna")


LINES: dict[str, tuple[bool, str, int, bool]] = {
    "/norge": (True, "allowed", 200, False),
    "/a.png": (True, "allowed", 200, False),
    "/til": (True, "allowed", 302, False),
    "/mangler": (True, "allowed", 404, False),
    "/finn?q=fisk": (True, "allowed", 200, True),
    "/finn?q=": (True, "allowed", 200, False),
    "/norge?side=2": (True, "allowed", 200, False),
    "/hemmelig": (False, "closed_path", 403, False),
    "/norge?q=fisk": (False, "query", 403, False),
    "/_dask/x": (False, "bad_url", 404, False),
    "/norge?a=%00": (False, "Invalid", 404, False),
}


@pytest.mark.parametrize("path", LINES)
def test_each_request_is_a_line(outside: Outside, anna: FlaskClient, path: str) -> None:
    assert outside.get(anna, path).data is not None  # read to its end
    (visit,) = outside.visits()
    said = (visit["allowed"], visit["reason"], visit["status"], visit["typed"])
    assert said == LINES[path]
    assert visit["url"] == f"{SITE}{path}"
    assert visit["person_id"] == outside.world.id("anna")
    assert visit["unit_id"] == outside.world.id("nord")
    assert visit["method"] == "GET"
    assert abs(visit["at"] - outside.world.clock.now()) < timedelta(seconds=1)  # type: ignore[operator]
    if path == "/a.png":
        assert visit["size"] == 1234


def test_a_link_that_is_refused_is_a_line_too(outside: Outside, anna: FlaskClient) -> None:
    outside.get(anna, "/_dask/go?to=https://evil.no/chat")
    (visit,) = outside.visits()
    assert (visit["url"], visit["reason"]) == ("https://evil.no/chat", "not_listed")


def test_a_fault_of_ours_leaves_a_line(
    outside: Outside, anna: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_given: object) -> str:
        raise RuntimeError("a fault of the program")

    monkeypatch.setattr("dask_platform.features.broker.rendering.render", broken)
    monkeypatch.setitem(outside.broker.config, "PROPAGATE_EXCEPTIONS", False)
    answer = outside.get(anna, "/norge")
    assert answer.status_code == 500
    assert "Feilen er vår" in answer.text
    assert "RuntimeError" not in answer.text
    (visit,) = outside.visits()
    assert (visit["allowed"], visit["status"]) == (True, 502)


# -- the page for security ---------------------------------------------------------------------


@pytest.fixture
def lived(outside: Outside, anna: FlaskClient) -> Outside:
    outside.get(anna, "/finn?q=fisk")
    outside.get(anna, "/hemmelig")
    outside.get(outside.visitor("bo"), "/norge")
    outside.sql(
        "INSERT INTO site_visit (at, person_id, unit_id, url, method, allowed, reason, status,"
        " size, ms, typed) VALUES (now(), :cem, :sor, 'https://sor.no/', 'GET', true, 'allowed',"
        " 200, 1, 1, false)",
        cem=outside.world.id("cem"), sor=outside.world.id("sor"),
    )  # fmt: skip
    return outside


def table(text: str) -> str:
    return text.partition("<tbody>")[2].partition("</tbody>")[0]


def test_security_reads_its_own_units(lived: Outside) -> None:
    page = lived.world.client("sigrid").get("/visits")
    assert page.status_code == 200
    for shown in ("Anna", "Bo", f"{SITE}/finn?q=fisk", f"{SITE}/norge"):
        assert shown in table(page.text)
    assert "sor.no" not in page.text
    assert "Cem" not in page.text
    there = lived.world.client("sverre").get("/visits").text
    assert "https://sor.no/" in there
    assert "leksikon.no" not in there


@pytest.mark.parametrize("who", ["anna", "cem", "tora", "even", "siri", "odd", "olga"])
def test_for_everybody_else_there_is_nothing(lived: Outside, who: str) -> None:
    answer = lived.world.client(who).get("/visits")
    assert answer.status_code == 404
    assert "fisk" not in answer.text


def test_reading_is_logged_with_what_was_looked_for(lived: Outside) -> None:
    lived.world.client("sigrid").get("/visits?who=anna&typed=1")
    (event,) = lived.world.audit("visits.read")
    assert event["actor_name"] == "sigrid"
    assert "anna" in event["details"]["filter"]
    assert "typed" in event["details"]["filter"]


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [
        ("who=ANNA", "finn?q=fisk", "/norge"), ("who=bo", "/norge", "fisk"),
        ("refused=1", "hemmelig", "fisk"), ("typed=1", "fisk", "hemmelig"),
        ("first=2001-01-01&last=2001-01-02", "", "leksikon.no"),
        ("who=%25", "fisk", "sor.no"), ("who=' OR 1=1 --", "", "leksikon.no"),
        ("before=1", "", "leksikon.no"), ("before=x", "fisk", "sor.no"),
        ("who=cem", "", "sor.no"),
    ],
)  # fmt: skip
def test_filters(lived: Outside, query: str, shown: str, hidden: str) -> None:
    page = lived.world.client("sigrid").get(f"/visits?{query}")
    assert page.status_code == 200
    assert shown in table(page.text)
    assert hidden not in table(page.text)


@pytest.mark.parametrize("query", ["first=x", "first=0001-01-01", "last=9999-12-31"])
def test_what_is_no_day_is_said(lived: Outside, query: str) -> None:
    assert lived.world.client("sigrid").get(f"/visits?{query}").status_code == 400


def test_an_address_is_shown_as_text(lived: Outside) -> None:
    lived.sql("UPDATE site_visit SET url = 'https://x.no/<script>\"onload=x'")
    page = lived.world.client("sigrid").get("/visits").text
    assert "https://x.no/&lt;script&gt;" in page
    assert '<script>"onload' not in page
    assert 'href="https://x.no' not in page, "nobody opens it by a slip"


def test_older_requests_keep_the_choice_and_nothing_else(lived: Outside) -> None:
    lived.sql(
        "INSERT INTO site_visit (at, person_id, unit_id, url, method, allowed, reason, status,"
        " size, ms, typed) SELECT now(), :bo, :nord, 'https://leksikon.no/n' || n, 'GET', true,"
        " 'allowed', 200, 1, 1, false FROM generate_series(1, :many) n",
        bo=lived.world.id("bo"), nord=lived.world.id("nord"), many=PAGE_SIZE + 5,
    )  # fmt: skip
    evil = "_external=1&_scheme=javascript&_anchor=x&endpoint=home.home&who=bo"
    page = lived.world.client("sigrid").get(f"/visits?{evil}")
    assert page.status_code == 200
    link = next(one for one in page.text.split('href="')[1:] if "before=" in one.partition('"')[0])
    address = link.partition('"')[0]
    assert address.startswith("/visits?")
    assert "who=bo" in address
    older = lived.world.client("sigrid").get(address.replace("&amp;", "&"))
    assert f"{SITE}/norge" in table(older.text)


def test_what_stands_out(lived: Outside) -> None:
    text = lived.world.client("sigrid").get("/visits").text
    out = text.partition('id="out"')[2].partition('<div class="table-scroll"')[0]
    assert f"{SITE}/hemmelig" in out
    assert "3 forespørsler, 1 avslått, 1 med fri tekst" in out


# -- the second wall ------------------------------------------------------------------------------


@pytest.fixture
def wall(lived: Outside) -> Iterator[psycopg.Connection[Any]]:
    with lived.world.connect("dask_web") as connection:
        yield connection


def try_it(
    outside: Outside, wall: psycopg.Connection[Any], who: str, statement: str, *values: Any
) -> int:
    """Rows that ``who`` gets by hand; -1 where the database refuses."""
    wall.rollback()
    wall.execute("SELECT set_config('dask.actor', %s, true)", [str(outside.world.id(who))])
    try:
        return int(wall.execute(statement, values).rowcount)
    except psycopg.errors.InsufficientPrivilege:
        return -1


VISIT = (
    "INSERT INTO site_visit (at, person_id, unit_id, url, method, allowed, reason, status, size,"
    " ms, typed) VALUES (now(), %s, %s, 'x', 'GET', true, 'allowed', 200, 1, 1, false)"
)


def test_a_visit_is_written_in_ones_own_name_and_stays(
    lived: Outside, wall: psycopg.Connection[Any]
) -> None:
    nord = lived.world.id("nord")
    assert try_it(lived, wall, "anna", VISIT, lived.world.id("anna"), nord) == 1
    assert try_it(lived, wall, "anna", VISIT, lived.world.id("bo"), nord) == -1
    assert try_it(lived, wall, "sigrid", VISIT, lived.world.id("bo"), nord) == -1
    for who in ("anna", "sigrid", "olga"):
        assert try_it(lived, wall, who, "UPDATE site_visit SET url = 'x'") == -1
        assert try_it(lived, wall, who, "DELETE FROM site_visit") == -1


def test_visits_are_read_by_security_of_the_unit(
    lived: Outside, wall: psycopg.Connection[Any]
) -> None:
    seen = {
        who: try_it(lived, wall, who, "SELECT FROM site_visit")
        for who in ("anna", "bo", "tora", "odd", "olga", "sigrid", "sverre")
    }
    assert seen == {
        "anna": 0, "bo": 0, "tora": 0, "odd": 0, "olga": 0, "sigrid": 3, "sverre": 1,
    }  # fmt: skip


def test_sessions_of_the_broker_are_nobodys_to_read_or_make(
    lived: Outside, wall: psycopg.Connection[Any]
) -> None:
    for who in ("anna", "sigrid", "olga"):
        assert try_it(lived, wall, who, "SELECT FROM broker_session") == 0
        for statement in (
            "UPDATE broker_session SET host = 'x'", "DELETE FROM broker_session",
            "INSERT INTO broker_session (id, session_id, person_id, host, ticket_until)"
            " SELECT gen_random_uuid(), id, person_id, 'a.no', now() FROM login_session",
        ):  # fmt: skip
            assert try_it(lived, wall, who, statement) == -1


def test_a_ticket_is_for_ones_own_session(lived: Outside, wall: psycopg.Connection[Any]) -> None:
    anna = lived.world.actor("anna").session_id
    give = "SELECT 1 WHERE dask_broker_ticket(%s, 'a.no', 'guess', now() + interval '9 hours')"
    assert try_it(lived, wall, "bo", give, anna) == 0
    assert try_it(lived, wall, "sigrid", give, anna) == 0
    assert try_it(lived, wall, "anna", give, anna) == 1
    take = "SELECT 1 WHERE dask_broker_redeem(%s, 'leksikon.no', 'mine', now())"
    for guess in (b"", b"\x00" * 32, b"%", b"guess"):
        assert try_it(lived, wall, "bo", take, guess) == 0


def test_a_jar_is_ones_own(lived: Outside, wall: psycopg.Connection[Any]) -> None:
    put = (
        "INSERT INTO site_cookie (person_id, host, name, path, value, expires_at)"
        " VALUES (%s, 'a.no', 'n', '/', 'hei', now() + interval '1 day')"
    )
    bo = lived.world.id("bo")
    assert try_it(lived, wall, "anna", put, bo) == -1
    assert try_it(lived, wall, "bo", put, bo) == 1
    wall.commit()
    for who in ("anna", "sigrid", "tora", "olga"):
        assert try_it(lived, wall, who, "SELECT FROM site_cookie") == 0
        assert try_it(lived, wall, who, "UPDATE site_cookie SET value = 'x'") == 0
        assert try_it(lived, wall, who, "DELETE FROM site_cookie") == 0
    give = "UPDATE site_cookie SET person_id = %s"
    assert try_it(lived, wall, "bo", give, lived.world.id("anna")) == -1


def test_without_an_actor_there_is_nothing(lived: Outside, wall: psycopg.Connection[Any]) -> None:
    for name in ("site_visit", "site_cookie", "supervision", "broker_session"):
        assert wall.execute(f"SELECT FROM {name}").rowcount == 0
    assert lived.get(lived.broker.test_client(), "/", HERE).status_code == 401
