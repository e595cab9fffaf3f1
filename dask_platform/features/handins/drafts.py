"""The draft of an attempt: found, made and locked; and whether there is still time.

The row of the draft is locked while it changes, so that two windows, two clicks and the worker
come one after the other.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import selectinload

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.courses.queries import AssignmentView
from dask_platform.features.handins.models import Attempt, AttemptState, ScanState
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import Closed
from dask_platform.kernel.ids import new_id
from dask_platform.kernel.messages import N_
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise

HANDED_IN_ALREADY = N_(
    "You have handed this in already, so nothing was changed. You can try again when your teacher "
    "has returned it."
)


def is_closed(assignment: AssignmentView, now: datetime) -> bool:
    """Past the cut-off. At the very moment itself it is still open."""
    return assignment.cutoff_at is not None and now > assignment.cutoff_at


def is_late(assignment: AssignmentView, now: datetime) -> bool:
    """Past the due time: accepted, and said."""
    return assignment.due_at is not None and now > assignment.due_at


def open_draft(
    uow: UnitOfWork, actor: Actor, assignment: AssignmentView, now: datetime, *, again: bool = False
) -> Attempt:
    """The draft, locked; made if there is none. Raises ``Closed`` when it was handed in already.

    A first draft comes of itself; one after a return only by ``again``, which copies the text.
    """
    authorise(
        actor,
        Permission.ATTEMPT_WRITE,
        Attempt(class_id=assignment.class_id, person_id=actor.person_id),
    )
    found = existing_draft(uow, actor, assignment)
    if found is not None:
        return found
    last = uow.scalars(
        select(Attempt)
        .where(*own_rows(actor, assignment))
        .order_by(Attempt.number.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if last is None or (again and last.state == AttemptState.RETURNED):
        uow.execute(
            insert(Attempt)
            .values(
                id=new_id(), class_id=assignment.class_id, item_id=assignment.item_id,
                person_id=actor.person_id, number=last.number + 1 if last else 1,
                state=AttemptState.DRAFT, text=last.text if last else "", started_at=now,
                saved_at=now, late=False, file_count=0, scan_state=ScanState.CLEAN, version=1,
            )
            .on_conflict_do_nothing()
        )  # fmt: skip
    elif last.state != AttemptState.DRAFT:
        raise Closed(HANDED_IN_ALREADY)
    # A second click may have made it since we looked, or in the same moment, and even handed it in.
    found = existing_draft(uow, actor, assignment)
    if found is None:
        raise Closed(HANDED_IN_ALREADY)
    return found


def existing_draft(uow: UnitOfWork, actor: Actor, assignment: AssignmentView) -> Attempt | None:
    found = locked_draft(uow, actor, assignment)
    if found is not None:
        authorise(actor, Permission.ATTEMPT_WRITE, found)
    return found


def locked_draft(
    uow: UnitOfWork, actor: Actor, assignment: AssignmentView, *conditions: ColumnElement[bool]
) -> Attempt | None:
    return uow.scalars(
        select(Attempt)
        .where(*own_rows(actor, assignment), Attempt.state == AttemptState.DRAFT, *conditions)
        .options(selectinload(Attempt.files))
        .with_for_update(of=Attempt)
        .execution_options(populate_existing=True)
    ).one_or_none()


def own_rows(actor: Actor, assignment: AssignmentView) -> tuple[ColumnElement[bool], ...]:
    return (
        Attempt.person_id == actor.person_id,
        Attempt.class_id == assignment.class_id,
        Attempt.item_id == assignment.item_id,
    )
