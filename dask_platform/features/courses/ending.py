"""The end of a class: it takes no more work, and everything in it can still be read.

Nothing is deleted and nobody is taken out. Teachers go on marking, students go on reading the
course, their own work and their results. A class that was ended by mistake is opened again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import String, Uuid, column, func, select, table, update

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.courses.models import CourseClass, Item
from dask_platform.features.courses.queries import ClassView, class_for_teacher
from dask_platform.kernel.actor import Actor

# Work belongs to the hand-ins, which build on courses: here it is counted by its state, in SQL, and
# row security counts for a teacher what that teacher may mark.
_ATTEMPT = table(
    "attempt", column("class_id", Uuid), column("item_id", Uuid), column("state", String)
)


@dataclass(frozen=True, slots=True)
class Unmarked:
    """An assignment and how many pieces of work wait to be marked."""

    title: str
    pieces: int


@dataclass(frozen=True, slots=True)
class ClassEnd:
    """What a teacher should know before ending the class."""

    in_class: ClassView
    unmarked: list[Unmarked]


def before_the_end(uow: UnitOfWork, actor: Actor, class_id: UUID) -> ClassEnd:
    """The class and what is not marked in it, for its teacher. Raises ``NotVisible``."""
    in_class = class_for_teacher(uow, actor, class_id)
    found = uow.execute(
        select(Item.title, func.count())
        .join_from(_ATTEMPT, Item, Item.id == _ATTEMPT.c.item_id)
        .where(_ATTEMPT.c.class_id == class_id, _ATTEMPT.c.state == "handed_in")
        .group_by(Item.id, Item.title)
        .order_by(Item.title, Item.id)
    )
    return ClassEnd(in_class, [Unmarked(title, pieces) for title, pieces in found])


def end_class(uow: UnitOfWork, actor: Actor, class_id: UUID, now: datetime) -> None:
    """Close the class for new work. One that has ended keeps its time, and nothing is noted."""
    _set_end(uow, actor, class_id, now, EventKind.CLASS_ENDED)


def reopen_class(uow: UnitOfWork, actor: Actor, class_id: UUID) -> None:
    """Let the class go on; its deadlines are what they were. Twice is the same as once."""
    _set_end(uow, actor, class_id, None, EventKind.CLASS_REOPENED)


def _set_end(
    uow: UnitOfWork, actor: Actor, class_id: UUID, ended_at: datetime | None, kind: EventKind
) -> None:
    in_class = class_for_teacher(uow, actor, class_id)
    ended = CourseClass.ended_at.is_not(None)
    changed = uow.execute(
        update(CourseClass)
        .where(CourseClass.id == class_id, ended if ended_at is None else ~ended)
        .values(ended_at=ended_at)
        .returning(CourseClass.id)
        .execution_options(synchronize_session=False)
    ).all()
    if changed:
        record(uow, actor, kind, unit_id=in_class.unit_id, thing=("class", class_id))
