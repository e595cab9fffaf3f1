"""What is open to a teacher or a student, and asking for more."""

from __future__ import annotations

from uuid import UUID

from flask import render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response
from wtforms import SelectChoice

from dask_platform.features.courses.queries import my_classes
from dask_platform.features.whitelists.forms import StudentWishForm, TeacherWishForm
from dask_platform.features.whitelists.queries import sites as sites_of
from dask_platform.features.whitelists.service import requests as verbs
from dask_platform.features.whitelists.views.blueprint import (
    FormAnswer,
    done,
    form_page,
    refused,
    say,
    site_crumbs,
    whitelists,
    whole_or_nothing,
)
from dask_platform.kernel.errors import Closed, Invalid
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import may_ever
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow
from dask_platform.web.errors import status_of


@whitelists.route("/sites")
@requires(Permission.SITES_READ)
def sites() -> str:
    """The sites that are open to the reader."""
    return render_template(
        "whitelists/sites.html",
        sites=sites_of.my_sites(uow(), actor(), platform().clock.now()),
        # Where no domain for outside sites is set up, there is no way out to link to.
        linked=platform().settings.resources_url is not None,
        asks=may_ever(actor(), Permission.SITE_REQUEST_ASK),
        crumbs=site_crumbs(),
    )


@whitelists.route("/sites/wishes")
@requires(Permission.SITE_REQUEST_READ)
def my_wishes() -> str:
    """Own wishes and their answers; for a teacher also those of own students."""
    now = platform().clock.now()
    found = sites_of.wishes(uow(), actor(), Permission.SITE_REQUEST_READ, now)
    own = [one for one in found if one.wish.person_id == actor().person_id]
    others = [one for one in found if one.wish.person_id != actor().person_id]
    verbs.note_read(uow(), actor(), [one.wish.person_id for one in others])
    return render_template(
        "whitelists/my_wishes.html",
        own=own,
        others=others,
        crumbs=site_crumbs((_("What you have asked for"), None)),
    )


@whitelists.route("/sites/wishes/new", methods=["GET", "POST"])
@requires(Permission.SITE_REQUEST_ASK)
def ask() -> FormAnswer:
    """Ask for a page. ``?address=`` fills it in, from the page that said no."""
    form = StudentWishForm() if actor().is_student else TeacherWishForm()
    teacher = isinstance(form, TeacherWishForm)
    if teacher:
        form.class_id.choices = [
            SelectChoice("", _("No class of mine")),
            *(
                SelectChoice(str(one.id), one.name)
                for one in my_classes(uow(), actor())
                if one.ended_at is None
            ),
        ]
    if request.method == "GET":
        form.address.data = request.args.get("address", "")[: verbs.ADDRESS_MOST]
    status = 400
    if form.validate_on_submit():
        try:
            with whole_or_nothing():
                _ask(form)
        except Invalid as error:
            status = refused(form, error, "address")
        except Closed as error:
            say(form.address, error)
            status = status_of(error)
        else:
            return done(_("Your wish is sent. You find the answer here."), "whitelists.my_wishes")
    return form_page(
        "whitelists/ask.html",
        form,
        status,
        teacher=teacher,
        crumbs=site_crumbs(
            (_("What you have asked for"), url_for("whitelists.my_wishes")),
            (_("Ask for a page"), None),
        ),
    )


@whitelists.route("/sites/wishes/<uuid:request_id>/withdraw", methods=["POST"])
@requires(Permission.SITE_REQUEST_WITHDRAW)
def withdraw_wish(request_id: UUID) -> Response:
    """Take back an own wish."""
    verbs.withdraw(uow(), actor(), request_id)
    return done(_("The wish is taken back."), "whitelists.my_wishes")


def _ask(form: StudentWishForm | TeacherWishForm) -> None:
    work, who, now = uow(), actor(), platform().clock.now()
    said = form.reason.data or ""
    if isinstance(form, StudentWishForm):
        verbs.ask(work, who, address=form.address.data, reason=said, now=now)
        return
    class_id = UUID(form.class_id.data) if form.class_id.data else None
    verbs.ask(
        work, who, address=form.address.data, reason=said, class_id=class_id,
        wanted_until=form.wanted_until.data, now=now,
    )  # fmt: skip
