"""The modules of a course that is written in the browser: add, rename, move, delete."""

from __future__ import annotations

from uuid import UUID

from flask import abort, flash, redirect, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from dask_platform.features.courses import authoring, modules
from dask_platform.features.courses.forms_authoring import ModuleForm
from dask_platform.features.courses.views.authoring import outline_page
from dask_platform.features.courses.views.blueprint import (
    FormAnswer,
    course_crumbs,
    courses,
    done,
    form_page,
    say,
)
from dask_platform.kernel.errors import Invalid, NotAllowed
from dask_platform.security.permissions import Permission
from dask_platform.web.access import requires
from dask_platform.web.context import actor, uow


@courses.route("/courses/<uuid:course_id>/modules", methods=["POST"])
@requires(Permission.COURSE_EDIT)
def add_module(course_id: UUID) -> FormAnswer:
    """Add a module at the end."""
    form = ModuleForm()
    if form.validate_on_submit():
        try:
            modules.add_module(uow(), actor(), course_id, form.title.data)
        except Invalid as error:
            say(form.title, error)
        else:
            return done(_("The module is added."), "courses.course", course_id=course_id)
    found = authoring.course(uow(), actor(), course_id, Permission.COURSE_EDIT)
    return outline_page(course_id, form, found), 400


@courses.route("/courses/<uuid:course_id>/modules/<uuid:module_id>", methods=["GET", "POST"])
@requires(Permission.COURSE_EDIT)
def edit_module(course_id: UUID, module_id: UUID) -> FormAnswer:
    """Give a module another title."""
    found = authoring.course(uow(), actor(), course_id, Permission.COURSE_EDIT)
    module = modules.module(uow(), course_id, module_id)
    form = ModuleForm(obj=module)
    if form.validate_on_submit():
        try:
            modules.rename_module(uow(), actor(), course_id, module_id, form.title.data)
        except Invalid as error:
            say(form.title, error)
        else:
            return done(_("The module is saved."), "courses.course", course_id=course_id)
    refused = modules.why_not_delete(uow(), course_id, module_id)
    return form_page(
        "courses/edit_module.html",
        form,
        course=found,
        module=module,
        refused=_(refused[0], **refused[1]) if refused else None,
        crumbs=course_crumbs(course_id, found.title, (module.title, None)),
    )


@courses.route("/courses/<uuid:course_id>/modules/<uuid:module_id>/delete", methods=["POST"])
@requires(Permission.COURSE_EDIT)
def delete_module(course_id: UUID, module_id: UUID) -> Response:
    """Delete a module with nothing in it; of another one, say why not."""
    try:
        modules.delete_module(uow(), actor(), course_id, module_id)
    except NotAllowed as error:
        flash(_(error.message, **error.params), "danger")
        return redirect(
            url_for("courses.edit_module", course_id=course_id, module_id=module_id), 303
        )
    return done(_("The module is deleted."), "courses.course", course_id=course_id)


@courses.route(
    "/courses/<uuid:course_id>/modules/<uuid:module_id>/move/<direction>", methods=["POST"]
)
@requires(Permission.COURSE_EDIT)
def move_module(course_id: UUID, module_id: UUID, direction: str) -> Response:
    """One place up or down."""
    if direction not in ("up", "down"):
        abort(404)
    modules.move_module(uow(), actor(), course_id, module_id, up=direction == "up")
    return redirect(url_for("courses.course", course_id=course_id), 303)
