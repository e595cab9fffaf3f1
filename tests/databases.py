"""Databases for tests that are lent, put back as they were, and lent again.

Copying a database and dropping it costs the server some 40 ms, and as much again until new
connections know its tables; putting back the rows that a test has changed costs 5. So a copy goes
round: a test that returns one finds nothing of the one before it. A copy that cannot be put back
with certainty is dropped as it always was: somebody is still connected, the schema was changed, or
anything failed on the way.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from dask_platform.db.unit_of_work import Database
from tests.services.postgres import PostgresServer

#: The most connections of one test to one database as one role.
POOL = 12

# Every object of ours, and when it was last written: any change of the schema gives another answer.
# Vacuum and analyze write in place and leave ``xmin`` alone.
_SCHEMA = " UNION ALL ".join(
    f"SELECT '{catalogue}', count(*), sum(xmin::text::bigint) FROM {catalogue} WHERE {ours}"
    for catalogue, ours in {
        "pg_attrdef": "true",
        "pg_attribute": "attrelid >= 16384",
        "pg_class": "oid >= 16384",
        "pg_constraint": "oid >= 16384",
        "pg_db_role_setting": "true",
        "pg_default_acl": "true",
        "pg_extension": "true",
        "pg_namespace": "true",
        "pg_policy": "true",
        "pg_proc": "oid >= 16384",
        "pg_trigger": "true",
        "pg_type": "oid >= 16384",
    }.items()
)
_TABLES = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    " ORDER BY 1"
)
_SEQUENCES = _TABLES.replace("'r'", "'S'")
_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


@dataclass(frozen=True, slots=True)
class Contents:
    """What stands in a template: the rows of each table as COPY writes them, the sequences."""

    rows: dict[str, bytes]
    sequences: dict[str, tuple[int, bool]]
    #: Asks for a mark of each table, which any change of its rows changes.
    marks: Composed

    @classmethod
    def of(cls, connection: psycopg.Connection[Any]) -> Contents:
        tables = [name for (name,) in connection.execute(_TABLES)]
        rows = {}
        for table in tables:
            with connection.cursor().copy(
                SQL("COPY {} TO STDOUT (FORMAT binary)").format(Identifier(table))
            ) as copy:
                rows[table] = b"".join(bytes(part) for part in copy)
        names = [name for (name,) in connection.execute(_SEQUENCES)]
        sequences = {}
        for name in names:
            found = connection.execute(
                SQL("SELECT last_value, is_called FROM {}").format(Identifier(name))
            ).fetchone()
            assert found is not None
            sequences[name] = (found[0], found[1])
        marks = SQL(" UNION ALL ").join(
            SQL("SELECT {}, count(*), sum(xmin::text::bigint) FROM {}").format(t, Identifier(t))
            for t in tables
        )
        return cls(rows, sequences, marks)


@dataclass
class Copy:
    """A copy of a template, with what this process keeps open for it from test to test."""

    server: PostgresServer
    name: str
    contents: Contents
    #: Applications for this database, by their settings: see ``tests/world.py``.
    apps: dict[str, Any] = field(default_factory=dict)
    _databases: dict[tuple[str, str], Database] = field(default_factory=dict)
    _opening: Lock = field(default_factory=Lock)
    _schema: set[Any] = field(default_factory=set)
    _marks: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_one_world(cls, server: PostgresServer, name: str) -> Copy:
        """For a database that is not lent: all is closed with the world in it."""
        return cls(server, name, Contents({}, {}, SQL("").format()))

    def database(self, role: str, kind: str) -> Database:
        """Connections as ``role``; worlds whose settings are of one ``kind`` share them."""
        with self._opening:
            found = self._databases.get((role, kind))
            if found is None:
                url = self.server.url(self.name, role)
                found = self._databases[role, kind] = Database(url, pool=POOL)
            return found

    def forget(self, role: str, kind: str) -> None:
        """Close these connections; they are made anew when they are asked for."""
        with self._opening:
            found = self._databases.pop((role, kind), None)
        if found is not None:
            found.dispose()

    def disconnect(self) -> None:
        """Close every connection that waits for its next use."""
        for database in list(self._databases.values()):
            database.dispose()

    def learn(self) -> None:
        """Look at the copy while it is as it should be."""
        self._schema = self._schema_now()
        self._marks = self._marks_now()

    def put_back(self) -> bool:
        """Make it what it was; False if that is not certain, and it is not to be used again."""
        try:
            if self._nobody_else() and self._schema_now() == self._schema:
                with self._admin.transaction():
                    self._put_back_rows()
                return True
        except psycopg.Error:
            pass  # the server said no: this copy is spoiled
        return False

    def close(self) -> None:
        self.disconnect()
        if "_admin" in vars(self):
            self._admin.close()
        self._databases.clear()
        self.apps.clear()

    def _nobody_else(self) -> bool:
        """Whether only the connections are open that wait in our own pools.

        One that was closed just now may be listed a moment longer.
        """
        for _ in range(20):
            (open_now,) = self._admin.execute(_OTHERS).fetchone() or (0,)
            if open_now == sum(one.engine.pool.checkedin() for one in self._databases.values()):
                return True
            time.sleep(0.005)
        return False

    def _put_back_rows(self) -> None:
        for name, (last, called) in self.contents.sequences.items():
            # Always: what was rolled back has taken its numbers too.
            self._admin.execute("SELECT setval(%s, %s, %s)", (f'public."{name}"', last, called))
        now = self._marks_now()
        changed = [table for table in now if now[table] != self._marks[table]]
        if not changed:
            return
        # No trigger, no foreign key: the rows that come are rows that stood here.
        self._admin.execute("SET LOCAL session_replication_role = replica")
        self._admin.execute("SET LOCAL lock_timeout = '2s'")
        for table in changed:
            self._admin.execute(SQL("DELETE FROM {}").format(Identifier(table)))
            with self._admin.cursor().copy(
                SQL("COPY {} FROM STDIN (FORMAT binary)").format(Identifier(table))
            ) as copy:
                copy.write(self.contents.rows[table])
        self._marks = self._marks_now()

    def _schema_now(self) -> set[Any]:
        return set(self._admin.execute(_SCHEMA))

    def _marks_now(self) -> dict[str, Any]:
        return {row[0]: row[1:] for row in self._admin.execute(self.contents.marks)}

    @cached_property
    def _admin(self) -> psycopg.Connection[Any]:
        """The superuser's, kept open: a new connection would take longer than what it is for."""
        return psycopg.connect(self.server.dsn(self.name), autocommit=True)


#: The copies that exist, by name: a ``World`` finds here what is kept for its database.
COPIES: dict[str, Copy] = {}


@dataclass
class Template:
    """A database that is copied and never written to."""

    server: PostgresServer
    name: str
    _free: list[Copy] = field(default_factory=list)
    _contents: Contents | None = None

    @contextmanager
    def copy(self) -> Iterator[str]:
        """The name of a database with the template's contents, for as long as the block lasts."""
        lent = self._free.pop() if self._free else self._make()
        try:
            yield lent.name
        finally:
            if lent.put_back():
                self._free.append(lent)
            else:
                self._drop(lent)

    def copy_as(self, name: str) -> None:
        """A copy that stays until the server ends."""
        # Copying files is four times faster than writing the copy through the log.
        self._run(
            "CREATE DATABASE {} OWNER dask_owner TEMPLATE {} STRATEGY file_copy", name, self.name
        )

    def close(self) -> None:
        """Close what is kept open for the copies; they themselves go with the server."""
        for copy in self._free:
            copy.close()
            del COPIES[copy.name]
        self._free.clear()

    def _make(self) -> Copy:
        name = f"t_{uuid.uuid4().hex}"
        self.copy_as(name)
        if self._contents is None:
            with psycopg.connect(self.server.dsn(name)) as connection:
                self._contents = Contents.of(connection)
        made = COPIES[name] = Copy(self.server, name, self._contents)
        made.learn()
        return made

    def _drop(self, copy: Copy) -> None:
        copy.close()
        del COPIES[copy.name]
        self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", copy.name)

    def _run(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.server.dsn(), autocommit=True) as connection:
            connection.execute(SQL(statement).format(*map(Identifier, names)))
