"""Frozen drift calibrations, every check, episodes, releases and requests to train anew.

Revision ID: 0005
Revises: 0004
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UTC_TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
ON_MYSQL: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mysql_engine": "InnoDB",
}

FEATURE_COLUMNS = {
    "median_then": "of the raw values in the training window",
    "median_now": "of the raw values in the newest window",
    "iqr_then": "interquartile range in the training window",
    "iqr_now": "interquartile range in the newest window",
    "missing_then": "share of missing values in the training window",
    "missing_now": "share of missing values in the newest window",
    "psi": "effect size; no alarm hangs on it",
    "wasserstein": "effect size; no alarm hangs on it",
}


def upgrade() -> None:
    with op.batch_alter_table("drift_features") as table:
        for name, comment in FEATURE_COLUMNS.items():
            table.add_column(sa.Column(name, sa.Double(), comment=comment))
    op.create_table(
        "drift_checks",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("check_name", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=24), nullable=False),
        sa.Column("statistic", sa.Double()),
        sa.Column("p_value", sa.Double(), comment="how often a quiet market shows as much"),
        sa.Column("threshold", sa.Double(), comment="where the alarm begins"),
        sa.Column("record", sa.Double(), comment="largest of the sessions compared with"),
        sa.Column("action", sa.String(length=200), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column(
            "model_version", sa.String(length=20), nullable=False, comment="empty where no model is concerned"
        ),
        sa.Column("checked_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("source", "session", "check_name", name="pk_drift_checks"),
        **ON_MYSQL,
    )
    op.create_table(
        "drift_calibrations",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("model_name", sa.String(length=100), nullable=False),
        sa.Column("model_version", sa.String(length=20), nullable=False),
        sa.Column(
            "session", sa.Date(), nullable=False, comment="the model was trained at; nothing in it is newer"
        ),
        sa.Column("trained_until", sa.Date(), nullable=False, comment="last session of the training rows"),
        sa.Column("features", sa.JSON(), nullable=False, comment="names of the watched features, in order"),
        sa.Column("features_hash", sa.String(length=16), nullable=False),
        sa.Column("content_hash", sa.String(length=16), nullable=False, comment="of the file"),
        sa.Column("file", sa.String(length=200), nullable=False, comment="path in the lake"),
        sa.Column(
            "replays", sa.Integer(), nullable=False, comment="past weeks, for a champion in its first quarter"
        ),
        sa.Column(
            "record_sessions", sa.Integer(), nullable=False, comment="pairs of sessions in the daily record"
        ),
        sa.Column("daily_ic", sa.Double(), comment="mean rank IC with the next session, before the model"),
        sa.Column("built_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("source", "model_name", "model_version", name="pk_drift_calibrations"),
        **ON_MYSQL,
    )
    op.create_table(
        "drift_episodes",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("check_name", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=24), nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("last_seen", sa.Date(), nullable=False),
        sa.Column("closed_on", sa.Date(), comment="null while it lasts"),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("urgency", sa.String(length=40), nullable=False),
        sa.Column("runbook", sa.String(length=300), nullable=False),
        sa.Column("model_version", sa.String(length=20), nullable=False),
        sa.Column("alerted_at", UTC_TIME, comment="null until people were told"),
        sa.PrimaryKeyConstraint("source", "check_name", "status", "opened_on", name="pk_drift_episodes"),
        **ON_MYSQL,
    )
    op.create_table(
        "drift_releases",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False, comment="what the break check had said"),
        sa.Column("released_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("source", "session", name="pk_drift_releases"),
        **ON_MYSQL,
    )
    op.create_table(
        "retrain_requests",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("forced", sa.Boolean(), nullable=False, comment="asked for by a person"),
        sa.Column("requested_at", UTC_TIME, nullable=False),
        sa.Column(
            "answered_by",
            sa.String(length=20),
            comment="model version that was calibrated next; null while open",
        ),
        sa.PrimaryKeyConstraint("source", "session", name="pk_retrain_requests"),
        **ON_MYSQL,
    )


def downgrade() -> None:
    for table in (
        "retrain_requests",
        "drift_releases",
        "drift_episodes",
        "drift_calibrations",
        "drift_checks",
    ):
        op.drop_table(table)
    with op.batch_alter_table("drift_features") as features:
        for name in FEATURE_COLUMNS:
            features.drop_column(name)
