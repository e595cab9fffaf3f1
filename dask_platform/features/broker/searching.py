"""Searching in a frozen site: in the index that its copy brings along, in our own frame."""

from __future__ import annotations

from contextlib import closing
from urllib.parse import urlencode

from flask import Response, current_app, g, make_response, render_template, request

from dask_platform.features.broker import frozen, serving, visits
from dask_platform.features.broker.addresses import OWN, target_of
from dask_platform.features.broker.deciding import Desk
from dask_platform.features.broker.limits import Lease, Limits, Refused
from dask_platform.features.broker.visits import Visit
from dask_platform.features.whitelists.engine import Decision, Reason
from dask_platform.features.whitelists.words import in_language
from dask_platform.web.context import actor, platform, uow

SEARCH = f"{OWN}/search"


def search(host: str) -> Response:
    """What is found for ``?q=`` in the copies of ``host`` that are open to who asks.

    Refused where none is. What was written stands in the log, marked as free text.
    """
    words = frozen.words_of(request.args.get("q", ""))
    # Nothing beside the words: the log keeps the beginning of a long address.
    url = f"https://{host}{SEARCH}" + (f"?{urlencode({'q': words})}" if words else "")
    now = platform().clock.now()
    at = serving.held_now().desk(now)
    open_rules = [one for one in frozen.searched(at, host) if frozen.searchable(platform(), one)]
    if not open_rules:
        return serving.refuse(url, "GET", _why(at, host))
    try:
        with _turn(host):
            found = frozen.search(platform(), at, host, words)
    except Refused as refused:
        no = Decision(False, Reason.NOT_LISTED)
        response = serving.refuse(url, "GET", no, refused.reason, 429)
        response.headers["Retry-After"] = str(refused.seconds)
        return response
    g.visit_noted = True
    visits.record(
        uow(),
        actor(),
        Visit(now, url, "GET", True, str(Reason.ALLOWED), open_rules[0].id, 200, typed=bool(words)),
    )
    return make_response(
        render_template(
            "broker/search.html",
            words=words,
            found=[(target_of(one.url), one.title) for one in found],
            most=frozen.MOST_FOUND,
            place=in_language(open_rules[0].title, actor().locale),
            school=platform().settings.public_url.rstrip("/"),
            search=SEARCH,
        )
    )


def _turn(host: str) -> closing[Lease]:
    """A search costs more than a page: it waits for its turn with everything else that somebody
    asks for."""
    limits: Limits = current_app.extensions["dask_broker_limits"]
    return closing(limits.admit(actor().person_id, host, typed=False))


def _why(at: Desk, host: str) -> Decision:
    """Why nothing can be searched on ``host``: as its first frozen rule would be refused."""
    for rule in at.rules.values():
        if rule.host == host and frozen.is_frozen(rule):
            decision = frozen.entry(at, rule)
            if not decision.allowed:
                return decision
    return Decision(False, Reason.NOT_LISTED)
