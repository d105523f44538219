"""Prices from Yahoo through yfinance: whole histories first, and from then on what is new.

- *Increments.* Adjusted prices change afterwards: a dividend or a split changes every price before it. So a
  share is asked for from 63 sessions before the newest one held, and if the oldest of these no longer has the
  close that is held, its whole history is loaded anew. What is delivered are always whole sessions: the new
  bars, and those held of shares about which Yahoo said nothing.
- *Absence.* "Possibly delisted" is what yfinance says whenever bars are missing. Here the calendar comes
  first: only sessions that took place are asked for. Then three large shares: if none of them has a price of
  the session, it is Yahoo that has none. Only otherwise is the share itself absent, and after 60 sessions
  without a price possibly delisted.
- *Interruption.* Answers are kept until all are there; the next try asks for the rest.
- *Universe.* The shares in a file of the user's, or else those in `shares.txt` and all that Yahoo lists on
  the exchange. From that list come names and sectors too.
"""

from bist_pipeline.sources.yahoo.source import YahooSource

__all__ = ["YahooSource"]
