"""What rankings were worth on the past: figures of walk-forwards, from trainings and from backtests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, func, select

from bist_pipeline.store.read.batches import Publication
from bist_pipeline.store.schema import BACKTEST, TRAINING, backtests


@dataclass(frozen=True)
class RankingFigures:
    """What one ranking was worth out of sample; see the table `backtests`."""

    ranking: str
    rank_ic: float | None
    rank_ic_lower: float | None
    rank_ic_upper: float | None
    nw_t: float | None
    ic_positive: float | None
    spread_quarter: float | None
    spread_lower: float | None
    spread_upper: float | None
    top20_quarter: float | None
    top20_net_quarter: float | None
    coverage: float | None
    r2: float | None
    lead_ic: float | None
    lead_lower: float | None
    lead_upper: float | None
    by_year: Mapping[str, float]


@dataclass(frozen=True)
class Backtest:
    """One walk-forward: what it rests on, and its rankings, the highest rank IC first."""

    origin: str
    session: dt.date
    model_name: str
    model_version: str
    horizon_sessions: int
    first_session: dt.date
    last_session: dt.date
    folds: int
    dates: int
    symbols: int
    independent: float
    computed_at: dt.datetime
    rankings: tuple[RankingFigures, ...]


def read_backtests(connection: Connection, publication: Publication) -> tuple[Backtest, ...]:
    """Read the figures from the training of the model behind a batch, and the newest backtest of its source.

    Either may be missing: a model may be older than the table, and a backtest is made by hand.
    """
    model = {"model_name": publication.model.name, "model_version": publication.model.version}
    scopes: tuple[dict[str, str], ...] = ({"origin": TRAINING, **model}, {"origin": BACKTEST})
    found = (_read_newest(connection, {"source": publication.source, **scope}) for scope in scopes)
    return tuple(one for one in found if one is not None)


def _read_newest(connection: Connection, scope: Mapping[str, Any]) -> Backtest | None:
    newest = select(func.max(backtests.c.computed_at)).filter_by(**scope).scalar_subquery()
    rows = connection.execute(
        select(backtests)
        .filter_by(**scope)
        .where(backtests.c.computed_at == newest)
        .order_by(backtests.c.rank_ic.desc(), backtests.c.ranking)
    )
    lines = [dict(row) for row in rows.mappings()]
    if not lines:
        return None
    rankings = tuple(
        RankingFigures(**{field.name: line[field.name] for field in fields(RankingFigures)}) for line in lines
    )
    shared = [field.name for field in fields(Backtest) if field.name != "rankings"]
    return Backtest(**{name: lines[0][name] for name in shared}, rankings=rankings)
