"""``dask-platform people``, ``unit`` and ``room``: what an operator does before anybody can log in,
and what a timer does every night. They work as the owner of the tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.identity.models import SecurityLevel
from dask_platform.features.identity.queries.listings import everybody
from dask_platform.features.identity.service import console
from dask_platform.features.identity.service.directory import sync_people
from dask_platform.kernel.actor import Role
from dask_platform.kernel.errors import NotAllowed
from dask_platform.security.passwords import PasswordHasher


@contextmanager
def _owner(context: Any) -> Iterator[UnitOfWork]:
    with context.owner_database().work() as uow:
        yield uow


@click.group()
def people() -> None:
    """People and their accounts."""


@people.command()
@click.option("--force", is_flag=True, help="Also when more than half would be deactivated.")
@click.pass_obj
def sync(context: Any, force: bool) -> None:
    """Bring accounts in step with the directory. Who is gone is deactivated and logged out."""
    directory = context.platform.directory
    if directory is None:
        raise NotAllowed("No directory is set up. Set DASK_DIRECTORY=ldap.")
    # All of it is read before the first change: a directory that dies half-way changes nothing.
    found = list(directory.people())
    with _owner(context) as uow:
        counts = sync_people(uow, found, context.platform.clock.now(), force=force)
    click.echo(
        f"{counts.present} in the directory, {counts.created} new, {counts.deactivated}"
        f" deactivated, {len(counts.refused)} refused, {counts.sessions_ended} sessions ended"
    )
    for username, reason in counts.refused:
        click.echo(f"refused: {username}: {reason}", err=True)


@people.command("add")
@click.argument("username")
@click.option("--name", required=True, help="The name that is shown.")
@click.option("--role", required=True, type=click.Choice([str(role) for role in Role]))
@click.option("--unit", "unit_slug", required=True, help="The unit's short name.")
@click.pass_obj
def add_person(context: Any, username: str, name: str, role: str, unit_slug: str) -> None:
    """Add a local account. Prints the password for the first log-in, once."""
    with _owner(context) as uow:
        password = console.add_person(
            uow,
            PasswordHasher(),
            username,
            name,
            Role(role),
            unit_slug,
            context.platform.clock.now(),
        )
    click.echo(password)


@people.command("list")
@click.option("--unit", "unit_slug", help="Only this unit.")
@click.pass_obj
def list_people(context: Any, unit_slug: str | None) -> None:
    """One person a line: user name, name, open or closed, local or directory, roles."""
    with _owner(context) as uow:
        unit_id = console.unit_named(uow, unit_slug) if unit_slug else None
        for line in everybody(uow, unit_id):
            places = " ".join(f"{place.role}@{place.unit_name}" for place in line.places)
            state = "open" if line.active else "closed"
            origin = "local" if line.local else "directory"
            click.echo("\t".join((line.username, line.display_name, state, origin, places)))


@people.command("reset-password")
@click.argument("username")
@click.pass_obj
def reset_password(context: Any, username: str) -> None:
    """A new password for the next log-in of a local account. Prints it, once."""
    with _owner(context) as uow:
        password = console.reset_password(
            uow, PasswordHasher(), username, context.platform.clock.now()
        )
    click.echo(password)


@click.group()
def unit() -> None:
    """Prisons, or departments of one."""


@unit.command("add")
@click.argument("slug")
@click.option("--name", required=True)
@click.option("--level", required=True, type=click.Choice([str(level) for level in SecurityLevel]))
@click.option("--school", "school_slug", required=True, help="The school's short name.")
@click.option("--school-name", help="Adds the school too, if it is not there.")
@click.pass_obj
def add_unit(
    context: Any, slug: str, name: str, level: str, school_slug: str, school_name: str | None
) -> None:
    """Add a unit."""
    with _owner(context) as uow:
        console.add_unit(uow, slug, name, SecurityLevel(level), school_slug, school_name)
    click.echo(f"unit {slug} added")


@click.group()
def room() -> None:
    """Classrooms and their networks."""


@room.command("add")
@click.argument("unit_slug", metavar="UNIT")
@click.argument("name")
@click.option("--network", default="", help="Addresses of the room, such as 10.1.2.0/24.")
@click.pass_obj
def add_room(context: Any, unit_slug: str, name: str, network: str) -> None:
    """Add a room. With its first network, students of UNIT log in only from rooms."""
    with _owner(context) as uow:
        console.add_room(uow, unit_slug, name, network)
    click.echo(f"room {name} added")
