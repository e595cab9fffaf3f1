"""The broker's figures: ``python -m tools.bench broker``.

Pass-through of a kilobyte, a page of 48 KB written anew, a file of 50 MB, and two hundred students
at once; beside nginx, squid, mitmdump and pywb, all bare on loopback, fetching from one site over
TLS. Only the students come as in production, through nginx with TLS.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from typing import Any

from tools.bench import broker_pages
from tools.bench.broker_load import Address, drain, hammer, one_by_one, request
from tools.bench.broker_site import (
    DRIPPING,
    HANGING,
    HOST,
    STUDENTS,
    Ground,
    Way,
    peak,
    reset,
    running,
)
from tools.bench.broker_students import PAGE, PICTURE, Browsed, browse
from tools.bench.site import _children

MIB = 1024 * 1024
CONNECTIONS = 16
SMALL = "/bilde/logo.png"
LARGE = "/fil/film.webm"
OF_SQUID = 1 / 5
ADDED_MOST = 3.0
OF_PYWB = 20
OF_MITMDUMP = 2
OF_NGINX = 1 / 2
GROWTH_MOST = 24 * MIB
DISTURBED_MOST = 2.0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table; None stands for what is not installed."""

    name: str
    per_second: float | None
    #: Milliseconds: the median at low load, less that of asking the site itself.
    added: float | None = None


@dataclass(frozen=True, slots=True)
class Large:
    """MB a second, and by how many bytes the processes' memory grew at its peak."""

    name: str
    rate: float
    growth: int


@dataclass(frozen=True, slots=True)
class Students:
    """Pages of all students together; times in milliseconds."""

    name: str
    pages: int
    pictures: int
    p50: float
    p95: float
    p99: float
    errors: dict[str, int]


@dataclass(slots=True)
class Brokered:
    small: list[Line] = field(default_factory=list)
    pages: list[Line] = field(default_factory=list)
    large: list[Large] = field(default_factory=list)
    students: list[Students] = field(default_factory=list)

    def aims(self) -> list[tuple[str, bool, str]]:
        """What is aimed at, whether it is met, and what it is. Without its yardstick no aim."""
        small = {one.name: one for one in self.small}
        pages = {one.name: one for one in self.pages}
        found = []
        for mine, of, name, least in (
            (small["ours"], small["squid"], "1 KB passed through, of squid", OF_SQUID),
            (pages["ours, one page"], pages["pywb"], "48 KB written anew, of pywb", OF_PYWB),
            (
                pages["ours, one page"],
                pages["mitmdump"],
                "48 KB written anew, of mitmdump",
                OF_MITMDUMP,
            ),
        ):
            if mine.per_second and of.per_second:
                times = mine.per_second / of.per_second
                found.append((f"{name}: {least:g} times or more", times >= least, f"{times:.2f}"))
        added = small["ours"].added or 0.0
        found.append(
            (f"added to 1 KB: {ADDED_MOST:g} ms or less", added <= ADDED_MOST, f"{added:.2f} ms")
        )
        ours, nginx = self.large
        share = ours.rate / nginx.rate
        found += [
            (f"50 MB, of nginx: {OF_NGINX:g} or more", share >= OF_NGINX, f"{share:.2f}"),
            (
                f"memory for 50 MB: {GROWTH_MOST // MIB} MB or less",
                ours.growth <= GROWTH_MOST,
                f"{ours.growth / MIB:.1f} MB",
            ),
        ]
        quiet, disturbed = self.students
        times = disturbed.p95 / quiet.p95
        found += [
            (
                f"{STUDENTS} students' p95 with bad sites: {DISTURBED_MOST:g} times quiet or less",
                times <= DISTURBED_MOST,
                f"{times:.2f}",
            ),
            (
                f"{STUDENTS} students: no errors",
                not quiet.errors and not disturbed.errors,
                f"{sum(quiet.errors.values()) + sum(disturbed.errors.values())}",
            ),
        ]
        return found


def figures(seconds: float, browsing: float) -> Brokered:
    """Measure: each rate for ``seconds``, the students for ``browsing`` seconds, twice."""
    found = Brokered()
    with running() as ground:
        _small(ground, found, seconds)
        _pages(ground, found, seconds)
        _large(ground, found)
        found.students = [
            _students("quiet", ground.served, browsing, bad=False),
            _students("one site hangs, one drips", ground.served, browsing, bad=True),
        ]
    return found


def _asked(way: Way, target: str, kind: str) -> list[bytes]:
    return [request(target, way.host, cookie, kind) for cookie in way.cookies[HOST]]


def _ports(ground: Ground) -> dict[str, int | None]:
    return {name: None if one is None else one["port"] for name, one in ground.rivals.items()}


def _small(ground: Ground, found: Brokered, seconds: float) -> None:
    alone = one_by_one(ground.site, [request(SMALL, HOST)], count=300).median
    ours = _asked(ground.bare, SMALL, PICTURE)
    ports = _ports(ground)
    lines: list[tuple[str, int | None, list[bytes]]] = [
        ("ours", ground.bare.address.port, ours[:CONNECTIONS]),
        ("ours, 200 students in turn", ground.bare.address.port, ours),
        ("nginx", ports["nginx"], [request(SMALL, HOST)]),
        ("squid", ports["squid"], [request(f"http://{HOST}{SMALL}", HOST)]),
        ("mitmdump", ports["mitmdump"], [request(SMALL, HOST)]),
        ("pywb", ports["pywb"], [_of_pywb(ground, SMALL, "im_")]),
    ]
    for name, port, asked in lines:
        if port is None:
            found.small.append(Line(name, None))
            continue
        busy = hammer(Address(port), asked, connections=CONNECTIONS, seconds=seconds)
        # One browser is one student's.
        alone_asked = asked[:1] if name == "ours" else asked
        calm = one_by_one(Address(port), alone_asked, count=200) if name != "pywb" else None
        added = (calm.median - alone) * 1000 if calm else None
        found.small.append(Line(name, busy.per_second, added))


def _pages(ground: Ground, found: Brokered, seconds: float) -> None:
    one = _asked(ground.bare, "/artikkel/7", PAGE)
    cookies = ground.bare.cookies[HOST]
    many = [
        request(f"/artikkel/{at}", ground.bare.host, cookies[at % len(cookies)], PAGE)
        for at in range(200)
    ]
    ports = _ports(ground)
    lines: list[tuple[str, int | None, list[bytes]]] = [
        ("ours, one page", ground.bare.address.port, one),
        ("ours, 200 pages", ground.bare.address.port, many),
        ("mitmdump", ports["mitmdump, rewriting"], [request("/artikkel/7", HOST)]),
        ("pywb", ports["pywb"], [_of_pywb(ground, "/artikkel/7", "mp_")]),
    ]
    for name, port, asked in lines:
        rate = None
        if port is not None:
            busy = hammer(Address(port), asked, connections=CONNECTIONS, seconds=seconds)
            rate = busy.per_second
        found.pages.append(Line(name, rate))


def _of_pywb(ground: Ground, target: str, kind: str) -> bytes:
    return request(
        f"/live/20260101000000{kind}/https://127.0.0.1:{ground.site.port}{target}", "localhost"
    )


def _large(ground: Ground, found: Brokered) -> None:
    nginx = ground.rivals["nginx"]
    assert nginx is not None, "the site itself is an nginx"
    for name, address, pids, asked in (
        (
            "ours",
            ground.bare.address,
            ground.bare.workers(),
            _asked(ground.bare, LARGE, PICTURE.replace("image", "video"))[0],
        ),
        ("nginx", Address(nginx["port"]), _children(nginx["pid"]), request(LARGE, HOST)),
    ):
        for pid in pids:
            reset(pid)
        before = [peak(pid) for pid in pids]
        rates = [drain(address, asked, broker_pages.FILE) for _ in range(5)]
        growth = max(peak(pid) - was for pid, was in zip(pids, before, strict=True))
        found.large.append(Large(name, sorted(rates)[2] / 1e6, growth))


def _students(name: str, way: Way, seconds: float, *, bad: bool) -> Students:
    """With ``bad``, a tenth of them also open pages of a site that hangs or drips."""
    tenth = STUDENTS // 10
    others = []
    if bad:
        for site, whose in ((HANGING, slice(0, tenth // 2)), (DRIPPING, slice(tenth // 2, tenth))):
            others.append((way.host.replace("leksikon-no", site.replace(".", "-")),
                           way.cookies[site][whose]))  # fmt: skip
    browsed: Browsed = browse(way.address, way.host, way.cookies[HOST], seconds, others)
    return Students(
        name, len(browsed.pages), len(browsed.pictures), *browsed.centiles(), dict(browsed.errors)
    )


def report(found: Brokered) -> dict[str, Any]:
    return {
        **asdict(found),
        "aims": [{"aim": aim, "met": met, "is": value} for aim, met, value in found.aims()],
    }


def show(found: Brokered) -> None:
    """The tables, and the aims below."""
    print(f"the broker, beside others on the same {os.cpu_count()} processors\n")
    for title, lines in (
        (f"1 KB passed through, {CONNECTIONS} connections", found.small),
        ("48 KB written anew", found.pages),
    ):
        print(f"{title:<44}{'per second':>12}{'added ms':>10}")
        for line in lines:
            rate = "not installed" if line.per_second is None else f"{line.per_second:.1f}"
            added = "" if line.added is None else f"{line.added:.2f}"
            print(f"  {line.name:<42}{rate:>12}{added:>10}")
    print(f"{'50 MB':<44}{'MB a second':>12}{'memory +':>10}")
    for large in found.large:
        print(f"  {large.name:<42}{large.rate:>12.0f}{large.growth / MIB:>7.1f} MB")
    print(f"{f'{STUDENTS} students, pages':<44}{'pages':>8}{'p50':>8}{'p95':>8}{'p99':>8} ms")
    for one in found.students:
        print(f"  {one.name:<42}{one.pages:>8}{one.p50:>8.0f}{one.p95:>8.0f}{one.p99:>8.0f}")
        if one.errors:
            print(f"    errors: {one.errors}")
    print()
    for aim, met, value in found.aims():
        print(f"{'met   ' if met else 'MISSED'}  {aim}: {value}")
