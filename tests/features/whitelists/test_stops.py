"""One officer closes, at once; two open again."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from dask_platform.features.whitelists import queries
from dask_platform.features.whitelists.engine import Reason
from dask_platform.features.whitelists.service import stops
from dask_platform.kernel.errors import Conflict, Invalid, NotAllowed, NotVisible
from tests.features.whitelists.office import Office, elsewhere, good
from tests.world import World


@pytest.fixture
def office(world: World) -> Office:
    made = Office(world)
    made.load(good(world), elsewhere(world, "kart"))
    return made


def closed_to(office: Office, url: str = "https://leksikon.no/katt") -> set[str]:
    return {
        who for who in ("anna", "bo", "cem") if office.decide(who, url).reason is Reason.STOPPED
    }


def test_a_rule_is_stopped_at_one_unit_or_everywhere(office: Office) -> None:
    nord = office.world.id("nord")
    office.stop("sigrid", "stop_rule", "leksikon", nord)
    assert closed_to(office) == {"anna", "bo"}
    assert closed_to(office, "https://kart.no/") == set()
    office.stop("sigrid", "stop_rule", "leksikon", None)
    assert closed_to(office) == {"anna", "bo", "cem"}


def test_a_student_a_room_and_a_unit_are_stopped(office: Office) -> None:
    world = office.world
    office.stop("sigrid", "stop_student", world.id("anna"))
    assert closed_to(office) == closed_to(office, "https://kart.no/") == {"anna"}
    office.stop("sverre", "stop_unit", world.id("sor"))
    assert closed_to(office) == {"anna", "cem"}
    office.stop("sigrid", "stop_room", world.id("room"))
    assert "bo" not in closed_to(office), "the session of this test sits in no room"
    inside = dataclasses.replace(world.actor("bo"), room_id=world.id("room"))
    with world.uow("bo") as uow:
        assert queries.stops(uow, inside).everything


def test_a_students_stop_follows_to_the_next_unit(office: Office) -> None:
    world = office.world
    stop = office.stop("sigrid", "stop_student", world.id("anna"))
    with world.owner() as uow:
        uow.execute(
            text("UPDATE placement SET ends_at = now() - interval '1 second' WHERE person_id = :p"),
            {"p": world.id("anna")},
        )
        uow.execute(
            text(
                "INSERT INTO placement (id, person_id, unit_id, starts_at) VALUES"
                " (gen_random_uuid(), :p, :u, now() - interval '1 second')"
            ),
            {"p": world.id("anna"), "u": world.id("sor")},
        )
    assert closed_to(office) == {"anna"}
    with pytest.raises(NotVisible):
        office.ask_reopen("sigrid", stop)
    office.ask_reopen("sverre", stop)


def test_a_stop_is_seen_by_a_transfer_that_runs(office: Office) -> None:
    """Another process: its own connection, which has read the rules before the stop."""
    world = office.world
    actor = world.actor("anna")
    seen, go = [], threading.Event()

    def transfer() -> None:
        for moment in (None, go):
            if moment is not None:
                moment.wait(10)
            with world.uow("anna") as uow:
                seen.append(queries.stops(uow, actor).stop("leksikon"))

    running = threading.Thread(target=transfer)
    running.start()
    office.stop("sigrid", "stop_rule", "leksikon", None)
    go.set()
    running.join(10)
    assert seen[-1] is True


def test_where_nobody_acts_everything_is_stopped(office: Office) -> None:
    with office.world.uow(None) as uow:
        assert queries.stops(uow, office.world.actor("anna")).stop("kart")


def test_reopening_takes_two(office: Office) -> None:
    world = office.world
    stop = office.stop("sigrid", "stop_unit", world.id("nord"))
    with pytest.raises(Conflict, match="Ask first"):
        office.agree("stein", stop)
    office.ask_reopen("sigrid", stop)
    with pytest.raises(NotAllowed, match="yourself"):
        office.agree("sigrid", stop)
    assert closed_to(office) == {"anna", "bo"}
    office.agree("stein", stop)
    assert closed_to(office) == set()
    with pytest.raises(Conflict):
        office.agree("stein", stop)
    kinds = [event["kind"] for event in world.audit()]
    assert kinds[-3:] == ["whitelist.stopped", "whitelist.reopen_asked", "whitelist.reopened"]


def test_a_no_leaves_it_stopped_and_can_be_asked_anew(office: Office) -> None:
    stop = office.stop("sigrid", "stop_unit", office.world.id("nord"))
    office.ask_reopen("stein", stop)
    with office.world.uow("sigrid") as uow:
        stops.decline_to_reopen(uow, office.world.actor("sigrid"), stop)
    assert closed_to(office) == {"anna", "bo"}
    office.ask_reopen("sigrid", stop)
    office.agree("stein", stop)
    assert closed_to(office) == set()


def test_the_same_stop_twice_is_one_stop(office: Office) -> None:
    first = office.stop("sigrid", "stop_student", office.world.id("anna"))
    assert office.stop("stein", "stop_student", office.world.id("anna")) == first


def test_a_stop_says_why(office: Office) -> None:
    world = office.world
    with pytest.raises(Invalid, match="why"), world.uow("sigrid") as uow:
        stops.stop_unit(uow, world.actor("sigrid"), world.id("nord"), "  ", world.clock.now())


@pytest.mark.parametrize(
    ("verb", "target", "unit"),
    [
        ("stop_unit", "sor", None),
        ("stop_student", "cem", None),
        ("stop_rule", "leksikon", "sor"),
        ("stop_rule", "ingen", "nord"),
        ("stop_room", "sor", None),  # no room has that id
    ],
)
def test_an_officer_stops_at_own_units_only(
    office: Office, verb: str, target: str, unit: str | None
) -> None:
    world = office.world
    arguments = (target, world.id(unit)) if unit else (world.id(target),)
    with pytest.raises(NotVisible):
        office.stop("sigrid", verb, *arguments)


@pytest.mark.parametrize("who", ["anna", "tora", "odd", "olga"])
def test_nobody_else_stops(office: Office, who: str) -> None:
    with pytest.raises(NotVisible):
        office.stop(who, "stop_unit", office.world.id("nord"))


# -- the second wall ----------------------------------------------------------------------------


def by_hand(world: World, who: str, statement: str, *values: Any) -> int:
    with world.connect("dask_web") as connection:
        connection.execute("SELECT set_config('dask.actor', %s, true)", [str(world.id(who))])
        try:
            return int(connection.execute(statement, values).rowcount)
        except psycopg.errors.InsufficientPrivilege:
            connection.rollback()
            return 0


STOP = (
    "INSERT INTO whitelist_stop (id, kind, person_id, unit_id, reason, stopped_by, stopped_name,"
    " stopped_at, reopen_reason) VALUES (gen_random_uuid(), %s, %s, %s, 'x', dask_actor(), 'x',"
    " now(), '')"
)


def test_the_database_keeps_reopening_to_two(office: Office) -> None:
    world = office.world
    office.stop("sigrid", "stop_unit", world.id("nord"))
    ask = "UPDATE whitelist_stop SET reopen_asked_at = now(), reopen_reason = 'x'"
    reopen = "UPDATE whitelist_stop SET reopened_at = now()"
    assert by_hand(world, "sigrid", reopen) == 0
    assert by_hand(world, "sigrid", ask + ", reopened_at = now()") == 0
    assert by_hand(world, "sigrid", ask) == 1
    assert by_hand(world, "sigrid", reopen) == 0
    assert by_hand(world, "sverre", reopen) == 0
    assert by_hand(world, "anna", reopen) == 0
    assert closed_to(office) == {"anna", "bo"}
    assert by_hand(world, "stein", reopen) == 1
    assert closed_to(office) == set()


def test_the_database_keeps_stops_to_own_units(office: Office) -> None:
    world = office.world
    nord, sor = world.id("nord"), world.id("sor")
    assert by_hand(world, "sigrid", STOP, "unit", None, nord) == 1
    for who, kind, person, unit in (
        ("sigrid", "unit", None, sor),
        ("sigrid", "student", world.id("cem"), sor),
        ("sigrid", "student", world.id("cem"), nord),
        ("anna", "student", world.id("bo"), nord),
        ("tora", "unit", None, nord),
    ):
        assert by_hand(world, who, STOP, kind, person, unit) == 0, (who, kind)


def test_stops_are_known_to_security_of_the_unit_alone(office: Office) -> None:
    world = office.world
    office.stop("sigrid", "stop_student", world.id("anna"))
    office.stop("sigrid", "stop_rule", "kart", None)
    seen = {
        who: by_hand(world, who, "SELECT FROM whitelist_stop")
        for who in ("sigrid", "stein", "sverre", "anna", "bo", "tora", "olga")
    }
    assert seen == {
        "sigrid": 2, "stein": 2, "sverre": 1, "anna": 0, "bo": 0, "tora": 0, "olga": 0,
    }  # fmt: skip
