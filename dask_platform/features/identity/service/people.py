"""The operator's verbs on a person: add, reset, close and open an account.

Each asks whether the person is at a unit where the actor is operator. Nobody does any of it to
themselves: for that there is one's own account page, which asks for the password.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, insert, select, update

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit import service as audit
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.identity import queries
from dask_platform.features.identity.models import (
    LocalCredential,
    Person,
    Placement,
    StaffRole,
    Unit,
)
from dask_platform.features.identity.service import credentials, second_factor, sessions
from dask_platform.features.identity.service.names import new_username
from dask_platform.kernel.actor import Actor, Role
from dask_platform.kernel.errors import Conflict, Invalid, NotAllowed, NotVisible
from dask_platform.kernel.ids import new_code, new_id
from dask_platform.kernel.messages import N_
from dask_platform.security.names import clean_display_name
from dask_platform.security.passwords import PasswordHasher
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise, permits


def add_local(
    uow: UnitOfWork,
    actor: Actor,
    hasher: PasswordHasher,
    *,
    username: str,
    display_name: str,
    role: Role,
    unit_id: UUID,
    now: datetime,
) -> tuple[UUID, str]:
    """A new local account with one role at one unit: (person, one-time password).

    A student is placed at the unit. The password is told once, here, and must be changed at the
    first log-in. Raises ``Invalid`` for a name that is taken or not fit.
    """
    unit = uow.get(Unit, unit_id)
    authorise(actor, Permission.PEOPLE_MANAGE, unit)
    person_id, password = make_person(
        uow,
        hasher,
        username=username,
        display_name=display_name,
        role=role,
        unit_id=unit_id,
        now=now,
    )
    audit.record(
        uow,
        actor,
        EventKind.PERSON_CREATED,
        unit_id=unit_id,
        thing=("person", person_id),
        subject_id=person_id,
        role=str(role),
    )
    return person_id, password


def make_person(
    uow: UnitOfWork,
    hasher: PasswordHasher,
    *,
    username: str,
    display_name: str,
    role: Role,
    unit_id: UUID,
    now: datetime,
) -> tuple[UUID, str]:
    """The rows of a new local person. The caller has authorised and records."""
    name = new_username(username)
    shown = _display_name(display_name)
    if queries.account_named(uow, name) is not None:
        raise Invalid(N_("This user name is taken. Choose another."), field="username")
    person_id, password = new_id(), new_code()
    student = role is Role.STUDENT
    uow.execute(
        insert(Person).values(
            id=person_id,
            kind="student" if student else "staff",
            username=name,
            display_name=shown,
            locale="nb",
            active=True,
            created_at=now,
        )
    )
    # By the database's clock, as the row policies judge them: they hold from this statement on.
    if student:
        uow.execute(
            insert(Placement).values(
                id=new_id(), person_id=person_id, unit_id=unit_id, starts_at=func.now()
            )
        )
    else:
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
    uow.execute(
        insert(LocalCredential).values(
            person_id=person_id,
            password_hash=hasher.hash_password(password),
            must_change=True,
            changed_at=now,
        )
    )
    return person_id, password


def rename(uow: UnitOfWork, actor: Actor, person_id: UUID, display_name: str) -> None:
    """Change the name that is shown. A person of the directory is renamed there."""
    person, unit_id = operated(uow, actor, person_id)
    if person.directory_key is not None:
        raise NotAllowed(N_("This person comes from the directory. Change the name there."))
    uow.execute(
        update(Person)
        .where(Person.id == person_id)
        .values(display_name=_display_name(display_name))
    )
    audit.record(
        uow,
        actor,
        EventKind.PERSON_CHANGED,
        unit_id=unit_id,
        thing=("person", person_id),
        subject_id=person_id,
        what="name",
    )


def reset_password(
    uow: UnitOfWork, actor: Actor, hasher: PasswordHasher, person_id: UUID, now: datetime
) -> str:
    """A new one-time password, told once; the person's sessions end."""
    person, unit_id = operated(uow, actor, person_id)
    _not_oneself(actor, person_id)
    if person.directory_key is not None:
        raise NotAllowed(N_("The password of this person is kept by the county. Change it there."))
    password = replace_password(uow, hasher, person_id, now)
    audit.record(
        uow,
        actor,
        EventKind.PASSWORD_RESET,
        unit_id=unit_id,
        thing=("person", person_id),
        subject_id=person_id,
    )
    return password


def replace_password(
    uow: UnitOfWork, hasher: PasswordHasher, person_id: UUID, now: datetime
) -> str:
    """The rows of a reset. The caller has authorised and records."""
    password = new_code()
    credentials.store_hash(uow, person_id, hasher.hash_password(password), must_change=True)
    sessions.end_of_person(uow, person_id, now, sessions.EndReason.PASSWORD)
    return password


def reset_second_factor(uow: UnitOfWork, actor: Actor, person_id: UUID, now: datetime) -> None:
    """Remove another's second factor, for a lost telephone; the person's sessions end."""
    _person, unit_id = operated(uow, actor, person_id)
    _not_oneself(actor, person_id)
    if not second_factor.remove(uow, person_id):
        raise Conflict(N_("This person has no second factor."))
    sessions.end_of_person(uow, person_id, now, sessions.EndReason.SECOND_FACTOR)
    audit.record(
        uow,
        actor,
        EventKind.SECOND_FACTOR_REMOVED,
        unit_id=unit_id,
        thing=("person", person_id),
        subject_id=person_id,
    )


def deactivate(uow: UnitOfWork, actor: Actor, person_id: UUID, now: datetime) -> None:
    """Close an account. Its sessions end at once; what the person did stays."""
    person, unit_id = operated(uow, actor, person_id)
    _not_oneself(actor, person_id)
    if not person.active:
        raise Conflict(N_("This account is closed already."))
    ended = sessions.end_of_person(uow, person_id, now, sessions.EndReason.ACCOUNT_CLOSED)
    uow.execute(
        update(Person).where(Person.id == person_id).values(active=False, deactivated_at=now)
    )
    audit.record(
        uow,
        actor,
        EventKind.PERSON_DEACTIVATED,
        unit_id=unit_id,
        thing=("person", person_id),
        subject_id=person_id,
        sessions=ended,
    )


def reactivate(uow: UnitOfWork, actor: Actor, person_id: UUID) -> None:
    """Open a closed account again. The directory still decides whether its people may log in."""
    person, unit_id = operated(uow, actor, person_id, ever=True)
    if person.active:
        raise Conflict(N_("This account is open already."))
    uow.execute(
        update(Person).where(Person.id == person_id).values(active=True, deactivated_at=None)
    )
    audit.record(
        uow,
        actor,
        EventKind.PERSON_CHANGED,
        unit_id=unit_id,
        thing=("person", person_id),
        subject_id=person_id,
        what="reactivated",
    )


def operated(
    uow: UnitOfWork, actor: Actor, person_id: UUID, *, ever: bool = False
) -> tuple[Person, UUID]:
    """The person and the unit by which the actor may manage them. Raises ``NotVisible``.

    ``ever`` counts roles that have ended: a closed account of the directory has no other.
    """
    roles = select(StaffRole.unit_id).where(StaffRole.person_id == person_id)
    if not ever:
        roles = roles.where(queries.role_holds_now())
    placed = select(Placement.unit_id).where(Placement.person_id == person_id, queries.placed_now())
    units = uow.scalars(select(Unit).where(Unit.id.in_(roles.union(placed)))).all()
    mine = [unit for unit in units if permits(actor, Permission.PEOPLE_MANAGE, unit)]
    person = uow.get(Person, person_id) if mine else None
    if person is None:
        raise NotVisible("There is nothing here.")
    return person, mine[0].id


def _not_oneself(actor: Actor, person_id: UUID) -> None:
    if person_id == actor.person_id:
        raise NotAllowed(N_("You cannot do this to your own account. Ask another operator."))


def _display_name(raw: str) -> str:
    try:
        return clean_display_name(raw)
    except Invalid as error:
        raise type(error)(error.message, field="display_name", **error.params) from None
