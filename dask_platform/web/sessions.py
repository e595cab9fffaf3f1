"""From a cookie to an actor.

The cookie holds a random token; the database holds its SHA-256 and everything else. One statement
finds the session, makes its owner the actor of the transaction and describes them.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy import text

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.kernel.actor import Actor, Role
from dask_platform.kernel.settings import Settings

RESUME = text("SELECT dask_resume(:token, :now)")
_TOKEN_MOST = 100


def token_cookie(settings: Settings) -> str:
    """``__Host-`` keeps a neighbouring host from planting one; browsers want https for it."""
    return "__Host-dask" if settings.https else "dask"


def form_cookie(settings: Settings) -> str:
    """The signed cookie for form tokens, messages and the language before log-in."""
    return "__Host-dask-form" if settings.https else "dask-form"


def hash_token(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def resume(uow: UnitOfWork, token: str | None, now: datetime, address: str | None) -> Actor | None:
    """The actor behind ``token``, who is from here on the actor of the transaction; or None."""
    if not token or len(token) > _TOKEN_MOST:
        return None
    row = uow.execute(RESUME, {"token": hash_token(token), "now": now}).scalar()
    return actor_of(row, address) if row else None


def actor_of(row: dict[str, Any], address: str | None) -> Actor:
    """The actor as ``dask_resume`` describes them."""
    return Actor(
        person_id=UUID(row["person"]),
        session_id=UUID(row["session"]),
        username=row["username"],
        display_name=row["name"],
        locale=row["locale"],
        roles={
            Role(role): frozenset(UUID(unit) for unit in units)
            for role, units in row["roles"].items()
        },
        teaches=frozenset(UUID(one) for one in row["teaches"]),
        attends=frozenset(UUID(one) for one in row["attends"]),
        address=address,
        room_id=UUID(row["room"]) if row["room"] else None,
        second_factor=row["second_factor"],
        has_second_factor=row["has_second_factor"],
        session_expires=datetime.fromisoformat(row["expires"]),
        unit_names=tuple(row["units"]),
    )


def set_token(response: Response, settings: Settings, token: str) -> None:
    """Hand the browser its token: for this session only, not readable by script."""
    response.set_cookie(
        token_cookie(settings),
        token,
        httponly=True,
        secure=settings.https,
        samesite="Lax",
        path="/",
    )


def clear_token(response: Response, settings: Settings) -> None:
    response.delete_cookie(
        token_cookie(settings), httponly=True, secure=settings.https, samesite="Lax", path="/"
    )
