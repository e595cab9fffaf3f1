"""The way out to one site, what was fetched by it, and who watches."""

from __future__ import annotations

from datetime import datetime
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
    free text went with it. ``size`` are the bytes that were sent on, ``ms`` the time it took.
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
