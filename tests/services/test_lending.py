"""What tests are lent is as good as new, whatever the one before has done to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from dask_platform.features.identity.views import HASHER
from tests.databases import Template
from tests.world import World


@pytest.fixture
def lender(school_template: Template) -> Iterator[Template]:
    """The school's template, with nothing lent yet."""
    with closing(Template(school_template.server, school_template.name)) as made:
        yield made


def everything(template: Template, name: str) -> dict[str, Any]:
    """Each row of each table, and where each sequence stands."""
    with psycopg.connect(template.server.dsn(name)) as connection:
        found = connection.execute(
            "SELECT relkind, relname FROM pg_class WHERE relkind IN ('r', 'S')"
            " AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        return {
            relation: sorted(map(str, connection.execute(f"SELECT * FROM {relation}")))
            if kind == "r"
            else connection.execute(f"SELECT last_value, is_called FROM {relation}").fetchone()
            for kind, relation in found
        }


def test_rows_and_sequences_are_put_back(lender: Template) -> None:
    with lender.copy() as first:
        before = everything(lender, first)
        with psycopg.connect(lender.server.dsn(first)) as connection:
            connection.execute("UPDATE person SET display_name = 'x' WHERE username = 'anna'")
            connection.execute("DELETE FROM placement")
            connection.execute("SELECT dask_defer('t', '{}'::jsonb, 'q', NULL)")
        with psycopg.connect(lender.server.dsn(first)) as connection:
            connection.execute("INSERT INTO school (id, slug, name) VALUES"
                               " (gen_random_uuid(), 'ny', 'Ny')")  # fmt: skip
        changed = everything(lender, first)
        assert {table for table in before if before[table] != changed[table]} >= {
            "person", "placement", "procrastinate_jobs", "procrastinate_jobs_id_seq", "school",
        }  # fmt: skip
    with lender.copy() as second:
        assert second == first, "it was dropped, and every test pays for a new one"
        assert everything(lender, second) == before


def test_numbers_that_were_taken_in_vain_are_put_back(lender: Template) -> None:
    with lender.copy() as first:
        before = everything(lender, first)
        with psycopg.connect(lender.server.dsn(first)) as connection:
            connection.execute("SELECT dask_defer('t', '{}'::jsonb, 'q', NULL)")
            connection.rollback()
        assert everything(lender, first) != before
    with lender.copy() as second:
        assert everything(lender, second) == before


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE person ADD COLUMN mine int",
        "ALTER TABLE person ALTER COLUMN display_name SET DEFAULT 'x'",
        "ALTER TABLE audit_event DISABLE TRIGGER ALL",
        "ALTER TABLE person DISABLE ROW LEVEL SECURITY",
        "DROP POLICY owner_all ON person",
        "GRANT DELETE ON audit_event TO dask_web",
        "ALTER ROLE dask_web IN DATABASE {} SET work_mem = '1MB'",
        "CREATE SCHEMA mine",
    ],
)
def test_a_changed_schema_is_not_lent_again(lender: Template, statement: str) -> None:
    with lender.copy() as first, psycopg.connect(lender.server.dsn(first)) as connection:
        connection.execute(statement.format(first))
    with lender.copy() as second:
        assert second != first


def test_a_database_in_which_somebody_is_left_is_not_lent_again(lender: Template) -> None:
    with lender.copy() as first:
        connection = psycopg.connect(lender.server.dsn(first))
    connection.close()
    with lender.copy() as second:
        assert second != first


def test_an_application_forgets_what_a_test_exchanged(lender: Template, tmp_path: Path) -> None:
    with lender.copy() as name:
        first = World(lender.server, name, tmp_path)
        app, hasher = first.app, first.app.extensions[HASHER]
        app.extensions[HASHER] = None
        first.close()
        second = World(lender.server, name, tmp_path)
        assert second.app is app, "it was thrown away, and every test pays for a new one"
        assert app.extensions[HASHER] is hasher
        assert app.extensions["dask"] is second.platform
        assert second.platform.clock is second.clock
        second.close()


def test_an_application_that_was_added_to_is_not_lent_again(
    lender: Template, tmp_path: Path
) -> None:
    with lender.copy() as name:
        first = World(lender.server, name, tmp_path)
        app = first.app
        app.after_request(lambda answer: answer)
        first.close()
        second = World(lender.server, name, tmp_path)
        assert second.app is not app
        with second.owner() as uow:
            assert uow.scalar(text("SELECT 1")) == 1
        second.close()


def test_worlds_with_other_settings_have_other_applications(
    lender: Template, tmp_path: Path
) -> None:
    with lender.copy() as name:
        plain = World(lender.server, name, tmp_path)
        behind = World(lender.server, name, tmp_path, proxy_hops=1)
        assert plain.app is not behind.app
        assert plain.app.extensions["dask"].settings.proxy_hops == 0
        assert behind.app.extensions["dask"].settings.proxy_hops == 1
        plain.close()
        behind.close()
