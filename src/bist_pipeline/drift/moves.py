"""Daily returns as the checks of the market's regime look at them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.drift.replays import CURRENT_SESSIONS

# How many sessions say what was usual before the ones that are judged. The level of the market's unrest
# wanders within weeks: a longer stretch would say what was usual long ago.
BEFORE_SESSIONS = 10


def relate_to_before(moves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide returns by how far returns lay apart shortly before, so that only a change of that shows.

    Parameters
    ----------
    moves : array of float64, shape (n_sessions, n_symbols)
        Returns since the session before, fractions; NaN where unknown.

    Returns
    -------
    array of float64, same shape
        In units of the usual distance from the session's median: the median over the 10 sessions that ended
        21 sessions earlier, so that a change of the last 21 is not measured by itself. NaN where fewer than
        half of those 10 have values, or nothing moved.

    Examples
    --------
    >>> calm = np.tile([-0.01, 0.0, 0.01], (40, 1))
    >>> related = relate_to_before(np.concatenate([calm, 2 * calm]))
    >>> related[39].tolist(), related[60].tolist(), related[79].tolist()
    ([-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0])
    """
    table = pd.DataFrame(moves)
    apart = table.sub(table.median(axis=1), axis=0).abs().median(axis=1)
    before = apart.rolling(BEFORE_SESSIONS, min_periods=BEFORE_SESSIONS // 2).median().shift(CURRENT_SESSIONS)
    related: NDArray[np.float64] = table.div(before.where(before > 0), axis=0).to_numpy()
    return related
