"""A class at a glance: for each student what has been read, and how far each assignment is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, select

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.courses import queries as courses
from dask_platform.features.courses.queries import AssignmentView, ClassView
from dask_platform.features.handins.models import Attempt, AttemptState, Marking
from dask_platform.kernel.actor import Actor
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import rows


@dataclass(frozen=True, slots=True)
class Cell:
    """A student's newest attempt at one assignment that has been handed in."""

    attempt_id: UUID
    number: int
    state: str
    late: bool
    scan_state: str
    handed_in_at: datetime | None
    grade: str | None

    @property
    def waiting(self) -> bool:
        return self.state == AttemptState.HANDED_IN


@dataclass(frozen=True, slots=True)
class StudentRow:
    """``cells`` follow the assignments of the page; None where nothing has been handed in."""

    person_id: UUID
    name: str
    username: str
    read: int
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class ClassWork:
    in_class: ClassView
    assignments: tuple[AssignmentView, ...]
    students: tuple[StudentRow, ...]
    pages: int

    @property
    def waiting(self) -> int:
        """How many pieces of work wait for marking."""
        return sum(cell is not None and cell.waiting for row in self.students for cell in row.cells)


def class_work(uow: UnitOfWork, actor: Actor, class_id: UUID) -> ClassWork:
    """Six statements, however many students. Raises ``NotVisible`` unless the actor teaches it."""
    in_class = courses.class_for_teacher(uow, actor, class_id)
    assignments = tuple(
        one for one in courses.class_assignments(uow, actor, class_id) if one.published
    )
    pages = {
        item.item_id
        for item in courses.class_items(uow, actor, class_id)
        if item.is_page and item.published
    }
    read = courses.readings(uow, actor, class_id)
    newest = _newest(uow, actor, class_id)
    students = tuple(
        StudentRow(
            one.person_id,
            one.display_name,
            one.username,
            len(read.get(one.person_id, set()) & pages),
            tuple(newest.get((one.person_id, each.item_id)) for each in assignments),
        )
        for one in courses.class_students(uow, actor, class_id)
    )
    return ClassWork(in_class, assignments, students, len(pages))


def _newest(uow: UnitOfWork, actor: Actor, class_id: UUID) -> dict[tuple[UUID, UUID], Cell]:
    found = uow.execute(
        select(
            Attempt.person_id,
            Attempt.item_id,
            Attempt.id,
            Attempt.number,
            Attempt.state,
            Attempt.late,
            Attempt.scan_state,
            Attempt.handed_in_at,
            Marking.grade,
        )
        .outerjoin(
            Marking, and_(Marking.attempt_id == Attempt.id, Marking.returned_at.is_not(None))
        )
        .where(Attempt.class_id == class_id, rows(actor, Permission.ATTEMPT_READ, Attempt))
        .order_by(Attempt.number)
    )
    return {(row[0], row[1]): Cell(*row[2:]) for row in found}
