"""When Borsa Istanbul trades: the XIST calendar of exchange_calendars plus our sourced overrides.

A *session* is a trading date. Everything in the system is keyed by it, and "63 sessions later" is
counted here and nowhere else, so that labels, purges and timetables agree.

>>> calendar = bist_calendar()
>>> calendar.is_session(dt.date(2023, 2, 8))  # cancelled after the fact: earthquake
False
>>> calendar.offset(dt.date(2023, 2, 7), 1)
datetime.date(2023, 2, 15)
>>> calendar.cutoff(dt.date(2024, 6, 28)).isoformat()
'2024-06-28T18:10:00+03:00'
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from bist_pipeline.errors import NotASessionError, SessionOutOfRangeError
from bist_pipeline.wording import Wording, say

ISTANBUL = ZoneInfo("Europe/Istanbul")

FIRST = dt.date(2010, 1, 1)
# Turkish religious holidays are known a few years ahead; exchange_calendars 4.13 lists them to here.
LAST = dt.date(2027, 12, 31)

Days = NDArray[np.datetime64]

# Half a year: a horizon of 63 sessions has to fit in, and the update of a package.
NOTICE_SESSIONS = 126

# Sessions whose trades the exchange annulled after they had taken place.
CANCELLED: dict[dt.date, str] = {
    dt.date(2023, 2, 8): "Borsa Istanbul, announcement of that day: trades cancelled after the earthquake",
}

# The closing auction and trades at the closing price end ten minutes after continuous trading does.
CLOSING_AUCTION = dt.timedelta(minutes=10)


@dataclass(frozen=True)
class Session:
    """One trading date with its Istanbul times."""

    day: dt.date
    opens_at: dt.datetime
    cutoff: dt.datetime
    is_half_day: bool


class TradingCalendar:
    """The ordered sessions of the exchange and the moments their prices are final.

    Parameters
    ----------
    sessions : array of datetime64[D], shape (n_sessions,)
        Trading dates in order.
    opens, closes : array of datetime64[ns], shape (n_sessions,)
        Opening and end of continuous trading, UTC.
    """

    def __init__(self, sessions: Days, opens: Days, closes: Days) -> None:
        self.sessions = sessions.astype("datetime64[D]")
        self._opens = opens
        self._closes = closes
        self._days: list[dt.date] = self.sessions.tolist()
        self._position = {day: i for i, day in enumerate(self._days)}

    @property
    def first(self) -> dt.date:
        """First known session."""
        return self._days[0]

    @property
    def last(self) -> dt.date:
        """Last known session; later holidays are not published yet."""
        return self._days[-1]

    def is_session(self, day: dt.date) -> bool:
        """Whether the exchange trades (or traded, and was not cancelled) on `day`."""
        return day in self._position

    def require(self, day: dt.date) -> dt.date:
        """Return `day` if it is a session.

        Raises
        ------
        NotASessionError
            On a weekend, a holiday or a cancelled session; the message names the session before it.
        SessionOutOfRangeError
            Outside the known calendar.
        """
        if not self.first <= day <= self.last:
            raise SessionOutOfRangeError(
                f"{day} is outside the known trading calendar ({self.first} to {self.last}).",
                next_step="choose a session inside it, or update exchange_calendars for later years",
            )
        if day not in self._position:
            reason = CANCELLED.get(day, "weekend or holiday")
            before = self.at_or_before(day)
            raise NotASessionError(
                f"{day} is not a Borsa Istanbul session ({reason}).",
                next_step=f"use the session before it: --session {before}",
            )
        return day

    def at_or_before(self, day: dt.date) -> dt.date:
        """Newest session that is not after `day`."""
        i = int(np.searchsorted(self.sessions, np.datetime64(day, "D"), side="right")) - 1
        return self._at(i, f"no session at or before {day}")

    def offset(self, session: dt.date, n: int) -> dt.date:
        """Return the session `n` sessions after (negative: before) `session`."""
        return self._at(self._position[self.require(session)] + n, f"{n} sessions from {session}")

    def count(self, start: dt.date, end: dt.date) -> int:
        """Sessions from `start` to `end`; both must be sessions, negative if `end` comes first."""
        return self._position[self.require(end)] - self._position[self.require(start)]

    def notice_of_end(self, session: dt.date) -> Wording | None:
        """Say that the known calendar is about to end; None while it is more than half a year away.

        >>> bist_calendar().notice_of_end(dt.date(2026, 11, 23))
        >>> print(bist_calendar().notice_of_end(dt.date(2027, 12, 30)))
        the known trading calendar ends in 1 session, on 2027-12-31: no later run will be scheduled
        """
        left = self.count(session, self.last)
        if left > NOTICE_SESSIONS:
            return None
        return say(
            "the known trading calendar ends in {left} session{s}, on {last}: no later run will be scheduled",
            "bilinen işlem takvimi {left} seans sonra, {last} günü bitiyor: sonrası için çalışma planlanmaz",
            left=left,
            s="" if left == 1 else "s",
            last=self.last,
        )

    def between(self, start: dt.date, end: dt.date) -> Days:
        """Sessions from `start` to `end`, both inclusive, as datetime64[D]."""
        lo = np.searchsorted(self.sessions, np.datetime64(start, "D"), side="left")
        hi = np.searchsorted(self.sessions, np.datetime64(end, "D"), side="right")
        return self.sessions[lo:hi]

    def cutoff(self, session: dt.date) -> dt.datetime:
        """Istanbul time from which the session's prices are final (after the closing auction)."""
        return self.describe(session).cutoff

    def last_closed(self, now: dt.datetime) -> dt.date:
        """Newest session whose prices are final at the aware time `now`.

        Raises
        ------
        SessionOutOfRangeError
            After the last known session, when nobody knows which day was the newest one.
        """
        today = now.astimezone(ISTANBUL).date()
        if today > self.last:
            raise SessionOutOfRangeError(
                f"The known trading calendar ends on {self.last}: which session was the last before {today} "
                "cannot be told.",
                next_step="update exchange_calendars, and LAST in bist_pipeline/calendar.py",
            )
        day = self.at_or_before(today)
        return day if self.cutoff(day) <= now else self.offset(day, -1)

    def describe(self, session: dt.date) -> Session:
        """Times of one session."""
        i = self._position[self.require(session)]
        opens, closes = (_istanbul(times[i]) for times in (self._opens, self._closes))
        half_day = closes - opens < dt.timedelta(hours=5)
        return Session(session, opens, closes + CLOSING_AUCTION, half_day)

    def _at(self, i: int, wanted: str) -> dt.date:
        if not 0 <= i < len(self.sessions):
            raise SessionOutOfRangeError(
                f"{wanted} lies outside the known trading calendar ({self.first} to {self.last}).",
                next_step="choose another session, or update exchange_calendars for later years",
            )
        return self._days[i]


def _istanbul(time: np.datetime64) -> dt.datetime:
    seconds = int(time.astype("datetime64[s]").astype(int))
    return dt.datetime.fromtimestamp(seconds, tz=ISTANBUL)


@lru_cache(maxsize=1)
def bist_calendar() -> TradingCalendar:
    """Return the calendar of Borsa Istanbul with cancelled sessions removed."""
    import exchange_calendars  # 0.7 s: only who needs sessions pays for it

    schedule = exchange_calendars.get_calendar("XIST", start=str(FIRST), end=str(LAST)).schedule
    sessions = schedule.index.to_numpy().astype("datetime64[D]")
    kept = ~np.isin(sessions, np.array(list(CANCELLED), dtype="datetime64[D]"))
    opens, closes = (schedule[name].dt.tz_localize(None).to_numpy()[kept] for name in ("open", "close"))
    return TradingCalendar(sessions[kept], opens, closes)
