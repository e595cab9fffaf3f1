"""A site that an officer records: fetched, shown with its script, and written down.

The recorder decides, not the whitelist. All else is as for the rest: the upstream adapter with its
vetted addresses, the limits, the log (with reason ``recording``), and a watch that cuts a transfer
when the recording ends. Every host but the page's own lies under ``/_dask/via/``, so that the
policy of the page can name this host alone; what its script wants from elsewhere, the browser
reports to ``/_dask/wanted``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final

import ada_url
from flask import Response, g, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from dask_platform.features.broker import serving
from dask_platform.features.broker.addresses import Domain, local_target, target_of
from dask_platform.features.broker.recording_transfer import RecordingTransfer, decide, seen_at
from dask_platform.features.broker.scripted import is_shut
from dask_platform.features.recorder import deciding, noting
from dask_platform.features.recorder import tickets as own_tickets
from dask_platform.features.recorder.seen import DIRECTIVES, Seen
from dask_platform.features.recorder.tickets import Live
from dask_platform.features.whitelists.engine import Decision, Reason
from dask_platform.security.weburl import BadAddress, parse
from dask_platform.web.context import platform, uow

REPORT_MOST: Final = 16 * 1024


def live() -> Live | None:
    """The recording that this request belongs to, if any."""
    found: Live | None = g.get("recording")
    return found


def ground(recording: Live) -> deciding.Ground:
    """What the recording may reach now."""
    parts = platform()
    return deciding.ground(uow(), recording.actor, parts.settings, parts.clock.now())


def lead_on(recording: Live, url: str, domain: Domain) -> AnyResponse:
    """A link from one host to another, within one recording."""
    decision = decide(ground(recording), url)
    if not decision.allowed or decision.address is None:
        return serving.refuse(url, "GET", decision)
    address = decision.address
    now = platform().clock.now()
    ticket = own_tickets.issue(uow(), recording.actor, recording.id, address.host, now)
    return redirect(domain.entry(address.host, ticket, target_of(address.text)), 303)


def serve(recording: Live, host: str, target: str, *, shown_at: str) -> AnyResponse:
    """The answer to a request for ``target`` on ``host``, as ``serving.serve`` has it."""
    url, method = f"https://{host}{target}", serving.method_of()
    at = ground(recording)
    decision = decide(at, url, method)
    if decision.reason is Reason.NOT_CANONICAL and decision.canonical and host == shown_at:
        again = decide(at, decision.canonical)
        if again.allowed and again.address is not None and again.address.host == host:
            return redirect(local_target(target_of(again.address.text)), 303)
    if is_shut(request.headers):
        decision = Decision(False, Reason.METHOD, None, decision.canonical)
    if not decision.allowed or decision.address is None:
        return serving.refuse(url, method, decision)
    return RecordingTransfer(recording, at, decision.address, shown_at).run()


def wanted(recording: Live) -> Response:
    """A browser's report of what its policy refused: the host that a page's script wanted.

    Anything that can be sent may be sent here by a script of the page as well; it is read as such.
    """
    data = request.get_data(cache=False)
    report = _report(data) if len(data) <= REPORT_MOST else None
    if report is not None:
        noting.note(uow(), recording.id, [report], platform().clock.now())
    return Response(status=204)


def _report(data: bytes) -> Seen | None:
    try:
        said = json.loads(data)["csp-report"]
        directive, blocked = said["effective-directive"], said["blocked-uri"]
        address = parse(str(ada_url.URL(str(blocked)).href).partition("#")[0])
    except (ValueError, KeyError, TypeError, RecursionError, BadAddress):
        return None
    kind = DIRECTIVES.get(str(directive))
    if kind is None:
        return None
    return replace(seen_at(address, kind), wanted=True, status=0)
