"""``dask-platform whitelist import`` on a real database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from dask_platform.db.unit_of_work import Database
from dask_platform.features.whitelists.cli import whitelist
from dask_platform.kernel.errors import ConfigurationError
from dask_platform.web.platform import Platform
from tests.features.whitelists.test_cli import write
from tests.world import World


@dataclass
class Context:
    """What the command line hands to a command."""

    platform: Platform
    owner: Database

    def owner_database(self) -> Database:
        return self.owner


def run(world: World, folder: Path) -> Result:
    owner = Database(world.url("dask_owner"))
    try:
        return CliRunner().invoke(
            whitelist,
            ["import", str(folder)],
            obj=Context(world.platform, owner),
            catch_exceptions=False,
        )
    finally:
        owner.dispose()


def in_force(world: World) -> set[str]:
    with world.uow("anna") as uow:
        return set(uow.scalars(text("SELECT rule_id FROM dask_whitelist_rules()")))


def test_what_the_files_say_is_in_force(world: World, tmp_path: Path) -> None:
    folder = write(tmp_path, {})
    other = {"pass": ["https://kart.no/"], "refuse": ["https://a.no/"]}
    write(folder, {"id": "kart", "host": "kart.no", "examples": other}, under="units/nord")
    assert run(world, folder).output == "2 added, 0 changed, 0 taken away, 0 as they were\n"
    assert in_force(world) == {"leksikon", "kart"}
    assert run(world, folder).output == "0 added, 0 changed, 0 taken away, 2 as they were\n"
    (folder / "units/nord/kart.yaml").unlink()
    assert run(world, folder).output == "0 added, 0 changed, 1 taken away, 1 as they were\n"
    assert in_force(world) == {"leksikon"}
    (event, _second) = world.audit("whitelist.loaded")
    assert event["actor_id"] is None


def test_one_wrong_file_and_nothing_is_loaded(world: World, tmp_path: Path) -> None:
    folder = write(tmp_path, {}, {"id": "falsk", "ukjent": 1})
    with pytest.raises(ConfigurationError) as refused:
        run(world, folder)
    assert "national/falsk.yaml" in refused.value.problems[0]
    assert in_force(world) == set()
