"""Approved copies of sites"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def run(name: str) -> None:
    """Several statements at once, with no placeholder in them to be mistaken for one."""
    sql = (SQL / name).read_text(encoding="utf-8")
    op.get_bind().connection.driver_connection.execute(sql)


def upgrade() -> None:
    op.create_table(
        "site_copy",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("storage_key", sa.String(length=71), nullable=False),
        sa.Column("kind", sa.String(length=4), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("added_by", sa.Uuid(), nullable=True),
        sa.Column("added_name", sa.String(length=320), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('warc','zim')", name=op.f("ck_site_copy_kind")),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f("ck_site_copy_sha256")),
        sa.CheckConstraint("size > 0", name=op.f("ck_site_copy_size")),
        sa.CheckConstraint(
            "storage_key = 'copies/' || sha256", name=op.f("ck_site_copy_storage_key")
        ),
        sa.ForeignKeyConstraint(["added_by"], ["person.id"], name=op.f("fk_site_copy_added_by")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_site_copy")),
    )
    run("0005_up.sql")


def downgrade() -> None:
    run("0005_down.sql")
    op.drop_table("site_copy")
