"""Answering wishes: make a proposal of it, or refuse with a reason."""

from __future__ import annotations

from uuid import UUID

from flask import render_template, url_for
from flask_babel import gettext as _

from dask_platform.features.whitelists.forms import ReasonForm
from dask_platform.features.whitelists.queries import sites as sites_of
from dask_platform.features.whitelists.service import requests as verbs
from dask_platform.features.whitelists.views.blueprint import (
    FormAnswer,
    crumbs,
    done,
    refused,
    whitelists,
    whole_or_nothing,
)
from dask_platform.kernel.errors import Invalid
from dask_platform.security.permissions import Permission
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow


@whitelists.route("/whitelists/wishes")
@requires(Permission.SITE_REQUEST_ANSWER)
def wishes() -> str:
    """What teachers and students of own units ask for."""
    now = platform().clock.now()
    found = sites_of.wishes(uow(), actor(), Permission.SITE_REQUEST_ANSWER, now)
    verbs.note_read(uow(), actor(), [one.wish.person_id for one in found if one.wish.by_student])
    return render_template(
        "whitelists/wishes.html", wishes=found, crumbs=crumbs((_("Wishes for pages"), None))
    )


@whitelists.route("/whitelists/wishes/<uuid:request_id>")
@requires(Permission.SITE_REQUEST_ANSWER)
def wish(request_id: UUID) -> FormAnswer:
    """One wish."""
    return _page(request_id, ReasonForm(formdata=None))


@whitelists.route("/whitelists/wishes/<uuid:request_id>/refuse", methods=["POST"])
@requires(Permission.SITE_REQUEST_ANSWER)
def refuse_wish(request_id: UUID) -> FormAnswer:
    """Say no, and why."""
    form = ReasonForm()
    status = 400
    if form.validate_on_submit():
        try:
            with whole_or_nothing():
                verbs.refuse(uow(), actor(), request_id, form.reason.data, platform().clock.now())
        except Invalid as error:
            status = refused(form, error, "reason")
        else:
            return done(_("The wish is answered."), "whitelists.wishes")
    return _page(request_id, form), status


def _page(request_id: UUID, form: ReasonForm) -> str:
    line = sites_of.wish(uow(), actor(), request_id)
    if line.wish.by_student:
        verbs.note_read(uow(), actor(), [line.wish.person_id])
    return render_template(
        "whitelists/wish.html",
        line=line,
        form=form,
        crumbs=crumbs((_("Wishes for pages"), url_for("whitelists.wishes")), (_("A wish"), None)),
    )
