"""The way every request travels: load, authorise, act, commit, respond.

One request is one transaction. The view runs inside it; its changes, audit rows and jobs are
committed together after the view has returned, and none of them if anything fails.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from functools import cached_property
from gettext import NullTranslations
from typing import Any

import structlog
from flask import Flask, Response, g, request
from flask_login import LoginManager, UserMixin
from flask_wtf.csrf import CSRFProtect
from werkzeug.exceptions import NotFound, RequestEntityTooLarge

from dask_platform.db.unit_of_work import Origin
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import Invalid, NotAuthenticated, NotVisible, SecondFactorNeeded
from dask_platform.security.policy import may_ever
from dask_platform.web import i18n, metrics, sessions, uploads
from dask_platform.web.access import Access, access_of
from dask_platform.web.context import actor_or_none, platform

FORM_BYTES_MOST = 1024 * 1024
FORM_PARTS_MOST = 500
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

csrf = CSRFProtect()
log = structlog.get_logger("dask.request")


class CurrentUser(UserMixin):  # type: ignore[misc]
    """What Flask-Login calls ``current_user``: a thin coat over the actor, and nothing more."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor

    def get_id(self) -> str:
        return str(self.actor.person_id)

    @property
    def display_name(self) -> str:
        return self.actor.display_name


class DaskRequest(uploads.UploadRequest):
    """A request that receives files in constant memory, and knows its forms' language.

    Views see HEAD as GET, so that a page answers both alike. Werkzeug, which looks at the server's
    own word for it, sends no body.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.method == "HEAD":
            self.method = "GET"

    @cached_property
    def wtforms_translations(self) -> NullTranslations:
        """Where Flask-WTF looks first; otherwise it reads the catalogue from the disk each time.

        Asked for when a form is made, and so after the actor, whose language it is, is known.
        """
        return i18n.form_translations(i18n.locale_code())


class DaskFlask(Flask):
    """Flask, with the transaction around each view."""

    request_class = DaskRequest

    def dispatch_request(self) -> Any:
        self._enter()
        answer = super().dispatch_request()
        g.uow.commit()
        return answer

    def _enter(self) -> None:
        parts = platform()
        g.uow = parts.database.begin()
        g.uow.origin = Origin(address=request.remote_addr, request_id=g.request_id)
        token = self.token()
        missing = request.routing_exception
        access = None if missing is not None else self._access()
        if access is not None and access.permission is None and not _wants_actor(access):
            return
        g.actor = self.resume(token)
        g.session_lost = bool(token) and g.actor is None
        refuse_nul()
        if missing is not None:
            # Only now: the page that says so speaks the person's language and has their menu.
            raise missing
        self._authorise(access)
        if request.method not in _SAFE:
            _limit_body(access)
            if access is not None and access.upload:
                self.again(lambda: request.form)
            self.protect()

    def protect(self) -> None:
        """Refuse what another site made the browser send."""
        csrf.protect()

    def token(self) -> str | None:
        """What the browser shows of its session."""
        return request.cookies.get(sessions.token_cookie(platform().settings))

    def resume(self, token: str | None) -> Actor | None:
        """Who is behind ``token``, and is from here on the actor of the transaction."""
        return sessions.resume(g.uow, token, platform().clock.now(), request.remote_addr)

    def again(self, receive: Callable[[], object]) -> None:
        """Take in the body with no transaction open, then ask again who acts and may.

        Bytes can be slow to come; meanwhile nobody holds a connection, and a session that ended
        during the upload has ended.
        """
        g.uow.commit()
        receive()
        g.actor = self.resume(self.token())
        self._authorise(self._access())

    def _access(self) -> Access | None:
        """What the endpoint says of itself."""
        if request.endpoint is None:
            raise NotFound()
        access = access_of(self.view_functions[request.endpoint])
        if access is None:
            # Default deny: a view that does not say who may call it is called by nobody.
            log.error("endpoint_without_access", endpoint=request.endpoint)
            raise NotVisible("There is nothing here.")
        return access

    def _authorise(self, access: Access | None) -> None:
        if access is None or access.permission is None:
            return
        actor = actor_or_none()
        if actor is None:
            raise NotAuthenticated("Log in to go on.")
        settings = platform().settings
        if actor.is_student and not _in_own_room(actor):
            raise NotAuthenticated("Log in from a classroom of your unit.")
        wanted = settings.second_factor_required or actor.has_second_factor
        early = access.before_second_factor or actor.second_factor
        if actor.is_staff and wanted and not early:
            raise SecondFactorNeeded("Confirm with your second factor.")
        if not may_ever(actor, access.permission):
            raise NotVisible("There is nothing here.")


def _wants_actor(access: Access) -> bool:
    """Public pages show who is logged in, but style sheets and health checks need not know."""
    return access.why != "static"


def _in_own_room(actor: Actor) -> bool:
    unit = actor.unit_id
    return unit is not None and platform().rooms.current().admits(unit, request.remote_addr)


def _limit_body(access: Access | None) -> None:
    settings = platform().settings
    upload = access is not None and access.upload
    request.max_content_length = (
        uploads.request_bytes_most(settings.upload_max_bytes) if upload else FORM_BYTES_MOST
    )
    request.max_form_memory_size = FORM_BYTES_MOST
    request.max_form_parts = FORM_PARTS_MOST
    length = request.content_length
    if length is not None and length > request.max_content_length:
        raise RequestEntityTooLarge()


def _current_user(_request: Any) -> CurrentUser | None:
    actor = actor_or_none()
    return CurrentUser(actor) if actor else None


def refuse_nul() -> None:
    """No column and no file name of ours holds a NUL; refuse it once, for every page. Bytes in the
    query that are no UTF-8 are refused with it."""
    try:
        words = [word for pair in request.args.items(multi=True) for word in pair]
    except UnicodeDecodeError:
        words = ["\x00"]
    if any("\x00" in word for word in (request.path, *words)):
        raise Invalid("The address holds a character that cannot be used.")


def install(app: DaskFlask) -> None:
    """Request ids, Flask-Login, CSRF, the access log, and the end of each transaction."""
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    app.config["WTF_CSRF_TIME_LIMIT"] = None
    csrf.init_app(app)

    manager = LoginManager(app)
    manager.session_protection = None

    manager.request_loader(_current_user)

    @app.before_request
    def begin() -> None:
        g.started = time.perf_counter()
        g.request_id = uuid.uuid4().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)
        metrics.start_counting_sql()

    @app.after_request
    def finish(response: Response) -> Response:
        seconds = time.perf_counter() - g.get("started", time.perf_counter())
        endpoint = request.endpoint or "none"
        statements = metrics.sql_statements()
        metrics.observe(endpoint, request.method, response.status_code, seconds, statements)
        if endpoint != "static":
            log.info(
                "request",
                method=request.method,
                endpoint=endpoint,
                status=response.status_code,
                ms=round(seconds * 1000, 1),
                sql=statements,
            )
        response.headers["X-Request-Id"] = g.get("request_id", "")
        return response

    @app.teardown_request
    def close(_error: BaseException | None) -> None:
        work = g.pop("uow", None)
        if work is not None:
            work.close()
