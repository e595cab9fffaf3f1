"""The audit log: append-only, each row carrying the hash of the one before it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, String
from sqlalchemy.dialects.postgresql import INET, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dask_platform.db.base import Base


class AuditEvent(Base):
    """Who, in what role, from where, did what, to what and whom, when.

    ``seq``, ``at``, ``previous`` and ``hash`` are set by a trigger, never by the writer. Ids are
    kept without foreign keys: a log outlives what it tells of.
    """

    __tablename__ = "audit_event"
    __personal__ = True
    __table_args__ = (
        Index("ix_audit_event_at", "at"),
        Index("ix_audit_event_unit_id_at", "unit_id", "at"),
    )

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(60))
    actor_id: Mapped[UUID | None]
    actor_name: Mapped[str] = mapped_column(String(200))
    actor_role: Mapped[str] = mapped_column(String(60))
    unit_id: Mapped[UUID | None]
    address: Mapped[str | None] = mapped_column(INET)
    object_type: Mapped[str | None] = mapped_column(String(40))
    object_id: Mapped[str | None] = mapped_column(String(100))
    subject_id: Mapped[UUID | None]
    request_id: Mapped[str | None] = mapped_column(String(40))
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    previous: Mapped[bytes] = mapped_column(LargeBinary(32))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class AuditHead(Base):
    """The one row that holds the chain's end. Its row lock puts concurrent writers in a line."""

    __tablename__ = "audit_head"
    __personal__ = False
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class AuditReview(Base):
    """A week signed as reviewed at a unit, with the chain's end at that moment as an anchor."""

    __tablename__ = "audit_review"
    __personal__ = True

    unit_id: Mapped[UUID] = mapped_column(ForeignKey("unit.id"), primary_key=True)
    week: Mapped[date] = mapped_column(primary_key=True)  # the Monday
    reviewed_by: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    reviewed_at: Mapped[datetime]
    note: Mapped[str] = mapped_column(String(1000), default="")
    head_seq: Mapped[int] = mapped_column(BigInteger)
    head_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
