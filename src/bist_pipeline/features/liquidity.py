"""How easily the share trades; values are multiples of the median share's, so inflation cancels."""

from __future__ import annotations

import numpy as np

from bist_pipeline.features.cross_section import row_median
from bist_pipeline.features.feature import Inputs
from bist_pipeline.features.returns import Series, daily, log_of_positive, ratio, variance
from bist_pipeline.market.panel import Matrix

MONTH = 21


def relative_value(inputs: Inputs) -> Series:
    """Traded value over that of the session's median share; NaN where most of the market did not trade."""
    value = inputs.cleaned.value_try
    return Series.of(ratio(value, row_median(value)[:, None]))


def turnover(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Log of the mean relative traded value."""
    return log_of_positive(inputs.shared(relative_value).mean(window, min_history))


def turnover_trend(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Log of the last month's mean relative traded value over that of the window."""
    values = inputs.shared(relative_value)
    return log_of_positive(ratio(values.mean(MONTH, MONTH // 2), values.mean(window, min_history)))


def turnover_variability(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Variability of the relative traded value: its standard deviation over its mean."""
    mean = inputs.shared(relative_value).mean(window, min_history)
    mean_square = inputs.shared(_value_squared).mean(window, min_history)
    return ratio(np.sqrt(variance(mean, mean_square)), mean)


def _value_squared(inputs: Inputs) -> Series:
    values = inputs.shared(relative_value)
    return values.same_days(values.values**2)


def illiquidity(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Log of the mean absolute daily return per unit of relative traded value (Amihud's measure)."""
    return log_of_positive(inputs.shared(_price_impact).mean(window, min_history))


def _price_impact(inputs: Inputs) -> Series:
    moves = np.abs(inputs.shared(daily).values)
    return Series.of(ratio(moves, inputs.shared(relative_value).values))


def zero_days(inputs: Inputs, window: int, min_history: int) -> Matrix:
    """Share of sessions without a trade while listed."""
    return inputs.shared(_idle).mean(window, min_history)


def _idle(inputs: Inputs) -> Series:
    cleaned = inputs.cleaned
    return Series.of(np.where(cleaned.traded | cleaned.suspended, cleaned.suspended, np.nan))
