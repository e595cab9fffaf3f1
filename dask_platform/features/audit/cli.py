"""``dask-platform audit``."""

from __future__ import annotations

from typing import Any

import click

from dask_platform.features.audit.chain import Mark, verify
from dask_platform.kernel.errors import DaskError


@click.group()
def audit() -> None:
    """The audit log."""


@audit.command("verify")
@click.option(
    "--expect",
    metavar="NUMBER:HASH",
    help="An end of the chain noted earlier; it must still lie on it.",
)
@click.pass_obj
def verify_command(context: Any, expect: str | None) -> None:
    """Check every link; name the first that is broken. Prints the end, to be noted elsewhere."""
    mark = _mark(expect) if expect else None
    with context.owner_database().work() as uow:
        verdict = verify(uow, expect=mark)
    if verdict.broken_at is not None:
        raise DaskError(
            "audit log broken at row %(row)s: %(why)s", row=verdict.broken_at, why=verdict.why
        )
    click.echo(f"{verdict.rows} rows, unbroken; end {verdict.end.seq}:{verdict.end.hash.hex()}")


def _mark(text: str) -> Mark:
    number, _, digits = text.partition(":")
    try:
        found = Mark(int(number), bytes.fromhex(digits))
    except ValueError:
        found = Mark(0, b"")
    if found.seq < 1 or len(found.hash) != 32:
        raise click.UsageError("--expect wants NUMBER:HASH as audit verify prints it.")
    return found
