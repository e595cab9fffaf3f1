"""What a change would have changed, over the visits that were really made."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from dask_platform.features.whitelists.cli import whitelist
from dask_platform.features.whitelists.diff import Consequences
from dask_platform.features.whitelists.queries.visits import would_change
from dask_platform.features.whitelists.rules import Rule
from tests.features.whitelists.build import PLAIN
from tests.features.whitelists.office import Office, good
from tests.world import World

SITE = "https://leksikon.no"


@pytest.fixture
def office(world: World) -> Office:
    made = Office(world)
    made.load(good(world))
    return made


def visit(
    office: Office, who: str, url: str, *, days: int = 2, unit: str = "nord", times: int = 1,
    **said: Any,
) -> None:  # fmt: skip
    line = {"method": "GET", "allowed": True, "rule": "leksikon", **said}
    with office.world.owner() as uow:
        uow.execute(
            text(
                "INSERT INTO site_visit (at, person_id, unit_id, rule_id, url, method, allowed,"
                " reason, status, size, ms, typed) SELECT :at, :who, :unit, :rule, :url, :method,"
                " :allowed, 'allowed', 200, 0, 0, false FROM generate_series(1, :times)"
            ),
            {
                "at": office.world.clock.now() - timedelta(days=days),
                "who": office.world.id(who), "unit": office.world.id(unit), "url": url,
                "times": times, **line,
            },
        )  # fmt: skip


def outcome(
    office: Office, new: Rule | None, *, officer: str = "sigrid", old: Rule | None = None
) -> Consequences:
    world = office.world
    with world.uow(officer) as uow:
        before = old or good(world)
        found, _times = would_change(uow, world.actor(officer), [], before, new, world.clock.now())
        return found


def test_what_closes_and_what_opens(office: Office) -> None:
    visit(office, "anna", f"{SITE}/katt", times=3)
    visit(office, "bo", f"{SITE}/katt", days=9)
    visit(office, "anna", f"{SITE}/hund")
    visit(office, "anna", f"{SITE}/katt?side=2", allowed=False)
    visit(office, "anna", "https://annet.no/katt")
    said = {"paths": ["/katt"], "query": [{"name": "side", "type": "integer"}]}
    got = outcome(office, good(office.world, **said))
    assert got.close == [(f"{SITE}/hund", 1)]
    assert got.open == [(f"{SITE}/katt?side=2", 1)]
    got = outcome(office, None)
    assert got.close == [(f"{SITE}/katt", 4), (f"{SITE}/hund", 1)]
    assert not got.open


def test_long_ago_and_elsewhere_are_left_out(office: Office) -> None:
    visit(office, "anna", f"{SITE}/katt", days=30)
    visit(office, "cem", f"{SITE}/hund", unit="sor")
    assert not outcome(office, None).close
    assert outcome(office, None, officer="sverre").close == [(f"{SITE}/hund", 1)]


def test_watching_is_no_difference_until_it_is_asked_for(office: Office) -> None:
    watched = good(office.world, supervised=True)
    visit(office, "anna", f"{SITE}/katt")
    assert outcome(office, watched).close == [(f"{SITE}/katt", 1)]
    narrower = good(office.world, supervised=True, paths=["/katt"])
    assert not outcome(office, narrower, old=watched).close


def test_for_whom_it_is(office: Office) -> None:
    """By the unit, its level, and the courses that the person takes; anna takes one, bo too."""
    with office.world.owner() as uow:
        slug = uow.execute(text("SELECT slug FROM course ORDER BY slug LIMIT 1")).scalar_one()
        uow.execute(
            text("UPDATE enrolment SET ended_at = now() WHERE person_id = :bo"),
            {"bo": office.world.id("bo")},
        )
    visit(office, "anna", f"{SITE}/katt")
    visit(office, "bo", f"{SITE}/hund")
    for scope, closed in (
        ({"courses": [slug]}, [f"{SITE}/hund"]),
        ({"units": ["nord"]}, []),
        ({"units": ["sor"]}, [f"{SITE}/hund", f"{SITE}/katt"]),
        ({"security_levels": ["transitional"]}, [f"{SITE}/hund", f"{SITE}/katt"]),
    ):
        got = outcome(office, good(office.world, scope=scope))
        assert sorted(url for url, _times in got.close) == closed, scope


def test_hosts_below_and_helpers(office: Office) -> None:
    helper = {"host": "bilder.no", "types": ["image/png"]}
    old = good(office.world, subdomains=True, helpers=[helper])
    for url in ("https://kart.leksikon.no/", "https://bilder.no/a.png", "https://xleksikon.no/"):
        visit(office, "anna", url)
    got = outcome(office, good(office.world), old=old)
    assert sorted(got.close) == [("https://bilder.no/a.png", 1), ("https://kart.leksikon.no/", 1)]


def test_the_page_says_so_before_anybody_approves(office: Office) -> None:
    for url in (f"{SITE}/katt", f"{SITE}/hund", f"{SITE}/hund"):
        visit(office, "anna", url)
    examples = {"pass": [f"{SITE}/hest"], "refuse": [f"{SITE}/katt"]}
    proposal = office.propose("stein", good(office.world, paths=["/hest"], examples=examples))
    page = office.world.client("sigrid").get(f"/whitelists/proposals/{proposal}").text
    assert "siste fire ukene" in page
    assert f"{SITE}/hund</code> (2 forespørsler)" in page
    assert "Anna" not in page
    elsewhere = office.world.client("sverre").get(f"/whitelists/proposals/{proposal}").text
    assert f"{SITE}/hund" not in elsewhere
    assert "Ingen ved enhetene dine" in elsewhere


def test_a_change_that_closes_nothing_says_that_too(office: Office) -> None:
    visit(office, "anna", f"{SITE}/katt", times=2)
    proposal = office.propose("stein", good(office.world, paths=["/", "/hest"]))
    page = office.world.client("sigrid").get(f"/whitelists/proposals/{proposal}").text
    assert "2 forespørsler" in page
    assert "kommet ut likt" in page


def test_who_asked_is_told_by_no_function(office: Office) -> None:
    """The raw answer to security: no person in it, and nothing for anybody else."""
    visit(office, "anna", f"{SITE}/katt")
    ask = "SELECT * FROM dask_visits_asked(now() - interval '9 days', '{leksikon.no}', '{}')"
    with office.world.connect("dask_web") as web:
        for name, count in (("sigrid", 1), ("sverre", 0), ("tora", 0), ("anna", 0), ("olga", 0)):
            who = str(office.world.id(name))
            web.execute("SELECT set_config('dask.actor', %s, true)", [who])
            rows = web.execute(ask).fetchall()
            assert len(rows) == count, name
            assert not any(isinstance(value, UUID) for row in rows for value in row)


class Context:
    """What the command line hands its commands, over the tests' database."""

    def __init__(self, world: World) -> None:
        self.platform = world.platform
        self._world = world

    def owner_database(self) -> Any:
        return self

    def work(self) -> Any:
        return self._world.owner()


def test_the_command_line_reads_the_log_itself(office: Office, tmp_path: Path) -> None:
    visit(office, "anna", f"{SITE}/katt", times=2)
    visit(office, "cem", f"{SITE}/hund", unit="sor")
    visit(office, "anna", f"{SITE}/gammel", days=20)
    for name, paths in (("a", ["/"]), ("b", ["/hest"])):
        (tmp_path / name / "national").mkdir(parents=True)
        said = {**PLAIN, "paths": paths, "examples": {
            "pass": [f"{SITE}/hest"], "refuse": [f"{SITE}:8443/"]}}  # fmt: skip
        (tmp_path / name / "national" / "leksikon.yaml").write_text(json.dumps(said))
    folders = [str(tmp_path / name) for name in "ab"]
    context = Context(office.world)
    done = CliRunner().invoke(
        whitelist, ["diff", *folders, "--visits-from-database", "7"], obj=context
    )
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-3:] == [
        "- 2 pages that were read close.",
        f"-   {SITE}/katt (2 requests)",
        f"-   {SITE}/hund (1 requests)",
    ]
    both = [*folders, "--visits-from-database", "7", "--requests", "-"]
    assert CliRunner().invoke(whitelist, ["diff", *both], obj=context).exit_code == 2
