"""The log of visits: written in one's own name, where one is, and read by security alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from dask_platform.kernel.ids import new_id
from tests.world import World

WRITE = (
    "INSERT INTO site_visit (at, person_id, unit_id, url, method, allowed, reason, status, size,"
    " ms, typed, sent) VALUES (%s, %s, %s, 'https://leksikon.no/', 'POST', true, 'allowed', 200,"
    ' 0, 0, true, \'[["svar", "hei"]]\')'
)


class Log:
    """A raw connection as ``dask_web``, with nothing of the application between."""

    def __init__(self, world: World, connection: psycopg.Connection) -> None:
        self.world, self.connection = world, connection

    def act_as(self, name: str | None) -> None:
        who = str(self.world.id(name)) if name else ""
        self.connection.execute("SELECT set_config('dask.actor', %s, true)", [who])

    def write(self, actor: str | None, who: str, unit: str) -> bool:
        """Whether ``actor`` gets a visit of ``who`` at ``unit`` into the log."""
        self.act_as(actor)
        row = [self.world.clock.now(), self.world.id(who), self.world.id(unit)]
        try:
            with self.connection.transaction():
                self.connection.execute(WRITE, row)
        except psycopg.errors.InsufficientPrivilege:
            return False
        return True

    def count(self, name: str | None, what: str = "count(*)") -> object:
        self.act_as(name)
        row = self.connection.execute(f"SELECT {what} FROM site_visit").fetchone()
        return row[0] if row else None


@pytest.fixture
def log(world: World) -> Iterator[Log]:
    with world.connect("dask_web") as connection:
        yield Log(world, connection)
        connection.rollback()


@pytest.mark.parametrize(
    ("actor", "who", "unit", "written"),
    [
        ("anna", "anna", "nord", True), ("anna", "anna", "sor", False),
        ("anna", "bo", "nord", False), ("cem", "cem", "sor", True), ("cem", "cem", "nord", False),
        ("tora", "tora", "nord", True), ("tora", "tora", "sor", False),
        ("tora", "anna", "nord", False), ("sigrid", "sigrid", "nord", True),
        ("sigrid", "anna", "nord", False), ("olga", "anna", "nord", False),
        (None, "anna", "nord", False),
    ],
)  # fmt: skip
def test_a_visit_is_ones_own_and_where_one_is(
    log: Log, actor: str | None, who: str, unit: str, written: bool
) -> None:
    assert log.write(actor, who, unit) is written


def move(world: World, name: str, unit: str, ago: timedelta) -> None:
    """End the placement of ``name`` that long ago, and begin one at ``unit``."""
    with world.connect("dask_owner") as owner:
        owner.execute(
            "UPDATE placement SET starts_at = now() - interval '9 days', ends_at = now() - %s"
            " WHERE person_id = %s",
            [ago, world.id(name)],
        )
        owner.execute(
            "INSERT INTO placement (id, person_id, unit_id, starts_at) VALUES (%s, %s, %s,"
            " now() - %s)",
            [new_id(), world.id(name), world.id(unit), ago],
        )


def test_a_film_that_was_running_during_a_move_is_written_where_it_began(log: Log) -> None:
    move(log.world, "anna", "sor", timedelta(minutes=20))
    assert log.write("anna", "anna", "nord")
    assert log.write("anna", "anna", "sor")


def test_nobody_writes_where_they_were_long_ago(log: Log) -> None:
    move(log.world, "anna", "sor", timedelta(days=2))
    assert not log.write("anna", "anna", "nord")
    assert log.write("anna", "anna", "sor")


def test_a_member_of_staff_whose_role_ended_just_now(log: Log) -> None:
    end = "UPDATE staff_role SET ends_at = now() - %s::interval WHERE person_id = %s"
    with log.world.connect("dask_owner") as owner:
        owner.execute("UPDATE staff_role SET starts_at = now() - interval '9 days'")
        owner.execute(end, ["1 minute", log.world.id("tora")])
        owner.execute(end, ["2 days", log.world.id("even")])
    assert log.write("tora", "tora", "nord")
    assert not log.write("even", "even", "nord")


def test_what_was_sent_is_read_by_security_of_the_unit_alone(log: Log) -> None:
    assert log.write("anna", "anna", "nord")
    for name in ("anna", "bo", "cem", "tora", "odd", "sverre", "olga", None):
        assert log.count(name) == 0, name
    assert log.count("sigrid", "sent->0->>1") == "hei"


def test_nobody_changes_or_removes_a_visit(log: Log) -> None:
    for name in ("anna", "sigrid", "olga"):
        for deed in ("UPDATE site_visit SET typed = false", "DELETE FROM site_visit"):
            log.act_as(name)
            with pytest.raises(psycopg.errors.InsufficientPrivilege), log.connection.transaction():
                log.connection.execute(deed)


def test_how_often_one_wrote_is_told_to_oneself_alone(log: Log) -> None:
    for name in ("anna", "bo", "anna"):
        assert log.write(name, name, "nord")
    since = log.world.clock.now() - timedelta(minutes=1)
    told = {}
    for name in ("anna", "bo", "cem", "sigrid", None):
        log.act_as(name)
        row = log.connection.execute("SELECT dask_typed_since(%s)", [since]).fetchone()
        told[name] = row[0] if row else None
    assert told == {"anna": 2, "bo": 1, "cem": 0, "sigrid": 0, None: 0}
