"""Sweeping: sessions long over, and counts of tries whose window has passed."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from procrastinate import Blueprint, JobContext
from sqlalchemy import delete

from dask_platform.features.identity.models import LoginSession, LoginThrottle
from dask_platform.web.platform import Platform

SESSIONS_KEPT: Final = timedelta(days=30)
"""How long an ended session is kept: its log-in and its end stay in the audit log anyway."""

blueprint = Blueprint()


@blueprint.periodic(cron="17 3 * * *")
@blueprint.task(name="sweep", pass_context=True)
def sweep(context: JobContext, timestamp: int) -> None:
    """Once a night."""
    sweep_now(context.additional_context["platform"])


def sweep_now(platform: Platform) -> tuple[int, int]:
    """Delete what is over; (sessions, counts). Run as the worker, who may delete nothing else."""
    now = platform.clock.now()
    window = timedelta(minutes=platform.settings.throttle_minutes)
    with platform.database.work() as uow:
        sessions = uow.execute(
            delete(LoginSession)
            .where(
                (LoginSession.ended_at < now - SESSIONS_KEPT)
                | (LoginSession.expires_at < now - SESSIONS_KEPT)
            )
            .returning(LoginSession.id)
        ).all()
        counts = uow.execute(
            delete(LoginThrottle)
            .where(LoginThrottle.window_started_at < now - window)
            .returning(LoginThrottle.key)
        ).all()
    return len(sessions), len(counts)
