"""``dask-platform people``, ``unit`` and ``room``, and the nightly sweep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from dask_platform.adapters.directory.memory import MemoryDirectory, MemoryPerson
from dask_platform.db.unit_of_work import Database
from dask_platform.features.identity.cli import people, room, unit
from dask_platform.features.identity.jobs import sweep_now
from dask_platform.kernel.errors import DaskError, Invalid, NotAllowed
from dask_platform.web.platform import Platform
from tests.features.identity.conftest import log_in
from tests.world import World


@dataclass
class Context:
    """What the command line hands to a command."""

    platform: Platform
    owner: Database

    def owner_database(self) -> Database:
        return self.owner


@pytest.fixture
def context(school: World) -> Iterator[Context]:
    owner = Database(school.url("dask_owner"))
    yield Context(school.platform, owner)
    owner.dispose()


def run(context: Context, *words: str) -> Result:
    group = {"people": people, "unit": unit, "room": room}[words[0]]
    result = CliRunner().invoke(group, list(words[1:]), obj=context)
    if isinstance(result.exception, DaskError):
        raise result.exception
    return result


def test_people_add_prints_a_password_that_works_once(school: World, context: Context) -> None:
    result = run(context, "people", "add", "sjef", "--name", "Sjef", "--role", "operator",
                 "--unit", "sor")  # fmt: skip
    assert result.exit_code == 0
    answer = log_in(school.anonymous(), "sjef", result.output.strip())
    assert answer.status_code == 200
    assert "new-password" in answer.text
    (event,) = school.audit("person.created")
    assert (event["actor_name"], event["actor_role"]) == ("command line", "system")


def test_people_add_refuses_with_a_reason(context: Context) -> None:
    with pytest.raises(Invalid, match="taken"):
        run(context, "people", "add", "anna", "--name", "A", "--role", "teacher", "--unit", "nord")
    with pytest.raises(Invalid, match="no unit"):
        run(context, "people", "add", "nils", "--name", "A", "--role", "teacher", "--unit", "øst")
    result = run(context, "people", "add", "x", "--name", "A", "--role", "king", "--unit", "nord")
    assert result.exit_code == 2


def test_people_list(context: Context) -> None:
    everybody = run(context, "people", "list").output.splitlines()
    assert "anna\tAnna\topen\tlocal\tstudent@Nord fengsel" in everybody
    assert len(everybody) == 12
    assert len(run(context, "people", "list", "--unit", "sor").output.splitlines()) == 3


def test_people_reset_password_ends_sessions(school: World, context: Context) -> None:
    client = school.client("tora")
    result = run(context, "people", "reset-password", "Tora")
    assert client.get("/account").status_code == 303
    assert log_in(school.anonymous(), "tora", result.output.strip()).status_code == 200
    with pytest.raises(Invalid):
        run(context, "people", "reset-password", "nobody")


def test_people_sync_says_what_it_did(school: World, context: Context) -> None:
    with pytest.raises(NotAllowed, match="DASK_DIRECTORY"):
        run(context, "people", "sync")
    directory = MemoryDirectory(
        MemoryPerson("kari", "x" * 12, "Kari", grants=frozenset({("teacher", "nord")}))
    )
    school.platform.directory = directory
    assert "1 in the directory, 1 new, 0 deactivated" in run(context, "people", "sync").output
    directory.remove("kari")
    with pytest.raises(NotAllowed, match="--force"):
        run(context, "people", "sync")
    assert "1 deactivated" in run(context, "people", "sync", "--force").output


def test_a_directory_that_is_down_changes_nothing(school: World, context: Context) -> None:
    directory = MemoryDirectory()
    directory.down = True
    school.platform.directory = directory
    with pytest.raises(DaskError, match="does not answer"):
        run(context, "people", "sync", "--force")
    assert school.audit() == []


def test_unit_and_room_add(school: World, context: Context) -> None:
    words = ["unit", "add", "ost-a", "--name", "Øst", "--level", "low", "--school"]
    with pytest.raises(Invalid, match="school-name"):
        run(context, *words, "ost")
    assert run(context, *words, "ost", "--school-name", "Øst videregående").exit_code == 0
    with pytest.raises(Invalid, match="already"):
        run(context, *words, "ost")
    with pytest.raises(Invalid, match="short name"):
        run(context, "unit", "add", "Ø st", "--name", "x", "--level", "low", "--school", "nord")
    assert run(context, "room", "add", "ost-a", "Rom 1", "--network", "10.7.0.0/24").exit_code == 0
    with pytest.raises(Invalid, match="overlaps"):
        run(context, "room", "add", "ost-a", "Rom 2", "--network", "10.7.0.128/25")
    assert [event["kind"] for event in school.audit()] == ["unit.added", "room.changed"]
    with school.owner() as uow:
        assert uow.execute(text("SELECT count(*) FROM room WHERE name = 'Rom 2'")).scalar() == 0


def test_sweep_removes_what_is_long_over_and_nothing_else(school: World) -> None:
    school.clock.move(-timedelta(days=60))
    school.client("tora")
    log_in(school.anonymous(), "anna", "feil")
    school.clock.move(timedelta(days=60))
    fresh = school.client("tora")
    with school.worker() as platform:
        assert sweep_now(platform) == (1, 2)
        assert sweep_now(platform) == (0, 0)
    assert fresh.get("/account").status_code == 200
