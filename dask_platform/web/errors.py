"""The one module that knows which status code a named error becomes."""

from __future__ import annotations

from typing import Any

import structlog
from flask import Flask, Response, g, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException, SecurityError

from dask_platform.kernel import errors
from dask_platform.web.context import actor_or_none

log = structlog.get_logger("dask.error")

STATUS: dict[type[errors.DaskError], int] = {
    errors.NotVisible: 404,
    errors.FileMissing: 404,
    errors.NotAllowed: 403,
    errors.NotAuthenticated: 401,
    errors.SecondFactorNeeded: 401,
    errors.BadCredentials: 401,
    errors.AccountRefused: 401,
    errors.TooLarge: 413,
    errors.Invalid: 400,
    errors.Conflict: 409,
    errors.Closed: 409,
    errors.Throttled: 429,
    errors.ScanRefused: 409,
    errors.Unavailable: 503,
    errors.UpstreamError: 502,
    errors.FileCorrupt: 500,
    errors.ConfigurationError: 500,
}


def status_of(error: errors.DaskError) -> int:
    """The nearest listed class decides; an error nobody listed is a fault of ours."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return 500


def install(app: Flask) -> None:
    app.register_error_handler(errors.DaskError, _domain)
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(SecurityError, _strange_host)
    app.register_error_handler(StaleDataError, _stale)
    app.register_error_handler(IntegrityError, _stale)
    app.register_error_handler(DataError, _bad_data)
    app.register_error_handler(OperationalError, _no_database)
    app.register_error_handler(PoolTimeout, _no_database)
    app.register_error_handler(Exception, _fault)


def _domain(error: errors.DaskError) -> Response:
    _undo()
    if isinstance(error, errors.NotAuthenticated) and request.method in ("GET", "HEAD"):
        return redirect(url_for("identity.login", next=_here()), 303)  # type: ignore[return-value]
    if isinstance(error, errors.SecondFactorNeeded) and request.method in ("GET", "HEAD"):
        return redirect(url_for("identity.second_factor", next=_here()), 303)  # type: ignore[return-value]
    status = status_of(error)
    if status >= 500:
        log.error("unavailable", error=type(error).__name__, message=str(error))
    response = _page(status, text=_(error.message, **error.params) if error.message else None)
    if isinstance(error, errors.Throttled):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _http(error: HTTPException) -> Response:
    _undo()
    if error.response is not None:
        return make_response(error.response)
    response = _page(error.code or 500)
    if error.code == 405:
        response.headers["Allow"] = ", ".join(getattr(error, "valid_methods", None) or ())
    return response


def _strange_host(_error: SecurityError) -> Response:
    """No page of ours: under a name that is not ours, not one address can be built for it."""
    _undo()
    return Response("Bad request\n", 400, mimetype="text/plain")


def _csrf(_error: CSRFError) -> Response:
    _undo()
    return _page(
        400,
        title=_("The form was too old"),
        text=_("Nothing was saved. Go back, load the page again and send the form once more."),
    )


def _stale(_error: Exception) -> Response:
    _undo()
    return _page(409)


def _bad_data(_error: Exception) -> Response:
    _undo()
    return _page(400)


def _no_database(error: Exception) -> Response:
    _undo()
    log.error("database_unavailable", error=type(error).__name__)
    return _page(503)


def _fault(error: Exception) -> Response:
    _undo()
    log.exception("fault", error=type(error).__name__)
    return _page(500)


def _undo() -> None:
    """The transaction ends here: an error page changes nothing, and must not be refused by one."""
    work = g.get("uow")
    if work is not None:
        work.rollback()


def _here() -> str | None:
    """Where to go on after log-in: a path of ours, never an address that somebody wrote."""
    return request.full_path.rstrip("?") if request.path != "/" else None


def _texts(status: int) -> tuple[str, str]:
    texts = {
        400: (_("That did not work"), _("The platform did not understand what was sent.")),
        401: (_("You are logged out"), _("Log in again to go on.")),
        403: (_("Not allowed now"), _("You cannot do this at the moment.")),
        404: (_("There is nothing here"), _("The page does not exist, or it is not open to you.")),
        405: (_("That did not work"), _("The page cannot be used in this way.")),
        409: (
            _("Somebody else changed this first"),
            _("Nothing was overwritten. Go back, load the page again, and make your change anew."),
        ),
        413: (_("Too large"), _("What you sent is larger than the platform takes.")),
        429: (_("Too many tries"), _("Wait a little, then try again.")),
        503: (
            _("Not working just now"),
            _("A part of the platform does not answer. Wait a minute, then try again."),
        ),
    }
    fault = (_("Something went wrong"), _("The fault is ours and has been noted. Try again."))
    return texts.get(status, fault if status >= 500 else texts[400])


def _page(status: int, *, title: str | None = None, text: str | None = None) -> Response:
    default_title, default_text = _texts(status)
    steps: list[tuple[str, str]] = []
    if status == 401:
        steps.append((_("Log in"), url_for("identity.login")))
    elif actor_or_none() is not None:
        steps.append((_("To the front page"), url_for("home.home")))
    context: dict[str, Any] = {
        "title": title or default_title,
        "text": text or default_text,
        "steps": steps,
        "status": status,
        "request_id": g.get("request_id", ""),
    }
    return make_response(render_template("errors/error.html", **context), status)
