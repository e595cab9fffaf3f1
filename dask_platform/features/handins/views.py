"""A student's pages: the assignment with the draft, the last step, the receipt."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from dask_platform.features.courses import queries as courses
from dask_platform.features.courses.queries import AssignmentView
from dask_platform.features.courses.rendering import place_links
from dask_platform.features.courses.words import deadline_words
from dask_platform.features.handins import filing, queries, service
from dask_platform.features.handins.blueprint import OLD_FORM, address, class_trail, handins, trail
from dask_platform.features.handins.drafts import is_closed, is_late
from dask_platform.features.handins.filing import Received
from dask_platform.features.handins.forms import DraftForm, HandInForm
from dask_platform.features.handins.marking import open_attempt
from dask_platform.features.handins.words import say
from dask_platform.kernel.errors import (
    Closed,
    Conflict,
    DaskError,
    Invalid,
    NotAllowed,
    NotVisible,
    StorageUnavailable,
)
from dask_platform.kernel.messages import N_
from dask_platform.security.permissions import Permission
from dask_platform.web import uploads
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow
from dask_platform.web.errors import status_of

NO_FILE = N_("No file was added. Choose a file first, then add it.")

ROOT = "/classes/<uuid:class_id>/assignments/<uuid:item_id>"


@handins.route(ROOT)
@requires(Permission.COURSE_READ)
def assignment(class_id: UUID, item_id: UUID) -> ResponseReturnValue:
    """The task and how far one is. A teacher of the class sees the task as the class does."""
    found = courses.class_assignment(uow(), actor(), class_id, item_id)
    if class_id not in actor().attends:
        return _task_page(found)
    return _page(found)


@handins.route(f"{ROOT}/save", methods=["POST"])
@requires(Permission.ATTEMPT_WRITE, upload=True)
def save(class_id: UUID, item_id: UUID) -> ResponseReturnValue:
    """Keep the draft, with the files that came along; then back, or on to the last step."""
    return _keep(class_id, item_id, on=request.form.get("next") == "hand-in")


@handins.route(f"{ROOT}/files", methods=["POST"])
@requires(Permission.ATTEMPT_WRITE, upload=True)
def add_files(class_id: UUID, item_id: UUID) -> ResponseReturnValue:
    """Add files, and keep the text that came along."""
    return _keep(class_id, item_id, file_wanted=True)


@handins.route(f"{ROOT}/files/<uuid:file_id>/remove", methods=["POST"])
@requires(Permission.ATTEMPT_WRITE)
def remove_file(class_id: UUID, item_id: UUID, file_id: UUID) -> ResponseReturnValue:
    found = courses.class_assignment(uow(), actor(), class_id, item_id)
    filing.remove_file(uow(), actor(), found, file_id, _now())
    flash(_("The file was removed."), "success")
    return redirect(address(found) + "#files", 303)


@handins.route(f"{ROOT}/hand-in", methods=["GET", "POST"])
@requires(Permission.ATTEMPT_WRITE)
def hand_in(class_id: UUID, item_id: UUID) -> ResponseReturnValue:
    """The last step: shows what will be handed in, and hands it in."""
    found = courses.class_assignment(uow(), actor(), class_id, item_id)
    if request.method == "GET":
        return _last_step(found)
    form = HandInForm()
    if not form.validate_on_submit():
        return _last_step(found, Invalid(OLD_FORM))
    try:
        done = service.hand_in(
            uow(), actor(), found, attempt_id=_uuid(form.attempt.data), shown=form.shown.data,
            now=_now(),
        )  # fmt: skip
    except (Closed, Conflict, Invalid) as error:
        return _last_step(found, error)
    return redirect(url_for("handins.receipt", attempt_id=done.id), 303)


@handins.route(f"{ROOT}/again", methods=["POST"])
@requires(Permission.ATTEMPT_WRITE)
def again(class_id: UUID, item_id: UUID) -> ResponseReturnValue:
    """Begin a new attempt after a return, with a copy of the text."""
    found = courses.class_assignment(uow(), actor(), class_id, item_id)
    try:
        service.start_again(uow(), actor(), found, _now())
    except Closed as error:
        return _page(found, error=error)
    return redirect(address(found) + "#draft", 303)


@handins.route("/attempts/<uuid:attempt_id>/receipt")
@requires(Permission.ATTEMPT_READ)
def receipt(attempt_id: UUID) -> ResponseReturnValue:
    """What was handed in and when, with the hashes that prove it. Made for paper too."""
    found, task = open_attempt(uow(), actor(), attempt_id)
    if found.draft:
        raise NotVisible("There is nothing here.")
    title = task.title if task else _("Assignment")
    return render_template(
        "handins/receipt.html",
        attempt=found,
        task=task,
        title=title,
        own=found.person_id == actor().person_id,
        crumbs=trail(task, (_("Receipt"), None)),
    )


def placed_body(task: AssignmentView) -> str:
    """The task's text, with links to those pages of the course that the reader may open."""
    slugs = {one.slug for one in courses.class_items(uow(), actor(), task.class_id)}
    return place_links(
        task.body_html,
        lambda slug: url_for("courses.item", class_id=task.class_id, slug=slug),
        slugs,
    )


def _keep(
    class_id: UUID, item_id: UUID, *, on: bool = False, file_wanted: bool = False
) -> ResponseReturnValue:
    """Files into the store, text into the draft, rows beside it. What is wrong with a file does
    not cost the text, and what is wrong with the text leaves no file behind."""
    found = courses.class_assignment(uow(), actor(), class_id, item_id)
    form = DraftForm()
    if not form.validate_on_submit():
        return _page(found, form=form, error=Invalid(OLD_FORM))
    arrived = uploads.incoming(request.files.getlist(form.file.name))
    problems: list[DaskError] = []
    if file_wanted and not arrived:
        problems.append(Invalid(NO_FILE))
    received = _receive(found, arrived, problems)
    try:
        service.save(
            uow(), actor(), found, text=form.text.data or "", version=form.version.data, now=_now()
        )
    except (Conflict, Closed, Invalid) as error:
        for one in received:
            filing.discard(one, platform().files)
        return _page(found, form=form, error=error)
    for one in received:
        try:
            filing.add_file(uow(), actor(), found, one, platform().files, _now())
        except (Closed, Invalid, NotAllowed) as error:
            problems.append(error)
    if problems:
        return _page(found, form=form, problems=problems)
    if on:
        return redirect(url_for("handins.hand_in", class_id=class_id, item_id=item_id), 303)
    if received:
        flash(_("The file was added. Your draft is saved. It is not handed in yet."), "success")
    else:
        flash(_("Your draft is saved. It is not handed in yet."), "success")
    return redirect(address(found) + ("#files" if received else "#draft"), 303)


def _receive(
    found: AssignmentView, arrived: list[uploads.IncomingFile], problems: list[DaskError]
) -> list[Received]:
    if not arrived:
        return []
    # A large file takes its time into the store: no transaction and no connection waits for it.
    uow().commit()
    received = []
    for file in arrived:
        try:
            received.append(filing.receive(found, file, platform().files, _now()))
        except (Closed, Invalid, StorageUnavailable) as error:
            problems.append(error)
    uow().act_as(actor().person_id)
    return received


def _page(
    found: AssignmentView,
    *,
    form: DraftForm | None = None,
    error: DaskError | None = None,
    problems: list[DaskError] | None = None,
) -> ResponseReturnValue:
    """The student's page. ``error``: nothing was saved, what was typed is shown. ``problems``: the
    text was saved, something with a file was not done."""
    attempts = queries.own_attempts(uow(), actor(), found.class_id, found.item_id)
    draft = next((one for one in attempts if one.draft), None)
    refused = form if error is not None else None
    shown = DraftForm(formdata=None)
    shown.version.data = draft.version if draft else 0
    shown.text.data = draft.text if draft else ""
    typed_elsewhere = None
    if refused is not None:
        shown.text.data = refused.text.data
        if isinstance(error, Conflict) and draft is not None:
            typed_elsewhere = draft.text
    for one in problems or ():
        shown.file.errors = (*shown.file.errors, say(one))
    closed = is_closed(found, _now())
    latest = attempts[0] if attempts else None
    worst = error or max(problems or [], key=status_of, default=None)
    page = render_template(
        "handins/assignment.html",
        task=found,
        body=placed_body(found),
        deadline=deadline_words(found.due_at, found.cutoff_at, _now()),
        late=is_late(found, _now()),
        closed=closed,
        draft=draft,
        latest=latest,
        earlier=[one for one in attempts if not one.draft],
        form=shown,
        writable=draft is not None or refused is not None or (latest is None and not closed),
        can_hand_in=not closed and (draft is not None or latest is None),
        can_try_again=not closed and draft is None and latest is not None and latest.returned,
        error=say(error) if error else None,
        typed_elsewhere=typed_elsewhere,
        text_most=service.TEXT_MOST,
        crumbs=class_trail(found.class_id, found.class_name, (found.title, None)),
    )
    return page, status_of(worst) if worst else 200


def _task_page(found: AssignmentView) -> ResponseReturnValue:
    return render_template(
        "handins/task.html",
        task=found,
        body=placed_body(found),
        deadline=deadline_words(found.due_at, found.cutoff_at, _now()),
        crumbs=class_trail(found.class_id, found.class_name, (found.title, None)),
    )


def _last_step(found: AssignmentView, error: DaskError | None = None) -> ResponseReturnValue:
    attempts = queries.own_attempts(uow(), actor(), found.class_id, found.item_id)
    draft = next((one for one in attempts if one.draft), None)
    if draft is None:
        # Handed in already (in another window), or never begun: the page tells which.
        return redirect(address(found), 303)
    if error is None and is_closed(found, _now()):
        error = Closed(service.CLOSED)
    elif error is None and not draft.sendable:
        error = Invalid(service.NOTHING_TO_HAND_IN)
    page = render_template(
        "handins/hand_in.html",
        task=found,
        draft=draft,
        form=HandInForm(formdata=None, attempt=str(draft.id), shown=draft.shown),
        late=is_late(found, _now()),
        error=say(error) if error else None,
        possible=draft.sendable and not is_closed(found, _now()),
        crumbs=trail(found, (_("Hand in"), None)),
    )
    return page, status_of(error) if error and request.method == "POST" else 200


def _now() -> datetime:
    return platform().clock.now()


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotVisible("There is nothing here.") from None
