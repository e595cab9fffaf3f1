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
from dask_platform.kernel.messages import N_
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
        problems += _hosts(placed)
        problems += _ends(placed, now)
    engine = Engine.of(one.rule for one in folder.rules)
    for placed in folder.rules:
        problems += tried(placed, engine, folder.levels)
    return problems


def _wrong(file: str, message: str, *, warning: bool = False, **params: object) -> Problem:
    said = tuple((name, str(value)) for name, value in params.items())
    return Problem(file, 1, message, warning=warning, params=said)


def _same_ids(rules: Iterable[Placed]) -> list[Problem]:
    first: dict[str, str] = {}
    found = []
    for placed in rules:
        other = first.setdefault(placed.rule.id, placed.file)
        if other != placed.file:
            found.append(
                _wrong(
                    placed.file,
                    N_("The id %(id)s stands in %(other)s too."),
                    id=placed.rule.id,
                    other=other,
                )
            )
    return found


def _hosts(placed: Placed) -> list[Problem]:
    rule, found = placed.rule, []
    for host in (rule.host, *(one.host for one in rule.helpers)):
        if is_public_suffix(host) and rule.effect is Effect.ALLOW:
            message = N_("%(host)s is a public suffix: anybody can have a name below it.")
            found.append(_wrong(placed.file, message, host=host))
        try:
            label_of(host)
        except Invalid:
            message = N_("%(host)s is too long a name to be shown under the broker's domain.")
            found.append(_wrong(placed.file, message, host=host))
        strange = strange_letters(host)
        if strange:
            message = N_("%(host)s is written with «%(letters)s», which no site of ours is.")
            found.append(_wrong(placed.file, message, host=host, letters=strange))
    return found


def _alike(rules: Iterable[Placed]) -> list[Problem]:
    """Hosts of different owners that look the same. One of them is a trap."""
    seen: dict[str, dict[str, str]] = defaultdict(dict)
    for placed in rules:
        for host in (placed.rule.host, *(one.host for one in placed.rule.helpers)):
            owner = registrable(host)
            seen[skeleton(owner)].setdefault(owner, placed.file)
    return [
        _wrong(
            file,
            N_("%(host)s is easily taken for %(others)s."),
            host=owner,
            others=", ".join(sorted(set(owners) - {owner})),
        )
        for owners in seen.values()
        if len(owners) > 1
        for owner, file in owners.items()
    ]


def _ends(placed: Placed, now: datetime) -> list[Problem]:
    today, last = to_oslo(now).date(), placed.rule.expires
    if (last - today).days > LONGEST:
        message = N_("It expires %(day)s. Two years ahead is the most.")
        return [_wrong(placed.file, message, day=last)]
    if placed.rule.effect is Effect.DENY:
        # It goes on closing; only somebody should look at it again.
        message = N_("It was to be looked at again by %(day)s. It still closes.")
        return [_wrong(placed.file, message, warning=True, day=last)] if last < today else []
    if last < today:
        message = N_("It expired %(day)s, and opens nothing.")
        return [_wrong(placed.file, message, warning=True, day=last)]
    if (last - today).days <= REMIND:
        message = N_("It expires soon, %(day)s.")
        return [_wrong(placed.file, message, warning=True, day=last)]
    return []


def tried(placed: Placed, engine: Engine, levels: Mapping[str, Level]) -> list[Problem]:
    """The examples of a rule that do not come out as it says, among all rules of ``engine``."""
    rule, found = placed.rule, []
    asked = best_case(rule, levels)
    for url in rule.examples.allowed:
        got = engine.decide(url, asked)
        if got.allowed:
            continue
        if got.rule in (None, rule.id):
            message = N_("%(url)s should pass, and is refused: %(reason)s.")
            found.append(_wrong(placed.file, message, url=url, reason=got.reason))
        else:
            message = N_("%(url)s should pass, and is refused by %(rule)s: %(reason)s.")
            found.append(_wrong(placed.file, message, url=url, rule=got.rule, reason=got.reason))
    for url in rule.examples.refused:
        got = engine.decide(url, asked)
        if got.allowed:
            message = N_("%(url)s should be refused, and %(rule)s lets it pass.")
            found.append(_wrong(placed.file, message, url=url, rule=got.rule))
    return found


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
