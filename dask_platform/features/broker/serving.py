"""One request to a site: decide, fetch, clean or hand on, and write down what came of it."""

from __future__ import annotations

from flask import Response, current_app, g, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from dask_platform.features.broker import (
    fetching,
    headers,
    jar,
    rendering,
    scripted,
    sending,
    tickets,
)
from dask_platform.features.broker.addresses import Domain, go, local_target, target_of, via
from dask_platform.features.broker.deciding import Desk, Held
from dask_platform.features.broker.fetching import Shape
from dask_platform.features.broker.forms import Filled, FormRefused
from dask_platform.features.broker.refusals import Refusal, refusal_page
from dask_platform.features.broker.transfer import Failed, Found, Moved, Sent, Transfer
from dask_platform.features.broker.visit_log import VisitLog
from dask_platform.features.broker.visits import Visit
from dask_platform.features.whitelists.engine import Decision, Reason
from dask_platform.features.whitelists.rules import Profile
from dask_platform.kernel.errors import NotVisible
from dask_platform.web.context import actor, platform, uow


def raw_target() -> str:
    """Path and query as the browser wrote them: decoded once too often, an address is another."""
    environ = request.environ
    raw = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "")
    return raw if raw.startswith("/") else "/\\"  # an absolute form is refused as no address


def method_of() -> str:
    """The method as the browser sent it: views of ours see HEAD as GET."""
    return str(request.environ.get("REQUEST_METHOD", ""))


def serve(host: str, target: str, *, shown_at: str) -> AnyResponse:
    """The answer to a request for ``target`` on ``host``. ``shown_at`` is the site that the browser
    is at: where it is another, only what stands in a page may come, and no page."""
    url, method = f"https://{host}{target}", method_of()
    now = platform().clock.now()
    at = held_now().desk(now)
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
    if not fetching.can_be_read(rule):
        return refuse(url, method, decision, "frozen")
    if scripted.is_shut(request.headers):
        return refuse(url, method, decision, "type")
    helped = None
    if host == shown_at:
        helped = scripted.helping(at, decision, host, _domain(), request.headers)
        if helped is not None and request.headers.get("Sec-Fetch-Mode") == "navigate":
            return refuse(url, method, decision, "type")
    try:
        form = sending.received(rule, decision.address) if method == "POST" else None
    except FormRefused as refused:
        return refuse(url, method, decision, refused.reason, 400, refused.written)
    return _shown(at, decision, host, shown_at, form, helped)


def refuse(
    url: str, method: str, decision: Decision, reason: str | None = None, status: int = 403,
    written: tuple[tuple[str, str], ...] = (),
) -> Response:  # fmt: skip
    """The page that says why, and a line in the log. ``written``: what would be lost otherwise."""
    why = reason or str(decision.reason)
    g.visit_noted = True
    now = platform().clock.now()
    visit_log().add(actor(), Visit(now, url, method, False, why, decision.rule, status))
    return refusal_page(Refusal(why, decision.canonical or url, written=written), status)


def _shown(
    at: Desk, decision: Decision, host: str, shown_at: str, form: Filled | None,
    helped: scripted.Helping | None,
) -> AnyResponse:  # fmt: skip
    """Fetch what was allowed. Whatever happens, what went out stands in the log."""
    g.visit_noted = True
    sent = Sent(
        host, shown_at, method_of(),
        token=request.cookies.get(tickets.cookie_name(platform().settings), ""),
        address=request.remote_addr, span=fetching.span(request.headers.get("Range")),
        form=form,
    )  # fmt: skip
    transfer = Transfer(
        platform(), actor(), at, decision, sent, visit_log().add,
        current_app.extensions["dask_broker_limits"],
    )  # fmt: skip
    if helped is not None:
        transfer.page, transfer.rule = False, helped.rule
    try:
        visit_log().room()
        cookie = _cookie(transfer)
        g.uow.commit()
        return scripted.shared(_answer(transfer, transfer.fetch(cookie)), helped)
    except Exception as error:
        transfer.note(status=502, reason=type(error).__name__)
        raise


def _domain() -> Domain:
    found: Domain = current_app.extensions["dask_broker_domain"]
    return found


def held_now() -> Held:
    """What holds for who asks. Raises ``NotVisible`` where it is somebody who records."""
    found: Held | None = g.get("held")
    if found is None:
        raise NotVisible("There is nothing here.")
    return found


def _cookie(transfer: Transfer) -> str | None:
    now = platform().clock.now()
    if transfer.page:
        return jar.line(held_now().crumbs, transfer.path, now)
    return jar.header(uow(), actor(), transfer.url, now)


def visit_log() -> VisitLog:
    """Where this application writes who went where."""
    found: VisitLog = current_app.extensions["dask_broker_log"]
    return found


def _answer(transfer: Transfer, outcome: Found | Moved | Failed) -> AnyResponse:
    match outcome:
        case Failed(reason, status, after):
            return _failed(transfer, reason, status, after)
        case Moved(url):
            return _moved(transfer, url)
    answer, kind, shape = outcome
    if not scripted.may_run_here(transfer.rule, transfer.sent, kind):
        answer.close()
        transfer.note(status=403, reason="type")
        return _failed(transfer, "type", 403, None)
    if transfer.sent.method == "HEAD":
        answer.close()
        transfer.note(status=answer.status)
        return Response(status=answer.status, mimetype=kind.mime)
    if shape is Shape.PAGE:
        return _page(transfer, outcome)
    if shape is Shape.STYLE:
        return _style(transfer, outcome)
    status, given, body = transfer.file(answer, kind)
    if kind.mime in fetching.PROGRAMS:
        given["Content-Type"] = scripted.content_type(kind)
    return Response(body, status, given)


def _failed(transfer: Transfer, reason: str, status: int, after: int | None) -> Response:
    form = transfer.sent.form
    written = form.fields if form is not None and after is not None else ()
    response = refusal_page(Refusal(reason, transfer.url, written=written), status)
    if after is not None:
        response.headers["Retry-After"] = str(after)
    return response


def _moved(transfer: Transfer, url: str) -> AnyResponse:
    """Where the site sends us on to, decided afresh."""
    decision = transfer.at.decide(url)
    if not decision.allowed or decision.address is None:
        why = str(decision.reason)
        now = platform().clock.now()
        visit_log().add(transfer.actor, Visit(now, url, "GET", False, why, decision.rule, 403))
        return refusal_page(Refusal(why, url), 403)
    address = decision.address
    if address.host == transfer.sent.shown_at:
        return redirect(local_target(target_of(address.text)), 303)
    if not transfer.page or not scripted.is_page_load(request.headers):
        return redirect(via(address.host, address.text), 303)
    return redirect(go(address.text), 303)


def _page(transfer: Transfer, found: Found) -> Response:
    data = transfer.whole(found.answer, Shape.PAGE)
    status, rule, charset = found.answer.status, transfer.rule, found.kind.charset
    if rule.profile is Profile.SCRIPTED:
        made, given = scripted.page(
            data, charset, transfer.url, transfer.at, rule, transfer.sent.host, _domain(),
            request.headers,
        )  # fmt: skip
    else:
        made, nonce = rendering.page(
            data, charset, transfer.url, transfer.at, rule, transfer.sent.host
        )
        given = {"Content-Security-Policy": headers.page_policy(nonce)}
    transfer.note(status=status, size=len(data))
    response = Response(made, status if status >= 400 else 200)
    response.mimetype = "text/html"
    response.headers.update(given)
    return response


def _style(transfer: Transfer, found: Found) -> Response:
    data = transfer.whole(found.answer, Shape.STYLE)
    style = scripted.style if transfer.rule.profile is Profile.SCRIPTED else rendering.style
    made = style(
        data, found.kind.charset, transfer.url, transfer.at, transfer.sent.shown_at,
        transfer.actor.person_id,
    )  # fmt: skip
    transfer.note(status=found.answer.status, size=len(made))
    kept = headers.KEPT if transfer.sent.form is None else None
    return Response(made, headers=kept, mimetype="text/css")
