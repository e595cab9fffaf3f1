"""Starting and ending sessions.

A session ends by a row, so it holds at the very next request, whatever the browser still has.
"""

from __future__ import annotations

import hashlib
import ipaddress
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ColumnElement, insert, select, update

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit import service as audit
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.identity.models import LoginSession, Person, Placement, Room, Unit
from dask_platform.features.identity.queries import live, placed_now
from dask_platform.kernel.actor import Actor, Role
from dask_platform.kernel.errors import NotVisible
from dask_platform.kernel.ids import new_id, new_token
from dask_platform.kernel.settings import Settings
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise


class EndReason(StrEnum):
    """Why a session ended, as ``login_session.ended_reason`` keeps it."""

    ACCOUNT_CLOSED = "account_closed"
    LEFT_ROOM = "left_room"
    LOGOUT = "logout"
    MOVED = "moved"
    OTHER_LOGIN = "other_login"
    PASSWORD = "password"  # noqa: S105
    RAN_OUT = "ran_out"
    ROLE = "role"
    SECOND_FACTOR = "second_factor"
    STAFF = "staff"


def hash_token(token: str) -> bytes:
    """What the database keeps of a token; the browser has the token itself."""
    return hashlib.sha256(token.encode()).digest()


def start(
    uow: UnitOfWork, actor: Actor, settings: Settings, now: datetime, room_id: UUID | None
) -> tuple[str, UUID]:
    """A new session for ``actor``, who is the actor of the transaction: (token, session id).

    A student's other session ends first. Two log-ins of one student at the same moment stand in
    line behind the lock on the person's row, so that each sees what the other has done; a unique
    index stands behind that.
    """
    student = actor.is_student
    if student:
        uow.execute(
            select(Person.id).where(Person.id == actor.person_id).with_for_update(key_share=True)
        )
        _end_others(uow, actor, now)
    operator = actor.holds(Role.OPERATOR)
    idle = settings.idle_limit(student=student, operator=operator)
    expires = now + settings.absolute_limit(student=student, operator=operator)
    token, session_id = new_token(), new_id()
    uow.execute(
        insert(LoginSession).values(
            id=session_id,
            person_id=actor.person_id,
            student=student,
            token_hash=hash_token(token),
            started_at=now,
            seen_at=now,
            idle_seconds=int(idle.total_seconds()),
            idle_until=min(now + idle, expires),
            expires_at=expires,
            address=_address(uow.origin.address),
            room_id=room_id,
        )
    )
    return token, session_id


def _end_others(uow: UnitOfWork, actor: Actor, now: datetime) -> None:
    mine = (LoginSession.person_id == actor.person_id, LoginSession.student.is_(True))
    for session_id in _end(uow, now, EndReason.OTHER_LOGIN, *mine, live(now)):
        audit.record(
            uow,
            actor,
            EventKind.LOGIN_ENDED_OTHER,
            thing=("session", session_id),
            subject_id=actor.person_id,
        )
    _end(uow, now, EndReason.RAN_OUT, *mine)


def _end(
    uow: UnitOfWork, now: datetime, reason: EndReason, *which: ColumnElement[bool]
) -> list[UUID]:
    ended = uow.execute(
        update(LoginSession)
        .where(LoginSession.ended_at.is_(None), *which)
        .values(ended_at=now, ended_reason=str(reason))
        .returning(LoginSession.id)
        .execution_options(synchronize_session=False)
    )
    return list(ended.scalars())


def end_of_person(
    uow: UnitOfWork,
    person_id: UUID,
    now: datetime,
    reason: EndReason,
    *,
    keep: UUID | None = None,
) -> int:
    """End every session of a person but ``keep``; how many there were. The caller has authorised
    and records why."""
    which: list[ColumnElement[bool]] = [LoginSession.person_id == person_id]
    if keep is not None:
        which.append(LoginSession.id != keep)
    return len(_end(uow, now, reason, *which))


def log_out(uow: UnitOfWork, actor: Actor, now: datetime) -> None:
    """End the actor's own session."""
    _end(uow, now, EndReason.LOGOUT, LoginSession.id == actor.session_id)
    audit.record(uow, actor, EventKind.LOGOUT, subject_id=actor.person_id)


def leave_room(uow: UnitOfWork, actor: Actor, now: datetime) -> None:
    """End a student's session that turned up outside the rooms of the unit."""
    _end(uow, now, EndReason.LEFT_ROOM, LoginSession.id == actor.session_id)
    audit.record(uow, actor, EventKind.SESSION_LEFT_ROOM, subject_id=actor.person_id)


def end_students(uow: UnitOfWork, actor: Actor, person_id: UUID, now: datetime) -> int:
    """Log a student out, at once. Raises ``NotVisible`` unless placed at a unit of the actor's."""
    unit = uow.scalar(
        select(Unit)
        .join(Placement, Placement.unit_id == Unit.id)
        .where(Placement.person_id == person_id, placed_now())
    )
    if unit is None:
        raise NotVisible("There is nothing here.")
    authorise(actor, Permission.SESSIONS_END, unit)
    ended = _end(uow, now, EndReason.STAFF, LoginSession.person_id == person_id)
    audit.record(
        uow,
        actor,
        EventKind.SESSION_ENDED_BY_STAFF,
        unit_id=unit.id,
        thing=("person", person_id),
        subject_id=person_id,
        sessions=len(ended),
    )
    return len(ended)


def end_room(uow: UnitOfWork, actor: Actor, room_id: UUID, now: datetime) -> int:
    """Log out every student who logged in from the room; how many. One event for each of them."""
    room = uow.get(Room, room_id)
    if room is None:
        raise NotVisible("There is nothing here.")
    authorise(actor, Permission.SESSIONS_END, uow.get(Unit, room.unit_id))
    return _end_many(uow, actor, now, room.unit_id, ("room", room_id), room_id)


def end_unit(uow: UnitOfWork, actor: Actor, unit_id: UUID, now: datetime) -> int:
    """Log out every student of the unit, wherever they sit; how many."""
    authorise(actor, Permission.SESSIONS_END, uow.get(Unit, unit_id))
    return _end_many(uow, actor, now, unit_id, ("unit", unit_id), None)


def _end_many(
    uow: UnitOfWork,
    actor: Actor,
    now: datetime,
    unit_id: UUID,
    thing: tuple[str, UUID],
    room_id: UUID | None,
) -> int:
    here = select(Placement.person_id).where(Placement.unit_id == unit_id, placed_now())
    which: list[ColumnElement[bool]] = [
        LoginSession.student.is_(True),
        LoginSession.person_id.in_(here),
    ]
    if room_id is not None:
        which.append(LoginSession.room_id == room_id)
    people = uow.scalars(select(LoginSession.person_id).where(live(now), *which)).all()
    _end(uow, now, EndReason.STAFF, *which)
    for person_id in people:
        audit.record(
            uow,
            actor,
            EventKind.SESSION_ENDED_BY_STAFF,
            unit_id=unit_id,
            thing=thing,
            subject_id=person_id,
        )
    return len(people)


def _address(address: str | None) -> str | None:
    try:
        return str(ipaddress.ip_address(address or ""))
    except ValueError:
        return None
