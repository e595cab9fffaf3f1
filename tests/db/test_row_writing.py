"""What the web role cannot write, whoever acts."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest

from tests.db.wall import Wall

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
