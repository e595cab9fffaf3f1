"""Sweeping: visits past their time, cookies of sites, tickets that nobody used."""

from __future__ import annotations

from datetime import timedelta

from procrastinate import Blueprint, JobContext
from sqlalchemy import delete

from dask_platform.features.broker import kept
from dask_platform.features.broker.models import BrokerSession, SiteCookie, SiteVisit
from dask_platform.web.platform import Platform

blueprint = Blueprint()


@blueprint.periodic(cron="29 3 * * *")
@blueprint.task(name="sweep", pass_context=True)
def sweep(context: JobContext, timestamp: int) -> None:
    """Once a night."""
    sweep_now(context.additional_context["platform"])


@blueprint.periodic(cron="*/10 * * * *")
@blueprint.task(name="sweep_answers", pass_context=True)
def sweep_answers(context: JobContext, timestamp: int) -> None:
    """Answers of sites that are kept for others: what is too old, or too much."""
    kept.sweep(context.additional_context["platform"])


def sweep_now(platform: Platform) -> None:
    """Delete what is past its time: visits after ``DASK_SITE_VISITS_DAYS``. Run as the worker."""
    now = platform.clock.now()
    longest = timedelta(days=platform.settings.site_visits_days)
    with platform.database.work() as uow:
        uow.execute(delete(SiteVisit).where(SiteVisit.at < now - longest))
        uow.execute(delete(SiteCookie).where(SiteCookie.expires_at < now))
        uow.execute(
            delete(BrokerSession).where(
                BrokerSession.token_hash.is_(None), BrokerSession.ticket_until < now
            )
        )
