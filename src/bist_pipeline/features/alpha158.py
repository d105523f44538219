"""Qlib's Alpha158: 13 shapes of the session's bar, and 29 trailing statistics over five windows each.

Equal to the output of Qlib 0.9.7 on the same bars. Daily bars carry no volume-weighted price: the mean of
high, low and close stands in for it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bist_pipeline.features.alpha158_formulas import Bars, Formulas
from bist_pipeline.features.feature import Feature, Inputs
from bist_pipeline.features.nested_windows import WINDOWS

FAMILY = "alpha158"
_SOURCE = "Yang et al. 2020 (Qlib, Alpha158)"

_CLOSE = ("close",)
_VOLUME = ("volume",)
_BOTH = ("close", "volume")
_BAR = ("open", "high", "low", "close")
_OF_OPEN, _OF_RANGE, _OF_CLOSE = "fraction of the open", "fraction of the range", "fraction of the close"
_TIMES_CLOSE, _TIMES_VOLUME = "multiple of the close", "multiple of the volume"
_OF_WINDOW, _OF_MOVES = "share of the window", "share of all moves"

_SHAPES = (
    ("KMID", _OF_OPEN, ("open", "close"), "Who won the session: buyers lift the close above the open."),
    ("KLEN", _OF_OPEN, ("open", "high", "low"), "A long bar is a session of disagreement or of news."),
    ("KMID2", _OF_RANGE, _BAR, "A body that fills its bar shows that one side never gave way."),
    ("KUP", _OF_OPEN, _BAR, "A long upper shadow: higher prices were tried and sold."),
    ("KUP2", _OF_RANGE, _BAR, "The upper shadow again, whatever the length of the bar."),
    ("KLOW", _OF_OPEN, _BAR, "A long lower shadow: lower prices were tried and bought."),
    ("KLOW2", _OF_RANGE, _BAR, "The lower shadow again, whatever the length of the bar."),
    ("KSFT", _OF_OPEN, _BAR, "A close in the upper half of its bar shows demand into the end."),
    ("KSFT2", _OF_RANGE, ("high", "low", "close"), "The close's place in its bar, whatever its length."),
    ("OPEN0", _TIMES_CLOSE, ("open", "close"), "What the session has added since its open."),
    ("HIGH0", _TIMES_CLOSE, ("high", "close"), "How far the close fell back from the session's high."),
    ("LOW0", _TIMES_CLOSE, ("low", "close"), "How far the close recovered from the session's low."),
    ("VWAP0", _TIMES_CLOSE, ("high", "low", "close"), "Whether the session's buyers hold a gain or a loss."),
)

# Name, unit, columns, bars that a first value needs (None: one more than the window), reason.
_TRAILING = (
    ("ROC", _TIMES_CLOSE, _CLOSE, None, "Past returns reverse over weeks and continue over months."),
    ("MA", _TIMES_CLOSE, _CLOSE, 1, "A price far from its mean has run ahead, or is in a trend."),
    ("STD", _OF_CLOSE, _CLOSE, 2, "Calm shares earn more than their risk explains."),
    ("BETA", "fraction of the close per session", _CLOSE, 2, "The steepness of the price's trend."),
    ("RSQR", "share of the variance", _CLOSE, 2, "A trend along a straight line is more than noise."),
    ("RESI", _OF_CLOSE, _CLOSE, 2, "What departs from its own trend tends to return to it."),
    ("MAX", _TIMES_CLOSE, ("high", "close"), 1, "Holders anchor on recent highs."),
    ("MIN", _TIMES_CLOSE, ("low", "close"), 1, "Distance from recent lows, where sellers gave up."),
    ("QTLU", _TIMES_CLOSE, _CLOSE, 1, "Distance from the high prices without the single highest ones."),
    ("QTLD", _TIMES_CLOSE, _CLOSE, 1, "Distance from the low prices without the single lowest ones."),
    ("RANK", _OF_WINDOW, _CLOSE, 1, "The close's place among recent closes, whatever the volatility."),
    ("RSV", "share of the range", ("high", "low", "close"), 1, "The close's place in its recent range."),
    ("IMAX", _OF_WINDOW, ("high",), 1, "A fresh high marks a trend, an old one its end."),
    ("IMIN", _OF_WINDOW, ("low",), 1, "A fresh low marks a decline, an old one its end."),
    ("IMXD", _OF_WINDOW, ("high", "low"), 1, "A high after the low is a rise, a low after the high a fall."),
    ("CORR", "correlation", _BOTH, 2, "Prices that rise on rising volume are believed in."),
    ("CORD", "correlation", _BOTH, 3, "Daily moves with volume behind them last longer."),
    ("CNTP", _OF_WINDOW, _CLOSE, 1, "Gains in many small steps are noticed late."),
    ("CNTN", _OF_WINDOW, _CLOSE, 1, "Losses in many small steps are noticed late."),
    ("CNTD", _OF_WINDOW, _CLOSE, 1, "Rising sessions less falling ones: the persistence of the direction."),
    ("SUMP", _OF_MOVES, _CLOSE, 2, "Nothing but gains is a share that was bought too eagerly."),
    ("SUMN", _OF_MOVES, _CLOSE, 2, "Nothing but losses is a share that was sold too eagerly."),
    ("SUMD", _OF_MOVES, _CLOSE, 2, "Gains less losses: the balance of buyers and sellers."),
    ("VMA", _TIMES_VOLUME, _VOLUME, 1, "Today's volume against the usual one shows attention."),
    ("VSTD", _TIMES_VOLUME, _VOLUME, 2, "Uneven volume shows attention that comes and goes."),
    ("WVMA", "coefficient of variation", _BOTH, 3, "Whether moves with volume come evenly or in bursts."),
    ("VSUMP", _OF_MOVES, _VOLUME, 2, "Growing volume shows attention that builds up."),
    ("VSUMN", _OF_MOVES, _VOLUME, 2, "Shrinking volume shows attention that fades."),
    ("VSUMD", _OF_MOVES, _VOLUME, 2, "Growth less decline of volume: where attention is going."),
)


def compute_alpha158(bars: Bars) -> NDArray[np.float32]:
    """Compute all 158 features.

    Parameters
    ----------
    bars : Bars
        Daily bars of n_shares over n_sessions.

    Returns
    -------
    array of float32, shape (158, n_shares, n_sessions)
        In the order of `FEATURES`; NaN before a share's first session.
    """
    shares, sessions = bars.close.shape
    table = np.empty((len(FEATURES), shares, sessions), dtype=np.float32)
    formulas = Formulas(sessions, _PLACES)
    with np.errstate(divide="ignore", invalid="ignore"):
        for share in range(shares):
            formulas.compute(bars, share)
            table[:, share] = formulas.columns
    return table


def _table(inputs: Inputs) -> NDArray[np.float32]:
    """Bars as they arrived: a price filled forward is no bar, neither here nor for Qlib."""
    panel, observed = inputs.cleaned.panel, inputs.cleaned.observed
    close = np.where(observed, panel.close, np.nan)
    columns = (panel.open, panel.high, panel.low, close, (panel.high + panel.low + close) / 3, panel.volume)
    first = np.where(observed.any(axis=0), observed.argmax(axis=0), len(observed))
    by_share = (np.ascontiguousarray(values.T, dtype=np.float32) for values in columns)
    return compute_alpha158(Bars(first, *by_share))


def _column(name: str) -> Callable[[Inputs, int, int], NDArray[np.float32]]:
    def compute(inputs: Inputs, _window: int, _min_history: int) -> NDArray[np.float32]:
        by_share: NDArray[np.float32] = inputs.shared(_table)[_COLUMNS[name]]
        return by_share.T

    return compute


def _row(
    name: str, window: int, min_history: int, unit: str, inputs: tuple[str, ...], reason: str
) -> Feature:
    return Feature(name, FAMILY, window, min_history, unit, inputs, reason, _SOURCE, _column(name))


FEATURES: tuple[Feature, ...] = (
    *(_row(name, 1, 1, unit, inputs, reason) for name, unit, inputs, reason in _SHAPES),
    *(
        _row(f"{name}{window}", window, window + 1 if bars is None else bars, unit, inputs, reason)
        for name, unit, inputs, bars, reason in _TRAILING
        for window in WINDOWS
    ),
)
_COLUMNS = {feature.name: place for place, feature in enumerate(FEATURES)}
_PLACES = {name: slice(_COLUMNS[name], _COLUMNS[name] + 1) for name, *_ in _SHAPES} | {
    name: slice(_COLUMNS[f"{name}{WINDOWS[0]}"], _COLUMNS[f"{name}{WINDOWS[-1]}"] + 1)
    for name, *_ in _TRAILING
}
