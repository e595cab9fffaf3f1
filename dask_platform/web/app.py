"""Making a Flask application with everything that every page shares."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Response, current_app, g, send_from_directory, url_for
from flask_babel import gettext
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup
from werkzeug.middleware.proxy_fix import ProxyFix

from dask_platform.web import (
    errors,
    headers,
    i18n,
    metrics,
    navigation,
    requests,
    sessions,
)
from dask_platform.web.access import public
from dask_platform.web.context import actor_or_none
from dask_platform.web.platform import Platform

STATIC = Path(__file__).parent / "static"
TEMPLATES = Path(__file__).parent / "templates"


def make_app(name: str, platform: Platform) -> requests.DaskFlask:
    """An application with no page of its own yet."""
    settings = platform.settings
    app = requests.DaskFlask(name, static_folder=None, template_folder=str(TEMPLATES))
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.config.update(
        SECRET_KEY=settings.secret(),
        DEBUG=settings.debug,
        SESSION_COOKIE_NAME=sessions.form_cookie(settings),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SECURE=settings.https,
        SESSION_COOKIE_SAMESITE="Lax",
        TRUSTED_HOSTS=_hosts(platform),
        MAX_CONTENT_LENGTH=requests.FORM_BYTES_MOST,
    )
    app.extensions["dask"] = platform
    if settings.proxy_hops:
        # The address of the client comes from our own proxy alone; host and scheme from settings.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=settings.proxy_hops, x_proto=0, x_host=0, x_port=0, x_prefix=0
        )
    # Put right, ``/log//weeks`` would be answered with a redirect to the host of the request.
    app.url_map.merge_slashes = False
    requests.install(app)
    headers.install(app, https=settings.https)
    i18n.install(app)
    errors.install(app)
    metrics.count_sql(platform.database.engine)
    app.add_url_rule("/static/<version>/<path:filename>", "static", static)
    _templates(app, platform)
    return app


def _hosts(platform: Platform) -> list[str]:
    host = platform.settings.host.rsplit(":", 1)[0]
    return [host] if platform.settings.production else [host, "localhost", "127.0.0.1"]


@public("static")
def static(version: str, filename: str) -> Response:
    """Style sheets, fonts and scripts, under an address that changes with their bytes."""
    response = send_from_directory(STATIC, filename, max_age=31536000)
    response.cache_control.public = True
    response.cache_control.immutable = True
    return response


@lru_cache(maxsize=256)
def _version(filename: str) -> str:
    return hashlib.sha256((STATIC / filename).read_bytes()).hexdigest()[:12]


def static_url(filename: str) -> str:
    """The address of a static file. Its version is in the path, so that it may be kept for ever."""
    prefix = current_app.config.get("STATIC_PREFIX", "/static")
    return f"{prefix}/{_version(filename)}/{filename}"


def csrf_field() -> Markup:
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(generate_csrf())


def _templates(app: requests.DaskFlask, platform: Platform) -> None:
    # Globals, not context: macros are imported without it.
    app.jinja_env.globals.update(csrf_field=csrf_field, static_url=static_url)

    @app.context_processor
    def shared() -> dict[str, Any]:
        actor = actor_or_none()
        return {
            "actor": actor,
            "unit_name": " · ".join(actor.unit_names) if actor else "",
            "nav": navigation.entries(actor),
            "locale": i18n.locale_code(),
            "locales": i18n.LOCALES,
            "environment_label": "" if platform.settings.production else gettext("Demo"),
            "now": platform.clock.now(),
            "home_url": url_for("home.home"),
            "logout_url": url_for("identity.logout"),
            "locale_url": url_for("identity.set_locale"),
            "session_lost": g.get("session_lost", False),
        }
