"""The people of the operator's units: the list, and adding to it."""

from __future__ import annotations

from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from dask_platform.features.identity.forms import AddPersonForm, BringPersonForm
from dask_platform.features.identity.queries import listings
from dask_platform.features.identity.service import people as verbs
from dask_platform.features.identity.service import places
from dask_platform.features.identity.service.reads import note_list_read
from dask_platform.features.identity.views import hasher, identity
from dask_platform.features.identity.views.answers import show_error, whole_or_nothing
from dask_platform.kernel.actor import Role
from dask_platform.kernel.errors import Conflict, Invalid, NotAllowed
from dask_platform.security.permissions import Permission
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow


@identity.route("/people")
@requires(Permission.PEOPLE_READ)
def people() -> ResponseReturnValue:
    search = request.args.get("search", "")[:100]
    units = listings.units_for(uow(), actor(), Permission.PEOPLE_READ)
    unit_id = next((unit.id for unit in units if str(unit.id) == request.args.get("unit")), None)
    page = listings.people_page(
        uow(),
        actor(),
        search=search,
        unit_id=unit_id,
        number=request.args.get("page", 1, type=int),
    )
    note_list_read(uow(), actor(), [unit.id for unit in units if unit_id in (None, unit.id)])

    def url(number: int) -> str:
        return url_for("identity.people", search=search or None, unit=unit_id, page=number)

    return render_template(
        "identity/people.html",
        page=page,
        pages={"number": page.number, "count": page.count, "url": url},
        units=units,
        unit_id=unit_id,
        search=search,
        manages=actor().holds(Role.OPERATOR),
    )


@identity.route("/people/new", methods=["GET", "POST"])
@requires(Permission.PEOPLE_MANAGE)
def add_person() -> ResponseReturnValue:
    form = AddPersonForm()
    form.offer(listings.units_for(uow(), actor(), Permission.PEOPLE_MANAGE))
    if not form.validate_on_submit():
        status = 200 if request.method == "GET" else 400
        return render_template("identity/add_person.html", form=form), status
    try:
        with whole_or_nothing():
            person_id, password = verbs.add_local(
                uow(),
                actor(),
                hasher(),
                username=form.username.data,
                display_name=form.display_name.data,
                role=Role(form.role.data),
                unit_id=form.unit_id(),
                now=platform().clock.now(),
            )
    except Invalid as error:
        status = show_error(form, error, "username")
        return render_template("identity/add_person.html", form=form), status
    return password_page(person_id, password)


@identity.route("/people/existing", methods=["GET", "POST"])
@requires(Permission.PEOPLE_MANAGE)
def bring_person() -> ResponseReturnValue:
    form = BringPersonForm()
    form.offer(listings.units_for(uow(), actor(), Permission.PEOPLE_MANAGE))
    if not form.validate_on_submit():
        status = 200 if request.method == "GET" else 400
        return render_template("identity/bring_person.html", form=form), status
    try:
        with whole_or_nothing():
            person_id = places.bring(
                uow(), actor(), form.username.data, Role(form.role.data), form.unit_id()
            )
    except (Invalid, Conflict, NotAllowed) as error:
        status = show_error(form, error, "username")
        return render_template("identity/bring_person.html", form=form), status
    flash(_("The person now belongs to the unit."), "success")
    return redirect(url_for("identity.person", person_id=person_id), 303)


def password_page(person_id: UUID, password: str) -> ResponseReturnValue:
    """Shown in the answer itself: the password exists nowhere else in clear, and a cookie is no
    place to carry it over a redirect."""
    found = listings.person_page(uow(), actor(), person_id)
    return render_template("identity/one_time_password.html", person=found.line, password=password)
