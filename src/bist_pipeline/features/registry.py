"""Every feature of the system, and the table that holds them.

To add a feature: write a function `(inputs, window, min_history) -> matrix` in the module of its kind and
one row in its family's table. Column, rank, documentation and leakage tests follow from the row.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.features import long_horizon
from bist_pipeline.features.cross_section import row_rank
from bist_pipeline.features.feature import Feature, Inputs
from bist_pipeline.market.cleaning import Cleaned
from bist_pipeline.market.panel import Mask, Panel
from bist_pipeline.market.universe import compute_tradable

__all__ = ["REGISTRY", "Feature", "compute_features", "feature_columns", "rank_columns"]

REGISTRY: tuple[Feature, ...] = (*long_horizon.FEATURES,)


def feature_columns() -> list[str]:
    """Return the names of the raw features, in the registry's order."""
    return [feature.name for feature in REGISTRY]


def rank_columns() -> list[str]:
    """Return the names of the per-session ranks, in the registry's order."""
    return [f"{name}_rank" for name in feature_columns()]


def compute_features(cleaned: Cleaned) -> pd.DataFrame:
    """Compute every registered feature and its rank for every priced share of every session.

    Ranks are among all priced shares of the session, not among tradable ones only: every share is scored,
    so every share needs its place on one scale, and that scale must not jump when another share's close
    locks at a limit.

    Parameters
    ----------
    cleaned : Cleaned
        The market; features of a session use that session and earlier ones only.

    Returns
    -------
    DataFrame, shape (n_rows, 3 + 2 * n_features)
        `session, symbol, tradable`, the raw features, then their ranks in (0, 1), float32, NaN where
        the share has too little history; ordered by session and symbol. One row wherever the share has
        a close, its own or one filled forward.
    """
    panel = cleaned.panel
    priced = np.isfinite(panel.close)
    cells = np.flatnonzero(priced)
    inputs = Inputs(cleaned)
    table = np.empty((2 * len(REGISTRY), len(cells)), dtype=np.float32)
    for i, feature in enumerate(REGISTRY):
        computed = feature.compute(inputs, feature.window, feature.min_history)
        values = np.where(priced, computed, np.nan).astype(np.float32)
        values.take(cells, out=table[i], mode="clip")  # the mode that does not buffer; all cells are inside
        row_rank(values).take(cells, out=table[len(REGISTRY) + i], mode="clip")
    frame = pd.DataFrame(table.T, columns=[*feature_columns(), *rank_columns()])
    tradable = compute_tradable(cleaned).ravel()[cells]
    return _with_keys(frame, panel, cells, tradable)


def _with_keys(frame: pd.DataFrame, panel: Panel, cells: NDArray[np.intp], tradable: Mask) -> pd.DataFrame:
    row, column = np.divmod(cells, len(panel.symbols))
    frame.insert(0, "session", panel.sessions.astype("datetime64[ns]")[row])
    frame.insert(1, "symbol", panel.symbols[column])
    frame.insert(2, "tradable", tradable)
    return frame
