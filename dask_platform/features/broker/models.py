"""The way out to one site, what was fetched by it, and who watches."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    String,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dask_platform.db.base import Base, pk


class BrokerSession(Base):
    """One browser's way to one host, made by a ticket and ended with the session it came from.

    First there is a ticket (``ticket_hash``, good until ``ticket_until``); whoever brings it gets a
    token, and the ticket is gone. Of both only the SHA-256 is here. The web role reads none of it:
    ``dask_broker_ticket``, ``dask_broker_redeem`` and ``dask_broker_resume`` do.
    """

    __tablename__ = "broker_session"
    __personal__ = True
    __table_args__ = (Index("ix_broker_session_session_id", "session_id"),)

    id: Mapped[UUID] = pk()
    session_id: Mapped[UUID] = mapped_column(ForeignKey("login_session.id", ondelete="CASCADE"))
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    host: Mapped[str] = mapped_column(String(253))
    ticket_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32), unique=True)
    ticket_until: Mapped[datetime]
    token_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32), unique=True)


class SiteVisit(Base):
    """One request through the broker, allowed or not. Kept for as long as the installation says.

    ``url`` is the canonical address, or what was asked for where it has none; ``typed`` says that
    free text went with it. ``sent`` is what left in a form: pairs of a field's name and what stood
    in it, in the order in which they went; None where nothing did. ``size`` are the bytes that were
    sent on, ``ms`` the time it took.
    """

    __tablename__ = "site_visit"
    __personal__ = True
    __table_args__ = (
        Index("ix_site_visit_unit_id_at", "unit_id", "at"),
        Index("ix_site_visit_person_id_at", "person_id", "at"),
        Index("ix_site_visit_at", "at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime]
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    unit_id: Mapped[UUID] = mapped_column(ForeignKey("unit.id"))
    rule_id: Mapped[str | None] = mapped_column(String(60))
    url: Mapped[str] = mapped_column(String(2000))
    method: Mapped[str] = mapped_column(String(10))
    allowed: Mapped[bool] = mapped_column(Boolean)
    reason: Mapped[str] = mapped_column(String(30))
    status: Mapped[int] = mapped_column(Integer)
    size: Mapped[int] = mapped_column(BigInteger)
    ms: Mapped[int] = mapped_column(Integer)
    typed: Mapped[bool] = mapped_column(Boolean)
    sent: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))


class SiteCookie(Base):
    """What a site wants to remember of one student. It never reaches the student's browser, and
    never another student."""

    __tablename__ = "site_cookie"
    __personal__ = True

    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), primary_key=True)
    host: Mapped[str] = mapped_column(String(253), primary_key=True)
    name: Mapped[str] = mapped_column(String(256), primary_key=True)
    path: Mapped[str] = mapped_column(String(500), primary_key=True)
    value: Mapped[str] = mapped_column(String(4096))
    expires_at: Mapped[datetime]


class Supervision(Base):
    """A named member of staff has opened a supervised rule for a room, and sits with it.

    It holds while it is not closed, not past ``until``, and while the session it was opened from is
    live: whoever logs out takes it along.
    """

    __tablename__ = "supervision"
    __personal__ = True
    __table_args__ = (
        Index("ix_supervision_open", "room_id", postgresql_where=text("closed_at IS NULL")),
    )

    id: Mapped[UUID] = pk()
    rule_id: Mapped[str] = mapped_column(String(60))
    room_id: Mapped[UUID] = mapped_column(ForeignKey("room.id", ondelete="CASCADE"))
    unit_id: Mapped[UUID] = mapped_column(ForeignKey("unit.id"))
    opened_by: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    session_id: Mapped[UUID] = mapped_column(ForeignKey("login_session.id", ondelete="CASCADE"))
    opened_at: Mapped[datetime]
    until: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class KeptAnswer(Base):
    """What a site answered, kept for everybody of one scope for as long as the site allows.

    ``key`` is the SHA-256 of address and scope (see ``caching``); nothing says who fetched it. The
    bytes lie in the store under ``file_key``. They are in no backup: what a site has, it has still,
    and a row without its file is as good as none. ``fresh_until``: from then on the site is asked.
    ``stored_at``: when it came, or was last confirmed. The site took ``head_ms`` to begin and
    ``took_ms`` to end. The web role reads none of it but by ``dask_kept_answer``.
    """

    __tablename__ = "kept_answer"
    __personal__ = False
    __table_args__ = (Index("ix_kept_answer_stored_at", "stored_at"),)

    key: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    file_key: Mapped[str] = mapped_column(String(60))
    headers: Mapped[dict[str, str]] = mapped_column(JSONB)
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    etag: Mapped[str | None] = mapped_column(String(1000))
    stored_at: Mapped[datetime]
    fresh_until: Mapped[datetime]
    head_ms: Mapped[int] = mapped_column(Integer)
    took_ms: Mapped[int] = mapped_column(Integer)
