"""The only door to alibi-detect: it checks what alibi-detect does not, then asks for the distances.

alibi-detect answers "no drift" to NaN and looks at columns by position, whatever their names. And on panel
data its p-values say nothing, because rows of one session move together; only its distances are used, and
`distribution` asks how unusual they are.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.drift.status import NO_VERDICT
from bist_pipeline.errors import DriftInputError
from bist_pipeline.wording import Wording, join, say

# Sessions in the two windows of the online detector, and its mean time between false alarms.
CVM_WINDOWS = (21, 63)
CVM_RUN_TIME = 1000

_REFERENCE, _CURRENT = Wording("reference", "referans"), Wording("current", "güncel")


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
    for frame, name in ((reference, _REFERENCE), (current, _CURRENT)):
        _refuse_unusable_values(frame, name)
    _refuse_constants(reference, current)
    detector = _load("KSDrift")(reference.to_numpy(np.float64, copy=False))
    # `score` is what `predict` calls before it turns p-values into a verdict that we must not use.
    _, distances = detector.score(current.to_numpy(np.float64, copy=False))
    return pd.Series(distances, index=reference.columns, dtype=np.float64, name="distance")


def cvm_statistics(
    reference: NDArray[np.float64], stream: NDArray[np.float64], *, thresholds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Cramér-von Mises statistics of a stream as alibi-detect's `CVMDriftOnline` computes them step by step.

    Parameters
    ----------
    reference : array, shape (n_reference,)
        What the stream should look like.
    stream : array, shape (n_steps,)
        In order of time.
    thresholds : array, shape (2 * max(CVM_WINDOWS) - 1,)
        The detector's own, simulated in advance: they depend on the number of reference values alone, and
        simulating them takes half a minute.

    Returns
    -------
    array, shape (n_steps, 2)
        One column for each of `CVM_WINDOWS`; NaN until that window is full. Single precision.

    Raises
    ------
    DriftInputError
        If a value is missing or infinite, the reference is empty or all its values are equal.
    """
    for values, name in ((reference, _REFERENCE), (stream, _CURRENT)):
        if len(values):
            _refuse_unusable_values(pd.DataFrame({"stream": values}), name)
    if not len(reference) or np.ptp(reference) == 0:
        raise DriftInputError(
            Wording(
                "The reference of a stream is empty, or one and the same value throughout.",
                "Akışın referansı boş ya da baştan sona aynı değer.",
            ),
            consequence=NO_VERDICT,
        )
    detector = _open_cvm(reference, thresholds)
    scores = [detector.score(np.array([value]))[:, 0] for value in stream]
    return np.array(scores, dtype=np.float64).reshape(len(stream), len(CVM_WINDOWS))


def simulate_cvm_thresholds(n_reference: int, *, simulations: int, seed: int) -> NDArray[np.float64]:
    """Let alibi-detect find the thresholds that a stream without drift passes once in `CVM_RUN_TIME` steps.

    Parameters
    ----------
    n_reference : int
        Number of reference values.
    simulations : int
        Streams to simulate; ten times the run time at least, says alibi-detect.
    seed : int
        Of numpy's global generator, which alibi-detect draws from; it is left as it was.

    Returns
    -------
    array, shape (2 * max(CVM_WINDOWS) - 1,)
        By step; NaN before the first window is full. The last one holds from then on.
    """
    detector = _load("CVMDriftOnline")
    before = np.random.get_state()  # noqa: NPY002 (the generator that alibi-detect uses)
    try:
        np.random.seed(seed)  # noqa: NPY002
        opened = detector(
            np.arange(float(n_reference)),
            ert=CVM_RUN_TIME,
            window_sizes=list(CVM_WINDOWS),
            n_bootstraps=simulations,
            verbose=False,
        )
    finally:
        np.random.set_state(before)  # noqa: NPY002
    thresholds: NDArray[np.float64] = opened.thresholds[:, 0]
    return thresholds


def _open_cvm(reference: NDArray[np.float64], thresholds: NDArray[np.float64]) -> Any:
    class _Configured(_load("CVMDriftOnline")):  # type: ignore[misc]
        def _configure_thresholds(self) -> None:
            self.thresholds = thresholds[:, None]

    return _Configured(
        reference.astype(np.float64), ert=CVM_RUN_TIME, window_sizes=list(CVM_WINDOWS), verbose=False
    )


def _load(detector: str) -> Any:
    """Import a detector when it is needed: alibi-detect brings transformers along, seconds of start-up.

    Its licence is a reason to remove it: the checks that need it then say so, and nothing else stops.
    """
    # transformers logs an advice to install PyTorch or TensorFlow, which nothing here uses.
    adviser = logging.getLogger("transformers")
    was_disabled, adviser.disabled = adviser.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import alibi_detect.cd
    except ModuleNotFoundError as error:
        raise DriftInputError(
            say(
                "alibi-detect is not there ({error}), and this check takes its figures from it.",
                "Bu denetim sayılarını alibi-detect paketinden alır, paket ise yok ({error}).",
                error=error,
            ),
            consequence=NO_VERDICT,
            next_step="pip install alibi-detect==0.13.0; what works without it: README.md, section Licence",
        ) from error
    finally:
        adviser.disabled = was_disabled
    return getattr(alibi_detect.cd, detector)


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
            say(
                "The columns to compare differ from those of the reference: {found}.",
                "Karşılaştırılacak sütunlar referansınkilerden farklı: {found}.",
                found=join((_count(how, columns) for how, columns in found.items()), by=", "),
            ),
            which=[column for columns in found.values() for column in columns],
            consequence=NO_VERDICT,
        )


def _count(how: str, columns: Sequence[str]) -> Wording:
    turkish = {
        "missing": "eksik",
        "extra": "fazla",
        "repeated": "yinelenen",
        "in another order": "sırası farklı",
    }
    return Wording(f"{len(columns)} {how}", f"{len(columns)} {turkish[how]}")


def _refuse_unusable_values(frame: pd.DataFrame, name: Wording) -> None:
    if frame.empty:
        raise DriftInputError(
            say(
                "The {name} data of a drift check is empty.",
                "Kayma denetiminin {name} verisi boş.",
                name=name,
            ),
            consequence=NO_VERDICT,
        )
    texts = [str(column) for column in frame if not pd.api.types.is_numeric_dtype(frame[column])]
    unusable = (
        texts
        or frame.columns[~np.isfinite(frame.to_numpy(np.float64, na_value=np.nan)).all(axis=0)]
        .astype(str)
        .tolist()
    )
    if unusable:
        raise DriftInputError(
            say(
                "The {name} data of a drift check has values that are missing, infinite or no numbers in "
                "{n} of {all} columns.",
                "Kayma denetiminin {name} verisinde {all} sütunun {n} tanesinde eksik, sonsuz ya da sayı "
                "olmayan değerler var.",
                name=name,
                n=len(unusable),
                all=frame.shape[1],
            ),
            which=unusable,
            consequence=NO_VERDICT,
        )


def _refuse_constants(reference: pd.DataFrame, current: pd.DataFrame) -> None:
    both = pd.concat([reference, current])
    constant = both.columns[both.min() == both.max()].astype(str).tolist()
    if constant:
        raise DriftInputError(
            say(
                "{n} of {all} columns hold one and the same value everywhere: nothing can be said about "
                "their distribution.",
                "{all} sütunun {n} tanesi hep aynı değerde: dağılımları hakkında bir şey denemez.",
                n=len(constant),
                all=both.shape[1],
            ),
            which=constant,
            consequence=NO_VERDICT,
        )
