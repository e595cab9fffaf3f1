"""Databases and stores to back up and to restore into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.entry.backups import (
    Place,
    Places,
    fill,
)
from tests.services.postgres import PostgresServer
from tests.world import World


@pytest.fixture
def places(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Places]:
    made = Places(postgres_server, tmp_path)
    yield made
    made.close()


@pytest.fixture
def school(world: World, places: Places) -> Place:
    """A school with people, attempts, files in every state, sessions and a log."""
    place = places.of(world.database_name, "old")
    fill(world, place)
    # The platform is stopped while somebody restores; here, its connections.
    world.disconnect()
    return place
