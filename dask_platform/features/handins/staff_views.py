"""An attempt and its files; a teacher's class list and marking; what security sees."""

from __future__ import annotations

from uuid import UUID

from flask import Response, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from dask_platform.features.courses.queries import AssignmentView
from dask_platform.features.handins import marking
from dask_platform.features.handins.blueprint import OLD_FORM, class_trail, handins, trail
from dask_platform.features.handins.forms import MarkingForm
from dask_platform.features.handins.marking import Given
from dask_platform.features.handins.queries import AttemptView
from dask_platform.features.handins.words import say
from dask_platform.features.identity import queries as identity
from dask_platform.kernel.errors import Conflict, DaskError, Invalid, NotAllowed
from dask_platform.security.names import download_name
from dask_platform.security.permissions import Permission
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow
from dask_platform.web.downloads import attachment
from dask_platform.web.errors import status_of


@handins.route("/attempts/<uuid:attempt_id>")
@requires(Permission.ATTEMPT_READ)
def attempt(attempt_id: UUID) -> ResponseReturnValue:
    """An attempt: a student's own, to read; a teacher's to mark."""
    found, task = marking.open_attempt(uow(), actor(), attempt_id)
    if found.person_id != actor().person_id:
        assert task is not None  # noqa: S101 - a teacher's attempt is in a class of their own
        return _marking_page(found, task)
    if found.draft and task is not None:
        return redirect(
            url_for("handins.assignment", class_id=found.class_id, item_id=found.item_id), 303
        )
    return render_template(
        "handins/own_attempt.html",
        attempt=found,
        task=task,
        title=task.title if task else _("Assignment"),
        crumbs=trail(task, (_("Attempt %(number)s", number=found.number), None)),
    )


@handins.route("/attempts/<uuid:attempt_id>/files/<uuid:file_id>")
@requires(Permission.ATTEMPT_READ)
def file(attempt_id: UUID, file_id: UUID) -> Response:
    """A file as an attachment: the student's own unless stopped, a teacher's when it is clean."""
    found, wanted = marking.open_file(uow(), actor(), attempt_id, file_id)
    place = sorted(one.id for one in found.files).index(wanted.id) + 1
    name = download_name("innlevering", f"{found.receipt or 'utkast'}-{place}", wanted.extension)
    return attachment(
        platform().files, wanted.storage_key, size=wanted.size, name=name,
        extension=wanted.extension,
    )  # fmt: skip


@handins.route("/attempts/<uuid:attempt_id>/marking", methods=["POST"])
@requires(Permission.MARKING_WRITE)
def save_marking(attempt_id: UUID) -> ResponseReturnValue:
    """Keep the marking; the student does not see it yet."""
    return _mark(attempt_id, give_back=False)


@handins.route("/attempts/<uuid:attempt_id>/return", methods=["POST"])
@requires(Permission.MARKING_WRITE)
def return_marking(attempt_id: UUID) -> ResponseReturnValue:
    """Save the marking and return the work to the student."""
    return _mark(attempt_id, give_back=True)


@handins.route("/classes/<uuid:class_id>/work")
@requires(Permission.CLASS_TEACH)
def class_work(class_id: UUID) -> ResponseReturnValue:
    """Who in the class has read and handed in what."""
    work = marking.open_class_work(uow(), actor(), class_id)
    return render_template(
        "handins/class_work.html",
        work=work,
        crumbs=class_trail(class_id, work.in_class.name, (_("Hand-ins"), None)),
    )


@handins.route("/quarantine")
@requires(Permission.QUARANTINE_READ)
def quarantine() -> ResponseReturnValue:
    """What was stopped at own units. There is no way to the file itself."""
    return render_template(
        "handins/quarantine.html",
        files=marking.open_quarantine(uow(), actor()),
        crumbs=[(_("Start page"), url_for("home.home")), (_("Stopped files"), None)],
    )


def _mark(attempt_id: UUID, *, give_back: bool) -> ResponseReturnValue:
    form = MarkingForm()
    act = marking.return_marking if give_back else marking.save_marking
    try:
        if not form.validate_on_submit():
            raise Invalid(OLD_FORM)
        given = Given(form.grade.data or None, form.comment.data or "", form.version.data)
        act(uow(), actor(), attempt_id, given, platform().clock.now())
    except (Conflict, Invalid, NotAllowed) as error:
        found, task = marking.open_attempt(uow(), actor(), attempt_id)
        if task is None:
            raise
        return _marking_page(found, task, typed=form, error=error)
    if give_back:
        flash(_("The work is returned to the student."), "success")
    else:
        flash(_("The marking is saved. The student does not see it yet."), "success")
    return redirect(url_for("handins.attempt", attempt_id=attempt_id), 303)


def _marking_page(
    found: AttemptView,
    task: AssignmentView,
    *,
    typed: MarkingForm | None = None,
    error: DaskError | None = None,
) -> ResponseReturnValue:
    """The work and the marking form. With ``error`` the form holds what was ``typed``, and the page
    shows the stored marking beside it when that is another one."""
    form = MarkingForm(formdata=None)
    stored = found.marking
    form.version.data = stored.version if stored else 0
    form.grade.data = (stored.grade if stored else None) or ""
    form.comment.data = stored.comment if stored else ""
    if typed is not None:
        form.grade.data = typed.grade.data or ""
        form.comment.data = typed.comment.data or ""
    form.offer(task.grading)
    people = {found.person_id} | ({stored.marked_by} if stored else set())
    names = identity.person_names(uow(), people)
    page = render_template(
        "handins/marking.html",
        attempt=found,
        task=task,
        student=names.get(found.person_id, ""),
        marked_by=names.get(stored.marked_by, "") if stored else "",
        hidden_files=found.file_count - len(found.files),
        form=form,
        error=say(error) if error else None,
        stored=stored if isinstance(error, Conflict) else None,
        comment_most=marking.COMMENT_MOST,
        crumbs=class_trail(
            task.class_id,
            task.class_name,
            (_("Hand-ins"), url_for("handins.class_work", class_id=task.class_id)),
            (task.title, None),
        ),
    )
    return page, status_of(error) if error else 200
