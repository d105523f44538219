"""The source `yahoo`: asks for what is missing, and says what it could not get."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import pandas as pd

from bist_pipeline.calendar import TradingCalendar
from bist_pipeline.config import YahooSettings
from bist_pipeline.contracts import KEY, price_contract, quarantine
from bist_pipeline.errors import SessionOutOfRangeError, SourceContentError, SourceUnavailableError
from bist_pipeline.market.cleaning import LISTED_SESSIONS
from bist_pipeline.sources.base import Fetch, ReadHeld, newest_final, nothing_held, require_final
from bist_pipeline.sources.yahoo.client import YahooClient
from bist_pipeline.sources.yahoo.held import Held, no_prices
from bist_pipeline.sources.yahoo.load import CONTROL_SESSIONS, CONTROL_SHARES, Load, UnfinishedAnswers
from bist_pipeline.sources.yahoo.shares import describe, read_listing, read_symbols, shipped_symbols


class YahooSource:
    """Prices from Yahoo; the package's description says how.

    Parameters
    ----------
    settings : YahooSettings
    folder : Path
        Keeps unfinished answers and Yahoo's list of shares from one run to the next.
    symbols_path : str
        A text file with one symbol a line: exactly these shares. Empty: all of the exchange.
    read_held : callable
        Returns the prices that earlier ingests left, or None.
    only : collection of str
        Fill the gaps of these shares, and touch nothing else.
    """

    name = "yahoo"

    def __init__(
        self,
        settings: YahooSettings,
        folder: Path,
        *,
        symbols_path: str = "",
        read_held: ReadHeld = nothing_held,
        only: Collection[str] = (),
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._symbols_path = symbols_path
        self._read_held = read_held
        self._only = sorted(only)
        self._client = YahooClient(settings)

    def latest_session(self, calendar: TradingCalendar) -> dt.date:
        """Return the newest session that is over and of which Yahoo has prices.

        Raises
        ------
        SourceUnavailableError
            If Yahoo does not answer, or has none of the last ten sessions.
        """
        recent = calendar.between(calendar.first, newest_final(calendar))[-CONTROL_SESSIONS:]
        bars = pd.concat([self._client.fetch_bars(symbol, recent[0].item()) for symbol in CONTROL_SHARES])
        offered = bars.loc[bars["session"].isin(recent), "session"]
        if offered.empty:
            raise SourceUnavailableError(
                f"Yahoo has no price since {recent[0]} for any of the shares that always trade.",
                which=CONTROL_SHARES,
                consequence="Nothing was ingested.",
                next_step="repeat the command in half an hour",
            )
        latest: dt.date = offered.max().date()
        return latest

    def fetch(self, until: dt.date, calendar: TradingCalendar) -> Fetch:
        """Deliver what is new up to `until`, in whole sessions.

        Raises
        ------
        SourceUnavailableError
            If Yahoo does not answer, throttles for longer than we wait, or has nothing of `until`.
        SourceContentError
            If no share has a price of `until`, or the file of symbols is none.
        NotASessionError, SessionOutOfRangeError
            If `until` is no session, is not over yet, or lies before `settings.first_session`.
        """
        require_final(until, calendar)
        self._require_history(until)
        held = Held(self._read_held(), calendar)
        load = Load(
            self._client,
            self._settings,
            held,
            until,
            calendar,
            # Apart: what a whole ingest was interrupted at may be histories that are too much for a gap.
            UnfinishedAnswers(self._folder / ("gaps" if self._only else "unfinished"), until),
            can_reload=not self._only and (held.newest is None or held.newest <= until),
        )
        load.require_control()
        listing, notes = read_listing(self._client, self._folder)
        symbols = self._symbols(listing)
        load.run(symbols)

        good, bad = quarantine(_as_prices(load), price_contract(calendar.between(calendar.first, until)))
        prices = held.joined_with(good, until=until, reloaded=load.reloaded)
        if not (prices["session"] == pd.Timestamp(until)).any():
            raise SourceContentError(
                f"Yahoo has no price of {until} for any of {len(symbols)} shares.",
                which=symbols,
                consequence="Nothing was ingested.",
                next_step="check the list of symbols, or choose another --session",
            )
        load.unfinished.clear()
        securities = describe(sorted(prices["symbol"].unique()), listing)
        return Fetch(prices, securities, bad, (*notes, *_notes(load, good)))

    def _require_history(self, until: dt.date) -> None:
        first = self._settings.first_session
        if until < first:
            raise SessionOutOfRangeError(
                f"{until} is before {first}, the first session that Yahoo is asked for.",
                next_step="choose a later --session, or set BIST_YAHOO__FIRST_SESSION",
            )

    def _symbols(self, listing: pd.DataFrame) -> list[str]:
        if self._only:
            return self._only
        if self._symbols_path:
            return read_symbols(Path(self._symbols_path))
        return sorted({*shipped_symbols(), *listing["symbol"]})


def _as_prices(load: Load) -> pd.DataFrame:
    answers = [answer.bars.assign(symbol=symbol) for symbol, answer in load.answers.items()]
    rows = pd.concat([no_prices(), *answers], ignore_index=True)
    return rows[rows["session"] <= pd.Timestamp(load.until)]


def _notes(load: Load, good: pd.DataFrame) -> Iterator[str]:
    if load.reloaded:
        yield f"{_name(load.reloaded)}: adjusted anew by a dividend or split, and loaded as a whole"
    dated = pd.concat([load.held.prices[KEY], good[KEY]])
    last = dated[dated["session"] <= pd.Timestamp(load.until)].groupby("symbol")["session"].max()
    reasons = defaultdict(list)
    for symbol in sorted(load.lacking(load.answers)):
        reasons[_reason(last.get(symbol), load)].append(symbol)
    yield from (f"{_name(shares)}: {reason}" for reason, shares in reasons.items())
    if load.failures:
        yield "no usable answer: " + "; ".join(load.failures.values())


def _reason(last: pd.Timestamp | None, load: Load) -> str:
    """Say why a share has no price of a session that took place and of which Yahoo has others."""
    if last is None:
        return "unknown to Yahoo"
    if load.calendar.count(last.date(), load.until) >= LISTED_SESSIONS:
        return f"possibly delisted, no price for {LISTED_SESSIONS} sessions or more"
    return f"no price of {load.until}"


def _name(symbols: Iterable[str]) -> str:
    names = sorted(symbols)
    return f"{len(names)} share(s), {', '.join(names)}"
