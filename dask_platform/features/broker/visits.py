"""The log of requests through the broker, and the reading of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, text

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.broker.models import SiteVisit
from dask_platform.kernel.actor import Actor

_TEXTS = text("SELECT dask_typed_since(:since)")


@dataclass(frozen=True, slots=True)
class Visit:
    """One request and what came of it. See ``SiteVisit``. ``sent`` are pairs of a field's name and
    what stood in it, empty where no form was sent."""

    at: datetime
    url: str
    method: str
    allowed: bool
    reason: str
    rule_id: str | None = None
    status: int = 0
    size: int = 0
    ms: int = 0
    typed: bool = False
    sent: tuple[tuple[str, str], ...] = ()


def record(uow: UnitOfWork, actor: Actor, visit: Visit) -> None:
    """Write the visit in the actor's own name, at the unit where they are."""
    record_all(uow, [(actor, visit)])


def record_all(uow: UnitOfWork, lines: Iterable[tuple[Actor, Visit]]) -> None:
    """Write several visits of the one who acts in ``uow``, in one go."""
    rows = [row for actor, visit in lines if (row := _row(actor, visit)) is not None]
    if rows:
        # In line: the web role may write a visit and not read it, not even its number.
        uow.execute(insert(SiteVisit.__table__).inline(), rows)  # type: ignore[arg-type]


def _row(actor: Actor, visit: Visit) -> dict[str, Any] | None:
    unit = actor.unit_id or _any_unit(actor)
    if unit is None:
        return None
    return {
        "at": visit.at,
        "person_id": actor.person_id,
        "unit_id": unit,
        "rule_id": visit.rule_id,
        "url": printable(visit.url)[:2000],
        "method": printable(visit.method)[:10],
        "allowed": visit.allowed,
        "reason": visit.reason,
        "status": visit.status,
        "size": visit.size,
        "ms": visit.ms,
        "typed": visit.typed,
        "sent": [[name, printable(value)] for name, value in visit.sent] or None,
    }


def texts_since(uow: UnitOfWork, since: datetime) -> int:
    """How often whoever acts in ``uow`` has sent free text out after ``since``, by any process."""
    return int(uow.scalar(_TEXTS, {"since": since}) or 0)


def printable(text: str) -> str:
    """``text`` as it can be stored and read: what cannot be shown is written as its code."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)


def _any_unit(actor: Actor) -> UUID | None:
    """Staff have no placement: the first of their units, so that it is always the same one."""
    units = sorted({unit for held in actor.roles.values() for unit in held})
    return units[0] if units else None
