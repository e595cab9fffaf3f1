"""Chromium's URLBlocklist and URLAllowlist, as a policy file.

Everything is blocked; an entry opens an exact host (by the dot before it) and whatever *begins*
with its path, with any query. That is more than a rule says: ``/lov`` would open ``/lovsok``, an
unknown parameter would pass, and no length holds. What can be said exactly is a single page: its
path is opened, and closed again are the path with any parameter behind it and the path with each
character that could follow. The most specific entry wins. So rules that open single pages alone
(``paths: []`` with ``only``) are exported, and every other one is refused by its name.

The policy asks of pages, not of what a page fetches; helper hosts are therefore left closed, which
keeps people from going there and lets pictures be shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from dask_platform.features.whitelists.engine import Asked, Engine
from dask_platform.features.whitelists.exports.openings import CannotSay, Opening
from dask_platform.features.whitelists.exports.selection import (
    Export,
    Refusal,
    choose,
    concerning,
)
from dask_platform.features.whitelists.exports.spelling import PATH_MARKS
from dask_platform.features.whitelists.rules import Rule

FILE: Final = "dask-whitelist.json"
#: Chromium reads no more entries of a list than these.
MOST_ENTRIES: Final = 1000
#: What a page can make the browser send although no entry opens it: connections made beforehand
#: (2: never), and datagrams of calls.
SHUT: Final = {
    "NetworkPredictionOptions": 2,
    "WebRtcIPHandling": "disable_non_proxied_udp",
}
#: Whatever may come next in a path, the way a browser writes it.
FOLLOWING: Final = (
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,:;=@/%[]^|"
)


def export(rules: Iterable[Rule], asked: Asked) -> Export:
    """One policy file, sorted."""
    listed = list(rules)
    chosen = choose(listed, asked, _sayable)
    engine = Engine.of(concerning(listed, asked))
    by_id = {one.id: one for one in listed}
    allowed: set[str] = set()
    blocked = {"*"}
    kept = []
    for name in chosen.rules:
        rule = by_id[name]
        pages = [_page(rule.host, path) for path in rule.only]
        # A page that another rule keeps closed is no entry.
        pages = [one for one in pages if engine.decide(one, asked).allowed]
        more = {end for one in pages for end in _ends(one)}
        if len(blocked | more) > MOST_ENTRIES or len(allowed) + len(pages) > MOST_ENTRIES:
            chosen.refused.append(
                Refusal(name, f"Chromium reads no more than {MOST_ENTRIES} entries of a list")
            )
            continue
        kept.append(name)
        blocked |= more
        allowed |= {_exactly(one) for one in pages}
    chosen.openings = [one for one in chosen.openings if one.rule in kept]
    chosen.ends = min((by_id[name].expires for name in kept), default=None)
    policy = {**SHUT, "URLAllowlist": sorted(allowed), "URLBlocklist": sorted(blocked)}
    return chosen.export({FILE: f"{json.dumps(policy, indent=2)}\n"})


def _sayable(rule: Rule, opening: Opening) -> None:
    if rule.paths:
        raise CannotSay("Chromium's paths end anywhere and take any parameter and length")
    if rule.query or rule.forms:
        raise CannotSay("Chromium cannot keep an address with another parameter closed")
    if rule.subdomains:
        raise CannotSay("Chromium cannot hold single pages on every host below")
    if rule.hours:
        raise CannotSay("Chromium knows no hours")
    if rule.types:
        raise CannotSay("Chromium's policy sees no types")
    if "GET" not in opening.methods:
        raise CannotSay("Chromium's policy sees no methods, and this rule has no GET")


def _page(host: str, path: str) -> str:
    """The address as a browser writes it."""
    return f"https://{host}{quote(path, safe=f'/{PATH_MARKS}[]|^')}"


def _exactly(page: str) -> str:
    """An entry without a port would open every port."""
    host, slash, path = page.removeprefix("https://").partition("/")
    return f"https://.{host}:443{slash}{path}"


def _ends(page: str) -> list[str]:
    here = _exactly(page)
    # «?*» is a parameter that begins with nothing: any.
    return [f"{here}?*", *(f"{here}{one}" for one in FOLLOWING)]
