"""Whether a request of this moment may go out, decided afresh each time from what holds now."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.broker import jar, supervision, tickets
from dask_platform.features.broker.addresses import is_own
from dask_platform.features.whitelists import queries as whitelists
from dask_platform.features.whitelists.engine import Asked, Decision, Engine, Reason
from dask_platform.features.whitelists.rules import Rule
from dask_platform.kernel.actor import Actor
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import may_ever
from dask_platform.web.platform import Platform

#: How often, in seconds, a transfer that is under way asks whether it may go on.
ASK_AGAIN = 0.4


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything that decides for one actor at one moment."""

    engine: Engine
    rules: dict[str, Rule]
    asked: Asked

    def decide(self, url: str, method: str = "GET") -> Decision:
        """The engine's answer, but that no site has a page where ours lie: its links and redirects
        would otherwise work our own doors."""
        decision = self.engine.decide(url, self.asked, method)
        if decision.allowed and decision.address is not None and is_own(decision.address.path):
            return Decision(False, Reason.BAD_URL, decision.rule, decision.canonical)
        return decision

    def rule(self, decision: Decision) -> Rule:
        """The rule that allowed."""
        return self.rules[decision.rule or ""]


@dataclass(frozen=True, slots=True)
class Held:
    """What the database says, at one moment, of who is behind a token: the person, what decides for
    them, and what the site's own host wants to remember of them."""

    actor: Actor
    stood: Desk
    crumbs: tuple[jar.Crumb, ...]

    def desk(self, now: datetime) -> Desk:
        """What decides at ``now``."""
        stood = self.stood
        return Desk(stood.engine, stood.rules, replace(stood.asked, at=now))


def desk(uow: UnitOfWork, actor: Actor, now: datetime) -> Desk:
    """What holds for ``actor`` in this transaction: placement, courses, stops, who watches."""
    stands = whitelists.standing(uow, actor)
    kept = whitelists.in_force(uow, stands)
    opened: frozenset[str] = frozenset()
    if actor.room_id is not None and any(one.supervised for one in kept.by_id.values()):
        opened = supervision.opened(uow, actor.room_id, now)
    return _desk(kept, stands, opened, now)


def held(
    platform: Platform, token: str | None, host: str, address: str | None, now: datetime
) -> Held | None:
    """Who is behind ``token`` on ``host``, and what holds for them now; None for nobody. Asked in
    one question, in a transaction of its own. Whether they may read sites at all is not asked here:
    see ``may_read``."""
    found = tickets.ask(platform, token, host, now, address)
    if found is None:
        return None
    actor, said = found
    stands = whitelists.standing_of(said["stands"])
    kept = whitelists.in_force_already(stands)
    if kept is None:
        with platform.database.work(actor.person_id) as uow:
            kept = whitelists.in_force(uow, stands)
    crumbs = tuple(jar.Crumb.of(*one) for one in said["crumbs"])
    return Held(actor, _desk(kept, stands, frozenset(said["opened"]), now), crumbs)


def _desk(
    kept: whitelists.InForce, stands: whitelists.Standing, opened: frozenset[str], now: datetime
) -> Desk:
    return Desk(kept.engine, kept.by_id, stands.asked(now, opened=opened))


def may_read(platform: Platform, actor: Actor, address: str | None) -> bool:
    """Whether ``actor`` may read sites from ``address`` at all: the same conditions as those of a
    page, in a room of the own unit, and with the second factor."""
    if not may_ever(actor, Permission.SITES_READ):
        return False
    if actor.is_student:
        unit = actor.unit_id
        return unit is not None and platform.rooms.current().admits(unit, address)
    wanted = platform.settings.second_factor_required or actor.has_second_factor
    return actor.second_factor or not wanted


@dataclass(slots=True)
class Watch:
    """Asked in the middle of a transfer: has anything ended that it needs?

    A stop, the hours, the rule, the placement, the supervision, the session: all of it is decided
    again, in a transaction of its own, a few times a second, first when what the transfer was begun
    on is that old (``_next``, on the monotonic clock). Where the database does not answer, the
    transfer ends.
    """

    platform: Platform
    token: str
    host: str
    address: str | None
    url: str
    method: str
    _next: float = 0.0
    _over: bool = False

    def stopped(self) -> bool:
        now = time.monotonic()
        if self._over or now < self._next:
            return self._over
        self._over = not self._holds()
        self._next = time.monotonic() + ASK_AGAIN
        return self._over

    def _holds(self) -> bool:
        at = self.platform.clock.now()
        found = held(self.platform, self.token, self.host, self.address, at)
        if found is None or not may_read(self.platform, found.actor, self.address):
            return False
        return found.stood.decide(self.url, self.method).allowed
