"""The source `synthetic`: an invented market, delivered as a real feed would deliver it.

`invented_market` says how the market works, `faults` what can be made to go wrong with it by name.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from bist_pipeline.calendar import CANCELLED, TradingCalendar
from bist_pipeline.config import SyntheticSettings
from bist_pipeline.contracts import PRICE_COLUMNS, price_contract, quarantine
from bist_pipeline.errors import SessionOutOfRangeError
from bist_pipeline.market.limits import NARROW_LIMIT
from bist_pipeline.sources.base import Fetch, newest_final, require_final
from bist_pipeline.sources.faults import inject_fault
from bist_pipeline.sources.invented_market import Market, build_market, true_rank_ic

_QUARTER = 63
# Natural logarithm of the shares per bar in the real panel's 2023-02-08: its median is 54.
_CANCELLED_LOG_VOLUME, _CANCELLED_LOG_SPREAD = 4.0, 3.0


class SyntheticSource:
    """The source `synthetic`; see the module's description."""

    name = "synthetic"

    def __init__(self, settings: SyntheticSettings) -> None:
        self._settings = settings

    def latest_session(self, calendar: TradingCalendar) -> dt.date:
        """Return the newest session that is over."""
        return newest_final(calendar)

    def fetch(self, until: dt.date, calendar: TradingCalendar) -> Fetch:
        """Generate the market up to and including `until`; the notes say how much a perfect model could know.

        Raises
        ------
        SessionError
            If `until` is no session, is not over yet, or lies before `settings.first_session`.
        """
        require_final(until, calendar)
        first = self._settings.first_session
        if until < first:
            raise SessionOutOfRangeError(
                f"{until} is before the synthetic market, which starts on {first}.",
                next_step="choose a later --session, or set BIST_SYNTHETIC__FIRST_SESSION",
            )
        sessions = calendar.between(first, until)
        half_days = np.array([calendar.describe(day).is_half_day for day in sessions.tolist()])
        market = inject_fault(build_market(self._settings, sessions, half_days))
        rows = [_as_rows(market), *(_cancelled_rows(market, day) for day in CANCELLED if first < day < until)]
        prices, quarantined = quarantine(pd.concat(rows, ignore_index=True), price_contract(sessions))
        return Fetch(prices, _securities(market, prices), quarantined, _notes(market))


def _notes(market: Market) -> tuple[str, ...]:
    origin = f"invented market (seed {market.settings.seed}), prices adjusted for most splits and dividends"
    known = true_rank_ic(market, _QUARTER)
    strength = (
        "too short a history to state its true rank IC"
        if np.isnan(known)
        else f"true rank IC {known:.2f}: what a perfect forecast of {_QUARTER} sessions would reach"
    )
    fault = f"the fault {market.settings.fault} was injected" if market.settings.fault else ""
    return tuple(filter(None, (f"{origin}; {strength}", fault)))


def _cancelled_rows(market: Market, day: dt.date) -> pd.DataFrame:
    """Bars of a session that the exchange annulled, as feeds still deliver them: one price, few shares."""
    before = market.sessions[np.searchsorted(market.sessions, np.datetime64(day, "D")) - 1]
    rows = _as_rows(market).set_index("session").loc[[before]].reset_index()
    draws = np.random.default_rng([market.settings.seed, day.toordinal()])
    price = (rows["close"] * draws.uniform(1 - NARROW_LIMIT, 1, len(rows))).round(4)
    volume = np.floor(draws.lognormal(_CANCELLED_LOG_VOLUME, _CANCELLED_LOG_SPREAD, len(rows)))
    return rows.assign(
        session=pd.Timestamp(day), open=price, high=price, low=price, close=price, volume=volume
    )


def _as_rows(market: Market) -> pd.DataFrame:
    row, column = np.nonzero(np.isfinite(market.bars["close"]))
    return pd.DataFrame(
        {
            "session": market.sessions.astype("datetime64[ns]")[row],
            "symbol": market.symbols.astype(object)[column],
            **{name: market.bars[name][row, column] for name in PRICE_COLUMNS},
        }
    )


def _securities(market: Market, prices: pd.DataFrame) -> pd.DataFrame:
    names = [
        f"{symbol[:-1].title()} {sector}"
        for symbol, sector in zip(market.symbols, market.sectors, strict=True)
    ]
    table = pd.DataFrame({"symbol": market.symbols, "name": names, "sector": market.sectors}, dtype=object)
    return table[table["symbol"].isin(prices["symbol"])].reset_index(drop=True)
