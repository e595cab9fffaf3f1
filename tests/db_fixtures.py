"""Databases for tests: templates made once a worker, a fresh copy for each test that asks."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import psycopg.sql
import pytest

from dask_platform.db import migrate
from tests.services.postgres import PostgresServer
from tests.world import World


@dataclass(frozen=True, slots=True)
class Template:
    """A database that is copied and never written to."""

    server: PostgresServer
    name: str

    @contextmanager
    def copy(self) -> Iterator[str]:
        """The name of a copy, dropped at the end whoever is still connected."""
        name = f"t_{uuid.uuid4().hex}"
        self.copy_as(name)
        try:
            yield name
        finally:
            self._run("DROP DATABASE {} WITH (FORCE)", name)

    def copy_as(self, name: str) -> None:
        """A copy that stays until the server ends."""
        # Copying files is four times faster than writing the copy through the log.
        self._run(
            "CREATE DATABASE {} OWNER dask_owner TEMPLATE {} STRATEGY file_copy", name, self.name
        )

    def _run(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.server.dsn(), autocommit=True) as connection:
            connection.execute(
                psycopg.sql.SQL(statement).format(*(psycopg.sql.Identifier(n) for n in names))
            )


def _worker() -> str:
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


@pytest.fixture(scope="session")
def template(postgres_server: PostgresServer) -> Template:
    """Migrated and empty."""
    name = f"template_{_worker()}"
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        # Roles belong to the whole server: one worker at a time makes them.
        connection.execute("SELECT pg_advisory_lock(4711)")
        migrate.ensure_roles(postgres_server.url())
        connection.execute("SELECT pg_advisory_unlock(4711)")
        connection.execute(
            psycopg.sql.SQL("CREATE DATABASE {} OWNER dask_owner").format(
                psycopg.sql.Identifier(name)
            )
        )
    migrate.upgrade(postgres_server.url(name, "dask_owner"))
    return Template(postgres_server, name)


@pytest.fixture(scope="session")
def school_template(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The same with the small school in it, so that no test waits for it to be built."""
    name = f"school_{_worker()}"
    template.copy_as(name)
    World(template.server, name, tmp_path_factory.mktemp("school")).close()
    return Template(template.server, name)


@pytest.fixture
def database(template: Template) -> Iterator[str]:
    """The name of a fresh, migrated, empty database."""
    with template.copy() as name:
        yield name


@pytest.fixture
def world(school_template: Template, tmp_path: Path) -> Iterator[World]:
    """A small school of one's own: see ``tests/world.py`` for who is in it."""
    with _world(school_template, tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def shared_world(
    school_template: Template, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """The same school for a whole module of tests that only look."""
    with _world(school_template, tmp_path_factory.mktemp("world")) as made:
        yield made


@contextmanager
def _world(source: Template, folder: Path) -> Iterator[World]:
    with source.copy() as name:
        made = World(source.server, name, folder)
        try:
            yield made
        finally:
            made.close()
