"""Which shares could be bought at a session's close in any size worth ranking."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bist_pipeline.features.cross_section import row_rank
from bist_pipeline.features.windows import running_total, window_sum
from bist_pipeline.market.cleaning import Cleaned
from bist_pipeline.market.panel import Mask

MIN_PRICED_SESSIONS = 126
RECENT_SESSIONS = 60
MIN_TRADED_SHARE = 0.9
# The thinnest fifth by median traded value: quotes there are not prices.
THIN_SHARE = 0.2


def compute_tradable(cleaned: Cleaned) -> Mask:
    """Flag the shares to train on and to rank at each session.

    A share needs at least 126 bars, a trade on 90 % of the last 60 sessions, a 60-session median traded
    value outside the bottom fifth of that session, a trade today, and a close that is not locked at the
    price limit. Everything else is still scored, but nobody could act on it.

    Parameters
    ----------
    cleaned : Cleaned
        The market; where volumes were never published, the rule on traded value does not apply.

    Returns
    -------
    array of bool, shape (n_sessions, n_symbols)
    """
    old_enough = np.cumsum(cleaned.observed, axis=0) >= MIN_PRICED_SESSIONS
    trades = window_sum(running_total(cleaned.traded.astype(np.float64)), RECENT_SESSIONS)
    regular = trades >= MIN_TRADED_SHARE * RECENT_SESSIONS
    locked = cleaned.limit_up | cleaned.limit_down
    return old_enough & regular & ~_is_thin(cleaned) & cleaned.traded & ~locked


def _is_thin(cleaned: Cleaned) -> Mask:
    value = pd.DataFrame(cleaned.value_try)
    typical = value.rolling(RECENT_SESSIONS, min_periods=RECENT_SESSIONS // 2).median().to_numpy()
    thin: Mask = row_rank(np.where(cleaned.observed, typical, np.nan)) < THIN_SHARE
    return thin
