"""One request to a site: decide, fetch, clean or hand on, and write down what came of it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Literal, cast

import ada_url
from flask import Response, g, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from dask_platform.features.broker import fetching, headers, jar, rendering, tickets, visits
from dask_platform.features.broker.addresses import go, target_of, via
from dask_platform.features.broker.deciding import Desk, Watch, desk
from dask_platform.features.broker.fetching import Kind, Shape
from dask_platform.features.broker.passing import Body, disposition
from dask_platform.features.broker.refusals import Refusal, refusal_page
from dask_platform.features.broker.visits import Visit
from dask_platform.features.whitelists.engine import Decision, Reason
from dask_platform.features.whitelists.rules import Kind as Field
from dask_platform.features.whitelists.rules import Rule
from dask_platform.kernel.errors import UpstreamTimeout, UpstreamTooLarge
from dask_platform.kernel.ports import Upstream, UpstreamRequest, UpstreamResponse
from dask_platform.web.context import actor, platform, uow

REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: What an answer's status may be for it to be handed on; so is a page that says 404
#: in the site's own words.
WHOLE = frozenset({200, 203, 206, 416})
# A drawing opened by itself is a document: it may use its own styles, and nothing else at all.
FILE_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'"


def raw_target() -> str:
    """Path and query as the browser wrote them: decoded once too often, an address is another."""
    environ = request.environ
    raw = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "")
    return raw if raw.startswith("/") else "/\\"  # an absolute form is refused as no address


def method_of() -> str:
    """The method as the browser sent it: views of ours see HEAD as GET."""
    return str(request.environ.get("REQUEST_METHOD", ""))


def local_target(given: str) -> str:
    """``given`` where it is a path of this host, else the front page."""
    plain = given.startswith("/") and not given.startswith("//") and given.isprintable()
    return given if plain and "\\" not in given else "/"


def serve(host: str, target: str, *, shown_at: str) -> AnyResponse:
    """The answer to a request for ``target`` on ``host``. ``shown_at`` is the site that the browser
    is at: where it is another, only what stands in a page may come, and no page."""
    url, method = f"https://{host}{target}", method_of()
    now = platform().clock.now()
    at = desk(uow(), actor(), now)
    decision = at.decide(url, method)
    typed = method == "GET" and host == shown_at
    if decision.reason is Reason.NOT_CANONICAL and decision.canonical and typed:
        again = at.decide(decision.canonical)
        if again.allowed and again.address is not None and again.address.host == host:
            # What somebody typed, written as it should be; decided anew when it comes back.
            return redirect(local_target(target_of(again.address.text)), 303)
    if not decision.allowed or decision.address is None:
        return refuse(url, method, decision)
    rule = at.rule(decision)
    if method not in ("GET", "HEAD"):
        # A rule may list a form that is sent with POST; no body is sent on yet.
        return refuse(url, method, decision, str(Reason.METHOD))
    if not fetching.can_be_read(rule):
        return refuse(url, method, decision, "frozen")
    return _Transfer(at, rule, decision, host, shown_at).run()


def refuse(
    url: str, method: str, decision: Decision, reason: str | None = None, status: int = 403
) -> Response:
    """The page that says why, and a line in the log."""
    why = reason or str(decision.reason)
    g.visit_noted = True
    visits.record(
        uow(),
        actor(),
        Visit(platform().clock.now(), url, method, False, why, decision.rule, status),
    )
    return refusal_page(Refusal(why, decision.canonical or url), status)


def _kept(response: Response) -> Response:
    """The browser may show it again for five minutes, to the student who fetched it: the next one
    at the same PC has another token, and asks anew."""
    response.headers["Cache-Control"] = "private, max-age=300"
    response.vary.add("Cookie")
    return response


class _Transfer:
    """A request that was allowed, on its way."""

    def __init__(self, at: Desk, rule: Rule, decision: Decision, host: str, shown_at: str) -> None:
        assert decision.address is not None  # noqa: S101 - what is allowed has been read
        self.at, self.rule, self.decision = at, rule, decision
        self.url, self.host, self.shown_at = decision.address.text, host, shown_at
        self.page = host == shown_at
        self.actor = actor()
        self.platform = platform()
        upstream = self.platform.upstream
        assert upstream is not None  # noqa: S101 - the broker is set up with it
        self.upstream: Upstream = upstream
        self.method = cast(Literal["GET", "HEAD"], method_of())
        self.begun = time.perf_counter()
        self.noted = False
        self.visit = Visit(
            self.platform.clock.now(), self.url, self.method, True, str(Reason.ALLOWED),
            decision.rule, typed=self._typed(),
        )  # fmt: skip
        self.watch = Watch(
            self.platform, request.cookies.get(tickets.cookie_name(self.platform.settings), ""),
            shown_at, request.remote_addr, self.url, self.method,
        )  # fmt: skip

    def run(self) -> AnyResponse:
        """Whatever happens, what went out stands in the log."""
        g.visit_noted = True
        try:
            return self._answered(self._fetch())
        except Exception as error:
            if not self.noted:
                self._note(status=502, reason=type(error).__name__)
            raise

    def _fetch(self) -> UpstreamResponse:
        cookie = jar.header(uow(), self.actor, self.url, self.visit.at)
        # No connection to the database is held while a stranger's server takes its time.
        g.uow.commit()
        return self.upstream.fetch(
            UpstreamRequest(
                self.url, self.method, span=fetching.span(request.headers.get("Range")),
                cookie=cookie,
            ),
            largest=self.rule.largest,
            seconds=fetching.FILE_SECONDS,
            stopped=self.watch.stopped,
        )  # fmt: skip

    def _answered(self, answer: UpstreamResponse) -> AnyResponse:
        if answer.set_cookies:
            with self.platform.database.work(self.actor.person_id) as work:
                jar.keep(work, self.actor, self.url, answer.set_cookies, self.visit.at)
        if answer.status in REDIRECTS and "location" in answer.headers:
            answer.close()
            return self._redirected(answer.headers["location"])
        kind = Kind.of(answer)
        shape = kind.shape()
        if answer.status not in WHOLE and (answer.status < 400 or shape is not Shape.PAGE):
            answer.close()
            self._note(status=answer.status)
            missing = answer.status in (404, 410)
            return refusal_page(
                Refusal("missing" if missing else "upstream", self.url), 404 if missing else 502
            )
        if not fetching.may_show(self.rule, self.host, kind) or (
            not self.page and shape is Shape.PAGE
        ):
            answer.close()
            self._note(status=403, reason="type")
            return refusal_page(Refusal("type", self.url), 403)
        if self.method == "HEAD":
            answer.close()
            self._note(status=answer.status)
            return Response(status=answer.status, mimetype=kind.mime)
        if shape is Shape.PAGE:
            return self._page(answer, kind)
        if shape is Shape.STYLE:
            return self._style(answer, kind)
        return self._file(answer, kind)

    def _redirected(self, location: str) -> AnyResponse:
        """Where the site sends us on to, decided afresh."""
        try:
            url = str(ada_url.join_url(self.url, location))
        except ValueError:
            url = ""
        self._note(status=302)
        decision = self.at.decide(url)
        if not decision.allowed or decision.address is None:
            why = str(decision.reason)
            refused = Visit(self.visit.at, url, "GET", False, why, decision.rule, 403)
            with self.platform.database.work(self.actor.person_id) as work:
                visits.record(work, self.actor, refused)
            return refusal_page(Refusal(why, url), 403)
        address = decision.address
        if address.host == self.shown_at:
            return redirect(local_target(target_of(address.text)), 303)
        if not self.page:
            return redirect(via(address.host, address.text), 303)
        return redirect(go(address.text), 303)

    def _page(self, answer: UpstreamResponse, kind: Kind) -> Response:
        data = self._whole(answer, fetching.largest(self.rule, Shape.PAGE))
        made, nonce = rendering.page(data, kind.charset, self.url, self.at, self.rule, self.host)
        self._note(status=answer.status, size=len(data))
        response = Response(made, answer.status if answer.status >= 400 else 200)
        response.mimetype = "text/html"
        response.headers["Content-Security-Policy"] = headers.page_policy(nonce)
        return response

    def _style(self, answer: UpstreamResponse, kind: Kind) -> Response:
        data = self._whole(answer, fetching.largest(self.rule, Shape.STYLE))
        made = rendering.style(data, kind.charset, self.url, self.at, self.host)
        self._note(status=answer.status, size=len(made))
        return _kept(Response(made, mimetype="text/css"))

    def _whole(self, answer: UpstreamResponse, most: int) -> bytes:
        data = bytearray()
        with answer:
            for chunk in answer.body:
                data += chunk
                if len(data) > most:
                    raise UpstreamTooLarge("a page larger than can be cleaned")
                if time.perf_counter() - self.begun > fetching.PAGE_SECONDS:
                    raise UpstreamTimeout("a page slower than anybody waits for")
        return bytes(data)

    def _file(self, answer: UpstreamResponse, kind: Kind) -> Response:
        def ended(size: int, reason: str) -> None:
            self._note(status=answer.status, size=size, reason=reason)

        response = Response(Body(answer, ended), answer.status)
        response.headers["Content-Type"] = kind.mime
        response.headers["Content-Security-Policy"] = FILE_POLICY
        assert self.decision.address is not None  # noqa: S101 - what is allowed has been read
        response.headers["Content-Disposition"] = disposition(kind, self.decision.address.path)
        for header in ("content-length", "content-range", "accept-ranges"):
            if header in answer.headers:
                response.headers[header] = answer.headers[header]
        return _kept(response)

    def _note(self, *, status: int, size: int = 0, reason: str | None = None) -> None:
        self.noted = True
        visit = replace(
            self.visit,
            status=status,
            size=size,
            ms=int((time.perf_counter() - self.begun) * 1000),
            reason=(reason or self.visit.reason)[:30],
        )
        with self.platform.database.work(self.actor.person_id) as work:
            visits.record(work, self.actor, visit)

    def _typed(self) -> bool:
        """Whether free text went out with it."""
        address = self.decision.address
        asked = [*self.rule.query]
        for more in self.rule.forms:
            asked += more.fields
        for helper in self.rule.helpers:
            asked += helper.query
        free = {one.name for one in asked if one.type is Field.TEXT}
        return address is not None and any(name in free and value for name, value in address.query)
