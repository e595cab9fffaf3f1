"""The blueprint, the entries in the menu, and what several pages share."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import Field

from dask_platform.features.courses import policy  # noqa: F401 - registers the grants
from dask_platform.features.courses.queries import NOTHING_HERE, ClassView
from dask_platform.features.courses.words import deadline_words
from dask_platform.kernel.errors import DaskError, NotVisible
from dask_platform.security.permissions import Permission
from dask_platform.security.problems import Problem
from dask_platform.web import navigation

courses = Blueprint("courses", "dask_platform.features.courses", template_folder="templates")
courses.add_app_template_global(deadline_words, "deadline_words")

navigation.add(
    navigation.Entry(20, _l("Classes"), "courses.my_classes", Permission.COURSE_READ),
    navigation.Entry(30, _l("Courses"), "courses.course_list", Permission.COURSE_EDIT),
)

# What a form page answers with: the page, the page with another status, or a way on.
FormAnswer = str | tuple[str, int] | Response
Crumbs = list[tuple[str, str | None]]


def say(field: Field, error: DaskError) -> None:
    """Put what the service refused beside the field that it is about."""
    field.errors = (*field.errors, _(error.message, **error.params))


def told(problems: list[Problem]) -> list[tuple[int, str]]:
    """Lines and what is wrong there, in the reader's language.

    Translated here and not in the template: there a sentence would count as HTML of ours, and some
    of these have a «<» in them. As plain text they are escaped like any other.
    """
    return [(one.line, _(one.message, **one.params)) for one in problems]


def form_page(template: str, form: FlaskForm, status: int = 400, **shown: Any) -> FormAnswer:
    """The page with the form in it, with everything typed; ``status`` where something is wrong."""
    page = render_template(template, form=form, **shown)
    return (page, status) if form.errors else page


def done(message: str, endpoint: str, **places: Any) -> Response:
    """What a written form answers with: a message for the next page, and the way to it."""
    flash(message, "success")
    return redirect(url_for(endpoint, **places), 303)


def uuid_of(raw: str | None) -> UUID:
    """An id from a form of ours; anything else is nobody's."""
    try:
        return UUID(raw or "")
    except ValueError:
        raise NotVisible(NOTHING_HERE) from None


def course_crumbs(course_id: UUID, title: str, *rest: tuple[str, str | None]) -> Crumbs:
    """The way from the front page to a page of a course, for its teachers."""
    here = url_for("courses.course", course_id=course_id) if rest else None
    return [
        (_("Start page"), url_for("home.home")),
        (_("Courses"), url_for("courses.course_list")),
        (title, here),
        *rest,
    ]


def class_crumbs(in_class: ClassView, *rest: tuple[str, str | None]) -> Crumbs:
    """The way from the front page to a page of a class; ``rest`` is what follows the class."""
    here = url_for("courses.class_page", class_id=in_class.id) if rest else None
    return [
        (_("Start page"), url_for("home.home")),
        (_("Classes"), url_for("courses.my_classes")),
        (in_class.name, here),
        *rest,
    ]
