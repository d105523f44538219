"""Alembic environment: runs on the connection that `bist_pipeline.store.migrate` hands over."""

from alembic import context

from bist_pipeline.store.schema import metadata

connection = context.config.attributes["connection"]

context.configure(
    connection=connection,
    target_metadata=metadata,
    compare_type=True,
    # SQLite cannot alter a constraint in place: Alembic copies the table instead.
    render_as_batch=connection.dialect.name == "sqlite",
)

with context.begin_transaction():
    context.run_migrations()
