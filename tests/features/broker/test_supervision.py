"""A supervised site is open while somebody on the staff has opened it for a room, and no longer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from flask.testing import FlaskClient

from dask_platform.adapters.upstream import Page
from dask_platform.features.broker import deciding, supervision
from dask_platform.kernel.errors import Conflict, NotVisible, UpstreamStopped
from tests.features.broker.conftest import SITE, Outside, html
from tests.features.whitelists.build import rule
from tests.world import Client

CHUNK = 64 * 1024


@pytest.fixture(autouse=True)
def supervised(outside: Outside) -> None:
    outside.open(rule(supervised=True))
    outside.upstream.pages[f"{SITE}/film.png"] = Page(
        b"x" * 8 * CHUNK, headers={"content-type": "image/png"}
    )


def open_it(outside: Outside, staff: Client) -> None:
    said = {"rule": "leksikon", "room": str(outside.world.id("room"))}
    assert staff.post_form("/supervised", said).status_code == 303


def id_of(outside: Outside) -> UUID:
    with outside.world.uow("sigrid") as uow:
        actor = outside.world.actor("sigrid")
        return supervision.open_now(uow, actor, outside.world.clock.now())[0].id


def is_open(outside: Outside, client: FlaskClient) -> bool:
    return outside.get(client, "/norge").status_code == 200


@pytest.mark.parametrize("who", ["tora", "odd", "sigrid"])
def test_staff_open_it_for_their_room(outside: Outside, who: str) -> None:
    anna = outside.school("anna")
    assert "/_dask/enter" not in (anna.get("/sites/leksikon/open").location or "")
    staff = outside.school(who)
    open_it(outside, staff)
    assert is_open(outside, outside.visitor(anna))
    page = staff.get("/supervised")
    assert "Klasserom 1" in page.text
    (event,) = outside.world.audit("site.opened")
    assert (event["actor_name"], event["details"]["rule"]) == (who, "leksikon")
    assert event["object_id"] == str(outside.world.id("room"))


def test_opening_it_twice_leads_back_to_the_list(outside: Outside) -> None:
    tora = outside.school("tora")
    open_it(outside, tora)
    open_it(outside, tora)
    assert "allerede åpent for dette rommet" in tora.get("/supervised").text
    assert len(outside.world.audit("site.opened")) == 1


def closed_by_hand(outside: Outside, _tora: Client) -> None:
    outside.school("odd").post_form(f"/supervised/{id_of(outside)}/close")


def logged_out(_outside: Outside, tora: Client) -> None:
    tora.post_form("/logout")


def gone_idle(outside: Outside, _tora: Client) -> None:
    outside.sql(
        "UPDATE login_session SET idle_until = :now WHERE person_id = :tora",
        now=outside.world.clock.now(), tora=outside.world.id("tora"),
    )  # fmt: skip


def two_hours(outside: Outside, _tora: Client) -> None:
    outside.sql("UPDATE supervision SET until = :now", now=outside.world.clock.now())


def left_the_school(outside: Outside, _tora: Client) -> None:
    outside.sql("UPDATE staff_role SET ends_at = now() WHERE person_id = :p",
                p=outside.world.id("tora"))  # fmt: skip


def account_closed(outside: Outside, _tora: Client) -> None:
    outside.sql("UPDATE person SET active = false WHERE id = :p", p=outside.world.id("tora"))


def another_room(outside: Outside, _tora: Client) -> None:
    """The student takes the session along to another classroom of the unit."""
    outside.sql(
        "WITH made AS (INSERT INTO room (id, unit_id, name) VALUES (gen_random_uuid(), :nord,"
        " 'Klasserom 2') RETURNING id) UPDATE room_network SET room_id = (SELECT id FROM made)",
        nord=outside.world.id("nord"),
    )
    outside.world.platform.rooms.forget()


@pytest.mark.parametrize(
    "end",
    [
        closed_by_hand, logged_out, gone_idle, two_hours, left_the_school, account_closed,
        another_room,
    ],
)  # fmt: skip
def test_it_closes_at_once_and_in_the_middle_of_a_transfer(
    outside: Outside, end: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "ASK_AGAIN", 0.0)
    tora = outside.school("tora")
    open_it(outside, tora)
    client = outside.visitor("anna")
    film = iter(outside.get(client, "/film.png", buffered=False).response)
    next(film)
    end(outside, tora)
    with pytest.raises(UpstreamStopped):
        next(film)
    before = len(outside.upstream.requests)
    answer = outside.get(client, "/norge")
    assert answer.status_code == 403
    assert "Spør læreren din" in answer.text
    assert len(outside.upstream.requests) == before
    assert outside.visits()[-1]["reason"] == "supervised"


def test_it_is_open_for_no_longer_than_two_hours(outside: Outside) -> None:
    open_it(outside, outside.school("tora"))
    now = outside.world.clock.now()
    with outside.world.uow("tora") as uow:
        actor = outside.world.actor("tora")
        (made,) = supervision.open_now(uow, actor, now)
        assert made.until == made.opened_at + timedelta(hours=2)
        assert supervision.open_now(uow, actor, now + timedelta(hours=2)) == []


def test_it_is_open_in_that_room_alone(outside: Outside) -> None:
    open_it(outside, outside.school("tora"))
    client = outside.visitor("anna")
    assert is_open(outside, client)
    another_room(outside, outside.world.anonymous())
    assert not is_open(outside, client)


def test_the_school_sends_on_for_the_room_where_the_pc_stands(outside: Outside) -> None:
    """Not for that of the log-in, which may have been in another one."""
    open_it(outside, outside.school("tora"))
    anna = outside.school("anna")
    outside.sql("UPDATE login_session SET room_id = NULL")
    assert "/_dask/enter" in (anna.get("/sites/leksikon/open").location or "")
    anna = outside.school("anna")
    another_room(outside, outside.world.anonymous())
    assert "/_dask/enter" not in (anna.get("/sites/leksikon/open").location or "")


def test_one_at_a_time_and_the_next_when_the_first_is_gone(outside: Outside) -> None:
    tora = outside.school("tora")
    open_it(outside, tora)
    with outside.world.uow("odd") as uow, pytest.raises(Conflict, match="already"):
        supervision.open_for_room(
            uow, outside.world.actor("odd"), "leksikon", outside.world.id("room"),
            outside.world.clock.now(),
        )  # fmt: skip
    tora.post_form("/logout")
    odd = outside.school("odd")
    assert "Ingen nettsteder med tilsyn er åpne" in odd.get("/supervised").text
    open_it(outside, odd)
    assert is_open(outside, outside.visitor("anna"))


def test_closing_twice_is_closing_once(outside: Outside) -> None:
    tora = outside.school("tora")
    open_it(outside, tora)
    made = id_of(outside)
    for _ in range(2):
        assert tora.post_form(f"/supervised/{made}/close").status_code == 303
    assert len(outside.world.audit("site.closed")) == 1


@pytest.mark.parametrize("who", ["anna", "olga"])
def test_for_who_may_not_there_is_nothing(outside: Outside, who: str) -> None:
    client = outside.school(who)
    said = {"rule": "leksikon", "room": str(outside.world.id("room"))}
    assert client.get("/supervised").status_code == 404
    assert client.post_form("/supervised", said).status_code == 404
    assert not outside.world.audit("site.opened")


@pytest.mark.parametrize("who", ["siri", "sverre"])
def test_staff_of_another_unit_open_and_close_nothing_here(outside: Outside, who: str) -> None:
    open_it(outside, outside.school("tora"))
    made = id_of(outside)
    client = outside.school(who)
    said = {"rule": "leksikon", "room": str(outside.world.id("room"))}
    assert client.post_form("/supervised", said).status_code == 404
    assert client.post_form(f"/supervised/{made}/close").status_code == 404
    assert "Klasserom 1" not in client.get("/supervised").text
    assert is_open(outside, outside.visitor("anna"))


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"rule": "leksikon"}, 400), ({"rule": "leksikon", "room": "x"}, 400),
        ({"rule": "ingen"}, 404), ({}, 404), ({"rule": "vanlig"}, 404),
        ({"rule": "leksikon", "room": str(uuid4())}, 404),
    ],
)  # fmt: skip
def test_what_cannot_be_opened(outside: Outside, said: dict[str, str], status: int) -> None:
    outside.open(rule(id="vanlig", host="vanlig.no"))
    tora = outside.school("tora")
    if said.get("rule") == "vanlig":
        said = {**said, "room": str(outside.world.id("room"))}
    assert tora.post_form("/supervised", said).status_code == status
    assert not outside.world.audit("site.opened")


def test_a_form_from_elsewhere_opens_nothing(outside: Outside) -> None:
    tora = outside.school("tora")
    said = {"rule": "leksikon", "room": str(outside.world.id("room"))}
    assert tora.post("/supervised", data=said).status_code == 400
    assert not outside.world.audit("site.opened")


def test_the_service_refuses_what_the_page_would(outside: Outside) -> None:
    world = outside.world
    for who in ("anna", "siri", "olga"):
        with world.uow(who) as uow, pytest.raises(NotVisible):
            supervision.open_for_room(
                uow, world.actor(who), "leksikon", world.id("room"), world.clock.now()
            )


# -- the second wall ----------------------------------------------------------------------------

MADE = (
    "INSERT INTO supervision (id, rule_id, room_id, unit_id, opened_by, session_id, opened_at,"
    " until) VALUES (gen_random_uuid(), 'leksikon', %s, %s, %s, %s, now(),"
    " now() + interval '1 hour')"
)


def by_hand(outside: Outside, who: str, statement: str, *values: Any) -> int:
    with outside.world.connect("dask_web") as connection:
        connection.execute(
            "SELECT set_config('dask.actor', %s, true)", [str(outside.world.id(who))]
        )
        try:
            return int(connection.execute(statement, values).rowcount)
        except psycopg.errors.InsufficientPrivilege:
            connection.rollback()
            return -1


def test_supervision_is_nobody_elses_to_forge(outside: Outside) -> None:
    world = outside.world
    room, nord, sor = world.id("room"), world.id("nord"), world.id("sor")
    who = {name: world.id(name) for name in ("anna", "tora", "siri", "olga")}
    session = {name: world.actor(name).session_id for name in who}
    forged = [
        ("anna", (room, nord, who["anna"], session["anna"])),
        ("anna", (room, nord, who["tora"], session["tora"])),
        ("olga", (room, nord, who["olga"], session["olga"])),
        ("siri", (room, nord, who["siri"], session["siri"])),
        ("siri", (room, sor, who["siri"], session["siri"])),
        ("tora", (room, nord, who["siri"], session["tora"])),
        ("tora", (room, nord, who["tora"], session["siri"])),
        ("tora", (room, sor, who["tora"], session["tora"])),
    ]
    for name, values in forged:
        assert by_hand(outside, name, MADE, *values) == -1, (name, values)
    assert by_hand(outside, "tora", MADE, room, nord, who["tora"], session["tora"]) == 1


def test_supervision_is_seen_and_closed_by_the_units_staff(outside: Outside) -> None:
    open_it(outside, outside.school("tora"))
    seen = {
        who: by_hand(outside, who, "SELECT FROM supervision")
        for who in ("anna", "tora", "odd", "sigrid", "siri", "sverre")
    }
    assert seen == {"anna": 0, "tora": 1, "odd": 1, "sigrid": 1, "siri": 0, "sverre": 0}
    close = "UPDATE supervision SET closed_at = now()"
    for who in ("anna", "siri", "sverre", "olga"):
        assert by_hand(outside, who, close) == 0
    for other in (
        "until = now() + interval '9 hours'",
        "rule_id = 'x'",
        "opened_by = dask_actor()",
    ):
        assert by_hand(outside, "tora", f"UPDATE supervision SET {other}") == -1
    assert by_hand(outside, "tora", "DELETE FROM supervision") == -1
    assert by_hand(outside, "odd", close) == 1
    assert by_hand(outside, "tora", "UPDATE supervision SET closed_at = NULL") == -1


def test_a_link_to_what_is_closed_just_now_stays_a_link(
    outside: Outside,
) -> None:
    """Nobody has to ask for it: whoever follows it reads when it opens, or with whom."""
    outside.open(
        rule(),
        rule(id="atlas", host="atlas.no", supervised=True),
    )
    client = outside.visitor("bo")
    outside.upstream.pages[f"{SITE}/norge"] = html(
        "<a href=https://atlas.no/a>Atlas</a><a href=https://atlas.no/_dask/go>Vår</a>"
    )
    shown = outside.get(client, "/norge").text
    assert "/_dask/go?to=https%3A%2F%2Fatlas.no%2Fa" in shown
    assert "atlas.no%2F_dask" not in shown.replace("address=https%3A%2F%2Fatlas.no%2F_dask", "")
    answer = outside.get(client, "/_dask/go?to=https://atlas.no/a")
    assert answer.status_code == 403
