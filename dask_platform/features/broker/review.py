"""Reading what went out: for security, one week at a time, with what is worth a look first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

from sqlalchemy import ColumnElement, String, Uuid, column, func, select, table

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.broker import policy  # noqa: F401 - registers the grants
from dask_platform.features.broker.models import SiteVisit
from dask_platform.kernel.actor import Actor
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import rows

PAGE_SIZE = 100
_PART_OF_A_PAGE: Final = r"\.(avif|css|gif|ico|jpe?g|js|mjs|png|svg|vtt|webp|woff2?)(\?|$)"
MOST_LISTED = 10
PERSON = table(
    "person", column("id", Uuid), column("display_name", String), column("username", String)
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for. ``first`` is included, ``last`` is not."""

    first: datetime
    last: datetime
    who: str = ""
    refused: bool = False
    typed: bool = False

    def words(self) -> str:
        """As the log keeps it."""
        flags = [name for name in ("refused", "typed") if getattr(self, name)]
        return " ".join([f"{self.first:%Y-%m-%d}–{self.last:%Y-%m-%d}", self.who, *flags]).strip()


@dataclass(frozen=True, slots=True)
class Seen:
    """One visit, with the name of who made it where the reader may know it."""

    id: int
    at: datetime
    name: str | None
    username: str | None
    rule_id: str | None
    url: str
    method: str
    allowed: bool
    reason: str
    status: int
    size: int
    typed: bool
    sent: list[list[str]] | None

    @property
    def written(self) -> list[tuple[str, str]]:
        """What stood in the form, or in the address where free text went with it, by field."""
        if self.sent is not None:
            return [(name, value) for name, value in self.sent if value]
        return parse_qsl(urlsplit(self.url).query) if self.typed else []


@dataclass(frozen=True, slots=True)
class Week:
    """What stands out: how much there was, the most refused addresses, sites visited for the first
    time, free text that went out (how often, and the newest of it), visits outside 7–22 o'clock,
    and who made the most."""

    visits: int
    refused: int
    most_refused: list[tuple[str, str, int]]
    new_paths: list[tuple[str, int]]
    odd_hours: int
    typed: int
    busiest: list[tuple[UUID, str | None, int, int]]
    texts: list[Seen]


def visits(uow: UnitOfWork, actor: Actor, wanted: Wanted, before: int | None) -> list[Seen]:
    """The newest visits first, one page and one more to tell whether there are others."""
    conditions = _conditions(actor, wanted)
    if before is not None:
        conditions.append(SiteVisit.id < before)
    return _newest(uow, conditions, PAGE_SIZE + 1)


def _newest(uow: UnitOfWork, conditions: list[ColumnElement[bool]], most: int) -> list[Seen]:
    found = uow.execute(
        select(
            SiteVisit.id, SiteVisit.at, PERSON.c.display_name, PERSON.c.username,
            SiteVisit.rule_id, SiteVisit.url, SiteVisit.method, SiteVisit.allowed,
            SiteVisit.reason, SiteVisit.status, SiteVisit.size, SiteVisit.typed, SiteVisit.sent,
        )
        .outerjoin(PERSON, PERSON.c.id == SiteVisit.person_id)
        .where(*conditions)
        .order_by(SiteVisit.id.desc())
        .limit(most)
    )  # fmt: skip
    return [Seen(*row) for row in found]


def week(uow: UnitOfWork, actor: Actor, wanted: Wanted) -> Week:
    """What stands out among what ``wanted`` finds."""
    conditions = _conditions(actor, wanted)
    count, oslo = func.count(), func.timezone("Europe/Oslo", SiteVisit.at)
    hour = func.extract("hour", oslo)
    totals: Any = uow.execute(
        select(
            count,
            count.filter(~SiteVisit.allowed),
            count.filter((hour < 7) | (hour >= 22)),
            count.filter(SiteVisit.typed),
        ).where(*conditions)
    ).one()
    refused = uow.execute(
        select(SiteVisit.url, SiteVisit.reason, count)
        .where(*conditions, ~SiteVisit.allowed)
        .group_by(SiteVisit.url, SiteVisit.reason)
        .order_by(count.desc(), SiteVisit.url)
        .limit(MOST_LISTED)
    )
    earlier = (
        select(SiteVisit.url)
        .where(rows(actor, Permission.VISITS_READ, SiteVisit), SiteVisit.at < wanted.first)
        .where(SiteVisit.allowed)
    )
    new = uow.execute(
        select(SiteVisit.url, count)
        .where(*conditions, SiteVisit.allowed, SiteVisit.url.not_in(earlier))
        # Of a page that is new, its pictures and styles are too: they would hide the next page.
        .where(~SiteVisit.url.regexp_match(_PART_OF_A_PAGE, flags="i"))
        .group_by(SiteVisit.url)
        .order_by(count.desc(), SiteVisit.url)
        .limit(MOST_LISTED)
    )
    busiest = uow.execute(
        select(SiteVisit.person_id, PERSON.c.display_name, count, count.filter(~SiteVisit.allowed))
        .outerjoin(PERSON, PERSON.c.id == SiteVisit.person_id)
        .where(*conditions)
        .group_by(SiteVisit.person_id, PERSON.c.display_name)
        .order_by(count.filter(~SiteVisit.allowed).desc(), count.desc())
        .limit(MOST_LISTED)
    )
    return Week(
        visits=totals[0],
        refused=totals[1],
        odd_hours=totals[2],
        typed=totals[3],
        most_refused=[(url, reason, times) for url, reason, times in refused],
        new_paths=[(url, times) for url, times in new],
        busiest=[(who, name, times, no) for who, name, times, no in busiest],
        texts=_newest(
            uow, [*conditions, SiteVisit.typed.is_(True), SiteVisit.allowed.is_(True)], MOST_LISTED
        ),
    )


def _conditions(actor: Actor, wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        rows(actor, Permission.VISITS_READ, SiteVisit),
        SiteVisit.at >= wanted.first,
        SiteVisit.at < wanted.last,
    ]
    if wanted.refused:
        found.append(~SiteVisit.allowed)
    if wanted.typed:
        found.append(SiteVisit.typed.is_(True))
    if wanted.who:
        like = f"%{wanted.who.replace('%', '').replace('_', '').lower()}%"
        found.append(
            SiteVisit.person_id.in_(
                select(PERSON.c.id).where(
                    func.lower(PERSON.c.username).like(like)
                    | func.lower(PERSON.c.display_name).like(like)
                )
            )
        )
    return found
