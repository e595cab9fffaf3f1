"""Recording an act.

Events are gathered during the request and written together just before the commit, in the same
transaction as the act: one exists exactly if the other does. Writing them last keeps the chain's
lock (one row, held until commit) for a moment only.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.models import AuditHead, AuditReview
from dask_platform.features.audit.queries import monday_of
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import Conflict, Invalid
from dask_platform.kernel.messages import N_
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise

# Named columns only: the rest are the trigger's, and the web role may not write them.
INSERT = text(
    "INSERT INTO audit_event (kind, actor_id, actor_name, actor_role, unit_id, address,"
    " object_type, object_id, subject_id, request_id, details) VALUES (:kind, :actor_id,"
    " :actor_name, :actor_role, :unit_id, CAST(:address AS inet), :object_type, :object_id,"
    " :subject_id, :request_id, CAST(:details AS jsonb))"
)
_PENDING = "audit.pending"


def record(
    uow: UnitOfWork,
    actor: Actor | None,
    kind: EventKind,
    *,
    unit_id: UUID | None = None,
    thing: tuple[str, object] | None = None,
    subject_id: UUID | None = None,
    system: str | None = None,
    **details: Any,
) -> None:
    """Note that ``actor`` did ``kind`` to ``thing`` (type, id), a thing of person ``subject_id``.

    ``actor`` None means nobody was logged in; ``system`` then names what acted (``worker``,
    ``people sync``). ``unit_id`` defaults to the unit of a student, or to a staff member's only
    unit. ``details`` hold plain values and no free text that a person wrote.
    """
    event = {
        "kind": str(kind),
        "actor_id": actor.person_id if actor else None,
        "actor_name": actor.username if actor else (system or "anonymous"),
        "actor_role": actor.role_for_log() if actor else ("system" if system else "none"),
        "unit_id": unit_id or _unit(actor),
        "address": uow.origin.address,
        "object_type": thing[0] if thing else None,
        "object_id": str(thing[1]) if thing else None,
        "subject_id": subject_id,
        "request_id": uow.origin.request_id,
        "details": json.dumps(details, default=str, ensure_ascii=False),
    }
    pending: list[dict[str, Any]] = uow.bag.setdefault(_PENDING, [])
    if not pending:
        uow.before_commit(_write)
    pending.append(event)


def sign_week(
    uow: UnitOfWork, actor: Actor, *, unit_id: UUID, monday: date, note: str, now: datetime
) -> None:
    """Sign a week of a unit as reviewed; the chain's end is kept with it, as an anchor.

    Refused: a week that is not over, a day that is no Monday, a week that is signed already.
    """
    review = AuditReview(
        unit_id=unit_id, week=monday, reviewed_by=actor.person_id, reviewed_at=now, note=note,
    )  # fmt: skip
    authorise(actor, Permission.AUDIT_REVIEW, review)
    if monday.weekday() != 0 or monday >= monday_of(now):
        raise Invalid(N_("This week is not over yet. Sign it when it is."))
    if uow.get(AuditReview, (unit_id, monday)) is not None:
        raise Conflict(N_("This week has been signed already."))
    head = uow.execute(select(AuditHead.seq, AuditHead.hash)).one()
    review.head_seq, review.head_hash = head
    uow.add(review)
    uow.flush()
    record(
        uow, actor, EventKind.AUDIT_WEEK_SIGNED, unit_id=unit_id, thing=("week", monday),
        head=f"{head.seq}:{head.hash.hex()}",
    )  # fmt: skip


def _write(uow: UnitOfWork) -> None:
    for event in uow.bag.pop(_PENDING, []):
        uow.execute(INSERT, event)


def _unit(actor: Actor | None) -> UUID | None:
    if actor is None:
        return None
    units = actor.units(*actor.roles)
    return next(iter(units)) if len(units) == 1 else None
