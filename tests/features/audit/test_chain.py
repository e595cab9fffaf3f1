"""The chain: unbroken under concurrent writers, and every kind of tampering is named."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from dask_platform.features.audit.chain import GENESIS, Mark, link, verify, walk
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from tests.world import World

WRITERS = 16
EACH = 15


def write(world: World, count: int) -> None:
    for number in range(count):
        with world.uow("anna") as uow:
            record(uow, None, EventKind.LOGOUT, number=number, name="Ærlig – «prøve» \U0001f600")


def test_sixteen_writers_make_one_chain_without_gap_or_fork(world: World) -> None:
    failures: list[BaseException] = []

    def work(writer: int) -> None:
        try:
            for number in range(EACH):
                try:
                    with world.uow(None) as uow:
                        record(uow, None, EventKind.LOGIN_FAILED, writer=writer, number=number)
                        if number % 5 == 4:
                            uow.flush()
                            raise InterruptedError  # a rollback gives its number back
                except InterruptedError:
                    pass
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with world.owner() as uow:
        verdict = verify(uow)
        numbers = uow.scalars(text("SELECT seq FROM audit_event ORDER BY seq")).all()
    written = WRITERS * (EACH - EACH // 5)
    assert verdict.broken_at is None, verdict.why
    assert list(numbers) == list(range(1, written + 1))


def test_a_rollback_after_the_row_was_written_leaves_no_gap(world: World) -> None:
    write(world, 1)
    with world.connect("dask_web") as connection:
        connection.execute(
            "INSERT INTO audit_event (kind, actor_name, actor_role, details)"
            " VALUES ('logout', 'x', 'none', '{}')"
        )
        connection.rollback()
    write(world, 1)
    with world.owner() as uow:
        assert verify(uow).broken_at is None
    assert [row["seq"] for row in world.audit()] == [1, 2]


TAMPERING: dict[str, tuple[str, int]] = {
    "change a detail": ("UPDATE audit_event SET details = '{\"number\": 9}' WHERE seq = 4", 4),
    "change who": ("UPDATE audit_event SET actor_name = 'bo' WHERE seq = 4", 4),
    "change when": ("UPDATE audit_event SET at = at + interval '1 microsecond' WHERE seq = 4", 4),
    "empty a field": ("UPDATE audit_event SET actor_role = '' WHERE seq = 4", 4),
    "null to text": ("UPDATE audit_event SET object_type = '-' WHERE seq = 4", 4),
    "remove one": ("DELETE FROM audit_event WHERE seq = 4", 4),
    "remove the first": ("DELETE FROM audit_event WHERE seq = 1", 1),
    "remove the newest": ("DELETE FROM audit_event WHERE seq = 8", 8),
    "remove the newest two": ("DELETE FROM audit_event WHERE seq >= 7", 7),
    "swap two": (
        "UPDATE audit_event SET seq = 100 WHERE seq = 3;"
        "UPDATE audit_event SET seq = 3 WHERE seq = 4;"
        "UPDATE audit_event SET seq = 4 WHERE seq = 100",
        3,
    ),
    "insert between": (
        "ALTER TABLE audit_event DISABLE TRIGGER audit_link;"
        "UPDATE audit_event SET seq = seq + 100 WHERE seq > 4;"
        "INSERT INTO audit_event SELECT 5, at, kind, actor_id, actor_name, actor_role, unit_id,"
        " address, object_type, object_id, subject_id, request_id, details, hash, hash"
        " FROM audit_event WHERE seq = 4;"
        "UPDATE audit_event SET seq = seq - 99 WHERE seq > 100",
        5,
    ),
    "move the head back": ("UPDATE audit_head SET seq = 7", 8),
}


@pytest.mark.parametrize("deed", sorted(TAMPERING))
def test_tampering_as_the_owner_is_named(world: World, deed: str) -> None:
    write(world, 8)
    statement, broken = TAMPERING[deed]
    with world.connect("dask_owner") as connection:
        connection.execute(statement)
    with world.owner() as uow:
        verdict = verify(uow)
    assert verdict.broken_at == broken, (deed, verdict)
    assert verdict.why


def test_a_chain_written_anew_differs_from_a_mark_kept_outside(world: World) -> None:
    write(world, 5)
    with world.owner() as uow:
        end = verify(uow).end
    with world.connect("dask_owner") as connection:
        connection.execute("DELETE FROM audit_event")
        connection.execute("UPDATE audit_head SET seq = 0, hash = %s", [GENESIS])
    write(world, 6)
    with world.owner() as uow:
        assert verify(uow).broken_at is None, "by itself such a chain looks whole"
    with world.owner() as uow:
        assert verify(uow, expect=end).broken_at == 5
        assert verify(uow, expect=Mark(99, end.hash)).broken_at == 7


def test_the_trigger_and_the_words_agree_for_any_text(world: World) -> None:
    awkward = ["", "-", "1:a", "Å" * 300, "\U0001f600", "a\nb", "‮ 12:"]
    with world.owner() as uow:
        for value in awkward:
            uow.execute(
                text(
                    "INSERT INTO audit_event (kind, actor_name, actor_role, object_type, object_id,"
                    " address, request_id, details) SELECT t.v, t.v, 'r', t.v, NULL, '2001:db8::1',"
                    " t.v, jsonb_build_object('k', t.v) FROM (SELECT CAST(:v AS text) AS v) t"
                ),
                {"v": value[:40]},
            )
    with world.owner() as uow:
        assert verify(uow) == verify(uow)
        assert verify(uow).broken_at is None
        assert verify(uow).rows == len(awkward)


ROW = st.fixed_dictionaries(
    {
        name: st.none() | st.text(max_size=8)
        for name in ("kind", "actor_id", "actor_name", "actor_role", "unit_id", "address",
                     "object_type", "object_id", "subject_id", "request_id", "details", "at_us")
    }
)  # fmt: skip


@given(ROW, ROW)
def test_two_rows_never_share_a_hash(one: dict[str, Any], other: dict[str, Any]) -> None:
    one, other = {"seq": "1", **one}, {"seq": "1", **other}
    assert (link(GENESIS, one) == link(GENESIS, other)) == (one == other)


@given(st.lists(ROW, min_size=2, max_size=6), st.data())
def test_any_one_change_is_found(made: list[dict[str, Any]], data: st.DataObject) -> None:
    chain: list[dict[str, Any]] = []
    previous = GENESIS
    for number, values in enumerate(made, 1):
        row = {"seq": str(number), **values, "previous": previous}
        row["hash"] = previous = link(previous, row)
        chain.append(row)
    assert walk(chain).broken_at is None
    place = data.draw(st.integers(0, len(chain) - 1))
    field = data.draw(st.sampled_from(sorted(made[0])))
    chain[place] = {**chain[place], field: (chain[place][field] or "") + "x"}
    assert walk(chain).broken_at == place + 1
