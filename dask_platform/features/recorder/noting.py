"""Writing down what a recording needed, place by place."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.recorder.models import PATH_MOST, TITLE_MOST, Recording, RecordingSeen
from dask_platform.features.recorder.seen import Asked, Seen, What
from dask_platform.features.recorder.shapes import merged
from dask_platform.features.whitelists.rules import Kind
from dask_platform.kernel.ids import new_id

#: A recording is half an hour of one person. A page that plays with addresses fills no disk.
SEEN_MOST: Final = 3000


def note(uow: UnitOfWork, recording_id: UUID, seen: Iterable[Seen], now: datetime) -> None:
    """Add to what the recording saw. A place that is known already counts once more; its
    parameters are widened to fit both."""
    told = [one for one in seen if len(one.path) <= PATH_MOST and len(one.mime) <= 80]
    # A transfer may end after its recording was thrown away, or its officer is one no more.
    if not told or uow.scalar(select(Recording.id).filter_by(id=recording_id)) is None:
        return
    count = uow.scalar(
        select(func.count()).select_from(RecordingSeen).filter_by(recording_id=recording_id)
    )
    for one in told[: max(0, SEEN_MOST - (count or 0))]:
        _note(uow, recording_id, one, now)


def _note(uow: UnitOfWork, recording_id: UUID, seen: Seen, now: datetime) -> None:
    key = {
        "recording_id": recording_id, "host": seen.host, "path": seen.path, "kind": str(seen.kind)
    }  # fmt: skip
    known = uow.scalar(select(RecordingSeen.query).filter_by(**key))
    values = {
        "query": stored(merged(loaded(known or []), seen.query)),
        "mime": seen.mime,
        "status": seen.status,
        "text": seen.text,
        "title": seen.title[:TITLE_MOST],
        "wanted": seen.wanted,
        "note": seen.note,
    }
    uow.execute(
        insert(RecordingSeen)
        .values(**key, **values, id=new_id(), size=seen.size, times=seen.times, first_at=now)
        .on_conflict_do_update(
            index_elements=list(key),
            set_=values
            | {
                "size": func.greatest(RecordingSeen.size, seen.size),
                "times": RecordingSeen.times + seen.times,
            },
        )
    )


def stored(query: Iterable[Asked]) -> list[Any]:
    """As ``RecordingSeen.query`` keeps it."""
    return [[one.name[:100], one.shape and str(one.shape), one.length] for one in query]


def loaded(query: list[Any]) -> tuple[Asked, ...]:
    return tuple(Asked(name, Kind(shape) if shape else None, size) for name, shape, size in query)


def seen_of(row: RecordingSeen) -> Seen:
    """The row as plain data."""
    return Seen(
        row.host, row.path, What(row.kind), loaded(row.query), row.mime, row.status, row.size,
        row.text, row.title, row.times, row.wanted, row.note,
    )  # fmt: skip
