"""Yahoo as yfinance asks it: one share at a time, and with every failure told apart.

`yfinance.download` answers for many shares at once, but whatever went wrong with one (throttled, no network,
a refused cookie), its columns are empty and a line of the log calls it possibly delisted. `Ticker.history`
asks the same address, one request a share either way, and lets exceptions through when it is told to.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd
import yfinance
from yfinance.const import EQUITY_SCREENER_EQ_MAP
from yfinance.exceptions import YFDataException, YFRateLimitError, YFTickerMissingError

from bist_pipeline.calendar import ISTANBUL
from bist_pipeline.config import YahooSettings
from bist_pipeline.contracts import PRICE_COLUMNS, SECURITY_COLUMNS, SYMBOL_PATTERN
from bist_pipeline.errors import SourceContentError, SourceUnavailableError
from bist_pipeline.sources.cells import SUFFIX, read_symbol

T = TypeVar("T")

_EXCHANGE = "IST"
_TIMEOUT_SECONDS = 30
_PAGE = 250  # the most that Yahoo lists at once

# Another try may help: throttled, announced as down, no network, or the error page of a proxy for an answer.
_PASSING = (YFRateLimitError, YFDataException, OSError, json.JSONDecodeError)
# What yfinance's parsers stumble over when an answer has another form than they know.
_UNREADABLE = (LookupError, TypeError, AttributeError, ValueError)

_log = logging.getLogger(__name__)


class YahooClient:
    """Asks Yahoo, waits and asks again; symbols are bare.

    Parameters
    ----------
    settings : YahooSettings
        How often to try, and how long to wait.
    """

    def __init__(self, settings: YahooSettings) -> None:
        self._settings = settings
        self._random = np.random.default_rng()
        yfinance.config.debug.hide_exceptions = False
        # What it would log of a request is in the exception, or does not matter to the prices.
        logging.getLogger("yfinance").setLevel(logging.CRITICAL)

    def fetch_bars(self, symbol: str, since: dt.date) -> pd.DataFrame:
        """Fetch all daily bars of a share from `since` on, adjusted for dividends and splits as of now.

        Returns
        -------
        DataFrame
            `session`, then prices in TRY and volume in shares; no rows where Yahoo has none, whatever the
            reason: an unknown symbol, a suspended share, and sometimes a refused cookie.

        Raises
        ------
        SourceUnavailableError
            If Yahoo gives no answer in as many tries as the settings allow.
        SourceContentError
            If the answer cannot be read.
        """
        return self._ask(lambda: _to_bars(_read_history(symbol, since)), f"the prices of {symbol}")

    def fetch_listing(self) -> pd.DataFrame:
        """Fetch the shares that Yahoo knows on the exchange, by sector: `symbol`, `name`, `sector`.

        Raises
        ------
        SourceUnavailableError, SourceContentError
            As `fetch_bars`.
        """
        sectors = sorted(EQUITY_SCREENER_EQ_MAP["sector"])
        rows = [(*share, sector) for sector in sectors for share in self._fetch_sector(sector)]
        listing = pd.DataFrame(rows, columns=SECURITY_COLUMNS, dtype=object).drop_duplicates("symbol")
        return listing.sort_values("symbol", ignore_index=True)

    def _fetch_sector(self, sector: str) -> list[tuple[str, str]]:
        shares: list[tuple[str, str]] = []
        for offset in count(0, _PAGE):
            page = self._ask(partial(_read_page, sector, offset), f"the shares of the sector {sector}")
            shares += page
            if len(page) < _PAGE:
                break
        return [(symbol, name) for symbol, name in shares if SYMBOL_PATTERN.fullmatch(symbol)]

    def _ask(self, request: Callable[[], T], subject: str) -> T:
        for attempt in range(1, self._settings.tries + 1):
            try:
                return request()
            except _PASSING as error:
                failure = error
            except _UNREADABLE as error:
                raise SourceContentError(
                    f"Yahoo's answer about {subject} has an unknown form: {error!r}.",
                    consequence="Nothing was ingested.",
                    next_step="pip install --upgrade yfinance",
                ) from error
            if attempt < self._settings.tries:
                # Half of it by chance: who was throttled together must not come back together.
                longest = self._settings.backoff_seconds * 2 ** (attempt - 1)
                wait = longest * self._random.uniform(0.5, 1)
                _log.warning("No answer about %s (%s); next try in %.0f s", subject, failure, wait)
                time.sleep(wait)
        raise SourceUnavailableError(
            f"Yahoo gave no answer about {subject} in {self._settings.tries} tries: {failure}",
            consequence="Nothing was ingested.",
            next_step="repeat the command in some minutes",
        ) from failure


def _read_history(symbol: str, since: dt.date) -> pd.DataFrame | None:
    share = yfinance.Ticker(symbol + SUFFIX)
    # The same for the whole exchange; otherwise yfinance asks for it, in a second request for every share.
    share._tz = ISTANBUL.key
    try:
        # Without an end: yfinance answers from a cache for ranges that are over, failures included.
        history: pd.DataFrame = share.history(
            start=since.isoformat(), auto_adjust=True, actions=False, timeout=_TIMEOUT_SECONDS
        )
    except YFTickerMissingError:
        return None
    return history


def _to_bars(history: pd.DataFrame | None) -> pd.DataFrame:
    if history is None or history.empty:
        types = dict.fromkeys(PRICE_COLUMNS, "float64")
        return pd.DataFrame(columns=["session", *types]).astype({"session": "datetime64[ns]", **types})
    bars = history.rename(columns=str.lower)[PRICE_COLUMNS].astype("float64").reset_index(drop=True)
    days = cast(pd.DatetimeIndex, history.index).tz_convert(ISTANBUL).tz_localize(None)
    bars.insert(0, "session", days.normalize().as_unit("ns"))
    return bars


def _read_page(sector: str, offset: int) -> list[tuple[str, str]]:
    query = yfinance.EquityQuery(
        "and",
        [yfinance.EquityQuery("eq", ["exchange", _EXCHANGE]), yfinance.EquityQuery("eq", ["sector", sector])],
    )
    answer = yfinance.screen(query, offset=offset, size=_PAGE, sortField="ticker", sortAsc=True)
    return [(read_symbol(quote["symbol"]), _read_name(quote)) for quote in answer["quotes"]]


def _read_name(quote: Mapping[str, Any]) -> str:
    return str(quote.get("longName") or quote.get("shortName") or read_symbol(quote["symbol"]))
