"""Who may open, stop and ask for sites.

Nobody opens anything alone: an officer proposes and another one approves. For a unit's rule at
least one of the two is an officer of that unit. For a national rule the two answer for more than
one unit, as long as there are officers elsewhere who could be asked. Stopping takes one, reopening
two.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, and_, any_, case, cast, false, func, literal, or_
from sqlalchemy.dialects.postgresql import ARRAY

from dask_platform.features.whitelists.models import (
    Proposal,
    ProposalState,
    RequestState,
    SiteRequest,
    Stop,
    StopKind,
)
from dask_platform.kernel.actor import Actor, Role
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import Grant, register

Condition = ColumnElement[bool]


def _array(ids: frozenset[UUID]) -> ColumnElement[list[UUID]]:
    return literal(list(ids), ARRAY(Uuid))


def pair_answers(actor: Actor, proposal: Proposal) -> bool:
    """Whether the actor, as the second of two, completes the pair that the rule asks for."""
    if proposal.proposed_by == actor.person_id:
        return False
    own, theirs = actor.units(Role.SECURITY), frozenset(proposal.proposer_units)
    if proposal.unit_id is not None:
        return proposal.unit_id in own | theirs
    return not proposal.officers_elsewhere or len(own | theirs) > 1


def _decides(actor: Actor, proposal: Proposal) -> bool:
    return proposal.state == ProposalState.WAITING and pair_answers(actor, proposal)


def _decides_rows(actor: Actor) -> Condition:
    own = actor.units(Role.SECURITY)
    theirs = cast(Proposal.proposer_units, ARRAY(Uuid))
    more_units = or_(
        ~Proposal.officers_elsewhere,
        func.cardinality(theirs) > 1,
        ~theirs.contains(_array(own)) if len(own) < 2 else literal(True),
    )
    return and_(
        Proposal.state == ProposalState.WAITING,
        Proposal.proposed_by != actor.person_id,
        case(
            (Proposal.unit_id.is_(None), more_units),
            else_=or_(Proposal.unit_id.in_(own), Proposal.unit_id == any_(theirs)),
        ),
    )


def _stop_unit(stop: Stop) -> UUID | None:
    return stop.placed_unit if stop.kind == StopKind.STUDENT else stop.unit_id


def _sees_stop(actor: Actor, stop: Stop) -> bool:
    if stop.kind == StopKind.RULE and stop.unit_id is None:
        return True
    return _stop_unit(stop) in actor.units(Role.SECURITY)


def _sees_stop_rows(actor: Actor) -> Condition:
    own = actor.units(Role.SECURITY)
    return case(
        (Stop.kind == StopKind.STUDENT, func.coalesce(Stop.placed_unit.in_(own), false())),
        else_=or_(Stop.unit_id.is_(None), Stop.unit_id.in_(own)),
    )


def _answers(actor: Actor, request: SiteRequest) -> bool:
    unit = request.placed_unit if request.by_student else request.unit_id
    return unit in actor.units(Role.SECURITY)


def _answers_rows(actor: Actor) -> Condition:
    own = actor.units(Role.SECURITY)
    return case(
        (SiteRequest.by_student, func.coalesce(SiteRequest.placed_unit.in_(own), false())),
        else_=SiteRequest.unit_id.in_(own),
    )


def _own(actor: Actor, request: SiteRequest) -> bool:
    return request.person_id == actor.person_id


def _own_rows(actor: Actor) -> Condition:
    return SiteRequest.person_id == actor.person_id


def _own_open(actor: Actor, request: SiteRequest) -> bool:
    return _own(actor, request) and request.state == RequestState.OPEN


def _own_open_rows(actor: Actor) -> Condition:
    return and_(_own_rows(actor), SiteRequest.state == RequestState.OPEN)


def _taught(actor: Actor, request: SiteRequest) -> bool:
    return request.by_student and not actor.teaches.isdisjoint(request.attended or ())


def _taught_rows(actor: Actor) -> Condition:
    attended = cast(SiteRequest.attended, ARRAY(Uuid))
    return and_(
        SiteRequest.by_student,
        func.coalesce(attended.overlap(_array(actor.teaches)), false()),
    )


register(
    Grant(Permission.SITES_READ, Role.STUDENT, "A student sees which sites are open to them."),
    Grant(Permission.SITES_READ, Role.TEACHER, "A teacher sees which sites are open at own units."),
    Grant(
        Permission.SITES_READ,
        Role.WORKSHOP,
        "A workshop officer sees which sites are open at own units.",
    ),
    Grant(
        Permission.SITE_REQUEST_ANSWER,
        Role.SECURITY,
        "A security officer answers wishes from teachers of own units, and from students placed"
        " there now.",
        SiteRequest,
        _answers,
        _answers_rows,
    ),
    Grant(Permission.SITE_REQUEST_ASK, Role.STUDENT, "A student asks for a page."),
    Grant(Permission.SITE_REQUEST_ASK, Role.TEACHER, "A teacher asks for a page for a class."),
    Grant(
        Permission.SITE_REQUEST_READ,
        Role.STUDENT,
        "A student sees own wishes and their answers, and nobody else's.",
        SiteRequest,
        _own,
        _own_rows,
    ),
    Grant(
        Permission.SITE_REQUEST_READ,
        Role.TEACHER,
        "A teacher sees own wishes and their answers.",
        SiteRequest,
        _own,
        _own_rows,
    ),
    Grant(
        Permission.SITE_REQUEST_READ,
        Role.TEACHER,
        "A teacher sees what students of own classes ask for.",
        SiteRequest,
        _taught,
        _taught_rows,
    ),
    *(
        Grant(
            Permission.SITE_REQUEST_WITHDRAW,
            role,
            f"A {role} takes back an own wish that nobody has taken up.",
            SiteRequest,
            _own_open,
            _own_open_rows,
        )
        for role in (Role.STUDENT, Role.TEACHER)
    ),
    Grant(
        Permission.WHITELIST_APPROVE,
        Role.SECURITY,
        "A security officer approves or refuses what another one has proposed, never an own"
        " proposal; for a unit's rule one of the two is of that unit, for a national rule the two"
        " are of more than one unit where there are officers elsewhere.",
        Proposal,
        _decides,
        _decides_rows,
    ),
    Grant(
        Permission.WHITELIST_PROPOSE,
        Role.SECURITY,
        "A security officer proposes rules, changes to them, and that they go.",
    ),
    Grant(
        Permission.WHITELIST_READ,
        Role.SECURITY,
        "A security officer reads all rules, their history and what is proposed.",
    ),
    Grant(
        Permission.WHITELIST_STOP,
        Role.SECURITY,
        "A security officer stops a rule anywhere, and students, rooms and everything at own units;"
        " two of them reopen.",
        Stop,
        _sees_stop,
        _sees_stop_rows,
    ),
)
