"""Commands that belong to no feature: serve, worker, db, html, settings."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from dask_platform.entry import ROOT
from dask_platform.entry.context import CommandContext
from dask_platform.kernel.errors import ConfigurationError, Invalid
from dask_platform.kernel.settings import load_settings

HTML_MOST = 2 * 1024 * 1024


@click.command()
@click.option(
    "--resources", is_flag=True, help="behind the door for approved sites (DASK_RESOURCES_BIND)"
)
def serve(resources: bool) -> None:
    """Serve the school: gunicorn, with health and metrics on a port of their own.

    With --resources the same program in processes of its own, so that films and slow sites hold
    none of the school's threads.
    """
    settings = load_settings()
    if settings.embedded_database:
        raise ConfigurationError(["DASK_DATABASE_URL: serve needs a server. Or run the demo."])
    if not resources:
        run_gunicorn(settings.home / "metrics")
    if settings.resources_url is None:
        raise ConfigurationError(["DASK_RESOURCES_URL: needed to serve approved sites. Set it."])
    os.environ.update(
        DASK_BIND=settings.resources_bind,
        DASK_HEALTH_BIND=settings.resources_health_bind,
        DASK_THREADS=str(settings.resources_threads),
    )
    run_gunicorn(settings.home / "metrics-resources")


def run_gunicorn(metrics: Path) -> NoReturn:
    """Become gunicorn, with the configuration in ``infra/``; figures are kept in ``metrics``."""
    metrics.mkdir(parents=True, exist_ok=True)
    for old in metrics.glob("*.db"):
        old.unlink(missing_ok=True)
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
    configuration = ROOT / "infra" / "gunicorn.conf.py"
    arguments = ["-m", "gunicorn", "-c", str(configuration), "dask_platform.entry.wsgi:app"]
    os.execve(sys.executable, [sys.executable, *arguments], environment)  # noqa: S606


@click.command()
def worker() -> None:
    """Run jobs: scan files, sweep, reconcile."""
    from dask_platform.entry.worker import run

    run(load_settings())


@click.group()
def db() -> None:
    """The database's tables."""


@db.command()
@click.option("--revision", default="head", show_default=True)
@click.pass_obj
def upgrade(context: CommandContext, revision: str) -> None:
    """Bring the tables up to date. Harmless when they are."""
    from dask_platform.db import migrate

    migrate.upgrade(context.owner_url, revision)
    current, head = migrate.current_and_head(context.owner_url)
    click.echo(f"database at {current}" + ("" if current == head else f", newest is {head}"))


@click.group()
def store() -> None:
    """Where files are kept."""


@store.command()
def prepare() -> None:
    """Make the folder or the bucket, once, before the first start."""
    from dask_platform.entry.wiring import build_files, prepare_files

    prepare_files(build_files(load_settings()))
    click.echo("the file store is ready")


@click.group()
def html() -> None:
    """HTML from outside."""


@html.command()
def clean() -> None:
    """Read untrusted HTML on standard input, write what the platform would store."""
    from dask_platform.security.html import clean_html

    raw = sys.stdin.buffer.read(HTML_MOST + 1)
    if len(raw) > HTML_MOST:
        raise Invalid("The input is larger than 2 MiB.")
    sys.stdout.buffer.write(clean_html(raw.decode("utf-8", errors="replace")).encode("utf-8"))


@click.group()
def settings() -> None:
    """The installation's settings."""


@settings.command()
def check() -> None:
    """Read the settings from the environment and name every problem."""
    found = load_settings()
    click.echo(f"settings are good ({found.env})")
