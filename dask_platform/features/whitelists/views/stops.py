"""Stopping at once, and opening again by two."""

from __future__ import annotations

from uuid import UUID

from flask import render_template, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response
from wtforms import SelectChoice

from dask_platform.features.identity.queries import students_at, unit_names
from dask_platform.features.identity.service.reads import note_list_read
from dask_platform.features.whitelists.forms import EVERYWHERE, ReasonForm, StopForm
from dask_platform.features.whitelists.queries import in_force, listings, standing
from dask_platform.features.whitelists.service import stops as verbs
from dask_platform.features.whitelists.service.proposals import NOTHING_HERE
from dask_platform.features.whitelists.views.blueprint import (
    FormAnswer,
    crumbs,
    done,
    refused,
    whitelists,
    whole_or_nothing,
)
from dask_platform.kernel.actor import Role
from dask_platform.kernel.errors import Invalid, NotVisible
from dask_platform.security.permissions import Permission
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow

KINDS = ("rule", "student", "room", "unit")
ALL_OWN = "all"


@whitelists.route("/whitelists/stops")
@requires(Permission.WHITELIST_STOP)
def stops() -> str:
    """What is stopped, and the forms to stop more."""
    return _page(_forms())


@whitelists.route("/whitelists/stops/<kind>", methods=["POST"])
@requires(Permission.WHITELIST_STOP)
def stop(kind: str) -> FormAnswer:
    """Stop a site, a student, a room or a unit, now."""
    if kind not in KINDS:
        raise NotVisible(NOTHING_HERE)
    forms = _forms(sent=kind)
    form = forms[kind]
    status = 400
    if form.validate_on_submit():
        try:
            with whole_or_nothing():
                _stop(kind, form)
        except Invalid as error:
            status = refused(form, error, "reason")
        else:
            return done(_("Stopped. It holds from now on."), "whitelists.stops")
    return _page(forms), status


@whitelists.route("/whitelists/stops/<uuid:stop_id>/reopen", methods=["POST"])
@requires(Permission.WHITELIST_STOP)
def ask_reopen(stop_id: UUID) -> FormAnswer:
    """The first of the two who open again."""
    form = ReasonForm()
    if not form.validate_on_submit():
        return _page(_forms(), asked={stop_id: form}), 400
    verbs.ask_to_reopen(uow(), actor(), stop_id, form.reason.data, platform().clock.now())
    return done(_("Another officer must agree now. Until then it stays stopped."), _STOPS)


@whitelists.route("/whitelists/stops/<uuid:stop_id>/agree", methods=["POST"])
@requires(Permission.WHITELIST_STOP)
def agree_reopen(stop_id: UUID) -> Response:
    """The second of the two."""
    verbs.agree_to_reopen(uow(), actor(), stop_id, platform().clock.now())
    return done(_("It is open again."), _STOPS)


@whitelists.route("/whitelists/stops/<uuid:stop_id>/decline", methods=["POST"])
@requires(Permission.WHITELIST_STOP)
def decline_reopen(stop_id: UUID) -> Response:
    """It stays stopped."""
    verbs.decline_to_reopen(uow(), actor(), stop_id)
    return done(_("It stays stopped."), _STOPS)


_STOPS = "whitelists.stops"


def _page(forms: dict[str, StopForm], asked: dict[UUID, ReasonForm] | None = None) -> str:
    now = platform().clock.now()
    found = listings.stops_page(uow(), actor(), now)
    note_list_read(uow(), actor(), sorted(actor().units(Role.SECURITY)))
    return render_template(
        "whitelists/stops.html",
        holding=[one for one in found if one.stop.reopened_at is None],
        over=[one for one in found if one.stop.reopened_at is not None],
        forms=forms,
        reason_form=ReasonForm(formdata=None),
        asked=asked or {},
        crumbs=crumbs((_("Stops"), None)),
    )


def _forms(sent: str | None = None) -> dict[str, StopForm]:
    """A form for each kind; the one that was ``sent`` holds what was typed."""
    own = actor().units(Role.SECURITY)
    units = [(str(unit), name) for unit, name in unit_names(uow()).items() if unit in own]
    rules = in_force(uow(), standing(uow(), actor())).rules
    offered: dict[str, list[tuple[str, str]]] = {
        "rule": sorted(
            ((one, kept.rule.title.nb) for one, kept in rules.items()), key=lambda one: one[1]
        ),
        "student": [
            (str(one.id), f"{one.display_name} ({one.username})")
            for one in students_at(uow(), actor(), own)
        ],
        "room": [(str(room), name) for room, name in listings.room_names(uow(), actor()).items()],
        "unit": [*([(ALL_OWN, _("All your units"))] if len(units) > 1 else []), *units],
    }
    forms = {}
    for kind in KINDS:
        form = StopForm(prefix=f"{kind}-") if kind == sent else StopForm(None, prefix=f"{kind}-")
        form.target.choices = [SelectChoice(value, label) for value, label in offered[kind]]
        form.where.choices = [SelectChoice(EVERYWHERE, _("Everywhere"))]
        form.where.choices += [SelectChoice(unit, name) for unit, name in units]
        if kind == "rule" and sent is None and request.args.get("rule") in rules:
            form.target.data = request.args["rule"]
        forms[kind] = form
    return forms


def _stop(kind: str, form: StopForm) -> None:
    target, reason, now = form.target.data, form.reason.data, platform().clock.now()
    who, work = actor(), uow()
    if kind == "rule":
        where = None if form.where.data in (EVERYWHERE, None) else UUID(form.where.data)
        verbs.stop_rule(work, who, target, where, reason, now)
    elif kind == "student":
        verbs.stop_student(work, who, UUID(target), reason, now)
    elif kind == "room":
        verbs.stop_room(work, who, UUID(target), reason, now)
    else:
        units = who.units(Role.SECURITY) if target == ALL_OWN else [UUID(target)]
        for unit in sorted(units):
            verbs.stop_unit(work, who, unit, reason, now)
