"""From one session's forecasts to the ranked batch that is published."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bist_pipeline.contracts import FORECAST_COLUMNS, prediction_contract, quarantine
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
        If one share's prediction breaks `contracts.prediction_contract`: then the model is broken, and the
        whole batch is refused.

    Examples
    --------
    >>> forecasts = pd.DataFrame(
    ...     {"score": [0.1, 0.4], "expected_excess_return": 0.0, "lower": -0.1, "upper": 0.1}
    ... )
    >>> batch = build_batch(pd.Series(["GARAN", "THYAO"]), forecasts, tradable=pd.Series([True, False]))
    >>> batch[["symbol", "rank", "percentile", "tradable"]].values.tolist()
    [['THYAO', 1, 1.0, False], ['GARAN', 2, 0.0, True]]
    """
    batch = forecasts[FORECAST_COLUMNS].assign(symbol=symbols, tradable=tradable.astype(bool))
    batch = batch.sort_values(["score", "symbol"], ascending=[False, True], ignore_index=True)
    rank = np.arange(1, len(batch) + 1)
    batch.insert(0, "rank", rank)
    batch.insert(1, "percentile", 1 - (rank - 1) / max(len(batch) - 1, 1))
    batch = batch[["symbol", "rank", "percentile", *FORECAST_COLUMNS, "tradable"]]
    _require_sound(batch)
    return batch


def _require_sound(batch: pd.DataFrame) -> None:
    _, bad = quarantine(batch, prediction_contract())
    if len(bad):
        rules = ", ".join(bad["rule"].unique())
        raise ModelError(
            f"Predictions of {len(bad)} of {len(batch)} shares break their contract: {rules}.",
            which=bad["symbol"].tolist(),
            next_step="bist train (the model is broken), or promote an earlier version",
        )
