"""The second wall around recordings: raw SQL as the web role."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.db.wall import Wall
from tests.world import World

TABLES = (
    "recording", "recording_answer", "recording_cookie", "recording_seen", "recording_way",
)  # fmt: skip
TOKEN, TICKET = hashlib.sha256(b"token").digest(), hashlib.sha256(b"ticket").digest()


@pytest.fixture(scope="module")
def recorded(shared_world: World) -> World:
    """sigrid's live recording, with a row in each table."""
    world = shared_world
    world.session("sigrid")
    world.session("anna")
    with world.connect("dask_owner") as owner:
        world.ids["recording"] = _row(owner, world, "sigrid")
        given = {"id": world.id("recording"), "now": world.clock.now(), "token": TOKEN}
        for statement in (
            "INSERT INTO recording_way (id, recording_id, host, ticket_until, token_hash)"
            " VALUES (gen_random_uuid(), %(id)s, 'a.no', %(now)s, %(token)s)",
            "INSERT INTO recording_seen VALUES (gen_random_uuid(), %(id)s, 'a.no', '/', 'page',"
            " '[]', 'text/html', 200, 1, 1, 'A', 1, false, '', %(now)s)",
            "INSERT INTO recording_cookie VALUES (%(id)s, 'a.no', 'a', '/', 'b', %(now)s)",
            "INSERT INTO recording_answer VALUES (%(id)s, 'https://a.no/', 'k', %(now)s, 200, '{}',"
            " 1)",
        ):
            owner.execute(statement, given)
    return world


def _row(connection: Any, world: World, name: str, **said: Any) -> UUID:
    now = world.clock.now()
    values = {
        "id": uuid4(), "person": world.id(name), "unit": world.id("nord"), "now": now,
        "until": now + timedelta(minutes=30), "ended": None, "owner": world.id(name), **said,
    }  # fmt: skip
    connection.execute(
        "INSERT INTO recording (id, person_id, unit_id, session_id, start_url, reason, copying,"
        " started_at, until, ended_at) SELECT %(id)s, %(person)s, %(unit)s, s.id, 'https://a.no/',"
        " 'r', false, %(now)s, %(until)s, %(ended)s FROM login_session s"
        " WHERE s.person_id = %(owner)s ORDER BY s.started_at DESC LIMIT 1",
        values,
    )
    return UUID(str(values["id"]))


@pytest.fixture
def wall(recorded: World) -> Iterator[Wall]:
    made = Wall(recorded)
    yield made
    made.connection.rollback()
    made.connection.close()


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("name", ["anna", "tora", "odd", "stein", "sverre", "olga"])
def test_nobody_else_sees_a_recording(wall: Wall, table: str, name: str) -> None:
    assert wall.as_(name).count(table) == 0


def test_its_officer_sees_all_of_it_but_the_ways(wall: Wall) -> None:
    wall.as_("sigrid")
    for table in TABLES:
        assert wall.count(table) == (0 if table == "recording_way" else 1), table


@pytest.mark.parametrize("name", ["anna", "tora", "odd", "olga", "sverre"])
def test_only_security_of_the_unit_starts_one(wall: Wall, name: str) -> None:
    wall.world.session(name)
    wall.as_(name)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        _row(wall.connection, wall.world, name)


@pytest.mark.parametrize(
    "said",
    [
        {"person": "stein"},
        {"owner": "stein"},
        {"unit": "sor"},
        {"until": timedelta(minutes=31)},
        {"ended": timedelta(0)},
    ],
)
def test_an_officer_starts_it_in_own_name_and_for_half_an_hour(
    wall: Wall, said: dict[str, Any]
) -> None:
    world = wall.world
    world.session("stein")
    given = {
        key: world.id(value) if isinstance(value, str) else world.clock.now() + value
        for key, value in said.items()
    }
    wall.as_("sigrid")
    before = wall.count("recording")
    # A session that is not visible yields no row at all, which is as good a refusal.
    with suppress(psycopg.errors.Error), wall.connection.transaction():
        _row(wall.connection, world, "sigrid", **given)
    assert wall.count("recording") == before


def test_what_has_ended_never_goes_on(wall: Wall) -> None:
    wall.as_("sigrid")
    wall.connection.execute("UPDATE recording SET ended_at = now()")
    for again in ("NULL", "now() + interval '1 hour'"):
        assert wall.refused(f"UPDATE recording SET ended_at = {again}")
    for column in ("until = now()", "person_id = person_id", "started_at = now()"):
        assert wall.refused(f"UPDATE recording SET {column}")


def _resumed(wall: Wall, token: bytes, host: str) -> object:
    found = wall.connection.execute(
        "SELECT dask_recording_resume(%s, %s, %s)", [token, host, wall.world.clock.now()]
    )
    return found.fetchone()[0]


def test_a_token_is_its_hosts_and_ends_with_the_recording(wall: Wall) -> None:
    wall.as_(None)
    assert _resumed(wall, TOKEN, "b.no") is None
    assert _resumed(wall, TICKET, "a.no") is None
    found = _resumed(wall, TOKEN, "a.no")
    assert isinstance(found, dict)
    assert found["recording"] == str(wall.world.id("recording"))
    wall.as_("sigrid").connection.execute("UPDATE recording SET ended_at = now()")
    assert _resumed(wall, TOKEN, "a.no") is None


@pytest.mark.parametrize("name", ["anna", "stein"])
def test_nobody_else_makes_a_ticket(wall: Wall, name: str) -> None:
    world = wall.world
    wall.as_(name)
    made = wall.connection.execute(
        "SELECT dask_recording_ticket(%s, (SELECT id FROM login_session LIMIT 1), 'a.no', %s, %s,"
        " %s)",
        [world.id("recording"), TICKET, world.clock.now(), world.clock.now()],
    )
    assert made.fetchone() == (False,)


@pytest.mark.parametrize("name", ["anna", "stein"])
def test_nobody_else_writes_into_it_or_ends_it(wall: Wall, name: str) -> None:
    recording = wall.world.id("recording")
    wall.as_(name)
    for statement in (
        f"INSERT INTO recording_cookie VALUES ('{recording}', 'a.no', 'x', '/', 'b', now())",
        f"INSERT INTO recording_seen VALUES (gen_random_uuid(), '{recording}', 'a.no', '/x',"
        " 'page', '[]', '', 200, 1, 1, '', 1, false, '', now())",
        f"INSERT INTO recording_answer VALUES ('{recording}', 'u', 'k', now(), 200, '{{}}', 1)",
        f"INSERT INTO recording_way (id, recording_id, host, ticket_until) VALUES"
        f" (gen_random_uuid(), '{recording}', 'a.no', now())",
        "UPDATE recording SET ended_at = now()",
        "DELETE FROM recording",
        "UPDATE recording_seen SET title = 'x'",
    ):
        assert wall.refused(statement), statement


def test_whoever_is_no_officer_any_more_has_no_recording(recorded: World) -> None:
    wall = Wall(recorded)
    person = recorded.id("sigrid")
    with recorded.connect("dask_owner") as owner:
        owner.execute("UPDATE staff_role SET ends_at = now() WHERE person_id = %s", [person])
    try:
        assert _resumed(wall.as_(None), TOKEN, "a.no") is None
        assert wall.as_("sigrid").count("recording") == 0
    finally:
        wall.connection.close()
        with recorded.connect("dask_owner") as owner:
            owner.execute("UPDATE staff_role SET ends_at = NULL WHERE person_id = %s", [person])
