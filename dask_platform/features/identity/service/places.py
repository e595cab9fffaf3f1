"""Where people belong: a student's placement, a member of staff's roles.

Beginnings and ends are the database's clock, for the row policies judge them by it. Nobody gives
themselves a role or takes one from themselves.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, insert, select, update

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit import service as audit
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.identity import queries
from dask_platform.features.identity.models import Placement, StaffRole, Unit
from dask_platform.features.identity.service import sessions
from dask_platform.features.identity.service.names import normal_username
from dask_platform.kernel.actor import STAFF_ROLES, Actor, Role
from dask_platform.kernel.errors import Conflict, Invalid, NotAllowed, NotVisible
from dask_platform.kernel.ids import new_id
from dask_platform.kernel.messages import N_
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise


def bring(uow: UnitOfWork, actor: Actor, username: str, role: Role, unit_id: UUID) -> UUID:
    """Place a student, or give a member of staff a role, by exact user name: the person may be at
    no unit of the actor's yet. Raises ``Invalid`` when there is no such account of that kind."""
    authorise(actor, Permission.PEOPLE_MANAGE, uow.get(Unit, unit_id))
    account = queries.account_named(uow, normal_username(username))
    kind = "student" if role is Role.STUDENT else "staff"
    if account is None or account.kind != kind:
        raise Invalid(
            N_("There is no such account, or it cannot have this role. Check the user name."),
            field="username",
        )
    if role is Role.STUDENT:
        if account.directory_key is not None:
            raise NotAllowed(_BY_DIRECTORY)
        if account.unit_id is not None:
            raise Conflict(N_("This student has a place already. It must be ended first."))
        _begin_placement(uow, actor, account.person_id, unit_id)
    else:
        grant(uow, actor, account.person_id, role, unit_id)
    return account.person_id


_BY_DIRECTORY = N_("This comes from the directory. Change it there.")


def _begin_placement(uow: UnitOfWork, actor: Actor, person_id: UUID, unit_id: UUID) -> None:
    uow.execute(
        insert(Placement).values(
            id=new_id(), person_id=person_id, unit_id=unit_id, starts_at=func.now()
        )
    )
    _record_placement(uow, actor, person_id, unit_id, "began")


def transfer(uow: UnitOfWork, actor: Actor, person_id: UUID, unit_id: UUID, now: datetime) -> None:
    """Move a student from one of the actor's units to another. The student is logged out."""
    placement = _placement(uow, actor, person_id)
    authorise(actor, Permission.PEOPLE_MANAGE, uow.get(Unit, unit_id))
    if placement.unit_id == unit_id:
        raise Invalid(N_("The student is at this unit already."), field="unit")
    _end_placement(uow, actor, placement, now)
    _begin_placement(uow, actor, person_id, unit_id)


def end_placement(uow: UnitOfWork, actor: Actor, person_id: UUID, now: datetime) -> None:
    """The student has left. The account stays, and logs in again when placed again."""
    _end_placement(uow, actor, _placement(uow, actor, person_id), now)


def _placement(uow: UnitOfWork, actor: Actor, person_id: UUID) -> Placement:
    placement = uow.scalar(
        select(Placement).where(Placement.person_id == person_id, queries.placed_now())
    )
    if placement is None:
        raise NotVisible("There is nothing here.")
    authorise(actor, Permission.PEOPLE_MANAGE, uow.get(Unit, placement.unit_id))
    if queries.is_of_directory(uow, person_id):
        raise NotAllowed(_BY_DIRECTORY)
    return placement


def _end_placement(uow: UnitOfWork, actor: Actor, placement: Placement, now: datetime) -> None:
    # The sessions first: without the placement they are no longer the actor's to end.
    sessions.end_of_person(uow, placement.person_id, now, sessions.EndReason.MOVED)
    uow.execute(update(Placement).where(Placement.id == placement.id).values(ends_at=func.now()))
    _record_placement(uow, actor, placement.person_id, placement.unit_id, "ended")


def _record_placement(
    uow: UnitOfWork, actor: Actor, person_id: UUID, unit_id: UUID, what: str
) -> None:
    audit.record(
        uow,
        actor,
        EventKind.PERSON_PLACED,
        unit_id=unit_id,
        thing=("person", person_id),
        subject_id=person_id,
        what=what,
    )


def grant(uow: UnitOfWork, actor: Actor, person_id: UUID, role: Role, unit_id: UUID) -> None:
    """Give a member of staff a role at a unit, from now."""
    authorise(actor, Permission.PEOPLE_MANAGE, uow.get(Unit, unit_id))
    if person_id == actor.person_id:
        raise NotAllowed(N_("You cannot give yourself a role. Ask another operator."))
    if role not in STAFF_ROLES:
        raise Invalid(N_("A member of staff cannot have this role."), field="role")
    held = uow.scalar(
        select(StaffRole.id).where(
            StaffRole.person_id == person_id,
            StaffRole.role == str(role),
            StaffRole.unit_id == unit_id,
            StaffRole.ends_at.is_(None),
        )
    )
    if held is not None:
        raise Invalid(N_("This person has the role already."), field="role")
    uow.execute(
        insert(StaffRole).values(
            id=new_id(),
            person_id=person_id,
            unit_id=unit_id,
            role=str(role),
            source="local",
            starts_at=func.now(),
        )
    )
    _record_role(uow, actor, EventKind.ROLE_GRANTED, person_id, role, unit_id)


def end_role(uow: UnitOfWork, actor: Actor, person_id: UUID, role_id: UUID) -> None:
    """Take a role back. It holds at the person's next request."""
    held = uow.get(StaffRole, role_id)
    if held is None or held.person_id != person_id:
        raise NotVisible("There is nothing here.")
    authorise(actor, Permission.PEOPLE_MANAGE, uow.get(Unit, held.unit_id))
    if person_id == actor.person_id:
        raise NotAllowed(N_("You cannot take a role from yourself. Ask another operator."))
    if held.source == "directory":
        raise NotAllowed(_BY_DIRECTORY)
    ended = uow.execute(
        update(StaffRole)
        .where(StaffRole.id == role_id, StaffRole.ends_at.is_(None))
        .values(ends_at=func.greatest(func.now(), StaffRole.starts_at))
        .returning(StaffRole.id)
    ).first()
    if ended is None:
        raise Conflict(N_("This role has ended already."))
    _record_role(uow, actor, EventKind.ROLE_ENDED, person_id, Role(held.role), held.unit_id)


def _record_role(
    uow: UnitOfWork, actor: Actor, kind: EventKind, person_id: UUID, role: Role, unit_id: UUID
) -> None:
    audit.record(
        uow,
        actor,
        kind,
        unit_id=unit_id,
        thing=("person", person_id),
        subject_id=person_id,
        role=str(role),
    )
