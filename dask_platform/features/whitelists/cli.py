"""``dask-platform whitelist``: whitelists as files, without a database; and copies of sites."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import click

from dask_platform.features.whitelists import exports
from dask_platform.features.whitelists.checks import load_folder
from dask_platform.features.whitelists.diff import Request, Way, changes, consequences
from dask_platform.features.whitelists.engine import Asked, Decision, Engine
from dask_platform.features.whitelists.exports import TARGETS
from dask_platform.features.whitelists.files import Folder
from dask_platform.kernel.clock import SystemClock, from_oslo
from dask_platform.security.weburl import MOST_CHARACTERS, is_host

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
#: A line longer than this holds no address; it is not even read as JSON.
MOST_LINE = 8 * MOST_CHARACTERS


class Moment(click.ParamType[datetime]):
    """A time: ``2026-11-22T10:30`` is by the clock on the wall in Norway, unless it has a zone."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            at = datetime.fromisoformat(value)
            return from_oslo(at) if at.tzinfo is None else at
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time. Write it as 2026-11-22T10:30.", param, ctx)


@click.group()
def whitelist() -> None:
    """Approved sites as files: check them, ask them, compare them."""


@whitelist.command()
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.pass_context
def check(ctx: click.Context, folder: Path) -> None:
    """Say everything that is wrong with the rules in DIR, by file and line."""
    rules = _load(ctx, folder).rules
    click.echo("1 rule is good." if len(rules) == 1 else f"{len(rules)} rules are good.")


@whitelist.command("import")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.pass_context
def import_(ctx: click.Context, folder: Path) -> None:
    """Bring the rules that come from files to what DIR says. With one thing wrong, nothing is."""
    # Loaded here: the other commands need no database.
    from dask_platform.features.whitelists.service.load import load_whitelists

    now = ctx.obj.platform.clock.now()
    with ctx.obj.owner_database().work() as uow:
        done = load_whitelists(uow, folder, now=now)
    click.echo(
        f"{done.added} added, {done.changed} changed, {done.removed} taken away,"
        f" {done.same} as they were"
    )


@whitelist.group()
def copy() -> None:
    """Copies of sites, for rules with the profile frozen."""


@copy.command("add")
@click.argument("file", metavar="FILE", type=_FILE)
@click.option("--minutes", default=60, type=click.IntRange(1, 1440), help="the longest it may take")
@click.pass_context
def copy_add(ctx: click.Context, file: Path, minutes: int) -> None:
    """Read FILE (ZIM or WARC) through, scan it, and put it into the store. Prints its SHA-256."""
    from dask_platform.features.whitelists.service import copies

    platform = ctx.obj.platform
    copies.room_for(platform, file.stat().st_size)
    with (
        file.open("rb") as stream,
        copies.examined(platform, stream, seconds=60.0 * minutes) as new,
        ctx.obj.owner_database().work() as uow,
    ):
        click.echo(copies.add(uow, None, platform.files, new, platform.clock.now()))


@copy.command("check")
@click.argument("file", metavar="FILE", type=_FILE)
@click.option("--minutes", default=60, type=click.IntRange(1, 1440), help="the longest it may take")
@click.pass_context
def copy_check(ctx: click.Context, file: Path, minutes: int) -> None:
    """Read FILE through as «add» does, and say what it holds. Nothing is kept."""
    from dask_platform.features.whitelists.service import copies

    platform = ctx.obj.platform
    copies.room_for(platform, file.stat().st_size)
    with (
        file.open("rb") as stream,
        copies.examined(platform, stream, seconds=60.0 * minutes) as new,
    ):
        facts = new.facts
    click.echo(f"{facts.kind}\t{new.sha256}\t{new.size} bytes\t{facts.pages} pages\t{facts.title}")
    for said in facts.findings:
        click.echo(f"  {said}")


@copy.command("list")
@click.pass_context
def copy_list(ctx: click.Context) -> None:
    """The copies in the store: kind, SHA-256, bytes, title."""
    from dask_platform.features.whitelists.queries.copies import kept

    with ctx.obj.owner_database().work() as uow:
        for kind, sha256, size, title in kept(uow):
            click.echo(f"{kind}\t{sha256}\t{size}\t{title}")


@whitelist.command()
@click.option("--dir", "folder", required=True, type=_FOLDER, help="the folder with the rules")
@click.option("--unit", help="the unit that asks")
@click.option("--course", help="the course that it is asked from")
@click.option("--at", type=Moment(), help="when; now, unless told")
@click.pass_context
def decide(
    ctx: click.Context, folder: Path, unit: str | None, course: str | None, at: datetime | None
) -> None:
    """Read addresses from standard input, one JSON string a line; answer one JSON object a line."""
    found = _load(ctx, folder)
    engine = Engine.of(one.rule for one in found.rules)
    asked = Asked(
        at=at or SystemClock().now(),
        unit=unit,
        level=found.levels.get(unit) if unit else None,
        courses=frozenset((course,) if course else ()),
    )
    for url in _lines(sys.stdin.buffer):
        answer = _told(url, engine.decide(url, asked)) if url is not None else _UNREADABLE
        click.echo(json.dumps(answer))


@whitelist.command()
@click.argument("old", metavar="A", type=_FOLDER)
@click.argument("new", metavar="B", type=_FOLDER)
@click.option(
    "--requests",
    type=click.File("rb"),
    help="requests that were made, one JSON object a line: url, unit, course, at, method",
)
@click.option(
    "--visits-from-database",
    "days",
    type=click.IntRange(1, 3650),
    metavar="DAYS",
    help="the visits of so many last days, from the platform's own log",
)
@click.pass_context
def diff(
    ctx: click.Context, old: Path, new: Path, requests: BinaryIO | None, days: int | None
) -> None:
    """Say what opens and what closes from A to B. Lines begin with + (opens), - (closes) or ~."""
    if requests is not None and days is not None:
        raise click.UsageError("give --requests or --visits-from-database, and not both")
    before, after = _load(ctx, old), _load(ctx, new)
    said = changes((one.rule for one in before.rules), (one.rule for one in after.rules))
    for change in said:
        click.echo(f"{_SIGNS[change.way]} {change.rule}: {change.english}")
    if requests is not None:
        _say_consequences(before, after, list(_made(requests, after)))
    elif days is not None:
        _say_consequences(before, after, _visits(ctx, before, days))
    elif not said:
        click.echo("Nothing opens and nothing closes.")


_SIGNS = {Way.OPENS: "+", Way.CLOSES: "-", Way.ALTERS: "~"}


def _say_consequences(before: Folder, after: Folder, made: list[Request]) -> None:
    engines = [Engine.of(one.rule for one in folder.rules) for folder in (before, after)]
    got = consequences(engines[0], engines[1], made)
    for change in got.changes():
        click.echo(f"{_SIGNS[change.way]} {change.english}")
    for sign, urls in (("-", got.close), ("+", got.open)):
        for url, times in urls:
            click.echo(f"{sign}   {url} ({times} requests)")
    if not (got.close or got.open):
        count = sum(one.times for one in made)
        click.echo(f"None of the {count} requests would come out otherwise.")


def _visits(ctx: click.Context, folder: Folder, days: int) -> list[Request]:
    """The visits in the log, as the owner of the tables may read it."""
    from dask_platform.features.whitelists.queries.visits import visits_of_all

    rules = [one.rule for one in folder.rules]
    since = ctx.obj.platform.clock.now() - timedelta(days=days)
    with ctx.obj.owner_database().work() as uow:
        return visits_of_all(uow, rules, folder.levels, since)


def _made(stream: BinaryIO, folder: Folder) -> Iterator[Request]:
    """The requests of a file. Raises a usage error that names the first line that is none."""
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            one = json.loads(line)
            unit, course = one.get("unit"), one.get("course")
            at = datetime.fromisoformat(one["at"])
            asked = Asked(
                at=from_oslo(at) if at.tzinfo is None else at,
                unit=unit,
                level=folder.levels.get(unit) if unit else None,
                courses=frozenset((course,) if course else ()),
            )
            yield Request(str(one["url"]), asked, str(one.get("method", "GET")))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise click.ClickException(
                f"line {number} is no request: an object with url and at is wanted"
            ) from None


_UNREADABLE = {
    "url": None,
    "decision": "deny",
    "rule": None,
    "reason": "bad_line",
    "canonical": None,
}


def _lines(stream: Iterable[bytes]) -> Iterator[str | None]:
    """The addresses; None for a line that is no JSON string. Empty lines are passed over."""
    for line in stream:
        if not line.strip():
            continue
        try:
            url = json.loads(line) if len(line) <= MOST_LINE else None
        except (ValueError, RecursionError):
            url = None
        yield url if isinstance(url, str) else None


def _told(url: str, got: Decision) -> dict[str, str | None]:
    return {
        "url": url,
        "decision": "allow" if got.allowed else "deny",
        "rule": got.rule,
        "reason": got.reason,
        "canonical": got.canonical,
    }


def _load(ctx: click.Context, folder: Path) -> Folder:
    """The rules, or the end of the command with code 1; problems go to standard error."""
    found, problems = load_folder(folder, SystemClock().now())
    for problem in problems:
        click.echo(str(problem), err=True)
    if found is None:
        ctx.exit(1)
    return found


@whitelist.command("export")
@click.option("--to", "target", required=True, type=click.Choice(TARGETS), help="the program")
@click.option("--dir", "folder", required=True, type=_FOLDER, help="the folder with the rules")
@click.option("--unit", help="the unit that it is for")
@click.option("--course", help="the course that it is for")
@click.option("--sitting", help="the exam sitting whose aids alone are open")
@click.option("--at", type=Moment(), help="the day that it is for; now, unless told")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="the folder to fill")
@click.option("--skip", is_flag=True, help="write the rest where a rule cannot be expressed")
@click.option("--tls-inspection", is_flag=True, help="squid: it looks into TLS")
@click.option(
    "--squid-folder",
    default="/etc/squid/dask",
    help="squid: where the files will lie",
)
@click.option("--domain", help="nginx: the broker's own domain, such as ressurs.example")
@click.pass_context
def export_(
    ctx: click.Context,
    target: str,
    folder: Path,
    unit: str | None,
    course: str | None,
    sitting: str | None,
    at: datetime | None,
    out: Path | None,
    skip: bool,
    tls_inspection: bool,
    squid_folder: str,
    domain: str | None,
) -> None:
    """Write the rules for another program. One that it cannot express is refused by its name."""
    if target == "nginx" and not (domain and is_host(domain)):
        raise click.UsageError("nginx takes the broker's own domain: give --domain")
    if re.search(r"[\s\"'#]", squid_folder):
        raise click.UsageError("squid takes no space, quote or # in --squid-folder")
    found = _load(ctx, folder)
    asked = Asked(
        at=at or SystemClock().now(),
        unit=unit,
        level=found.levels.get(unit) if unit else None,
        courses=frozenset((course,) if course else ()),
        sitting=sitting,
    )
    made = exports.export(
        target,
        [one.rule for one in found.rules],
        asked,
        tls_inspection=tls_inspection,
        squid_folder=squid_folder,
        domain=domain,
    )
    for refusal in made.refused:
        click.echo(f"{refusal.rule}: {refusal.why}", err=True)
    if made.refused and not skip:
        click.echo("Nothing was written. With --skip, the other rules are.", err=True)
        ctx.exit(1)
    if out is None:
        if len(made.files) > 1:
            raise click.UsageError(f"{target} takes {len(made.files)} files: give --out")
        click.echo("".join(made.files.values()), nl=False)
        return
    out.mkdir(parents=True, exist_ok=True)
    for name, text in made.files.items():
        (out / name).write_text(text, encoding="utf-8")
        click.echo(str(out / name))
