"""Backtest figures of every ranking, for the page about the model.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    op.create_table(
        "backtests",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False, comment="training or backtest"),
        sa.Column("session", sa.Date(), nullable=False, comment="the newest session whose prices were known"),
        sa.Column(
            "model_version",
            sa.String(length=20),
            nullable=False,
            comment="empty where no one model is judged",
        ),
        sa.Column(
            "ranking", sa.String(length=32), nullable=False, comment="blend, a member of it, or a baseline"
        ),
        sa.Column(
            "model_name", sa.String(length=100), nullable=False, comment="empty where no one model is judged"
        ),
        sa.Column("horizon_sessions", sa.Integer(), nullable=False),
        sa.Column("first_session", sa.Date(), nullable=False, comment="oldest test session"),
        sa.Column("last_session", sa.Date(), nullable=False, comment="newest test session"),
        sa.Column("folds", sa.Integer(), nullable=False),
        sa.Column("dates", sa.Integer(), nullable=False, comment="test sessions"),
        sa.Column(
            "symbols", sa.Integer(), nullable=False, comment="shares that were tradable on a test session"
        ),
        sa.Column(
            "independent",
            sa.Double(),
            nullable=False,
            comment="horizons without overlap that the dates span",
        ),
        sa.Column(
            "rank_ic",
            sa.Double(),
            comment="mean daily rank IC; null where the ranking tells no shares apart",
        ),
        sa.Column("rank_ic_lower", sa.Double(), comment="95 % interval of the mean; null for too few dates"),
        sa.Column("rank_ic_upper", sa.Double()),
        sa.Column("nw_t", sa.Double(), comment="Newey-West t of the rank IC"),
        sa.Column("ic_positive", sa.Double(), comment="share of dates with a rank IC above 0"),
        sa.Column("spread_quarter", sa.Double(), comment="top minus bottom decile, fraction a quarter"),
        sa.Column("spread_lower", sa.Double(), comment="95 % interval of the spread; null for too few dates"),
        sa.Column("spread_upper", sa.Double()),
        sa.Column("top20_quarter", sa.Double(), comment="best 20 over the mean of all, fraction a quarter"),
        sa.Column("top20_net_quarter", sa.Double(), comment="the same after costs"),
        sa.Column(
            "coverage",
            sa.Double(),
            comment="share of results inside the 80 % interval; null without interval",
        ),
        sa.Column("r2", sa.Double(), comment="of the expected excess; null where none is forecast"),
        sa.Column(
            "lead_ic",
            sa.Double(),
            comment="rank IC of the blend minus that of this ranking; null for itself",
        ),
        sa.Column("lead_lower", sa.Double(), comment="95 % interval of the lead; null for too few dates"),
        sa.Column("lead_upper", sa.Double()),
        sa.Column("by_year", sa.JSON(), nullable=False, comment="mean daily rank IC by calendar year"),
        sa.Column("computed_at", moment, nullable=False),
        sa.PrimaryKeyConstraint(
            "source", "origin", "session", "model_version", "ranking", name="pk_backtests"
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )


def downgrade() -> None:
    op.drop_table("backtests")
