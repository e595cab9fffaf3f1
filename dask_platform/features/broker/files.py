"""What stands in a page (pictures, styles, fonts, sound, film), handed on without Flask.

A page has some thirty of them, and they are most of what goes through. This door stands before the
application and takes those that are plainly such: a GET for which the browser says that it is for a
picture or the like, from a session that may read the site, to an address that is open. Everything
else goes on to the application: it decides anew, and says what it refuses on a page.

What the browser says opens nothing: whether an address may be read is decided here as there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from dask_platform.features.broker import fetching, headers, rendering, tickets
from dask_platform.features.broker.addresses import (
    OWN,
    Domain,
    is_own,
    local_target,
    target_of,
    via,
)
from dask_platform.features.broker.fetching import Shape
from dask_platform.features.broker.limits import Limits
from dask_platform.features.broker.passes import Pass, Passes
from dask_platform.features.broker.transfer import Failed, Found, Moved, Sent, Transfer
from dask_platform.features.broker.visit_log import VisitLog
from dask_platform.features.broker.visits import Visit
from dask_platform.features.whitelists.engine import Decision
from dask_platform.features.whitelists.rules import Profile
from dask_platform.kernel.errors import DaskError
from dask_platform.security.hostmap import host_of
from dask_platform.web import metrics
from dask_platform.web.platform import Platform

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: What a browser says that it wants something for, where it is no page and nothing that runs.
WANTED: Final = frozenset({"audio", "font", "image", "style", "track", "video"})
_VIA: Final = f"{OWN}/via/"

log = structlog.get_logger("dask.broker")


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: Iterable[bytes] = ()


class Asked(NamedTuple):
    """A request that this door takes, if it is allowed."""

    held: Pass
    decision: Decision
    sent: Sent


class Files:
    """The door. ``rest`` is the application behind it."""

    def __init__(
        self, rest: WSGIApplication, platform: Platform, domain: Domain, limits: Limits,
        log: VisitLog,
    ) -> None:  # fmt: skip
        self._rest = rest
        self._platform = platform
        self._domain = domain
        self._limits = limits
        self._passes = Passes(platform)
        self._log = log
        name = re.escape(tickets.cookie_name(platform.settings))
        self._token = re.compile(rf"(?:^|;\s*){name}=([A-Za-z0-9_-]{{20,100}})(?=;|$)")
        fixed = dict(headers.FIXED)
        if platform.settings.https:
            fixed |= headers.HSTS
        self._fixed = fixed

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        begun = time.perf_counter()
        asked = self._asked(environ)
        if asked is None:
            return self._rest(environ, start)
        answer = self._answer(asked)
        given = self._fixed | answer.headers
        status = answer.status
        start(f"{status} {HTTPStatus(status).phrase}", list(given.items()))
        metrics.observe("broker.files", "GET", status, time.perf_counter() - begun, 0)
        return answer.body

    def _asked(self, environ: WSGIEnvironment) -> Asked | None:
        """The request, where it is one for this door and allowed."""
        if environ.get("HTTP_SEC_FETCH_DEST") not in WANTED or environ["REQUEST_METHOD"] != "GET":
            return None
        if environ.get("HTTP_TRANSFER_ENCODING") or environ.get("CONTENT_LENGTH", "0") != "0":
            return None
        label = self._domain.label(environ.get("HTTP_HOST", ""))
        shown_at = host_of(label) if label else None
        tokens = self._token.findall(environ.get("HTTP_COOKIE", ""))
        if shown_at is None or len(tokens) != 1:
            return None
        place = _place(str(environ.get("RAW_URI", "")), shown_at)
        if place is None:
            return None
        address = environ.get("REMOTE_ADDR")
        held = self._passes.of(tokens[0], shown_at, address)
        if held is None:
            return None
        host, target = place
        desk = held.desk(self._platform.clock.now())
        decision = desk.decide(f"https://{host}{target}")
        if not decision.allowed or desk.rule(decision).profile is not Profile.READER:
            return None
        span = fetching.span(environ.get("HTTP_RANGE"))
        return Asked(held, decision, Sent(host, shown_at, "GET", tokens[0], address, span))

    def _answer(self, asked: Asked) -> Answer:
        held, decision, sent = asked
        now = self._platform.clock.now()
        desk = held.desk(now)
        transfer = Transfer(
            self._platform,
            held.actor,
            desk,
            decision,
            sent,
            self._log.add,
            self._limits,
            held.until,
        )
        try:
            self._log.room()
            path = decision.address.path if decision.address else "/"
            cookie = self._passes.cookie(held, sent.host, path, now)
            return self._outcome(transfer, transfer.fetch(cookie))
        except DaskError as error:
            transfer.note(status=502, reason=type(error).__name__)
            return _nothing(502)
        except Exception as error:
            log.exception("fault", error=type(error).__name__)
            transfer.note(status=500, reason=type(error).__name__)
            return _nothing(500)

    def _outcome(self, transfer: Transfer, outcome: Found | Moved | Failed) -> Answer:
        match outcome:
            case Failed(_reason, status, after):
                return _nothing(status, after)
            case Moved(url):
                return self._moved(transfer, url)
        answer, kind, shape = outcome
        if shape is Shape.PAGE:
            answer.close()
            transfer.note(status=403, reason="type")
            return _nothing(403)
        if shape is Shape.STYLE:
            data = transfer.whole(answer, Shape.STYLE)
            made = rendering.style(
                data,
                kind.charset,
                transfer.url,
                transfer.at,
                transfer.sent.shown_at,
                transfer.actor.person_id,
            ).encode()
            transfer.note(status=answer.status, size=len(made))
            given = {"Content-Type": "text/css; charset=utf-8", "Content-Length": str(len(made))}
            return Answer(200, given | headers.KEPT, (made,))
        return Answer(*transfer.file(answer, kind))

    def _moved(self, transfer: Transfer, url: str) -> Answer:
        """Where the site sends us on to, decided afresh."""
        decision = transfer.at.decide(url)
        address = decision.address
        if not decision.allowed or address is None:
            why, now = str(decision.reason), self._platform.clock.now()
            self._log.add(transfer.actor, Visit(now, url, "GET", False, why, decision.rule, 403))
            return _nothing(403)
        here = address.host == transfer.sent.shown_at
        target = target_of(address.text)
        place = local_target(target) if here else via(address.host, address.text)
        return Answer(303, {"Location": place, "Content-Length": "0", **_NOT_KEPT})


_NOT_KEPT: Final = {"Cache-Control": "no-store"}


def _nothing(status: int, after: int | None = None) -> Answer:
    """For a picture that cannot be shown: nobody reads a text in its place. ``after``: in seconds,
    when it may be asked for again."""
    waits = {} if after is None else {"Retry-After": str(after)}
    return Answer(status, {"Content-Length": "0", **_NOT_KEPT, **waits})


def _place(target: str, shown_at: str) -> tuple[str, str] | None:
    """Host and target on it; None for an address that is the application's own."""
    if not target.startswith("/"):
        return None
    if not is_own(target.partition("?")[0]):
        return shown_at, target
    if not target.startswith(_VIA):
        return None
    label, slash, rest = target.removeprefix(_VIA).partition("/")
    host = host_of(label)
    return (host, f"/{rest}") if slash and host is not None and host != shown_at else None
