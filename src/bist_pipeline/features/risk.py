"""How much and how the price moves: volatility, market exposure, asymmetry, ranges, limit days."""

from __future__ import annotations

import math

import numpy as np

from bist_pipeline.features.feature import Inputs
from bist_pipeline.features.returns import (
    Series,
    daily,
    daily_squared,
    log_of_positive,
    market,
    ratio,
    variance,
)
from bist_pipeline.features.windows import lag
from bist_pipeline.market.panel import Mask, Matrix


def volatility(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Volatility: the standard deviation of daily returns."""
    return np.sqrt(_variance(inputs, window, min_history))


def _variance(inputs: Inputs, window: int, min_history: int) -> Matrix:
    mean = inputs.shared(daily).mean(window, min_history)
    return variance(mean, inputs.shared(daily_squared).mean(window, min_history))


def downside_volatility(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Root mean square of the negative daily returns, the others counted as 0."""
    return np.sqrt(inputs.shared(_losses_squared).mean(window, min_history))


def _losses_squared(inputs: Inputs) -> Series:
    returns = inputs.shared(daily)
    losses: Matrix = np.minimum(returns.values, 0.0)
    return returns.same_days(losses**2)


def skewness(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Third standardised moment of daily returns."""
    mean = inputs.shared(daily).mean(window, min_history)
    square = inputs.shared(daily_squared).mean(window, min_history)
    cube = inputs.shared(_cubes).mean(window, min_history)
    spread = variance(mean, square)
    third: Matrix = cube - 3 * mean * square + 2 * mean * mean * mean
    return ratio(third, spread * np.sqrt(spread))


def _cubes(inputs: Inputs) -> Series:
    returns = inputs.shared(daily)
    return returns.same_days(returns.values * inputs.shared(daily_squared).values)


def beta(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Slope of the share's daily returns on those of the median share."""
    covariance, market_variance = _covariance(inputs, window, min_history)
    return ratio(covariance, market_variance)


def correlation(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Correlation of the share's daily returns with those of the median share."""
    covariance, market_variance = _covariance(inputs, window, min_history)
    return ratio(covariance, np.sqrt(market_variance * _variance(inputs, window, min_history)))


def idiosyncratic_volatility(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Volatility of what the market leaves unexplained of the daily returns."""
    covariance, market_variance = _covariance(inputs, window, min_history)
    explained = ratio(covariance**2, market_variance)
    unexplained: Matrix = np.maximum(_variance(inputs, window, min_history) - explained, 0.0)
    return np.sqrt(unexplained)


def _covariance(inputs: Inputs, window: int, min_history: int) -> tuple[Matrix, Matrix]:
    """Covariance with the median share, and that one's variance over the same sessions."""
    share = inputs.shared(daily).mean(window, min_history)
    median = inputs.shared(market).mean(window, min_history)
    product = inputs.shared(_products).mean(window, min_history)
    square = inputs.shared(_market_squared).mean(window, min_history)
    return product - share * median, variance(median, square)


def _products(inputs: Inputs) -> Series:
    returns = inputs.shared(daily)
    return returns.same_days(returns.values * inputs.shared(market).values)


def _market_squared(inputs: Inputs) -> Series:
    returns = inputs.shared(market)
    return returns.same_days(returns.values**2)


def limit_up_days(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Share of sessions that closed locked at the upper limit."""
    return inputs.shared(_limit_ups).mean(window, min_history)


def limit_down_days(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Share of sessions that closed locked at the lower limit."""
    return inputs.shared(_limit_downs).mean(window, min_history)


def _limit_ups(inputs: Inputs) -> Series:
    return _share_of_returns(inputs, inputs.cleaned.limit_up)


def _limit_downs(inputs: Inputs) -> Series:
    return _share_of_returns(inputs, inputs.cleaned.limit_down)


def _share_of_returns(inputs: Inputs, mask: Mask) -> Series:
    returns = inputs.shared(daily)
    return returns.same_days(np.where(np.isfinite(returns.values), mask, np.nan))


def range_volatility(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Volatility within the session, from highs and lows (Parkinson's estimator)."""
    mean_square = inputs.shared(_ranges_squared).mean(window, min_history)
    variance_of_day: Matrix = mean_square / (4 * math.log(2))
    return np.sqrt(variance_of_day)


def _ranges_squared(inputs: Inputs) -> Series:
    panel = inputs.cleaned.panel
    return Series.of(log_of_positive(panel.high / panel.low) ** 2)


def close_location(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Mean place of the close between the session's low (0) and high (1)."""
    return inputs.shared(_close_locations).mean(window, min_history)


def _close_locations(inputs: Inputs) -> Series:
    panel = inputs.cleaned.panel
    return Series.of(ratio(panel.close - panel.low, panel.high - panel.low))


def spread(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Effective bid-ask spread, from closes against the middles of two sessions (Abdi and Ranaldo)."""
    return inputs.shared(_spreads).mean(window, min_history)


def _spreads(inputs: Inputs) -> Series:
    panel = inputs.cleaned.panel
    close = np.log(panel.close)
    middle = (np.log(panel.high) + np.log(panel.low)) / 2
    squared = 4 * (lag(close, 1) - lag(middle, 1)) * (lag(close, 1) - middle)
    return Series.of(np.sqrt(np.maximum(squared, 0.0)))
