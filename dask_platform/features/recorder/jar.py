"""Cookies of a recording. They are nobody's but this recording's, and gone at its end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.recorder.models import RecordingCookie

MOST: Final = 200

Cookie = tuple[str, str, str, datetime]
"""Name, value, path and end, as the broker reads them from a ``Set-Cookie`` line."""


def cookies(uow: UnitOfWork, recording_id: UUID, host: str) -> tuple[Cookie, ...]:
    """What ``host`` wants to remember, the longest path first."""
    found = uow.execute(
        select(
            RecordingCookie.name, RecordingCookie.value, RecordingCookie.path,
            RecordingCookie.expires_at,
        )
        .where(RecordingCookie.recording_id == recording_id, RecordingCookie.host == host)
        .order_by(func.length(RecordingCookie.path).desc(), RecordingCookie.name)
    )  # fmt: skip
    return tuple((name, value, path, ends) for name, value, path, ends in found)


def keep(
    uow: UnitOfWork, recording_id: UUID, host: str, said: Iterable[Cookie], now: datetime
) -> None:
    """Put what ``host`` set into the jar. A full jar takes no more."""
    count = uow.scalar(
        select(func.count()).select_from(RecordingCookie).filter_by(recording_id=recording_id)
    )
    room = MOST - (count or 0)
    for name, value, path, ends in said:
        key = {"recording_id": recording_id, "host": host, "name": name, "path": path}
        if ends <= now:
            uow.execute(delete(RecordingCookie).filter_by(**key))
        elif room > 0:
            room -= 1
            uow.execute(
                insert(RecordingCookie)
                .values(**key, value=value, expires_at=ends)
                .on_conflict_do_update(
                    index_elements=list(key), set_={"value": value, "expires_at": ends}
                )
            )


def empty(uow: UnitOfWork, recording_id: UUID) -> None:
    """Forget all of it."""
    uow.execute(delete(RecordingCookie).where(RecordingCookie.recording_id == recording_id))
