"""The only door to alibi-detect: it checks what alibi-detect does not, then asks for the distances.

alibi-detect answers "no drift" to NaN and looks at columns by position, whatever their names. And on panel
data its p-values say nothing, because rows of one session move together; only its distances are used, and
`distribution` asks how unusual they are.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
import pandas as pd

from bist_pipeline.drift.status import NO_VERDICT
from bist_pipeline.errors import DriftInputError


def ks_distances(reference: pd.DataFrame, current: pd.DataFrame) -> pd.Series:
    """Kolmogorov-Smirnov distance of every column, as alibi-detect's `KSDrift` computes it.

    Parameters
    ----------
    reference, current : DataFrame, shapes (n_reference, n_columns) and (n_current, n_columns)
        Numbers without NaN, the same columns in the same order; the row counts may differ.

    Returns
    -------
    Series, shape (n_columns,)
        Largest gap between the two cumulative distributions, 0 (equal) to 1 (disjoint), indexed by column.
        Equal to `scipy.stats.ks_2samp(...).statistic` in single precision, alibi-detect's own.

    Raises
    ------
    DriftInputError
        If columns are missing, extra, repeated or in another order, a frame is empty, a value is NaN or
        infinite, or a column holds one and the same value throughout both frames.

    Examples
    --------
    >>> ks_distances(pd.DataFrame({"beta": [1.0, 2.0]}), pd.DataFrame({"volatility": [1.0, 2.0]}))
    Traceback (most recent call last):
    bist_pipeline.errors.DriftInputError: The columns to compare differ from those of the reference: ...
    """
    _refuse_other_columns(reference.columns, current.columns)
    for frame, name in ((reference, "reference"), (current, "current")):
        _refuse_unusable_values(frame, name)
    _refuse_constants(reference, current)
    detector = _ks_detector()(reference.to_numpy(np.float64, copy=False))
    # `score` is what `predict` calls before it turns p-values into a verdict that we must not use.
    _, distances = detector.score(current.to_numpy(np.float64, copy=False))
    return pd.Series(distances, index=reference.columns, dtype=np.float64, name="distance")


def _ks_detector() -> Any:
    """Import KSDrift when it is needed: alibi-detect brings transformers along, seconds of start-up."""
    # transformers logs an advice to install PyTorch or TensorFlow, which nothing here uses.
    adviser = logging.getLogger("transformers")
    was_disabled, adviser.disabled = adviser.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from alibi_detect.cd import KSDrift
    finally:
        adviser.disabled = was_disabled
    return KSDrift


def _refuse_other_columns(reference: pd.Index, current: pd.Index) -> None:
    differences = {
        "missing": reference.difference(current),
        "extra": current.difference(reference),
        "repeated": reference[reference.duplicated()].union(current[current.duplicated()]),
    }
    if not any(map(len, differences.values())) and not reference.equals(current):
        differences = {"in another order": reference[reference != current]}
    found = {how: list(map(str, columns)) for how, columns in differences.items() if len(columns)}
    if found:
        raise DriftInputError(
            "The columns to compare differ from those of the reference: "
            + ", ".join(f"{len(columns)} {how}" for how, columns in found.items())
            + ".",
            which=[column for columns in found.values() for column in columns],
            consequence=NO_VERDICT,
        )


def _refuse_unusable_values(frame: pd.DataFrame, name: str) -> None:
    if frame.empty:
        raise DriftInputError(f"The {name} data of a drift check is empty.", consequence=NO_VERDICT)
    texts = [str(column) for column in frame if not pd.api.types.is_numeric_dtype(frame[column])]
    unusable = (
        texts
        or frame.columns[~np.isfinite(frame.to_numpy(np.float64, na_value=np.nan)).all(axis=0)]
        .astype(str)
        .tolist()
    )
    if unusable:
        raise DriftInputError(
            f"The {name} data of a drift check has values that are missing, infinite or no numbers "
            f"in {len(unusable)} of {frame.shape[1]} columns.",
            which=unusable,
            consequence=NO_VERDICT,
        )


def _refuse_constants(reference: pd.DataFrame, current: pd.DataFrame) -> None:
    both = pd.concat([reference, current])
    constant = both.columns[both.min() == both.max()].astype(str).tolist()
    if constant:
        raise DriftInputError(
            f"{len(constant)} of {both.shape[1]} columns hold one and the same value everywhere: "
            "nothing can be said about their distribution.",
            which=constant,
            consequence=NO_VERDICT,
        )
