"""Who may read, edit, run and attend what.

A student reads the courses of own classes, and nothing else. A teacher reads the national courses
and those of own schools, edits the latter, and runs classes at units where the role holds.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, cast, false, func, literal
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute

from dask_platform.features.courses.models import Course, CourseClass
from dask_platform.kernel.actor import Actor, Role
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import Grant, register

Condition = ColumnElement[bool]


def _units(actor: Actor) -> frozenset[UUID]:
    return actor.units(Role.TEACHER)


def _overlap(column: InstrumentedAttribute[list[UUID] | None], ids: frozenset[UUID]) -> Condition:
    """Whether the array has any of ``ids``. Null, which has none, is false and not unknown."""
    own = literal(list(ids), ARRAY(Uuid))
    return func.coalesce(cast(column, ARRAY(Uuid)).overlap(own), false())


def _own_school(actor: Actor, course: Course) -> bool:
    return course.school_id is not None and not _units(actor).isdisjoint(course.unit_ids or ())


register(
    Grant(
        Permission.COURSE_READ,
        Role.STUDENT,
        "A student reads the courses of the classes attended.",
        CourseClass,
        lambda actor, thing: thing.id in actor.attends,
        lambda actor: CourseClass.id.in_(actor.attends),
    ),
    Grant(
        Permission.COURSE_READ,
        Role.STUDENT,
        "A student sees the pictures of those courses.",
        Course,
        lambda actor, thing: not actor.attends.isdisjoint(thing.class_ids or ()),
        lambda actor: _overlap(Course.class_ids, actor.attends),
    ),
    Grant(
        Permission.COURSE_READ,
        Role.TEACHER,
        "A teacher reads the courses of the classes taught.",
        CourseClass,
        lambda actor, thing: thing.id in actor.teaches,
        lambda actor: CourseClass.id.in_(actor.teaches),
    ),
    Grant(
        Permission.COURSE_READ,
        Role.TEACHER,
        "A teacher reads national courses, and those of own schools.",
        Course,
        lambda actor, thing: thing.school_id is None or _own_school(actor, thing),
        lambda actor: Course.school_id.is_(None) | _overlap(Course.unit_ids, _units(actor)),
    ),
    Grant(
        Permission.COURSE_EDIT,
        Role.TEACHER,
        "A teacher edits the courses of own schools; a national course is copied first.",
        Course,
        _own_school,
        lambda actor: Course.school_id.is_not(None) & _overlap(Course.unit_ids, _units(actor)),
    ),
    Grant(
        Permission.COURSE_CREATE,
        Role.TEACHER,
        "A teacher makes a course, or a copy of one, for an own school.",
    ),
    Grant(
        Permission.CLASS_CREATE,
        Role.TEACHER,
        "A teacher makes classes at units where the teacher role holds.",
        CourseClass,
        lambda actor, thing: thing.unit_id in _units(actor),
        lambda actor: CourseClass.unit_id.in_(_units(actor)),
    ),
    Grant(
        Permission.CLASS_TEACH,
        Role.TEACHER,
        "A teacher runs the classes taught: people, deadlines, who has read what, and their end.",
        CourseClass,
        lambda actor, thing: thing.id in actor.teaches,
        lambda actor: CourseClass.id.in_(actor.teaches),
    ),
    Grant(
        Permission.CLASS_ATTEND,
        Role.STUDENT,
        "A student takes part in the classes enrolled in, at the unit of the present placement.",
        CourseClass,
        lambda actor, thing: thing.id in actor.attends,
        lambda actor: CourseClass.id.in_(actor.attends),
    ),
)
