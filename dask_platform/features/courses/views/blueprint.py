"""The blueprint, the entries in the menu, and what several pages share."""

from __future__ import annotations

from flask import Blueprint, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from dask_platform.features.courses import policy  # noqa: F401 - registers the grants
from dask_platform.features.courses.queries import ClassView
from dask_platform.features.courses.words import deadline_words
from dask_platform.security.permissions import Permission
from dask_platform.web import navigation

courses = Blueprint("courses", "dask_platform.features.courses", template_folder="templates")
courses.add_app_template_global(deadline_words, "deadline_words")

navigation.add(
    navigation.Entry(20, _l("Classes"), "courses.my_classes", Permission.COURSE_READ),
    navigation.Entry(30, _l("Courses"), "courses.course_list", Permission.COURSE_EDIT),
)

Crumbs = list[tuple[str, str | None]]


def class_crumbs(in_class: ClassView, *rest: tuple[str, str | None]) -> Crumbs:
    """The way from the front page to a page of a class; ``rest`` is what follows the class."""
    here = url_for("courses.class_page", class_id=in_class.id) if rest else None
    return [
        (_("Start page"), url_for("home.home")),
        (_("Classes"), url_for("courses.my_classes")),
        (in_class.name, here),
        *rest,
    ]
