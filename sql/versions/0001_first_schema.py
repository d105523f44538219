"""First schema: runs, predictions and their publication, results, decisions, drift.

Revision ID: 0001
Revises:
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
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
        "drift_features",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("feature", sa.String(length=64), nullable=False),
        sa.Column(
            "distance", sa.Double(), comment="KS distance between the newest window and the training window"
        ),
        sa.Column("typical", sa.Double(), comment="median distance of the same check on past sessions"),
        sa.Column("record", sa.Double(), comment="largest distance of the same check on past sessions"),
        sa.PrimaryKeyConstraint("source", "session", "feature", name="pk_drift_features"),
        **ON_MYSQL,
    )
    op.create_table(
        "drift_runs",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("status", sa.String(length=24), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("reference_first", sa.Date()),
        sa.Column("reference_last", sa.Date()),
        sa.Column("model_version", sa.String(length=20), nullable=False),
        sa.Column("checked_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("source", "session", name="pk_drift_runs"),
        **ON_MYSQL,
    )
    op.create_table(
        "model_decisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("decided_at", UTC_TIME, nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("model_name", sa.String(length=100), nullable=False),
        sa.Column("challenger_version", sa.String(length=20), nullable=False),
        sa.Column(
            "champion_version", sa.String(length=20), nullable=False, comment="empty where there was none"
        ),
        sa.Column("promoted", sa.Boolean(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_model_decisions"),
        **ON_MYSQL,
    )
    op.create_table(
        "pipeline_runs",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column(
            "data_hash",
            sa.String(length=64),
            nullable=False,
            comment="content hash of the prices the run saw",
        ),
        sa.Column("model_name", sa.String(length=100), nullable=False),
        sa.Column("model_version", sa.String(length=20), nullable=False),
        sa.Column("code_version", sa.String(length=40), nullable=False),
        sa.Column("rank_ic", sa.Double(), comment="out-of-sample mean daily rank IC of the model"),
        sa.Column("finished_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_pipeline_runs"),
        **ON_MYSQL,
    )
    op.create_index("ix_pipeline_runs_source_session", "pipeline_runs", ["source", "session"])
    op.create_table(
        "realized_returns",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("session", sa.Date(), nullable=False, comment="session of the prediction"),
        sa.Column("symbol", sa.String(length=16), nullable=False),
        sa.Column("horizon_sessions", sa.Integer(), nullable=False),
        sa.Column("matured_on", sa.Date(), nullable=False),
        sa.Column("excess_return", sa.Double(), nullable=False, comment="fraction over the universe median"),
        sa.PrimaryKeyConstraint(
            "source", "session", "symbol", "horizon_sessions", name="pk_realized_returns"
        ),
        **ON_MYSQL,
    )
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
    op.create_table(
        "securities",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("symbol", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("sector", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("source", "symbol", name="pk_securities"),
        **ON_MYSQL,
    )
    op.create_table(
        "sessions",
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("opens_at", UTC_TIME, nullable=False),
        sa.Column("cutoff", UTC_TIME, nullable=False, comment="prices of the session are final from here"),
        sa.Column("is_half_day", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("session", name="pk_sessions"),
        **ON_MYSQL,
    )
    op.create_table(
        "predictions",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("symbol", sa.String(length=16), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("horizon_sessions", sa.Integer(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False, comment="1 is the best of the batch"),
        sa.Column("percentile", sa.Double(), nullable=False, comment="1.0 is the best of the batch"),
        sa.Column(
            "expected_excess_return", sa.Double(), nullable=False, comment="fraction over the universe median"
        ),
        sa.Column("lower", sa.Double(), nullable=False, comment="80 % interval of the excess"),
        sa.Column("upper", sa.Double(), nullable=False),
        sa.Column("tradable", sa.Boolean(), nullable=False),
        sa.Column(
            "drivers",
            sa.JSON(),
            nullable=False,
            comment="features that moved the score most; see contracts.py",
        ),
        sa.Column("model_name", sa.String(length=100), nullable=False),
        sa.Column("model_version", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["pipeline_runs.run_id"], name="fk_predictions_pipeline_runs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "symbol", name="pk_predictions"),
        **ON_MYSQL,
    )
    op.create_index("ix_predictions_symbol_session", "predictions", ["symbol", "session"])
    op.create_table(
        "publications",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("published_at", UTC_TIME, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["pipeline_runs.run_id"], name="fk_publications_pipeline_runs"),
        sa.PrimaryKeyConstraint("source", "session", name="pk_publications"),
        **ON_MYSQL,
    )


def downgrade() -> None:

    op.drop_table("publications")
    op.drop_index("ix_predictions_symbol_session", table_name="predictions")
    op.drop_table("predictions")
    op.drop_table("sessions")
    op.drop_table("securities")
    op.drop_table("scorecards")
    op.drop_table("realized_returns")
    op.drop_index("ix_pipeline_runs_source_session", table_name="pipeline_runs")
    op.drop_table("pipeline_runs")
    op.drop_table("model_decisions")
    op.drop_table("drift_runs")
    op.drop_table("drift_features")
