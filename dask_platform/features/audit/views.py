"""The log, its export, and the weekly review."""

from __future__ import annotations

import csv
import io
from datetime import date
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from dask_platform.features.audit import queries, service
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.words import WORDS, word
from dask_platform.kernel.actor import Role
from dask_platform.kernel.errors import Invalid
from dask_platform.kernel.messages import N_
from dask_platform.security.permissions import Permission
from dask_platform.web import navigation
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow

audit = Blueprint("audit", __name__, template_folder="templates")
navigation.add(
    navigation.Entry(70, _l("Log"), "audit.events", Permission.AUDIT_READ),
    navigation.Entry(75, _l("Weekly review"), "audit.weeks", Permission.AUDIT_REVIEW),
)
NOTE_MOST = 1000
YEARS = (2000, 2999)
# Also in their full width, which a spreadsheet set to an East Asian language takes as well.
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@audit.get("/log")
@requires(Permission.AUDIT_READ)
def events() -> str:
    wanted = _filter()
    before = _number(request.args.get("before"))
    found = queries.events(uow(), actor(), wanted, before=before)
    shown, older = found[: queries.PAGE_SIZE], len(found) > queries.PAGE_SIZE
    people = {event.subject_id for event in shown} | {event.actor_id for event in shown}
    names = queries.person_names(uow(), people)
    service.record(uow(), actor(), EventKind.AUDIT_READ, filter=wanted.words())
    units = queries.unit_names(uow())
    return render_template(
        "audit/events.html",
        events=shown,
        names=names,
        units=units,
        own_units={unit: units[unit] for unit in actor().units(Role.SECURITY)},
        wanted=wanted,
        words=sorted(((str(kind), str(said)) for kind, said in WORDS.items()), key=lambda w: w[1]),
        word=word,
        older=shown[-1].seq if older else None,
        arguments=_arguments(),
    )


@audit.get("/log.csv")
@requires(Permission.AUDIT_READ)
def export() -> Response:
    wanted = _filter()
    found = queries.export(uow(), actor(), wanted)
    service.record(uow(), actor(), EventKind.AUDIT_EXPORTED, rows=len(found), filter=wanted.words())
    written = io.StringIO()
    fields = ["number", "time", "event", "who", "role", "address", "object", "object_id",
              "person", "details"]  # fmt: skip
    writer = csv.DictWriter(written, fields, delimiter=";")
    writer.writeheader()
    for event in found:
        writer.writerow({name: _cell(value) for name, value in queries.describe(event).items()})
    return Response(
        # The mark at the beginning tells a spreadsheet that this is UTF-8.
        "\ufeff" + written.getvalue(),
        mimetype="text/csv",
        headers={"Content-Disposition": "attachment; filename=log.csv"},
    )


@audit.get("/log/weeks")
@requires(Permission.AUDIT_REVIEW)
def weeks() -> str:
    now = platform().clock.now()
    return render_template(
        "audit/weeks.html",
        weeks=queries.weeks(uow(), actor(), now=now),
        this_monday=queries.monday_of(now),
    )


@audit.post("/log/weeks")
@requires(Permission.AUDIT_REVIEW)
def sign() -> BaseResponse:
    monday = _day(request.form.get("monday"))
    note = request.form.get("note", "").strip()
    if monday is None or len(note) > NOTE_MOST:
        raise Invalid(N_("Choose a week, and keep the note under 1000 characters."))
    service.sign_week(
        uow(), actor(), unit_id=_id(request.form.get("unit")), monday=monday, note=note,
        now=platform().clock.now(),
    )  # fmt: skip
    flash(_("The week is signed as reviewed."), "success")
    return redirect(url_for("audit.weeks"), 303)


def _filter() -> queries.Filter:
    kind = request.args.get("kind") or None
    unit = request.args.get("unit") or None
    return queries.Filter(
        kind=kind if kind in set(EventKind) else None,
        who=(request.args.get("who") or "").strip()[:100] or None,
        unit_id=_id(unit) if unit else None,
        first=_day(request.args.get("first")),
        last=_day(request.args.get("last")),
    )


def _arguments() -> dict[str, str]:
    """The filter as it stands in the address, for the links to older rows and to the export."""
    names = ("kind", "who", "unit", "first", "last")
    return {name: request.args[name] for name in names if request.args.get(name)}


def _day(raw: str | None) -> date | None:
    if not raw:
        return None
    try:
        day = date.fromisoformat(raw)
    except ValueError:
        raise Invalid(N_("Write the day as year-month-day, such as 2026-11-22.")) from None
    if not YEARS[0] <= day.year <= YEARS[1]:
        # Nothing was logged then, and at the ends of the calendar a day has no midnight in UTC.
        raise Invalid(N_("Write the day as year-month-day, such as 2026-11-22."))
    return day


def _id(raw: str | None) -> UUID:
    try:
        return UUID(raw or "")
    except ValueError:
        raise Invalid(N_("Choose one of the units in the list.")) from None


def _number(raw: str | None) -> int | None:
    return int(raw) if raw and raw.isdecimal() and len(raw) < 18 else None


def _cell(value: object) -> str:
    """A cell that begins like a formula is run by spreadsheets; an apostrophe makes it text."""
    text = str(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
