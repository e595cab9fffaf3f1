"""What the pages show: plain frozen values, a few statements each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import String, Uuid, column, func, select, table

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.identity.queries import person_names, unit_names
from dask_platform.features.whitelists.checks import REMIND
from dask_platform.features.whitelists.diff import Change, changes
from dask_platform.features.whitelists.engine import expires_within
from dask_platform.features.whitelists.models import (
    Proposal,
    ProposalState,
    RequestState,
    SiteRequest,
    Stop,
    Version,
)
from dask_platform.features.whitelists.queries import (
    in_force,
    rule_of,
    standing,
)
from dask_platform.features.whitelists.rules import Rule
from dask_platform.kernel.actor import Actor, Role
from dask_platform.kernel.clock import to_oslo
from dask_platform.kernel.errors import NotVisible
from dask_platform.kernel.messages import N_
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise, permits, rows

#: How long a stop that is open again, and a wish that is answered, stay on the page.
SHOWN_FOR: Final = timedelta(days=60)
MOST: Final = 200
NOTHING_HERE = N_("There is nothing here.")
_ROOM = table("room", column("id", Uuid), column("unit_id", Uuid), column("name", String))


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule in force. ``unit_name`` None: national."""

    rule: Rule
    unit_id: UUID | None
    unit_name: str | None
    stopped: bool
    days_left: int


@dataclass(frozen=True, slots=True)
class ProposalLine:
    id: UUID
    rule_id: str
    action: str
    unit_name: str | None
    proposed_name: str
    proposed_at: datetime
    own: bool
    decidable: bool


@dataclass(frozen=True, slots=True)
class Overview:
    """The whitelist's front page."""

    number: int
    rules: list[RuleLine]
    proposals: list[ProposalLine]
    unreadable: tuple[str, ...]
    wishes: int
    stops: int

    @property
    def expiring(self) -> list[RuleLine]:
        """The rules that run out soon or have run out, soonest first."""
        found = [one for one in self.rules if one.days_left <= REMIND]
        return sorted(found, key=lambda one: (one.days_left, one.rule.id))

    def matching(self, words: str) -> list[RuleLine]:
        """The rules that have every one of the words in a title, a host or the id."""
        wanted = words.casefold().split()
        return [one for one in self.rules if all(word in _named(one.rule) for word in wanted)]


@dataclass(frozen=True, slots=True)
class VersionLine:
    """A version of one rule, and what it changed. ``rule`` None: taken away, or unreadable."""

    number: int
    at: datetime
    proposed_name: str
    approved_name: str
    from_file: bool
    reason: str
    rule: Rule | None
    removed: bool
    changes: list[Change]


@dataclass(frozen=True, slots=True)
class RulePage:
    """``rule`` None: it has been taken away."""

    rule_id: str
    rule: Rule | None
    unit_id: UUID | None
    unit_name: str | None
    versions: list[VersionLine]
    proposal_id: UUID | None
    stops: int

    @property
    def number(self) -> int:
        return self.versions[0].number


@dataclass(frozen=True, slots=True)
class ProposalPage:
    """A proposal beside what is in force; ``others`` are the rules it would stand among."""

    proposal: Proposal
    unit_name: str | None
    old: Rule | None
    new: Rule | None
    own: bool
    decidable: bool
    changes: list[Change]
    others: list[Rule]


@dataclass(frozen=True, slots=True)
class StopLine:
    """``what`` names the student, room, unit or rule, as far as the reader may know."""

    stop: Stop
    what: str
    unit_name: str | None
    asked_by_me: bool


def _named(rule: Rule) -> str:
    title = rule.title
    hosts = (rule.host, *(one.host for one in rule.helpers))
    return " ".join((title.nb, title.nn, title.en or "", rule.id, *hosts)).casefold()


def overview(uow: UnitOfWork, actor: Actor, now: datetime) -> Overview:
    """All rules in force, by title, and what waits for somebody."""
    authorise(actor, Permission.WHITELIST_READ)
    stands = standing(uow, actor)
    kept = in_force(uow, stands)
    names = unit_names(uow)
    holding = _holding_rules(uow)
    today = to_oslo(now).date()
    lines = [
        RuleLine(
            one.rule, one.unit_id, names.get(one.unit_id) if one.unit_id else None,
            one.rule.id in holding, (one.rule.expires - today).days,
        )
        for one in kept.rules.values()
    ]  # fmt: skip
    waiting = uow.scalars(
        select(Proposal)
        .where(Proposal.state == ProposalState.WAITING)
        .order_by(Proposal.proposed_at)
    )
    proposals = [
        ProposalLine(
            one.id, one.rule_id, one.action, names.get(one.unit_id) if one.unit_id else None,
            one.proposed_name, one.proposed_at, one.proposed_by == actor.person_id,
            permits(actor, Permission.WHITELIST_APPROVE, one),
        )
        for one in waiting
    ]  # fmt: skip
    return Overview(
        stands.number,
        sorted(lines, key=lambda one: (one.rule.title.nb.casefold(), one.rule.id)),
        proposals,
        kept.unreadable,
        _count(uow, SiteRequest, actor, Permission.SITE_REQUEST_ANSWER,
               SiteRequest.state == RequestState.OPEN),
        _count(uow, Stop, actor, Permission.WHITELIST_STOP, Stop.reopened_at.is_(None)),
    )  # fmt: skip


def rule_page(uow: UnitOfWork, actor: Actor, rule_id: str) -> RulePage:
    """A rule with its whole history, newest first. Raises ``NotVisible``."""
    authorise(actor, Permission.WHITELIST_READ)
    found = list(
        uow.scalars(select(Version).where(Version.rule_id == rule_id).order_by(Version.number))
    )
    if not found:
        raise NotVisible(NOTHING_HERE)
    lines: list[VersionLine] = []
    before: Rule | None = None
    for one in found:
        rule = _readable(one.body)
        lines.append(
            VersionLine(
                one.number, one.at, one.proposed_name, one.approved_name, one.proposal_id is None,
                one.reason, rule, one.body is None, changes(_one(before), _one(rule)),
            )
        )  # fmt: skip
        before = rule
    last = found[-1]
    proposal_id = uow.scalar(
        select(Proposal.id).where(
            Proposal.rule_id == rule_id, Proposal.state == ProposalState.WAITING
        )
    )
    stops = uow.scalar(
        select(func.count()).where(Stop.rule_id == rule_id, Stop.reopened_at.is_(None))
    )
    unit_name = unit_names(uow).get(last.unit_id) if last.unit_id else None
    return RulePage(
        rule_id, before, last.unit_id, unit_name, lines[::-1], proposal_id, int(stops or 0)
    )


def last_version(uow: UnitOfWork, actor: Actor, rule_id: str) -> tuple[int, bool] | None:
    """The number of a rule's newest version, and whether the rule is in force; None for an id that
    was never used."""
    authorise(actor, Permission.WHITELIST_READ)
    row = uow.execute(
        select(Version.number, Version.body.is_not(None))
        .where(Version.rule_id == rule_id)
        .order_by(Version.number.desc())
        .limit(1)
    ).one_or_none()
    return (row[0], row[1]) if row else None


def proposal_page(uow: UnitOfWork, actor: Actor, proposal_id: UUID) -> ProposalPage:
    """A proposal, waiting or decided. Raises ``NotVisible``."""
    authorise(actor, Permission.WHITELIST_READ)
    proposal = uow.get(Proposal, proposal_id)
    if proposal is None:
        raise NotVisible(NOTHING_HERE)
    kept = in_force(uow, standing(uow, actor))
    old, new = _based_on(uow, proposal), _readable(proposal.body)
    return ProposalPage(
        proposal,
        unit_names(uow).get(proposal.unit_id) if proposal.unit_id else None,
        old,
        new,
        proposal.proposed_by == actor.person_id,
        permits(actor, Permission.WHITELIST_APPROVE, proposal),
        changes(_one(old), _one(new)),
        [one.rule for one in kept.rules.values() if one.rule.id != proposal.rule_id],
    )


def stops_page(uow: UnitOfWork, actor: Actor, now: datetime) -> list[StopLine]:
    """What is stopped, and what was opened again lately; newest first."""
    found = list(
        uow.scalars(
            select(Stop)
            .where(
                rows(actor, Permission.WHITELIST_STOP, Stop),
                Stop.reopened_at.is_(None) | (Stop.reopened_at > now - SHOWN_FOR),
            )
            .order_by(Stop.reopened_at.is_not(None), Stop.stopped_at.desc(), Stop.id)
            .limit(MOST)
        )
    )
    people = person_names(uow, {one.person_id for one in found if one.person_id})
    units, rooms = unit_names(uow), room_names(uow, actor)
    rules = in_force(uow, standing(uow, actor)).rules

    def what(stop: Stop) -> str:
        if stop.rule_id is not None:
            kept = rules.get(stop.rule_id)
            return kept.rule.title.nb if kept else stop.rule_id
        if stop.person_id is not None:
            return people.get(stop.person_id, "")
        if stop.room_id is not None:
            return rooms.get(stop.room_id, "")
        return units.get(stop.unit_id, "") if stop.unit_id else ""

    return [
        StopLine(
            one, what(one), units.get(one.unit_id) if one.unit_id else None,
            one.reopen_asked_by == actor.person_id,
        )
        for one in found
    ]  # fmt: skip


def room_names(uow: UnitOfWork, actor: Actor) -> dict[UUID, str]:
    """The rooms of the units where the actor is a security officer, by name."""
    found = uow.execute(
        select(_ROOM.c.id, _ROOM.c.name)
        .where(_ROOM.c.unit_id.in_(actor.units(Role.SECURITY)))
        .order_by(_ROOM.c.name)
    )
    return {row[0]: row[1] for row in found}


def _holding_rules(uow: UnitOfWork) -> set[str]:
    """Rules that are stopped anywhere the actor may know of."""
    return set(
        uow.scalars(
            select(Stop.rule_id).where(Stop.rule_id.is_not(None), Stop.reopened_at.is_(None))
        )
    ) - {None}  # type: ignore[return-value]


def _count(
    uow: UnitOfWork, model: type[Any], actor: Actor, permission: Permission, which: Any
) -> int:
    found = uow.scalar(
        select(func.count()).select_from(model).where(rows(actor, permission, model), which)
    )
    return int(found or 0)


def _based_on(uow: UnitOfWork, proposal: Proposal) -> Rule | None:
    """What the rule said when the proposal was made."""
    if proposal.based_on is None:
        return None
    return _readable(uow.scalar(select(Version.body).where(Version.number == proposal.based_on)))


def _readable(body: dict[str, Any] | None) -> Rule | None:
    try:
        return rule_of(body) if body is not None else None
    except ValidationError:
        return None


def _one(rule: Rule | None) -> list[Rule]:
    return [rule] if rule is not None else []


def expiring(uow: UnitOfWork, actor: Actor, now: datetime) -> list[Rule]:
    """The rules that run out within 30 days, or have run out, soonest first."""
    authorise(actor, Permission.WHITELIST_READ)
    kept = in_force(uow, standing(uow, actor))
    return expires_within((one.rule for one in kept.rules.values()), now, REMIND)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for a security officer: proposals to decide on, wishes to answer, rules that run
    out, and stops that hold."""

    proposals: int
    wishes: int
    expiring: int
    stops: int


def waiting_for(uow: UnitOfWork, actor: Actor, now: datetime) -> Waiting:
    return Waiting(
        _count(uow, Proposal, actor, Permission.WHITELIST_APPROVE,
               Proposal.state == ProposalState.WAITING),
        _count(uow, SiteRequest, actor, Permission.SITE_REQUEST_ANSWER,
               SiteRequest.state == RequestState.OPEN),
        len(expiring(uow, actor, now)),
        _count(uow, Stop, actor, Permission.WHITELIST_STOP, Stop.reopened_at.is_(None)),
    )  # fmt: skip
