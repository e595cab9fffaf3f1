"""Writing a course in the browser: the list, the course, what it is called."""

from __future__ import annotations

from uuid import UUID

from flask import render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response
from wtforms import SelectChoice

from dask_platform.features.courses import authoring
from dask_platform.features.courses.forms_authoring import CourseForm, EditCourseForm, ModuleForm
from dask_platform.features.courses.models import Course
from dask_platform.features.courses.views.blueprint import (
    FormAnswer,
    course_crumbs,
    courses,
    done,
    form_page,
    say,
    uuid_of,
)
from dask_platform.kernel.errors import Conflict, Invalid
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import permits
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow
from dask_platform.web.errors import status_of


@courses.route("/courses")
@requires(Permission.COURSE_EDIT)
def course_list() -> str:
    """National courses, and those of own schools."""
    found = authoring.list_courses(uow(), actor())
    return render_template(
        "courses/course_list.html",
        own=[one for one in found if one.own],
        national=[one for one in found if not one.own],
        crumbs=[(_("Start page"), url_for("home.home")), (_("Courses"), None)],
    )


@courses.route("/courses/new", methods=["GET", "POST"])
@requires(Permission.COURSE_CREATE)
def new_course() -> FormAnswer:
    """Make an empty course for an own school."""
    form = CourseForm()
    form.school_id.choices = _school_choices()
    if form.validate_on_submit():
        try:
            made = authoring.create_course(
                uow(), actor(), school_id=UUID(form.school_id.data), title=form.title.data,
                summary=form.summary.data, language=form.language.data,
                now=platform().clock.now(),
            )  # fmt: skip
        except Invalid as error:
            say(form.title, error)
        else:
            said = _("The course is made. Now add a module and its first page.")
            return done(said, "courses.course", course_id=made)
    return form_page(
        "courses/edit_course.html",
        form,
        heading=_("Make a new course"),
        crumbs=[
            (_("Start page"), url_for("home.home")),
            (_("Courses"), url_for("courses.course_list")),
            (_("Make a new course"), None),
        ],
    )


@courses.route("/courses/<uuid:course_id>/copy", methods=["POST"])
@requires(Permission.COURSE_CREATE)
def copy_course(course_id: UUID) -> Response:
    """Make a copy for an own school."""
    school = request.form.get("school_id")
    schools = authoring.own_schools(uow(), actor())
    school_id = uuid_of(school) if school or not schools else schools[0]
    made = authoring.copy_course(
        uow(), actor(), course_id, school_id=school_id, now=platform().clock.now()
    )
    said = _("This is your school's own copy. Change it as you like, then publish it.")
    return done(said, "courses.course", course_id=made)


@courses.route("/courses/<uuid:course_id>")
@requires(Permission.COURSE_EDIT)
def course(course_id: UUID) -> str:
    """A course as its teachers see it: modules, pages, drafts."""
    found = authoring.course(uow(), actor(), course_id)
    return outline_page(course_id, ModuleForm(formdata=None), found)


@courses.route("/courses/<uuid:course_id>/edit", methods=["GET", "POST"])
@requires(Permission.COURSE_EDIT)
def edit_course(course_id: UUID) -> FormAnswer:
    """Change what the course is called, and publish it."""
    found = authoring.course(uow(), actor(), course_id, Permission.COURSE_EDIT)
    form = EditCourseForm(obj=found)
    status = 400
    if form.validate_on_submit():
        try:
            authoring.edit_course(
                uow(), actor(), course_id, version=version_of(form.version.data),
                title=form.title.data, summary=form.summary.data, language=form.language.data,
                published=form.published.data, now=platform().clock.now(),
            )  # fmt: skip
        except (Conflict, Invalid) as error:
            say(form.title, error)
            status = status_of(error)
            form.version.data = str(found.version)
        else:
            return done(_("The course is saved."), "courses.course", course_id=course_id)
    return form_page(
        "courses/edit_course.html",
        form,
        status,
        heading=_("Change the course"),
        crumbs=course_crumbs(course_id, found.title, (_("Change the course"), None)),
    )


def version_of(raw: str | None) -> int:
    """The version a form was made from; what is no number is no version there ever was."""
    return int(raw) if raw and raw.isascii() and raw.isdigit() and len(raw) < 10 else 0


def outline_page(course_id: UUID, form: ModuleForm, found: Course) -> str:
    """The course with all its modules; ``form`` makes another one."""
    return render_template(
        "courses/course.html",
        course=found,
        modules=authoring.outline(uow(), course_id),
        editable=permits(actor(), Permission.COURSE_EDIT, found),
        schools=_school_choices(),
        form=form,
        crumbs=course_crumbs(course_id, found.title),
    )


def _school_choices() -> list[SelectChoice]:
    return [SelectChoice(str(one.id), one.name) for one in authoring.school_names(uow(), actor())]
