"""The prices that earlier ingests left, as an increment sees them."""

from __future__ import annotations

import datetime as dt
import math

import pandas as pd

from bist_pipeline.calendar import TradingCalendar
from bist_pipeline.contracts import KEY, PRICE_COLUMNS

# Yahoo applies a dividend or a split within days; it shows while the oldest of these sessions lies before it.
OVERLAP_SESSIONS = 63
# Far above the noise of repeated answers (about 1e-7), far below the smallest dividend that matters.
_SAME_CLOSE = 1e-4


class Held:
    """Prices by share.

    Parameters
    ----------
    prices : DataFrame or None
        Rows that keep the price contract; None before the first ingest.
    calendar : TradingCalendar
    """

    def __init__(self, prices: pd.DataFrame | None, calendar: TradingCalendar) -> None:
        self.prices = no_prices() if prices is None else prices
        self._calendar = calendar
        by_session = self.prices[[*KEY, "close"]].set_index("session")
        self._no_closes = by_session["close"].head(0)
        self._closes: dict[object, pd.Series] = dict(iter(by_session.groupby("symbol")["close"]))

    @property
    def newest(self) -> dt.date | None:
        """The newest session of any share."""
        return None if self.prices.empty else self.prices["session"].max().date()

    def closes(self, symbol: str) -> pd.Series:
        """Closes of a share by session; empty if it is not held."""
        return self._closes.get(symbol, self._no_closes)

    def overlap_start(self, symbol: str, until: dt.date) -> dt.date | None:
        """The session from which on a share is to be asked for; None means its whole history."""
        held = self.closes(symbol).index
        if held.empty:
            return None
        last = min(held.max().date(), until)
        start: dt.date = self._calendar.between(self._calendar.first, last)[-OVERLAP_SESSIONS:][0].item()
        return start

    def is_readjusted(self, symbol: str, bars: pd.DataFrame) -> bool:
        """Whether the past of a share is no longer what is held.

        A dividend or a split changes all closes before it, so the oldest session that both have tells. A bar
        that was corrected by itself is no reason to load everything anew: the overlap replaces it.
        """
        held, new = self.closes(symbol), bars.set_index("session")["close"].dropna()
        if held.empty or new.empty:
            return False
        both = new.index.intersection(held.index)
        return both.empty or not math.isclose(new[both.min()], held[both.min()], rel_tol=_SAME_CLOSE)

    def joined_with(self, fresh: pd.DataFrame, *, until: dt.date, reloaded: set[str]) -> pd.DataFrame:
        """Return prices from the oldest fresh one to `until`: fresh ones, and held ones where there is none.

        Of the shares in `reloaded` nothing held remains, because it was adjusted otherwise.
        """
        last = pd.Timestamp(until)
        first = last if fresh.empty else fresh["session"].min()
        is_kept = self.prices["session"].between(first, last) & ~self.prices["symbol"].isin(reloaded)
        joined = pd.concat([fresh, self.prices[is_kept]])
        return joined.drop_duplicates(KEY).sort_values(KEY, ignore_index=True)


def no_prices() -> pd.DataFrame:
    """Return prices without rows."""
    types = {"session": "datetime64[ns]", "symbol": "object", **dict.fromkeys(PRICE_COLUMNS, "float64")}
    return pd.DataFrame(columns=list(types)).astype(types)
