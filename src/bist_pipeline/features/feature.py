"""What a feature is, and what its function is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.market.cleaning import Cleaned
from bist_pipeline.market.panel import Matrix

T = TypeVar("T")


class Inputs:
    """A cleaned market, and the intermediate results that several features share.

    Parameters
    ----------
    cleaned : Cleaned
        The market all features are computed from.
    facts : DataFrame, optional
        Reported figures, each with the time from which it was known.
    """

    def __init__(self, cleaned: Cleaned, facts: pd.DataFrame | None = None) -> None:
        self.cleaned = cleaned
        self.facts = facts
        self._results: dict[Callable[..., Any], Any] = {}

    def shared(self, compute: Callable[[Inputs], T]) -> T:
        """Return `compute(self)`, computed once whoever asks first."""
        if compute not in self._results:
            self._results[compute] = compute(self)
        return cast("T", self._results[compute])


@dataclass(frozen=True)
class Feature:
    """One row of the registry.

    Parameters
    ----------
    name : str
        Column name, `measure_window` with the window in sessions, a skip after it; `4q` are four quarters.
        Alpha158's are Qlib's.
    family : str
        The module it comes from.
    window : int
        Sessions looked back, the current one included; quarters for fundamentals.
    min_history : int
        Observations (bars, returns between them, reported quarters) a share needs for a value; with fewer
        it is NaN.
    unit : str
        What 1.0 means.
    inputs : tuple of str
        Columns of the price table, or of the fundamentals, it needs.
    reason : str
        Why it should say something about the next three months, in one plain sentence.
    source : str
        Who showed it.
    compute : callable
        `(inputs, window, min_history) -> array of shape (n_sessions, n_symbols)`; it is stored as float32.
    """

    name: str
    family: str
    window: int
    min_history: int
    unit: str
    inputs: tuple[str, ...]
    reason: str
    source: str
    compute: Callable[[Inputs, int, int], Matrix | NDArray[np.float32]]
