"""Daily returns and the trailing means that most features are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bist_pipeline.features.cross_section import row_median
from bist_pipeline.features.feature import Inputs
from bist_pipeline.features.windows import lag, running_total, window_sum
from bist_pipeline.market.panel import Matrix

# What running totals leave of the variance of a flat stretch; real variances are far above it.
NO_VARIANCE = 1e-12


@dataclass(frozen=True)
class Series:
    """A daily quantity with its running totals, ready for trailing means of any window."""

    values: Matrix
    count: Matrix
    total: Matrix

    @classmethod
    def of(cls, values: Matrix) -> Series:
        """Total up an array of shape (n_sessions, n_symbols); NaN are no observations."""
        return cls(values, running_total(np.isfinite(values).astype(np.float64)), running_total(values))

    def same_days(self, values: Matrix) -> Series:
        """Total up another quantity that is known exactly where this one is."""
        return Series(values, self.count, running_total(values))

    def observations(self, window: int, min_history: int, *, skip: int = 0) -> Matrix:
        """Count of values in the window, NaN where it is below `min_history`."""
        count = window_sum(self.count, window, skip=skip)
        return np.where(count >= min_history, count, np.nan)

    def mean(self, window: int, min_history: int, *, skip: int = 0) -> Matrix:
        """Mean over the window, NaN where it holds fewer than `min_history` values."""
        observations = self.observations(window, min_history, skip=skip)
        mean: Matrix = window_sum(self.total, window, skip=skip) / observations
        return mean


def variance(mean: Matrix, mean_square: Matrix) -> Matrix:
    """Variance (of the population) from two means; exactly 0 where nothing moved."""
    spread = mean_square - mean**2
    return np.where(spread < NO_VARIANCE, 0.0 * spread, spread)


def ratio(above: Matrix, below: Matrix) -> Matrix:
    """Quotient, NaN where the denominator is 0."""
    quotient: Matrix = above / np.where(below == 0, np.nan, below)
    return quotient


def log_of_positive(values: Matrix) -> Matrix:
    """Natural logarithm, NaN where there is none."""
    logs: Matrix = np.log(np.where(values > 0, values, np.nan))
    return logs


def daily(inputs: Inputs) -> Series:
    """Return since the previous bar, on sessions with a bar of their own: a filled price is no return."""
    close = inputs.cleaned.panel.close
    return Series.of(np.where(inputs.cleaned.observed, close / lag(close, 1) - 1, np.nan))


def daily_squared(inputs: Inputs) -> Series:
    """Squares of the daily returns."""
    returns = inputs.shared(daily)
    return returns.same_days(returns.values**2)


def market(inputs: Inputs) -> Series:
    """Return of the median share, on the sessions on which the share itself has one."""
    returns = inputs.shared(daily)
    median = row_median(returns.values)[:, None]
    return returns.same_days(np.where(np.isfinite(returns.values), median, np.nan))


def excess(inputs: Inputs) -> Series:
    """Daily return over that of the median share."""
    returns = inputs.shared(daily)
    return returns.same_days(returns.values - inputs.shared(market).values)


def bars(inputs: Inputs) -> Series:
    """1 on every session with a bar: counts the history of what is computed from prices."""
    return Series.of(np.where(inputs.cleaned.observed, 1.0, np.nan))
