"""What a teacher does with what was handed in; and the reads of staff that the log must know of.

A marking is the teacher's own until it is returned. From then on it changes only by returning it
again, which is an event of its own: nobody's grade changes in silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.courses.queries import AssignmentView, class_assignment
from dask_platform.features.handins import classwork, queries
from dask_platform.features.handins.models import Attempt, AttemptState, HandinFile, Marking
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import Conflict, Invalid, NotAllowed
from dask_platform.kernel.messages import N_
from dask_platform.security.names import clean_text
from dask_platform.security.permissions import Permission

COMMENT_MOST = 10_000  # characters

GRADES = {
    "grade": ("1", "2", "3", "4", "5", "6"),
    "passfail": ("passed", "failed"),
}
"""What may be given, by how the assignment is graded."""

OTHER_TEACHER = N_(
    "This marking was changed after you opened it. Nothing was overwritten. Compare the two below, "
    "then save the one you want."
)
WRONG_GRADE = N_("Choose one of the grades in the list.")
NOTHING_TO_RETURN = N_("Give a grade or write a comment before you return the work.")
RETURNED_ALREADY = N_(
    "This work has been returned to the student. To change the marking, return it once more."
)


@dataclass(frozen=True, slots=True)
class Given:
    """A marking as typed. ``version`` is that of the marking it was typed upon, 0 for none."""

    grade: str | None
    comment: str
    version: int


def save_marking(
    uow: UnitOfWork, actor: Actor, attempt_id: UUID, given: Given, now: datetime
) -> Marking:
    """Keep the marking without showing it to the student.

    Raises ``Conflict`` when somebody else saved another one since, ``NotAllowed`` when it has been
    returned, ``Invalid`` for a grade of the wrong kind, ``TooLarge`` for the comment.
    """
    attempt, assignment, given = _ready(uow, actor, attempt_id, given)
    marking = _stored(uow, attempt, given)
    if marking is not None and marking.returned_at is not None:
        raise NotAllowed(RETURNED_ALREADY)
    if marking is not None and _same(marking, given):
        return marking
    marking = _write(uow, actor, attempt, marking, given, now)
    record(
        uow, actor, EventKind.MARKING_SAVED, unit_id=assignment.unit_id,
        thing=("attempt", attempt.id), subject_id=attempt.person_id,
    )  # fmt: skip
    return marking


def return_marking(
    uow: UnitOfWork, actor: Actor, attempt_id: UUID, given: Given, now: datetime
) -> Marking:
    """Save the marking and show it to the student, who may then hand in again.

    What has been returned can be returned anew with another marking; the log tells that it was.
    The same marking sent twice is returned once. Raises as ``save_marking``, and ``Invalid`` when
    there is neither grade nor comment.
    """
    attempt, assignment, given = _ready(uow, actor, attempt_id, given)
    if given.grade is None and not given.comment.strip():
        raise Invalid(NOTHING_TO_RETURN)
    marking = _stored(uow, attempt, given)
    again = marking is not None and marking.returned_at is not None
    if marking is not None and again and _same(marking, given):
        return marking
    changed = marking is not None and marking.grade != given.grade
    marking = _write(uow, actor, attempt, marking, given, now)
    marking.returned_at = now
    attempt.state = AttemptState.RETURNED
    uow.flush()
    record(
        uow, actor, EventKind.MARKING_RETURNED, unit_id=assignment.unit_id,
        thing=("attempt", attempt.id), subject_id=attempt.person_id, again=again,
        grade_changed=again and changed,
    )  # fmt: skip
    return marking


def open_attempt(
    uow: UnitOfWork, actor: Actor, attempt_id: UUID
) -> tuple[queries.AttemptView, AssignmentView | None]:
    """An attempt with its assignment, noted in the log when it is somebody else's.

    The assignment is None for a student's own work in a class that is no longer attended.
    """
    found = queries.attempt(uow, actor, attempt_id)
    own = found.person_id == actor.person_id
    if own and found.class_id not in actor.attends:
        return found, None
    assignment = class_assignment(uow, actor, found.class_id, found.item_id, withdrawn=True)
    if not own:
        record(
            uow, actor, EventKind.ATTEMPT_READ, unit_id=assignment.unit_id,
            thing=("attempt", found.id), subject_id=found.person_id,
        )  # fmt: skip
    return found, assignment


def open_file(
    uow: UnitOfWork, actor: Actor, attempt_id: UUID, file_id: UUID
) -> tuple[Attempt, HandinFile]:
    """A file that the actor may have, noted in the log when it is somebody else's."""
    attempt, file = queries.file(uow, actor, attempt_id, file_id)
    if attempt.person_id != actor.person_id:
        record(
            uow, actor, EventKind.FILE_DOWNLOADED, thing=("file", file.id),
            unit_id=_unit_of_class(uow, actor, attempt), subject_id=attempt.person_id,
            attempt=attempt.id, sha256=file.sha256,
        )  # fmt: skip
    return attempt, file


def open_class_work(uow: UnitOfWork, actor: Actor, class_id: UUID) -> classwork.ClassWork:
    """Who in the class has read and handed in what; noted in the log."""
    found = classwork.class_work(uow, actor, class_id)
    record(
        uow, actor, EventKind.CLASS_LIST_READ, unit_id=found.in_class.unit_id,
        thing=("class", class_id), what="work",
    )  # fmt: skip
    return found


def open_quarantine(uow: UnitOfWork, actor: Actor) -> list[queries.StoppedFile]:
    """What was stopped at the actor's units; noted in the log."""
    found = queries.stopped_files(uow, actor)
    record(uow, actor, EventKind.QUARANTINE_READ, shown=len(found))
    return found


def _ready(
    uow: UnitOfWork, actor: Actor, attempt_id: UUID, given: Given
) -> tuple[Attempt, AssignmentView, Given]:
    """The attempt, locked so that two teachers come one after the other; what was typed, clean."""
    attempt = queries.load_attempt(uow, actor, attempt_id, Permission.MARKING_WRITE, lock=True)
    assignment = class_assignment(uow, actor, attempt.class_id, attempt.item_id, withdrawn=True)
    grade = given.grade or None
    if grade is not None and grade not in GRADES[assignment.grading]:
        raise Invalid(WRONG_GRADE, field="grade")
    comment = clean_text(given.comment, COMMENT_MOST)
    return attempt, assignment, Given(grade, comment, given.version)


def _stored(uow: UnitOfWork, attempt: Attempt, given: Given) -> Marking | None:
    """The marking as it is now. ``Conflict`` when it is not the one that was typed upon."""
    marking = uow.scalars(
        select(Marking)
        .where(Marking.attempt_id == attempt.id)
        .execution_options(populate_existing=True)
    ).one_or_none()
    version = marking.version if marking is not None else 0
    if version != given.version and not (marking is not None and _same(marking, given)):
        raise Conflict(OTHER_TEACHER)
    return marking


def _same(marking: Marking, given: Given) -> bool:
    return (marking.grade, marking.comment) == (given.grade, given.comment)


def _write(
    uow: UnitOfWork,
    actor: Actor,
    attempt: Attempt,
    marking: Marking | None,
    given: Given,
    now: datetime,
) -> Marking:
    if marking is None:
        marking = Marking(attempt_id=attempt.id, student_id=attempt.person_id)
        uow.add(marking)
    marking.grade = given.grade
    marking.comment = given.comment
    marking.marked_by = actor.person_id
    marking.marked_at = now
    uow.flush()
    return marking


def _unit_of_class(uow: UnitOfWork, actor: Actor, attempt: Attempt) -> UUID:
    return class_assignment(uow, actor, attempt.class_id, attempt.item_id, withdrawn=True).unit_id
