"""Attempts at an assignment, their files, and the marking."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    column,
    false,
    func,
    select,
    table,
    text,
)
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from dask_platform.db.base import Base, pk

# Courses own their tables; of a class only its unit is asked here, in SQL.
_class = table("course_class", column("id", Uuid), column("unit_id", Uuid))


class AttemptState(StrEnum):
    """``draft`` may be changed by the student; ``handed_in`` by nobody; ``returned`` is marked."""

    DRAFT = "draft"
    HANDED_IN = "handed_in"
    RETURNED = "returned"


class ScanState(StrEnum):
    """``refused``: the scanner answered but would not judge; treated like infected."""

    CLEAN = "clean"
    INFECTED = "infected"
    PENDING = "pending"
    REFUSED = "refused"


class Attempt(Base):
    """One try at an assignment by one student in one class.

    ``scan_state`` sums up the files: clean only when every one is. A database trigger refuses any
    change to text or times once the attempt is handed in.
    """

    __tablename__ = "attempt"
    __personal__ = True
    __table_args__ = (
        UniqueConstraint("class_id", "item_id", "person_id", "number"),
        Index(
            "uq_attempt_draft",
            "class_id",
            "item_id",
            "person_id",
            unique=True,
            postgresql_where=text("state = 'draft'"),
        ),
        Index("ix_attempt_person_id", "person_id"),
        CheckConstraint("state IN ('draft','handed_in','returned')", name="state"),
        CheckConstraint("scan_state IN ('pending','clean','infected','refused')", name="scan"),
        CheckConstraint("(state = 'draft') = (handed_in_at IS NULL)", name="handed_in"),
    )

    id: Mapped[UUID] = pk()
    class_id: Mapped[UUID] = mapped_column(ForeignKey("course_class.id"))
    item_id: Mapped[UUID] = mapped_column(ForeignKey("course_item.id"))
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    number: Mapped[int]
    state: Mapped[str] = mapped_column(String(20), default=AttemptState.DRAFT)
    text: Mapped[str] = mapped_column(Text, default="")
    text_sha256: Mapped[str | None] = mapped_column(String(64))
    receipt: Mapped[str | None] = mapped_column(String(20), unique=True)
    started_at: Mapped[datetime]
    saved_at: Mapped[datetime]
    handed_in_at: Mapped[datetime | None]
    late: Mapped[bool] = mapped_column(default=False)
    file_count: Mapped[int] = mapped_column(default=0)
    scan_state: Mapped[str] = mapped_column(String(20), default=ScanState.CLEAN)
    version: Mapped[int] = mapped_column(default=1)

    files: Mapped[list[HandinFile]] = relationship(
        back_populates="attempt", order_by="HandinFile.added_at"
    )

    #: Whether the student is placed at the class's unit now, as far as the actor may know.
    #: Read with the row where the policy needs it (``undefer``), else when it is asked for.
    student_here: Mapped[bool] = column_property(
        func.coalesce(
            func.dask_unit_of(person_id)
            == select(_class.c.unit_id).where(_class.c.id == class_id).scalar_subquery(),
            false(),
        ),
        deferred=True,
    )

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy's own form


class HandinFile(Base):
    """A file of an attempt. A teacher cannot see its row until the scanner has cleared it."""

    __tablename__ = "handin_file"
    __personal__ = True
    __table_args__ = (
        CheckConstraint("scan_state IN ('pending','clean','infected','refused')", name="scan"),
        Index("ix_handin_file_attempt_id", "attempt_id"),
    )

    id: Mapped[UUID] = pk()
    attempt_id: Mapped[UUID] = mapped_column(ForeignKey("attempt.id"))
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    name: Mapped[str] = mapped_column(String(255))
    storage_key: Mapped[str] = mapped_column(String(200), unique=True)
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    mime: Mapped[str] = mapped_column(String(100))
    family: Mapped[str] = mapped_column(String(20))
    extension: Mapped[str] = mapped_column(String(10))
    added_at: Mapped[datetime]
    scan_state: Mapped[str] = mapped_column(String(20), default=ScanState.PENDING)
    scan_finding: Mapped[str | None] = mapped_column(String(200))
    scanned_at: Mapped[datetime | None]

    attempt: Mapped[Attempt] = relationship(back_populates="files")

    #: Where the student is placed now, as far as the actor may know.
    student_unit: Mapped[UUID | None] = column_property(
        func.dask_unit_of(person_id, type_=Uuid), deferred=True
    )


class Marking(Base):
    """A teacher's marking. The student sees it once ``returned_at`` is set, not before."""

    __tablename__ = "marking"
    __personal__ = True
    __table_args__ = (
        CheckConstraint("grade IN ('1','2','3','4','5','6','passed','failed')", name="grade"),
    )

    attempt_id: Mapped[UUID] = mapped_column(ForeignKey("attempt.id"), primary_key=True)
    student_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), index=True)
    grade: Mapped[str | None] = mapped_column(String(10))
    comment: Mapped[str] = mapped_column(Text, default="")
    marked_by: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    marked_at: Mapped[datetime]
    returned_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy's own form
