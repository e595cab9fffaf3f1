"""One request that was allowed, on its way: fetched, looked at, handed on, written down.

What it found is one of three things: ``Found``, an answer that may be shown; ``Moved``, another
address; ``Failed``, nothing that can be shown. Flask is not needed for any of it: ``serving`` makes
pages of them, ``files`` hands on what stands in a page.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal, NamedTuple, cast

import ada_url

from dask_platform.features.broker import caching, deciding, fetching, frozen, headers, jar, visits
from dask_platform.features.broker.deciding import Desk, Watch
from dask_platform.features.broker.fetching import Kind, Shape
from dask_platform.features.broker.forms import Filled
from dask_platform.features.broker.limits import Lease, Limits, Refused
from dask_platform.features.broker.passing import Body, disposition
from dask_platform.features.broker.visits import Visit
from dask_platform.features.whitelists.engine import Decision, Reason
from dask_platform.features.whitelists.rules import Kind as Field
from dask_platform.features.whitelists.rules import Rule
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import UpstreamTimeout, UpstreamTooLarge
from dask_platform.kernel.ports import UpstreamRequest, UpstreamResponse
from dask_platform.web.platform import Platform

REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: What an answer's status may be for it to be handed on; so is a page that says 404
#: in the site's own words.
WHOLE = frozenset({200, 203, 206, 416})


@dataclass(frozen=True, slots=True)
class Sent:
    """What the browser sent. ``host`` is the site that is asked, ``shown_at`` the one whose label
    the browser is at; ``token`` and ``address`` say who, ``span`` which part of a file, ``form``
    what is sent on in a POST."""

    host: str
    shown_at: str
    method: str
    token: str
    address: str | None
    span: tuple[int, int | None] | None = None
    form: Filled | None = None


class Found(NamedTuple):
    """An answer that may be shown. Read or close it."""

    answer: UpstreamResponse
    kind: Kind
    shape: Shape


class Moved(NamedTuple):
    """The site sends the browser on to ``url``, which nobody has decided on; empty: to nowhere."""

    url: str


class Failed(NamedTuple):
    """Nothing that can be shown. ``reason`` as on the page that says so; ``after``, in seconds,
    where trying again helps."""

    reason: str
    status: int
    after: int | None = None


class Transfer:
    """See above. ``write`` puts its one line into the log, when it has ended, however it ends."""

    def __init__(
        self, platform: Platform, actor: Actor, at: Desk, decision: Decision, sent: Sent,
        write: Callable[[Actor, Visit], None], limits: Limits, fresh_until: float | None = None,
    ) -> None:  # fmt: skip
        assert decision.address is not None  # noqa: S101 - what is allowed has been read
        self.platform, self.actor, self.at, self.sent = platform, actor, at, sent
        self.rule: Rule = at.rule(decision)
        self.url, self.path = decision.address.text, decision.address.path
        self.page = sent.host == sent.shown_at
        self.noted = False
        self._write = write
        self._limits = limits
        #: On the monotonic clock: until when what it was decided on need not be asked for again.
        self._fresh_until = fresh_until or time.monotonic() + deciding.ASK_AGAIN
        self._lease: Lease | None = None
        self._begun = time.perf_counter()
        self._visit = Visit(
            platform.clock.now(), self.url, sent.method, True, str(Reason.ALLOWED), decision.rule,
            typed=_typed(self.rule, decision) or (sent.form is not None and sent.form.typed),
            sent=sent.form.fields if sent.form is not None else (),
        )  # fmt: skip

    def fetch(self, cookie: str | None) -> Found | Moved | Failed:
        """Ask the site, and look at the head of what it says. ``cookie`` is from the student's own
        jar. No connection to the database is held while a stranger's server takes its time.

        Too much of it is not asked for at all. Raises ``UpstreamError``.
        """
        try:
            self._admit()
        except Refused as refused:
            # Nothing went out.
            self._visit = replace(self._visit, allowed=False, sent=())
            status = 503 if refused.reason == "busy" else 429
            self.note(status=status, reason=refused.reason)
            return Failed(refused.reason, status, refused.seconds)
        answer = self._ask(cookie)
        if answer.set_cookies:
            with self.platform.database.work(self.actor.person_id) as work:
                jar.keep(work, self.actor, self.url, answer.set_cookies, self._visit.at)
        if answer.status in REDIRECTS and "location" in answer.headers:
            answer.close()
            self.note(status=302)
            return Moved(self._joined(answer.headers["location"]))
        kind = Kind.of(answer)
        shape = kind.shape()
        if answer.status not in WHOLE and (answer.status < 400 or shape is not Shape.PAGE):
            answer.close()
            self.note(status=answer.status)
            gone = answer.status in (404, 410)
            missing = "uncopied" if frozen.is_frozen(self.rule) else "missing"
            return Failed(missing, 404) if gone else Failed("upstream", 502)
        shown = fetching.may_show(self.rule, self.sent.host, kind)
        if not shown or (not self.page and shape is Shape.PAGE):
            answer.close()
            self.note(status=403, reason="type")
            return Failed("type", 403)
        if self._lease is not None and shape in (Shape.INLINE, Shape.FILE):
            self._lease.answers()
        return Found(answer, kind, shape)

    def whole(self, answer: UpstreamResponse, shape: Shape) -> bytes:
        """All of a page or a style sheet. Raises ``UpstreamError``, also for one that drips."""
        most = fetching.largest(self.rule, shape)
        data = bytearray()
        with answer:
            for chunk in answer.body:
                data += chunk
                if len(data) > most:
                    raise UpstreamTooLarge("a page larger than can be cleaned")
                if time.perf_counter() - self._begun > fetching.PAGE_SECONDS:
                    raise UpstreamTimeout("a page slower than anybody waits for")
        return bytes(data)

    def file(self, answer: UpstreamResponse, kind: Kind) -> tuple[int, dict[str, str], Body]:
        """Status, headers and the bytes as they come."""

        def ended(size: int, reason: str) -> None:
            self.note(status=answer.status, size=size, reason=reason)

        given = {
            "Content-Type": kind.mime,
            "Content-Security-Policy": headers.FILE_POLICY,
            "Content-Disposition": disposition(kind, self.path),
            **(headers.KEPT if self.sent.form is None else {}),
        }
        for name in ("content-length", "content-range", "accept-ranges"):
            if name in answer.headers:
                given[name] = answer.headers[name]
        return answer.status, given, Body(answer, ended)

    def note(self, *, status: int, size: int = 0, reason: str | None = None) -> None:
        """Write the line in the log, once: with it the transfer has ended."""
        if self.noted:
            return
        self.noted = True
        if self._lease is not None:
            self._lease.close()
        visit = replace(
            self._visit,
            status=status,
            size=size,
            ms=int((time.perf_counter() - self._begun) * 1000),
            reason=(reason or self._visit.reason)[:30],
        )
        self._write(self.actor, visit)

    def _admit(self) -> None:
        """Raise ``limits.Refused`` where it is too much."""
        who, typed = self.actor.person_id, self._visit.typed
        if typed:
            with self.platform.database.work(who) as work:
                sent = visits.texts_since(work, self._visit.at - timedelta(minutes=1))
            if sent >= self._limits.allowance.texts:
                raise Refused("texts", 60)
        self._lease = self._limits.admit(who, self.sent.host, typed=typed)

    def _ask(self, cookie: str | None) -> UpstreamResponse:
        sent = self.sent
        watch = Watch(
            self.platform, sent.token, sent.shown_at, sent.address, self.url, sent.method,
            self._fresh_until,
        )  # fmt: skip
        method = cast(Literal["GET", "HEAD", "POST"], sent.method)
        if frozen.is_frozen(self.rule):
            return frozen.fetch(
                self.platform, self.rule, self.url, sent.span,
                largest=self.rule.largest, stopped=watch.stopped,
            )  # fmt: skip
        form = None if sent.form is None else sent.form.body
        return caching.fetch(
            self.platform,
            self.actor.person_id,
            UpstreamRequest(self.url, method, span=sent.span, cookie=cookie, form=form),
            self.rule,
            self.at.asked,
            typed=self._visit.typed,
            largest=self.rule.largest,
            seconds=fetching.FILE_SECONDS,
            stopped=watch.stopped,
        )

    def _joined(self, location: str) -> str:
        try:
            return str(ada_url.join_url(self.url, location))
        except ValueError:
            return ""


def _typed(rule: Rule, decision: Decision) -> bool:
    """Whether free text goes out with it."""
    address = decision.address
    if address is None or not address.query:
        return False
    asked = [*rule.query]
    for more in rule.forms:
        asked += more.fields
    for helper in rule.helpers:
        asked += helper.query
    free = {one.name for one in asked if one.type is Field.TEXT}
    return any(name in free and value for name, value in address.query)
