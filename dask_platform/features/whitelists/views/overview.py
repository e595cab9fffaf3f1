"""What is open, since when, and who said so."""

from __future__ import annotations

from flask import render_template, request
from flask_babel import gettext as _

from dask_platform.features.whitelists.queries import listings
from dask_platform.features.whitelists.views.blueprint import crumbs, told, whitelists
from dask_platform.features.whitelists.words import as_yaml, describe
from dask_platform.security.permissions import Permission
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow

#: The most characters that are looked for.
MOST_WANTED = 100


@whitelists.route("/whitelists")
@requires(Permission.WHITELIST_READ)
def overview() -> str:
    """All rules, or those that match the words in ``q``, and what waits for somebody."""
    found = listings.overview(uow(), actor(), platform().clock.now())
    wanted = request.args.get("q", "").strip()[:MOST_WANTED]
    return render_template(
        "whitelists/overview.html",
        found=found,
        wanted=wanted,
        shown=found.matching(wanted),
        crumbs=crumbs(),
    )


@whitelists.route("/whitelists/rules/<rule_id>")
@requires(Permission.WHITELIST_READ)
def rule(rule_id: str) -> str:
    """One rule with its history."""
    found = listings.rule_page(uow(), actor(), rule_id)
    history = [(one, told(one.changes)) for one in found.versions]
    return render_template(
        "whitelists/rule.html",
        found=found,
        history=history,
        terms=list(describe(found.rule)) if found.rule else [],
        yaml=as_yaml(found.rule) if found.rule else "",
        title=found.rule.title.nb if found.rule else rule_id,
        crumbs=crumbs((found.rule.title.nb if found.rule else _("A rule that is gone"), None)),
    )
