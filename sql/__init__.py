"""Alembic environment and hand-written SQL."""
