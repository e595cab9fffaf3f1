"""The school's side of the broker: the way out, watching over it, and reading what went out."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from dask_platform.features.audit import service as audit
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.broker import review, supervision, tickets
from dask_platform.features.broker.addresses import Domain, target_of
from dask_platform.features.broker.deciding import Desk, desk
from dask_platform.features.broker.refusals import in_short
from dask_platform.features.whitelists.engine import Reason
from dask_platform.features.whitelists.rules import Effect, Rule
from dask_platform.kernel.clock import from_oslo, to_oslo
from dask_platform.kernel.errors import Conflict, Invalid, NotVisible
from dask_platform.kernel.messages import N_
from dask_platform.security.permissions import Permission
from dask_platform.web import navigation
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow

resources = Blueprint("resources", __name__, template_folder="templates")
navigation.add(
    navigation.Entry(
        62, _l("Supervised sites"), "resources.supervised", Permission.SITES_SUPERVISE
    ),
    navigation.Entry(72, _l("Opened outside"), "resources.visits", Permission.VISITS_READ),
)
#: What the form of the log asks for. Nothing else of an address goes into a link.
_ASKED = frozenset({"who", "first", "last", "refused", "typed"})
NOT_SET_UP = N_("Sites cannot be opened here yet. The operator has to set it up.")
NOT_OPEN = N_("The site is not open to you now.")


def start_of(rule: Rule) -> str:
    """The page that a rule is entered by: its front page where that is open, else what it opens
    first."""
    first = "/" if "/" in (*rule.only, *rule.paths) else (*rule.only, *rule.paths)[0]
    return f"https://{rule.host}{first}"


def _found(at: Desk, rule_id: str) -> Rule:
    rule = at.rules.get(rule_id)
    if rule is None or rule.effect is Effect.DENY:
        raise NotVisible()
    return rule


@resources.get("/sites/<rule_id>/open")
@requires(Permission.SITES_READ)
def open_site(rule_id: str) -> Response:
    """Go out to an approved site, with a ticket that is good once and for half a minute.

    Decided for the room where the PC stands, as each request to the site will be: what is opened or
    stopped for the room of an earlier log-in says nothing here.
    """
    now = platform().clock.now()
    here = tickets.in_room(actor(), request.remote_addr, platform().rooms.current())
    at = desk(uow(), here, now)
    decision = at.decide(start_of(_found(at, rule_id)))
    outside = platform().settings.resources_url
    if outside is None or not decision.allowed or decision.address is None:
        flash(_(NOT_SET_UP) if outside is None else _(NOT_OPEN), "warning")
        return redirect(url_for("whitelists.sites"), 303)
    domain = Domain.of(outside)
    host = decision.address.host
    ticket = tickets.issue(uow(), actor(), host, now)
    return redirect(domain.entry(host, ticket, target_of(decision.address.text)), 303)


@resources.get("/supervised")
@requires(Permission.SITES_SUPERVISE)
def supervised() -> str:
    """What may be opened for a room, and what is."""
    now = platform().clock.now()
    at = desk(uow(), actor(), now)
    rooms = supervision.own_rooms(uow(), actor())
    return render_template(
        "broker/supervised.html",
        rules=sorted(
            ((rule.id, _title(rule)) for rule in at.rules.values() if _watched_here(at, rule)),
            key=lambda one: one[1],
        ),
        titles={rule.id: _title(rule) for rule in at.rules.values()},
        rooms=rooms,
        room_names={room.id: room.name for room in rooms},
        open=supervision.open_now(uow(), actor(), now),
        crumbs=[(_("Start page"), url_for("home.home")), (_("Supervised sites"), None)],
    )


@resources.post("/supervised")
@requires(Permission.SITES_SUPERVISE)
def open_for_room() -> Response:
    """Open a supervised site for a room, in the actor's own name."""
    now = platform().clock.now()
    rule = _found(desk(uow(), actor(), now), request.form.get("rule", ""))
    if not rule.supervised:
        raise NotVisible()
    try:
        supervision.open_for_room(uow(), actor(), rule.id, _uuid(request.form.get("room")), now)
    except Conflict as error:  # somebody was quicker; the page shows who watches where
        flash(_(error.message, **error.params), "warning")
    else:
        said = _("The site is open for the room. It closes when you close it or log out.")
        flash(said, "success")
    return redirect(url_for("resources.supervised"), 303)


@resources.post("/supervised/<uuid:supervision_id>/close")
@requires(Permission.SITES_SUPERVISE)
def close(supervision_id: UUID) -> Response:
    supervision.close(uow(), actor(), supervision_id, platform().clock.now())
    flash(_("The site is closed for the room."), "success")
    return redirect(url_for("resources.supervised"), 303)


@resources.get("/visits")
@requires(Permission.VISITS_READ)
def visits() -> str:
    """What was opened and refused outside, in one week unless other days are chosen."""
    wanted = _wanted()
    before = request.args.get("before", "")
    found = review.visits(
        uow(), actor(), wanted, int(before) if before.isdecimal() and len(before) < 18 else None
    )
    audit.record(uow(), actor(), EventKind.VISITS_READ, filter=wanted.words())
    older = len(found) > review.PAGE_SIZE
    return render_template(
        "broker/visits.html",
        week=review.week(uow(), actor(), wanted),
        visits=found[: review.PAGE_SIZE],
        older=found[review.PAGE_SIZE - 1].id if older else None,
        wanted=wanted,
        in_short=in_short,
        first=to_oslo(wanted.first).date(),
        last=(to_oslo(wanted.last) - timedelta(days=1)).date(),
        arguments={key: value for key, value in request.args.items() if key in _ASKED},
    )


def _watched_here(at: Desk, rule: Rule) -> bool:
    """Whether it is for the actor's unit, and waits only for the hour or for somebody to watch."""
    waits = (Reason.SUPERVISED, Reason.HOURS, Reason.ALLOWED)
    return rule.supervised and at.decide(start_of(rule)).reason in waits


def _title(rule: Rule) -> str:
    words = rule.title
    return {"nn": words.nn, "en": words.en or words.nb}.get(actor().locale, words.nb)


def _wanted() -> review.Wanted:
    """From the form: days by the clock on the wall; the last seven unless told."""
    today = to_oslo(platform().clock.now()).date()
    first = _day(request.args.get("first")) or today - timedelta(days=6)
    last = _day(request.args.get("last")) or today
    return review.Wanted(
        first=from_oslo(datetime.combine(first, time())),
        last=from_oslo(datetime.combine(last + timedelta(days=1), time())),
        who=request.args.get("who", "").strip()[:100],
        refused=request.args.get("refused") == "1",
        typed=request.args.get("typed") == "1",
    )


def _day(text: str | None) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Invalid(N_("That is no day. Choose one from the calendar.")) from None
    if not 2000 <= day.year <= 2999:
        raise Invalid(N_("That is no day. Choose one from the calendar."))
    return day


def _uuid(text: str | None) -> UUID:
    try:
        return UUID(text or "")
    except ValueError:
        raise Invalid(N_("Choose a room.")) from None
