"""Running a class: making it, its people, its deadlines. Each verb notes in the log what it did.

A class that has ended takes no students and no deadlines: see ``ending.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, String, Uuid, column, delete, func, or_, select, table, update
from sqlalchemy.dialects.postgresql import insert

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.courses import queries
from dask_platform.features.courses.models import (
    ClassTeacher,
    Course,
    CourseClass,
    Deadline,
    Enrolment,
)
from dask_platform.features.courses.name_list import BadLine, NameList
from dask_platform.features.courses.queries import (
    PERSON,
    AssignmentView,
    ClassView,
    ItemView,
    StudentView,
)
from dask_platform.features.courses.titles import one_line
from dask_platform.features.identity.queries import StudentLine, school_of_unit, students_at
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import Closed, Conflict, Invalid, NotVisible
from dask_platform.kernel.ids import new_id
from dask_platform.kernel.messages import N_
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise, rows

NAME_MOST = 120
NOT_HERE = N_("There is no student with this user name at this unit.")

_STAFF_ROLE = table(
    "staff_role",
    column("person_id", Uuid),
    column("unit_id", Uuid),
    column("role", String),
    column("starts_at", DateTime(timezone=True)),
    column("ends_at", DateTime(timezone=True)),
)


@dataclass(frozen=True, slots=True)
class ClassPeople:
    """Everybody in a class, and who may be added to it."""

    in_class: ClassView
    students: list[StudentView]
    teachers: list[StudentView]
    other_students: list[StudentLine]
    other_teachers: list[StudentView]


@dataclass(frozen=True, slots=True)
class ClassReadings:
    """Who has opened what: ``read`` has the ids of the pages each student has opened."""

    in_class: ClassView
    students: list[StudentView]
    pages: list[ItemView]
    read: dict[UUID, set[UUID]]


@dataclass(frozen=True, slots=True)
class Enrolled:
    """``added`` students are new in the class; ``bad`` lines mean that nobody was enrolled."""

    added: int
    already: int
    bad: list[BadLine]


def create_class(
    uow: UnitOfWork, actor: Actor, *, course_id: UUID, unit_id: UUID, name: str, now: datetime
) -> UUID:
    """A class of the course at a unit where the actor teaches; the actor is its first teacher.

    Raises ``Invalid`` for a course that is not published, is withdrawn, or belongs to another
    school than the unit's.
    """
    made = CourseClass(
        id=new_id(), course_id=course_id, unit_id=unit_id, name=one_line(name, NAME_MOST),
        created_at=now,
    )  # fmt: skip
    authorise(actor, Permission.CLASS_CREATE, made)
    course = uow.scalars(
        select(Course).where(Course.id == course_id, rows(actor, Permission.COURSE_READ, Course))
    ).one_or_none()
    if course is None:
        raise NotVisible(queries.NOTHING_HERE)
    if not course.published or course.withdrawn_at is not None:
        raise Invalid(N_("This course is not published. Publish it first, then start a class."))
    if course.school_id is not None and course.school_id != school_of_unit(uow, unit_id):
        raise Invalid(N_("This course belongs to another school than the unit. Copy it first."))
    uow.add(made)
    uow.flush()
    uow.add(ClassTeacher(class_id=made.id, person_id=actor.person_id, since=now))
    uow.flush()
    record(
        uow, actor, EventKind.CLASS_CREATED, unit_id=unit_id, thing=("class", made.id),
        course=course_id,
    )  # fmt: skip
    return made.id


def open_people(uow: UnitOfWork, actor: Actor, class_id: UUID) -> ClassPeople:
    """The class list, for its teacher. That it was shown is noted."""
    in_class = queries.class_for_teacher(uow, actor, class_id)
    students = queries.class_students(uow, actor, class_id)
    teachers = queries.class_teachers(uow, actor, class_id)
    inside = {person.person_id for person in students}
    teaching = {person.person_id for person in teachers}
    _note_list(uow, actor, in_class, len(students))
    return ClassPeople(
        in_class,
        students,
        teachers,
        [one for one in students_at(uow, actor, [in_class.unit_id]) if one.id not in inside],
        [one for one in _teachers_at(uow, in_class.unit_id) if one.person_id not in teaching],
    )


def open_readings(uow: UnitOfWork, actor: Actor, class_id: UUID) -> ClassReadings:
    """Who in the class has opened which page, for its teacher. That it was shown is noted."""
    in_class = queries.class_for_teacher(uow, actor, class_id)
    students = queries.class_students(uow, actor, class_id)
    items = queries.class_items(uow, actor, class_id)
    _note_list(uow, actor, in_class, len(students))
    return ClassReadings(
        in_class,
        students,
        [item for item in items if item.is_page and item.published],
        queries.readings(uow, actor, class_id),
    )


def enrol(
    uow: UnitOfWork, actor: Actor, class_id: UUID, person_ids: Iterable[UUID], now: datetime
) -> int:
    """Put students of the unit in the class; how many were not in it before.

    Raises ``NotVisible`` when one of them is not a student placed at the class's unit now.
    """
    in_class = _going_on(uow, actor, class_id)
    wanted = set(person_ids)
    here = {student.id for student in students_at(uow, actor, [in_class.unit_id])}
    if not wanted <= here:
        raise NotVisible(queries.NOTHING_HERE)
    return _enrol(uow, actor, in_class, wanted, now)


def enrol_list(
    uow: UnitOfWork, actor: Actor, class_id: UUID, listed: NameList, now: datetime
) -> Enrolled:
    """Put everybody on a list in the class, or nobody: one bad line, and nothing is done.

    A name that is not a student's at this unit reads the same whoever has it, or nobody.
    """
    in_class = _going_on(uow, actor, class_id)
    here = {one.username: one.id for one in students_at(uow, actor, [in_class.unit_id])}
    unknown = [BadLine(line, name, NOT_HERE) for line, name in listed.names if name not in here]
    bad = sorted([*listed.bad, *unknown], key=lambda one: one.line)
    if bad:
        return Enrolled(0, 0, bad)
    if not listed.names:
        raise Invalid(N_("The list is empty. Write at least one user name."), field="names")
    added = _enrol(uow, actor, in_class, {here[name] for _, name in listed.names}, now)
    return Enrolled(added, len(listed.names) - added, [])


def unenrol(uow: UnitOfWork, actor: Actor, class_id: UUID, person_id: UUID, now: datetime) -> None:
    """Take a student out of the class. What the student has read and handed in stays.

    Raises ``NotVisible`` for somebody who is not in the class, or no longer at the unit.
    """
    in_class = queries.class_for_teacher(uow, actor, class_id)
    ended = uow.execute(
        update(Enrolment)
        .where(
            Enrolment.class_id == class_id,
            Enrolment.person_id == person_id,
            Enrolment.ended_at.is_(None),
        )
        .values(ended_at=now)
        .returning(Enrolment.id)
        .execution_options(synchronize_session=False)
    ).all()
    if not ended:
        raise NotVisible(queries.NOTHING_HERE)
    record(
        uow, actor, EventKind.CLASS_UNENROLLED, unit_id=in_class.unit_id,
        thing=("class", class_id), subject_id=person_id,
    )  # fmt: skip


def add_teacher(
    uow: UnitOfWork, actor: Actor, class_id: UUID, person_id: UUID, now: datetime
) -> None:
    """Let a colleague who teaches at the unit teach the class too. Twice is the same as once."""
    in_class = queries.class_for_teacher(uow, actor, class_id)
    if person_id not in {one.person_id for one in _teachers_at(uow, in_class.unit_id)}:
        raise NotVisible(queries.NOTHING_HERE)
    added = uow.execute(
        insert(ClassTeacher)
        .values(class_id=class_id, person_id=person_id, since=now)
        .on_conflict_do_nothing()
        .returning(ClassTeacher.person_id)
    ).all()
    if added:
        record(
            uow, actor, EventKind.CLASS_TEACHER_ADDED, unit_id=in_class.unit_id,
            thing=("class", class_id), teacher=person_id,
        )  # fmt: skip


def remove_teacher(uow: UnitOfWork, actor: Actor, class_id: UUID, person_id: UUID) -> None:
    """Let somebody teach the class no longer. Raises ``Invalid`` for the last one there is."""
    in_class = queries.class_for_teacher(uow, actor, class_id)
    # The class's own row is the lock: two teachers who remove each other leave one.
    uow.execute(select(CourseClass.id).where(CourseClass.id == class_id).with_for_update())
    teachers = {one.person_id for one in queries.class_teachers(uow, actor, class_id)}
    if person_id not in teachers:
        raise NotVisible(queries.NOTHING_HERE)
    if len(teachers) == 1:
        raise Invalid(N_("A class has at least one teacher. Add another one first."))
    record(
        uow, actor, EventKind.CLASS_TEACHER_REMOVED, unit_id=in_class.unit_id,
        thing=("class", class_id), teacher=person_id,
    )  # fmt: skip
    uow.execute(
        delete(ClassTeacher).where(
            ClassTeacher.class_id == class_id, ClassTeacher.person_id == person_id
        )
    )


def set_deadline(
    uow: UnitOfWork,
    actor: Actor,
    class_id: UUID,
    item_id: UUID,
    *,
    due_at: datetime | None,
    cutoff_at: datetime | None,
    seen: tuple[datetime | None, datetime | None],
) -> None:
    """When the assignment is due in this class and when it closes; None for never.

    ``seen`` is the deadline that the teacher was shown. Raises ``Conflict`` when another teacher
    has set another one since, ``Invalid`` when it closes before it is due.
    """
    in_class = _going_on(uow, actor, class_id)
    queries.class_assignment(uow, actor, class_id, item_id)
    if due_at is not None and cutoff_at is not None and cutoff_at < due_at:
        raise Invalid(
            N_("The assignment closes before it is due. Choose a later time."), field="cutoff_at"
        )
    uow.execute(
        insert(Deadline).values(class_id=class_id, item_id=item_id).on_conflict_do_nothing()
    )
    held = uow.scalars(
        select(Deadline)
        .where(Deadline.class_id == class_id, Deadline.item_id == item_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    if (held.due_at, held.cutoff_at) == (due_at, cutoff_at):
        return
    if (held.due_at, held.cutoff_at) != seen:
        raise Conflict(
            N_("Another teacher has changed this deadline. Look at it, then change it again.")
        )
    before = [held.due_at, held.cutoff_at]
    held.due_at, held.cutoff_at = due_at, cutoff_at
    uow.flush()
    record(
        uow, actor, EventKind.CLASS_DEADLINE_SET, unit_id=in_class.unit_id,
        thing=("assignment", item_id), class_id=class_id, before=before, due_at=due_at,
        cutoff_at=cutoff_at,
    )  # fmt: skip


def deadlines(
    uow: UnitOfWork, actor: Actor, class_id: UUID
) -> tuple[ClassView, list[AssignmentView]]:
    """The class's assignments with their deadlines, for its teacher."""
    in_class = queries.class_for_teacher(uow, actor, class_id)
    return in_class, queries.class_assignments(uow, actor, class_id)


def _going_on(uow: UnitOfWork, actor: Actor, class_id: UUID) -> ClassView:
    """The class, for its teacher. Raises ``Closed`` where it has ended."""
    in_class = queries.class_for_teacher(uow, actor, class_id)
    if in_class.ended_at is not None:
        raise Closed(N_("This class has ended. Open it again first, then do this."))
    return in_class


def _enrol(
    uow: UnitOfWork, actor: Actor, in_class: ClassView, wanted: set[UUID], now: datetime
) -> int:
    if not wanted:
        return 0
    added = uow.scalars(
        insert(Enrolment)
        .values(
            [
                {
                    "id": new_id(),
                    "class_id": in_class.id,
                    "person_id": person_id,
                    "enrolled_at": now,
                }
                for person_id in sorted(wanted)
            ]
        )
        .on_conflict_do_nothing()
        .returning(Enrolment.person_id)
    ).all()
    for person_id in added:
        record(
            uow, actor, EventKind.CLASS_ENROLLED, unit_id=in_class.unit_id,
            thing=("class", in_class.id), subject_id=person_id,
        )  # fmt: skip
    return len(added)


def _teachers_at(uow: UnitOfWork, unit_id: UUID) -> list[StudentView]:
    """Those who hold the teacher role at the unit now, by name; colleagues only."""
    role = _STAFF_ROLE.c
    found = uow.execute(
        select(PERSON.c.id, PERSON.c.display_name, PERSON.c.username)
        .where(
            PERSON.c.active,
            PERSON.c.id.in_(
                select(role.person_id).where(
                    role.unit_id == unit_id,
                    role.role == "teacher",
                    role.starts_at <= func.now(),
                    or_(role.ends_at.is_(None), role.ends_at > func.now()),
                )
            ),
        )
        .order_by(PERSON.c.display_name, PERSON.c.id)
    )
    return [StudentView(*row) for row in found]


def _note_list(uow: UnitOfWork, actor: Actor, in_class: ClassView, students: int) -> None:
    record(
        uow, actor, EventKind.CLASS_LIST_READ, unit_id=in_class.unit_id,
        thing=("class", in_class.id), students=students,
    )  # fmt: skip
