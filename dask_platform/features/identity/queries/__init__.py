"""Reads about people, units and rooms. Behind them the row policies narrow to what the actor of the
transaction may see: a name that may not be known is simply not in the answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, text

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.identity.models import LoginSession, Person, Placement, StaffRole, Unit
from dask_platform.kernel.actor import STAFF_ROLES, Actor, Role
from dask_platform.kernel.errors import NotVisible

LOOKUP = text("SELECT * FROM dask_login_lookup(:username)")
SESSION_END = text("SELECT dask_session_end(:token, :now)")


@dataclass(frozen=True, slots=True)
class Account:
    """What the log-in knows of a user name before anybody is the actor."""

    person_id: UUID
    kind: str
    active: bool
    directory_key: str | None
    password_hash: str | None
    must_change: bool
    unit_id: UUID | None


@dataclass(frozen=True, slots=True)
class StudentLine:
    id: UUID
    username: str
    display_name: str


def placed_now() -> ColumnElement[bool]:
    """Placements that hold. By the database's clock, as the row policies judge them."""
    return (Placement.starts_at <= func.now()) & or_(
        Placement.ends_at.is_(None), Placement.ends_at > func.now()
    )


def role_holds_now() -> ColumnElement[bool]:
    """Staff roles that hold, by the database's clock."""
    return (StaffRole.starts_at <= func.now()) & or_(
        StaffRole.ends_at.is_(None), StaffRole.ends_at > func.now()
    )


def live(now: datetime) -> ColumnElement[bool]:
    """Sessions that the next request would still go through with."""
    return (
        LoginSession.ended_at.is_(None)
        & (LoginSession.idle_until > now)
        & (LoginSession.expires_at > now)
    )


def account_named(uow: UnitOfWork, username: str) -> Account | None:
    """The account with exactly this (normal) user name. Needs no actor."""
    row = uow.execute(LOOKUP, {"username": username}).one_or_none()
    return Account(*row) if row else None


def describe_self(uow: UnitOfWork, person_id: UUID, unit_id: UUID | None) -> Actor:
    """The person who has just shown a password, as an actor without a session.

    ``unit_id`` is a student's present placement. Call it after ``uow.act_as(person_id)``.
    """
    person = uow.execute(
        select(Person.username, Person.display_name, Person.locale, Person.kind).where(
            Person.id == person_id
        )
    ).one()
    roles: dict[Role, frozenset[UUID]] = {}
    if person.kind == "student":
        if unit_id is not None:
            roles[Role.STUDENT] = frozenset({unit_id})
    else:
        held = uow.execute(
            select(StaffRole.role, StaffRole.unit_id).where(
                StaffRole.person_id == person_id, role_holds_now()
            )
        )
        for role, unit in held:
            roles[Role(role)] = roles.get(Role(role), frozenset()) | {unit}
    return Actor(
        person_id=person_id,
        session_id=None,
        username=person.username,
        display_name=person.display_name,
        locale=person.locale,
        roles=roles,
        address=uow.origin.address,
    )


def person_names(uow: UnitOfWork, ids: Iterable[UUID]) -> dict[UUID, str]:
    """Names of those of ``ids`` that the actor may know; the others are left out."""
    wanted = set(ids)
    if not wanted:
        return {}
    rows = uow.execute(select(Person.id, Person.display_name).where(Person.id.in_(wanted)))
    return {row.id: row.display_name for row in rows}


def students_at(uow: UnitOfWork, actor: Actor, unit_ids: Iterable[UUID]) -> list[StudentLine]:
    """Students with an open account placed now at those of ``unit_ids`` where the actor is staff,
    by name."""
    units = actor.units(*STAFF_ROLES) & set(unit_ids)
    if not units:
        return []
    rows = uow.execute(
        select(Person.id, Person.username, Person.display_name)
        .join(Placement, Placement.person_id == Person.id)
        .where(Placement.unit_id.in_(units), placed_now(), Person.active)
        .order_by(Person.display_name, Person.username)
    )
    return [StudentLine(*row) for row in rows]


def unit_names(uow: UnitOfWork) -> dict[UUID, str]:
    """Every unit's name; units are no secret."""
    rows = uow.execute(select(Unit.id, Unit.name).order_by(Unit.name))
    return {row.id: row.name for row in rows}


def school_of_unit(uow: UnitOfWork, unit_id: UUID) -> UUID:
    """The school that answers for a unit. Raises ``NotVisible``."""
    found = uow.scalar(select(Unit.school_id).where(Unit.id == unit_id))
    if found is None:
        raise NotVisible("There is nothing here.")
    return found


def session_end(uow: UnitOfWork, token_hash: bytes, now: datetime) -> str | None:
    """Why the session with this token is over (``EndReason`` as text); None for no such session.
    Needs no actor: who has the token had the session."""
    found = uow.execute(SESSION_END, {"token": token_hash, "now": now}).scalar()
    return str(found) if found is not None else None


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """What a person sees of their own account. ``places`` are (role, unit name) that hold now."""

    username: str
    display_name: str
    local: bool
    places: tuple[tuple[Role, str], ...]


def own_account(uow: UnitOfWork, actor: Actor) -> OwnAccount:
    key = uow.scalar(select(Person.directory_key).where(Person.id == actor.person_id))
    names = unit_names(uow)
    places = [
        (role, names[unit])
        for role, units in actor.roles.items()
        for unit in units
        if unit in names
    ]
    return OwnAccount(actor.username, actor.display_name, key is None, tuple(sorted(places)))


def is_of_directory(uow: UnitOfWork, person_id: UUID) -> bool:
    """Whether the county's directory keeps this person."""
    return uow.scalar(select(Person.directory_key).where(Person.id == person_id)) is not None
