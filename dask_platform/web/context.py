"""What a view asks for: the platform, the unit of work, who acts."""

from __future__ import annotations

from typing import cast

from flask import current_app, g

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import NotAuthenticated
from dask_platform.web.platform import Platform


def platform() -> Platform:
    return cast(Platform, current_app.extensions["dask"])


def uow() -> UnitOfWork:
    """This request's transaction; it commits after the view returns, and only then."""
    return cast(UnitOfWork, g.uow)


def actor_or_none() -> Actor | None:
    return cast("Actor | None", g.get("actor"))


def actor() -> Actor:
    """Who acts. Raises ``NotAuthenticated`` when nobody is logged in."""
    found = actor_or_none()
    if found is None:
        raise NotAuthenticated("Log in to go on.")
    return found
