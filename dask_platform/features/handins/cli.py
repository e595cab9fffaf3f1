"""``dask-platform files``."""

from __future__ import annotations

from typing import Any

import click

from dask_platform.features.handins.reconcile import reconcile
from dask_platform.kernel.errors import DaskError


@click.group()
def files() -> None:
    """The files that were handed in."""


@files.command("reconcile")
@click.option("--repair", is_flag=True, help="Mend what is found, and note it in the audit log.")
@click.pass_obj
def reconcile_command(context: Any, repair: bool) -> None:
    """Prove that every row has its file and every file its row. Fails when not, unless mended."""
    platform = context.platform
    report = reconcile(platform, platform.clock.now(), repair=repair, thorough=True)
    click.echo(f"{report.rows} rows, {report.files} files")
    findings: list[tuple[str, list[Any]]] = [
        ("row without file", report.rows_without_file),
        ("file without row", report.files_without_row),
        ("stopped file not in quarantine", report.not_put_away),
        ("file not scanned", report.not_scanned),
    ]
    for what, things in findings:
        for thing in things:
            click.echo(f"{what}: {thing}" + (" (mended)" if repair else ""))
    if not report.in_order and not repair:
        raise DaskError("rows and files do not agree; run it again with --repair to mend that")
