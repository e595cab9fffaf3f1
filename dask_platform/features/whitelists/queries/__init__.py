"""What decides a request: the rules in force, and where the actor stands at this moment.

A page or a broker asks ``standing`` once a request (one small statement, which also runs by itself
in the middle of a transfer), then ``in_force`` for the rules, which are read only when somebody has
changed them:

    stands = standing(uow, actor)
    decision = in_force(uow, stands).engine.decide(url, stands.asked(now))

``listings`` has what the pages of security show, ``sites`` those of teachers and students.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from pydantic import ValidationError
from sqlalchemy import String, Uuid, column, select, table, text
from sqlalchemy.dialects.postgresql import distinct_on

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.whitelists import policy as policy  # its lines enter the table
from dask_platform.features.whitelists.engine import Asked, Engine
from dask_platform.features.whitelists.models import Version
from dask_platform.features.whitelists.rules import Effect, Level, Rule
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import NotAuthenticated, Unavailable
from dask_platform.kernel.messages import N_

UNIT = table(
    "unit", column("id", Uuid), column("slug", String), column("name", String),
    column("security_level", String),
)  # fmt: skip
_NOW = text("SELECT * FROM dask_whitelist_now(:room)")
_RULES = text("SELECT rule_id, unit_id, body FROM dask_whitelist_rules()")

log = structlog.get_logger("dask.whitelists")


@dataclass(frozen=True, slots=True)
class Standing:
    """What the database says of the actor now.

    ``newest`` names the newest version of the whitelist, ``number`` counts it. ``unit`` and
    ``level`` are those of a student's placement, or of the only unit where somebody is staff.
    ``everything_stopped``: the actor, their room or their unit is stopped.
    """

    newest: UUID | None
    number: int
    unit: str | None
    level: Level | None
    courses: frozenset[str]
    everything_stopped: bool
    stopped: frozenset[str]

    def asked(
        self, at: datetime, *, opened: frozenset[str] = frozenset(), sitting: str | None = None
    ) -> Asked:
        """The question as the engine takes it. ``opened``: the supervised rules that staff have
        opened for the actor's room; ``sitting``: the exam that the actor sits in."""
        return Asked(
            at=at,
            unit=self.unit,
            level=self.level,
            courses=self.courses,
            sitting=sitting,
            opened=opened,
            stopped=self.stopped,
            everything_stopped=self.everything_stopped,
        )


@dataclass(frozen=True, slots=True)
class Stops:
    """What is stopped for the actor now."""

    everything: bool
    rules: frozenset[str]

    def stop(self, rule_id: str) -> bool:
        """Whether a transfer that this rule opened has to be cut."""
        return self.everything or rule_id in self.rules


@dataclass(frozen=True, slots=True)
class Kept:
    """A rule in force. ``unit_id`` None: national."""

    rule: Rule
    unit_id: UUID | None


@dataclass(frozen=True, slots=True)
class InForce:
    """The rules in force, by id, and the engine made of them. ``by_id`` are the same without their
    places, for what is asked at every request. ``unreadable`` are rules that this version of the
    platform cannot read: they open nothing."""

    newest: UUID | None
    rules: dict[str, Kept]
    by_id: dict[str, Rule]
    engine: Engine
    unreadable: tuple[str, ...]


def standing(uow: UnitOfWork, actor: Actor) -> Standing:
    """Where the actor stands, as of this transaction. Raises ``NotAuthenticated``."""
    row = uow.execute(_NOW, {"room": actor.room_id}).one_or_none()
    if row is None:
        raise NotAuthenticated(N_("Log in to go on."))
    return standing_of(row._asdict())


def standing_of(row: dict[str, Any]) -> Standing:
    """What ``dask_whitelist_now`` said, wherever it was asked."""
    newest = row["newest"]
    return Standing(
        newest=UUID(newest) if isinstance(newest, str) else newest,
        number=row["number"],
        unit=row["unit"],
        level=row["level"],
        courses=frozenset(row["courses"]),
        everything_stopped=row["everything"],
        stopped=frozenset(row["stopped"]),
    )


def stops(uow: UnitOfWork, actor: Actor) -> Stops:
    """What is stopped for the actor, as of this transaction: begin a new one each time it is asked
    during a transfer. One statement. Where nobody acts any more, everything is stopped."""
    row = uow.execute(_NOW, {"room": actor.room_id}).one_or_none()
    if row is None:
        return Stops(True, frozenset())
    return Stops(row.everything, frozenset(row.stopped))


# The rules of one database, kept by the mark of its newest version, which is random: another
# database, or an older state brought back, never has the same. Replaced whole, so threads need no
# lock; two that meet a new version at once both read it.
_kept: list[InForce] = []


def in_force(uow: UnitOfWork, stands: Standing) -> InForce:
    """The rules in force at least as new as ``stands`` saw. Reads them only after a change.

    Raises ``Unavailable`` where a rule that *closes* cannot be read: without it more would be open
    than anybody approved.
    """
    kept = in_force_already(stands)
    if kept is not None:
        return kept
    made = _read(uow, stands.newest)
    _kept[:] = [made]
    return made


def in_force_already(stands: Standing) -> InForce | None:
    """The same where this process has read them before; None where they must be read."""
    return next((kept for kept in _kept if kept.newest == stands.newest), None)


def _read(uow: UnitOfWork, newest: UUID | None) -> InForce:
    rules: dict[str, Kept] = {}
    unreadable = []
    for rule_id, unit_id, body in uow.execute(_RULES):
        try:
            rules[rule_id] = Kept(rule_of(body), unit_id)
        except ValidationError:
            log.error("rule_unreadable", rule=rule_id)
            if body.get("effect") == Effect.DENY:
                raise Unavailable(
                    N_("The list of open sites cannot be read. Every site is closed until it can.")
                ) from None
            unreadable.append(rule_id)
    by_id = {rule_id: one.rule for rule_id, one in rules.items()}
    return InForce(newest, rules, by_id, Engine.of(by_id.values()), tuple(sorted(unreadable)))


def rules_at(uow: UnitOfWork, number: int | None = None) -> dict[str, Rule]:
    """The rules as they were right after version ``number``, or are now; for security officers and
    the owner of the tables. Rules that cannot be read any more are left out."""
    found = select(Version.rule_id, Version.body).ext(distinct_on(Version.rule_id))
    if number is not None:
        found = found.where(Version.number <= number)
    rules = {}
    for rule_id, body in uow.execute(found.order_by(Version.rule_id, Version.number.desc())):
        if body is not None:
            with suppress(ValidationError):
                rules[rule_id] = rule_of(body)
    return rules


def rule_of(body: dict[str, Any]) -> Rule:
    """The rule in its stored form. Raises ``ValidationError``."""
    return Rule.model_validate_json(json.dumps(body))


def body_of(rule: Rule) -> dict[str, Any]:
    """The rule as it is stored: whole, so that no later default changes what was approved. Of a
    rule that closes only what it says, for it may not even mention what opens."""
    said = rule.effect is Effect.DENY
    body: dict[str, Any] = json.loads(rule.model_dump_json(by_alias=True, exclude_unset=said))
    return body


def levels(uow: UnitOfWork) -> dict[str, Level]:
    """Every unit's security level, by its slug."""
    return {row[0]: row[1] for row in uow.execute(select(UNIT.c.slug, UNIT.c.security_level))}
