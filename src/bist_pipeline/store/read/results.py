"""What became of published forecasts: results, judgements session by session, and scorecards."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, and_, func, select

from bist_pipeline.store.schema import (
    judged_sessions,
    predictions,
    publications,
    realized_returns,
    scorecards,
)

PUBLISHED = "published"


@dataclass(frozen=True)
class Scorecard:
    """How well one ranking did over the newest judged sessions; see the table `scorecards`.

    `model` is `published` for the ranks as they were published, whichever model made them, else the name of a
    baseline on the same rows. A random ranking has a rank IC of 0 and no row.
    """

    source: str
    session: dt.date
    horizon_sessions: int
    window_sessions: int
    model: str
    judged: int
    first_session: dt.date
    last_session: dt.date
    lag_sessions: int
    symbols: int
    rank_ic: float
    lower: float
    upper: float
    independent: float
    coverage: float | None
    skill: str
    verdict: Mapping[str, str]


def read_scorecards(
    connection: Connection, source: str, *, session: dt.date | None = None
) -> tuple[Scorecard, ...]:
    """Read the scorecards as of a session, the newest evaluated one by default.

    The longest window comes first, in it the best ranking. Empty where no published forecast has matured yet.
    """
    mine = scorecards.c.source == source
    newest = select(func.max(scorecards.c.session)).where(mine).scalar_subquery()
    found = connection.execute(
        select(scorecards)
        .where(mine, scorecards.c.session == (session or newest))
        .order_by(
            scorecards.c.horizon_sessions, scorecards.c.window_sessions.desc(), scorecards.c.rank_ic.desc()
        )
    )
    names = [field.name for field in fields(Scorecard)]
    return tuple(Scorecard(**{name: row[name] for name in names}) for row in found.mappings())


def read_due(
    connection: Connection, source: str, *, horizon: int, until: dt.date, again: Sequence[dt.date] = ()
) -> list[dict[str, Any]]:
    """Read published forecasts of sessions up to `until` that have to be judged.

    These are the batches that were never judged, or published anew since then, and those of the sessions
    `again`.
    """
    judged = and_(
        judged_sessions.c.source == publications.c.source,
        judged_sessions.c.session == publications.c.session,
        judged_sessions.c.horizon_sessions == horizon,
        judged_sessions.c.model == PUBLISHED,
        judged_sessions.c.run_id == publications.c.run_id,
    )
    names = ("run_id", "session", "symbol", "score", "lower", "upper", "tradable")
    found = connection.execute(
        select(*(predictions.c[name] for name in names))
        .join(publications, publications.c.run_id == predictions.c.run_id)
        .outerjoin(judged_sessions, judged)
        .where(
            publications.c.source == source,
            publications.c.session <= until,
            predictions.c.horizon_sessions == horizon,
            judged_sessions.c.session.is_(None) | publications.c.session.in_(again),
        )
        .order_by(publications.c.session, predictions.c.rank)
    )
    return [dict(row) for row in found.mappings()]


def read_judged(connection: Connection, source: str, *, horizon: int, until: dt.date) -> list[dict[str, Any]]:
    """Read the judgements of published sessions up to `until`, oldest first."""
    found = connection.execute(
        select(judged_sessions)
        .join(
            publications,
            and_(
                publications.c.source == judged_sessions.c.source,
                publications.c.session == judged_sessions.c.session,
            ),
        )
        .where(
            judged_sessions.c.source == source,
            judged_sessions.c.horizon_sessions == horizon,
            judged_sessions.c.session <= until,
        )
        .order_by(judged_sessions.c.session, judged_sessions.c.model)
    )
    return [dict(row) for row in found.mappings()]


def read_result(
    connection: Connection, source: str, session: dt.date, symbol: str, *, horizon: int
) -> float | None:
    """Read the stored excess return (fraction) that a share made after `session`; None without one."""
    found: float | None = connection.scalar(
        select(realized_returns.c.excess_return).filter_by(
            source=source, session=session, symbol=symbol, horizon_sessions=horizon
        )
    )
    return found
