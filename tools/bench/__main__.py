"""``make bench``: the figures, each beside its yardstick in the same run."""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from tools.bench import broker, broker_load, decide
from tools.bench.broker import Brokered
from tools.bench.decide import Decided
from tools.bench.load import HandIns, Pages, Result, Target, measure
from tools.bench.site import THREADS, WORKERS, Site, running

MIB = 1024 * 1024
CONNECTIONS = 8
COURSE_PAGE_OF_HELLO = 1 / 5
COURSE_PAGE_SQL = 6
HAND_INS_A_SECOND = 20
MEMORY_MOST = 250 * MIB


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. Times in milliseconds; a turn is a page, or a whole hand-in."""

    name: str
    per_second: float
    p50: float
    p95: float
    sql: float | None
    of_hello: float
    turns: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each is measured")
    parser.add_argument(
        "--browsing", type=float, default=60.0, help="how long two hundred students browse"
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; or all")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    arguments = parser.parse_args()
    parts = arguments.parts or list(PARTS)
    if strange := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(strange))}")
    # So that what was started is stopped in order then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        for part in parts:
            PARTS[part](arguments)
    except KeyboardInterrupt:
        return 1
    except (BenchError, broker_load.LoadError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _school(arguments: argparse.Namespace) -> None:
    """The pages of the school, and deciding."""
    with running() as site:
        figures = list(_figures(site, arguments.seconds))
        memory = site.peak_memory()
    decided = decide.figures()
    if arguments.json:
        print(json.dumps(_report(figures, memory, decided), indent=1))
    else:
        _print(figures, memory, decided)


def _broker(arguments: argparse.Namespace) -> None:
    """The way out to approved sites."""
    found: Brokered = broker.figures(arguments.seconds, arguments.browsing)
    if arguments.json:
        print(json.dumps(broker.report(found), indent=1))
    else:
        broker.show(found)


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {"school": _school, "broker": _broker}


class BenchError(Exception):
    """An answer was not what it should be: the figures would mean nothing."""


def _figures(site: Site, seconds: float) -> Any:
    def pages(name: str, target: Target, path: str, tokens: list[str], endpoint: str) -> Figure:
        plans = [
            Pages(path, site.cookie(tokens[number % len(tokens)]) if tokens else "")
            for number in range(CONNECTIONS)
        ]
        return _figure(site, name, target, list(plans), seconds, hello, (endpoint,))

    hello = 0.0
    first = pages("hello (bare Flask)", site.hello, "/", [], "")
    hello = first.per_second
    yield first
    at = site.measured
    yield pages("log-in page", site.school, "/login", [], "identity.login")
    yield pages("course page, student", site.school, at.page, at.students, "courses.item")
    course = f"/classes/{at.class_id}"
    yield pages("course's contents", site.school, course, at.students, "courses.class_page")
    work = f"/classes/{at.class_id}/work"
    yield pages("list of a class of 30", site.school, work, [at.teacher], "handins.class_work")
    pieces = [
        (site.cookie(token), f"/classes/{class_id}/assignments/{item_id}")
        for token, class_id, item_id in at.work
    ]
    plans: list[Pages | HandIns] = [
        HandIns(tuple(pieces[number::CONNECTIONS]), site.token, MIB)
        for number in range(CONNECTIONS)
    ]
    steps = ("handins.save", "handins.hand_in", "handins.hand_in", "handins.receipt")
    yield _figure(site, "hand-in of 1 MiB", site.school, plans, seconds, hello, steps)


def _figure(
    site: Site,
    name: str,
    target: Target,
    plans: list[Any],
    seconds: float,
    hello: float,
    endpoints: tuple[str, ...],
) -> Figure:
    offset = os.path.getsize(site.log)
    result = measure(target, plans, seconds)
    _check(name, result)
    per_second = len(result.seconds) / seconds
    statements = site.statements(offset)
    sql = None
    if endpoints != ("",):
        sql = sum(statistics.mean(statements[endpoint]) for endpoint in endpoints)
    centiles = statistics.quantiles(result.seconds, n=20)
    return Figure(
        name=name,
        per_second=per_second,
        p50=statistics.median(result.seconds) * 1000,
        p95=centiles[18] * 1000,
        sql=sql,
        of_hello=per_second / hello if hello else 1.0,
        turns=len(result.seconds),
    )


def _check(name: str, result: Result) -> None:
    if result.errors:
        raise BenchError(f"{name}: {len(result.errors)} errors, the first: {result.errors[0]}")
    if result.ran_out:
        raise BenchError(f"{name}: there was less work than time; give more classes (people.py)")
    if len(result.seconds) < 10:
        raise BenchError(f"{name}: only {len(result.seconds)} turns; measure longer (--seconds)")


def _aims(
    figures: list[Figure], memory: list[int], decided: list[Decided]
) -> list[tuple[str, bool, str]]:
    by_name = {figure.name: figure for figure in figures}
    page, hand_in = by_name["course page, student"], by_name["hand-in of 1 MiB"]
    most = max(memory)
    return [
        (
            "course page at 1/5 of hello or more",
            page.of_hello >= COURSE_PAGE_OF_HELLO,
            f"{page.of_hello:.2f}",
        ),
        (
            f"course page in {COURSE_PAGE_SQL} statements or fewer",
            (page.sql or 0) <= COURSE_PAGE_SQL,
            f"{page.sql:.1f}",
        ),
        (
            f"{HAND_INS_A_SECOND} hand-ins of 1 MiB a second or more",
            hand_in.per_second >= HAND_INS_A_SECOND,
            f"{hand_in.per_second:.1f}",
        ),
        (
            f"a worker under {MEMORY_MOST // MIB} MB at its peak",
            most < MEMORY_MOST,
            f"{most / MIB:.0f} MB",
        ),
        *(
            (
                f"a decision among {one.rules:,} rules in {decide.AIMS[one.rules]:.0f} µs or less",
                one.decide <= decide.AIMS[one.rules],
                f"{one.decide:.1f} µs",
            )
            for one in decided
        ),
    ]


def _report(figures: list[Figure], memory: list[int], decided: list[Decided]) -> dict[str, Any]:
    return {
        "workers": WORKERS,
        "threads": THREADS,
        "connections": CONNECTIONS,
        "processors": os.cpu_count(),
        "figures": [asdict(figure) for figure in figures],
        "peak_memory_bytes": memory,
        "decided": [asdict(one) for one in decided],
        "aims": [
            {"aim": aim, "met": met, "is": value}
            for aim, met, value in _aims(figures, memory, decided)
        ],
    }


def _print(figures: list[Figure], memory: list[int], decided: list[Decided]) -> None:
    print(
        f"gunicorn {WORKERS} workers x {THREADS} threads, PostgreSQL, nginx with TLS and "
        f"{CONNECTIONS} clients together on {os.cpu_count()} processors\n"
    )
    print(f"{'':<24}{'per second':>11}{'p50 ms':>9}{'p95 ms':>9}{'SQL':>7}{'of hello':>10}")
    for figure in figures:
        sql = "" if figure.sql is None else f"{figure.sql:.1f}"
        print(
            f"{figure.name:<24}{figure.per_second:>11.1f}{figure.p50:>9.1f}{figure.p95:>9.1f}"
            f"{sql:>7}{figure.of_hello:>10.2f}"
        )
    print("\na hand-in is four requests: the file, the last step, «hand in», the receipt")
    print("peak memory of the workers: " + ", ".join(f"{one / MIB:.0f} MB" for one in memory))
    for one in decided:
        print(
            f"a decision among {one.rules:,} rules: {one.decide:.1f} µs, of which the parser of "
            f"addresses alone {one.reading:.1f} µs"
        )
    print()
    for aim, met, value in _aims(figures, memory, decided):
        print(f"{'met   ' if met else 'MISSED'}  {aim}: {value}")


if __name__ == "__main__":
    sys.exit(main())
