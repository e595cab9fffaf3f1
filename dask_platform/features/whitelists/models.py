"""The life of the rules: versions that never change, proposals, stops, and wishes for a page.

A version comes into being in one way only: a trigger writes it when a second officer approves a
proposal. The web role may not write one, and nobody but the owner of the tables may change one.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    String,
    Uuid,
    and_,
    column,
    func,
    or_,
    select,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, column_property, mapped_column

from dask_platform.db.base import Base, pk

REASON_MOST = 500
NAME_MOST = 320

# Other features' tables, named as foreign keys name them.
_PLACEMENT = table(
    "placement",
    column("person_id", Uuid),
    column("unit_id", Uuid),
    column("starts_at", DateTime(timezone=True)),
    column("ends_at", DateTime(timezone=True)),
)
_ENROLMENT = table(
    "enrolment",
    column("person_id", Uuid),
    column("class_id", Uuid),
    column("ended_at", DateTime(timezone=True)),
)
_CLASS = table("course_class", column("id", Uuid), column("unit_id", Uuid))
_PLACED_NOW = and_(
    _PLACEMENT.c.starts_at <= func.now(),
    or_(_PLACEMENT.c.ends_at.is_(None), _PLACEMENT.c.ends_at > func.now()),
)


class Action(StrEnum):
    """What a proposal does to its rule."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"


class ProposalState(StrEnum):
    APPROVED = "approved"
    REFUSED = "refused"
    WAITING = "waiting"
    WITHDRAWN = "withdrawn"


class StopKind(StrEnum):
    """What is stopped. ``unit`` is everything at a unit."""

    ROOM = "room"
    RULE = "rule"
    STUDENT = "student"
    UNIT = "unit"


class RequestState(StrEnum):
    """``proposed``: an officer has made a proposal of it, which waits for the second one."""

    OPEN = "open"
    OPENED = "opened"
    PROPOSED = "proposed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class Version(Base):
    """What a rule said from a moment on; ``body`` None: it was taken away.

    Numbers count over all rules and lie in the order of the commits, so the set in force is the
    newest row of each rule, and the set at version n the newest up to n. ``proposal_id`` None: read
    from files. Names are kept as they were: a version outlives the accounts of those who made it.
    """

    __tablename__ = "whitelist_version"
    __personal__ = True
    __table_args__ = (Index("ix_whitelist_version_rule_id_number", "rule_id", "number"),)

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    #: Random, so that it tells two databases apart that have counted equally far.
    mark: Mapped[UUID] = mapped_column(unique=True)
    rule_id: Mapped[str] = mapped_column(String(60))
    unit_id: Mapped[UUID | None] = mapped_column(ForeignKey("unit.id"))
    body: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    proposal_id: Mapped[UUID | None] = mapped_column(ForeignKey("whitelist_proposal.id"))
    proposed_name: Mapped[str] = mapped_column(String(NAME_MOST))
    approved_name: Mapped[str] = mapped_column(String(NAME_MOST))
    reason: Mapped[str] = mapped_column(String(REASON_MOST))
    at: Mapped[datetime]


class Proposal(Base):
    """What one officer wants a rule to say. ``based_on`` is the version it was made from; ``body``
    None takes the rule away. ``proposer_units`` are the units where the proposer was a security
    officer then: a trigger writes them, and the name."""

    __tablename__ = "whitelist_proposal"
    __personal__ = True
    __table_args__ = (
        CheckConstraint("action IN ('add','change','remove')", name="action"),
        CheckConstraint("(action = 'remove') = (body IS NULL)", name="body"),
        CheckConstraint("state IN ('approved','refused','waiting','withdrawn')", name="state"),
        CheckConstraint("(state = 'waiting') = (decided_by IS NULL)", name="decided"),
        CheckConstraint(
            "state NOT IN ('approved','refused') OR decided_by <> proposed_by", name="two_people"
        ),
        # One at a time: two proposals for one rule would each be judged without the other.
        Index(
            "uq_whitelist_proposal_waiting",
            "rule_id",
            unique=True,
            postgresql_where=text("state = 'waiting'"),
        ),
    )

    id: Mapped[UUID] = pk()
    rule_id: Mapped[str] = mapped_column(String(60))
    unit_id: Mapped[UUID | None] = mapped_column(ForeignKey("unit.id"))
    action: Mapped[str] = mapped_column(String(10))
    body: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    based_on: Mapped[int | None] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String(REASON_MOST))
    request_id: Mapped[UUID | None] = mapped_column(ForeignKey("site_request.id"))
    proposed_by: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    proposed_name: Mapped[str] = mapped_column(String(NAME_MOST))
    proposer_units: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    proposed_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10), default=ProposalState.WAITING)
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    decided_name: Mapped[str | None] = mapped_column(String(NAME_MOST))
    decided_at: Mapped[datetime | None]
    answer: Mapped[str] = mapped_column(String(REASON_MOST), default="")

    #: Whether somebody else is a security officer at a unit where the proposer is none.
    officers_elsewhere: Mapped[bool] = column_property(
        func.dask_officers_elsewhere(proposed_by, proposer_units, type_=Boolean())
    )


class Stop(Base):
    """Something closed at once, by one officer. Reopening takes two: one asks, another agrees.

    ``unit_id`` None with a rule: the rule is stopped everywhere. A student's stop follows the
    student to the next unit. Rooms and rules are kept by their ids alone: both may be taken away.
    """

    __tablename__ = "whitelist_stop"
    __personal__ = True
    __table_args__ = (
        CheckConstraint("kind IN ('room','rule','student','unit')", name="kind"),
        CheckConstraint("(kind = 'rule') = (rule_id IS NOT NULL)", name="rule"),
        CheckConstraint("(kind = 'student') = (person_id IS NOT NULL)", name="student"),
        CheckConstraint("(kind = 'room') = (room_id IS NOT NULL)", name="room"),
        CheckConstraint("kind = 'rule' OR unit_id IS NOT NULL", name="unit"),
        CheckConstraint("reopened_by <> reopen_asked_by", name="two_people"),
        Index("ix_whitelist_stop_holding", "kind", postgresql_where=text("reopened_at IS NULL")),
    )

    id: Mapped[UUID] = pk()
    kind: Mapped[str] = mapped_column(String(10))
    rule_id: Mapped[str | None] = mapped_column(String(60))
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    room_id: Mapped[UUID | None]
    unit_id: Mapped[UUID | None] = mapped_column(ForeignKey("unit.id"))
    reason: Mapped[str] = mapped_column(String(REASON_MOST))
    stopped_by: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    stopped_name: Mapped[str] = mapped_column(String(NAME_MOST))
    stopped_at: Mapped[datetime]
    reopen_reason: Mapped[str] = mapped_column(String(REASON_MOST), default="")
    reopen_asked_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    reopen_asked_name: Mapped[str | None] = mapped_column(String(NAME_MOST))
    reopen_asked_at: Mapped[datetime | None]
    reopened_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    reopened_name: Mapped[str | None] = mapped_column(String(NAME_MOST))
    reopened_at: Mapped[datetime | None]

    #: Where the student is placed now, as far as the reader may know.
    placed_unit: Mapped[UUID | None] = column_property(
        select(_PLACEMENT.c.unit_id)
        .where(_PLACEMENT.c.person_id == person_id, _PLACED_NOW)
        .correlate_except(_PLACEMENT)
        .limit(1)
        .scalar_subquery()
    )


class SiteRequest(Base):
    """A wish for a page, from a teacher (for a class, until a day) or from a student.

    What a student wrote here is read by that student, by security where the student is placed, and
    by the teachers of the student's classes. No other student sees a trace of it.
    """

    __tablename__ = "site_request"
    __personal__ = True
    __table_args__ = (
        CheckConstraint(
            "state IN ('open','opened','proposed','refused','withdrawn')", name="state"
        ),
        CheckConstraint("NOT by_student OR (char_length(reason) <= 200)", name="student_reason"),
        CheckConstraint(
            "NOT by_student OR (class_id IS NULL AND wanted_until IS NULL)", name="student"
        ),
        Index("ix_site_request_person_id", "person_id"),
        Index("ix_site_request_unit_id_state", "unit_id", "state"),
    )

    id: Mapped[UUID] = pk()
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    by_student: Mapped[bool]
    unit_id: Mapped[UUID] = mapped_column(ForeignKey("unit.id"))
    class_id: Mapped[UUID | None] = mapped_column(ForeignKey("course_class.id"))
    address: Mapped[str] = mapped_column(String(500))
    reason: Mapped[str] = mapped_column(String(REASON_MOST), default="")
    wanted_until: Mapped[date | None]
    asked_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10), default=RequestState.OPEN)
    answered_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    answered_name: Mapped[str | None] = mapped_column(String(NAME_MOST))
    answered_at: Mapped[datetime | None]
    answer: Mapped[str] = mapped_column(String(REASON_MOST), default="")

    placed_unit: Mapped[UUID | None] = column_property(
        select(_PLACEMENT.c.unit_id)
        .where(_PLACEMENT.c.person_id == person_id, _PLACED_NOW)
        .correlate_except(_PLACEMENT)
        .limit(1)
        .scalar_subquery()
    )
    #: The classes that the asker attends now, as far as the reader may know.
    attended: Mapped[list[UUID] | None] = column_property(
        select(func.array_agg(_ENROLMENT.c.class_id))
        .select_from(_ENROLMENT)
        .join(_CLASS, _CLASS.c.id == _ENROLMENT.c.class_id)
        .join(
            _PLACEMENT,
            and_(
                _PLACEMENT.c.person_id == _ENROLMENT.c.person_id,
                _PLACEMENT.c.unit_id == _CLASS.c.unit_id,
                _PLACED_NOW,
            ),
        )
        .where(_ENROLMENT.c.person_id == person_id, _ENROLMENT.c.ended_at.is_(None))
        .correlate_except(_ENROLMENT, _CLASS, _PLACEMENT)
        .scalar_subquery()
    )


class StoredCopy(Base):
    """A copy of a site that lies in the file store under ``storage_key``, ``copies/<sha256>``.

    It is shown to nobody until a rule in force names it by its hash. ``facts`` are ``CopyFacts`` as
    they were read from the bytes. ``added_by`` None: an operator added it on the command line. A
    trigger writes who added it on the pages.
    """

    __tablename__ = "site_copy"
    __personal__ = True
    __table_args__ = (
        CheckConstraint("kind IN ('warc','zim')", name="kind"),
        CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),
        CheckConstraint("size > 0", name="size"),
        CheckConstraint("storage_key = 'copies/' || sha256", name="storage_key"),
    )

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    #: By this name the backup finds what else than rows it has to keep.
    storage_key: Mapped[str] = mapped_column(String(71))
    kind: Mapped[str] = mapped_column(String(4))
    size: Mapped[int] = mapped_column(BigInteger)
    title: Mapped[str] = mapped_column(String(200))
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    added_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    added_name: Mapped[str] = mapped_column(String(NAME_MOST))
    added_at: Mapped[datetime]
