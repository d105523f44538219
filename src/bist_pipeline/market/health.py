"""What a session's prices look like as a whole: who is there, who is missing, who moved, who gained.

Computed from prices as they arrived; returns over a quarter come from cleaned ones, because a capital
increase that the feed did not adjust for is neither a gain nor a loss. Whether the session may be scored is
decided elsewhere (`drift.data_quality`): this shows people what that decision rests on.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.contracts import PRICE_COLUMNS, UNKNOWN_SECTOR
from bist_pipeline.features.cross_section import row_median
from bist_pipeline.features.windows import running_total, window_sum
from bist_pipeline.market.cleaning import LISTED_SESSIONS, Cleaned, RuleCount, clean
from bist_pipeline.market.gaps import find_gaps
from bist_pipeline.market.health_report import (
    FIGURES,
    LOGARITHMIC,
    Completeness,
    Distribution,
    Gain,
    HealthReport,
    MissingValues,
    Move,
    Sector,
)
from bist_pipeline.market.limits import ROUNDING, compute_price_limits
from bist_pipeline.market.panel import Mask, Matrix, Panel, Sessions, build_panel

Vector = NDArray[np.float64]

QUARTER_SESSIONS = 63
SHOWN_SESSIONS = 252
# The sessions before the year shown say who was listed, and which volumes were usual, when it began.
_WINDOW_SESSIONS = SHOWN_SESSIONS + QUARTER_SESSIONS
_TOP = 10
_MIN_KNOWN = 20
_BINS = 24


def compute_health(
    prices: pd.DataFrame,
    *,
    session: dt.date,
    sessions: Sessions,
    refused: pd.DataFrame,
    sectors: Mapping[str, str],
) -> HealthReport:
    """Describe the prices of a session and of the year before it.

    Parameters
    ----------
    prices : DataFrame
        Long prices as they arrived, up to `session`.
    session : date
        A session of the calendar, with or without bars.
    sessions : array of datetime64[D]
        The trading calendar.
    refused : DataFrame
        Quarantined rows with `symbol` and `rule`.
    sectors : mapping of str to str
        By symbol; who is not in it is of an unknown sector.

    Returns
    -------
    HealthReport

    Raises
    ------
    ContractError
        If no row of `prices` falls on a session of the last five quarters, or one occurs twice.
    """
    panel = _build_window(prices, session, sessions)
    cleaned = clean(panel)
    changes, volumes = _compute_changes(panel), _compare_volumes(panel)
    figures = _compute_figures(panel, cleaned, changes[-1], volumes[-1])
    gained, lost = _rank_gains(cleaned, figures["quarter_change"], sectors)
    risers, fallers = _rank_moves(panel, cleaned, figures)
    has_quarter = len(panel.sessions) > QUARTER_SESSIONS
    return HealthReport(
        session=session,
        first_session=panel.sessions[0].item(),
        completeness=_count_bars(panel, volumes),
        gaps=find_gaps(panel),
        missing_values=_count_missing(panel),
        refused=_count_refused(refused),
        repairs=cleaned.rules,
        risers=risers,
        fallers=fallers,
        set_aside=_list_set_aside(panel, cleaned, changes),
        quarter_start=panel.sessions[-1 - QUARTER_SESSIONS].item() if has_quarter else None,
        gained=gained,
        lost=lost,
        sectors=_count_sectors(figures["quarter_change"], sectors),
        distributions=tuple(_describe(name, figures[name]) for name in FIGURES),
        correlations=_correlate(figures),
    )


def _build_window(prices: pd.DataFrame, session: dt.date, sessions: Sessions) -> Panel:
    first = prices["session"].min().to_datetime64().astype("datetime64[D]")
    known = sessions[(sessions >= first) & (sessions <= np.datetime64(session, "D"))]
    return build_panel(prices, known[-_WINDOW_SESSIONS:])


def _count_bars(panel: Panel, volumes: Matrix) -> tuple[Completeness, ...]:
    priced = np.isfinite(panel.close)
    listed = window_sum(running_total(priced.astype(np.float64)), LISTED_SESSIONS) > 0
    traded = priced & (panel.volume > 0)
    counts = (mask.sum(axis=1).tolist() for mask in (listed, priced, traded))
    medians = map(_known, row_median(volumes).tolist())
    rows = zip(panel.sessions.tolist(), *counts, medians, strict=True)
    return tuple(Completeness(*row) for row in rows)[-SHOWN_SESSIONS:]


def _count_missing(panel: Panel) -> tuple[MissingValues, ...]:
    priced = np.isfinite(panel.close)
    columns = {name: np.isnan(getattr(panel, name)) for name in PRICE_COLUMNS}
    absent: dict[str, Mask] = {**columns, "volume_zero": panel.volume == 0}
    before = slice(-1 - SHOWN_SESSIONS, -1)
    rows, rows_before = int(priced[-1].sum()), priced[before].sum()
    return tuple(
        MissingValues(
            name,
            rows,
            int((priced & mask)[-1].sum()),
            float((priced & mask)[before].sum() / rows_before) if rows_before else None,
        )
        for name, mask in absent.items()
    )


def _count_refused(refused: pd.DataFrame) -> tuple[RuleCount, ...]:
    return tuple(
        RuleCount(str(rule), len(symbols), tuple(map(str, symbols.value_counts().index)))
        for rule, symbols in refused.groupby("rule")["symbol"]
    )


def _compute_changes(panel: Panel) -> Matrix:
    """Close over the close of the bar before, however long ago, minus 1; only between positive prices."""
    close = pd.DataFrame(panel.close).where(panel.close > 0)
    changes: Matrix = (close / close.ffill().shift() - 1).to_numpy()
    return changes


def _compare_volumes(panel: Panel) -> Matrix:
    """Volumes in units of the share's median over the quarter before; NaN where either is unknown."""
    volume = pd.DataFrame(panel.volume).where(panel.volume > 0)
    usual = volume.shift().rolling(QUARTER_SESSIONS, min_periods=_MIN_KNOWN).median()
    compared: Matrix = (volume / usual).to_numpy()
    return compared


def _compute_figures(panel: Panel, cleaned: Cleaned, changes: Vector, volumes: Vector) -> pd.DataFrame:
    """`FIGURES` of the shares that have a bar in the session, by symbol."""
    clean_bars, is_usable = cleaned.panel, cleaned.observed[-1]
    quarter = pd.DataFrame(clean_bars.close[-1 - QUARTER_SESSIONS :], columns=panel.symbols)
    has_quarter = len(quarter) > QUARTER_SESSIONS
    daily = quarter.diff() / quarter.shift()
    figures = {
        "day_change": changes,
        "quarter_change": (quarter.iloc[-1] / quarter.iloc[0] - 1).where(is_usable & has_quarter),
        "day_range": clean_bars.high[-1] / clean_bars.low[-1] - 1,
        "volatility": daily.std().where(is_usable & (daily.count() >= _MIN_KNOWN)),
        "traded_value": panel.close[-1] * np.where(panel.volume[-1] > 0, panel.volume[-1], np.nan),
        "volume_to_usual": volumes,
    }
    shares: pd.DataFrame = pd.DataFrame(figures, index=panel.symbols)[np.isfinite(panel.close[-1])]
    return shares


def _rank_moves(
    panel: Panel, cleaned: Cleaned, figures: pd.DataFrame
) -> tuple[tuple[Move, ...], tuple[Move, ...]]:
    limit = compute_price_limits(panel.sessions[-1:])[0]
    beyond = set(panel.symbols[cleaned.quarantined[-1]])
    known = figures.dropna(subset="day_change").sort_values("day_change", kind="stable")

    def as_move(row: Any) -> Move:
        at_limit = abs(row.day_change) >= limit - ROUNDING
        kind = "beyond_limit" if row.Index in beyond else "at_limit" if at_limit else ""
        day = panel.sessions[-1].item()
        return Move(row.Index, day, float(row.day_change), kind, _known(row.volume_to_usual))

    moves = [as_move(row) for row in known.itertuples()]
    risers = [move for move in moves[::-1] if move.change > 0]
    fallers = [move for move in moves if move.change < 0]
    return tuple(risers[:_TOP]), tuple(fallers[:_TOP])


def _list_set_aside(panel: Panel, cleaned: Cleaned, changes: Matrix) -> tuple[Move, ...]:
    found = np.argwhere(cleaned.quarantined)[::-1]
    return tuple(
        Move(panel.symbols[j], panel.sessions[i].item(), float(changes[i, j]), "beyond_limit", None)
        for i, j in found
    )


def _rank_gains(
    cleaned: Cleaned, quarter_change: pd.Series, sectors: Mapping[str, str]
) -> tuple[tuple[Gain, ...], tuple[Gain, ...]]:
    close = pd.DataFrame(cleaned.panel.close[-1 - QUARTER_SESSIONS :], columns=cleaned.panel.symbols)
    repaired = set(close.columns[cleaned.quarantined[-QUARTER_SESSIONS:].any(axis=0)])

    def as_gain(symbol: str, change: float) -> Gain:
        path = (close[symbol] / close[symbol].iloc[0] - 1).round(4)
        sector = sectors.get(symbol, UNKNOWN_SECTOR)
        return Gain(symbol, sector, change, symbol in repaired, tuple(map(_known, path)))

    ordered = quarter_change.dropna().sort_values(kind="stable")
    lost = ordered[ordered < 0].head(_TOP)
    gained = ordered[ordered > 0].tail(_TOP)[::-1]
    best, worst = (
        tuple(as_gain(str(symbol), change) for symbol, change in shares.items()) for shares in (gained, lost)
    )
    return best, worst


def _count_sectors(quarter_change: pd.Series, sectors: Mapping[str, str]) -> tuple[Sector, ...]:
    of_share = pd.Series([sectors.get(str(symbol), UNKNOWN_SECTOR) for symbol in quarter_change.index])
    found = [
        Sector(str(sector), len(changes), _known(changes.dropna().median()))
        for sector, changes in quarter_change.groupby(of_share.to_numpy())
    ]
    return tuple(sorted(found, key=lambda sector: (-sector.shares, sector.sector)))


def _describe(figure: str, values: pd.Series) -> Distribution:
    known = values[np.isfinite(values)].to_numpy()
    if figure in LOGARITHMIC:
        known = np.log10(known[known > 0])
    if not len(known):
        return Distribution(figure, FIGURES[figure], 0, (), (), ())
    quantiles = np.quantile(known, [0, 0.05, 0.5, 0.95, 1])
    low, high = np.quantile(known, [0.01, 0.99])
    counts, edges = np.histogram(np.clip(known, low, high), bins=_BINS, range=(low, high))
    if figure in LOGARITHMIC:
        quantiles, edges = 10**quantiles, 10**edges
    return Distribution(
        figure,
        FIGURES[figure],
        len(known),
        *(tuple(numbers.tolist()) for numbers in (quantiles, edges, counts)),
    )


def _correlate(figures: pd.DataFrame) -> tuple[tuple[float | None, ...], ...]:
    matrix = figures[list(FIGURES)].corr("spearman", min_periods=_MIN_KNOWN).to_numpy()
    return tuple(tuple(_known(value) for value in row) for row in matrix.tolist())


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
