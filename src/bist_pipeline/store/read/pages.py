"""What only the web pages ask for: one share's past, how judged sessions went, drift in detail."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields

from sqlalchemy import Connection, select

from bist_pipeline.store.schema import (
    drift_episodes,
    judged_sessions,
    past_returns,
    price_series,
    sessions,
)
from bist_pipeline.wording import Wording


@dataclass(frozen=True)
class Gain:
    """What one share did over a window that has ended; fractions, the excess over the universe median."""

    window_sessions: int
    past_return: float
    excess_return: float | None


@dataclass(frozen=True)
class JudgedSession:
    """How one ranking of one session did; `model` is the published one or a baseline."""

    session: dt.date
    model: str
    symbols: int
    rank_ic: float | None
    coverage: float | None


@dataclass(frozen=True)
class DriftEpisode:
    """A stretch of alarms of one check; see the table `drift_episodes`."""

    check_name: str
    status: str
    opened_on: dt.date
    last_seen: dt.date
    closed_on: dt.date | None
    cause: Wording
    urgency: Wording
    runbook: Wording


def read_closes(connection: Connection, source: str, symbol: str) -> list[tuple[dt.date, float]]:
    """Read the adjusted closes of a share, in TRY, oldest first; empty where none are stored."""
    series = connection.scalar(select(price_series.c.closes).filter_by(source=source, symbol=symbol))
    return [(dt.date.fromisoformat(day), close) for day, close in series or ()]


def read_gains(connection: Connection, source: str, session: dt.date, symbol: str) -> list[Gain]:
    """Read what one share did over every window that ends at `session`, shortest first."""
    found = select(*(past_returns.c[field.name] for field in fields(Gain)))
    mine = found.filter_by(source=source, session=session, symbol=symbol)
    return [Gain(**row) for row in connection.execute(mine.order_by("window_sessions")).mappings()]


def read_judged_sessions(connection: Connection, source: str, *, limit: int) -> list[JudgedSession]:
    """Read how the newest `limit` judgements of a source went, newest session first."""
    found = select(*(judged_sessions.c[field.name] for field in fields(JudgedSession)))
    newest_first = found.filter_by(source=source).order_by(judged_sessions.c.session.desc()).limit(limit)
    return [JudgedSession(**row) for row in connection.execute(newest_first).mappings()]


def read_session_after(connection: Connection, session: dt.date, count: int) -> dt.date | None:
    """Read which session comes `count` sessions after this one; None beyond the stored calendar."""
    found = select(sessions.c.session).where(sessions.c.session >= session).order_by(sessions.c.session)
    later: dt.date | None = connection.scalar(found.offset(count).limit(1))
    return later


def read_episodes(connection: Connection, source: str, *, limit: int) -> list[DriftEpisode]:
    """Read the newest `limit` episodes of a source, newest first."""
    found = select(*(drift_episodes.c[field.name] for field in fields(DriftEpisode))).filter_by(source=source)
    newest_first = found.order_by(drift_episodes.c.opened_on.desc(), drift_episodes.c.check_name).limit(limit)
    return [DriftEpisode(**row) for row in connection.execute(newest_first).mappings()]
