"""A change of the whitelist: one officer proposes it, another one approves or refuses.

The version itself is written by the database when the second officer says yes, and by nothing
else (``migrations/sql/0003_up.sql``).
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, text, update

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.whitelists.checking import problems_of
from dask_platform.features.whitelists.models import (
    REASON_MOST,
    Action,
    Proposal,
    ProposalState,
    RequestState,
    SiteRequest,
    Version,
)
from dask_platform.features.whitelists.queries import (
    UNIT,
    body_of,
    in_force,
    levels,
    rule_of,
    standing,
)
from dask_platform.features.whitelists.rules import Rule
from dask_platform.features.whitelists.service.copies import must_be_here
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import Conflict, Invalid, NotAllowed, NotVisible
from dask_platform.kernel.ids import new_id
from dask_platform.kernel.messages import N_
from dask_platform.kernel.yaml_reader import Problem
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise

# One change at a time: each is checked against the set that it will really stand in.
_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('dask whitelist', 0))")
NOTHING_HERE = N_("There is nothing here.")
CHANGED_MEANWHILE = N_(
    "The rule has been changed since you opened it. Load the page again and propose anew."
)


class BadRule(Invalid):
    """The whitelist would not be good with this change. ``problems`` says why, all of it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(N_("The rule has faults. Nothing was proposed or approved."))
        self.problems = problems


def propose(
    uow: UnitOfWork,
    actor: Actor,
    *,
    rule_id: str,
    unit_id: UUID | None,
    rule: Rule | None,
    based_on: int | None,
    reason: str,
    now: datetime,
    request_id: UUID | None = None,
) -> UUID:
    """Propose that the rule ``rule_id`` says ``rule`` from now on; None takes it away.

    ``unit_id`` None is a national rule; a unit's rule is narrowed to that unit here. ``based_on``
    is the number of the version that the officer saw, None where there was none. ``request_id`` is
    the wish that led to it, which waits with the proposal. Raises ``BadRule`` with every fault,
    ``Conflict`` where the rule has changed meanwhile or another proposal for it waits.
    """
    authorise(actor, Permission.WHITELIST_PROPOSE)
    said = reason_of(reason)
    uow.execute(_LOCK)
    last = _last(uow, rule_id)
    if (last.number if last else None) != based_on:
        raise Conflict(CHANGED_MEANWHILE)
    if last is not None and last.unit_id != unit_id:
        raise Invalid(N_("This id belongs to a rule of another place. Choose another."), "id")
    if rule is None and (last is None or last.body is None):
        raise NotVisible(NOTHING_HERE)
    waiting = select(func.count()).where(
        Proposal.rule_id == rule_id, Proposal.state == ProposalState.WAITING
    )
    if uow.scalar(waiting):
        raise Conflict(N_("A proposal for this rule waits already. Decide on that one first."))
    if rule is not None:
        rule = _at_unit(uow, rule, unit_id)
    must_be_here(uow, rule)
    _check(uow, actor, rule_id, rule, now)
    made = Proposal(
        id=new_id(), rule_id=rule_id, unit_id=unit_id, action=_action(last, rule),
        body=body_of(rule) if rule else None, based_on=based_on, reason=said,
        request_id=request_id, proposed_by=actor.person_id, proposed_name=actor.display_name,
        proposer_units=[], proposed_at=now,
    )  # fmt: skip
    if request_id is not None:
        _take_up(uow, actor, request_id, now)
    uow.add(made)
    uow.flush()
    record(
        uow, actor, EventKind.WHITELIST_PROPOSED, unit_id=unit_id, thing=("rule", rule_id),
        proposal=made.id, action=made.action,
    )  # fmt: skip
    return made.id


def approve(uow: UnitOfWork, actor: Actor, proposal_id: UUID, now: datetime) -> int:
    """Put a proposal in force; the number of the version it became.

    The set is checked again, as it has become meanwhile. Raises ``BadRule``, ``Conflict``,
    ``NotAllowed`` for an own proposal or where the pair does not answer for enough units.
    """
    uow.execute(_LOCK)
    proposal = _waiting(uow, actor, proposal_id)
    last = _last(uow, proposal.rule_id)
    if (last.number if last else None) != proposal.based_on:
        raise Conflict(
            N_("The rule has been changed since this was proposed. Refuse it, and propose anew.")
        )
    rule = rule_of(proposal.body) if proposal.body is not None else None
    must_be_here(uow, rule)
    _check(uow, actor, proposal.rule_id, rule, now)
    _decide(uow, proposal, ProposalState.APPROVED, "", now)
    number = uow.scalar(select(func.max(Version.number)).where(Version.proposal_id == proposal_id))
    record(
        uow, actor, EventKind.WHITELIST_APPROVED, unit_id=proposal.unit_id,
        thing=("rule", proposal.rule_id), proposal=proposal_id, version=number,
    )  # fmt: skip
    return int(number or 0)


def refuse(uow: UnitOfWork, actor: Actor, proposal_id: UUID, reason: str, now: datetime) -> None:
    """Say no, and why. A wish that led to the proposal is open again, to be answered."""
    said = reason_of(reason)
    proposal = _waiting(uow, actor, proposal_id)
    _decide(uow, proposal, ProposalState.REFUSED, said, now)
    record(
        uow, actor, EventKind.WHITELIST_REFUSED, unit_id=proposal.unit_id,
        thing=("rule", proposal.rule_id), proposal=proposal_id,
    )  # fmt: skip


def withdraw(uow: UnitOfWork, actor: Actor, proposal_id: UUID, now: datetime) -> None:
    """Take back an own proposal that waits."""
    authorise(actor, Permission.WHITELIST_PROPOSE)
    proposal = _load(uow, proposal_id)
    if proposal.proposed_by != actor.person_id:
        raise NotAllowed(N_("Only who made the proposal can take it back."))
    _decide(uow, proposal, ProposalState.WITHDRAWN, "", now)
    record(
        uow, actor, EventKind.WHITELIST_WITHDRAWN, unit_id=proposal.unit_id,
        thing=("rule", proposal.rule_id), proposal=proposal_id,
    )  # fmt: skip


def reason_of(text: str) -> str:
    """A reason that says something, on one line. Raises ``Invalid``."""
    said = " ".join(text.split())
    if not said:
        raise Invalid(N_("Write why. Others will read it later."), "reason")
    if len(said) > REASON_MOST:
        raise Invalid(
            N_("The reason is longer than %(most)s characters."), "reason", most=REASON_MOST
        )
    return said


def _load(uow: UnitOfWork, proposal_id: UUID) -> Proposal:
    found = uow.get(Proposal, proposal_id)
    if found is None:
        raise NotVisible(NOTHING_HERE)
    return found


def _waiting(uow: UnitOfWork, actor: Actor, proposal_id: UUID) -> Proposal:
    """The proposal, where the actor is the right one to decide on it."""
    authorise(actor, Permission.WHITELIST_READ)
    proposal = _load(uow, proposal_id)
    if proposal.state != ProposalState.WAITING:
        raise Conflict(N_("This proposal has been decided already."))
    if proposal.proposed_by == actor.person_id:
        raise NotAllowed(N_("You made this proposal yourself. Another officer must decide on it."))
    try:
        authorise(actor, Permission.WHITELIST_APPROVE, proposal)
    except NotVisible:
        raise NotAllowed(
            N_("An officer of another unit must decide on this.")
            if proposal.unit_id is None
            else N_("An officer of the unit that the rule is for must decide on this.")
        ) from None
    return proposal


def _decide(
    uow: UnitOfWork, proposal: Proposal, state: ProposalState, answer: str, now: datetime
) -> None:
    done = uow.execute(
        update(Proposal)
        .where(Proposal.id == proposal.id, Proposal.state == ProposalState.WAITING)
        .values(state=state, answer=answer, decided_at=now)
        .returning(Proposal.id)
        .execution_options(synchronize_session=False)
    ).all()
    if not done:
        raise Conflict(N_("This proposal has been decided already."))
    uow.expire(proposal)


def _last(uow: UnitOfWork, rule_id: str) -> Version | None:
    """The newest version of a rule; its ``body`` is None where the rule was taken away."""
    return uow.scalars(
        select(Version).where(Version.rule_id == rule_id).order_by(Version.number.desc()).limit(1)
    ).one_or_none()


def _action(last: Version | None, rule: Rule | None) -> Action:
    if rule is None:
        return Action.REMOVE
    return Action.ADD if last is None or last.body is None else Action.CHANGE


def _at_unit(uow: UnitOfWork, rule: Rule, unit_id: UUID | None) -> Rule:
    """A unit's rule is for that unit, whatever it leaves out."""
    if unit_id is None:
        return rule
    slug = uow.scalar(select(UNIT.c.slug).where(UNIT.c.id == unit_id))
    if slug is None:
        raise NotVisible(NOTHING_HERE)
    if set(rule.scope.units) - {slug}:
        raise Invalid(N_("A rule of a unit is for that unit alone. Take the others out."))
    return rule.model_copy(update={"scope": rule.scope.model_copy(update={"units": (slug,)})})


def _check(uow: UnitOfWork, actor: Actor, rule_id: str, rule: Rule | None, now: datetime) -> None:
    kept = in_force(uow, standing(uow, actor))
    problems = problems_of(
        (one.rule for one in kept.rules.values()), rule_id, rule, levels(uow), now
    )
    if problems:
        raise BadRule(problems)


def _take_up(uow: UnitOfWork, actor: Actor, request_id: UUID, now: datetime) -> None:
    request = uow.get(SiteRequest, request_id)
    if request is None:
        raise NotVisible(NOTHING_HERE)
    authorise(actor, Permission.SITE_REQUEST_ANSWER, request)
    done = uow.execute(
        update(SiteRequest)
        .where(SiteRequest.id == request_id, SiteRequest.state == RequestState.OPEN)
        .values(state=RequestState.PROPOSED)
        .returning(SiteRequest.id)
        .execution_options(synchronize_session=False)
    ).all()
    if not done:
        raise Conflict(N_("This wish has been answered already."))
    record(
        uow, actor, EventKind.SITE_REQUEST_ANSWERED, unit_id=request.unit_id,
        thing=("site_request", request_id), subject_id=request.person_id, answer="proposed",
    )  # fmt: skip
