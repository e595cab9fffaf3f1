"""Schools, units, rooms, people, their placements and roles, their credentials and sessions.

No national identity number has a column anywhere, and none may get one.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, LargeBinary, String, text
from sqlalchemy.dialects.postgresql import CIDR, INET
from sqlalchemy.orm import Mapped, mapped_column, relationship

from dask_platform.db.base import Base, pk


class SecurityLevel(StrEnum):
    HIGH = "high"
    LOW = "low"
    TRANSITIONAL = "transitional"


class PersonKind(StrEnum):
    """A person is one or the other, never both: a student can hold no staff role."""

    STAFF = "staff"
    STUDENT = "student"


class School(Base):
    """The upper-secondary school that answers for the teaching at one or more units."""

    __tablename__ = "school"
    __personal__ = False

    id: Mapped[UUID] = pk()
    slug: Mapped[str] = mapped_column(String(60), unique=True)
    name: Mapped[str] = mapped_column(String(200))


class Unit(Base):
    """A prison or a department of one (enhet)."""

    __tablename__ = "unit"
    __personal__ = False
    __table_args__ = (
        CheckConstraint("security_level IN ('high','low','transitional')", name="security_level"),
    )

    id: Mapped[UUID] = pk()
    slug: Mapped[str] = mapped_column(String(60), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    security_level: Mapped[str] = mapped_column(String(20))
    school_id: Mapped[UUID] = mapped_column(ForeignKey("school.id"))

    school: Mapped[School] = relationship()


class Room(Base):
    """A classroom. Where a unit has rooms with networks, its students log in only from those."""

    __tablename__ = "room"
    __personal__ = False
    __table_args__ = (Index("uq_room_unit_name", "unit_id", "name", unique=True),)

    id: Mapped[UUID] = pk()
    unit_id: Mapped[UUID] = mapped_column(ForeignKey("unit.id"))
    name: Mapped[str] = mapped_column(String(100))

    unit: Mapped[Unit] = relationship()
    networks: Mapped[list[RoomNetwork]] = relationship(back_populates="room")


class RoomNetwork(Base):
    """An address range (CIDR) that belongs to one room alone."""

    __tablename__ = "room_network"
    __personal__ = False

    id: Mapped[UUID] = pk()
    room_id: Mapped[UUID] = mapped_column(ForeignKey("room.id", ondelete="CASCADE"), index=True)
    network: Mapped[str] = mapped_column(CIDR, unique=True)

    room: Mapped[Room] = relationship(back_populates="networks")


class Person(Base):
    """Somebody with an account.

    ``directory_key`` is the directory's own stable key for people who come from there; None means
    a local account. ``locale`` is the language of the interface.
    """

    __tablename__ = "person"
    __personal__ = True
    __table_args__ = (
        CheckConstraint("kind IN ('staff','student')", name="kind"),
        CheckConstraint("username = lower(username)", name="username_lower"),
        CheckConstraint("locale IN ('nb','nn','en')", name="locale"),
    )

    id: Mapped[UUID] = pk()
    kind: Mapped[str] = mapped_column(String(10))
    username: Mapped[str] = mapped_column(String(100), unique=True)
    display_name: Mapped[str] = mapped_column(String(200))
    locale: Mapped[str] = mapped_column(String(2), default="nb")
    directory_key: Mapped[str | None] = mapped_column(String(200), unique=True)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    deactivated_at: Mapped[datetime | None]


class Placement(Base):
    """A student's stay at a unit. A trigger refuses two that overlap for one person."""

    __tablename__ = "placement"
    __personal__ = True
    __table_args__ = (CheckConstraint("ends_at IS NULL OR ends_at > starts_at", name="order"),)

    id: Mapped[UUID] = pk()
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), index=True)
    unit_id: Mapped[UUID] = mapped_column(ForeignKey("unit.id"), index=True)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]

    unit: Mapped[Unit] = relationship()


class StaffRole(Base):
    """A role at a unit, from–to. ``source`` tells who keeps it: by hand, or the directory."""

    __tablename__ = "staff_role"
    __personal__ = True
    __table_args__ = (
        CheckConstraint("role IN ('operator','security','teacher','workshop')", name="role"),
        CheckConstraint("source IN ('local','directory')", name="source"),
        CheckConstraint("ends_at IS NULL OR ends_at >= starts_at", name="order"),
        Index(
            "uq_staff_role_open",
            "person_id",
            "role",
            "unit_id",
            unique=True,
            postgresql_where=text("ends_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = pk()
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), index=True)
    unit_id: Mapped[UUID] = mapped_column(ForeignKey("unit.id"), index=True)
    role: Mapped[str] = mapped_column(String(20))
    source: Mapped[str] = mapped_column(String(20), default="local")
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]

    unit: Mapped[Unit] = relationship()


class LocalCredential(Base):
    """The password of a local account, as an argon2id hash."""

    __tablename__ = "local_credential"
    __personal__ = True

    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), primary_key=True)
    password_hash: Mapped[str] = mapped_column(String(300))
    must_change: Mapped[bool] = mapped_column(default=False)
    changed_at: Mapped[datetime]


class TotpSecret(Base):
    """A second factor (RFC 6238). The secret is encrypted with a key that is not in the database.

    ``last_step`` is the last 30-second step that was accepted: a code works once.
    """

    __tablename__ = "totp_secret"
    __personal__ = True

    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), primary_key=True)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    confirmed_at: Mapped[datetime | None]
    last_step: Mapped[int] = mapped_column(default=0)


class RecoveryCode(Base):
    """A code for the day the telephone is lost: kept as a hash, usable once."""

    __tablename__ = "recovery_code"
    __personal__ = True

    id: Mapped[UUID] = pk()
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), index=True)
    code_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    used_at: Mapped[datetime | None]


class LoginSession(Base):
    """A session. The token is with the browser; here is only its SHA-256."""

    __tablename__ = "login_session"
    __personal__ = True
    __table_args__ = (
        Index("ix_login_session_live", "person_id", postgresql_where=text("ended_at IS NULL")),
        Index(
            "uq_login_session_student_live",
            "person_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL AND student"),
        ),
    )

    id: Mapped[UUID] = pk()
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    student: Mapped[bool]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    idle_seconds: Mapped[int] = mapped_column(Integer)
    idle_until: Mapped[datetime]
    expires_at: Mapped[datetime]
    address: Mapped[str | None] = mapped_column(INET)
    room_id: Mapped[UUID | None] = mapped_column(ForeignKey("room.id", ondelete="SET NULL"))
    second_factor_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_reason: Mapped[str | None] = mapped_column(String(30))


class LoginThrottle(Base):
    """Failed tries per account and per address.

    ``key`` is an HMAC of the account name or the address, so the table names nobody.
    """

    __tablename__ = "login_throttle"
    __personal__ = False

    key: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    failures: Mapped[int] = mapped_column(default=0)
    window_started_at: Mapped[datetime]
