"""The job worker: Procrastinate, in the platform's own database, as a role of its own."""

from __future__ import annotations

import asyncio

from procrastinate import App, PsycopgConnector
from sqlalchemy.engine import make_url

from dask_platform.entry.wiring import build_platform, configure_logging, database_url
from dask_platform.features.broker.jobs import blueprint as broker_jobs
from dask_platform.features.handins.jobs import make_blueprint as handins_jobs
from dask_platform.features.identity.jobs import blueprint as identity_jobs
from dask_platform.features.recorder.jobs import blueprint as recorder_jobs
from dask_platform.features.whitelists.jobs import blueprint as whitelists_jobs
from dask_platform.kernel.settings import Settings
from dask_platform.web.platform import Platform

CONCURRENCY = 2
POLL_SECONDS = 5.0
# A worker that is told to stop says so in the database. When that has gone first, waiting for it
# the pool's usual half a minute would only keep the process alive.
CONNECTION_SECONDS = 8.0


def make_jobs(url: str) -> App:
    """The job application with every feature's tasks. ``url`` is the worker role's."""
    conninfo = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    app = App(connector=PsycopgConnector(
        conninfo=conninfo, min_size=1, max_size=4,
        timeout=CONNECTION_SECONDS, reconnect_timeout=CONNECTION_SECONDS,
    ))  # fmt: skip
    app.add_tasks_from(broker_jobs, namespace="broker")
    app.add_tasks_from(handins_jobs(), namespace="handins")
    app.add_tasks_from(identity_jobs, namespace="identity")
    app.add_tasks_from(recorder_jobs, namespace="recorder")
    app.add_tasks_from(whitelists_jobs, namespace="whitelists")
    return app


async def run_worker(app: App, platform: Platform, *, wait: bool = True) -> None:
    """Run jobs until told to stop, or with ``wait`` False until the queue is empty."""
    async with app.open_async():
        await app.run_worker_async(
            concurrency=CONCURRENCY,
            wait=wait,
            fetch_job_polling_interval=POLL_SECONDS,
            additional_context={"platform": platform},
            delete_jobs="successful",
            install_signal_handlers=wait,
        )


def run(settings: Settings) -> None:
    configure_logging(settings)
    platform = build_platform(settings, role="worker")
    asyncio.run(run_worker(make_jobs(database_url(settings, "worker")), platform))
