"""What is known of a share besides its prices."""

from __future__ import annotations

from sqlalchemy import Connection, select

from bist_pipeline.store.schema import securities


def read_sector_of(connection: Connection, source: str) -> dict[str, str]:
    """Return the sector of every share of a source."""
    found = select(securities.c.symbol, securities.c.sector).filter_by(source=source)
    return {row.symbol: row.sector for row in connection.execute(found)}
