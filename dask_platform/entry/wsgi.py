"""What gunicorn loads: the school and, where it is set up, the broker. The host says which."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dask_platform.entry.resources import make_resources
from dask_platform.entry.school import make_school
from dask_platform.entry.wiring import build_platform, configure_logging
from dask_platform.features.broker.addresses import Domain
from dask_platform.kernel.settings import load_settings
from dask_platform.web.platform import Platform

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def make_both(platform: Platform) -> WSGIApplication:
    """One door: what is asked of a host below the broker's domain is the broker's, all else the
    school's. Each refuses a host that is not its own."""
    school: WSGIApplication = make_school(platform)
    if platform.settings.resources_url is None:
        return school
    domain = Domain.of(platform.settings.resources_url)
    resources = make_resources(platform)

    def choose(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        below = domain.label(str(environ.get("HTTP_HOST", "")).lower()) is not None
        return (resources if below else school)(environ, start)

    return choose


settings = load_settings()
configure_logging(settings)
platform = build_platform(settings)
app = make_both(platform)


def close() -> None:
    """A process that ends lets go of what it holds open: gunicorn calls it in each worker."""
    if platform.upstream is not None:
        platform.upstream.close()
    platform.database.dispose()
