"""What the tests of courses share."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_platform.adapters.storage import FilesystemStore
from tests.features.courses.author import Author
from tests.world import World

CONTENT = Path(__file__).parents[3] / "content"


@pytest.fixture
def school(world: World) -> World:
    """The small school, with a file store that is ready."""
    assert isinstance(world.platform.files, FilesystemStore)
    world.platform.files.ensure_folder()
    return world


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A place for courses on disk, beside what the school keeps there."""
    made = tmp_path / "courses"
    made.mkdir()
    return made


@pytest.fixture
def author(school: World) -> Author:
    """Tora, with a course of her own."""
    return Author(school)
