"""Databases for tests: templates made once a worker, a copy as good as new for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import psycopg.sql
import pytest

from dask_platform.db import migrate
from tests.databases import Template
from tests.services.postgres import PostgresServer
from tests.world import World


def _worker() -> str:
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


@pytest.fixture(scope="session")
def template(postgres_server: PostgresServer) -> Iterator[Template]:
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
    with closing(Template(postgres_server, name)) as made:
        yield made


@pytest.fixture(scope="session")
def school_template(
    template: Template, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Template]:
    """The same with the small school in it, so that no test waits for it to be built."""
    name = f"school_{_worker()}"
    template.copy_as(name)
    World(template.server, name, tmp_path_factory.mktemp("school")).close()
    with closing(Template(template.server, name)) as made:
        yield made


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
