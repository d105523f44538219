"""The data-health report of each session.

Revision ID: 0002
Revises: 0001
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

UTC_TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
ON_MYSQL: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mysql_engine": "InnoDB",
}


def upgrade() -> None:
    op.create_table(
        "data_health",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("status", sa.String(length=24), nullable=False, comment="BLOCK stops scoring"),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column(
            "listed", sa.Integer(), nullable=False, comment="shares with a price in the last 60 sessions"
        ),
        sa.Column("priced", sa.Integer(), nullable=False),
        sa.Column("traded", sa.Integer(), nullable=False, comment="priced with a volume above 0"),
        sa.Column(
            "refused_rows", sa.Integer(), nullable=False, comment="quarantined on arrival, up to the session"
        ),
        sa.Column(
            "set_aside", sa.Integer(), nullable=False, comment="moves of the session that no trade can make"
        ),
        sa.Column("report", sa.String(length=500), nullable=False, comment="where the HTML report is"),
        sa.Column("checked_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("source", "session", name="pk_data_health"),
        **ON_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("data_health")
