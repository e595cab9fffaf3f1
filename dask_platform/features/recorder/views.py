"""The recorder's pages in the school: start, look on, end, and draft a rule."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from dask_platform.features.identity.queries import unit_names
from dask_platform.features.recorder import keeping, queries, tickets, words
from dask_platform.features.recorder.forms import PARTS, DraftForm, StartForm
from dask_platform.features.recorder.proposing import Draft, Said, propose
from dask_platform.features.recorder.queries import Told
from dask_platform.features.recorder.service import copying, recordings
from dask_platform.features.whitelists.forms import FileForm
from dask_platform.features.whitelists.rules import Profile
from dask_platform.features.whitelists.words import as_yaml
from dask_platform.kernel.actor import Role
from dask_platform.kernel.clock import to_oslo
from dask_platform.kernel.errors import Invalid, NotAllowed, NotVisible
from dask_platform.kernel.messages import N_
from dask_platform.security.permissions import Permission
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow
from dask_platform.web.errors import status_of

recorder = Blueprint("recorder", __name__, template_folder="templates")
NOT_SET_UP = N_("Sites cannot be opened here yet. The operator has to set it up.")
_A_YEAR = timedelta(days=365)
FormAnswer = str | tuple[str, int] | Response


@recorder.context_processor
def _words() -> dict[str, Any]:
    """What the templates call things."""
    return {"words": words}


@recorder.route("/whitelists/record", methods=["GET", "POST"], endpoint="recordings")
@requires(Permission.SITES_RECORD)
def start() -> FormAnswer:
    """Own recordings; and start one."""
    form = StartForm()
    status = 400
    now = platform().clock.now()
    if form.validate_on_submit():
        try:
            with uow().begin_nested():
                made = recordings.start(
                    uow(), actor(), address=form.address.data, reason=form.reason.data,
                    copying=form.copying.data, settings=platform().settings, now=now,
                )  # fmt: skip
        except (Invalid, NotAllowed) as error:
            field = getattr(error, "field", None)
            said = form[field if field in form else "address"]
            said.errors = (*said.errors, _(error.message, **error.params))
            status = status_of(error)
        else:
            return redirect(url_for("recorder.recording", recording_id=made.id), 303)
    page = render_template(
        "recorder/recordings.html",
        form=form,
        recordings=queries.recordings(uow(), actor()),
        is_live=lambda one: queries.is_live(one, actor(), now),
        crumbs=_crumbs(),
    )
    return (page, status) if form.errors else page


@recorder.get("/whitelists/record/<uuid:recording_id>")
@requires(Permission.SITES_RECORD)
def recording(recording_id: UUID) -> str:
    """What a recording has needed so far."""
    told = _told(recording_id)
    kept = keeping.kept(uow(), recording_id) if told.copying else None
    return render_template(
        "recorder/recording.html", told=told, kept=kept, crumbs=_crumbs((_host(told), None))
    )


@recorder.get("/whitelists/record/<uuid:recording_id>/open")
@requires(Permission.SITES_RECORD)
def open_site(recording_id: UUID) -> Response:
    """Go to the site, with a ticket that is good once and for half a minute."""
    told = _told(recording_id)
    outside = platform().settings.resources_url
    if outside is None:
        flash(_(NOT_SET_UP), "warning")
        return redirect(url_for("recorder.recording", recording_id=recording_id), 303)
    now = platform().clock.now()
    ticket = tickets.issue(uow(), actor(), recording_id, _host(told), now)
    return redirect(tickets.entry(outside, told.start_url, ticket), 303)


@recorder.post("/whitelists/record/<uuid:recording_id>/end")
@requires(Permission.SITES_RECORD)
def end(recording_id: UUID) -> Response:
    recordings.end(uow(), actor(), recording_id, platform().clock.now())
    flash(_("The recording has ended. The site's cookies are gone."), "success")
    return redirect(url_for("recorder.recording", recording_id=recording_id), 303)


@recorder.post("/whitelists/record/<uuid:recording_id>/throw")
@requires(Permission.SITES_RECORD)
def throw_away(recording_id: UUID) -> Response:
    recordings.throw_away(uow(), actor(), recording_id, platform().clock.now())
    flash(_("The recording is thrown away."), "success")
    return redirect(url_for("recorder.recordings"), 303)


@recorder.route("/whitelists/record/<uuid:recording_id>/proposal", methods=["GET", "POST"])
@requires(Permission.SITES_RECORD)
def draft(recording_id: UUID) -> FormAnswer:
    """Choose pages; then the rule, to be read, changed and proposed in the whitelists' own form."""
    told = _told(recording_id)
    host = _chosen_host(told)
    if host is None:
        flash(_("No page was opened in this recording. Open one first."), "warning")
        return redirect(url_for("recorder.recording", recording_id=recording_id), 303)
    form = DraftForm()
    pages = told.choices(host)
    form.offer(pages, copying=told.copying)
    if request.method == "GET":
        _fill(form, told, host)
    status = 400
    if form.validate_on_submit():
        try:
            made = _draft(form, told, host)
        except Invalid as error:
            status = _say(form, error)
        else:
            return _proposal_page(made, told, host)
    page = render_template(
        "recorder/draft.html",
        form=form,
        told=told,
        host=host,
        impossible=[one for one in told.pages if one.host == host and one not in pages],
        crumbs=_crumbs(_way(told), (_("Draft a rule"), None)),
    )
    return (page, status) if form.errors else page


def _draft(form: DraftForm, told: Told, host: str) -> Draft:
    profile = Profile(form.profile.data)
    said = Said(
        id=form.rule_id.data.strip(),
        title=(form.title_nb.data.strip(), form.title_nn.data.strip()),
        description=(form.description_nb.data.strip(), form.description_nn.data.strip()),
        owner=form.owner.data.strip(),
        author=actor().display_name,
        reason=told.reason[:300],
        expires=form.expires.data,
        profile=Profile.READER if profile is Profile.FROZEN else profile,
        parts=form.width.data == PARTS,
    )
    # First without the copy: what is wrong with the rule shows before anything is made for it.
    made = propose(host, told.seen, form.pages.data, said)
    if profile is Profile.FROZEN:
        made = copying.freeze(uow(), actor(), platform(), told.id, made)
    recordings.note_proposed(uow(), actor(), told.id, made.rule.id)
    return made


def _proposal_page(made: Draft, told: Told, host: str) -> str:
    """The second step. The form is that of the whitelists, and is sent there."""
    form = FileForm(formdata=None)
    names, own = unit_names(uow()), actor().units(Role.SECURITY)
    form.offer(sorted(names.items(), key=lambda unit: (unit[0] not in own, unit[1])))
    form.place.data = str(min(own)) if own else ""
    form.text.data, form.reason.data = as_yaml(made.rule), told.reason
    return render_template(
        "recorder/proposal.html",
        form=form,
        rule=made.rule,
        left=[_(one.message, **one.params) for one in made.left],
        crumbs=_crumbs(
            _way(told),
            (_("Draft a rule"), url_for("recorder.draft", recording_id=told.id, host=host)),
            (_("The rule"), None),
        ),
    )


def _fill(form: DraftForm, told: Told, host: str) -> None:
    """What can be guessed. Every page that was opened is chosen."""
    pages = told.choices(host)
    form.pages.data = [one.path for one in pages]
    form.profile.data = "frozen" if told.copying else "scripted" if told.empty else "reader"
    form.rule_id.data = re.sub(r"[^a-z0-9]+", "-", host.removeprefix("www."))[:60].strip("-")
    title = next((one.title for one in pages if one.title), host)
    form.title_nb.data = form.title_nn.data = title
    today = to_oslo(platform().clock.now()).date()
    form.expires.data = today + _A_YEAR


def _say(form: DraftForm, error: Invalid) -> int:
    names = {"id": "rule_id", "owner": "owner", "expires": "expires"}
    field = form[names.get(error.field or "", "pages")]
    field.errors = (*field.errors, _(error.message, **error.params))
    return status_of(error)


def _told(recording_id: UUID) -> Told:
    return queries.recording(uow(), actor(), recording_id, platform().clock.now())


def _host(told: Told) -> str:
    return told.start_url.removeprefix("https://").partition("/")[0]


def _chosen_host(told: Told) -> str | None:
    """One rule is for one host: the one asked for, or that of most pages."""
    hosts = [name for name in told.page_hosts if told.choices(name)]
    wanted = request.args.get("host")
    if wanted is None:
        return hosts[0] if hosts else None
    if wanted not in hosts:
        raise NotVisible()
    return wanted


def _way(told: Told) -> tuple[str, str | None]:
    return _host(told), url_for("recorder.recording", recording_id=told.id)


def _crumbs(*rest: tuple[str, str | None]) -> list[tuple[str, str | None]]:
    return [
        (_("Start page"), url_for("home.home")),
        (_("Whitelists"), url_for("whitelists.overview")),
        (_("Record a site"), url_for("recorder.recordings") if rest else None),
        *rest,
    ]
