"""Rooms: who is logged in there now, logging them out, and the rooms themselves."""

from __future__ import annotations

from uuid import UUID

from flask import Response, after_this_request, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from dask_platform.features.identity.forms import NetworkForm, RoomForm
from dask_platform.features.identity.queries import listings
from dask_platform.features.identity.service import rooms as verbs
from dask_platform.features.identity.service import sessions
from dask_platform.features.identity.service.reads import note_list_read
from dask_platform.features.identity.views import identity
from dask_platform.features.identity.views.answers import show_error, whole_or_nothing
from dask_platform.kernel.errors import Invalid
from dask_platform.security.permissions import Permission
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow


@identity.route("/rooms")
@requires(Permission.SESSIONS_END)
def rooms() -> ResponseReturnValue:
    units = listings.rooms_of(uow(), actor(), platform().clock.now())
    note_list_read(uow(), actor(), [unit.id for unit in units if unit.present])
    return render_template(
        "identity/rooms.html", units=units, manages=any(unit.manageable for unit in units)
    )


@identity.route("/students/<uuid:person_id>/end-session", methods=["POST"])
@requires(Permission.SESSIONS_END)
def end_session(person_id: UUID) -> ResponseReturnValue:
    ended = sessions.end_students(uow(), actor(), person_id, platform().clock.now())
    return _ended(ended)


@identity.route("/rooms/<uuid:room_id>/end-sessions", methods=["POST"])
@requires(Permission.SESSIONS_END)
def end_room_sessions(room_id: UUID) -> ResponseReturnValue:
    return _ended(sessions.end_room(uow(), actor(), room_id, platform().clock.now()))


@identity.route("/units/<uuid:unit_id>/end-sessions", methods=["POST"])
@requires(Permission.SESSIONS_END)
def end_unit_sessions(unit_id: UUID) -> ResponseReturnValue:
    return _ended(sessions.end_unit(uow(), actor(), unit_id, platform().clock.now()))


@identity.route("/rooms/new", methods=["GET", "POST"])
@requires(Permission.ROOMS_MANAGE)
def add_room() -> ResponseReturnValue:
    form = RoomForm()
    form.offer(listings.units_for(uow(), actor(), Permission.ROOMS_MANAGE))
    if not form.validate_on_submit():
        status = 200 if request.method == "GET" else 400
        return render_template("identity/add_room.html", form=form), status
    try:
        with whole_or_nothing():
            verbs.add_room(uow(), actor(), form.unit_id(), form.name.data, form.network.data or "")
    except Invalid as error:
        status = show_error(form, error, "name")
        return render_template("identity/add_room.html", form=form), status
    return _changed(_("The room is added."))


@identity.route("/rooms/<uuid:room_id>/networks", methods=["GET", "POST"])
@requires(Permission.ROOMS_MANAGE)
def add_network(room_id: UUID) -> ResponseReturnValue:
    form = NetworkForm()
    room = listings.room_named(uow(), actor(), room_id)
    if not form.validate_on_submit():
        status = 200 if request.method == "GET" else 400
        return render_template("identity/add_network.html", form=form, room=room), status
    try:
        with whole_or_nothing():
            verbs.add_network(uow(), actor(), room_id, form.network.data)
    except Invalid as error:
        status = show_error(form, error, "network")
        return render_template("identity/add_network.html", form=form, room=room), status
    return _changed(_("The network is added."))


@identity.route("/rooms/<uuid:room_id>/networks/<uuid:network_id>/remove", methods=["POST"])
@requires(Permission.ROOMS_MANAGE)
def remove_network(room_id: UUID, network_id: UUID) -> ResponseReturnValue:
    verbs.remove_network(uow(), actor(), room_id, network_id)
    return _changed(_("The network is removed."))


@identity.route("/rooms/<uuid:room_id>/remove", methods=["POST"])
@requires(Permission.ROOMS_MANAGE)
def remove_room(room_id: UUID) -> ResponseReturnValue:
    verbs.remove_room(uow(), actor(), room_id)
    return _changed(_("The room is removed."))


def _ended(count: int) -> ResponseReturnValue:
    if count:
        flash(
            ngettext("%(num)s student is logged out.", "%(num)s students are logged out.", count),
            "success",
        )
    else:
        flash(_("Nobody was logged in there."), "info")
    return redirect(url_for("identity.rooms"), 303)


def _changed(message: str) -> ResponseReturnValue:
    """Other processes see the change within half a minute; this one at the next request, once the
    transaction is committed."""

    @after_this_request
    def forget(response: Response) -> Response:
        platform().rooms.forget()
        return response

    flash(message, "success")
    return redirect(url_for("identity.rooms"), 303)
