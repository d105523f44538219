"""Walk-forward folds whose train labels never reach into the test block."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bist_pipeline.errors import ContractError, InsufficientDataError

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Fold:
    """First and last sessions of one fold; small enough to cross between processes."""

    number: int
    train_first: dt.date
    train_last: dt.date
    test_first: dt.date
    test_last: dt.date


class PurgedWalkForward:
    """Expanding walk-forward with scikit-learn's splitter interface.

    The test blocks are the last `n_splits * block_sessions` sessions that have rows. Each fold trains on
    everything up to `horizon + embargo` sessions before its block: a label looks `horizon` sessions ahead,
    so nearer rows would have seen the test block (López de Prado, *Advances in Financial Machine Learning*,
    2018, chapter 7).

    Parameters
    ----------
    sessions : array of datetime64, shape (n_sessions,)
        Every trading session in order, without gaps. Distances are counted on it, so that rows of every
        fifth session are purged as far as rows of every session.
    n_splits : int
        Number of folds.
    block_sessions : int
        Sessions in a test block.
    horizon : int
        Sessions a label looks ahead.
    embargo : int
        Further sessions left out before each block.
    min_train_sessions : int
        Sessions the first fold must have to train on.

    Examples
    --------
    Trained on (T), left out (.), tested on (v):

    >>> sessions = np.arange("2024-01-01", "2024-01-23", dtype="datetime64[D]")
    >>> splitter = PurgedWalkForward(sessions, n_splits=3, block_sessions=4, horizon=2, embargo=1)
    >>> for train, test in splitter.split(sessions, groups=sessions):
    ...     print("".join("T" if i in train else "v" if i in test else "." for i in range(22)))
    TTTTTTTT..vvvv........
    TTTTTTTTTTTT..vvvv....
    TTTTTTTTTTTTTTTT..vvvv
    """

    def __init__(
        self,
        sessions: NDArray[np.datetime64],
        *,
        n_splits: int,
        block_sessions: int,
        horizon: int,
        embargo: int = 0,
        min_train_sessions: int = 1,
    ) -> None:
        self.sessions = np.asarray(sessions).astype("datetime64[D]")
        self.n_splits = n_splits
        self.block_sessions = block_sessions
        self.horizon = horizon
        self.embargo = embargo
        self.min_train_sessions = min_train_sessions

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: N803 (scikit-learn)
        """Return the number of folds."""
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:  # noqa: N803
        """Yield the train and test row numbers of each fold.

        Parameters
        ----------
        X, y : array-like
            Not looked at.
        groups : array of datetime64, shape (n_rows,)
            Session of each row.

        Raises
        ------
        ContractError
            If a row's session is not one of `sessions`.
        InsufficientDataError
            If the history is too short, or a fold has no rows to train or test on.
        """
        days = _as_days(groups)
        for fold in self.folds(groups):
            train = np.flatnonzero(days <= np.datetime64(fold.train_last))
            test = np.flatnonzero(_is_between(days, fold.test_first, fold.test_last))
            if not train.size or not test.size:
                raise InsufficientDataError(
                    f"Fold {fold.number} has {train.size} rows to train on and {test.size} to test on.",
                    consequence="No model was trained.",
                    next_step="set BIST_VALIDATION__FOLDS lower, or load a longer history",
                )
            yield train, test

    def folds(self, groups: Any) -> tuple[Fold, ...]:
        """Bounds of the folds for rows of these sessions, oldest first; same errors as `split`."""
        position = self._positions(groups)
        first, last = (int(position[0]), int(position[-1])) if position.size else (0, -1)
        starts = range(last + 1 - self.n_splits * self.block_sessions, last + 1, self.block_sessions)
        gap = self.horizon + self.embargo
        have = starts[0] - gap + 1 - first
        if have < self.min_train_sessions:
            missing = self.min_train_sessions - have
            raise InsufficientDataError(
                f"{last + 1 - first} labelled sessions: {self.n_splits} test blocks of {self.block_sessions}"
                f" and a gap of {gap} leave {max(have, 0)} for training, need {self.min_train_sessions}.",
                consequence="No model was trained.",
                next_step=f"load {missing} more sessions of history, or set BIST_VALIDATION__FOLDS lower",
            )
        return tuple(self._fold(number, first, start, gap) for number, start in enumerate(starts, start=1))

    def _fold(self, number: int, first: int, start: int, gap: int) -> Fold:
        bounds = (first, start - gap, start, start + self.block_sessions - 1)
        return Fold(number, *(self.sessions[i].item() for i in bounds))

    def _positions(self, groups: Any) -> Rows:
        days = np.unique(_as_days(groups))
        unknown = days[~np.isin(days, self.sessions)]
        if unknown.size:
            raise ContractError(
                f"{unknown.size} of {days.size} sessions are not trading sessions of this calendar.",
                which=[str(day) for day in unknown],
                consequence="No model was trained.",
            )
        return np.searchsorted(self.sessions, days)


def _as_days(groups: Any) -> NDArray[np.datetime64]:
    if groups is None:
        raise ValueError("The 'groups' parameter should be the session of each row, not None.")
    return np.asarray(groups).astype("datetime64[D]")


def _is_between(days: NDArray[np.datetime64], first: dt.date, last: dt.date) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (days >= np.datetime64(first)) & (days <= np.datetime64(last))
    return inside
