"""Views for people who look at the database themselves, from `sql/views/`.

A view that has to change gets a new file and a migration of its own. One that alters a table which they read
drops them first and creates them again: SQLite refuses it otherwise.

Revision ID: 0006
Revises: 0005
"""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

VIEWS = ("current_predictions", "matured_predictions")
FOLDER = Path(__file__).parents[1] / "views"


def upgrade() -> None:
    # Whoever reads a view needs the right to read its tables: it opens no way around the rights.
    security = "" if op.get_context().dialect.name == "sqlite" else "SQL SECURITY INVOKER"
    for name in VIEWS:
        query = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
        op.execute(f"CREATE {security} VIEW {name} AS {query}")


def downgrade() -> None:
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
