"""Every feature of the system, and the table that holds them.

To add a feature: write a function `(inputs, window, min_history) -> matrix` in the module of its kind and
one row in its family's table. Column, rank and leakage tests follow from the row; the guide shows it in four
steps (docs/en/adding-a-feature.md).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.features import alpha158, fundamentals, long_horizon
from bist_pipeline.features.cross_section import rank_groups
from bist_pipeline.features.feature import Feature, Inputs
from bist_pipeline.market.cleaning import Cleaned
from bist_pipeline.market.panel import Mask, Panel
from bist_pipeline.market.universe import compute_tradable

__all__ = [
    *("ALL_FAMILIES", "PRICE_FAMILIES", "REGISTRY", "Feature"),
    *("compute_features", "feature_columns", "rank_columns"),
]

REGISTRY: tuple[Feature, ...] = (*long_horizon.FEATURES, *alpha158.FEATURES, *fundamentals.FEATURES)
ALL_FAMILIES = tuple(dict.fromkeys(feature.family for feature in REGISTRY))
# What every market has. Fundamentals join where a source delivers them.
PRICE_FAMILIES = tuple(family for family in ALL_FAMILIES if family != fundamentals.FAMILY)
# The middle of all ranks.
NEUTRAL_RANK = 0.5


def feature_columns(families: Collection[str] = PRICE_FAMILIES) -> list[str]:
    """Return the names of the raw features of some families, in the registry's order."""
    return [feature.name for feature in REGISTRY if feature.family in families]


def rank_columns(families: Collection[str] = PRICE_FAMILIES) -> list[str]:
    """Return the names of the per-session ranks of some families, in the registry's order."""
    return [f"{name}_rank" for name in feature_columns(families)]


def compute_features(cleaned: Cleaned, facts: pd.DataFrame | None = None) -> pd.DataFrame:
    """Compute every registered feature and its rank for every priced share of every session.

    Ranks are among all priced shares of the session, not among tradable ones only: every share is scored,
    so every share needs its place on one scale, and that scale must not jump when another share's close
    locks at a limit.

    A share without a published report ranks in the middle on fundamentals. Which companies a collection of
    reports covers was chosen later, by who had grown large: a model must not see it.

    Parameters
    ----------
    cleaned : Cleaned
        The market; features of a session use that session and earlier ones only.
    facts : DataFrame, optional
        From `point_in_time.settle_announcements`; used from the session after their announcement on.
        Without them there are no columns of the family `fundamentals`.

    Returns
    -------
    DataFrame, shape (n_rows, 3 + 2 * n_features)
        `session, symbol, tradable`, the raw features, then their ranks in (0, 1), float32, NaN where
        the share has too little history; ordered by session and symbol. One row wherever the share has
        a close, its own or one filled forward.
    """
    cells = np.flatnonzero(np.isfinite(cleaned.panel.close))
    chosen = [row for row in REGISTRY if facts is not None or row.family != fundamentals.FAMILY]
    table = np.empty((2 * len(chosen), len(cells)), dtype=np.float32)
    raw, ranks = np.split(table, 2)
    _fill_raw(raw, chosen, cleaned, facts, cells)
    _fill_ranks(ranks, raw, chosen, bounds=np.searchsorted(cells, _row_starts(cleaned.panel)))
    names = [feature.name for feature in chosen]
    frame = pd.DataFrame(table.T, columns=[*names, *(f"{name}_rank" for name in names)], copy=False)
    return _with_keys(frame, cleaned.panel, cells, compute_tradable(cleaned).ravel()[cells])


def _fill_raw(
    raw: NDArray[np.float32],
    chosen: Sequence[Feature],
    cleaned: Cleaned,
    facts: pd.DataFrame | None,
    cells: NDArray[np.intp],
) -> None:
    for _, family in groupby(zip(raw, chosen, strict=True), key=lambda row: row[1].family):
        inputs = Inputs(cleaned, facts)  # of each family its own: what its features share goes with it
        for column, feature in family:
            column[:] = feature.compute(inputs, feature.window, feature.min_history).ravel()[cells]


def _fill_ranks(
    ranks: NDArray[np.float32],
    raw: NDArray[np.float32],
    chosen: Sequence[Feature],
    *,
    bounds: NDArray[np.intp],
) -> None:
    for ranked, values, feature in zip(ranks, raw, chosen, strict=True):
        rank_groups(values, bounds, ranked)
        if feature.family == fundamentals.FAMILY:
            ranked[np.isnan(ranked)] = NEUTRAL_RANK


def _row_starts(panel: Panel) -> NDArray[np.intp]:
    return np.arange(len(panel.sessions) + 1) * len(panel.symbols)


def _with_keys(frame: pd.DataFrame, panel: Panel, cells: NDArray[np.intp], tradable: Mask) -> pd.DataFrame:
    row, column = np.divmod(cells, len(panel.symbols))
    frame.insert(0, "session", panel.sessions.astype("datetime64[ns]")[row])
    frame.insert(1, "symbol", panel.symbols[column])
    frame.insert(2, "tradable", tradable)
    return frame
