"""Closes and past returns, for the pages and `returns/top`.

Revision ID: 0003
Revises: 0002
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ON_MYSQL: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mysql_engine": "InnoDB",
}


def upgrade() -> None:
    op.create_table(
        "past_returns",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("session", sa.Date(), nullable=False, comment="published session, the end of the window"),
        sa.Column("window_sessions", sa.Integer(), nullable=False, comment="5, 21, 63, 126 or 252"),
        sa.Column("symbol", sa.String(length=16), nullable=False),
        sa.Column("past_return", sa.Double(), nullable=False, comment="fraction over the window, adjusted"),
        sa.Column(
            "excess_return",
            sa.Double(),
            comment="over the universe median; null where no share was tradable",
        ),
        sa.PrimaryKeyConstraint("source", "session", "window_sessions", "symbol", name="pk_past_returns"),
        **ON_MYSQL,
    )
    op.create_table(
        "price_series",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("symbol", sa.String(length=16), nullable=False),
        sa.Column(
            "session",
            sa.Date(),
            nullable=False,
            comment="newest published session, the end of every series",
        ),
        sa.Column(
            "closes",
            sa.JSON(),
            nullable=False,
            comment="[[session, adjusted close in TRY], ...], oldest first",
        ),
        sa.PrimaryKeyConstraint("source", "symbol", name="pk_price_series"),
        **ON_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("price_series")
    op.drop_table("past_returns")
