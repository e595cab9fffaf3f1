"""Who may go out: the ticket, the token it becomes, and everything that ends it, also half-way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient

from dask_platform.adapters.upstream import Page
from dask_platform.features.broker import deciding
from dask_platform.features.whitelists.service import stops
from dask_platform.kernel.clock import from_oslo, to_oslo
from dask_platform.kernel.errors import UpstreamStopped
from tests.features.broker.conftest import DOMAIN, HERE, SITE, Outside, html, title
from tests.features.whitelists.build import rule
from tests.world import Client

ATLAS = {
    "id": "atlas",
    "host": "atlas.no",
    "examples": {"pass": ["https://atlas.no/"], "refuse": ["https://atlas.no:8443/"]},
}
THERE = "http://atlas-no.ressurs.localhost:8000"
CHUNK = 64 * 1024
FILM = f"{SITE}/film.png"


@pytest.fixture(autouse=True)
def sites(outside: Outside) -> None:
    outside.open(rule(**ATLAS))
    outside.upstream.pages["https://atlas.no/"] = html("<h1>Atlas</h1>")
    outside.upstream.pages[FILM] = Page(b"x" * 8 * CHUNK, headers={"content-type": "image/png"})


def refused(outside: Outside, client: FlaskClient, path: str = "/norge", host: str = HERE) -> bool:
    """Whether nothing was fetched, and the page is one of ours."""
    before = len(outside.upstream.requests)
    answer = outside.get(client, path, host)
    assert len(outside.upstream.requests) == before
    return answer.status_code in (401, 403) and "Tilbake til skolen" in answer.text


# -- the ticket ---------------------------------------------------------------------------------


def test_a_ticket_is_good_once(outside: Outside) -> None:
    address = outside.ticket("anna")
    assert outside.take(outside.broker.test_client(), address).status_code == 303
    second = outside.broker.test_client()
    assert outside.take(second, address).status_code == 401
    assert refused(outside, second)


def test_a_ticket_is_good_for_half_a_minute(outside: Outside) -> None:
    address = outside.ticket("anna")
    outside.world.clock.move(timedelta(seconds=31))
    client = outside.broker.test_client()
    assert outside.take(client, address).status_code == 401
    assert refused(outside, client)


def test_a_ticket_is_good_on_its_own_host_alone(outside: Outside) -> None:
    address = outside.ticket("anna")
    client = outside.broker.test_client()
    assert outside.take(client, address.replace(HERE, THERE)).status_code == 401
    assert refused(outside, client, "/", THERE)
    assert outside.take(client, address).status_code == 303, "the wrong host did not use it up"


def test_a_second_ticket_to_the_same_host_makes_the_first_void(outside: Outside) -> None:
    school = outside.school("anna")
    first, second = outside.ticket(school), outside.ticket(school)
    client = outside.broker.test_client()
    assert outside.take(client, first).status_code == 401
    assert outside.take(client, second).status_code == 303


def test_a_ticket_ends_with_its_session(outside: Outside) -> None:
    school = outside.school("anna")
    address = outside.ticket(school)
    school.post_form("/logout")
    assert outside.take(outside.broker.test_client(), address).status_code == 401


@pytest.mark.parametrize("ticket", ["", "x", "x" * 5000, "æ", "%00", "' OR 1=1 --"])
def test_what_is_no_ticket_opens_nothing(outside: Outside, ticket: str) -> None:
    client = outside.broker.test_client()
    answer = outside.get(client, f"/_dask/enter?ticket={ticket}&to=/norge")
    assert answer.status_code in (401, 404)
    assert "Set-Cookie" not in answer.headers
    assert refused(outside, client)


@pytest.mark.parametrize(
    "to",
    [
        "//evil.no/", "https://evil.no/", "/\\evil.no", "\\/evil.no", "/%09/evil.no",
        "javascript:x", "/%0d%0aSet-Cookie:a=b", " //evil.no", "", "/%5cevil.no", "http:/evil.no",
        "norge",
    ],
)  # fmt: skip
def test_a_ticket_leads_to_a_page_of_its_own_host_alone(outside: Outside, to: str) -> None:
    place = urlsplit(outside.ticket("anna"))
    ticket = parse_qs(place.query)["ticket"][0]
    answer = outside.get(outside.broker.test_client(), f"/_dask/enter?ticket={ticket}&to={to}")
    assert answer.status_code == 303
    assert answer.location == "/"


# -- the token ----------------------------------------------------------------------------------


def cookie_of(client: FlaskClient, host: str) -> str:
    found = client.get_cookie("dask-site", domain=urlsplit(host).hostname or "")
    assert found is not None
    return str(found.value)


def test_the_cookie_is_of_one_host_and_no_script(outside: Outside) -> None:
    client = outside.broker.test_client()
    (header,) = outside.enter(client, "anna").headers.getlist("Set-Cookie")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(header.split("; "))
    assert "Domain" not in header


def test_over_https_the_browser_binds_the_cookie_to_the_host(outside: Outside) -> None:
    address = outside.ticket("anna")
    outside.world.platform.settings = outside.world.platform.settings.model_copy(
        update={"public_url": "https://skole.example"}
    )
    answer = outside.take(outside.broker.test_client(), address)
    (header,) = answer.headers.getlist("Set-Cookie")
    assert header.startswith("__Host-dask-site=")
    assert "Secure" in header.split("; ")
    assert "max-age=" in answer.headers["Strict-Transport-Security"]


def test_a_token_of_one_site_is_nothing_on_another(outside: Outside) -> None:
    client = outside.visitor("anna")
    token = cookie_of(client, HERE)
    client.set_cookie("dask-site", token, domain="atlas-no.ressurs.localhost")
    client.set_cookie("dask-site", token, domain="ressurs.localhost")
    assert refused(outside, client, "/", THERE)
    answer = outside.get(client, "/", DOMAIN)
    assert answer.status_code >= 400
    assert not outside.upstream.requests


def test_no_cookie_of_the_school_opens_the_broker_nor_the_other_way(outside: Outside) -> None:
    school = outside.school("anna")
    client = outside.visitor(school)
    theirs = school.get_cookie("dask")
    assert theirs is not None
    stranger = outside.broker.test_client()
    for name in ("dask", "dask-site", "dask-form", "__Host-dask"):
        stranger.set_cookie(name, theirs.value, domain="leksikon-no.ressurs.localhost")
    assert refused(outside, stranger)
    visitor = outside.world.anonymous()
    visitor.set_cookie("dask", cookie_of(client, HERE))
    assert visitor.get("/account").status_code == 303, "sent to the log-in"


def test_a_link_to_another_approved_site_gives_a_token_of_its_own(outside: Outside) -> None:
    client = outside.visitor("anna")
    answer = outside.get(client, "/_dask/go?to=https://atlas.no/")
    assert answer.status_code == 303
    assert (answer.location or "").startswith(f"{THERE}/_dask/enter?ticket=")
    assert outside.take(client, answer.location or "").location == "/"
    assert title(outside.get(client, "/", THERE).text) == "Atlas"
    assert cookie_of(client, HERE) != cookie_of(client, THERE)


def test_a_pc_in_no_classroom_gets_nothing_and_is_written_down(outside: Outside) -> None:
    client = outside.visitor("anna")
    away = {"REMOTE_ADDR": "10.1.1.1"}
    answer = client.get("/norge?ticket=x", base_url=HERE, environ_overrides=away)
    assert answer.status_code == 401
    assert not outside.upstream.requests
    (visit,) = outside.visits()
    assert (visit["reason"], visit["url"]) == ("session", f"{SITE}/norge")


def test_one_student_at_a_time_in_one_browser(outside: Outside) -> None:
    """On a PC that two share, the second ticket makes the browser the second student's."""
    client = outside.visitor("anna")
    outside.enter(client, "bo")
    outside.get(client, "/norge")
    assert [one["person_id"] for one in outside.visits()] == [outside.world.id("bo")]


# -- what ends it, at the next request and in the middle of a transfer -----------------------------


def at(outside: Outside, hour: int, minute: int) -> None:
    """Set the clock on the wall."""
    now = outside.world.clock.now()
    then = from_oslo(datetime.combine(to_oslo(now).date(), time(hour, minute)))
    outside.world.clock.move(then - now)


def by_sigrid(verb: str, *target: Any) -> Callable[[Outside, Client], object]:
    def end(outside: Outside, _school: Client) -> None:
        world = outside.world
        ids = [world.id(one) if one in world.ids else one for one in target]
        with world.uow("sigrid") as uow:
            getattr(stops, verb)(uow, world.actor("sigrid"), *ids, "Prøve.", world.clock.now())

    return end


def sql(statement: str) -> Callable[[Outside, Client], object]:
    def end(outside: Outside, _school: Client) -> None:
        outside.sql(statement)

    return end


def moved(outside: Outside, _school: Client) -> None:
    anna = outside.world.id("anna")
    outside.sql(
        "UPDATE placement SET ends_at = now() - interval '1 second' WHERE person_id = :p", p=anna
    )
    outside.sql(
        "INSERT INTO placement (id, person_id, unit_id, starts_at)"
        " VALUES (gen_random_uuid(), :p, :u, now() - interval '1 second')",
        p=anna, u=outside.world.id("sor"),
    )  # fmt: skip


def not_in_the_room(outside: Outside, _school: Client) -> None:
    outside.sql("UPDATE room_network SET network = '10.9.0.0/16'")
    outside.world.platform.rooms.forget()


NORD = {"scope": {"units": ["nord"]}}
ANNA = "(SELECT id FROM person WHERE username = 'anna')"
ENDINGS: dict[str, tuple[dict[str, Any], Callable[[Outside, Client], object]]] = {
    "logs out": ({}, lambda _outside, school: school.post_form("/logout")),
    "logs in elsewhere": ({}, lambda outside, _school: outside.world.client("anna")),
    "is idle": ({}, lambda outside, _school: outside.world.clock.move(timedelta(minutes=31))),
    "is logged out": ({}, sql("UPDATE login_session SET ended_at = now()")),
    "account closed": ({}, sql(f"UPDATE person SET active = false WHERE id = {ANNA}")),
    "rule stopped": ({}, by_sigrid("stop_rule", "leksikon", "nord")),
    "student stopped": ({}, by_sigrid("stop_student", "anna")),
    "room stopped": ({}, by_sigrid("stop_room", "room")),
    "unit stopped": ({}, by_sigrid("stop_unit", "nord")),
    "placement over": (
        {}, sql(f"UPDATE placement SET ends_at = now() - interval '1s' WHERE person_id = {ANNA}"),
    ),
    "moved": (NORD, moved),
    "left the room": ({}, not_in_the_room),
    "rule withdrawn": (
        {},
        sql(
            "INSERT INTO whitelist_version (rule_id, body, proposed_name, approved_name, reason,"
            " at) VALUES ('leksikon', NULL, 'En', 'To', 'Test', now())"
        ),
    ),
    "path taken out": ({}, lambda outside, _school: outside.open(rule(paths=["/bare-dette"]))),
    "a rule that closes": (
        {},
        lambda outside, _school: outside.open(
            rule(
                id="stengt", effect="deny", paths=["/"],
                examples={"refuse": ["https://leksikon.no/"]},
            )
        ),
    ),
    "left the class": (
        {"scope": {"courses": ["norsk"]}}, sql("UPDATE enrolment SET ended_at = now()"),
    ),
    "hours over": (
        {"hours": [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "08:00",
                    "to": "12:00"}]},
        lambda outside, _school: at(outside, 12, 0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ends_is_over_at_once_and_in_the_middle_of_a_transfer(
    outside: Outside, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "ASK_AGAIN", 0.0)
    said, end = ENDINGS[ending]
    at(outside, 11, 45)
    outside.open(rule(**said))
    school = outside.school("anna")
    client = outside.visitor(school)
    film = iter(outside.get(client, "/film.png", buffered=False).response)
    assert len(next(film)) == CHUNK
    end(outside, school)
    with pytest.raises(UpstreamStopped):
        next(film)
    cut = next(one for one in outside.visits() if one["url"] == FILM)
    assert (cut["reason"], cut["size"]) == ("UpstreamStopped", CHUNK)
    assert refused(outside, client)
    if ending != "path taken out":  # then another page of it is open
        assert "/_dask/enter" not in (school.get("/sites/leksikon/open").location or "")


def test_a_rule_runs_out_at_midnight(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "ASK_AGAIN", 0.0)
    at(outside, 23, 50)
    outside.open(rule(expires=to_oslo(outside.world.clock.now()).date().isoformat()))
    client = outside.visitor("anna")
    film = iter(outside.get(client, "/film.png", buffered=False).response)
    next(film)
    outside.world.clock.move(timedelta(minutes=10))
    with pytest.raises(UpstreamStopped):
        next(film)
    assert refused(outside, client)
    assert outside.visits()[-1]["reason"] == "expired"


def test_a_transfer_that_nothing_ends_comes_whole(outside: Outside) -> None:
    client = outside.visitor("anna")
    assert len(outside.get(client, "/film.png").data) == 8 * CHUNK
    (visit,) = outside.visits()
    assert (visit["size"], visit["reason"]) == (8 * CHUNK, "allowed")


def test_a_stop_between_the_question_and_the_answer_shows_no_page(
    outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is decided on, then stopped while the site thinks: nothing of it is shown."""
    monkeypatch.setattr(deciding, "ASK_AGAIN", 0.0)  # the site thinks for longer than that
    client = outside.visitor("anna")
    fetch = outside.upstream.fetch

    def slow(*given: Any, **more: Any) -> Any:
        by_sigrid("stop_unit", "nord")(outside, outside.world.anonymous())
        return fetch(*given, **more)

    outside.world.platform.upstream = type("Slow", (), {"fetch": staticmethod(slow)})()
    answer = outside.get(client, "/norge")
    assert answer.status_code == 502
    assert "Et langt land." not in answer.text
    assert outside.visits()[-1]["reason"] == "UpstreamStopped"
