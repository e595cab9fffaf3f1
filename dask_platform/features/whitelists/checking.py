"""A proposed rule beside the others: what is wrong with the set as it would become."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from dask_platform.features.whitelists.checks import best_case, check
from dask_platform.features.whitelists.engine import Engine, Reason
from dask_platform.features.whitelists.files import Folder, Placed
from dask_platform.features.whitelists.rules import Level, Rule
from dask_platform.kernel.yaml_reader import Problem


@dataclass(frozen=True, slots=True)
class Tried:
    """An example, what it should come to, and what it came to. ``by``: the rule that said so."""

    url: str
    should_pass: bool
    passed: bool
    reason: Reason
    by: str | None

    @property
    def right(self) -> bool:
        return self.should_pass == self.passed


def becoming(rules: Iterable[Rule], rule_id: str, rule: Rule | None) -> list[Rule]:
    """``rules`` with ``rule`` in the place of the one with this id; without it where None."""
    rest = [one for one in rules if one.id != rule_id]
    return rest if rule is None else [*rest, rule]


def problems_of(
    rules: Iterable[Rule],
    rule_id: str,
    rule: Rule | None,
    levels: Mapping[str, Level],
    now: datetime,
) -> list[Problem]:
    """Everything that the change would make wrong. Faults that were there before, and lie with
    other rules, are not laid at its door."""
    before = list(rules)
    known = set(_faults(before, levels, now))
    return [
        one
        for one in _faults(becoming(before, rule_id, rule), levels, now)
        if one.file == rule_id or one not in known
    ]


def examples(rule: Rule, rules: Iterable[Rule], levels: Mapping[str, Level]) -> list[Tried]:
    """Each example of ``rule`` and what it comes to among ``rules``, of which it is one."""
    engine = Engine.of(rules)
    asked = best_case(rule, levels)
    found = []
    for urls, should_pass in ((rule.examples.allowed, True), (rule.examples.refused, False)):
        for url in urls:
            got = engine.decide(url, asked)
            found.append(Tried(url, should_pass, got.allowed, got.reason, got.rule))
    return found


def _faults(rules: Iterable[Rule], levels: Mapping[str, Level], now: datetime) -> list[Problem]:
    """Faults by the rule's id in place of a file name. Warnings refuse nothing."""
    folder = Folder(tuple(Placed(one, one.id) for one in rules), levels)
    return [one for one in check(folder, now) if not one.warning]
