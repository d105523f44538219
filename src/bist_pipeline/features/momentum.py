"""Where the price has come from: trends, reversals and distances to past extremes."""

from __future__ import annotations

import numpy as np

from bist_pipeline.features.feature import Inputs
from bist_pipeline.features.returns import (
    Series,
    bars,
    daily,
    excess,
    log_of_positive,
    ratio,
    variance,
)
from bist_pipeline.features.windows import lag, window_max, window_min
from bist_pipeline.market.panel import Matrix

MONTH = 21
QUARTER = 63
HALF_YEAR = 126


def _price_change(inputs: Inputs, window: int, min_history: int, *, skip: int) -> Matrix:
    close = inputs.cleaned.panel.close
    bars_so_far = inputs.shared(bars).count[1:]
    return np.where(bars_so_far >= min_history, lag(close, skip) / lag(close, window) - 1, np.nan)


def recent_return(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Return over the window up to now."""
    return _price_change(inputs, window, min_history, skip=0)


def momentum(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Return over the window without its last month."""
    return _price_change(inputs, window, min_history, skip=MONTH)


def early_momentum(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Return over the window without its last half year."""
    return _price_change(inputs, window, min_history, skip=HALF_YEAR)


def season(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Return over the first quarter of the window."""
    return _price_change(inputs, window, min_history, skip=window - QUARTER)


def steady_momentum(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Mean daily excess over its standard deviation, without the last month."""
    needed = min_history - MONTH
    mean = inputs.shared(excess).mean(window, needed, skip=MONTH)
    mean_square = inputs.shared(_excess_squared).mean(window, needed, skip=MONTH)
    return ratio(mean, np.sqrt(variance(mean, mean_square)))


def _excess_squared(inputs: Inputs) -> Series:
    over = inputs.shared(excess)
    return over.same_days(over.values**2)


def win_share(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Share of sessions on which the share beat the median one."""
    return inputs.shared(_wins).mean(window, min_history)


def _wins(inputs: Inputs) -> Series:
    over = inputs.shared(excess)
    return over.same_days(np.where(np.isfinite(over.values), over.values > 0, np.nan))


def overnight(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Mean log return from close to next open."""
    return inputs.shared(_overnight).mean(window, min_history)


def _overnight(inputs: Inputs) -> Series:
    panel = inputs.cleaned.panel
    return Series.of(log_of_positive(panel.open / lag(panel.close, 1)))


def below_high(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Close against the highest close of the window."""
    return _against(inputs, window_max(inputs.cleaned.panel.close, window), window, min_history)


def above_low(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Close against the lowest close of the window."""
    return _against(inputs, window_min(inputs.cleaned.panel.close, window), window, min_history)


def above_mean(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Close against the mean close of the window."""
    return _against(inputs, inputs.shared(_close).mean(window, 1), window, min_history)


def _close(inputs: Inputs) -> Series:
    return Series.of(inputs.cleaned.panel.close)


def _against(inputs: Inputs, level: Matrix, window: int, min_history: int) -> Matrix:
    long_enough = inputs.shared(bars).observations(window, min_history)
    return np.where(np.isnan(long_enough), np.nan, inputs.cleaned.panel.close / level - 1)


def drawdown(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Deepest fall within the window below the highest close of the `window` sessions before it."""
    close = inputs.cleaned.panel.close
    deepest = window_min(close / window_max(close, window) - 1, window)
    long_enough = inputs.shared(bars).observations(window, min_history)
    return np.where(np.isnan(long_enough), np.nan, deepest)


def largest_return(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Best daily return of the window."""
    returns = inputs.shared(daily)
    long_enough = returns.observations(window, min_history)
    return np.where(np.isnan(long_enough), np.nan, window_max(returns.values, window))


def smallest_return(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Worst daily return of the window."""
    returns = inputs.shared(daily)
    long_enough = returns.observations(window, min_history)
    return np.where(np.isnan(long_enough), np.nan, window_min(returns.values, window))
