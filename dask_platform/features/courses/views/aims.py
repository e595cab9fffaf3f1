"""The competence aims of a course: the list, and writing them in the browser."""

from __future__ import annotations

from uuid import UUID

from flask import render_template, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from dask_platform.features.courses import aims, authoring
from dask_platform.features.courses.aims import AimText
from dask_platform.features.courses.forms_authoring import AimForm
from dask_platform.features.courses.models import Course
from dask_platform.features.courses.shapes import AimView
from dask_platform.features.courses.views.blueprint import (
    FormAnswer,
    course_crumbs,
    courses,
    done,
    form_page,
    say,
)
from dask_platform.kernel.errors import Conflict, Invalid
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import permits
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow
from dask_platform.web.errors import status_of


@courses.route("/courses/<uuid:course_id>/aims")
@requires(Permission.COURSE_EDIT)
def course_aims(course_id: UUID) -> str:
    """The aims of a course that a teacher may read, and what serves each."""
    found = authoring.course(uow(), actor(), course_id)
    return render_template(
        "courses/aims.html",
        course=found,
        aims=aims.list_aims(uow(), actor(), course_id),
        uses=aims.uses(uow(), course_id),
        editable=permits(actor(), Permission.COURSE_EDIT, found),
        crumbs=course_crumbs(course_id, found.title, (_("Competence aims"), None)),
    )


@courses.route("/courses/<uuid:course_id>/aims/new", methods=["GET", "POST"])
@requires(Permission.COURSE_EDIT)
def new_aim(course_id: UUID) -> FormAnswer:
    """Write a new aim."""
    found = authoring.course(uow(), actor(), course_id, Permission.COURSE_EDIT)
    form = AimForm()
    status = 400
    if form.validate_on_submit():
        try:
            aims.add_aim(uow(), actor(), course_id, _typed(form), platform().clock.now())
        except Invalid as error:
            say(form[error.field or "text"], error)
            status = status_of(error)
        else:
            return _back(_("The competence aim is added."), course_id)
    return _page(form, status, found, None)


@courses.route("/courses/<uuid:course_id>/aims/<uuid:aim_id>", methods=["GET", "POST"])
@requires(Permission.COURSE_EDIT)
def edit_aim(course_id: UUID, aim_id: UUID) -> FormAnswer:
    """Change an aim."""
    found = authoring.course(uow(), actor(), course_id, Permission.COURSE_EDIT)
    held = aims.aim(uow(), actor(), course_id, aim_id)
    form = AimForm(obj=held)
    status = 400
    if form.validate_on_submit():
        try:
            aims.save_aim(
                uow(), actor(), course_id, aim_id, _typed(form),
                seen=form.seen.data or "", now=platform().clock.now(),
            )  # fmt: skip
        except (Conflict, Invalid) as error:
            say(form[getattr(error, "field", None) or "text"], error)
            status = status_of(error)
        else:
            return _back(_("The competence aim is saved."), course_id)
    form.seen.data = held.stamp()
    return _page(form, status, found, held)


@courses.route("/courses/<uuid:course_id>/aims/<uuid:aim_id>/remove", methods=["POST"])
@requires(Permission.COURSE_EDIT)
def remove_aim(course_id: UUID, aim_id: UUID) -> Response:
    """Take an aim out of the course."""
    aims.remove_aim(uow(), actor(), course_id, aim_id)
    return _back(_("The competence aim is removed."), course_id)


def _typed(form: AimForm) -> AimText:
    return AimText(form.code.data, form.curriculum.data, form.text.data, bool(form.verified.data))


def _back(said: str, course_id: UUID) -> Response:
    return done(said, "courses.course_aims", course_id=course_id)


def _page(form: AimForm, status: int, course: Course, held: AimView | None) -> FormAnswer:
    heading = _("Change the competence aim") if held else _("New competence aim")
    above = (_("Competence aims"), url_for("courses.course_aims", course_id=course.id))
    here = (held.code if held else heading, None)
    return form_page(
        "courses/edit_aim.html",
        form,
        status,
        heading=heading,
        course=course,
        held=held,
        crumbs=course_crumbs(course.id, course.title, above, here),
    )
