"""The blueprint that the pages of hand-ins share, and the way to them."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from dask_platform.features.courses.queries import AssignmentView
from dask_platform.features.handins import policy as policy
from dask_platform.features.handins import words
from dask_platform.kernel.messages import N_
from dask_platform.security.permissions import Permission
from dask_platform.web import navigation

handins = Blueprint("handins", "dask_platform.features.handins", template_folder="templates")

OLD_FORM = N_("This form was too old. Nothing was changed. Look at it and send it once more.")

navigation.add(
    navigation.Entry(60, _l("Stopped files"), "handins.quarantine", Permission.QUARANTINE_READ)
)
handins.context_processor(words.for_templates)


def class_trail(
    class_id: UUID, class_name: str, *rest: tuple[str, str | None]
) -> list[tuple[str, str | None]]:
    """From the start page by way of the class to the page at hand."""
    return [
        (_("Start page"), url_for("home.home")),
        (class_name, url_for("courses.class_page", class_id=class_id)),
        *rest,
    ]


def trail(
    task: AssignmentView | None, *rest: tuple[str, str | None]
) -> list[tuple[str, str | None]]:
    """The same by way of the assignment, as far as it may still be shown."""
    if task is None:
        return [(_("Start page"), url_for("home.home")), *rest]
    return class_trail(task.class_id, task.class_name, (task.title, address(task)), *rest)


def address(task: AssignmentView) -> str:
    return url_for("handins.assignment", class_id=task.class_id, item_id=task.item_id)
