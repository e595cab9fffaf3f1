"""What shows only when rules stand beside each other, and whether the examples come out right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Final

from dask_platform.features.whitelists.engine import Asked, Engine
from dask_platform.features.whitelists.files import Folder, Placed, read_folder
from dask_platform.features.whitelists.hosts import (
    is_public_suffix,
    registrable,
    skeleton,
    strange_letters,
)
from dask_platform.features.whitelists.rules import Effect, Level, Rule
from dask_platform.kernel.clock import from_oslo, to_oslo
from dask_platform.kernel.errors import Invalid
from dask_platform.kernel.yaml_reader import Problem
from dask_platform.security.hostmap import label_of

#: A rule is looked at anew at least this often, in days.
LONGEST: Final = 731
REMIND: Final = 30
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def load_folder(folder: Path, now: datetime) -> tuple[Folder | None, list[Problem]]:
    """The folder, when nothing is wrong with it; and everything that is, by file and line."""
    found, problems = read_folder(folder)
    if not any(not one.warning for one in problems):
        problems += check(found, now)
    bad = any(not one.warning for one in problems)
    return (None if bad else found), sorted(problems)


def check(folder: Folder, now: datetime) -> list[Problem]:
    """Everything wrong with the rules as a set, and warnings where a rule soon runs out."""
    problems = [*_same_ids(folder.rules), *_alike(folder.rules)]
    for placed in folder.rules:
        problems += [Problem(placed.file, 1, said) for said in _hosts(placed.rule)]
        problems += _ends(placed, now)
    engine = Engine.of(one.rule for one in folder.rules)
    for placed in folder.rules:
        problems += [
            Problem(placed.file, 1, said) for said in tried(placed.rule, engine, folder.levels)
        ]
    return problems


def _same_ids(rules: Iterable[Placed]) -> list[Problem]:
    first: dict[str, str] = {}
    found = []
    for placed in rules:
        other = first.setdefault(placed.rule.id, placed.file)
        if other != placed.file:
            found.append(
                Problem(placed.file, 1, f"The id {placed.rule.id!r} stands in {other} too.")
            )
    return found


def _hosts(rule: Rule) -> list[str]:
    said = []
    for host in (rule.host, *(one.host for one in rule.helpers)):
        if is_public_suffix(host) and rule.effect is Effect.ALLOW:
            said.append(f"{host} is a public suffix: anybody can have a name below it.")
        try:
            label_of(host)
        except Invalid:
            said.append(f"{host} is too long a name to be shown under the broker's domain.")
        strange = strange_letters(host)
        if strange:
            said.append(f"{host} is written with {strange!r}, which no site of ours is.")
    return said


def _alike(rules: Iterable[Placed]) -> list[Problem]:
    """Hosts of different owners that look the same. One of them is a trap."""
    seen: dict[str, dict[str, str]] = defaultdict(dict)
    for placed in rules:
        for host in (placed.rule.host, *(one.host for one in placed.rule.helpers)):
            owner = registrable(host)
            seen[skeleton(owner)].setdefault(owner, placed.file)
    return [
        Problem(
            file, 1, f"{owner} is easily taken for {' and '.join(sorted(set(owners) - {owner}))}."
        )
        for owners in seen.values()
        if len(owners) > 1
        for owner, file in owners.items()
    ]


def _ends(placed: Placed, now: datetime) -> list[Problem]:
    today, last = to_oslo(now).date(), placed.rule.expires
    if (last - today).days > LONGEST:
        return [Problem(placed.file, 1, f"It expires {last}. Two years ahead is the most.")]
    if placed.rule.effect is Effect.DENY:
        # It goes on closing; only somebody should look at it again.
        said = f"It was to be looked at again by {last}. It still closes."
        return [Problem(placed.file, 1, said, warning=True)] if last < today else []
    if last < today:
        return [Problem(placed.file, 1, f"It expired {last}, and opens nothing.", warning=True)]
    if (last - today).days <= REMIND:
        return [Problem(placed.file, 1, f"It expires soon, {last}.", warning=True)]
    return []


def tried(rule: Rule, engine: Engine, levels: Mapping[str, Level]) -> list[str]:
    """The examples of ``rule`` that do not come out as it says, among all rules of ``engine``."""
    asked = best_case(rule, levels)
    said = []
    for url in rule.examples.allowed:
        got = engine.decide(url, asked)
        if not got.allowed:
            by = f" by {got.rule}" if got.rule not in (None, rule.id) else ""
            said.append(f"{url} should pass, and is refused{by}: {got.reason}.")
    for url in rule.examples.refused:
        got = engine.decide(url, asked)
        if got.allowed:
            said.append(f"{url} should be refused, and {got.rule} lets it pass.")
    return said


def best_case(rule: Rule, levels: Mapping[str, Level]) -> Asked:
    """Somebody the rule is for, at an hour when it is open, with staff beside them."""
    scope = rule.scope
    unit = next(
        (
            one
            for one in (scope.units or tuple(levels))
            if not scope.security_levels or levels.get(one) in scope.security_levels
        ),
        scope.units[0] if scope.units else None,
    )
    level = levels.get(unit) if unit else None
    if level is None and scope.security_levels:
        level = scope.security_levels[0]
    return Asked(
        at=_open_hour(rule),
        unit=unit,
        level=level,
        courses=frozenset(scope.courses),
        sitting=scope.sittings[0] if scope.sittings else None,
        opened=frozenset({rule.id}),
    )


def _open_hour(rule: Rule) -> datetime:
    """A minute at which the rule is open, in the last week before it expires."""
    noon = time(12)
    if not rule.hours or rule.effect is Effect.DENY:
        return _instant(rule.expires, noon)
    hours = rule.hours[0]
    for back in range(7):
        day = rule.expires - timedelta(days=back)
        if _DAYS[day.weekday()] in hours.days:
            return _instant(day, time.fromisoformat(hours.opens))
    raise AssertionError("a week has every day")


def _instant(day: date, at: time) -> datetime:
    return from_oslo(datetime.combine(day, at))
