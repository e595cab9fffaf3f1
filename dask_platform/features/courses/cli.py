"""``dask-platform content check|load DIR``."""

from __future__ import annotations

from pathlib import Path

import click

from dask_platform.features.courses.content import read_courses
from dask_platform.features.courses.course_content import CourseContent
from dask_platform.features.courses.load import load_courses

_DIR = click.argument(
    "folder",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)


@click.group()
def content() -> None:
    """Courses as files: check them, and load them into the platform."""


@content.command()
@_DIR
@click.pass_context
def check(ctx: click.Context, folder: Path) -> None:
    """Say everything that is wrong with the course in DIR, or with the courses inside it."""
    courses = _read(ctx, folder)
    click.echo("1 course is good." if len(courses) == 1 else f"{len(courses)} courses are good.")


@content.command()
@_DIR
@click.pass_context
def load(ctx: click.Context, folder: Path) -> None:
    """Check, then load. With one thing wrong, nothing is loaded."""
    courses = _read(ctx, folder)
    platform = ctx.obj.platform
    database = ctx.obj.owner_database()
    with database.work() as uow:
        done = load_courses(uow, platform.files, courses, platform.clock.now())
    for one in done:
        click.echo(f"{one.slug}: {'loaded' if one.changed else 'unchanged'}, {one.items} items")


def _read(ctx: click.Context, folder: Path) -> list[CourseContent]:
    """The courses, or the end of the command with code 1; problems go to standard error."""
    courses, problems = read_courses(folder)
    for problem in problems:
        click.echo(str(problem), err=True)
    if courses is None:
        ctx.exit(1)
    return courses
