"""Opening a supervised site for a room, and closing it again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import String, Uuid, bindparam, column, select, table, text

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit import service as audit
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.broker import policy  # noqa: F401 - registers the grants
from dask_platform.features.broker.models import Supervision
from dask_platform.kernel.actor import Actor, Role
from dask_platform.kernel.errors import Conflict, NotVisible
from dask_platform.kernel.messages import N_
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise, rows

#: A lesson, and not a day: whoever goes home without closing leaves nothing open.
LONGEST: Final = timedelta(hours=2)
ROOM = table("room", column("id", Uuid), column("unit_id", Uuid), column("name", String))
OPEN_ALREADY: Final = N_("The site is open for this room already.")

_OPENED = text("SELECT dask_supervised_now(:room, :now)")
_OPEN = (
    select(Supervision)
    .where(Supervision.closed_at.is_(None), Supervision.until > bindparam("now"))
    .order_by(Supervision.opened_at.desc())
)


@dataclass(frozen=True, slots=True)
class Room:
    """A room that the actor may open a site for."""

    id: UUID
    name: str


def own_rooms(uow: UnitOfWork, actor: Actor) -> list[Room]:
    """The rooms of the units where the actor may supervise, by name."""
    units = actor.units(Role.TEACHER, Role.WORKSHOP, Role.SECURITY)
    found = uow.execute(
        select(ROOM.c.id, ROOM.c.name).where(ROOM.c.unit_id.in_(units)).order_by(ROOM.c.name)
    )
    return [Room(*row) for row in found]


def open_for_room(
    uow: UnitOfWork, actor: Actor, rule_id: str, room_id: UUID, now: datetime
) -> Supervision:
    """Open ``rule_id`` for the room, watched by the actor, until closed or for two hours.

    It also closes when the actor's session ends. Raises ``NotVisible`` for a room of another unit,
    ``Conflict`` where somebody watches there already.
    """
    unit_id = uow.scalar(select(ROOM.c.unit_id).where(ROOM.c.id == room_id))
    if unit_id is None:
        raise NotVisible()
    made = Supervision(
        rule_id=rule_id, room_id=room_id, unit_id=unit_id, opened_by=actor.person_id,
        session_id=actor.session_id, opened_at=now, until=now + LONGEST,
    )  # fmt: skip
    authorise(actor, Permission.SITES_SUPERVISE, made)
    if rule_id in opened(uow, room_id, now):
        raise Conflict(OPEN_ALREADY)
    uow.add(made)
    uow.flush()
    audit.record(
        uow, actor, EventKind.SITE_OPENED, unit_id=unit_id, thing=("room", room_id), rule=rule_id
    )
    return made


def close(uow: UnitOfWork, actor: Actor, supervision_id: UUID, now: datetime) -> None:
    """Close it for the room, whoever of the unit's staff opened it. Closed already: nothing."""
    found = uow.get(Supervision, supervision_id)
    if found is None:
        raise NotVisible()
    authorise(actor, Permission.SITES_SUPERVISE, found)
    if found.closed_at is None:
        found.closed_at = now
        audit.record(
            uow, actor, EventKind.SITE_CLOSED, unit_id=found.unit_id,
            thing=("room", found.room_id), rule=found.rule_id,
        )  # fmt: skip


def open_now(uow: UnitOfWork, actor: Actor, now: datetime) -> list[Supervision]:
    """What is open at the actor's units, the newest first."""
    found = list(
        uow.scalars(_OPEN.where(rows(actor, Permission.SITES_SUPERVISE, Supervision)), {"now": now})
    )
    holding = {room_id: opened(uow, room_id, now) for room_id in {one.room_id for one in found}}
    return [one for one in found if one.rule_id in holding[one.room_id]]


def opened(uow: UnitOfWork, room_id: UUID, now: datetime) -> frozenset[str]:
    """The supervised rules that are open in the room now: nothing whose watcher has logged out.

    The database says it, for students and staff of the room's unit alone; nobody reads another's
    sessions for it.
    """
    return frozenset(uow.scalars(_OPENED, {"room": room_id, "now": now}).all())
