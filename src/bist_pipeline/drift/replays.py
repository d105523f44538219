"""The weekly check made in advance on past weeks, from which a champion knows what is usual.

See `distribution` for why. The replays are made once, with the champion, from sessions before it: a lasting
drift cannot become its own baseline. The gap between the two windows grows while a champion ages, so there
are replays for each quarter of its life.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bist_pipeline.drift.distances import ks_distances_by_row
from bist_pipeline.drift.status import NO_VERDICT
from bist_pipeline.drift.summary import Summary, centre, pool, standardise
from bist_pipeline.errors import DriftInputError
from bist_pipeline.wording import say

CURRENT_SESSIONS = 21
# The training window's newest year; a longer one would leave too little history to replay the check on.
REFERENCE_SESSIONS = 252
REFERENCE_EVERY = 5
REPLAY_EVERY = 5
MAX_REPLAYS = 104
# A champion's age in quarters; one that is older is compared as the oldest here.
AGE_STEP = 63
AGES = 3
# A window may lack every third of its sessions, not more.
MIN_USABLE = 2 / 3
# How a check looks at values: their order and shape alone, or also how far apart they lie.
VIEWS = {"relative": standardise, "centred": centre}


@dataclass(frozen=True)
class Replays:
    """The check made in advance: its reference, and its outcome on past weeks.

    Parameters
    ----------
    view : str
        One of `VIEWS`.
    columns : tuple of str
        The F features that can be judged.
    unjudged : tuple of str
        Features that lacked values in the training window or on most past weeks.
    reference_first, reference_last : date
        The part of the training window that is compared with.
    reference, raw : arrays of shape (SAMPLE, F)
        What is compared with, and the same values as they are; both sorted.
    missing : array, shape (F,)
        Share of values that were missing in the training window.
    ends : array of int, shape (AGES, MAX_REPLAYS)
        Position of the last session of every replay, newest first; -1 where there is none.
    distances : array, shape (AGES, MAX_REPLAYS, F)
        NaN where there is no replay.
    """

    view: str
    columns: tuple[str, ...]
    unjudged: tuple[str, ...]
    reference_first: dt.date
    reference_last: dt.date
    reference: NDArray[np.float64]
    raw: NDArray[np.float64]
    missing: NDArray[np.float64]
    ends: NDArray[np.int64]
    distances: NDArray[np.float32]


@dataclass(frozen=True)
class Windows:
    """Positions of the sessions to compare; the gap between the two windows is always the same."""

    end: int
    gap: int

    @property
    def current(self) -> NDArray[np.int64]:
        """The sessions that are judged."""
        return np.arange(self.end - CURRENT_SESSIONS + 1, self.end + 1)

    @property
    def reference(self) -> NDArray[np.int64]:
        """The sessions they are compared with; negative ones lie before the table."""
        last = self.end - self.gap
        return np.arange(last, last - REFERENCE_SESSIONS, -REFERENCE_EVERY)[::-1]


def build_replays(
    summary: Summary, *, view: str, trained_until: dt.date, champion_session: dt.date
) -> Replays:
    """Make the check on past weeks, for each quarter of the champion's life to come.

    Parameters
    ----------
    summary : Summary
        With the history up to `champion_session`; later sessions are ignored.
    view : str
        One of `VIEWS`.
    trained_until : date
        Last session of the champion's training rows.
    champion_session : date
        Session the champion was trained at. Replays share no session with the first check after it.

    Raises
    ------
    DriftInputError
        If a date is not in the table, or the two are not in order.
    """
    trained, known = summary.locate(trained_until), summary.locate(champion_session)
    if trained > known:
        raise DriftInputError(
            say(
                "The champion's training rows end on {day}, after the session it was trained at.",
                "Modelin eğitim satırları, eğitildiği seanstan sonraki {day} seansında bitiyor.",
                day=trained_until,
            ),
            consequence=NO_VERDICT,
        )
    ages = [_plan(known, known - trained + age) for age in _middles()]
    lacking = _find_lacking(summary, Windows(known, known - trained), ages)
    judged = summary.only([name for name, lacks in zip(summary.columns, lacking, strict=True) if not lacks])
    reference = Windows(known, known - trained).reference
    reference = reference[reference >= 0]
    ends = np.full((AGES, MAX_REPLAYS), -1, dtype=np.int64)
    viewed = VIEWS[view](judged)
    distances = np.full((AGES, MAX_REPLAYS, len(judged.columns)), np.nan, dtype=np.float32)
    for age, candidates in enumerate(ages):
        chosen = list(itertools.islice((w for w in candidates if _is_usable(judged, w)), MAX_REPLAYS))
        ends[age, : len(chosen)] = [windows.end for windows in chosen]
        for i, windows in enumerate(chosen):
            distances[age, i] = _replay(viewed, windows)
    return Replays(
        view=view,
        columns=judged.columns,
        unjudged=tuple(np.array(summary.columns)[lacking].tolist()),
        reference_first=summary.sessions[reference[0]].item(),
        reference_last=trained_until,
        reference=pool_known(viewed, reference),
        raw=pool_known(judged, reference),
        missing=mean_missing(judged, reference),
        ends=ends,
        distances=distances,
    )


def _middles() -> list[int]:
    """Age in the middle of every quarter of a champion's life."""
    return [AGE_STEP * quarter + AGE_STEP // 2 for quarter in range(AGES)]


def _plan(known: int, gap: int) -> list[Windows]:
    """Past weeks on which the identical check may be made, newest first, all before the champion's own."""
    return [Windows(end, gap) for end in range(known - CURRENT_SESSIONS, gap, -REPLAY_EVERY)]


def _find_lacking(summary: Summary, today: Windows, ages: Sequence[Sequence[Windows]]) -> NDArray[np.bool_]:
    """Which features lack values in the training window, or on most of the past weeks.

    The first quarter of a champion's life decides; weeks that lack any other feature are not replayed.
    """
    lacking = is_lacking(summary, today.reference)
    past = [is_lacking(summary, w.current) | is_lacking(summary, w.reference) for w in ages[0]]
    whole = [row for row in past if not row.all()]
    if whole:
        lacking |= np.mean(whole, axis=0) > 0.5
    return lacking


def _is_usable(summary: Summary, windows: Windows) -> bool:
    whole = replace(summary, is_known=summary.is_known.all(axis=1, keepdims=True))
    return not (is_lacking(whole, windows.current) | is_lacking(whole, windows.reference)).any()


def is_lacking(summary: Summary, window: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which features lack too many sessions of the window; what lies before the table counts as lacking."""
    known = summary.is_known[window[window >= 0]].sum(axis=0)
    lacking: NDArray[np.bool_] = known < MIN_USABLE * len(window)
    return lacking


def pool_known(summary: Summary, window: NDArray[np.int64]) -> NDArray[np.float64]:
    """Pool a window as `summary.pool` does; nothing where no feature is left."""
    return pool(summary, window) if summary.columns else np.empty((0, 0))


def mean_missing(summary: Summary, window: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of values that are missing in a window, shape (F,)."""
    missing = summary.missing[window[window >= 0]]
    mean: NDArray[np.float64] = missing[np.isfinite(missing).all(axis=1)].mean(axis=0)
    return mean


def _replay(summary: Summary, windows: Windows) -> NDArray[np.float32]:
    reference, current = (pool(summary, window) for window in (windows.reference, windows.current))
    return ks_distances_by_row(reference.T, current.T)
