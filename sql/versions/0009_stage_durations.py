"""How long every stage took, and whether it succeeded, for monitoring.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    op.create_table(
        "stage_runs",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False, comment="done or failed"),
        sa.Column("rows", sa.Integer(), nullable=False, comment="written or judged; 0 unless done"),
        sa.Column(
            "seconds",
            sa.Double(),
            nullable=False,
            comment="from start to end, libraries loaded included",
        ),
        sa.Column("finished_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("source", "session", "stage", name=op.f("pk_stage_runs")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )


def downgrade() -> None:
    op.drop_table("stage_runs")
