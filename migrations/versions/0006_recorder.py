"""The recorder: throw-away sessions, and what they needed"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"
TIME = sa.DateTime(timezone=True)


def run(name: str) -> None:
    """Several statements at once, with no placeholder in them to be mistaken for one."""
    sql = (SQL / name).read_text(encoding="utf-8")
    op.get_bind().connection.driver_connection.execute(sql)


def of_a_recording(table: str) -> sa.ForeignKeyConstraint:
    """What belongs to a recording goes with it."""
    return sa.ForeignKeyConstraint(
        ["recording_id"], ["recording.id"], name=op.f(f"fk_{table}_recording_id"),
        ondelete="CASCADE",
    )  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "recording",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("start_url", sa.String(length=2000), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("copying", sa.Boolean(), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("copy_sha256", sa.String(length=64), nullable=True),
        sa.CheckConstraint(
            "until <= started_at + interval '30 minutes'", name=op.f("ck_recording_half_an_hour")
        ),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_recording_person_id")),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["login_session.id"],
            name=op.f("fk_recording_session_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_recording_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recording")),
    )
    op.create_index("ix_recording_person_id", "recording", ["person_id"], unique=False)
    op.create_index("ix_recording_session_id", "recording", ["session_id"], unique=False)
    op.create_table(
        "recording_way",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recording_id", sa.Uuid(), nullable=False),
        sa.Column("host", sa.String(length=253), nullable=False),
        sa.Column("ticket_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("ticket_until", TIME, nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=True),
        of_a_recording("recording_way"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recording_way")),
        sa.UniqueConstraint("ticket_hash", name=op.f("uq_recording_way_ticket_hash")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_recording_way_token_hash")),
    )
    op.create_index(
        "ix_recording_way_recording_id", "recording_way", ["recording_id"], unique=False
    )
    op.create_table(
        "recording_seen",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recording_id", sa.Uuid(), nullable=False),
        sa.Column("host", sa.String(length=253), nullable=False),
        sa.Column("path", sa.String(length=1000), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("query", JSONB(), nullable=False),
        sa.Column("mime", sa.String(length=80), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("note", sa.String(length=10), nullable=False),
        sa.Column("first_at", TIME, nullable=False),
        of_a_recording("recording_seen"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recording_seen")),
        sa.UniqueConstraint(
            "recording_id", "host", "path", "kind", name=op.f("uq_recording_seen_recording_id")
        ),
    )
    op.create_table(
        "recording_cookie",
        sa.Column("recording_id", sa.Uuid(), nullable=False),
        sa.Column("host", sa.String(length=253), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("path", sa.String(length=500), nullable=False),
        sa.Column("value", sa.String(length=4096), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        of_a_recording("recording_cookie"),
        sa.PrimaryKeyConstraint(
            "recording_id", "host", "name", "path", name=op.f("pk_recording_cookie")
        ),
    )
    op.create_table(
        "recording_answer",
        sa.Column("recording_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", JSONB(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        of_a_recording("recording_answer"),
        sa.PrimaryKeyConstraint("recording_id", "url", name=op.f("pk_recording_answer")),
    )
    run("0006_up.sql")


def downgrade() -> None:
    run("0006_down.sql")
    for table in ("answer", "cookie", "seen", "way"):
        op.drop_table(f"recording_{table}")
    op.drop_table("recording")
