"""The second wall by itself: raw connections as the web role, the application's filters away."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from dask_platform.features import all_models
from dask_platform.kernel.ids import new_code
from tests.features.whitelists.office import Office, elsewhere
from tests.world import PEOPLE, World

PERSONAL = sorted(t.name for t in all_models().tables.values() if t.info["personal"])
# Written before anybody is logged in, or by the log-in itself; they name nobody.
READABLE_WITHOUT_ACTOR = {
    "audit_head", "login_throttle", "room", "room_network", "school", "unit",
}  # fmt: skip


class Wall:
    """A raw connection as the web role, with or without an actor."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.connection = world.connect("dask_web")

    def as_(self, name: str | None) -> Wall:
        self.connection.rollback()
        person = str(self.world.id(name)) if name else ""
        self.connection.execute("SELECT set_config('dask.actor', %s, true)", [person])
        return self

    def count(self, table: str, where: str = "true", *values: object) -> int:
        found = self.connection.execute(f"SELECT count(*) FROM {table} WHERE {where}", values)
        return int(found.fetchone()[0])

    def people(self, table: str, column: str = "person_id") -> set[str]:
        """The user names whose rows of ``table`` the actor sees."""
        names = {str(self.world.id(name)): name for name in PEOPLE}
        found = self.connection.execute(
            f"SELECT DISTINCT {column}::text FROM {table} WHERE {column} IS NOT NULL"
        )
        return {names[row[0]] for row in found}

    def refused(self, statement: str, *values: object) -> bool:
        """Whether the database refuses, or does nothing."""
        try:
            with self.connection.transaction():
                return bool(self.connection.execute(statement, values).rowcount == 0)
        except (
            psycopg.errors.InsufficientPrivilege,
            # A trigger may speak before the policy does.
            psycopg.errors.CheckViolation,
            psycopg.errors.ExclusionViolation,
        ):
            return True


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


WRITES = {
    "give oneself a role": (
        "INSERT INTO staff_role (id, person_id, unit_id, role, source, starts_at)"
        " VALUES (gen_random_uuid(), dask_actor(), %(nord)s, 'security', 'local', now())"
    ),
    "place oneself": (
        "INSERT INTO placement (id, person_id, unit_id, starts_at)"
        " VALUES (gen_random_uuid(), dask_actor(), %(sor)s, now())"
    ),
    "enrol oneself": (
        "INSERT INTO enrolment (id, class_id, person_id, enrolled_at)"
        " VALUES (gen_random_uuid(), %(class_sor)s, dask_actor(), now())"
    ),
    "hand in for another": (
        "INSERT INTO attempt (id, class_id, item_id, person_id, number, state, text, started_at,"
        " saved_at, late, file_count, scan_state, version) VALUES (gen_random_uuid(),"
        " %(class_nord)s, %(brev)s, %(bo)s, 9, 'draft', '', now(), now(), false, 0, 'clean', 1)"
    ),
    "mark oneself": (
        "INSERT INTO marking (attempt_id, student_id, grade, comment, marked_by, marked_at,"
        " version) SELECT id, person_id, '6', '', dask_actor(), now(), 1 FROM attempt LIMIT 1"
    ),
    "clear a file": "UPDATE handin_file SET scan_state = 'clean'",
    "change what is handed in": "UPDATE attempt SET text = 'bedre'",
    "end another's session": (
        "UPDATE login_session SET ended_at = now() WHERE person_id <> dask_actor()"
    ),
    "rename another": "UPDATE person SET display_name = 'x' WHERE id <> dask_actor()",
    "change another's password": (
        "UPDATE local_credential SET password_hash = 'x' WHERE person_id <> dask_actor()"
    ),
    "read the job queue": "SELECT * FROM procrastinate_jobs",
    "make a course": (
        "INSERT INTO course (id, slug, language, title, summary, published, version, updated_at)"
        " VALUES (gen_random_uuid(), 'x', 'nb', 'x', '', true, 1, now())"
    ),
    "change a page": "UPDATE course_item SET body_html = 'x'",
    "move a deadline": "UPDATE class_deadline SET due_at = now()",
    "open a class": (
        "INSERT INTO course_class (id, course_id, unit_id, name, created_at)"
        " VALUES (gen_random_uuid(), %(course)s, %(nord)s, 'x', now())"
    ),
    "become a teacher": (
        "INSERT INTO class_teacher (class_id, person_id, since)"
        " VALUES (%(class_nord)s, dask_actor(), now())"
    ),
    "sign a week": (
        "INSERT INTO audit_review (unit_id, week, reviewed_by, reviewed_at, note, head_seq,"
        " head_hash) VALUES (%(nord)s, DATE '2026-11-09', dask_actor(), now(), '', 0, '')"
    ),
    "open a room to oneself": (
        "INSERT INTO room_network (id, room_id, network)"
        " VALUES (gen_random_uuid(), %(room)s, '10.9.0.0/24')"
    ),
}


@pytest.mark.parametrize("deed", sorted(WRITES))
def test_what_a_student_cannot_write(wall: Wall, deed: str) -> None:
    names = ("nord", "sor", "class nord", "class sor", "brev", "bo", "course", "room")
    ids: dict[str, UUID] = {name.replace(" ", "_"): wall.world.id(name) for name in names}
    wall.as_("anna")
    statement = WRITES[deed] % {name: f"'{value}'::uuid" for name, value in ids.items()}
    assert wall.refused(statement), f"anna could {deed}"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET kind = 'x'",
        "DELETE FROM audit_event",
        "TRUNCATE audit_event",
        "UPDATE audit_head SET seq = 0",
        "DELETE FROM audit_review",
        "UPDATE audit_review SET note = 'x'",
        "INSERT INTO audit_event (seq, at, kind, actor_name, actor_role, details, previous, hash)"
        " VALUES (1, now(), 'x', 'x', 'x', '{}', '', '')",
        "ALTER TABLE audit_event DISABLE TRIGGER ALL",
        "ALTER TABLE attempt DISABLE ROW LEVEL SECURITY",
        "DROP POLICY self_reads ON attempt",
        "ALTER ROLE dask_web BYPASSRLS",
        "SET ROLE dask_owner",
        "SET SESSION AUTHORIZATION dask_owner",
        "CREATE TABLE mine (id int)",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ],
)
@pytest.mark.parametrize("actor", ["anna", "sigrid", "olga"])
def test_the_web_role_cannot_change_the_log_or_its_own_rights(
    wall: Wall, actor: str, statement: str
) -> None:
    wall.as_(actor)
    before = wall.world.audit()
    with pytest.raises(
        (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue)
    ):
        wall.connection.execute(statement)
    wall.connection.rollback()
    assert wall.world.audit() == before


def test_the_web_role_cannot_grant_itself_anything(wall: Wall) -> None:
    wall.as_("olga").connection.execute("GRANT ALL ON audit_event TO dask_web")  # only a warning
    rights = wall.connection.execute(
        "SELECT has_table_privilege('audit_event', 'UPDATE'),"
        " has_table_privilege('audit_event', 'DELETE'),"
        " has_table_privilege('audit_event', 'TRUNCATE')"
    ).fetchone()
    assert rights == (False, False, False)


def test_the_web_role_is_no_superuser_and_owns_nothing(wall: Wall) -> None:
    wall.as_(None)
    rights = wall.connection.execute(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles"
        " WHERE rolname = 'dask_web'"
    ).fetchone()
    owned = wall.count("pg_class", "pg_get_userbyid(relowner) = 'dask_web'")
    assert rights == (False, False, False, False)
    assert owned == 0


def test_functions_answer_about_the_actor_alone(wall: Wall) -> None:
    """A function of the row policies, called by hand, tells no more than the tables do."""
    cem = wall.world.id("cem")
    for name in ("anna", "tora"):
        found = wall.as_(name).connection.execute("SELECT dask_unit_of(%s)", [cem]).fetchone()
        assert found == (None,), name
    public = wall.connection.execute(
        "SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace"
        " WHERE nspname = 'public' AND p.proacl IS NULL"
    ).fetchall()
    assert not public, f"{public}: a function without grants may be called by anybody. REVOKE it."
