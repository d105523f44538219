"""Invented markets for benchmarks/drift_bars.py, with features, a model and its calibration.

The seams are those of the stages: prices as the source delivers them, cleaning, the registry's features, the
model's own pipeline, the champion's calibration. Only the lake and the database between them are left out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings, SyntheticSettings, TrainingSettings
from bist_pipeline.contracts import KEY, PRICE_COLUMNS
from bist_pipeline.drift.calibration import MOVE, RELATED_MOVE, SCORE, Calibration, build_calibration
from bist_pipeline.drift.moves import relate_to_before
from bist_pipeline.drift.performance import compute_daily_ic
from bist_pipeline.features import long_horizon
from bist_pipeline.features.cross_section import row_rank
from bist_pipeline.features.feature import Inputs
from bist_pipeline.market.cleaning import Cleaned, clean
from bist_pipeline.market.labels import compute_forward_excess
from bist_pipeline.market.panel import build_panel, compute_moves, look_up
from bist_pipeline.market.universe import compute_tradable
from bist_pipeline.model import walk_forward
from bist_pipeline.sources.faults import FAULTS
from bist_pipeline.sources.invented_market import Market, build_market

FIRST = dt.date(2020, 11, 23)
# What a champion knows, and what it then lives through.
HISTORY, LIFE = 1_000, 252
HORIZON = 63
# More than any rule or feature looks back, so that a table cut there says the same of its last sessions.
LOOK_BACK = 640
STALE_SHARE = 0.2

WATCHED = {row.name: row.min_history + 1 for row in long_horizon.FEATURES}
RANKS = [f"{name}_rank" for name in WATCHED]
TRAINING = TrainingSettings(trees=100, seeds=(1,), min_child_samples=200, threads=1)
SETTINGS = Settings(horizon_sessions=HORIZON, training=TRAINING)


def stale_for_some(market: Market, first: int) -> Market:
    """Repeat the last bars of a fifth of the shares, drawn once, session after session."""
    stale = FAULTS["stale_feed"](market, first)
    draws = np.random.default_rng([market.settings.seed, *b"stale_for_some"])
    chosen = draws.random(len(market.symbols)) < STALE_SHARE
    return replace(
        market, bars={name: np.where(chosen, stale.bars[name], market.bars[name]) for name in PRICE_COLUMNS}
    )


PRICE_FAULTS: dict[str, Callable[[Market, int], Market]] = {**FAULTS, "stale_for_some": stale_for_some}


@dataclass(frozen=True)
class Table:
    """Prices as they arrive, and the features of them: a whole market, or the newest part of one."""

    prices: pd.DataFrame
    features: pd.DataFrame
    cleaned: Cleaned

    @cached_property
    def days(self) -> list[dt.date]:
        """Sessions with features, in order."""
        return list(self.by_day)

    @cached_property
    def by_day(self) -> dict[dt.date, pd.DataFrame]:
        """Rows of every session."""
        return {day.date(): rows for day, rows in self.features.groupby("session")}

    @cached_property
    def first_seen(self) -> pd.Series:
        """Position of the session of every share's first row."""
        position = np.searchsorted(np.unique(self.features["session"]), self.features["session"])
        return pd.Series(position).groupby(self.features["symbol"].to_numpy()).min()

    def newest(self, day: dt.date, sessions: int) -> pd.DataFrame:
        """Rows of so many sessions up to a day."""
        end = self.days.index(day) + 1
        return pd.concat([self.by_day[each] for each in self.days[max(end - sessions, 0) : end]])

    def ages(self, day: dt.date) -> pd.Series:
        """Sessions since every share's first row."""
        return self.days.index(day) - self.first_seen


@dataclass(frozen=True)
class Champion:
    """A market, the model that was trained on its first `HISTORY` sessions, and what is usual for it."""

    market: Market
    table: Table
    pipeline: object
    calibration: Calibration
    session: dt.date

    def score(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Scores of the tradable rows."""
        rows = rows[rows["tradable"].to_numpy(dtype=bool)]
        scored: pd.DataFrame = rows[[*KEY, "tradable"]].assign(
            **{SCORE: self.pipeline.predict(rows)[SCORE]}  # type: ignore[attr-defined]
        )
        return scored

    def daily_ic(self, table: Table, *, since: dt.date) -> pd.Series:
        """Rank IC of the model's scores with the next session's returns."""
        rows = self.score(table.features[table.features["session"] >= pd.Timestamp(since)])
        return compute_daily_ic(rows.assign(excess=look_up_next(table.cleaned, rows)))


def look_up_next(cleaned: Cleaned, rows: pd.DataFrame) -> pd.Series:
    """Return to the next session, of every row."""
    close = cleaned.panel.close
    following = np.full_like(close, np.nan)
    following[:-1] = compute_moves(close)[1:]
    return look_up(cleaned.panel, following, rows)


def generate(seed: int, *, symbols: int, life: int = LIFE) -> Market:
    calendar = bist_calendar()
    sessions = calendar.between(FIRST, calendar.last)[: HISTORY + life]
    half_days = np.array([calendar.describe(day).is_half_day for day in sessions.tolist()])
    settings = SyntheticSettings(seed=seed, symbols=symbols, first_session=FIRST)
    return build_market(settings, sessions, half_days)


def tabulate(market: Market, *, last: int | None = None, look_back: int | None = None) -> Table:
    """Prices and features of the sessions up to row `last`, of the newest `look_back` only if it is given."""
    stop = len(market.sessions) if last is None else last + 1
    start = 0 if look_back is None else max(stop - look_back, 0)
    prices = as_prices(market, slice(start, stop))
    return tabulate_prices(prices, market.sessions[start:stop])


def tabulate_prices(prices: pd.DataFrame, sessions: NDArray[np.datetime64]) -> Table:
    cleaned = clean(build_panel(prices, sessions))
    return Table(prices, compute_table(cleaned), cleaned)


def as_prices(market: Market, rows: slice) -> pd.DataFrame:
    """Long prices of some sessions, without the bars that have no close."""
    row, column = np.nonzero(np.isfinite(market.bars["close"][rows]))
    return pd.DataFrame(
        {
            "session": market.sessions[rows].astype("datetime64[ns]")[row],
            "symbol": market.symbols.astype(object)[column],
            **{name: market.bars[name][rows][row, column] for name in PRICE_COLUMNS},
        }
    )


def compute_table(cleaned: Cleaned) -> pd.DataFrame:
    """`features.registry.compute_features` of the watched family alone: Alpha158 would take longest."""
    cells = np.flatnonzero(np.isfinite(cleaned.panel.close))
    row, column = np.divmod(cells, len(cleaned.panel.symbols))
    inputs = Inputs(cleaned)
    moves = compute_moves(cleaned.panel.close)
    table = {
        "session": cleaned.panel.sessions.astype("datetime64[ns]")[row],
        "symbol": cleaned.panel.symbols[column],
        "tradable": compute_tradable(cleaned).ravel()[cells],
        MOVE: moves.ravel()[cells],
        RELATED_MOVE: relate_to_before(moves).ravel()[cells],
    }
    ranks = {}
    priced = np.isfinite(cleaned.panel.close)
    for feature in long_horizon.FEATURES:
        values = feature.compute(inputs, feature.window, feature.min_history)
        table[feature.name] = values.ravel()[cells].astype(np.float32)
        ranks[f"{feature.name}_rank"] = row_rank(np.where(priced, values, np.nan)).ravel()[cells]
    return pd.DataFrame({**table, **ranks})


def crown(market: Market) -> Champion:
    """Train a model at the end of `HISTORY`, and build its calibration, from nothing newer."""
    table = tabulate(market)
    session = market.sessions[HISTORY - 1].item()
    known = table.features[table.features["session"] <= pd.Timestamp(session)]
    pipeline = train(market, table.cleaned, known)
    champion = Champion(market, table, pipeline, None, session)  # type: ignore[arg-type]
    # As the stage does: the scores of the sessions that the replays look back on.
    calibration = build_calibration(
        known,
        WATCHED,
        known,
        champion.score(known[known["session"] >= pd.Timestamp(market.sessions[LIFE].item())]),
        score_out_of_sample(market, table, known, session).to_numpy(),
        trained_until=market.sessions[HISTORY - 1 - HORIZON].item(),
        champion_session=session,
    )
    return replace(champion, calibration=calibration)


def score_out_of_sample(market: Market, table: Table, known: pd.DataFrame, session: dt.date) -> pd.Series:
    """Daily rank IC of the walk-forward's models, each on the sessions before the next one was trained."""
    sessions = market.sessions[:HISTORY]
    examples = select_examples(market, table.cleaned, known)
    judged = walk_forward.run(examples, RANKS, sessions=sessions, settings=SETTINGS)
    lives = walk_forward.find_lives(judged.folds, until=session)
    parts = []
    for model, (first, last) in zip(judged.models, lives, strict=True):
        rows = known[known["session"].between(pd.Timestamp(first), pd.Timestamp(last)) & known["tradable"]]
        parts.append(rows[[*KEY]].assign(**{SCORE: model.predict(rows)[SCORE]}))
    scores = pd.concat(parts)
    scores = scores[scores["session"] < pd.Timestamp(session)]
    return compute_daily_ic(scores.assign(excess=look_up_next(table.cleaned, scores)))


def train(market: Market, cleaned: Cleaned, known: pd.DataFrame) -> object:
    examples = select_examples(market, cleaned, known)
    return walk_forward.fit(examples, RANKS, sessions=market.sessions[:HISTORY], settings=SETTINGS)


def select_examples(market: Market, cleaned: Cleaned, known: pd.DataFrame) -> pd.DataFrame:
    sessions = market.sessions[:HISTORY]
    excess = compute_forward_excess(
        cleaned.panel.close[:HISTORY], compute_tradable(cleaned)[:HISTORY], HORIZON
    )
    labels = look_up(replace(cleaned.panel, sessions=sessions), excess, known)
    return walk_forward.select_examples(known, labels, sessions=sessions, settings=SETTINGS)
