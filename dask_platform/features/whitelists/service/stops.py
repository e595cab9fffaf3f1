"""Closing at once, by one officer; opening again, by two.

A stop holds from its commit on: every request reads the stops in its own transaction, and a
transfer reads them again while it runs.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, column, func, select, table, update

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.whitelists.models import Stop, StopKind
from dask_platform.features.whitelists.queries import in_force, standing
from dask_platform.features.whitelists.service.proposals import NOTHING_HERE, reason_of
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import Conflict, NotAllowed, NotVisible
from dask_platform.kernel.ids import new_id
from dask_platform.kernel.messages import N_
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise

_ROOM = table("room", column("id", Uuid), column("unit_id", Uuid))


def stop_rule(
    uow: UnitOfWork, actor: Actor, rule_id: str, unit_id: UUID | None, reason: str, now: datetime
) -> UUID:
    """Close what one rule opens, at an own unit, or everywhere with ``unit_id`` None."""
    if rule_id not in in_force(uow, standing(uow, actor)).rules:
        raise NotVisible(NOTHING_HERE)
    made = Stop(kind=StopKind.RULE, rule_id=rule_id, unit_id=unit_id)
    return _stop(uow, actor, made, reason, now)


def stop_student(
    uow: UnitOfWork, actor: Actor, person_id: UUID, reason: str, now: datetime
) -> UUID:
    """Close every site to a student placed at an own unit. It follows the student."""
    # Told only to the student's own staff: null for a stranger, and then there is nothing to stop.
    unit_id = uow.scalar(select(func.dask_unit_of(person_id)))
    made = Stop(kind=StopKind.STUDENT, person_id=person_id, unit_id=unit_id, placed_unit=unit_id)
    return _stop(uow, actor, made, reason, now)


def stop_room(uow: UnitOfWork, actor: Actor, room_id: UUID, reason: str, now: datetime) -> UUID:
    """Close every site to whoever sits in a room of an own unit."""
    unit_id = uow.scalar(select(_ROOM.c.unit_id).where(_ROOM.c.id == room_id))
    made = Stop(kind=StopKind.ROOM, room_id=room_id, unit_id=unit_id)
    return _stop(uow, actor, made, reason, now)


def stop_unit(uow: UnitOfWork, actor: Actor, unit_id: UUID, reason: str, now: datetime) -> UUID:
    """Close every site at an own unit."""
    return _stop(uow, actor, Stop(kind=StopKind.UNIT, unit_id=unit_id), reason, now)


def ask_to_reopen(uow: UnitOfWork, actor: Actor, stop_id: UUID, reason: str, now: datetime) -> None:
    """The first of the two who reopen. It stays stopped until another officer agrees."""
    said = reason_of(reason)
    stop = _holding(uow, actor, stop_id)
    if stop.reopen_asked_by is not None:
        raise Conflict(N_("Somebody has asked to open this again already."))
    _change(uow, stop, Stop.reopen_asked_at.is_(None), reopen_asked_at=now, reopen_reason=said)
    _note(uow, actor, EventKind.WHITELIST_REOPEN_ASKED, stop)


def agree_to_reopen(uow: UnitOfWork, actor: Actor, stop_id: UUID, now: datetime) -> None:
    """The second of the two: open again."""
    stop = _holding(uow, actor, stop_id)
    if stop.reopen_asked_by is None:
        raise Conflict(N_("Nobody has asked to open this again. Ask first; another one agrees."))
    if stop.reopen_asked_by == actor.person_id:
        raise NotAllowed(N_("You asked for this yourself. Another officer must agree."))
    _change(uow, stop, Stop.reopen_asked_by == stop.reopen_asked_by, reopened_at=now)
    _note(uow, actor, EventKind.WHITELIST_REOPENED, stop)


def decline_to_reopen(uow: UnitOfWork, actor: Actor, stop_id: UUID) -> None:
    """Say no, or take back an own question. It stays stopped, and can be asked anew."""
    stop = _holding(uow, actor, stop_id)
    if stop.reopen_asked_by is None:
        raise Conflict(N_("Nobody has asked to open this again. Ask first; another one agrees."))
    _change(uow, stop, Stop.reopen_asked_by == stop.reopen_asked_by, reopen_asked_at=None)
    _note(uow, actor, EventKind.WHITELIST_REOPEN_DECLINED, stop)


def _stop(uow: UnitOfWork, actor: Actor, stop: Stop, reason: str, now: datetime) -> UUID:
    """The id of the stop; the one that holds already, where there is one."""
    authorise(actor, Permission.WHITELIST_STOP, stop)
    said = reason_of(reason)
    same = uow.scalar(
        select(Stop.id).where(
            Stop.reopened_at.is_(None),
            Stop.kind == stop.kind,
            Stop.rule_id.is_not_distinct_from(stop.rule_id),
            Stop.person_id.is_not_distinct_from(stop.person_id),
            Stop.room_id.is_not_distinct_from(stop.room_id),
            Stop.unit_id.is_not_distinct_from(stop.unit_id),
        )
    )
    if same is not None:
        return same
    stop.id, stop.reason, stop.stopped_at = new_id(), said, now
    stop.stopped_by, stop.stopped_name = actor.person_id, actor.display_name
    uow.add(stop)
    uow.flush()
    _note(uow, actor, EventKind.WHITELIST_STOPPED, stop)
    return stop.id


def _holding(uow: UnitOfWork, actor: Actor, stop_id: UUID) -> Stop:
    stop = uow.get(Stop, stop_id)
    if stop is None:
        raise NotVisible(NOTHING_HERE)
    authorise(actor, Permission.WHITELIST_STOP, stop)
    if stop.reopened_at is not None:
        raise Conflict(N_("This is open again already."))
    return stop


def _change(uow: UnitOfWork, stop: Stop, still: Any, **values: Any) -> None:
    done = uow.execute(
        update(Stop)
        .where(Stop.id == stop.id, Stop.reopened_at.is_(None), still)
        .values(**values)
        .returning(Stop.id)
        .execution_options(synchronize_session=False)
    ).all()
    uow.expire(stop)
    if not done:
        raise Conflict(N_("Somebody else changed this first. Load the page again."))


def _note(uow: UnitOfWork, actor: Actor, kind: EventKind, stop: Stop) -> None:
    target = stop.rule_id or stop.person_id or stop.room_id or stop.unit_id
    record(
        uow, actor, kind, unit_id=stop.unit_id, thing=("stop", stop.id),
        subject_id=stop.person_id, what=stop.kind, target=target,
    )  # fmt: skip
