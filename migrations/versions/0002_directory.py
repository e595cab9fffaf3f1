"""People from the directory, and why a session ended"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


SQL = Path(__file__).parents[1] / "sql"


def run(name: str) -> None:
    """Several statements at once, with no placeholder in them to be mistaken for one."""
    sql = (SQL / name).read_text(encoding="utf-8")
    op.get_bind().connection.driver_connection.execute(sql)


def upgrade() -> None:
    run("0002_directory_up.sql")


def downgrade() -> None:
    run("0002_directory_down.sql")
