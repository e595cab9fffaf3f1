"""Which rules an export is about, and what it says of those that it cannot hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date

from dask_platform.features.whitelists.engine import Asked, out_of_scope
from dask_platform.features.whitelists.exports.openings import (
    CannotSay,
    Closing,
    Opening,
    closing,
    openings,
)
from dask_platform.features.whitelists.rules import Effect, Profile, Rule
from dask_platform.kernel.clock import to_oslo


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rule that the target cannot hold. It stays closed there."""

    rule: str
    why: str


@dataclass(frozen=True, slots=True)
class Export:
    """``files`` by name. ``rules`` are the opening rules that they hold, ``ends`` the last day on
    which all of these are open: after it the files say more than the whitelist."""

    files: dict[str, str]
    rules: tuple[str, ...]
    refused: tuple[Refusal, ...]
    ends: date | None


@dataclass(slots=True)
class Chosen:
    """The rules that concern who asks, as openings and closings."""

    openings: list[Opening] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    ends: date | None = None

    @property
    def rules(self) -> tuple[str, ...]:
        return tuple(sorted({one.rule for one in self.openings}))

    def export(self, files: dict[str, str]) -> Export:
        refused = sorted(self.refused, key=lambda one: one.rule)
        return Export(files, self.rules, tuple(refused), self.ends)


def concerning(rules: Iterable[Rule], asked: Asked) -> list[Rule]:
    """The rules that are for who asks on that day, by name. Hours are not looked at."""
    return sorted((one for one in rules if _concerns(one, asked)), key=lambda one: one.id)


def _concerns(rule: Rule, asked: Asked) -> bool:
    if out_of_scope(rule, asked) is not None:
        return False
    opens = rule.effect is Effect.ALLOW
    return not opens or to_oslo(asked.at).date() <= rule.expires


def choose(
    rules: Iterable[Rule],
    asked: Asked,
    can_say: Callable[[Rule, Opening], None],
    *,
    has_copies: bool = False,
) -> Chosen:
    """``can_say`` raises ``CannotSay`` for an opening that the target has no words for;
    ``has_copies``: behind the target a copy is shown and not the site itself. A rule is
    taken whole or not at all. Closings are kept where they meet an opening; elsewhere nothing is
    open."""
    chosen = Chosen()
    closing_rules = []
    for rule in concerning(rules, asked):
        if rule.effect is Effect.DENY:
            closing_rules.append(rule)
            continue
        if rule.id in asked.stopped or asked.everything_stopped:
            chosen.refused.append(Refusal(rule.id, "it is stopped"))
            continue
        if rule.profile is Profile.FROZEN and not has_copies:
            why = "it is shown from an approved copy, and the site itself stays closed"
            chosen.refused.append(Refusal(rule.id, why))
            continue
        try:
            opened = openings(rule)
            for one in opened:
                can_say(rule, one)
        except CannotSay as cannot:
            chosen.refused.append(Refusal(rule.id, str(cannot)))
            continue
        chosen.openings += opened
        chosen.ends = min(chosen.ends or rule.expires, rule.expires)
    chosen.closings = [
        one
        for one in map(closing, closing_rules)
        if any(meets(one, opened) for opened in chosen.openings)
    ]
    return chosen


def meets(one: Closing | Opening, other: Closing | Opening) -> bool:
    """Whether some host is both's."""
    return (
        one.host == other.host
        or (one.subdomains and other.host.endswith(f".{one.host}"))
        or (other.subdomains and one.host.endswith(f".{other.host}"))
    )


def heading(chosen: Chosen, asked: Asked, mark: str = "#") -> str:
    """The comment on top of a file."""
    lines = ["Made by `dask-platform whitelist export`. Not to be edited: make it anew."]
    if asked.unit:
        lines.append(f"Unit: {asked.unit}.")
    if asked.sitting:
        lines.append(f"Exam sitting: {asked.sitting}.")
    if chosen.ends:
        lines.append(f"Make it anew after {chosen.ends}, when a rule in it ends.")
    lines += [f"Left out: {one.rule}: {one.why}." for one in chosen.refused]
    return "".join(f"{mark} {line}\n" for line in lines)
