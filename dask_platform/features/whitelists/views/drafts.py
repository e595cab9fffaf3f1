"""Writing a proposal: by form, as a file, or that a rule goes."""

from __future__ import annotations

from urllib.parse import urlsplit
from uuid import UUID

from flask import request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from dask_platform.features.identity.queries import unit_names
from dask_platform.features.whitelists.files import read_rule
from dask_platform.features.whitelists.forms import (
    FileForm,
    PlaceForm,
    RemoveForm,
    RuleForm,
)
from dask_platform.features.whitelists.queries import copies as copies_of
from dask_platform.features.whitelists.queries import listings
from dask_platform.features.whitelists.queries import sites as sites_of
from dask_platform.features.whitelists.rules import Profile, Rule
from dask_platform.features.whitelists.service import proposals
from dask_platform.features.whitelists.service.proposals import BadRule
from dask_platform.features.whitelists.views.blueprint import (
    FormAnswer,
    crumbs,
    done,
    form_page,
    refused,
    whitelists,
    whole_or_nothing,
)
from dask_platform.features.whitelists.words import as_yaml
from dask_platform.kernel.actor import Role
from dask_platform.kernel.errors import Conflict, Invalid, NotVisible
from dask_platform.kernel.yaml_reader import MAX_BYTES, Problem
from dask_platform.security.permissions import Permission
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow
from dask_platform.web.errors import status_of
from dask_platform.web.uploads import incoming


@whitelists.route("/whitelists/new", methods=["GET", "POST"])
@requires(Permission.WHITELIST_PROPOSE)
def new_rule() -> FormAnswer:
    """Propose a rule; with ``?request=``, one that a wish asks for."""
    form = RuleForm()
    _offer(form)
    _offer_copies(form, None)
    if request.method == "GET":
        _from_wish(form)
        _from_copy(form)
    return _rule_form(form, None)


@whitelists.route("/whitelists/rules/<rule_id>/change", methods=["GET", "POST"])
@requires(Permission.WHITELIST_PROPOSE)
def change_rule(rule_id: str) -> FormAnswer:
    """Propose that a rule says something else."""
    found = _in_force(rule_id)
    form = RuleForm()
    _keep_place(form, found)
    _offer_copies(form, found.rule)
    if request.method == "GET":
        form.fill(found.rule)
        form.based_on.data = str(found.number)
    form.rule_id.data = rule_id
    return _rule_form(form, found)


@whitelists.route("/whitelists/file", methods=["GET", "POST"])
@requires(Permission.WHITELIST_PROPOSE, upload=True)
def rule_file() -> FormAnswer:
    """Propose a rule as a file: a new one, or with ``?rule=`` a change of one that is there."""
    form = FileForm()
    rule_id = request.args.get("rule")
    found = _in_force(rule_id) if rule_id else None
    if found is None:
        _offer(form)
    else:
        _keep_place(form, found)
    if request.method == "GET":
        if found is not None:
            form.text.data, form.based_on.data = as_yaml(found.rule), str(found.number)
        else:
            _from_wish(form)
    problems: list[Problem] = []
    status = 400
    if form.validate_on_submit():
        rule, problems = _read(form)
        if rule is not None and found is not None and rule.id != rule_id:
            problems = [Problem(rule.id, 1, _("The id is another one than that of the rule."))]
        elif rule is not None:
            answer = _propose(form, rule, problems, "text")
            if not isinstance(answer, int):
                return answer
            status = answer
    return form_page(
        "whitelists/rule_file.html",
        form,
        status,
        found=found,
        problems=problems,
        crumbs=crumbs((_("Propose a rule as a file"), None)),
    )


@whitelists.route("/whitelists/rules/<rule_id>/remove", methods=["GET", "POST"])
@requires(Permission.WHITELIST_PROPOSE)
def remove_rule(rule_id: str) -> FormAnswer:
    """Propose that a rule goes."""
    found = _in_force(rule_id)
    form = RemoveForm()
    problems: list[Problem] = []
    status = 400
    if request.method == "GET":
        form.based_on.data = str(found.number)
    elif form.validate_on_submit():
        try:
            with whole_or_nothing():
                made = proposals.propose(
                    uow(), actor(), rule_id=rule_id, unit_id=found.unit_id, rule=None,
                    based_on=form.seen(), reason=form.reason.data, now=platform().clock.now(),
                )  # fmt: skip
        except BadRule as error:
            problems = error.problems
        except (Conflict, Invalid) as error:
            form.reason.errors = [_(error.message, **error.params)]
            status = status_of(error)
        else:
            return _proposed(made)
    return form_page(
        "whitelists/remove.html",
        form,
        status,
        found=found,
        problems=problems,
        crumbs=crumbs(
            (found.rule.title.nb, url_for("whitelists.rule", rule_id=rule_id)),
            (_("Take the rule away"), None),
        ),
    )


class _Found:
    """A rule in force and where it stands."""

    def __init__(self, page: listings.RulePage, rule: Rule) -> None:
        self.rule, self.unit_id, self.unit_name = rule, page.unit_id, page.unit_name
        self.number = page.number


def _in_force(rule_id: str) -> _Found:
    page = listings.rule_page(uow(), actor(), rule_id)
    if page.rule is None:
        raise NotVisible(proposals.NOTHING_HERE)
    return _Found(page, page.rule)


def _offer(form: PlaceForm) -> None:
    """Own units first: a rule is most often for one of those."""
    names, own = unit_names(uow()), actor().units(Role.SECURITY)
    form.offer(sorted(names.items(), key=lambda unit: (unit[0] not in own, unit[1])))


def _offer_copies(form: RuleForm, old: Rule | None) -> None:
    listed = copies_of.copies(uow(), actor())
    form.offer_copies(((one.copy, one.facts.title) for one in listed), old)


def _from_copy(form: RuleForm) -> None:
    """With ``?copy=``, begin with what a copy holds."""
    try:
        line = copies_of.copy(uow(), actor(), request.args.get("copy", ""))
    except NotVisible:
        return
    form.profile.data = str(Profile.FROZEN)
    form.frozen_copy.data = f"{line.copy.kind}-{line.copy.sha256}"
    form.title_nb.data = line.facts.title
    form.host.data = line.home or ""
    form.passing.data = line.address(line.facts.main) if line.home else ""


def _keep_place(form: PlaceForm, found: _Found) -> None:
    """A rule that is there stays where it is."""
    form.offer([(found.unit_id, found.unit_name or "")] if found.unit_id else [])
    form.place.data = str(found.unit_id or "")


def _from_wish(form: PlaceForm) -> None:
    """Begin with the address that somebody asks for. What a student wrote beside it stays where it
    is: proposals are read at every unit."""
    raw = request.args.get("request", "")
    try:
        line = sites_of.wish(uow(), actor(), UUID(raw))
    except (ValueError, NotVisible):
        return
    form.request_id.data, form.place.data = raw, str(line.wish.unit_id)
    if isinstance(form, RuleForm):
        parts = urlsplit(line.wish.address)
        form.host.data, form.paths.data = parts.netloc, parts.path or "/"
        form.passing.data = line.wish.address
        form.expires.data = line.wish.wanted_until


def _rule_form(form: RuleForm, found: _Found | None) -> FormAnswer:
    problems: list[Problem] = []
    status = 400
    if form.validate_on_submit():
        rule = form.rule(found.rule if found else None, actor().display_name)
        if rule is not None:
            answer = _propose(form, rule, problems, "rule_id")
            if not isinstance(answer, int):
                return answer
            status = answer
    title = _("Propose a change") if found else _("Propose a new rule")
    way: list[tuple[str, str | None]] = [(title, None)]
    if found:
        way.insert(0, (found.rule.title.nb, url_for("whitelists.rule", rule_id=found.rule.id)))
    return form_page(
        "whitelists/rule_form.html",
        form,
        status,
        found=found,
        title=title,
        problems=problems,
        crumbs=crumbs(*way),
    )


def _propose(
    form: PlaceForm, rule: Rule, problems: list[Problem], otherwise: str
) -> FormAnswer | int:
    """Propose what the form says; the way on, or the status of the page that says what is wrong."""
    last = listings.last_version(uow(), actor(), rule.id)
    based_on = form.seen()
    if based_on is None and last is not None:
        if last[1]:
            form[otherwise].errors = [
                _("A rule of this name is there already. Open it and propose a change.")
            ]
            return 409
        based_on = last[0]
    try:
        with whole_or_nothing():
            made = proposals.propose(
                uow(), actor(), rule_id=rule.id, unit_id=form.unit_id(), rule=rule,
                based_on=based_on, reason=form.reason.data, request_id=form.request(),
                now=platform().clock.now(),
            )  # fmt: skip
    except BadRule as error:
        problems += error.problems
        return 400
    except Conflict as error:
        form[otherwise].errors = [_(error.message, **error.params)]
        return status_of(error)
    except Invalid as error:
        return refused(form, error, otherwise if error.field == "frozen_copy" else "place")
    return _proposed(made)


def _proposed(proposal_id: UUID) -> Response:
    said = _("It is proposed. It holds when another officer has approved it.")
    return done(said, "whitelists.proposal", proposal_id=proposal_id)


def _read(form: FileForm) -> tuple[Rule | None, list[Problem]]:
    """The rule in the file, or in the text; the file's text is shown again where it has faults."""
    files = [one.stream.read(MAX_BYTES + 1) for one in incoming(request.files.getlist("file"))]
    data = files[0] if files else (form.text.data or "").encode()
    if files:
        form.text.data = data.decode("utf-8", "replace")
    placed, problems = read_rule(data, _("the file"))
    return (placed.rule if placed else None), problems
