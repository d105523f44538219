"""Alpha158 on bad bars: against slow definitions, one share at a time, and against Qlib's own output."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.features.alpha158 import FEATURES, compute_alpha158
from bist_pipeline.features.alpha158_formulas import Bars
from bist_pipeline.features.feature import Inputs
from tests.small_market import cleaned_market, small_prices

NAMES = [feature.name for feature in FEATURES]
COLUMNS = ["open", "high", "low", "close", "vwap", "volume"]
SESSIONS = 200
# `nasty_bars`, and what Qlib 0.9.7 makes of them on some sessions (`compute_with_qlib` in benchmarks).
QLIB = Path(__file__).with_name("alpha158_qlib.npz")


def nasty_bars() -> Bars:
    """Shares with one defect each; the last one has many."""
    rng = np.random.default_rng(3)
    returns = rng.normal(0, 0.02, (12, SESSIONS))
    returns[1, 60:140] = 0  # a flat stretch longer than every window
    returns[2] *= rng.random(SESSIONS) < 0.3  # a price that seldom moves
    close = np.round(np.exp(returns.cumsum(axis=1)) * rng.uniform(1, 300, (12, 1)), 2)
    opened = np.round(close * (1 + rng.normal(0, 0.005, close.shape)), 2)
    high = np.maximum(opened, close) + np.round(close * rng.exponential(0.005, close.shape), 2)
    low = np.minimum(opened, close) - np.round(close * rng.exponential(0.005, close.shape), 2)
    volume = np.round(rng.lognormal(10, 1, close.shape))
    for prices in (opened, high, low):
        prices[1, 60:140] = close[1, 60:140]
    volume[3, ::3] = 0
    volume[4, 50:150] = 0
    volume[5] /= 7  # adjusted for a split
    volume[5, 80:] = 0
    bars = {"open": opened, "high": high, "low": low, "close": close, "vwap": (high + low + close) / 3}
    bars["volume"] = volume
    first = np.zeros(12, dtype=np.intp)
    first[6], first[7] = 90, 198  # late listings
    suspended = np.zeros(close.shape, dtype=bool)
    suspended[8, 50:120] = suspended[8, 121:190] = True  # one bar between two long suspensions
    suspended[9, 1:40] = suspended[10, 100:104] = True
    suspended[11] = rng.random(SESSIONS) < 0.1
    for values in bars.values():
        values[suspended | (np.arange(SESSIONS) < first[:, None])] = np.nan
    for share, name in enumerate(["high", "low", "open", "close", "volume"], start=7):
        bars[name][share, 195] = np.nan  # a bar that lacks one number
    return Bars(first, **{name: values.astype(np.float32) for name, values in bars.items()})


@pytest.fixture(scope="module")
def bars() -> Bars:
    return nasty_bars()


@pytest.fixture(scope="module")
def computed(bars) -> dict[str, np.ndarray]:
    return dict(zip(NAMES, compute_alpha158(bars), strict=True))


def fit(window: np.ndarray) -> tuple[float, float, float]:
    """Slope, R² and residual of the newest value of the least-squares line through the known ones."""
    known = np.flatnonzero(np.isfinite(window))
    if len(known) < 2:
        return np.nan, np.nan, np.nan
    x, y = known - known.mean(), window[known] - window[known].mean()
    slope = x @ y / (x @ x)
    r2 = np.nan if np.std(y, ddof=1) <= 2e-5 else (x @ y) ** 2 / (x @ x) / (y @ y)
    return slope, r2, window[-1] - window[known].mean() - slope * (len(window) - 1 - known.mean())


def rank(window: np.ndarray) -> float:
    lower, equal = (window < window[-1]).sum(), (window == window[-1]).sum()
    return (lower + (equal + 1) / 2) / np.isfinite(window).sum() if equal else np.nan


def correlation(x: pd.Series, y: pd.Series, window: int) -> pd.Series:
    x, y = (z.astype(float).where(np.isfinite(z)) for z in (x, y))
    flat = [z.rolling(window, min_periods=1).std() <= 2e-5 for z in (x, y)]
    return x.rolling(window, min_periods=1).corr(y).mask(flat[0] | flat[1])


def by_definition(share: pd.DataFrame) -> dict[str, pd.Series]:
    """All features of one share, from its first session on; prices and volumes in float32."""
    o, h, l, c, v = (share[name] for name in ("open", "high", "low", "close", "volume"))  # noqa: E741
    tiny = np.float32(1e-12)
    top, bottom = np.maximum(o, c), np.minimum(o, c)
    found = {
        "KMID": (c - o) / o,
        "KLEN": (h - l) / o,
        "KMID2": (c - o) / (h - l + tiny),
        "KUP": (h - top) / o,
        "KUP2": (h - top) / (h - l + tiny),
        "KLOW": (bottom - l) / o,
        "KLOW2": (bottom - l) / (h - l + tiny),
        "KSFT": (2 * c - h - l) / o,
        "KSFT2": (2 * c - h - l) / (h - l + tiny),
        **{f"{name.upper()}0": share[name] / c for name in ("open", "high", "low", "vwap")},
    }
    change, change_of_volume = c / c.shift(), v / v.shift()
    moved = abs(change - 1) * v
    for w in (5, 10, 20, 30, 60):

        def over(values: pd.Series, w: int = w) -> pd.core.window.Rolling:
            return values.astype(float).rolling(w, min_periods=1)

        fits = pd.DataFrame([fit(c.to_numpy(float)[max(0, t - w + 1) : t + 1]) for t in range(len(c))])
        highest, lowest = (over(h).apply(np.argmax, raw=True) + 1, over(l).apply(np.argmin, raw=True) + 1)
        up, down = over(c > c.shift()).mean(), over(c < c.shift()).mean()
        of_window = {
            "ROC": c.shift(w) / c,
            "MA": over(c).mean() / c,
            "STD": over(c).std() / c,
            "BETA": fits[0] / c,
            "RSQR": fits[1],
            "RESI": fits[2] / c,
            "MAX": over(h).max() / c,
            "MIN": over(l).min() / c,
            "QTLU": over(c).quantile(0.8) / c,
            "QTLD": over(c).quantile(0.2) / c,
            "RANK": over(c).apply(rank, raw=True),
            "RSV": (c - over(l).min()) / (over(h).max() - over(l).min() + 1e-12),
            "IMAX": highest / w,
            "IMIN": lowest / w,
            "IMXD": (highest - lowest) / w,
            "CORR": correlation(c, np.log(v + 1), w),
            "CORD": correlation(change, np.log(change_of_volume + 1), w),
            "CNTP": up,
            "CNTN": down,
            "CNTD": up - down,
            "VMA": over(v).mean() / (v + tiny),
            "VSTD": over(v).std() / (v + tiny),
            "WVMA": over(moved).std() / (over(moved).mean() + 1e-12),
        }
        for family, move in (("SUM", c.diff()), ("VSUM", v.diff())):
            rise, fall = over(move.clip(lower=0)).sum(), over((-move).clip(lower=0)).sum()
            total = over(abs(move)).sum() + 1e-12
            of_window |= {f"{family}P": rise / total, f"{family}N": fall / total}
            of_window[f"{family}D"] = (rise - fall) / total
        found |= {f"{name}{w}": values for name, values in of_window.items()}
    return found


@pytest.fixture(scope="module")
def defined(bars) -> dict[str, np.ndarray]:
    expected = {name: np.full(bars.close.shape, np.nan) for name in NAMES}
    with np.errstate(divide="ignore", invalid="ignore"):
        for i, first in enumerate(bars.first):
            share = pd.DataFrame({name: getattr(bars, name)[i, first:] for name in COLUMNS})
            for name, values in by_definition(share).items():
                expected[name][i, first:] = values
    return expected


@pytest.mark.parametrize("name", NAMES)
def test_a_feature_equals_its_definition_on_bad_bars(name, computed, defined):
    assert np.isfinite(computed[name]).mean() > 0.5
    np.testing.assert_allclose(computed[name], defined[name], rtol=1e-4, atol=1e-6)


def test_every_feature_equals_qlibs_own_output():
    with np.load(QLIB) as stored:
        bars = Bars(stored["first"], **{name: stored[name] for name in COLUMNS})
        qlib, names = stored["features"], stored["names"].tolist()
        computed = compute_alpha158(bars)[:, :, stored["sessions"]]

    assert names == NAMES
    assert np.isfinite(qlib).mean() > 0.6
    for name, values, expected in zip(NAMES, computed, qlib, strict=True):
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-7, err_msg=name)


def test_where_nothing_moves_there_is_no_deviation_at_all(computed):
    assert (computed["STD60"][1, 121:140] == 0).all()
    assert (computed["VSTD60"][5, 145:] == 0).all()
    assert np.isnan(computed["RSQR60"][1, 121:140]).all()


def test_a_share_has_values_from_its_minimum_history_on(bars, computed):
    """One without a defect, listed late."""
    ages = {
        name: int(np.argmax(np.isfinite(values[6, bars.first[6] :]))) for name, values in computed.items()
    }

    assert ages == {feature.name: feature.min_history - 1 for feature in FEATURES}


def test_no_feature_sees_the_price_level_or_the_number_of_shares(bars, computed):
    """Of shares that traded: Qlib adds a tiny number to volumes of 0, and 1 to those in CORR."""
    prices = {name: getattr(bars, name) / 8 for name in COLUMNS[:-1]}
    after_split = compute_alpha158(Bars(bars.first, **prices, volume=bars.volume * 8))
    traded = ~(bars.volume == 0).any(axis=1)

    assert traded.sum() > 6
    for name, values in zip(NAMES, after_split, strict=True):
        tolerance = 1e-3 if name.startswith("CORR") else 1e-6
        np.testing.assert_allclose(values[traded], computed[name][traded], rtol=1e-4, atol=tolerance)


def test_no_value_is_infinite(computed):
    assert not [name for name in NAMES if np.isinf(computed[name]).any()]


def test_the_registered_columns_are_those_of_the_bars_that_arrived():
    market = cleaned_market(*small_prices())
    feature = FEATURES[NAMES.index("MA5")]
    close = pd.DataFrame(np.where(market.observed, market.panel.close, np.nan)).astype(np.float32)

    values = feature.compute(Inputs(market), feature.window, feature.min_history)

    assert market.filled.any()
    expected = (close.rolling(5, min_periods=1).mean() / close).to_numpy()
    np.testing.assert_allclose(values, expected, rtol=1e-6)
