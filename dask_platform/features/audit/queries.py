"""Reading the log: what a security officer may see, filtered, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, column, select, table, text

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit import policy as policy  # its lines enter the table
from dask_platform.features.audit.models import AuditEvent, AuditReview
from dask_platform.kernel.actor import Actor, Role
from dask_platform.kernel.clock import from_oslo, to_oslo
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import rows

PAGE_SIZE = 50
EXPORT_MOST = 100_000
WEEKS_SHOWN = 12


# Other features' tables by name: every feature writes to the log, so the log knows none of them.
# What a security officer may see of them is row security's to say.
_PERSON = table("person", column("id"), column("display_name"), column("username"))
_UNIT = table("unit", column("id"), column("name"))


@dataclass(frozen=True, slots=True)
class Filter:
    """What to look for. ``first`` and ``last`` are days in Norway, both included."""

    kind: str | None = None
    who: str | None = None
    unit_id: UUID | None = None
    first: date | None = None
    last: date | None = None

    def words(self) -> str:
        """The filter in a line, for the log's own row about this reading."""
        parts = {"kind": self.kind, "who": self.who, "first": self.first, "last": self.last}
        return " ".join(f"{name}={value}" for name, value in parts.items() if value)


@dataclass(frozen=True, slots=True)
class Week:
    """A week at a unit: its Monday, how much happened, and who signed it."""

    unit_id: UUID
    unit_name: str
    monday: date
    events: int
    failed_logins: int
    stopped_files: int
    signed_by: str | None
    signed_at: datetime | None

    @property
    def sunday(self) -> date:
        return self.monday + timedelta(days=6)

    @property
    def number(self) -> int:
        """The week's ISO number, as Norwegian calendars count."""
        return self.monday.isocalendar().week


def events(
    uow: UnitOfWork, actor: Actor, wanted: Filter, *, before: int | None = None
) -> list[AuditEvent]:
    """A page of events, newest first, those with a number below ``before``; one more than a page
    holds, so that the caller knows whether there are older ones."""
    found = _narrowed(actor, wanted)
    if before is not None:
        found = found.where(AuditEvent.seq < before)
    found = found.order_by(AuditEvent.seq.desc()).limit(PAGE_SIZE + 1)
    return list(uow.scalars(found))


def export(uow: UnitOfWork, actor: Actor, wanted: Filter) -> list[AuditEvent]:
    """All events of the filter, oldest first, at most ``EXPORT_MOST``: the newest of them."""
    found = _narrowed(actor, wanted).order_by(AuditEvent.seq.desc()).limit(EXPORT_MOST)
    return list(uow.scalars(found))[::-1]


def _narrowed(actor: Actor, wanted: Filter) -> Select[AuditEvent]:
    found = select(AuditEvent).where(rows(actor, Permission.AUDIT_READ, AuditEvent))
    if wanted.kind:
        found = found.where(AuditEvent.kind == wanted.kind)
    if wanted.who:
        like = _like(wanted.who)
        ids = select(_PERSON.c.id).where(
            _PERSON.c.display_name.ilike(like, escape="\\")
            | _PERSON.c.username.ilike(like, escape="\\")
        )
        found = found.where(
            AuditEvent.actor_name.ilike(like, escape="\\")
            | AuditEvent.subject_id.in_(ids)
            | AuditEvent.actor_id.in_(ids)
        )
    if wanted.unit_id:
        found = found.where(AuditEvent.unit_id == wanted.unit_id)
    if wanted.first:
        found = found.where(AuditEvent.at >= _midnight(wanted.first))
    if wanted.last:
        found = found.where(AuditEvent.at < _midnight(wanted.last + timedelta(days=1)))
    return found


def _like(raw: str) -> str:
    safe = raw.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{safe}%"


def _midnight(day: date) -> datetime:
    return from_oslo(datetime(day.year, day.month, day.day))  # noqa: DTZ001 - a wall clock's time


def person_names(uow: UnitOfWork, ids: Iterable[UUID | None]) -> dict[UUID, str]:
    """Names of those of ``ids`` whom the actor may know by name."""
    found = select(_PERSON.c.id, _PERSON.c.display_name).where(_PERSON.c.id.in_(set(ids) - {None}))
    return {row[0]: row[1] for row in uow.execute(found)}


def unit_names(uow: UnitOfWork) -> dict[UUID, str]:
    return {row[0]: row[1] for row in uow.execute(select(_UNIT.c.id, _UNIT.c.name))}


def monday_of(at: datetime) -> date:
    """The Monday of the week in which ``at`` falls, by Norway's calendar."""
    day = to_oslo(at).date()
    return day - timedelta(days=day.weekday())


_WEEKS = text(
    """
    SELECT unit_id, (date_trunc('week', at AT TIME ZONE 'Europe/Oslo'))::date AS monday,
           count(*) AS events,
           count(*) FILTER (WHERE kind IN ('login.failed', 'login.throttled', 'login.refused_room'))
             AS failed_logins,
           count(*) FILTER (WHERE kind IN ('file.infected', 'file.refused')) AS stopped_files
    FROM audit_event
    WHERE at >= :since AND unit_id = ANY (:units)
    GROUP BY unit_id, monday
    """
)
_SIGNED = select(
    AuditReview.unit_id, AuditReview.week, AuditReview.reviewed_at, _PERSON.c.display_name
).join(_PERSON, _PERSON.c.id == AuditReview.reviewed_by)


def weeks(uow: UnitOfWork, actor: Actor, *, now: datetime) -> list[Week]:
    """The latest weeks of the actor's units in which anything happened, newest first."""
    units = list(actor.units(Role.SECURITY))
    this = monday_of(now)
    since = _midnight(this - timedelta(weeks=WEEKS_SHOWN))
    names = unit_names(uow)
    counted = uow.execute(_WEEKS, {"since": since, "units": units}).all()
    signed = {
        (row[0], row[1]): (row[3], row[2])
        for row in uow.execute(_SIGNED.where(rows(actor, Permission.AUDIT_REVIEW, AuditReview)))
    }
    found = []
    for row in counted:
        by, at = signed.get((row.unit_id, row.monday), (None, None))
        found.append(
            Week(
                row.unit_id, names[row.unit_id], row.monday, row.events, row.failed_logins,
                row.stopped_files, by, at,
            )
        )  # fmt: skip
    return sorted(found, key=lambda week: (week.monday, week.unit_name), reverse=True)


def unreviewed(uow: UnitOfWork, actor: Actor, *, now: datetime) -> list[Week]:
    """Whole weeks that have passed and that nobody has signed."""
    this = monday_of(now)
    return [
        week for week in weeks(uow, actor, now=now) if week.monday < this and not week.signed_by
    ]


def describe(event: AuditEvent) -> dict[str, Any]:
    """An event as plain values, for the export."""
    return {
        "number": event.seq,
        "time": to_oslo(event.at).isoformat(timespec="seconds"),
        "event": event.kind,
        "who": event.actor_name,
        "role": event.actor_role,
        "address": event.address or "",
        "object": event.object_type or "",
        "object_id": event.object_id or "",
        "person": event.subject_id or "",
        "details": "; ".join(f"{name}={value}" for name, value in sorted(event.details.items())),
    }
