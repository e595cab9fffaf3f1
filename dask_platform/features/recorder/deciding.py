"""What a recording may reach: any site, but for what somebody has closed.

The whitelist is not asked what it opens. What keeps something closed holds here as well: a stop of
everything, of the unit, or of a rule (for all of its host), each rule that denies (for whomever it
does), and the platform's own names. Private addresses are never connected to: that is the upstream
adapter's, for every request.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.whitelists import queries as whitelists
from dask_platform.features.whitelists.engine import Asked, Decision, Engine, Reason
from dask_platform.features.whitelists.queries import InForce
from dask_platform.features.whitelists.rules import Effect, Rule, Scope
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.settings import Settings
from dask_platform.security.weburl import parse

METHODS: Final = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Ground:
    """Everything that decides for one recording at one moment."""

    denying: Engine
    asked: Asked
    own: tuple[str, ...]
    stopped: tuple[Rule, ...]

    def decide(self, url: str, method: str = "GET") -> Decision:
        """Whether the recording may fetch ``url``. Never raises for any text."""
        # Asked first: it reads the address, says what is wrong with it, and what is denied.
        said = self.denying.decide(url, self.asked)
        if said.reason is not Reason.NOT_LISTED or said.canonical is None:
            return said
        address = parse(said.canonical)
        if any(_at_or_below(address.host, one) for one in self.own):
            return Decision(False, Reason.DENIED, None, address.text)
        if method not in METHODS:
            return Decision(False, Reason.METHOD, None, address.text)
        if self.asked.everything_stopped or any(
            address.host == one.host or (one.subdomains and _at_or_below(address.host, one.host))
            for one in self.stopped
        ):
            return Decision(False, Reason.STOPPED, None, address.text)
        return Decision(True, Reason.ALLOWED, None, address.text, address)


def ground(uow: UnitOfWork, actor: Actor, settings: Settings, now: datetime) -> Ground:
    """What holds for the officer in this transaction. Raises ``Unavailable`` where a rule that
    closes cannot be read."""
    stands = whitelists.standing(uow, actor)
    rules = whitelists.in_force(uow, stands)
    return Ground(
        _denying(rules),
        Asked(now, everything_stopped=stands.everything_stopped),
        own_names(settings),
        tuple(one.rule for rule_id, one in rules.rules.items() if rule_id in stands.stopped),
    )


def _at_or_below(host: str, name: str) -> bool:
    return host == name or host.endswith(f".{name}")


def own_names(settings: Settings) -> tuple[str, ...]:
    """The platform's own names. It and what lies below them are never a site."""
    urls = (settings.public_url, settings.resources_url or "")
    return tuple(name for url in urls if (name := urlsplit(url).hostname))


# Of the newest version alone, as ``whitelists.queries`` keeps its own.
_kept: list[tuple[InForce, Engine]] = []


def _denying(rules: InForce) -> Engine:
    """The rules that deny, for whomever they do: what one unit closes, nobody records."""
    for made_of, engine in _kept:
        if made_of is rules:
            return engine
    engine = Engine.of(
        one.rule.model_copy(update={"scope": Scope()})
        for one in rules.rules.values()
        if one.rule.effect is Effect.DENY
    )
    _kept[:] = [(rules, engine)]
    return engine
