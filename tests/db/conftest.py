"""A school that has been lived in, and a raw connection to its tables."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from dask_platform.kernel.ids import new_code
from tests.db.wall import Wall
from tests.features.whitelists.office import Office, elsewhere
from tests.world import World


@pytest.fixture(scope="module")
def lived_in(shared_world: World) -> World:
    """The school after anna, bo and cem have each left a row in every table about themselves."""
    world = shared_world
    now = world.clock.now()
    for name, unit in (("anna", "nord"), ("bo", "nord"), ("cem", "sor")):
        world.session(name)
        teacher = "tora" if unit == "nord" else "siri"
        with world.owner() as uow:
            values: dict[str, Any] = {
                "id": uuid4(), "file": uuid4(), "class": world.id(f"class {unit}"),
                "item": world.id("brev"), "page": world.id("les"), "person": world.id(name),
                "now": now, "receipt": new_code(), "key": f"handins/{uuid4()}",
                "hash": hashlib.sha256(b"").hexdigest(), "teacher": world.id(teacher),
                "code": name.encode().ljust(32, b"."),
            }  # fmt: skip
            for statement in (
                "INSERT INTO reading (person_id, class_id, item_id, first_at)"
                " VALUES (:person, :class, :page, :now)",
                "INSERT INTO attempt (id, class_id, item_id, person_id, number, state, text,"
                " receipt, started_at, saved_at, handed_in_at, late, file_count, scan_state,"
                " version) VALUES (:id, :class, :item, :person, 1, 'handed_in', 'svar', :receipt,"
                " :now, :now, :now, false, 1, 'clean', 1)",
                "INSERT INTO handin_file (id, attempt_id, person_id, name, storage_key, size,"
                " sha256, mime, family, extension, added_at, scan_state) VALUES (:file, :id,"
                " :person, 'brev.pdf', :key, 3, :hash, 'application/pdf', 'pdf', 'pdf', :now,"
                " 'clean')",
                "INSERT INTO marking (attempt_id, student_id, grade, comment, marked_by,"
                " marked_at, returned_at, version) VALUES (:id, :person, '5', '', :teacher, :now,"
                " NULL, 1)",
                "INSERT INTO totp_secret (person_id, secret, last_step) VALUES (:person, 'x', 0)",
                "INSERT INTO recovery_code (id, person_id, code_hash) VALUES (:id, :person, :code)",
                "INSERT INTO audit_review (unit_id, week, reviewed_by, reviewed_at, note,"
                " head_seq, head_hash) SELECT unit_id, DATE '2026-11-16', :teacher, :now, '', 0,"
                " '\\x00' FROM course_class WHERE id = :class ON CONFLICT DO NOTHING",
                "INSERT INTO audit_event (kind, actor_id, actor_name, actor_role, unit_id,"
                " subject_id, details) SELECT 'attempt.read', :teacher, 't', 'teacher', unit_id,"
                " :person, '{}' FROM course_class WHERE id = :class",
            ):
                from sqlalchemy import text

                uow.execute(text(statement), values)
    _whitelists(world)
    return world


def _whitelists(world: World) -> None:
    """A rule, a proposal, and of each student a stop and a wish."""
    office = Office(world)
    office.load(elsewhere(world, "leksikon"))
    office.propose("sigrid", elsewhere(world, "kart"))
    for name, officer in (("anna", "sigrid"), ("bo", "stein"), ("cem", "sverre")):
        office.stop(officer, "stop_student", world.id(name))
        office.wish(name)


@pytest.fixture(scope="module")
def wall(lived_in: World) -> Iterator[Wall]:
    made = Wall(lived_in)
    yield made
    made.connection.close()
