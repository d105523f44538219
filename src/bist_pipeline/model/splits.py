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

    The test blocks are either the last `n_splits * block_sessions` sessions that have rows, or everything
    from `first_test` on, in blocks of which the last may be short. Each fold trains on everything up to
    `horizon + embargo` sessions before its block: a label looks `horizon` sessions ahead, so nearer rows
    would have seen the test block (López de Prado, *Advances in Financial Machine Learning*, 2018,
    chapter 7).

    Parameters
    ----------
    sessions : array of datetime64, shape (n_sessions,)
        Every trading session in order, without gaps. Distances are counted on it, so that rows of every
        fifth session are purged as far as rows of every session.
    block_sessions : int
        Sessions in a test block.
    horizon : int
        Sessions a label looks ahead.
    embargo : int
        Further sessions left out before each block.
    n_splits : int, optional
        Number of folds; this or `first_test`, not both.
    first_test : date, optional
        No test block begins earlier.
    min_train_sessions : int
        Sessions the first fold must have to train on.

    Examples
    --------
    Trained on (T), left out (.), tested on (v):

    >>> sessions = np.arange("2024-01-01", "2024-01-23", dtype="datetime64[D]")
    >>> def show(splitter):
    ...     for train, test in splitter.split(sessions, groups=sessions):
    ...         print("".join("T" if i in train else "v" if i in test else "." for i in range(22)))
    >>> show(PurgedWalkForward(sessions, n_splits=3, block_sessions=4, horizon=2, embargo=1))
    TTTTTTTT..vvvv........
    TTTTTTTTTTTT..vvvv....
    TTTTTTTTTTTTTTTT..vvvv
    >>> from datetime import date
    >>> first = date(2024, 1, 10)
    >>> show(PurgedWalkForward(sessions, first_test=first, block_sessions=6, horizon=2, embargo=1))
    TTTTTTT..vvvvvv.......
    TTTTTTTTTTTTT..vvvvvv.
    TTTTTTTTTTTTTTTTTTT..v
    """

    def __init__(
        self,
        sessions: NDArray[np.datetime64],
        *,
        block_sessions: int,
        horizon: int,
        embargo: int = 0,
        n_splits: int | None = None,
        first_test: dt.date | None = None,
        min_train_sessions: int = 1,
    ) -> None:
        if (n_splits is None) == (first_test is None):
            raise TypeError("PurgedWalkForward takes n_splits or first_test, one of them.")
        self.sessions = np.asarray(sessions).astype("datetime64[D]")
        self.block_sessions = block_sessions
        self.horizon = horizon
        self.embargo = embargo
        self.n_splits = n_splits
        self.first_test = first_test
        self.min_train_sessions = min_train_sessions

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: N803 (scikit-learn)
        """Return the number of folds; with `first_test` it depends on `groups`."""
        return len(self.folds(groups)) if self.n_splits is None else self.n_splits

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
                    next_step="load a longer history, or test fewer blocks",
                )
            yield train, test

    def folds(self, groups: Any) -> tuple[Fold, ...]:
        """Bounds of the folds for rows of these sessions, oldest first; same errors as `split`."""
        position = self._positions(groups)
        first, last = (int(position[0]), int(position[-1])) if position.size else (0, -1)
        starts = self._starts(last)
        gap = self.horizon + self.embargo
        have = starts[0] - gap + 1 - first if starts else 0
        if have < self.min_train_sessions:
            missing = self.min_train_sessions - have
            raise InsufficientDataError(
                f"{last + 1 - first} labelled sessions: {len(starts)} test blocks of {self.block_sessions}"
                f" and a gap of {gap} leave {max(have, 0)} for training, need {self.min_train_sessions}.",
                consequence="No model was trained.",
                next_step=f"load {missing} more sessions of history, or test fewer blocks",
            )
        return tuple(self._fold(number, first, start, last) for number, start in enumerate(starts, start=1))

    def earliest(self, groups: Any) -> dt.date:
        """First session that a test block may begin on; where there is none, the last one with rows."""
        position = self._positions(groups)
        first, last = (int(position[0]), int(position[-1])) if position.size else (0, len(self.sessions) - 1)
        start = first + self.min_train_sessions - 1 + self.horizon + self.embargo
        day: dt.date = self.sessions[min(start, last)].item()
        return day

    def _starts(self, last: int) -> range:
        if self.n_splits is not None:
            first = last + 1 - self.n_splits * self.block_sessions
        else:
            first = int(np.searchsorted(self.sessions, np.datetime64(self.first_test, "D")))
        return range(first, last + 1, self.block_sessions)

    def _fold(self, number: int, first: int, start: int, last: int) -> Fold:
        end = min(start + self.block_sessions - 1, last)
        bounds = (first, start - self.horizon - self.embargo, start, end)
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


def hold_out_newest(
    positions: NDArray[np.integer[Any]], *, sessions: int, gap: int, min_fit_sessions: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows to fit on, and the rows of the newest sessions, which the labels of the first do not reach.

    Parameters
    ----------
    positions : integer array, shape (n_rows,)
        Place of each row's session among all trading sessions.
    sessions : int
        Sessions to hold out.
    gap : int
        Sessions between the last row to fit on and the first held out: horizon plus embargo.
    min_fit_sessions : int
        Sessions that must remain to fit on.

    Returns
    -------
    fit, held_out : array of bool, shape (n_rows,)

    Raises
    ------
    InsufficientDataError
        If fewer than `min_fit_sessions` remain.

    Examples
    --------
    >>> fit, held_out = hold_out_newest(np.arange(10), sessions=3, gap=2, min_fit_sessions=1)
    >>> "".join("T" if f else "v" if h else "." for f, h in zip(fit, held_out))
    'TTTTTT.vvv'
    """
    start = int(positions.max()) - sessions + 1
    spare = start - gap + 1 - int(positions.min())
    if spare < min_fit_sessions:
        span = int(positions.max()) - int(positions.min()) + 1
        raise InsufficientDataError(
            f"{span} labelled sessions: {sessions} to calibrate on and a gap of {gap} leave"
            f" {max(spare, 0)} to fit on, need {min_fit_sessions}.",
            consequence="No model was trained.",
            next_step="load a longer history",
        )
    return positions <= start - gap, positions >= start
