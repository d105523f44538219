"""The whole drift report of a session, for the web page; what a feature weighs; whom an alert has reached.

Reasons of requests to train anew stand in both languages: those that are there already, in English for both.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations
from sqlalchemy.dialects import mysql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

CALIBRATED, TRAINED = (
    f"model version that was {done} next; null while open" for done in ("calibrated", "trained")
)


def upgrade() -> None:
    file = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
    op.create_table(
        "drift_reports",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("html", file, nullable=False, comment="the whole report, compressed with gzip"),
        sa.PrimaryKeyConstraint("source", "session", name=op.f("pk_drift_reports")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("drift_features") as features:
        features.add_column(sa.Column("importance", sa.Double(), comment="share in what moves the scores"))
    with op.batch_alter_table("drift_episodes") as episodes:
        episodes.add_column(sa.Column("alerted_by", sa.JSON(), comment="channels that were reached"))
    op.execute("UPDATE retrain_requests SET reason = JSON_OBJECT('en', reason, 'tr', reason)")
    with op.batch_alter_table("retrain_requests") as requests:
        requests.alter_column("reason", existing_type=sa.Text(), type_=sa.JSON(), existing_nullable=False)
        _comment(requests, CALIBRATED, TRAINED)


def downgrade() -> None:
    with op.batch_alter_table("retrain_requests") as requests:
        requests.alter_column("reason", existing_type=sa.JSON(), type_=sa.Text(), existing_nullable=False)
        _comment(requests, TRAINED, CALIBRATED)
    english = "JSON_EXTRACT(reason, '$.en')"
    if op.get_context().dialect.name != "sqlite":
        english = f"JSON_UNQUOTE({english})"
    op.execute(f"UPDATE retrain_requests SET reason = {english}")  # noqa: S608 (from above)
    with op.batch_alter_table("drift_episodes") as episodes:
        episodes.drop_column("alerted_by")
    with op.batch_alter_table("drift_features") as features:
        features.drop_column("importance")
    op.drop_table("drift_reports")


def _comment(requests: BatchOperations, was: str, becomes: str) -> None:
    kind = sa.String(length=20)
    requests.alter_column("answered_by", existing_type=kind, existing_comment=was, comment=becomes)
