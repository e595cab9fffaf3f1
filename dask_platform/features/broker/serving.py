"""One request to a site: decide, fetch, clean or hand on, and write down what came of it."""

from __future__ import annotations

from functools import partial

from flask import Response, g, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from dask_platform.features.broker import fetching, headers, jar, rendering, tickets, visits
from dask_platform.features.broker.addresses import go, target_of, via
from dask_platform.features.broker.deciding import Desk, desk
from dask_platform.features.broker.fetching import Shape
from dask_platform.features.broker.refusals import Refusal, refusal_page
from dask_platform.features.broker.transfer import Failed, Found, Moved, Sent, Transfer
from dask_platform.features.broker.visits import Visit
from dask_platform.features.whitelists.engine import Decision, Reason
from dask_platform.kernel.actor import Actor
from dask_platform.web.context import actor, platform, uow
from dask_platform.web.platform import Platform


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
    return _shown(at, decision, host, shown_at)


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


def _shown(at: Desk, decision: Decision, host: str, shown_at: str) -> AnyResponse:
    """Fetch what was allowed. Whatever happens, what went out stands in the log."""
    g.visit_noted = True
    sent = Sent(
        host, shown_at, method_of(),
        token=request.cookies.get(tickets.cookie_name(platform().settings), ""),
        address=request.remote_addr, span=fetching.span(request.headers.get("Range")),
    )  # fmt: skip
    transfer = Transfer(platform(), actor(), at, decision, sent, partial(_write, platform()))
    try:
        cookie = jar.header(uow(), actor(), transfer.url, platform().clock.now())
        g.uow.commit()
        return _answer(transfer, transfer.fetch(cookie))
    except Exception as error:
        transfer.note(status=502, reason=type(error).__name__)
        raise


def _write(parts: Platform, who: Actor, visit: Visit) -> None:
    with parts.database.work(who.person_id) as work:
        visits.record(work, who, visit)


def _answer(transfer: Transfer, outcome: Found | Moved | Failed) -> AnyResponse:
    match outcome:
        case Failed(reason, status):
            return refusal_page(Refusal(reason, transfer.url), status)
        case Moved(url):
            return _moved(transfer, url)
    answer, kind, shape = outcome
    if transfer.sent.method == "HEAD":
        answer.close()
        transfer.note(status=answer.status)
        return Response(status=answer.status, mimetype=kind.mime)
    if shape is Shape.PAGE:
        return _page(transfer, outcome)
    if shape is Shape.STYLE:
        return _style(transfer, outcome)
    status, given, body = transfer.file(answer, kind)
    return Response(body, status, given)


def _moved(transfer: Transfer, url: str) -> AnyResponse:
    """Where the site sends us on to, decided afresh."""
    decision = transfer.at.decide(url)
    if not decision.allowed or decision.address is None:
        why = str(decision.reason)
        now = platform().clock.now()
        _write(platform(), transfer.actor, Visit(now, url, "GET", False, why, decision.rule, 403))
        return refusal_page(Refusal(why, url), 403)
    address = decision.address
    if address.host == transfer.sent.shown_at:
        return redirect(local_target(target_of(address.text)), 303)
    if not transfer.page:
        return redirect(via(address.host, address.text), 303)
    return redirect(go(address.text), 303)


def _page(transfer: Transfer, found: Found) -> Response:
    data = transfer.whole(found.answer, Shape.PAGE)
    made, nonce = rendering.page(
        data, found.kind.charset, transfer.url, transfer.at, transfer.rule, transfer.sent.host
    )
    status = found.answer.status
    transfer.note(status=status, size=len(data))
    response = Response(made, status if status >= 400 else 200)
    response.mimetype = "text/html"
    response.headers["Content-Security-Policy"] = headers.page_policy(nonce)
    return response


def _style(transfer: Transfer, found: Found) -> Response:
    data = transfer.whole(found.answer, Shape.STYLE)
    made = rendering.style(data, found.kind.charset, transfer.url, transfer.at, transfer.sent.host)
    transfer.note(status=found.answer.status, size=len(made))
    return Response(made, headers=headers.KEPT, mimetype="text/css")
