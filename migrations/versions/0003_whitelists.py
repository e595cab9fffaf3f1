"""Whitelists: versions of rules, proposals, stops, and wishes for a page"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def run(name: str) -> None:
    """Several statements at once, with no placeholder in them to be mistaken for one."""
    sql = (SQL / name).read_text(encoding="utf-8")
    op.get_bind().connection.driver_connection.execute(sql)


def upgrade() -> None:
    op.create_table(
        "site_request",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("by_student", sa.Boolean(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=True),
        sa.Column("address", sa.String(length=500), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("wanted_until", sa.Date(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("answered_by", sa.Uuid(), nullable=True),
        sa.Column("answered_name", sa.String(length=320), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", sa.String(length=500), nullable=False),
        sa.CheckConstraint(
            "state IN ('open','opened','proposed','refused','withdrawn')",
            name=op.f("ck_site_request_state"),
        ),
        sa.CheckConstraint(
            "NOT by_student OR (char_length(reason) <= 200)",
            name=op.f("ck_site_request_student_reason"),
        ),
        sa.CheckConstraint(
            "NOT by_student OR (class_id IS NULL AND wanted_until IS NULL)",
            name=op.f("ck_site_request_student"),
        ),
        sa.ForeignKeyConstraint(
            ["answered_by"], ["person.id"], name=op.f("fk_site_request_answered_by")
        ),
        sa.ForeignKeyConstraint(
            ["class_id"], ["course_class.id"], name=op.f("fk_site_request_class_id")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_site_request_person_id")
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_site_request_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_request")),
        info={"personal": True},
    )
    op.create_index("ix_site_request_person_id", "site_request", ["person_id"], unique=False)
    op.create_index(
        "ix_site_request_unit_id_state", "site_request", ["unit_id", "state"], unique=False
    )
    op.create_table(
        "whitelist_proposal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("rule_id", sa.String(length=60), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.String(length=10), nullable=False),
        sa.Column(
            "body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column("based_on", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("proposed_by", sa.Uuid(), nullable=False),
        sa.Column("proposed_name", sa.String(length=320), nullable=False),
        sa.Column("proposer_units", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_name", sa.String(length=320), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", sa.String(length=500), nullable=False),
        sa.CheckConstraint(
            "(action = 'remove') = (body IS NULL)", name=op.f("ck_whitelist_proposal_body")
        ),
        sa.CheckConstraint(
            "(state = 'waiting') = (decided_by IS NULL)", name=op.f("ck_whitelist_proposal_decided")
        ),
        sa.CheckConstraint(
            "action IN ('add','change','remove')", name=op.f("ck_whitelist_proposal_action")
        ),
        sa.CheckConstraint(
            "state IN ('approved','refused','waiting','withdrawn')",
            name=op.f("ck_whitelist_proposal_state"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('approved','refused') OR decided_by <> proposed_by",
            name=op.f("ck_whitelist_proposal_two_people"),
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["person.id"], name=op.f("fk_whitelist_proposal_decided_by")
        ),
        sa.ForeignKeyConstraint(
            ["proposed_by"], ["person.id"], name=op.f("fk_whitelist_proposal_proposed_by")
        ),
        sa.ForeignKeyConstraint(
            ["request_id"], ["site_request.id"], name=op.f("fk_whitelist_proposal_request_id")
        ),
        sa.ForeignKeyConstraint(
            ["unit_id"], ["unit.id"], name=op.f("fk_whitelist_proposal_unit_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_whitelist_proposal")),
        info={"personal": True},
    )
    op.create_index(
        "uq_whitelist_proposal_waiting",
        "whitelist_proposal",
        ["rule_id"],
        unique=True,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "whitelist_version",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("mark", sa.Uuid(), nullable=False),
        sa.Column("rule_id", sa.String(length=60), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=True),
        sa.Column(
            "body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column("proposal_id", sa.Uuid(), nullable=True),
        sa.Column("proposed_name", sa.String(length=320), nullable=False),
        sa.Column("approved_name", sa.String(length=320), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["proposal_id"],
            ["whitelist_proposal.id"],
            name=op.f("fk_whitelist_version_proposal_id"),
        ),
        sa.ForeignKeyConstraint(
            ["unit_id"], ["unit.id"], name=op.f("fk_whitelist_version_unit_id")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_whitelist_version")),
        sa.UniqueConstraint("mark", name=op.f("uq_whitelist_version_mark")),
        info={"personal": True},
    )
    op.create_index(
        "ix_whitelist_version_rule_id_number",
        "whitelist_version",
        ["rule_id", "number"],
        unique=False,
    )
    op.create_table(
        "whitelist_stop",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("rule_id", sa.String(length=60), nullable=True),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("room_id", sa.Uuid(), nullable=True),
        sa.Column("unit_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("stopped_by", sa.Uuid(), nullable=False),
        sa.Column("stopped_name", sa.String(length=320), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reopen_reason", sa.String(length=500), nullable=False),
        sa.Column("reopen_asked_by", sa.Uuid(), nullable=True),
        sa.Column("reopen_asked_name", sa.String(length=320), nullable=True),
        sa.Column("reopen_asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reopened_by", sa.Uuid(), nullable=True),
        sa.Column("reopened_name", sa.String(length=320), nullable=True),
        sa.Column("reopened_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(kind = 'room') = (room_id IS NOT NULL)", name=op.f("ck_whitelist_stop_room")
        ),
        sa.CheckConstraint(
            "(kind = 'rule') = (rule_id IS NOT NULL)", name=op.f("ck_whitelist_stop_rule")
        ),
        sa.CheckConstraint(
            "(kind = 'student') = (person_id IS NOT NULL)", name=op.f("ck_whitelist_stop_student")
        ),
        sa.CheckConstraint(
            "kind = 'rule' OR unit_id IS NOT NULL", name=op.f("ck_whitelist_stop_unit")
        ),
        sa.CheckConstraint(
            "kind IN ('room','rule','student','unit')", name=op.f("ck_whitelist_stop_kind")
        ),
        sa.CheckConstraint(
            "reopened_by <> reopen_asked_by", name=op.f("ck_whitelist_stop_two_people")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_whitelist_stop_person_id")
        ),
        sa.ForeignKeyConstraint(
            ["reopen_asked_by"], ["person.id"], name=op.f("fk_whitelist_stop_reopen_asked_by")
        ),
        sa.ForeignKeyConstraint(
            ["reopened_by"], ["person.id"], name=op.f("fk_whitelist_stop_reopened_by")
        ),
        sa.ForeignKeyConstraint(
            ["stopped_by"], ["person.id"], name=op.f("fk_whitelist_stop_stopped_by")
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_whitelist_stop_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_whitelist_stop")),
        info={"personal": True},
    )
    op.create_index(
        "ix_whitelist_stop_holding",
        "whitelist_stop",
        ["kind"],
        unique=False,
        postgresql_where=sa.text("reopened_at IS NULL"),
    )
    run("0003_up.sql")


def downgrade() -> None:
    """Every rule, proposal, stop and wish goes. The files in whitelists/ can be loaded again."""
    run("0003_down.sql")
