"""Sweeping: cookies of recordings that are over, old recordings, and bytes that no row names."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from procrastinate import Blueprint, JobContext
from sqlalchemy import delete, or_, select

from dask_platform.features.recorder.keeping import FOLDER
from dask_platform.features.recorder.models import Recording, RecordingAnswer, RecordingCookie
from dask_platform.web.platform import Platform

#: A proposal is made from a recording in the days after it, or not at all.
KEPT: Final = timedelta(days=7)
#: Bytes are written before their row: those of a transfer under way have none yet.
_UNDER_WAY: Final = timedelta(hours=1)

blueprint = Blueprint()


@blueprint.periodic(cron="*/10 * * * *")
@blueprint.task(name="sweep", pass_context=True)
def sweep(context: JobContext, timestamp: int) -> None:
    """Every ten minutes."""
    sweep_now(context.additional_context["platform"])


@blueprint.task(name="forget", pass_context=True)
def forget(context: JobContext, recording: str) -> None:
    """Remove the bytes of a recording that was thrown away."""
    platform: Platform = context.additional_context["platform"]
    for key, _at in list(platform.files.keys(f"{FOLDER}{recording}/")):
        platform.files.delete(key)


def sweep_now(platform: Platform) -> None:
    """Run as the worker."""
    now = platform.clock.now()
    with platform.database.work() as uow:
        over = select(Recording.id).where(
            or_(Recording.ended_at.is_not(None), Recording.until <= now)
        )
        uow.execute(
            delete(RecordingCookie)
            .where(RecordingCookie.recording_id.in_(over))
            .execution_options(synchronize_session=False)
        )
        uow.execute(
            delete(Recording)
            .where(Recording.started_at < now - KEPT)
            .execution_options(synchronize_session=False)
        )
    with platform.database.work() as uow:
        named = set(uow.scalars(select(RecordingAnswer.key)))
    for key, written_at in list(platform.files.keys(FOLDER)):
        if key not in named and written_at < now - _UNDER_WAY:
            platform.files.delete(key)
