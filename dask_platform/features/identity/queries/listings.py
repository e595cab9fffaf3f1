"""The lists an operator and the staff of a unit look at: people, rooms, who is logged in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal, or_, select, true

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.identity.models import (
    LoginSession,
    Person,
    Placement,
    Room,
    RoomNetwork,
    StaffRole,
    TotpSecret,
    Unit,
)
from dask_platform.features.identity.queries import live, placed_now, role_holds_now
from dask_platform.kernel.actor import Actor, Role
from dask_platform.kernel.errors import NotVisible
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import rows

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class UnitLine:
    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Place:
    """A placement or a role that holds now. ``by_hand`` is False where the directory keeps it."""

    id: UUID
    role: Role
    unit_id: UUID
    unit_name: str
    by_hand: bool


@dataclass(frozen=True, slots=True)
class PersonLine:
    id: UUID
    username: str
    display_name: str
    kind: str
    active: bool
    local: bool
    places: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class PeoplePage:
    people: tuple[PersonLine, ...]
    total: int
    number: int

    @property
    def count(self) -> int:
        return max(1, -(-self.total // PAGE_SIZE))


@dataclass(frozen=True, slots=True)
class PersonPage:
    """``manageable`` is False where the actor may look and not touch."""

    line: PersonLine
    has_second_factor: bool
    manageable: bool


@dataclass(frozen=True, slots=True)
class NetworkLine:
    id: UUID
    network: str


@dataclass(frozen=True, slots=True)
class Present:
    """A student who is logged in now."""

    person_id: UUID
    display_name: str
    since: datetime
    seen_at: datetime


@dataclass(slots=True)
class RoomLine:
    """``id`` None is the line for those who are logged in outside every room."""

    id: UUID | None
    name: str
    networks: list[NetworkLine] = field(default_factory=list)
    present: list[Present] = field(default_factory=list)


@dataclass(slots=True)
class UnitRooms:
    id: UUID
    name: str
    manageable: bool
    rooms: list[RoomLine]

    @property
    def present(self) -> int:
        return sum(len(room.present) for room in self.rooms)

    @property
    def networks(self) -> int:
        return sum(len(room.networks) for room in self.rooms)


def units_for(uow: UnitOfWork, actor: Actor, permission: Permission) -> list[UnitLine]:
    """Units over which the actor holds the permission, by name."""
    found = uow.execute(
        select(Unit.id, Unit.name).where(rows(actor, permission, Unit)).order_by(Unit.name)
    )
    return [UnitLine(*row) for row in found]


def people_page(
    uow: UnitOfWork, actor: Actor, *, search: str = "", unit_id: UUID | None = None, number: int = 1
) -> PeoplePage:
    """People of the actor's units, by name: placed there, with a role there, or with a closed
    account that once had one. ``search`` finds a part of name or user name."""
    units = select(Unit.id).where(rows(actor, Permission.PEOPLE_READ, Unit))
    if unit_id is not None:
        units = units.where(Unit.id == unit_id)
    which = _belong_to(units)
    if search.strip():
        part = search.strip()
        which &= or_(
            Person.display_name.icontains(part, autoescape=True),
            Person.username.icontains(part, autoescape=True),
        )
    total = uow.scalar(select(func.count()).select_from(Person).where(which)) or 0
    number = max(1, min(number, -(-total // PAGE_SIZE)))
    found = uow.execute(
        _person_columns(which)
        .order_by(Person.display_name, Person.id)
        .limit(PAGE_SIZE)
        .offset((number - 1) * PAGE_SIZE)
    ).all()
    places = _places(uow, [row.id for row in found])
    people = tuple(_line(row, places) for row in found)
    return PeoplePage(people, total, number)


def person_page(uow: UnitOfWork, actor: Actor, person_id: UUID) -> PersonPage:
    """One person of the actor's units. Raises ``NotVisible``."""
    which = _belong_to(select(Unit.id).where(rows(actor, Permission.PEOPLE_READ, Unit)))
    row = uow.execute(_person_columns(which & (Person.id == person_id))).one_or_none()
    if row is None:
        raise NotVisible("There is nothing here.")
    line = _line(row, _places(uow, [person_id]))
    managed = actor.units(Role.OPERATOR)
    here = any(place.unit_id in managed for place in line.places) or not line.active
    factor = uow.scalar(
        select(TotpSecret.person_id).where(
            TotpSecret.person_id == person_id, TotpSecret.confirmed_at.is_not(None)
        )
    )
    return PersonPage(line, factor is not None, bool(managed) and here)


def _belong_to(units: Any) -> ColumnElement[bool]:
    placed = select(Placement.person_id).where(Placement.unit_id.in_(units), placed_now())
    roles = select(StaffRole.person_id).where(StaffRole.unit_id.in_(units))
    return or_(
        Person.id.in_(placed),
        Person.id.in_(roles.where(role_holds_now())),
        ~Person.active & Person.id.in_(roles),
    )


def _person_columns(which: ColumnElement[bool]) -> Any:
    return select(
        Person.id,
        Person.username,
        Person.display_name,
        Person.kind,
        Person.active,
        Person.directory_key.is_(None).label("local"),
    ).where(which)


def _line(row: Any, places: dict[UUID, list[Place]]) -> PersonLine:
    return PersonLine(
        row.id,
        row.username,
        row.display_name,
        row.kind,
        row.active,
        row.local,
        tuple(places.get(row.id, ())),
    )


def _places(uow: UnitOfWork, people: Iterable[UUID]) -> dict[UUID, list[Place]]:
    """Places of several people that the actor may see, in one statement."""
    wanted = list(people)
    if not wanted:
        return {}
    roles = (
        select(
            StaffRole.person_id,
            StaffRole.id,
            StaffRole.role,
            Unit.id.label("unit_id"),
            Unit.name,
            (StaffRole.source == "local").label("by_hand"),
        )
        .join(Unit, Unit.id == StaffRole.unit_id)
        .where(StaffRole.person_id.in_(wanted), role_holds_now())
    )
    placed = (
        select(
            Placement.person_id,
            Placement.id,
            literal("student"),
            Unit.id,
            Unit.name,
            Person.directory_key.is_(None),
        )
        .join(Unit, Unit.id == Placement.unit_id)
        .join(Person, Person.id == Placement.person_id)
        .where(Placement.person_id.in_(wanted), placed_now())
    )
    found: dict[UUID, list[Place]] = {}
    for person_id, place_id, role, unit_id, unit_name, by_hand in uow.execute(
        roles.union_all(placed).order_by("name", "role")
    ):
        place = Place(place_id, Role(role), unit_id, unit_name, by_hand)
        found.setdefault(person_id, []).append(place)
    return found


def rooms_of(uow: UnitOfWork, actor: Actor, now: datetime) -> list[UnitRooms]:
    """Units where the actor may end sessions, their rooms with networks, and who is there now."""
    units = units_for(uow, actor, Permission.SESSIONS_END)
    ids = [unit.id for unit in units]
    lines: dict[UUID, RoomLine] = {}
    of_unit: dict[UUID, list[RoomLine]] = {unit.id: [] for unit in units}
    found = uow.execute(
        select(Room.id, Room.unit_id, Room.name, RoomNetwork.id, RoomNetwork.network)
        .outerjoin(RoomNetwork, RoomNetwork.room_id == Room.id)
        .where(Room.unit_id.in_(ids))
        .order_by(Room.name, RoomNetwork.network)
    )
    for room_id, unit_id, name, network_id, network in found:
        if room_id not in lines:
            lines[room_id] = RoomLine(room_id, name)
            of_unit[unit_id].append(lines[room_id])
        if network_id is not None:
            lines[room_id].networks.append(NetworkLine(network_id, str(network)))
    outside = {unit_id: RoomLine(None, "") for unit_id in ids}
    for row in _present(uow, ids, now):
        line = lines.get(row.room_id) or outside[row.unit_id]
        line.present.append(Present(row.id, row.display_name, row.started_at, row.seen_at))
    return [
        UnitRooms(
            unit.id,
            unit.name,
            actor.holds(Role.OPERATOR, unit.id),
            of_unit[unit.id] + ([outside[unit.id]] if outside[unit.id].present else []),
        )
        for unit in units
    ]


def _present(uow: UnitOfWork, unit_ids: list[UUID], now: datetime) -> Any:
    return uow.execute(
        select(
            Person.id,
            Person.display_name,
            Placement.unit_id,
            LoginSession.room_id,
            LoginSession.started_at,
            LoginSession.seen_at,
        )
        .join(Person, Person.id == LoginSession.person_id)
        .join(Placement, Placement.person_id == Person.id)
        .where(LoginSession.student, live(now), placed_now(), Placement.unit_id.in_(unit_ids))
        .order_by(Person.display_name, Person.id)
    )


def room_named(uow: UnitOfWork, actor: Actor, room_id: UUID) -> RoomLine:
    """A room that the actor keeps. Raises ``NotVisible``."""
    name = uow.scalar(
        select(Room.name)
        .join(Unit, Unit.id == Room.unit_id)
        .where(Room.id == room_id, rows(actor, Permission.ROOMS_MANAGE, Unit))
    )
    if name is None:
        raise NotVisible("There is nothing here.")
    return RoomLine(room_id, name)


def everybody(uow: UnitOfWork, unit_id: UUID | None = None) -> list[PersonLine]:
    """All people, or those of one unit, by user name; for the owner's command line alone: behind
    the row policies it would give what the actor may see."""
    which = _belong_to(select(Unit.id).where(Unit.id == unit_id)) if unit_id else true()
    found = uow.execute(_person_columns(which).order_by(Person.username)).all()
    places = _places(uow, [row.id for row in found])
    return [_line(row, places) for row in found]
