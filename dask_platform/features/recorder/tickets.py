"""From the school to a site that is being recorded: tickets and tokens of a recording.

They are told apart from those of students in the database, and not by their name: a token is one
of a recording or it is none. Whoever brings it is the officer who started the recording, narrowed
to the unit it was started for, and only while it is live.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlsplit
from uuid import UUID

from sqlalchemy import text

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.kernel.actor import Actor, Role
from dask_platform.kernel.errors import Closed
from dask_platform.kernel.ids import new_token
from dask_platform.kernel.messages import N_
from dask_platform.security.hostmap import BrokerOrigin
from dask_platform.web.sessions import actor_of, hash_token

TICKET_LIVES: Final = timedelta(seconds=30)
OVER: Final = N_("The recording is over. Start a new one to go on.")
#: Where the broker takes tickets, under each site's host.
DOOR: Final = "/_dask/enter"
_MOST: Final = 100

_TICKET = text("SELECT dask_recording_ticket(:recording, :session, :host, :ticket, :until, :now)")
_REDEEM = text("SELECT dask_recording_redeem(:ticket, :host, :token, :now)")
_RESUME = text("SELECT dask_recording_resume(:token, :host, :now)")


@dataclass(frozen=True, slots=True)
class Live:
    """A recording that is live at this moment, and who records."""

    id: UUID
    unit_id: UUID
    copying: bool
    actor: Actor


def issue(uow: UnitOfWork, actor: Actor, recording_id: UUID, host: str, now: datetime) -> str:
    """A ticket for the actor's own recording to ``host``. Raises ``Closed`` when it is over."""
    ticket = new_token()
    made = uow.scalar(
        _TICKET,
        {
            "recording": recording_id,
            "session": actor.session_id,
            "host": host,
            "ticket": hash_token(ticket),
            "until": now + TICKET_LIVES,
            "now": now,
        },
    )
    if not made:
        raise Closed(OVER)
    return ticket


def entry(resources_url: str, url: str, ticket: str) -> str:
    """Where a browser takes ``ticket`` to, to go on to ``url``."""
    parts = urlsplit(resources_url)
    origin = BrokerOrigin(parts.scheme, parts.hostname or "", parts.port)
    host, _slash, rest = url.removeprefix("https://").partition("/")
    door = origin.forward(f"https://{host}{DOOR}")
    return f"{door}?ticket={quote(ticket)}&to={quote(f'/{rest}', safe='')}"


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
    uow: UnitOfWork, token: str | None, host: str, now: datetime, address: str | None
) -> Live | None:
    """The live recording behind ``token`` on ``host``; its officer is from here on the actor of the
    transaction. None for a token of anything else, on another host, or of a recording that is over.
    """
    if not token or len(token) > _MOST:
        return None
    row: dict[str, Any] | None = uow.scalar(
        _RESUME, {"token": hash_token(token), "host": host, "now": now}
    )
    if not row:
        return None
    unit_id = UUID(row["recording_unit"])
    officer = replace(
        actor_of(row, address),
        roles={Role.SECURITY: frozenset({unit_id})},
        teaches=frozenset(),
        room_id=None,
    )
    return Live(UUID(row["recording"]), unit_id, bool(row["copying"]), officer)
