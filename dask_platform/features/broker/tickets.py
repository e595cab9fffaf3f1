"""From the school to a site: a ticket that is good once, soon, and for one host.

No cookie of the school reaches the broker's domain, and none of one site reaches another. The
school gives the browser a ticket in an address; the broker takes it, and gives a token in a cookie
of that host alone. Whoever has the token is the person whose session the ticket came from, as long
as that session lives.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import text

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import NotAuthenticated
from dask_platform.kernel.ids import new_token
from dask_platform.kernel.messages import N_
from dask_platform.kernel.settings import Settings
from dask_platform.security.addresses import RoomMap
from dask_platform.web.platform import Platform
from dask_platform.web.sessions import actor_of, hash_token

#: A redirect takes no longer. A ticket that lies in a history or a log is worth nothing.
TICKET_LIVES: Final = timedelta(seconds=30)
_MOST = 100

_TICKET = text("SELECT dask_broker_ticket(:session, :host, :ticket, :until)")
_REDEEM = text("SELECT dask_broker_redeem(:ticket, :host, :token, :now)")
_PASS = text("SELECT dask_broker_pass(:token, :host, :now, :room)")
_RESUME = text("SELECT dask_broker_resume(:token, :host, :now)")


def cookie_name(settings: Settings) -> str:
    """``__Host-`` binds the token to its one host and to https."""
    return "__Host-dask-site" if settings.https else "dask-site"


def issue(uow: UnitOfWork, actor: Actor, host: str, now: datetime) -> str:
    """A ticket for the actor's session to ``host``; an unused one to the same host is void.

    Raises ``NotAuthenticated`` when the session has ended.
    """
    ticket = new_token()
    made = uow.scalar(
        _TICKET,
        {
            "session": actor.session_id,
            "host": host,
            "ticket": hash_token(ticket),
            "until": now + TICKET_LIVES,
        },
    )
    if not made:
        raise NotAuthenticated(N_("Log in to go on."))
    return ticket


def redeem(uow: UnitOfWork, ticket: str, host: str, now: datetime) -> str | None:
    """A token for ``ticket``; None where it was used, is too old, is for another host, or none."""
    if not ticket or len(ticket) > _MOST:
        return None
    token = new_token()
    taken = uow.scalar(
        _REDEEM,
        {"ticket": hash_token(ticket), "host": host, "token": hash_token(token), "now": now},
    )
    return token if taken else None


def resume(
    uow: UnitOfWork,
    token: str | None,
    host: str,
    now: datetime,
    address: str | None,
    rooms: RoomMap,
) -> Actor | None:
    """The actor behind ``token`` on ``host``, who is from here on the actor of the transaction.

    Their room is the one that ``address`` lies in now, not the one where they logged in: what is
    opened or stopped for a room holds for who sits there.
    """
    if not token or len(token) > _MOST:
        return None
    row: dict[str, Any] | None = uow.scalar(
        _RESUME, {"token": hash_token(token), "host": host, "now": now}
    )
    if not row:
        return None
    return in_room(actor_of(row, address), address, rooms)


def in_room(actor: Actor, address: str | None, rooms: RoomMap) -> Actor:
    """The actor in the room that ``address`` lies in; in none where it lies in none."""
    place = rooms.room_at(address)
    return replace(actor, room_id=place.room_id if place else None)


def ask(
    platform: Platform, token: str | None, host: str, now: datetime, address: str | None
) -> tuple[Actor, dict[str, Any]] | None:
    """As ``resume``, in a question of its own, with all that ``dask_broker_pass`` says beside."""
    if not token or len(token) > _MOST:
        return None
    place = platform.rooms.current().room_at(address)
    room = place.room_id if place else None
    said: dict[str, Any] | None = platform.database.ask(
        _PASS, {"token": hash_token(token), "host": host, "now": now, "room": room}
    )
    return None if said is None else (replace(actor_of(said["actor"], address), room_id=room), said)
