"""Answers of sites, kept for everybody of one scope"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
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
        "kept_answer",
        sa.Column("key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("file_key", sa.String(length=60), nullable=False),
        sa.Column("headers", postgresql.JSONB(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("etag", sa.String(length=1000), nullable=True),
        sa.Column("stored_at", TIME, nullable=False),
        sa.Column("fresh_until", TIME, nullable=False),
        sa.Column("head_ms", sa.Integer(), nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_kept_answer")),
    )
    op.create_index("ix_kept_answer_stored_at", "kept_answer", ["stored_at"], unique=False)
    run("0007_up.sql")


def downgrade() -> None:
    run("0007_down.sql")
    op.drop_table("kept_answer")
