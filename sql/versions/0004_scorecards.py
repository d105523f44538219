"""Scorecards over windows of sessions, of the model and its baselines, and all that a run was made from.

The old scorecards are dropped: the next evaluation judges every published session again, with baselines.

Revision ID: 0004
Revises: 0003
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ON_MYSQL: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mysql_engine": "InnoDB",
}


def upgrade() -> None:
    # A run of before does not say; it cannot be replayed.
    for name, comment in (
        ("facts_hash", "of reported figures"),
        ("calendar_hash", "of the sessions"),
    ):
        op.add_column(
            "pipeline_runs",
            sa.Column(name, sa.String(length=64), nullable=False, server_default="", comment=comment),
        )
    op.drop_table("scorecards")
    op.create_table(
        "judged_sessions",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("session", sa.Date(), nullable=False, comment="session of the judged predictions"),
        sa.Column("horizon_sessions", sa.Integer(), nullable=False),
        sa.Column(
            "model", sa.String(length=32), nullable=False, comment="published, or the baseline of that name"
        ),
        sa.Column("run_id", sa.String(length=64), nullable=False, comment="the batch that was judged"),
        sa.Column("symbols", sa.Integer(), nullable=False, comment="tradable shares with a result"),
        sa.Column("rank_ic", sa.Double(), comment="null where all scores or all results are equal"),
        sa.Column(
            "coverage",
            sa.Double(),
            comment="share of results inside the 80 % interval; null for baselines",
        ),
        sa.Column("matured_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("source", "session", "horizon_sessions", "model", name="pk_judged_sessions"),
        **ON_MYSQL,
    )
    op.create_table(
        "scorecards",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("session", sa.Date(), nullable=False, comment="the newest session whose closes were known"),
        sa.Column("horizon_sessions", sa.Integer(), nullable=False),
        sa.Column("window_sessions", sa.Integer(), nullable=False, comment="21, 63 or 252 judged sessions"),
        sa.Column(
            "model", sa.String(length=32), nullable=False, comment="published, or the baseline of that name"
        ),
        sa.Column(
            "judged", sa.Integer(), nullable=False, comment="judged sessions there are, at most the window"
        ),
        sa.Column("first_session", sa.Date(), nullable=False, comment="oldest of them"),
        sa.Column("last_session", sa.Date(), nullable=False, comment="newest of them"),
        sa.Column("lag_sessions", sa.Integer(), nullable=False, comment="from last_session to session"),
        sa.Column("symbols", sa.Integer(), nullable=False, comment="results of tradable shares"),
        sa.Column("rank_ic", sa.Double(), nullable=False, comment="mean daily rank IC"),
        sa.Column("lower", sa.Double(), nullable=False, comment="95 % interval of the mean"),
        sa.Column("upper", sa.Double(), nullable=False),
        sa.Column(
            "independent", sa.Double(), nullable=False, comment="results without overlap that this is worth"
        ),
        sa.Column(
            "coverage",
            sa.Double(),
            comment="share of results inside the 80 % interval; null for baselines",
        ),
        sa.Column("skill", sa.String(length=16), nullable=False, comment="proven (lower > 0) or unproven"),
        sa.Column("verdict", sa.JSON(), nullable=False, comment="the same in a sentence: {en, tr}"),
        sa.PrimaryKeyConstraint(
            "source", "session", "horizon_sessions", "window_sessions", "model", name="pk_scorecards"
        ),
        **ON_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("scorecards")
    op.drop_table("judged_sessions")
    op.create_table(
        "scorecards",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("session", sa.Date(), nullable=False, comment="session of the judged predictions"),
        sa.Column("horizon_sessions", sa.Integer(), nullable=False),
        sa.Column("symbols", sa.Integer(), nullable=False),
        sa.Column("rank_ic", sa.Double(), comment="null where all scores or all results are equal"),
        sa.Column(
            "coverage", sa.Double(), nullable=False, comment="share of results inside the 80 % interval"
        ),
        sa.Column("matured_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("source", "session", "horizon_sessions", name="pk_scorecards"),
        **ON_MYSQL,
    )
    for name in ("calendar_hash", "facts_hash"):
        op.drop_column("pipeline_runs", name)
