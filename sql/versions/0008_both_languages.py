"""What checks, decisions and episodes say, in English and Turkish.

What is there already has no translation: it stands in English for both.

Revision ID: 0008
Revises: 0007
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Every text that becomes the JSON object {en, tr}, with its type before.
TEXTS: dict[str, dict[str, sa.types.TypeEngine[Any]]] = {
    "data_health": {"summary": sa.Text()},
    "model_decisions": {"reasons": sa.Text()},
    "drift_runs": {"summary": sa.Text()},
    "drift_checks": {"action": sa.String(length=200), "message": sa.Text()},
    "drift_episodes": {"cause": sa.Text(), "urgency": sa.String(length=40), "runbook": sa.String(length=300)},
    "drift_releases": {"message": sa.Text()},
}
COMMENTS = {("drift_releases", "message"): "what the break check had said"}


def upgrade() -> None:
    for table, columns in TEXTS.items():
        # As texts without a limit first: the object is longer than what it holds.
        _change(table, {name: (was, sa.Text()) for name, was in columns.items() if not _is_text(was)})
        objects = ", ".join(f"{name} = JSON_OBJECT('en', {name}, 'tr', {name})" for name in columns)
        op.execute(f"UPDATE {table} SET {objects}")  # noqa: S608 (names from above)
        _change(table, {name: (sa.Text(), sa.JSON()) for name in columns})
    with op.batch_alter_table("drift_features") as features:
        features.add_column(sa.Column("label", sa.JSON(), comment="what the feature is called"))


def downgrade() -> None:
    with op.batch_alter_table("drift_features") as features:
        features.drop_column("label")
    for table, columns in TEXTS.items():
        _change(table, {name: (sa.JSON(), sa.Text()) for name in columns})
        texts = ", ".join(f"{name} = {_in_english(name, was)}" for name, was in columns.items())
        op.execute(f"UPDATE {table} SET {texts}")  # noqa: S608 (names from above)
        _change(table, {name: (sa.Text(), was) for name, was in columns.items() if not _is_text(was)})


def _change(table: str, columns: dict[str, tuple[Any, Any]]) -> None:
    if not columns:
        return
    with op.batch_alter_table(table) as changed:
        for name, (was, becomes) in columns.items():
            comment = COMMENTS.get((table, name))
            changed.alter_column(
                name,
                existing_type=was,
                type_=becomes,
                existing_nullable=False,
                existing_comment=comment,
            )


def _in_english(name: str, was: sa.types.TypeEngine[Any]) -> str:
    english = f"JSON_EXTRACT({name}, '$.en')"
    if op.get_context().dialect.name != "sqlite":
        english = f"JSON_UNQUOTE({english})"
    return english if _is_text(was) else f"SUBSTR({english}, 1, {was.length})"  # type: ignore[attr-defined]


def _is_text(column: sa.types.TypeEngine[Any]) -> bool:
    return isinstance(column, sa.Text)
