"""One request of a recording: fetch, show with script or hand on, and write down what it was."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from typing import Final, Literal, cast

import ada_url
import structlog
from flask import Response, current_app, g, redirect, render_template, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.broker import fetching, headers, jar, serving, tickets, visits
from dask_platform.features.broker.addresses import (
    OWN,
    Domain,
    go,
    is_own,
    local_target,
    target_of,
    via,
)
from dask_platform.features.broker.deciding import Watch
from dask_platform.features.broker.fetching import LARGEST_PAGE, LARGEST_STYLE, Kind, Shape
from dask_platform.features.broker.limits import Lease, Limits, Refused
from dask_platform.features.broker.passing import Body, disposition
from dask_platform.features.broker.refusals import Refusal, refusal_page
from dask_platform.features.broker.scripted import CLOSED, is_page_load
from dask_platform.features.broker.transfer import REDIRECTS, WHOLE
from dask_platform.features.broker.visits import Visit
from dask_platform.features.recorder import deciding, keeping, noting, reading
from dask_platform.features.recorder import jar as own_jar
from dask_platform.features.recorder import tickets as own_tickets
from dask_platform.features.recorder.seen import RUNS, Seen, What, kind_of
from dask_platform.features.recorder.shapes import shapes_of
from dask_platform.features.recorder.tickets import Live
from dask_platform.features.whitelists.engine import Decision, Reason
from dask_platform.features.whitelists.rules import MIB
from dask_platform.features.whitelists.rules import Kind as Field
from dask_platform.kernel.errors import (
    Invalid,
    StorageUnavailable,
    UpstreamTimeout,
    UpstreamTooLarge,
)
from dask_platform.kernel.ports import Upstream, UpstreamRequest, UpstreamResponse
from dask_platform.security.reader import Kind as For
from dask_platform.security.reader.encoding import decode
from dask_platform.security.scripted import Frame, rewrite
from dask_platform.security.scripted_css import map_css
from dask_platform.security.weburl import WebAddress
from dask_platform.web.app import static_url
from dask_platform.web.context import platform, uow
from dask_platform.web.platform import Platform

WANTED_PATH: Final = f"{OWN}/wanted"
LARGEST: Final = 100 * MIB
#: As for a scripted rule (``scripted.policy``), with this host alone and no forms; what is refused
#: is reported. The second one knows no nonce: who has it could fetch script from anywhere.
_POLICY: Final = ", ".join(
    f"{one}; report-uri {WANTED_PATH}"
    for one in (
        "default-src 'none'; script-src 'self' 'nonce-{nonce}'; script-src-attr 'none';"
        " style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:;"
        " media-src 'self' blob:; connect-src 'self'; form-action 'none'; base-uri 'none';"
        " frame-ancestors 'none'; webrtc 'block'; trusted-types default;"
        " require-trusted-types-for 'script'; sandbox allow-scripts allow-same-origin",
        "script-src 'self' 'unsafe-inline'",
    )
)

log = structlog.get_logger("dask.recorder")


def decide(at: deciding.Ground, url: str, method: str = "GET") -> Decision:
    """The recorder's answer, but that no site has a page where ours lie."""
    decision = at.decide(url, method)
    if decision.allowed and decision.address is not None and is_own(decision.address.path):
        return Decision(False, Reason.BAD_URL, None, decision.canonical)
    return decision


def seen_at(address: WebAddress, kind: What) -> Seen:
    path = target_of(address.text).partition("?")[0]
    return Seen(address.host, path, kind, shapes_of(address.query))


@dataclass(slots=True)
class RecordingWatch(Watch):
    """A recording, its officer's session and rights, and what is closed: asked again all along."""

    def _holds(self) -> bool:
        with self.platform.database.work() as work:
            at = self.platform.clock.now()
            found = own_tickets.resume(work, self.token, self.host, at, self.address)
            if found is None:
                return False
            judge = deciding.ground(work, found.actor, self.platform.settings, at)
            return judge.decide(self.url, self.method).allowed


class RecordingTransfer:
    """One request of a recording, on its way."""

    def __init__(
        self, recording: Live, at: deciding.Ground, address: WebAddress, shown_at: str
    ) -> None:
        self.recording, self.at, self.address, self.shown_at = recording, at, address, shown_at
        self.platform: Platform = platform()
        self.url, self.page = address.text, address.host == shown_at
        self.method = serving.method_of()
        self.begun = time.perf_counter()
        self.now = self.platform.clock.now()
        self.wanted_as = request.headers.get("Sec-Fetch-Dest", "")
        self.noted = False
        self.lease: Lease | None = None
        self.domain = cast(Domain, current_app.extensions["dask_broker_domain"])
        settings = self.platform.settings
        token = request.cookies.get(tickets.cookie_name(settings), "")
        self.watch = RecordingWatch(
            self.platform, token, shown_at, request.remote_addr, self.url, self.method
        )

    def run(self) -> AnyResponse:
        """Whatever happens, what went out stands in the log."""
        g.visit_noted = True
        try:
            limits: Limits = current_app.extensions["dask_broker_limits"]
            cookies = own_jar.cookies(uow(), self.recording.id, self.address.host)
            g.uow.commit()
            self.lease = limits.admit(self.recording.actor.person_id, self.address.host)
            kept = tuple(jar.Crumb(*one) for one in cookies)
            return self._answered(self._fetch(jar.line(kept, self.address.path, self.now)))
        except Refused as refused:
            busy = refused.reason == "busy"
            self._note(status=503 if busy else 429, reason=refused.reason)
            response = refusal_page(Refusal(refused.reason, self.url), 503 if busy else 429)
            response.headers["Retry-After"] = str(refused.seconds)
            return response
        except Exception as error:
            self._note(status=502, reason=type(error).__name__)
            raise

    def _fetch(self, cookie: str | None) -> UpstreamResponse:
        upstream: Upstream | None = self.platform.upstream
        assert upstream is not None  # noqa: S101 - the broker is set up with it
        span = fetching.span(request.headers.get("Range"))
        return upstream.fetch(
            UpstreamRequest(
                self.url, cast(Literal["GET", "HEAD"], self.method), span=span, cookie=cookie
            ),
            largest=LARGEST,
            seconds=fetching.FILE_SECONDS,
            stopped=self.watch.stopped,
        )

    def _answered(self, answer: UpstreamResponse) -> AnyResponse:
        if answer.set_cookies:
            said = [one for line in answer.set_cookies if (one := jar.read(line, self.now))]
            with self._work() as work:
                own_jar.keep(work, self.recording.id, self.address.host, said, self.now)
        if answer.status in REDIRECTS and "location" in answer.headers:
            answer.close()
            return self._redirected(answer.headers["location"])
        kind = Kind.of(answer)
        shape = kind.shape()
        shown = kind.mime in fetching.SHOWN | fetching.PROGRAMS and (
            self.page or shape is not Shape.PAGE
        )
        whole = answer.status in WHOLE or (answer.status >= 400 and shape is Shape.PAGE)
        if not shown or not whole or self.method == "HEAD":
            answer.close()
            if self.method == "HEAD":
                self._note(status=answer.status)
                return Response(status=answer.status, mimetype=kind.mime)
            # A status of its own: what is there, but of a kind that no rule shows.
            self._saw(kind, answer.status if not whole else 403)
            self._note(status=answer.status if not whole else 403, reason=None if shown else "type")
            return refusal_page(Refusal("missing" if shown else "type", self.url), 404)
        if shape is Shape.PAGE:
            return self._page(answer, kind)
        if shape is Shape.STYLE:
            return self._style(answer, kind)
        return self._file(answer, kind)

    def _redirected(self, location: str) -> AnyResponse:
        try:
            url = str(ada_url.join_url(self.url, location))
        except ValueError:
            url = ""
        self._note(status=302)
        decision = decide(self.at, url.partition("#")[0])
        if not decision.allowed or decision.address is None:
            refused = Visit(self.now, url, "GET", False, str(decision.reason), None, 403)
            with self._work() as work:
                visits.record(work, self.recording.actor, refused)
            return refusal_page(Refusal(str(decision.reason), url), 403)
        address = decision.address
        if address.host == self.shown_at:
            return redirect(local_target(target_of(address.text)), 303)
        if not self.page:
            return redirect(via(address.host, address.text), 303)
        return redirect(go(address.text), 303)

    def _page(self, answer: UpstreamResponse, kind: Kind) -> Response:
        data = self._whole(answer, LARGEST_PAGE)
        nonce = secrets.token_urlsafe(16)
        made = rewrite(
            data, charset=kind.charset, base=self.url, place=self._place, ask=lambda _url: None,
            nonce=nonce, frame=self._frame() if is_page_load(request.headers) else None,
        )  # fmt: skip
        found = reading.read_page(data, kind.charset, self.url)
        self._saw(kind, answer.status, len(data), found)
        self._keep(answer, data)
        self._note(status=answer.status, size=len(data))
        response = Response(made.html, answer.status if answer.status >= 400 else 200)
        response.mimetype = "text/html"
        response.headers["Content-Security-Policy"] = _POLICY.format(nonce=nonce)
        response.headers["Permissions-Policy"] = CLOSED
        return response

    def _style(self, answer: UpstreamResponse, kind: Kind) -> Response:
        data = self._whole(answer, LARGEST_STYLE)
        text, _encoding = decode(data, kind.charset)
        made = map_css(text, base=self.url, place=self._place)
        self._saw(kind, answer.status, len(data))
        self._keep(answer, data)
        self._note(status=answer.status, size=len(data))
        return Response(made, mimetype="text/css")

    def _file(self, answer: UpstreamResponse, kind: Kind) -> Response:
        tee = keeping.Tee() if self._keeps(answer) else None

        def ended(size: int, reason: str) -> None:
            try:
                self._saw(kind, answer.status, size)
                if tee is not None and tee.whole:
                    self._store(answer, tee)
            finally:
                if tee is not None:
                    tee.close()
                cut = None if reason == Reason.ALLOWED else reason
                self._note(status=answer.status, size=size, reason=cut)

        body = _Teeing(answer, ended, tee) if tee is not None else Body(answer, ended)
        response = Response(body, answer.status)
        response.headers["Content-Type"] = kind.mime
        response.headers["Content-Security-Policy"] = headers.FILE_POLICY
        response.headers["Content-Disposition"] = disposition(kind, self.address.path)
        for header in ("content-length", "content-range", "accept-ranges"):
            if header in answer.headers:
                response.headers[header] = answer.headers[header]
        return response

    def _whole(self, answer: UpstreamResponse, most: int) -> bytes:
        data = bytearray()
        with answer:
            for chunk in answer.body:
                data += chunk
                if len(data) > most:
                    raise UpstreamTooLarge("a page larger than can be shown")
                if time.perf_counter() - self.begun > fetching.PAGE_SECONDS:
                    raise UpstreamTimeout("a page slower than anybody waits for")
        return bytes(data)

    def _place(self, url: str, kind: For) -> str | None:
        """Every site has a place here. Forms have none: a recording sends nothing."""
        if url.startswith(f"{self.domain.scheme}://") and self.domain.back(url):
            return url
        decision = decide(self.at, f"https://{url[7:]}" if url.startswith("http://") else url)
        if kind == "form" or not decision.allowed or decision.address is None:
            return None
        address = decision.address
        if address.host == self.shown_at:
            return target_of(address.text)
        try:
            return go(address.text) if kind == "link" else via(address.host, address.text)
        except Invalid:
            return None

    def _frame(self) -> Frame:
        """The guard of scripted pages, first of all scripts, and our bar."""
        school = self.platform.settings.public_url.rstrip("/")
        bar = render_template(
            "broker/bar.html",
            place=_("You are recording %(site)s", site=self.shown_at),
            school=f"{school}/whitelists/record/{self.recording.id}",
        )
        script = {
            "src": static_url("js/guard.js"),
            "data-school": school,
            "data-go": f"{OWN}/go?to=",
            "data-session": str(self.recording.id),
        }
        return Frame(script, bar)

    def _saw(
        self, kind: Kind, status: int, size: int = 0, read: reading.PageRead | None = None
    ) -> None:
        """Write down that this was needed, and what was found in it."""
        what = kind_of(self.wanted_as, kind.mime, page=self.page)
        seen = replace(seen_at(self.address, what), mime=kind.mime, status=status, size=size)
        found: list[Seen] = []
        if read is not None:
            seen = replace(seen, title=read.title, text=read.text, note=RUNS if read.runs else "")
            found += read.found
        with self._work() as work:
            noting.note(work, self.recording.id, [seen, *found], self.now)

    def _keeps(self, answer: UpstreamResponse) -> bool:
        if not self.recording.copying or answer.status != 200:
            return False
        with self._work() as work:
            return keeping.room_for(work, self.recording.id, self.url)

    def _keep(self, answer: UpstreamResponse, data: bytes) -> None:
        if self._keeps(answer):
            with closing(keeping.Tee()) as tee:
                tee.add(data)
                self._store(answer, tee)

    def _store(self, answer: UpstreamResponse, tee: keeping.Tee) -> None:
        """A store that does not answer costs the copy this answer, and the officer nothing else."""
        try:
            with self._work() as work:
                keeping.keep(
                    work, self.platform.files, self.recording.id, tee, url=self.url, at=self.now,
                    headers=answer.headers,
                )  # fmt: skip
        except StorageUnavailable:
            log.warning("answer_not_kept", recording=str(self.recording.id))

    def _work(self) -> AbstractContextManager[UnitOfWork]:
        return self.platform.database.work(self.recording.actor.person_id)

    def _note(self, *, status: int, size: int = 0, reason: str | None = None) -> None:
        """The line in the log, once: with it the transfer has ended."""
        if self.noted:
            return
        self.noted = True
        if self.lease is not None:
            self.lease.close()
        refused = reason in ("rate", "busy")
        ms = int((time.perf_counter() - self.begun) * 1000)
        visit = Visit(
            self.now, self.url, self.method, not refused, (reason or "recording")[:30], None,
            status, size, ms, typed=self._typed(),
        )  # fmt: skip
        with self._work() as work:
            visits.record(work, self.recording.actor, visit)

    def _typed(self) -> bool:
        """Whether free text went out with it."""
        shapes = (one.shape for one in shapes_of(self.address.query))
        return any(shape in (None, Field.TEXT) for shape in shapes)


class _Teeing(Body):
    """The bytes of an answer as they come, kept beside it."""

    def __init__(
        self, answer: UpstreamResponse, ended: Callable[[int, str], None], tee: keeping.Tee
    ) -> None:
        super().__init__(answer, ended)
        self._chunks = tee.through(self._chunks)
