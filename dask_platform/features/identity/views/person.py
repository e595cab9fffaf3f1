"""One person, and what an operator may do for them."""

from __future__ import annotations

from uuid import UUID

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from dask_platform.features.identity.forms import RenameForm, RoleForm, TransferForm
from dask_platform.features.identity.queries import listings
from dask_platform.features.identity.service import people as verbs
from dask_platform.features.identity.service import places
from dask_platform.features.identity.service.reads import note_person_read
from dask_platform.features.identity.views import hasher, identity
from dask_platform.features.identity.views.answers import show_error, whole_or_nothing
from dask_platform.features.identity.views.people import password_page
from dask_platform.kernel.actor import Role
from dask_platform.kernel.errors import Invalid
from dask_platform.security.permissions import Permission
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow


@identity.route("/people/<uuid:person_id>")
@requires(Permission.PEOPLE_READ)
def person(person_id: UUID) -> ResponseReturnValue:
    return _page(person_id)


@identity.route("/people/<uuid:person_id>/name", methods=["POST"])
@requires(Permission.PEOPLE_MANAGE)
def rename_person(person_id: UUID) -> ResponseReturnValue:
    form = RenameForm()
    if not form.validate_on_submit():
        return _page(person_id, 400, rename=form)
    try:
        with whole_or_nothing():
            verbs.rename(uow(), actor(), person_id, form.display_name.data)
    except Invalid as error:
        return _page(person_id, show_error(form, error, "display_name"), rename=form)
    return _back(person_id, _("The name is changed."))


@identity.route("/people/<uuid:person_id>/roles", methods=["POST"])
@requires(Permission.PEOPLE_MANAGE)
def grant_role(person_id: UUID) -> ResponseReturnValue:
    form = RoleForm()
    form.offer(listings.units_for(uow(), actor(), Permission.PEOPLE_MANAGE))
    if not form.validate_on_submit():
        return _page(person_id, 400, role=form)
    verbs.operated(uow(), actor(), person_id)
    try:
        with whole_or_nothing():
            places.grant(uow(), actor(), person_id, Role(form.role.data), form.unit_id())
    except Invalid as error:
        return _page(person_id, show_error(form, error, "role"), role=form)
    return _back(person_id, _("The role is given."))


@identity.route("/people/<uuid:person_id>/roles/<uuid:role_id>/end", methods=["POST"])
@requires(Permission.PEOPLE_MANAGE)
def end_role(person_id: UUID, role_id: UUID) -> ResponseReturnValue:
    places.end_role(uow(), actor(), person_id, role_id)
    flash(_("The role has ended."), "success")
    # With the last role gone the person is at no unit of ours any more, and has no page.
    return redirect(url_for("identity.people"), 303)


@identity.route("/people/<uuid:person_id>/transfer", methods=["POST"])
@requires(Permission.PEOPLE_MANAGE)
def transfer_student(person_id: UUID) -> ResponseReturnValue:
    form = TransferForm()
    form.offer(listings.units_for(uow(), actor(), Permission.PEOPLE_MANAGE))
    if not form.validate_on_submit():
        return _page(person_id, 400, transfer=form)
    try:
        with whole_or_nothing():
            places.transfer(uow(), actor(), person_id, form.unit_id(), platform().clock.now())
    except Invalid as error:
        return _page(person_id, show_error(form, error, "unit"), transfer=form)
    return _back(person_id, _("The student is moved."))


@identity.route("/people/<uuid:person_id>/placement/end", methods=["POST"])
@requires(Permission.PEOPLE_MANAGE)
def end_placement(person_id: UUID) -> ResponseReturnValue:
    places.end_placement(uow(), actor(), person_id, platform().clock.now())
    flash(_("The student no longer has a place at the unit."), "success")
    return redirect(url_for("identity.people"), 303)


@identity.route("/people/<uuid:person_id>/password", methods=["POST"])
@requires(Permission.PEOPLE_MANAGE)
def reset_password(person_id: UUID) -> ResponseReturnValue:
    password = verbs.reset_password(uow(), actor(), hasher(), person_id, platform().clock.now())
    return password_page(person_id, password)


@identity.route("/people/<uuid:person_id>/second-factor", methods=["POST"])
@requires(Permission.PEOPLE_MANAGE)
def reset_second_factor(person_id: UUID) -> ResponseReturnValue:
    verbs.reset_second_factor(uow(), actor(), person_id, platform().clock.now())
    return _back(person_id, _("The second factor is removed."))


@identity.route("/people/<uuid:person_id>/deactivate", methods=["POST"])
@requires(Permission.PEOPLE_MANAGE)
def deactivate_person(person_id: UUID) -> ResponseReturnValue:
    verbs.deactivate(uow(), actor(), person_id, platform().clock.now())
    return _back(person_id, _("The account is closed."))


@identity.route("/people/<uuid:person_id>/reactivate", methods=["POST"])
@requires(Permission.PEOPLE_MANAGE)
def reactivate_person(person_id: UUID) -> ResponseReturnValue:
    verbs.reactivate(uow(), actor(), person_id)
    return _back(person_id, _("The account is open again."))


def _back(person_id: UUID, message: str) -> ResponseReturnValue:
    flash(message, "success")
    return redirect(url_for("identity.person", person_id=person_id), 303)


def _page(
    person_id: UUID,
    status: int = 200,
    *,
    rename: RenameForm | None = None,
    role: RoleForm | None = None,
    transfer: TransferForm | None = None,
) -> ResponseReturnValue:
    found = listings.person_page(uow(), actor(), person_id)
    line = found.line
    note_person_read(uow(), actor(), person_id, line.places[0].unit_id if line.places else None)
    own = listings.units_for(uow(), actor(), Permission.PEOPLE_MANAGE)
    if role is None:
        role = RoleForm(formdata=None)
        role.offer(own)
    elsewhere = [unit for unit in own if unit.id not in {place.unit_id for place in line.places}]
    if transfer is None:
        transfer = TransferForm(formdata=None)
        transfer.offer(elsewhere)
    page = render_template(
        "identity/person.html",
        person=line,
        has_second_factor=found.has_second_factor,
        manageable=found.manageable,
        myself=person_id == actor().person_id,
        rename=rename or RenameForm(formdata=None, display_name=line.display_name),
        role=role,
        transfer=transfer if elsewhere else None,
        own_units={unit.id for unit in own},
    )
    return page, status
