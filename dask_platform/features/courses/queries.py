"""What may be read of courses and classes, already narrowed to the actor.

The other features read courses through this module alone. Everything comes back as plain frozen
data; nothing is loaded later.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Result,
    Select,
    String,
    Uuid,
    and_,
    bindparam,
    column,
    func,
    literal,
    select,
    table,
)

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.courses import policy  # noqa: F401 - registers the grants
from dask_platform.features.courses.models import (
    ClassTeacher,
    CompetenceAim,
    Course,
    CourseClass,
    Deadline,
    Enrolment,
    Item,
    ItemKind,
    Media,
    Module,
    Reading,
)
from dask_platform.features.courses.shapes import (
    AimView,
    AssignmentView,
    ClassView,
    ItemView,
    MediaView,
    StudentView,
)
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import NotVisible
from dask_platform.kernel.messages import N_
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import permits, rows

__all__ = [
    "AimView",
    "AssignmentView",
    "ClassView",
    "ItemView",
    "MediaView",
    "StudentView",
    "class_assignment",
    "class_assignments",
    "class_for_teacher",
    "class_items",
    "class_students",
    "class_teachers",
    "class_view",
    "course_aims",
    "media",
    "my_assignments",
    "my_classes",
    "readings",
]

# Tables of identity, named as foreign keys name them; row security shows only what may be seen.
PERSON = table(
    "person",
    column("id", Uuid),
    column("kind", String),
    column("active"),
    column("username", String),
    column("display_name", String),
)
SCHOOL = table("school", column("id", Uuid), column("name", String))
UNIT = table("unit", column("id", Uuid), column("name", String), column("school_id", Uuid))

NOTHING_HERE = N_("There is nothing here.")


def my_classes(uow: UnitOfWork, actor: Actor) -> list[ClassView]:
    """The classes the actor teaches or attends, by name; those that have ended come last."""
    found = uow.execute(
        CLASSES.where(rows(actor, Permission.COURSE_READ, CourseClass)).order_by(
            CourseClass.ended_at.is_not(None), CourseClass.name, CourseClass.id
        )
    )
    return [ClassView(*row) for row in found]


def class_view(
    uow: UnitOfWork,
    actor: Actor,
    class_id: UUID,
    permission: Permission = Permission.COURSE_READ,
) -> ClassView:
    """The class, where the actor holds ``permission`` over it. Raises ``NotVisible``."""
    row = uow.execute(
        CLASSES.where(CourseClass.id == class_id, rows(actor, permission, CourseClass))
    ).first()
    if row is None:
        raise NotVisible(NOTHING_HERE)
    return ClassView(*row)


def class_for_teacher(uow: UnitOfWork, actor: Actor, class_id: UUID) -> ClassView:
    """The class, where the actor teaches it. Raises ``NotVisible``."""
    return class_view(uow, actor, class_id, Permission.CLASS_TEACH)


CLASSES: Select[Any] = (
    # The columns of ``ClassView``.
    select(
        CourseClass.id,
        CourseClass.name,
        CourseClass.unit_id,
        Course.id,
        Course.title,
        Course.language,
        UNIT.c.name,
        CourseClass.ended_at,
    )
    .join(Course, Course.id == CourseClass.course_id)
    .join(UNIT, UNIT.c.id == CourseClass.unit_id)
)
# The columns of ``AimView``.
AIMS = select(
    CompetenceAim.id,
    CompetenceAim.code,
    CompetenceAim.curriculum,
    CompetenceAim.text,
    CompetenceAim.as_of,
    CompetenceAim.verified,
).order_by(CompetenceAim.code)
# Built once: building it takes longer than running it. The policy is asked first (``wanted_by``),
# and row security narrows it like any other.
ITEMS = (
    select(
        Item.id,
        Item.slug,
        Item.title,
        Item.kind,
        Item.published,
        Module.id,
        Module.title,
        Reading.first_at.is_not(None),
        Deadline.due_at,
        Deadline.cutoff_at,
    )
    .join_from(CourseClass, Item, Item.course_id == CourseClass.course_id)
    .join(Module, Module.id == Item.module_id)
    .outerjoin(
        Reading,
        and_(
            Reading.item_id == Item.id,
            Reading.class_id == CourseClass.id,
            Reading.person_id == bindparam("reader"),
        ),
    )
    .outerjoin(Deadline, and_(Deadline.class_id == CourseClass.id, Deadline.item_id == Item.id))
    .where(
        CourseClass.id == bindparam("in_class"),
        Item.removed.is_(False),
        Item.published | bindparam("drafts", type_=Boolean()),
    )
    .order_by(Module.position, Module.id, Item.position, Item.id)
)


def class_items(uow: UnitOfWork, actor: Actor, class_id: UUID) -> list[ItemView]:
    """The class's pages and assignments in the course's order; drafts for its teachers only."""
    wanted = wanted_by(actor, class_id)
    if wanted is None:
        return []
    found: Result[Any] = uow.execute(ITEMS, wanted)
    return [ItemView(*tuple(row)) for row in found]


def wanted_by(actor: Actor, class_id: UUID) -> dict[str, Any] | None:
    """The parameters of ``ITEMS``; None where the actor may not read the class."""
    group = CourseClass(id=class_id)
    if not permits(actor, Permission.COURSE_READ, group):
        return None
    return {
        "in_class": class_id,
        "reader": actor.person_id,
        "drafts": permits(actor, Permission.CLASS_TEACH, group),
    }


def course_aims(uow: UnitOfWork, course_id: UUID, codes: list[str]) -> list[AimView]:
    """The aims with these codes, by code. No statement where there are none."""
    if not codes:
        return []
    wanted = AIMS.where(CompetenceAim.course_id == course_id, CompetenceAim.code.in_(codes))
    return [AimView(*row) for row in uow.execute(wanted)]


def class_assignment(
    uow: UnitOfWork, actor: Actor, class_id: UUID, item_id: UUID, *, withdrawn: bool = False
) -> AssignmentView:
    """The assignment in the class. ``withdrawn`` also finds one that has been taken out of the
    course since: what was handed in to it stays readable.

    Raises ``NotVisible`` for an outsider of the class, and for a draft to students.
    """
    wanted = wanted_by(actor, class_id)
    row = (
        uow.execute(_ASSIGNMENT, {**wanted, "item": item_id, "withdrawn": withdrawn}).first()
        if wanted
        else None
    )
    if row is None:
        raise NotVisible(NOTHING_HERE)
    return _assignment(row)


def class_assignments(
    uow: UnitOfWork, actor: Actor, class_id: UUID, *, withdrawn: bool = False
) -> list[AssignmentView]:
    """The class's assignments in the course's order, without their text. Empty for an outsider."""
    wanted = wanted_by(actor, class_id)
    if wanted is None:
        return []
    found: Result[Any] = uow.execute(_ASSIGNMENTS, {**wanted, "withdrawn": withdrawn})
    return [_assignment(row) for row in found]


def my_assignments(uow: UnitOfWork, actor: Actor) -> list[AssignmentView]:
    """The assignments of all classes taught or attended, by class, in one statement."""
    found = uow.execute(
        _in_order(_assignments(literal("").label("body"))).where(
            rows(actor, Permission.COURSE_READ, CourseClass),
            Item.published | rows(actor, Permission.CLASS_TEACH, CourseClass),
            Item.removed.is_(False),
            CourseClass.ended_at.is_(None),
        )
    )
    return [_assignment(row) for row in found]


def class_students(uow: UnitOfWork, actor: Actor, class_id: UUID) -> list[StudentView]:
    """Who is enrolled and placed at the class's unit now, by name.

    Empty unless the actor teaches the class. Showing this is an event: ``classes.open_people``.
    """
    found = uow.execute(
        select(PERSON.c.id, PERSON.c.display_name, PERSON.c.username)
        .select_from(Enrolment)
        .join(CourseClass, CourseClass.id == Enrolment.class_id)
        .join(PERSON, PERSON.c.id == Enrolment.person_id)
        .where(
            Enrolment.class_id == class_id,
            Enrolment.ended_at.is_(None),
            func.dask_unit_of(Enrolment.person_id) == CourseClass.unit_id,
            rows(actor, Permission.CLASS_TEACH, CourseClass),
        )
        .order_by(PERSON.c.display_name, PERSON.c.id)
    )
    return [StudentView(*row) for row in found]


def class_teachers(uow: UnitOfWork, actor: Actor, class_id: UUID) -> list[StudentView]:
    """The class's teachers, by name: for its students and for themselves."""
    found = uow.execute(
        select(PERSON.c.id, PERSON.c.display_name, PERSON.c.username)
        .select_from(ClassTeacher)
        .join(CourseClass, CourseClass.id == ClassTeacher.class_id)
        .join(PERSON, PERSON.c.id == ClassTeacher.person_id)
        .where(CourseClass.id == class_id, rows(actor, Permission.COURSE_READ, CourseClass))
        .order_by(PERSON.c.display_name, PERSON.c.id)
    )
    return [StudentView(*row) for row in found]


def readings(uow: UnitOfWork, actor: Actor, class_id: UUID) -> dict[UUID, set[UUID]]:
    """Which pages each student of the class has opened. Empty unless the actor teaches it."""
    found = uow.execute(
        select(Reading.person_id, Reading.item_id)
        .join(CourseClass, CourseClass.id == Reading.class_id)
        .where(Reading.class_id == class_id, rows(actor, Permission.CLASS_TEACH, CourseClass))
    )
    read: dict[UUID, set[UUID]] = {}
    for person_id, item_id in found:
        read.setdefault(person_id, set()).add(item_id)
    return read


def media(uow: UnitOfWork, actor: Actor, media_id: UUID, name: str) -> MediaView:
    """A picture of a course that the actor may read. Raises ``NotVisible``."""
    row = uow.execute(
        select(Media.storage_key, Media.mime, Media.size, Media.sha256)
        .join(Course, Course.id == Media.course_id)
        .where(
            Media.id == media_id, Media.name == name, rows(actor, Permission.COURSE_READ, Course)
        )
    ).first()
    if row is None:
        raise NotVisible(NOTHING_HERE)
    return MediaView(*row)


def _assignments(body: Any) -> Select[Any]:
    """Every assignment in every class, with the columns of ``AssignmentView``. Nobody's yet."""
    return (
        select(
            CourseClass.id,
            CourseClass.name,
            CourseClass.unit_id,
            Course.title,
            Course.language,
            Item.id,
            Item.slug,
            Item.title,
            body,
            Item.grading,
            Item.text_wanted,
            Item.files_most,
            Item.file_bytes_most,
            Item.file_types,
            Deadline.due_at,
            # The end of a class closes what is still open; of two times, null is none at all.
            func.least(Deadline.cutoff_at, CourseClass.ended_at),
            Item.published,
            Item.removed,
        )
        .join_from(CourseClass, Course, Course.id == CourseClass.course_id)
        .join(Item, Item.course_id == Course.id)
        .join(Module, Module.id == Item.module_id)
        .outerjoin(Deadline, and_(Deadline.class_id == CourseClass.id, Deadline.item_id == Item.id))
        .where(Item.kind == ItemKind.ASSIGNMENT)
    )


def _in_order(statement: Select[Any]) -> Select[Any]:
    return statement.order_by(
        CourseClass.name, CourseClass.id, Module.position, Item.position, Item.id
    )


def _of_class(statement: Select[Any]) -> Select[Any]:
    """Narrowed by the parameters of ``wanted_by``, and by ``withdrawn``."""
    return statement.where(
        CourseClass.id == bindparam("in_class"),
        Item.published | bindparam("drafts", type_=Boolean()),
        Item.removed.is_(False) | bindparam("withdrawn", type_=Boolean()),
    )


# Built once, as ``ITEMS`` is.
_ASSIGNMENT = _of_class(_assignments(Item.body_html)).where(Item.id == bindparam("item"))
_ASSIGNMENTS = _in_order(_of_class(_assignments(literal("").label("body"))))


def _assignment(row: Any) -> AssignmentView:
    values = list(row)
    values[13] = tuple(values[13])
    return AssignmentView(*values)
