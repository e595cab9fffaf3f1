"""The blueprint, the entries in the menu, and what several pages share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import Field

from dask_platform.features.whitelists import policy as policy  # its lines enter the table
from dask_platform.features.whitelists import words
from dask_platform.features.whitelists.diff import Change
from dask_platform.kernel.errors import DaskError, Invalid
from dask_platform.security.permissions import Permission
from dask_platform.web import navigation
from dask_platform.web.context import uow
from dask_platform.web.errors import status_of

whitelists = Blueprint(
    "whitelists", "dask_platform.features.whitelists", template_folder="templates"
)
navigation.add(
    navigation.Entry(40, _l("Sites"), "whitelists.sites", Permission.SITES_READ),
    navigation.Entry(60, _l("Whitelists"), "whitelists.overview", Permission.WHITELIST_READ),
)


@whitelists.context_processor
def _words() -> dict[str, Any]:
    """What the templates call things."""
    return {"words": words}


FormAnswer = str | tuple[str, int] | Response
Crumbs = list[tuple[str, str | None]]


def say(field: Field, error: DaskError) -> None:
    """Put what the service refused beside the field that it is about."""
    field.errors = (*field.errors, _(error.message, **error.params))


@contextmanager
def whole_or_nothing() -> Iterator[None]:
    """Around a verb whose refusal the page shows in its own form: the request is committed all the
    same, so what the verb wrote before it refused is taken back here."""
    with uow().begin_nested():
        yield


def refused(form: FlaskForm, error: Invalid, otherwise: str) -> int:
    """Show ``error`` at its field, or at ``otherwise``; the status of the answer."""
    name = error.field if error.field in form else otherwise
    say(form[name], error)
    return status_of(error)


def form_page(template: str, form: FlaskForm, status: int = 400, **shown: Any) -> FormAnswer:
    """The page with the form in it, with everything typed; ``status`` where something is wrong."""
    wrong = bool(form.errors) or bool(shown.get("problems"))
    page = render_template(template, form=form, **shown)
    return (page, status) if wrong else page


def done(message: str, endpoint: str, **places: Any) -> Response:
    """What a written form answers with: a message for the next page, and the way to it."""
    flash(message, "success")
    return redirect(url_for(endpoint, **places), 303)


def crumbs(*rest: tuple[str, str | None]) -> Crumbs:
    """The way from the front page to a page of the whitelists, for security."""
    here = url_for("whitelists.overview") if rest else None
    return [(_("Start page"), url_for("home.home")), (_("Whitelists"), here), *rest]


def site_crumbs(*rest: tuple[str, str | None]) -> Crumbs:
    """The same for the pages of teachers and students."""
    here = url_for("whitelists.sites") if rest else None
    return [(_("Start page"), url_for("home.home")), (_("Sites"), here), *rest]


def told(found: list[Change]) -> list[tuple[str, str]]:
    """Changes as (way, sentence in the reader's language)."""
    return [(str(one.way), _(one.message, **one.params)) for one in found]
