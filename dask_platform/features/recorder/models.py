"""A recording, the ways to its hosts, what it saw, and what it keeps for a copy."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dask_platform.db.base import Base, pk

ADDRESS_MOST = 2000
PATH_MOST = 1000
REASON_MOST = 500
TITLE_MOST = 200


class Recording(Base):
    """A throw-away session of one officer on a site that is not open yet.

    It is live until ``ended_at``, ``until`` (half an hour after the start at most), or the end of
    the log-in it was started from, whichever comes first.
    """

    __tablename__ = "recording"
    __personal__ = True
    __table_args__ = (
        CheckConstraint("until <= started_at + interval '30 minutes'", name="half_an_hour"),
        Index("ix_recording_person_id", "person_id"),
        Index("ix_recording_session_id", "session_id"),
    )

    id: Mapped[UUID] = pk()
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    unit_id: Mapped[UUID] = mapped_column(ForeignKey("unit.id"))
    session_id: Mapped[UUID] = mapped_column(ForeignKey("login_session.id", ondelete="CASCADE"))
    start_url: Mapped[str] = mapped_column(String(ADDRESS_MOST))
    reason: Mapped[str] = mapped_column(String(REASON_MOST))
    copying: Mapped[bool] = mapped_column(Boolean)
    started_at: Mapped[datetime]
    until: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    copy_sha256: Mapped[str | None] = mapped_column(String(64))
    """The copy that was made of it, once it was."""


class RecordingWay(Base):
    """A recording's way to one host, as ``BrokerSession`` is a student's. The web role reads none
    of it: ``dask_recording_ticket``, ``dask_recording_redeem`` and ``dask_recording_resume`` do."""

    __tablename__ = "recording_way"
    __personal__ = True
    __table_args__ = (Index("ix_recording_way_recording_id", "recording_id"),)

    id: Mapped[UUID] = pk()
    recording_id: Mapped[UUID] = mapped_column(ForeignKey("recording.id", ondelete="CASCADE"))
    host: Mapped[str] = mapped_column(String(253))
    ticket_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32), unique=True)
    ticket_until: Mapped[datetime]
    token_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32), unique=True)


class RecordingSeen(Base):
    """One place that a recording needed: a page or what stands in one, or what it found and left
    alone.

    ``path`` is written as in an address. ``query`` is a list of ``[name, shape, length]``: what a
    parameter looked like, never what it held; ``shape`` null means that no rule can open it.
    ``text`` is how many characters of a page are there without its script. ``wanted``: a page's
    script asked for it, and could not have it. ``note`` says what a link or form is for, and of a
    page whether it has script.
    """

    __tablename__ = "recording_seen"
    __personal__ = True
    __table_args__ = (
        UniqueConstraint(
            "recording_id", "host", "path", "kind", name="uq_recording_seen_recording_id"
        ),
    )

    id: Mapped[UUID] = pk()
    recording_id: Mapped[UUID] = mapped_column(ForeignKey("recording.id", ondelete="CASCADE"))
    host: Mapped[str] = mapped_column(String(253))
    path: Mapped[str] = mapped_column(String(PATH_MOST))
    kind: Mapped[str] = mapped_column(String(10))
    query: Mapped[list[Any]] = mapped_column(JSONB)
    mime: Mapped[str] = mapped_column(String(80))
    status: Mapped[int] = mapped_column(Integer)
    size: Mapped[int] = mapped_column(BigInteger)
    text: Mapped[int] = mapped_column(Integer)
    title: Mapped[str] = mapped_column(String(TITLE_MOST))
    times: Mapped[int] = mapped_column(Integer)
    wanted: Mapped[bool] = mapped_column(Boolean)
    note: Mapped[str] = mapped_column(String(10))
    first_at: Mapped[datetime]


class RecordingCookie(Base):
    """What a site wants to remember of a recording. Gone at its end."""

    __tablename__ = "recording_cookie"
    __personal__ = True

    recording_id: Mapped[UUID] = mapped_column(
        ForeignKey("recording.id", ondelete="CASCADE"), primary_key=True
    )
    host: Mapped[str] = mapped_column(String(253), primary_key=True)
    name: Mapped[str] = mapped_column(String(256), primary_key=True)
    path: Mapped[str] = mapped_column(String(500), primary_key=True)
    value: Mapped[str] = mapped_column(String(4096))
    expires_at: Mapped[datetime]


class RecordingAnswer(Base):
    """A whole answer that is kept for a copy; its bytes lie in the store under ``key``."""

    __tablename__ = "recording_answer"
    __personal__ = True

    recording_id: Mapped[UUID] = mapped_column(
        ForeignKey("recording.id", ondelete="CASCADE"), primary_key=True
    )
    url: Mapped[str] = mapped_column(String(ADDRESS_MOST), primary_key=True)
    key: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime]
    status: Mapped[int] = mapped_column(Integer)
    headers: Mapped[dict[str, str]] = mapped_column(JSONB)
    size: Mapped[int] = mapped_column(BigInteger)
