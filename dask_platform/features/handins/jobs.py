"""The worker's tasks: ``handins:scan_file``, ``handins:drop_file``, ``handins:reconcile_store``.

The worker hands over the platform as ``additional_context["platform"]``; its database role may
write what a scan found, and nothing else of a hand-in.
"""

from __future__ import annotations

from typing import cast
from uuid import UUID

from procrastinate import Blueprint, JobContext, RetryStrategy

from dask_platform.features.handins import reconcile, scanning
from dask_platform.features.handins.filing import QUEUE
from dask_platform.kernel.errors import Unavailable
from dask_platform.web.platform import Platform

# After 5, 11, 29, 83 seconds and so on, up to some hours; then it is for reconcile to send it anew.
AGAIN = RetryStrategy(
    max_attempts=9, wait=2, exponential_wait=3, retry_exceptions=(Unavailable, OSError)
)
HOURLY = "17 * * * *"


def _platform(context: JobContext) -> Platform:
    return cast(Platform, context.additional_context["platform"])


def scan_file(context: JobContext, file_id: str) -> None:
    """Scan one file. Comes again while the scanner or the store does not answer."""
    scanning.scan(_platform(context), UUID(file_id))


def drop_file(context: JobContext, key: str) -> None:
    """Remove the bytes of a file that a student took out of a draft."""
    scanning.drop(_platform(context), key)


def reconcile_store(context: JobContext, timestamp: int = 0) -> None:
    """Every hour: mend what a crash left, and sweep the temporary folder."""
    platform = _platform(context)
    reconcile.reconcile(platform, platform.clock.now(), repair=True)
    reconcile.sweep_temporary(platform)


def make_blueprint() -> Blueprint:
    """The tasks, to be added to one application: it writes its namespace into their names."""
    made = Blueprint()
    made.task(name="scan_file", queue=QUEUE, retry=AGAIN, pass_context=True)(scan_file)
    made.task(name="drop_file", queue=QUEUE, retry=AGAIN, pass_context=True)(drop_file)
    task = made.task(
        name="reconcile_store", queue=QUEUE, queueing_lock="reconcile", pass_context=True
    )(reconcile_store)
    made.periodic(cron=HOURLY)(task)
    return made


blueprint = make_blueprint()
