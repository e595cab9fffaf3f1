"""Ending a class, after saying what that means; and opening it again."""

from __future__ import annotations

from uuid import UUID

from flask import redirect, render_template, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from dask_platform.features.courses import ending
from dask_platform.features.courses.views.blueprint import class_crumbs, courses, done
from dask_platform.security.permissions import Permission
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow


@courses.route("/classes/<uuid:class_id>/end")
@requires(Permission.CLASS_TEACH)
def confirm_end(class_id: UUID) -> str | Response:
    """What the end of the class means, and what is not marked yet."""
    found = ending.before_the_end(uow(), actor(), class_id)
    if found.in_class.ended_at is not None:
        return redirect(url_for("courses.class_page", class_id=class_id), 303)
    return render_template(
        "courses/class_end.html",
        in_class=found.in_class,
        unmarked=found.unmarked,
        crumbs=class_crumbs(found.in_class, (_("End the class"), None)),
    )


@courses.route("/classes/<uuid:class_id>/end", methods=["POST"])
@requires(Permission.CLASS_TEACH)
def end_class(class_id: UUID) -> Response:
    """End the class."""
    ending.end_class(uow(), actor(), class_id, platform().clock.now())
    return done(_("The class has ended."), "courses.class_page", class_id=class_id)


@courses.route("/classes/<uuid:class_id>/reopen", methods=["POST"])
@requires(Permission.CLASS_TEACH)
def reopen_class(class_id: UUID) -> Response:
    """Let the class go on."""
    ending.reopen_class(uow(), actor(), class_id)
    return done(_("The class is open again."), "courses.class_page", class_id=class_id)
