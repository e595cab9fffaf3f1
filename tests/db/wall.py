"""A raw connection as the web role, with nothing of the application between."""

from __future__ import annotations

import psycopg

from tests.world import PEOPLE, World


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
