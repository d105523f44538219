"""A small market with every defect that real feeds have, and shorthands to build tiny ones by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from bist_pipeline.contracts import BALANCE_COLUMNS, FLOW_COLUMNS
from bist_pipeline.market.cleaning import Cleaned, clean
from bist_pipeline.market.panel import Panel, build_panel

SYMBOLS = 40
SESSIONS = 600
WEEKEND = pd.Timestamp("2021-02-06")
THIN = 410
SILENT = 300


def business_days(count: int, first: str = "2020-01-02") -> np.ndarray:
    return pd.bdate_range(first, periods=count).to_numpy().astype("datetime64[D]")


def tiny_panel(close, *, volume=None, high=None, low=None, open=None, first="2021-01-04") -> Panel:  # noqa: A002
    """Sessions as rows, shares (AAA, BBB, …) as columns.

    Unless given, one price a session, and 1,000 traded, on each session one more: no bar repeats another.
    """
    close = np.array(close, dtype=float)
    symbols = np.array([3 * chr(65 + i) for i in range(close.shape[1])], dtype=object)
    given = {"open": open, "high": high, "low": low}
    prices = {name: close if v is None else np.array(v, dtype=float) for name, v in given.items()}
    usual = 1_000.0 + np.arange(len(close))[:, None]
    shares = np.where(np.isfinite(close), usual, np.nan) if volume is None else np.array(volume, dtype=float)
    return Panel(
        business_days(len(close), first), symbols, close=close, volume=shares, off_calendar={}, **prices
    )


def small_prices(seed: int = 5) -> tuple[pd.DataFrame, np.ndarray]:
    """Long prices of 40 symbols × 600 sessions, defects included, and the sessions."""
    rng = np.random.default_rng(seed)
    sessions = business_days(SESSIONS)
    common = rng.normal(0.0005, 0.008, (SESSIONS, 1))
    own = rng.normal(0, np.linspace(0.004, 0.03, SYMBOLS), (SESSIONS, SYMBOLS))
    returns = np.clip(common * rng.uniform(0.3, 1.7, SYMBOLS) + own, -0.1, 0.1)
    returns[350:380, 5] = 0.0  # a flat stretch
    close = rng.uniform(2, 200, SYMBOLS) * np.cumprod(1 + returns, axis=0)
    close[450:, 7] /= 4  # a split that the feed did not adjust for
    close[220, 9] *= 10  # a bad bar
    locked = np.abs(returns) >= 0.1
    opened = close * np.where(locked, 1, 1 + rng.normal(0, 0.003, close.shape))
    high = np.maximum(opened, close) * (1 + np.abs(rng.normal(0, 0.004, close.shape)))
    low = np.minimum(opened, close) * (1 - np.abs(rng.normal(0, 0.004, close.shape)))
    high, low = np.where(locked & (returns > 0), close, high), np.where(locked & (returns < 0), close, low)
    volume = np.round(rng.lognormal(10, 0.8, close.shape) * rng.uniform(0.1, 10, SYMBOLS))
    volume[rng.random(volume.shape) < 0.01] = 0
    volume[SILENT] = 0  # the feed forgot the volumes
    low[120, 11] = high[120, 11] * 1.02  # a crossed bar
    opened[90:93, 13] = 0.0  # non-positive prices
    missing = rng.random(close.shape) < 0.003
    missing[:200, 30:34] = True  # late listings
    missing[500:, 34] = True  # a delisting
    missing[250:254, 2] = missing[400:470, 3] = True  # a short and a long suspension
    missing[THIN, :25] = True  # most of a session is missing
    prices = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
    row, column = np.nonzero(~missing)
    frame = pd.DataFrame({name: values[row, column] for name, values in prices.items()})
    frame.insert(0, "session", sessions.astype("datetime64[ns]")[row])
    frame.insert(1, "symbol", np.array([f"S{i:02d}" for i in range(SYMBOLS)], dtype=object)[column])
    cancelled = frame[frame["session"] == pd.Timestamp("2021-02-05")].assign(session=WEEKEND)
    return pd.concat([frame, cancelled], ignore_index=True), sessions


def small_facts(seed: int = 6) -> pd.DataFrame:
    """Settled reports of 30 of the 40 symbols from 2019 on, each known 3 to 11 weeks after its quarter.

    Every fourth report is published again 100 days later with other figures; some figures are missing.
    """
    rng = np.random.default_rng(seed)
    quarters = pd.date_range("2019-03-31", "2022-03-31", freq="QE")
    rows = pd.MultiIndex.from_product(
        [[f"S{i:02d}" for i in range(5, 35)], quarters], names=["symbol", "period_end"]
    ).to_frame(index=False)
    rows["announced_at"] = rows["period_end"] + pd.to_timedelta(rng.uniform(20, 80, len(rows)), unit="D")
    rows = pd.concat([rows, rows[::4].assign(announced_at=rows["announced_at"] + pd.Timedelta(days=100))])
    of_year = rows["period_end"].dt.quarter.to_numpy()
    for name in FLOW_COLUMNS:
        rows[name] = rng.lognormal(3, 1, len(rows)) * of_year
    for name in BALANCE_COLUMNS:
        rows[name] = rng.lognormal(5, 1, len(rows))
    figures = [*FLOW_COLUMNS, *BALANCE_COLUMNS]
    rows[figures] = rows[figures].mask(rng.random((len(rows), len(figures))) < 0.03)
    return rows.reset_index(drop=True)


def cleaned_market(prices: pd.DataFrame, sessions: np.ndarray) -> Cleaned:
    return clean(build_panel(prices, sessions))


def without(panel: Panel, *names: str) -> Panel:
    """The panel as a feed that lacks these columns delivers it."""
    return replace(panel, **{name: np.full(panel.close.shape, np.nan) for name in names})
