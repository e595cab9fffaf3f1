"""Into a site whose own script runs: by way of its helpers' labels, and with nothing left there.

A page's script asks its helpers' labels, and the browser has a session on each label of its own. So
``/_dask/enter`` leads once through all of them, with a new ticket for each, and then to the page.
Browsers follow twenty redirects; a rule has at most twelve helpers.

Storage in the browser is a label's, and stays. What one student's page left there must not be found
by the next one's, or two could write to each other through a PC: so the first answer to another
session on a label empties it.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from typing import Final

from flask import request

from dask_platform.features.broker import tickets
from dask_platform.features.broker.addresses import Domain, local_target
from dask_platform.features.broker.deciding import Desk, desk
from dask_platform.features.whitelists.engine import out_of_scope
from dask_platform.features.whitelists.rules import Profile, Rule
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import NotAuthenticated
from dask_platform.kernel.settings import Settings
from dask_platform.security.hostmap import host_of, label_of
from dask_platform.web.context import actor_or_none, platform, uow

#: For the first answer to a session on a label: nothing that somebody else left there is found.
FRESH: Final = {"Clear-Site-Data": '"storage", "cache"'}


def way_on(token: str, host: str, domain: Domain, now: datetime) -> tuple[str, dict[str, str]]:
    """Where a browser goes that was let in at ``host`` with ``token``, and headers for the answer.

    Raises ``NotAuthenticated`` where the session behind it has ended since.
    """
    before = actor_or_none()
    parts = platform()
    who = tickets.resume(uow(), token, host, now, request.remote_addr, parts.rooms.current())
    if who is None:
        raise NotAuthenticated()
    same = before is not None and before.session_id == who.session_id
    at = desk(uow(), who, now)
    target = local_target(request.args.get("to", "/"))
    next_host, address = onwards(at, host, request.args.get("for", ""), target, domain)
    if next_host:
        site = request.args.get("for") or label_of(host)
        ticket = tickets.issue(uow(), who, next_host, now)
        address = f"{domain.entry(next_host, ticket, target)}&for={site}"
    return address, {} if same else FRESH


def helpers_of(at: Desk, host: str) -> list[str]:
    """The hosts whose labels a browser must have a session on before a page of ``host``."""
    found = {one.host for rule in rules_of(at, host) for one in rule.helpers if one.host != host}
    return sorted(found)


def onwards(at: Desk, host: str, for_label: str, target: str, domain: Domain) -> tuple[str, str]:
    """Where a browser that has just been let in at ``host`` goes next: ``(host, "")`` to be let in
    there too, or ``("", address)`` to the page. ``for_label`` is the site that it is on its way to,
    empty on that site itself; one that the host does not help is not heard."""
    site = host_of(for_label) if for_label else host
    hosts = helpers_of(at, site) if site is not None else []
    if site is None or (site != host and host not in hosts):
        return "", target
    rest = hosts if site == host else hosts[hosts.index(host) + 1 :]
    if rest:
        return rest[0], ""
    return "", target if site == host else domain.forward(f"https://{site}{target}")


def tag_of(settings: Settings, who: Actor) -> str:
    """Tells one session at a PC from the next, and nothing about either."""
    said = f"scripted:{who.session_id}".encode()
    return hmac.new(settings.secret().encode(), said, hashlib.sha256).hexdigest()[:24]


def of_site(rule: Rule, host: str) -> bool:
    """Whether ``host`` is the rule's own, and no helper's."""
    return host == rule.host or (rule.subdomains and host.endswith(f".{rule.host}"))


def rules_of(at: Desk, host: str) -> list[Rule]:
    """The scripted rules for pages of ``host`` that are for who asks."""
    return [
        rule
        for _id, rule in sorted(at.rules.items())
        if rule.profile is Profile.SCRIPTED
        and of_site(rule, host)
        and out_of_scope(rule, at.asked) is None
    ]
