"""Every night: rules that run out are noted in the log, and what is left of copies is swept."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from procrastinate import Blueprint, JobContext
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on

from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.whitelists.copies import sweep_folder
from dask_platform.features.whitelists.models import Version
from dask_platform.features.whitelists.service import copies
from dask_platform.kernel.clock import to_oslo
from dask_platform.web.platform import Platform

#: How many days before its last day a rule is noted; -1: it has run out. Between these days it
#: stands on the pages of security all the same.
REMIND_ON: Final = (30, 14, 7, 1, -1)

#: A copy that is being added lies in the store before its row is there.
SWEPT_AFTER: Final = timedelta(days=1)

blueprint = Blueprint()


@blueprint.periodic(cron="41 4 * * *")
@blueprint.task(name="remind", pass_context=True)
def remind(context: JobContext, timestamp: int) -> None:
    """Once a night."""
    remind_now(context.additional_context["platform"])


@blueprint.periodic(cron="11 4 * * *")
@blueprint.task(name="sweep_copies", pass_context=True)
def sweep_copies(context: JobContext, timestamp: int) -> None:
    """Once a night."""
    sweep_copies_now(context.additional_context["platform"])


def sweep_copies_now(platform: Platform) -> int:
    """Delete the bytes of copies that were removed a day ago or more, in the store and on this
    machine; how many files."""
    with platform.database.work() as uow:
        known = copies.hashes(uow)
        swept = copies.sweep_store(platform, known, SWEPT_AFTER)
    return swept + sweep_folder(platform, known, SWEPT_AFTER)


def remind_now(platform: Platform) -> int:
    """Note the rules that run out in as many days as ``REMIND_ON`` says; how many."""
    today = to_oslo(platform.clock.now()).date()
    newest = (
        select(Version.rule_id, Version.unit_id, Version.body)
        .ext(distinct_on(Version.rule_id))
        .order_by(Version.rule_id, Version.number.desc())
    )
    noted = 0
    with platform.database.work() as uow:
        for rule_id, unit_id, body in uow.execute(newest).all():
            if body is None:
                continue
            left = (date.fromisoformat(body["expires"]) - today).days
            if left in REMIND_ON:
                record(
                    uow, None, EventKind.WHITELIST_EXPIRING, system="worker", unit_id=unit_id,
                    thing=("rule", rule_id), expires=body["expires"], days=left,
                )  # fmt: skip
                noted += 1
    return noted
