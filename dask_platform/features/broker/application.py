"""The broker as an application of its own, on a domain of its own.

Every address below its domain is a site's, but for ``/_dask/``. Every request is decided afresh.
What is refused is answered with a page that says what and why, and how to ask for it.
"""

from __future__ import annotations

from dataclasses import replace

import structlog
from flask import Blueprint, Response, current_app, g, redirect, request
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response as AnyResponse

from dask_platform.features.broker import (
    deciding,
    entering,
    headers,
    recording,
    scripted,
    searching,
    sending,
    serving,
    tickets,
)
from dask_platform.features.broker.addresses import OWN, Domain, is_own, local_target, target_of
from dask_platform.features.broker.files import Files
from dask_platform.features.broker.limits import Allowance, Limits
from dask_platform.features.broker.recording_transfer import WANTED_PATH
from dask_platform.features.broker.refusals import Refusal, refusal_page
from dask_platform.features.broker.visit_log import VisitLog
from dask_platform.features.broker.visits import Visit
from dask_platform.features.recorder import tickets as recording_tickets
from dask_platform.features.whitelists.engine import Decision, Reason
from dask_platform.kernel import errors
from dask_platform.kernel.actor import Actor
from dask_platform.security.hostmap import host_of
from dask_platform.security.permissions import Permission
from dask_platform.web import i18n, metrics, requests
from dask_platform.web.access import Access, public, requires
from dask_platform.web.app import TEMPLATES, static, static_url
from dask_platform.web.context import actor, actor_or_none, platform, uow
from dask_platform.web.platform import Platform

log = structlog.get_logger("dask.broker")

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
broker = Blueprint("broker", __name__, template_folder="templates")


class BrokerFlask(requests.DaskFlask):
    """The same road for every request as in the school, with the broker's own cookie."""

    def token(self) -> str | None:
        return request.cookies.get(tickets.cookie_name(platform().settings))

    def resume(self, token: str | None) -> Actor | None:
        host = site()
        if host is None:
            return None
        parts = platform()
        now, address = parts.clock.now(), request.remote_addr
        g.held = deciding.held(parts, token, host, address, now)
        if g.held is not None:
            g.uow.act_from_now(g.held.actor.person_id)
        if g.held is not None or not token:
            return g.held.actor if g.held else None
        g.recording = recording_tickets.resume(g.uow, token, host, now, address)
        return g.recording.actor if g.recording else None

    def _authorise(self, access: Access | None) -> None:
        """Whoever records has come to look at sites, and not to read what is open."""
        if g.get("recording") and access and access.permission is Permission.SITES_READ:
            access = replace(access, permission=Permission.SITES_RECORD)
        super()._authorise(access)

    def protect(self) -> None:
        """What is sent to a site is let in by a word of its own (``forms``), once it has been read;
        all else as in the school."""
        if request.endpoint == "broker.wanted":
            return  # a browser's own report: there is no form that could carry a word of ours
        if request.endpoint != "broker.page":
            super().protect()
        elif request.method == "POST":
            self.again(sending.take_in)


def make_broker(platform: Platform) -> BrokerFlask:
    """The application. ``DASK_RESOURCES_URL`` must be set."""
    domain = Domain.of(platform.settings.resources_url or "")
    app = BrokerFlask("dask_broker", static_folder=None, template_folder=str(TEMPLATES))
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.config.update(
        SECRET_KEY=platform.settings.secret(),
        SESSION_COOKIE_NAME="dask-broker-form",
        TRUSTED_HOSTS=[f".{domain.domain}"],
        MAX_CONTENT_LENGTH=requests.FORM_BYTES_MOST,
        STATIC_PREFIX=f"{OWN}/static",
    )
    app.extensions["dask"] = platform
    app.extensions["dask_broker_domain"] = domain
    limits = app.extensions["dask_broker_limits"] = Limits(Allowance.of(platform.settings))
    lines = app.extensions["dask_broker_log"] = VisitLog(platform.database)
    app.wsgi_app = Files(  # type: ignore[method-assign, assignment]
        app.wsgi_app, platform, domain, limits, lines
    )
    if platform.settings.proxy_hops:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app,
            x_for=platform.settings.proxy_hops,
            x_proto=0,
            x_host=0,
            x_port=0,
            x_prefix=0,
        )
    app.jinja_env.globals.update(static_url=static_url)
    app.context_processor(lambda: {"locale": i18n.locale_code()})
    app.url_map.merge_slashes = False
    requests.install(app)
    i18n.install(app)
    metrics.count_sql(platform.database.engine)
    app.add_url_rule(f"{OWN}/static/<version>/<path:filename>", "static", static)
    app.register_blueprint(broker)
    app.register_error_handler(errors.DaskError, _domain_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _fault)
    app.after_request(_headers)
    return app


def domain() -> Domain:
    """The broker's domain, as this application was made for."""
    found: Domain = current_app.extensions["dask_broker_domain"]
    return found


def site() -> str | None:
    """The site that this request's host stands for; None where it stands for none."""
    label = domain().label(request.host)
    return host_of(label) if label else None


@broker.route(f"{OWN}/enter", provide_automatic_options=False)
@public("the ticket says who comes; it is good once, for seconds, on this host alone")
def enter() -> AnyResponse:
    """Take a ticket from the school, and go on to the page it was for."""
    host = site()
    if host is None or not scripted.is_page_load(request.headers):
        raise errors.NotAuthenticated()
    now, ticket = platform().clock.now(), request.args.get("ticket", "")
    token = tickets.redeem(uow(), ticket, host, now)
    if token is not None:
        address, fresh = entering.way_on(token, host, domain(), now)
    else:
        token = recording_tickets.redeem(uow(), ticket, host, now)
        address, fresh = local_target(request.args.get("to", "/")), entering.FRESH
    if token is None:
        raise errors.NotAuthenticated()
    response = redirect(address, 303)
    response.headers.update(fresh)
    settings = platform().settings
    response.set_cookie(
        tickets.cookie_name(settings), token,
        httponly=True, secure=settings.https, samesite="Lax", path="/",
    )  # fmt: skip
    return response


@broker.route(f"{OWN}/go", provide_automatic_options=False)
@requires(Permission.SITES_READ)
def go() -> AnyResponse:
    """A link from one approved site to another: decided here, with a ticket to the other host."""
    url = request.args.get("to", "")
    now = platform().clock.now()
    if not scripted.is_page_load(request.headers):
        # A link leads here. What script fetches has no business with tickets.
        return _no_address(403)
    if held := recording.live():
        return recording.lead_on(held, url, domain())
    decision = serving.held_now().desk(now).decide(url)
    if not decision.allowed or decision.address is None:
        return serving.refuse(url, "GET", decision)
    address = decision.address
    ticket = tickets.issue(uow(), actor(), address.host, now)
    return redirect(domain().entry(address.host, ticket, target_of(address.text)), 303)


@broker.route(f"{OWN}/via/<label>/", defaults={"rest": ""}, methods=METHODS, strict_slashes=False)
@broker.route(f"{OWN}/via/<label>/<path:rest>", methods=METHODS)
@requires(Permission.SITES_READ)
def via(label: str, rest: str) -> AnyResponse:
    """A picture, style or font from a host beside the page's own. Never a page."""
    host, shown_at = host_of(label), site()
    target = serving.raw_target()
    prefix = f"{OWN}/via/{label}"
    beside = host is not None and host != shown_at
    if host is None or shown_at is None or not (beside and target.startswith(f"{prefix}/")):
        return _no_address(400)
    target = target.removeprefix(prefix)
    if held := recording.live():
        return recording.serve(held, host, target, shown_at=shown_at)
    return serving.serve(host, target, shown_at=shown_at)


@broker.route(WANTED_PATH, methods=["POST"], provide_automatic_options=False)
@requires(Permission.SITES_READ)
def wanted() -> AnyResponse:
    """What a page that is recorded could not reach: a report of the browser's."""
    held = recording.live()
    return recording.wanted(held) if held else _no_address(404)


@broker.route(searching.SEARCH, provide_automatic_options=False)
@requires(Permission.SITES_READ)
def search() -> AnyResponse:
    """Search in the copy of a frozen site."""
    host = site()
    return _no_address(404) if host is None else searching.search(host)


@broker.route("/", defaults={"path": ""}, methods=METHODS)
@broker.route("/<path:path>", methods=METHODS)
@requires(Permission.SITES_READ)
def page(path: str) -> AnyResponse:
    """Whatever the site has at this address, if it is open."""
    host = site()
    target = serving.raw_target()
    if host is None or is_own(f"/{path}"):
        return _no_address(404)
    if held := recording.live():
        return recording.serve(held, host, target, shown_at=host)
    return serving.serve(host, target, shown_at=host)


def _no_address(status: int) -> AnyResponse:
    """For what is neither a site's nor ours."""
    url = f"https://{site() or ''}{serving.raw_target()}"
    return serving.refuse(url, serving.method_of(), Decision(False, Reason.BAD_URL), status=status)


def _headers(response: Response) -> Response:
    for name, value in headers.FIXED.items():
        response.headers.setdefault(name, value)
    if platform().settings.https:
        response.headers.update(headers.HSTS)
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _undo() -> None:
    work = g.get("uow")
    if work is not None:
        work.rollback()


def _note(status: int, reason: str) -> None:
    """What was refused before anything was decided stands in the log like the rest."""
    who = actor_or_none()
    if who is None or g.get("visit_noted"):
        return
    g.visit_noted = True
    url = f"https://{site() or ''}{serving.raw_target()}"
    if reason == "session":
        url = url.partition("?")[0]  # there may be a ticket in it
    visit = Visit(
        platform().clock.now(), url, serving.method_of(), False, reason[:30], status=status
    )
    serving.visit_log().add(who, visit)


def _domain_error(error: errors.DaskError) -> AnyResponse:
    _undo()
    if isinstance(error, errors.NotAuthenticated | errors.SecondFactorNeeded):
        _note(401, "session")
        return refusal_page(Refusal("session", None), 401)
    if isinstance(error, errors.UpstreamError | errors.TooLarge):
        # What a stranger's server said stays in the log; the student reads our own sentence.
        log.warning("upstream", error=type(error).__name__)
        return refusal_page(Refusal("upstream", None, error.message), 502)
    log.warning("refused", error=type(error).__name__)
    _note(404, type(error).__name__)
    return refusal_page(Refusal("closed", None), 404)


def _http_error(error: HTTPException) -> AnyResponse:
    _undo()
    if error.response is not None or error.code is None:
        return Response("Bad request\n", 400, mimetype="text/plain")
    if g.get("uow") is None:
        return Response("Bad request\n", 400, mimetype="text/plain")
    reason = "closed" if serving.method_of() in ("GET", "HEAD") else str(Reason.METHOD)
    _note(error.code, reason)
    return refusal_page(Refusal(reason, None), error.code)


def _fault(error: Exception) -> AnyResponse:
    _undo()
    log.exception("fault", error=type(error).__name__)
    return refusal_page(Refusal("fault", None), 500)
