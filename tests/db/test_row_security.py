"""The second wall by itself: raw connections as the web role, the application's filters away."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from dask_platform.features import all_models
from tests.db.wall import Wall
from tests.world import World

PERSONAL = sorted(t.name for t in all_models().tables.values() if t.info["personal"])
# Written before anybody is logged in, or by the log-in itself; they name nobody.
READABLE_WITHOUT_ACTOR = {
    "audit_head", "login_throttle", "room", "room_network", "school", "unit",
}  # fmt: skip


def test_every_table_is_forced_behind_row_security(lived_in: World) -> None:
    with lived_in.connect("dask_owner") as connection:
        bare = connection.execute(
            "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname = 'public' AND relkind = 'r' AND NOT relname LIKE 'procrastinate%'"
            " AND relname <> 'alembic_version' AND NOT (relrowsecurity AND relforcerowsecurity)"
        ).fetchall()
    assert not bare, (
        f"{[row[0] for row in bare]}: ENABLE and FORCE ROW LEVEL SECURITY in the migration that "
        "makes the table, and write its policies beside those in migrations/sql."
    )


@pytest.mark.parametrize("table", PERSONAL)
def test_no_personal_table_is_open_to_all(lived_in: World, table: str) -> None:
    with lived_in.connect("dask_owner") as connection:
        policies = connection.execute(
            "SELECT policyname, qual FROM pg_policies WHERE tablename = %s"
            " AND 'dask_web' = ANY (roles) AND cmd IN ('SELECT', 'ALL')",
            [table],
        ).fetchall()
    assert policies, f"{table} holds personal data and has no policy for dask_web. Write one."
    open_ones = [name for name, condition in policies if condition in (None, "true")]
    assert not open_ones, f"{table}: {open_ones} shows every row. Narrow it to the actor."


@pytest.mark.parametrize("table", sorted(all_models().tables))
def test_without_an_actor_no_row_is_visible(wall: Wall, table: str) -> None:
    wall.as_(None)
    if table in READABLE_WITHOUT_ACTOR:
        assert table not in PERSONAL
        return
    assert wall.count(table) == 0, f"{table} shows rows to nobody in particular"


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("attempt", "person_id"), ("handin_file", "person_id"), ("reading", "person_id"),
        ("enrolment", "person_id"), ("placement", "person_id"), ("login_session", "person_id"),
        ("local_credential", "person_id"), ("totp_secret", "person_id"),
        ("recovery_code", "person_id"), ("site_request", "person_id"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("student", ["anna", "bo", "cem"])
def test_a_student_sees_own_rows_only(wall: Wall, table: str, column: str, student: str) -> None:
    assert wall.as_(student).people(table, column) == {student}


def test_a_student_in_no_class_sees_nobodys_work(wall: Wall) -> None:
    wall.as_("dag")
    for table in ("attempt", "handin_file", "reading", "enrolment", "marking", "course"):
        assert wall.count(table) == 0, table
    assert wall.people("person", "id") == {"dag"}


def test_a_student_knows_only_own_teachers_by_name(wall: Wall) -> None:
    assert wall.as_("anna").people("person", "id") == {"anna", "tora"}
    assert wall.as_("cem").people("person", "id") == {"cem", "siri"}


def test_a_marking_is_the_students_only_when_returned(lived_in: World, wall: Wall) -> None:
    assert wall.as_("anna").count("marking") == 0
    with lived_in.connect("dask_owner") as connection:
        connection.execute(
            "UPDATE marking SET returned_at = now() WHERE student_id = %s", [lived_in.id("anna")]
        )
    assert wall.as_("anna").people("marking", "student_id") == {"anna"}
    assert wall.as_("bo").count("marking") == 0


@pytest.mark.parametrize("table", ["attempt", "handin_file", "reading"])
def test_work_is_seen_by_the_teacher_of_the_class_and_no_other_staff(
    wall: Wall, table: str
) -> None:
    assert wall.as_("tora").people(table) == {"anna", "bo"}
    assert wall.as_("siri").people(table) == {"cem"}
    for other in ("even", "odd", "sigrid", "sverre", "olga"):
        assert wall.as_(other).people(table) == set(), other


def test_wishes_are_seen_by_teachers_of_the_class_and_by_security(wall: Wall) -> None:
    assert wall.as_("tora").people("site_request") == {"anna", "bo"}
    assert wall.as_("sigrid").people("site_request") == {"anna", "bo"}
    assert wall.as_("siri").people("site_request") == {"cem"}
    assert wall.as_("sverre").people("site_request") == {"cem"}
    for other in ("even", "odd", "olga", "dag"):
        assert wall.as_(other).count("site_request") == 0, other


def test_the_whitelist_and_its_stops_are_securitys(wall: Wall) -> None:
    assert wall.as_("sigrid").people("whitelist_stop") == {"anna", "bo"}
    assert wall.as_("sverre").people("whitelist_stop") == {"cem"}
    for officer in ("sigrid", "sverre"):
        wall.as_(officer)
        assert wall.count("whitelist_version") == wall.count("whitelist_proposal") == 1
    for other in ("anna", "tora", "odd", "olga"):
        wall.as_(other)
        for table in ("whitelist_version", "whitelist_proposal", "whitelist_stop"):
            assert wall.count(table) == 0, f"{other}: {table}"


def test_staff_see_students_of_their_own_units(wall: Wall) -> None:
    for name in ("tora", "even", "odd", "sigrid", "olga"):
        seen = wall.as_(name).people("person", "id")
        assert {"anna", "bo", "dag"} <= seen, name
        assert not seen & {"cem", "siri", "sverre"}, name


def test_the_log_is_read_by_security_of_the_unit(wall: Wall) -> None:
    for name, own in (("sigrid", {"anna", "bo"}), ("sverre", {"cem"})):
        assert wall.as_(name).people("audit_event", "subject_id") == own
    for name in ("anna", "tora", "odd", "olga"):
        assert wall.as_(name).count("audit_event") == 0, name


def test_rights_end_with_the_placement(world: World) -> None:
    """What the sending unit's teacher saw a second ago is gone at the next request."""
    wall = Wall(world)
    assert wall.as_("tora").people("enrolment") == {"anna", "bo"}
    moved = world.clock.now() - timedelta(seconds=1)
    with world.connect("dask_owner") as connection:
        connection.execute(
            "UPDATE placement SET ends_at = %s WHERE person_id = %s", [moved, world.id("anna")]
        )
        connection.execute(
            "INSERT INTO placement (id, person_id, unit_id, starts_at) VALUES (%s, %s, %s, %s)",
            [uuid4(), world.id("anna"), world.id("sor"), moved],
        )
    assert wall.as_("tora").people("enrolment") == {"bo"}
    assert wall.as_("anna").count("course") == 0
    wall.connection.close()


def test_rights_end_with_the_role(world: World) -> None:
    wall = Wall(world)
    with world.connect("dask_owner") as connection:
        connection.execute(
            "UPDATE staff_role SET ends_at = now() WHERE person_id = %s", [world.id("tora")]
        )
    assert wall.as_("tora").people("enrolment") == set()
    assert wall.people("person", "id") == {"tora"}
    wall.connection.close()
