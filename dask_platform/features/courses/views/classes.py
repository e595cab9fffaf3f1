"""Running a class: making it, who is in it, who has read what, when work is due."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response
from wtforms import SelectChoice

from dask_platform.features.courses import authoring, classes, queries
from dask_platform.features.courses.forms import ClassForm, DeadlineForm, EnrolForm
from dask_platform.features.courses.name_list import BYTES_MOST, BadLine, decode, read_names
from dask_platform.features.courses.views.blueprint import (
    FormAnswer,
    class_crumbs,
    course_crumbs,
    courses,
    done,
    form_page,
    say,
    uuid_of,
)
from dask_platform.features.identity.queries import unit_names
from dask_platform.kernel.actor import Role
from dask_platform.kernel.clock import from_oslo, to_oslo
from dask_platform.kernel.errors import Conflict, Invalid
from dask_platform.security.permissions import Permission
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow
from dask_platform.web.errors import status_of
from dask_platform.web.uploads import incoming

BAD_LINES_SHOWN = 50


@courses.route("/courses/<uuid:course_id>/classes/new", methods=["GET", "POST"])
@requires(Permission.CLASS_CREATE)
def new_class(course_id: UUID) -> FormAnswer:
    """Start a class of a course at an own unit."""
    course = authoring.course(uow(), actor(), course_id)
    names = unit_names(uow())
    form = ClassForm()
    form.unit_id.choices = [SelectChoice(str(unit), names[unit]) for unit in _own_units(names)]
    if form.validate_on_submit():
        try:
            made = classes.create_class(
                uow(), actor(), course_id=course_id, unit_id=UUID(form.unit_id.data),
                name=form.name.data, now=platform().clock.now(),
            )  # fmt: skip
        except Invalid as error:
            say(form.name, error)
        else:
            said = _("The class is ready. Now add its students.")
            return done(said, "courses.class_people", class_id=made)
    return form_page(
        "courses/new_class.html",
        form,
        course=course,
        crumbs=course_crumbs(course_id, course.title, (_("Start a class"), None)),
    )


@courses.route("/classes/<uuid:class_id>/people")
@requires(Permission.CLASS_TEACH)
def class_people(class_id: UUID) -> str:
    """Everybody in the class; add and take out."""
    return _people_page(class_id, EnrolForm(formdata=None), [])


@courses.route("/classes/<uuid:class_id>/people", methods=["POST"])
@requires(Permission.CLASS_TEACH)
def enrol(class_id: UUID) -> Response:
    """Put the chosen students in the class."""
    chosen = [uuid_of(value) for value in request.form.getlist("person_id")]
    added = classes.enrol(uow(), actor(), class_id, chosen, platform().clock.now())
    if chosen:
        _flash_added(added)
    else:
        flash(_("Nobody was chosen. Choose at least one student."), "warning")
    return _back(class_id)


@courses.route("/classes/<uuid:class_id>/people/list", methods=["POST"])
@requires(Permission.CLASS_TEACH, upload=True)
def enrol_list(class_id: UUID) -> FormAnswer:
    """Put everybody on a list in the class; one bad line, and nobody is."""
    form = EnrolForm()
    try:
        outcome = classes.enrol_list(
            uow(), actor(), class_id, read_names(_listed(form)), platform().clock.now()
        )
    except Invalid as error:
        say(form.names, error)
        return _people_page(class_id, form, []), status_of(error)
    if outcome.bad:
        return _people_page(class_id, form, outcome.bad), 400
    _flash_added(outcome.added)
    return _back(class_id)


@courses.route("/classes/<uuid:class_id>/people/remove", methods=["POST"])
@requires(Permission.CLASS_TEACH)
def unenrol(class_id: UUID) -> Response:
    """Take a student out of the class."""
    person_id = uuid_of(request.form.get("person_id"))
    classes.unenrol(uow(), actor(), class_id, person_id, platform().clock.now())
    said = _("The student is no longer in the class. The work is kept.")
    return done(said, "courses.class_people", class_id=class_id)


@courses.route("/classes/<uuid:class_id>/teachers", methods=["POST"])
@requires(Permission.CLASS_TEACH)
def add_teacher(class_id: UUID) -> Response:
    """Let a colleague teach the class too."""
    person_id = uuid_of(request.form.get("person_id"))
    classes.add_teacher(uow(), actor(), class_id, person_id, platform().clock.now())
    return done(_("The teacher has been added."), "courses.class_people", class_id=class_id)


@courses.route("/classes/<uuid:class_id>/teachers/remove", methods=["POST"])
@requires(Permission.CLASS_TEACH)
def remove_teacher(class_id: UUID) -> Response:
    """Let somebody teach the class no longer."""
    person_id = uuid_of(request.form.get("person_id"))
    classes.remove_teacher(uow(), actor(), class_id, person_id)
    said = _("The teacher no longer teaches this class.")
    if person_id == actor().person_id:
        return done(said, "courses.my_classes")
    return done(said, "courses.class_people", class_id=class_id)


@courses.route("/classes/<uuid:class_id>/readings")
@requires(Permission.CLASS_TEACH)
def class_readings(class_id: UUID) -> str:
    """Who has opened which page."""
    found = classes.open_readings(uow(), actor(), class_id)
    return render_template(
        "courses/class_readings.html",
        found=found,
        in_class=found.in_class,
        crumbs=class_crumbs(found.in_class, (_("Who has read what"), None)),
    )


@courses.route("/classes/<uuid:class_id>/deadlines")
@requires(Permission.CLASS_TEACH)
def class_deadlines(class_id: UUID) -> str:
    """The class's assignments, each with its deadline in words."""
    in_class, assignments = classes.deadlines(uow(), actor(), class_id)
    return render_template(
        "courses/class_deadlines.html",
        in_class=in_class,
        assignments=assignments,
        crumbs=class_crumbs(in_class, (_("Deadlines"), None)),
    )


@courses.route("/classes/<uuid:class_id>/deadlines/<uuid:item_id>", methods=["GET", "POST"])
@requires(Permission.CLASS_TEACH)
def class_deadline(class_id: UUID, item_id: UUID) -> FormAnswer:
    """Set when an assignment is due in the class, and when it closes."""
    work, who = uow(), actor()
    in_class = queries.class_for_teacher(work, who, class_id)
    assignment = queries.class_assignment(work, who, class_id, item_id)
    present = (assignment.due_at, assignment.cutoff_at)
    form = DeadlineForm(due_at=_local(present[0]), cutoff_at=_local(present[1]))
    status = 400
    if form.validate_on_submit():
        try:
            classes.set_deadline(
                work, who, class_id, item_id,
                due_at=_instant(form.due_at.data), cutoff_at=_instant(form.cutoff_at.data),
                seen=_read_seen(form.seen.data),
            )  # fmt: skip
        except (Invalid, Conflict) as error:
            say(form.cutoff_at, error)
            status = status_of(error)
        else:
            return done(_("The deadline is saved."), "courses.class_deadlines", class_id=class_id)
    form.seen.data = _write_seen(present)
    return form_page(
        "courses/class_deadline.html",
        form,
        status,
        in_class=in_class,
        assignment=assignment,
        crumbs=class_crumbs(
            in_class,
            (_("Deadlines"), url_for("courses.class_deadlines", class_id=class_id)),
            (assignment.title, None),
        ),
    )


def _people_page(class_id: UUID, form: EnrolForm, bad: list[BadLine]) -> str:
    people = classes.open_people(uow(), actor(), class_id)
    return render_template(
        "courses/class_people.html",
        people=people,
        in_class=people.in_class,
        form=form,
        # Told here: a template takes what it translates itself for safe HTML.
        bad=[(one, _(one.message, **one.params)) for one in bad[:BAD_LINES_SHOWN]],
        bad_more=max(0, len(bad) - BAD_LINES_SHOWN),
        crumbs=class_crumbs(people.in_class, (_("Students and teachers"), None)),
    )


def _listed(form: EnrolForm) -> str:
    """The text of the form: what was pasted, and below it what the file holds."""
    pasted = form.names.data or ""
    files = [one.stream.read(BYTES_MOST + 1) for one in incoming(request.files.getlist("file"))]
    texts = [decode(data) for data in files]
    return "\n".join([pasted, *texts]) if pasted.strip() else "\n".join(texts)


def _own_units(names: dict[UUID, str]) -> list[UUID]:
    return sorted(actor().units(Role.TEACHER), key=lambda unit: names[unit])


def _flash_added(added: int) -> None:
    if added:
        flash(
            ngettext("%(num)s student is new in the class.",
                     "%(num)s students are new in the class.", added),
            "success",
        )  # fmt: skip
    else:
        flash(_("They were all in the class already."), "info")


def _back(class_id: UUID) -> Response:
    return redirect(url_for("courses.class_people", class_id=class_id), 303)


def _local(at: datetime | None) -> datetime | None:
    return to_oslo(at).replace(tzinfo=None) if at else None


def _instant(local: datetime | None) -> datetime | None:
    if local is None:
        return None
    if not 2000 <= local.year < 3000:
        raise Invalid(_("Choose a time in this century."), field="due_at")
    return from_oslo(local)


def _write_seen(seen: tuple[datetime | None, datetime | None]) -> str:
    return " ".join(at.isoformat() if at else "-" for at in seen)


def _read_seen(raw: str | None) -> tuple[datetime | None, datetime | None]:
    try:
        due, cutoff = (
            None if one == "-" else datetime.fromisoformat(one) for one in (raw or "").split(" ")
        )
    except ValueError:
        return None, None
    return due, cutoff
