"""From one session's forecasts to the ranked batch that is published."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bist_pipeline.contracts import FORECAST_COLUMNS
from bist_pipeline.errors import ModelError


def build_batch(symbols: pd.Series, forecasts: pd.DataFrame, *, tradable: pd.Series) -> pd.DataFrame:
    """Rank the shares of one session, best first.

    Parameters
    ----------
    symbols : Series, shape (n_symbols,)
        Unique symbols.
    forecasts : DataFrame, shape (n_symbols, 4)
        `score` and, as fractions over the universe median, `expected_excess_return`, `lower`, `upper`.
    tradable : Series, shape (n_symbols,)
        Whether a share could be bought in size; the others are ranked too, and say so.

    Returns
    -------
    DataFrame, shape (n_symbols, 8)
        `symbol, rank, percentile`, the forecasts and `tradable`. Equal scores are ordered by symbol, so that
        ranks are unique and the same on every run. `percentile` is 1 for the best share, 0 for the last.

    Raises
    ------
    ModelError
        If a forecast is not a finite number, or an expected excess lies outside its own interval.

    Examples
    --------
    >>> forecasts = pd.DataFrame(
    ...     {"score": [0.1, 0.4], "expected_excess_return": 0.0, "lower": -0.1, "upper": 0.1}
    ... )
    >>> batch = build_batch(pd.Series(["GARAN", "THYAO"]), forecasts, tradable=pd.Series([True, False]))
    >>> batch[["symbol", "rank", "percentile", "tradable"]].values.tolist()
    [['THYAO', 1, 1.0, False], ['GARAN', 2, 0.0, True]]
    """
    _require_sound(symbols, forecasts)
    batch = forecasts[FORECAST_COLUMNS].assign(symbol=symbols, tradable=tradable.astype(bool))
    batch = batch.sort_values(["score", "symbol"], ascending=[False, True], ignore_index=True)
    rank = np.arange(1, len(batch) + 1)
    batch.insert(0, "rank", rank)
    batch.insert(1, "percentile", 1 - (rank - 1) / max(len(batch) - 1, 1))
    return batch[["symbol", "rank", "percentile", *FORECAST_COLUMNS, "tradable"]]


def _require_sound(symbols: pd.Series, forecasts: pd.DataFrame) -> None:
    finite = np.isfinite(forecasts[FORECAST_COLUMNS]).all(axis=1)
    inside = forecasts["expected_excess_return"].between(forecasts["lower"], forecasts["upper"])
    for sound, complaint in ((finite, "are not finite"), (inside, "lie outside their own interval")):
        if not sound.all():
            raise ModelError(
                f"Forecasts of {(~sound).sum()} of {len(sound)} shares {complaint}.",
                which=symbols[~sound].tolist(),
                next_step="bist train (the model is broken), or promote an earlier version",
            )
