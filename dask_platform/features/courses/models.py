"""Courses (modules of pages and assignments), classes, who teaches and attends, who has read."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    column,
    func,
    select,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from dask_platform.db.base import Base, pk

_UNIT = table("unit", column("id", Uuid), column("school_id", Uuid))
_CLASS = table("course_class", column("id", Uuid), column("course_id", Uuid))


class ItemKind(StrEnum):
    ASSIGNMENT = "assignment"
    PAGE = "page"


class Grading(StrEnum):
    """Grade 1–6, or bestått / ikke bestått."""

    GRADE = "grade"
    PASSFAIL = "passfail"


class Course(Base):
    """A course. From ``content/`` it is national (no school) and edited in its files alone;
    made in the browser it belongs to one school, whose teachers edit it."""

    __tablename__ = "course"
    __personal__ = False
    __table_args__ = (CheckConstraint("language IN ('nb','nn','en')", name="language"),)

    id: Mapped[UUID] = pk()
    slug: Mapped[str] = mapped_column(String(80), unique=True)
    school_id: Mapped[UUID | None] = mapped_column(ForeignKey("school.id"))
    language: Mapped[str] = mapped_column(String(2))
    title: Mapped[str] = mapped_column(String(200))
    summary: Mapped[str] = mapped_column(Text, default="")
    content_hash: Mapped[str | None] = mapped_column(String(64))
    published: Mapped[bool] = mapped_column(default=False)
    withdrawn_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)
    updated_at: Mapped[datetime]

    # What a policy asks of a course beside its own columns, read along with it: the units of its
    # school, and the classes that the reader may see. Null where there is none.
    unit_ids: Mapped[list[UUID] | None] = column_property(
        select(func.array_agg(_UNIT.c.id))
        .where(_UNIT.c.school_id == school_id)
        .correlate_except(_UNIT)
        .scalar_subquery()
    )
    class_ids: Mapped[list[UUID] | None] = column_property(
        select(func.array_agg(_CLASS.c.id))
        .where(_CLASS.c.course_id == id)
        .correlate_except(_CLASS)
        .scalar_subquery()
    )

    modules: Mapped[list[Module]] = relationship(
        back_populates="course", order_by="Module.position"
    )

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy's own form


class Module(Base):
    __tablename__ = "course_module"
    __personal__ = False
    __table_args__ = (UniqueConstraint("course_id", "slug"),)

    id: Mapped[UUID] = pk()
    course_id: Mapped[UUID] = mapped_column(ForeignKey("course.id"))
    slug: Mapped[str] = mapped_column(String(80))
    title: Mapped[str] = mapped_column(String(200))
    position: Mapped[int]

    course: Mapped[Course] = relationship(back_populates="modules")
    items: Mapped[list[Item]] = relationship(back_populates="module", order_by="Item.position")


class Item(Base):
    """A page or an assignment. ``body_html`` is stored clean.

    What a student has read or handed in points here, so an item is never deleted: one that is
    gone from its course is ``removed``, and hidden.
    """

    __tablename__ = "course_item"
    __personal__ = False
    __table_args__ = (
        UniqueConstraint("course_id", "slug"),
        CheckConstraint("kind IN ('page','assignment')", name="kind"),
        CheckConstraint("grading IN ('grade','passfail')", name="grading"),
        Index("ix_course_item_module_id", "module_id"),
    )

    id: Mapped[UUID] = pk()
    course_id: Mapped[UUID] = mapped_column(ForeignKey("course.id"))
    module_id: Mapped[UUID] = mapped_column(ForeignKey("course_module.id"))
    kind: Mapped[str] = mapped_column(String(20))
    slug: Mapped[str] = mapped_column(String(80))
    title: Mapped[str] = mapped_column(String(200))
    position: Mapped[int]
    body_source: Mapped[str] = mapped_column(Text)
    body_html: Mapped[str] = mapped_column(Text)
    published: Mapped[bool] = mapped_column(default=False)
    removed: Mapped[bool] = mapped_column(default=False)
    aims: Mapped[list[str]] = mapped_column(ARRAY(String(20)), default=list)
    # What an assignment asks for; null on a page.
    grading: Mapped[str | None] = mapped_column(String(20))
    text_wanted: Mapped[bool] = mapped_column(default=True)
    files_most: Mapped[int] = mapped_column(default=0)
    file_bytes_most: Mapped[int] = mapped_column(default=20 * 1024 * 1024)
    file_types: Mapped[list[str]] = mapped_column(ARRAY(String(20)), default=list)
    version: Mapped[int] = mapped_column(default=1)
    updated_at: Mapped[datetime]

    module: Mapped[Module] = relationship(back_populates="items")

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy's own form


class CompetenceAim(Base):
    """A competence aim as the course pinned it: code *and* text, as of a day.

    Codes have been wrong, and have been withdrawn; a course says what it meant. ``verified`` when
    somebody has compared both with Grep, the national register of curricula.
    """

    __tablename__ = "competence_aim"
    __personal__ = False
    __table_args__ = (UniqueConstraint("course_id", "code"),)

    id: Mapped[UUID] = pk()
    course_id: Mapped[UUID] = mapped_column(ForeignKey("course.id"))
    code: Mapped[str] = mapped_column(String(20))
    curriculum: Mapped[str] = mapped_column(String(20))
    text: Mapped[str] = mapped_column(Text)
    as_of: Mapped[date]
    verified: Mapped[bool] = mapped_column(default=False)


class Media(Base):
    """A picture of a course, served from the file store under its own random address."""

    __tablename__ = "course_media"
    __personal__ = False
    __table_args__ = (UniqueConstraint("course_id", "name", "sha256"),)

    id: Mapped[UUID] = pk()
    course_id: Mapped[UUID] = mapped_column(ForeignKey("course.id"))
    name: Mapped[str] = mapped_column(String(120))
    storage_key: Mapped[str] = mapped_column(String(200))
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int]
    mime: Mapped[str] = mapped_column(String(100))


class CourseClass(Base):
    """A class: a course run at a unit. One that has ended takes no new work, and is still read."""

    __tablename__ = "course_class"
    __personal__ = False

    id: Mapped[UUID] = pk()
    course_id: Mapped[UUID] = mapped_column(ForeignKey("course.id"))
    unit_id: Mapped[UUID] = mapped_column(ForeignKey("unit.id"), index=True)
    name: Mapped[str] = mapped_column(String(120))
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    course: Mapped[Course] = relationship()


class ClassTeacher(Base):
    __tablename__ = "class_teacher"
    __personal__ = True

    class_id: Mapped[UUID] = mapped_column(ForeignKey("course_class.id"), primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), primary_key=True, index=True)
    since: Mapped[datetime]


class Enrolment(Base):
    """A student in a class. It ends; it is not deleted, for work hangs on it."""

    __tablename__ = "enrolment"
    __personal__ = True
    __table_args__ = (
        Index(
            "uq_enrolment_open",
            "class_id",
            "person_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_enrolment_person_id", "person_id"),
    )

    id: Mapped[UUID] = pk()
    class_id: Mapped[UUID] = mapped_column(ForeignKey("course_class.id"))
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    enrolled_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Deadline(Base):
    """When an assignment is due in a class, and when it closes. Late is accepted in between."""

    __tablename__ = "class_deadline"
    __personal__ = False
    __table_args__ = (
        CheckConstraint("due_at IS NULL OR cutoff_at IS NULL OR cutoff_at >= due_at", name="order"),
    )

    class_id: Mapped[UUID] = mapped_column(ForeignKey("course_class.id"), primary_key=True)
    item_id: Mapped[UUID] = mapped_column(ForeignKey("course_item.id"), primary_key=True)
    due_at: Mapped[datetime | None]
    cutoff_at: Mapped[datetime | None]


class Reading(Base):
    """That a student has opened a page, in a class, first at."""

    __tablename__ = "reading"
    __personal__ = True

    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), primary_key=True)
    class_id: Mapped[UUID] = mapped_column(ForeignKey("course_class.id"), primary_key=True)
    item_id: Mapped[UUID] = mapped_column(ForeignKey("course_item.id"), primary_key=True)
    first_at: Mapped[datetime]
