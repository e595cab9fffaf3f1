"""Visits are written at the unit where somebody is, with what was sent in a form"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def run(name: str) -> None:
    """Several statements at once, with no placeholder in them to be mistaken for one."""
    sql = (SQL / name).read_text(encoding="utf-8")
    op.get_bind().connection.driver_connection.execute(sql)


def upgrade() -> None:
    op.add_column("site_visit", sa.Column("sent", postgresql.JSONB(), nullable=True))
    run("0008_up.sql")


def downgrade() -> None:
    run("0008_down.sql")
    op.drop_column("site_visit", "sent")
