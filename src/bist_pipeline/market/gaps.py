"""Where a listed share has no bar: what a feed may have missed, and can be asked for again."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

from bist_pipeline.errors import IncompleteSessionError
from bist_pipeline.market.cleaning import LISTED_SESSIONS
from bist_pipeline.market.panel import Panel

# A late feed lacks more than this. In the real panel of 2020-2024 six of 1,121 sessions did, and every share
# that was missing then was back within three sessions.
MIN_COMPLETENESS = 0.97
# So many may be suspended at once even in a small market.
ALLOWED_MISSING = 5


@dataclass(frozen=True)
class Gap:
    """Sessions in a row without a bar, and the listed shares that lack exactly these.

    An open gap reaches the newest session.
    """

    first: dt.date
    last: dt.date
    sessions: int
    is_open: bool
    symbols: tuple[str, ...]


def find_missing(panel: Panel) -> list[str]:
    """Return the listed shares without a bar in the newest session, sorted."""
    return sorted(symbol for gap in find_gaps(panel) if gap.is_open for symbol in gap.symbols)


def require_complete(panel: Panel) -> None:
    """Refuse a newest session of which too many listed shares have no bar.

    Raises
    ------
    IncompleteSessionError
        If more than five shares and 3 % of those listed have none.
    """
    missing = find_missing(panel)
    listed = np.isfinite(panel.close[-LISTED_SESSIONS:]).any(axis=0).sum()
    if len(missing) > max(ALLOWED_MISSING, (1 - MIN_COMPLETENESS) * listed):
        session, arrived = panel.sessions[-1].item(), listed - len(missing)
        raise IncompleteSessionError(
            f"Prices of {session}: {arrived} of {listed} listed shares arrived ({arrived / listed:.1%}, "
            f"need {MIN_COMPLETENESS:.1%}).",
            which=missing,
            consequence="Nothing was published; what arrived is in the lake.",
            next_step=f"bist ingest --session {session} --only-missing",
        )


def find_gaps(panel: Panel) -> tuple[Gap, ...]:
    """Find the sessions in a row that a share has no bar in between two, or since its newest one.

    A share without a bar for `LISTED_SESSIONS` counts as delisted: its newest gap is left out.

    Parameters
    ----------
    panel : Panel
        As built from raw prices.

    Returns
    -------
    tuple of Gap
        Open ones first, then those with most bars missing.

    Examples
    --------
    >>> days = np.array(["2024-06-26", "2024-06-27", "2024-06-28"], dtype="datetime64[D]")
    >>> close = np.array([[10.0, 20.0], [np.nan, np.nan], [11.0, np.nan]])
    >>> panel = Panel(days, np.array(["AKBNK", "THYAO"]), close, close, close, close, close, {})
    >>> [(gap.symbols, gap.sessions, gap.is_open) for gap in find_gaps(panel)]
    [(('THYAO',), 2, True), (('AKBNK',), 1, False)]
    """
    column, row = np.nonzero(np.isfinite(panel.close).T)
    is_newest = np.append(column[1:] != column[:-1], True)
    after = np.where(is_newest, len(panel.sessions), np.append(row[1:], 0))
    length = after - row - 1
    counts = (length > 0) & (~is_newest | (length < LISTED_SESSIONS))
    lacking: dict[tuple[int, int], list[str]] = {}
    for i in np.flatnonzero(counts):
        lacking.setdefault((int(row[i]) + 1, int(after[i]) - 1), []).append(panel.symbols[column[i]])
    gaps = [
        Gap(
            panel.sessions[first].item(),
            panel.sessions[last].item(),
            sessions=last - first + 1,
            is_open=last == len(panel.sessions) - 1,
            symbols=tuple(symbols),
        )
        for (first, last), symbols in lacking.items()
    ]
    return tuple(sorted(gaps, key=lambda gap: (not gap.is_open, -gap.sessions * len(gap.symbols), gap.first)))
