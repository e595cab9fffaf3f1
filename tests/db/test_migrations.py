"""Every migration, up, down and with data in it."""

from __future__ import annotations

import psycopg
import pytest
from alembic.script import ScriptDirectory

from dask_platform.db import migrate
from tests.db_fixtures import Template
from tests.world import World

REVISIONS = [
    revision.revision
    for revision in reversed(
        list(ScriptDirectory.from_config(migrate.alembic_config()).walk_revisions())
    )
]


def objects(dsn: str) -> set[str]:
    """Every table, function, policy, trigger and type of the platform."""
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "SELECT 'table ' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname = 'public' AND relkind = 'r' AND relname <> 'alembic_version'"
            " UNION ALL SELECT 'function ' || p.oid::regprocedure::text FROM pg_proc p"
            " JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = 'public'"
            " UNION ALL SELECT 'policy ' || policyname || ' on ' || tablename FROM pg_policies"
            " UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal"
            " UNION ALL SELECT 'type ' || typname FROM pg_type t"
            " JOIN pg_namespace n ON n.oid = typnamespace WHERE nspname = 'public'"
            " AND typtype = 'e'"
        ).fetchall()
    return {row[0] for row in found}


def test_down_to_nothing_and_up_again(template: Template) -> None:
    with template.copy() as name:
        owner, dsn = template.server.url(name, "dask_owner"), template.server.dsn(name)
        before = objects(dsn)
        migrate.downgrade(owner, "base")
        assert objects(dsn) == set()
        migrate.upgrade(owner)
        assert objects(dsn) == before


@pytest.mark.parametrize("revision", REVISIONS)
def test_each_step_goes_down_and_up_with_data(world: World, revision: str) -> None:
    """The school of the tests survives a step down to before a revision and up again.

    Stepping below the first one removes everything, which the test above shows.
    """
    owner = world.url("dask_owner")
    if revision == REVISIONS[0]:
        migrate.upgrade(owner, revision)  # nothing to do, and harmless
    else:
        before = REVISIONS[REVISIONS.index(revision) - 1]
        people = world.id("anna")
        migrate.downgrade(owner, before)
        migrate.upgrade(owner)
        with world.connect("dask_owner") as connection:
            found = connection.execute("SELECT username FROM person WHERE id = %s", [people])
            assert found.fetchone() == ("anna",)
    current, head = migrate.current_and_head(owner)
    assert current == head == REVISIONS[-1]


def test_upgrading_twice_changes_nothing(world: World) -> None:
    before = objects(world.server.dsn(world.database_name))
    migrate.upgrade(world.url("dask_owner"))
    assert objects(world.server.dsn(world.database_name)) == before
