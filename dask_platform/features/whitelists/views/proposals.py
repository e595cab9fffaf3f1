"""Deciding on a proposal: what it opens and closes, how its examples come out, yes or no."""

from __future__ import annotations

from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from dask_platform.features.whitelists.checking import examples, problems_of
from dask_platform.features.whitelists.diff import Consequences
from dask_platform.features.whitelists.forms import ReasonForm
from dask_platform.features.whitelists.queries import levels, listings
from dask_platform.features.whitelists.queries.visits import would_change
from dask_platform.features.whitelists.service import proposals as verbs
from dask_platform.features.whitelists.service.proposals import BadRule
from dask_platform.features.whitelists.views.blueprint import (
    FormAnswer,
    crumbs,
    done,
    refused,
    told,
    whitelists,
    whole_or_nothing,
)
from dask_platform.features.whitelists.words import as_yaml, beside
from dask_platform.kernel.errors import Invalid
from dask_platform.security.permissions import Permission
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow


@whitelists.route("/whitelists/proposals/<uuid:proposal_id>")
@requires(Permission.WHITELIST_READ)
def proposal(proposal_id: UUID) -> FormAnswer:
    """A proposal beside what is in force."""
    return _page(proposal_id, ReasonForm(formdata=None))


@whitelists.route("/whitelists/proposals/<uuid:proposal_id>/approve", methods=["POST"])
@requires(Permission.WHITELIST_APPROVE)
def approve(proposal_id: UUID) -> Response:
    """Put it in force."""
    try:
        with whole_or_nothing():
            verbs.approve(uow(), actor(), proposal_id, platform().clock.now())
    except BadRule:
        flash(_("Nothing was approved. The page says what is wrong."), "danger")
        return redirect(url_for("whitelists.proposal", proposal_id=proposal_id), 303)
    return done(_("Approved. It holds from now on."), "whitelists.overview")


@whitelists.route("/whitelists/proposals/<uuid:proposal_id>/refuse", methods=["POST"])
@requires(Permission.WHITELIST_APPROVE)
def refuse(proposal_id: UUID) -> FormAnswer:
    """Say no, and why."""
    form = ReasonForm()
    status = 400
    if form.validate_on_submit():
        try:
            with whole_or_nothing():
                verbs.refuse(uow(), actor(), proposal_id, form.reason.data, platform().clock.now())
        except Invalid as error:
            status = refused(form, error, "reason")
        else:
            return done(_("Refused. Nothing has changed."), "whitelists.overview")
    return _page(proposal_id, form, status)


@whitelists.route("/whitelists/proposals/<uuid:proposal_id>/withdraw", methods=["POST"])
@requires(Permission.WHITELIST_PROPOSE)
def withdraw(proposal_id: UUID) -> Response:
    """Take back an own proposal."""
    verbs.withdraw(uow(), actor(), proposal_id, platform().clock.now())
    return done(_("Your proposal is taken back."), "whitelists.overview")


def _page(proposal_id: UUID, form: ReasonForm, status: int = 200) -> FormAnswer:
    found = listings.proposal_page(uow(), actor(), proposal_id)
    waiting = found.proposal.state == "waiting"
    known = levels(uow())
    now = platform().clock.now()
    before = [*found.others, *([found.old] if found.old else [])]
    outcome, visits = Consequences([], []), 0
    if waiting:
        outcome, visits = would_change(uow(), actor(), found.others, found.old, found.new, now)
    page = render_template(
        "whitelists/proposal.html",
        form=form,
        found=found,
        waiting=waiting,
        changes=told(found.changes),
        outcome=outcome,
        outcome_told=told(outcome.changes()),
        visits=visits,
        beside=beside(found.old, found.new),
        yaml=as_yaml(found.new) if found.new else "",
        tried=examples(found.new, [*found.others, found.new], known) if found.new else [],
        problems=problems_of(before, found.proposal.rule_id, found.new, known, now)
        if waiting
        else [],
        crumbs=crumbs((_("Proposal: %(rule)s", rule=found.proposal.rule_id), None)),
    )
    return (page, status) if request.method == "POST" else page
