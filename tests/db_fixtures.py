"""Databases for tests: one template a run and worker, a fresh copy for each test that asks."""

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
    """A migrated, empty database that is copied and never written to."""

    server: PostgresServer
    name: str

    @contextmanager
    def copy(self) -> Iterator[str]:
        """The name of a copy, dropped at the end whoever is still connected."""
        name = f"t_{uuid.uuid4().hex}"
        self._run("CREATE DATABASE {} OWNER dask_owner TEMPLATE {}", name, self.name)
        try:
            yield name
        finally:
            self._run("DROP DATABASE {} WITH (FORCE)", name)

    def _run(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.server.dsn(), autocommit=True) as connection:
            connection.execute(
                psycopg.sql.SQL(statement).format(*(psycopg.sql.Identifier(n) for n in names))
            )


@pytest.fixture(scope="session")
def template(postgres_server: PostgresServer) -> Template:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    name = f"template_{worker}"
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


@pytest.fixture
def database(template: Template) -> Iterator[str]:
    """The name of a fresh, migrated, empty database."""
    with template.copy() as name:
        yield name


@pytest.fixture
def world(template: Template, tmp_path: Path) -> Iterator[World]:
    """A small school of one's own: see ``tests/world.py`` for who is in it."""
    with template.copy() as name:
        made = World(template.server, name, tmp_path)
        try:
            yield made
        finally:
            made.close()


@pytest.fixture(scope="module")
def shared_world(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The same school for a whole module of tests that only look."""
    with template.copy() as name:
        made = World(template.server, name, tmp_path_factory.mktemp("world"))
        try:
            yield made
        finally:
            made.close()
