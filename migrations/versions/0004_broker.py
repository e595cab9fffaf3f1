"""The broker: sessions on sites, visits, cookies of sites, supervision"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"
TIME = sa.DateTime(timezone=True)


def run(name: str) -> None:
    """Several statements at once, with no placeholder in them to be mistaken for one."""
    sql = (SQL / name).read_text(encoding="utf-8")
    op.get_bind().connection.driver_connection.execute(sql)


def upgrade() -> None:
    op.create_table(
        "site_cookie",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("host", sa.String(length=253), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("path", sa.String(length=500), nullable=False),
        sa.Column("value", sa.String(length=4096), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_site_cookie_person_id")
        ),
        sa.PrimaryKeyConstraint("person_id", "host", "name", "path", name=op.f("pk_site_cookie")),
    )
    op.create_table(
        "site_visit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("rule_id", sa.String(length=60), nullable=True),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("method", sa.String(length=10), nullable=False),
        sa.Column("allowed", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(length=30), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("ms", sa.Integer(), nullable=False),
        sa.Column("typed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_site_visit_person_id")),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_site_visit_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_visit")),
    )
    op.create_index("ix_site_visit_at", "site_visit", ["at"], unique=False)
    op.create_index("ix_site_visit_person_id_at", "site_visit", ["person_id", "at"], unique=False)
    op.create_index("ix_site_visit_unit_id_at", "site_visit", ["unit_id", "at"], unique=False)
    op.create_table(
        "broker_session",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("host", sa.String(length=253), nullable=False),
        sa.Column("ticket_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("ticket_until", TIME, nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_broker_session_person_id")
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["login_session.id"],
            name=op.f("fk_broker_session_session_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_broker_session")),
        sa.UniqueConstraint("ticket_hash", name=op.f("uq_broker_session_ticket_hash")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_broker_session_token_hash")),
    )
    op.create_index("ix_broker_session_session_id", "broker_session", ["session_id"], unique=False)
    op.create_table(
        "supervision",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("rule_id", sa.String(length=60), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("opened_by", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("opened_at", TIME, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.Column("closed_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["opened_by"], ["person.id"], name=op.f("fk_supervision_opened_by")
        ),
        sa.ForeignKeyConstraint(
            ["room_id"], ["room.id"], name=op.f("fk_supervision_room_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["login_session.id"],
            name=op.f("fk_supervision_session_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_supervision_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_supervision")),
    )
    op.create_index(
        "ix_supervision_open",
        "supervision",
        ["room_id"],
        unique=False,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    run("0004_up.sql")


def downgrade() -> None:
    run("0004_down.sql")
    for table in ("supervision", "site_cookie", "site_visit", "broker_session"):
        op.drop_table(table)
