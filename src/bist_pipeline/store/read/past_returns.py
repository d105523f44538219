"""What shares gained or lost up to a published session."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, select

from bist_pipeline.contracts import UNKNOWN_SECTOR
from bist_pipeline.store.schema import past_returns, securities


@dataclass(frozen=True)
class PastReturn:
    """Return of one share over a window of sessions, a fraction; `excess_return` is over the median's."""

    symbol: str
    name: str | None
    sector: str
    past_return: float
    excess_return: float | None


def read_past_returns(
    connection: Connection, source: str, session: dt.date, *, window: int
) -> list[PastReturn]:
    """Read the returns of the `window` sessions up to `session`, largest first."""
    is_listing = and_(
        securities.c.source == past_returns.c.source, securities.c.symbol == past_returns.c.symbol
    )
    found = (
        select(
            past_returns.c.symbol,
            securities.c.name,
            func.coalesce(securities.c.sector, UNKNOWN_SECTOR).label("sector"),
            past_returns.c.past_return,
            past_returns.c.excess_return,
        )
        .select_from(past_returns.outerjoin(securities, is_listing))
        .where(past_returns.c.source == source, past_returns.c.session == session)
        .where(past_returns.c.window_sessions == window)
        .order_by(past_returns.c.past_return.desc(), past_returns.c.symbol)
    )
    return [PastReturn(**row) for row in connection.execute(found).mappings()]
