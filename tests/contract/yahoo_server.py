"""A server that answers as Yahoo does, so that yfinance itself reads the answers in the tests."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pandas as pd

from bist_pipeline.calendar import ISTANBUL

Reply = tuple[int, Any]

UNKNOWN = "No data found, symbol may be delisted"
REFUSED_COOKIE = (
    401,
    {"finance": {"result": None, "error": {"code": "Unauthorized", "description": "Invalid Crumb"}}},
)
THROTTLED = (429, "Too Many Requests\r\n")
BAD_GATEWAY = (502, "<html><h1>502 Bad Gateway</h1></html>")
DOWN = (200, "<html>Will be right back</html>")
OTHER_FORM = (200, {"chart": {"result": [{"meta": {}, "timestamp": [1], "bars": []}], "error": None}})


class Yahoo:
    """What Yahoo knows, and what it is asked.

    Attributes
    ----------
    prices : DataFrame
        Unadjusted, in the form of our contract.
    factors : dict
        By symbol, from which session on prices are as they are, and by what older ones are adjusted.
    sectors : dict
        By sector, the shares it lists there with their names.
    asked : list
        Symbol and first day of every request for prices.
    refuse : callable
        May answer a request for prices of a symbol, or for "" the list of shares, in another way.
    """

    def __init__(self, prices: pd.DataFrame) -> None:
        self.prices = prices
        self.factors: dict[str, tuple[pd.Timestamp, float]] = {}
        self.sectors: dict[str, dict[str, str]] = {}
        self.asked: list[tuple[str, str]] = []
        self.refuse: Callable[[str], Reply | None] = lambda _symbol: None

    def adjusted(self) -> pd.DataFrame:
        """The prices as a client should see them."""
        prices = self.prices.copy()
        for symbol, (since, factor) in self.factors.items():
            earlier = (prices["symbol"] == symbol) & (prices["session"] < since)
            prices.loc[earlier, ["open", "high", "low", "close"]] *= factor
        return prices

    def chart(self, symbol: str, since: pd.Timestamp) -> Reply:
        rows = self.prices[self.prices["symbol"] == symbol]
        if rows.empty:
            error = {"code": "Not Found", "description": UNKNOWN}
            return 404, {"chart": {"result": None, "error": error}}
        rows = rows[rows["session"] >= since]
        result: dict[str, Any] = {
            "meta": {
                "currency": "TRY",
                "symbol": f"{symbol}.IS",
                "exchangeName": "IST",
                "instrumentType": "EQUITY",
                "exchangeTimezoneName": "Europe/Istanbul",
                "gmtoffset": 10800,
                "priceHint": 2,
                "validRanges": ["1d", "5d", "max"],
            },
            "indicators": {"quote": [{}], "adjclose": [{}]},
        }
        if len(rows):
            quote = {name: _list(rows[name]) for name in ("open", "high", "low", "close", "volume")}
            until, factor = self.factors.get(symbol, (pd.Timestamp.min, 1.0))
            adjusted = rows["close"].where(rows["session"] >= until, rows["close"] * factor)
            opening = (rows["session"] + pd.Timedelta(hours=10)).dt.tz_localize(ISTANBUL)
            result["timestamp"] = [int(moment.timestamp()) for moment in opening]
            result["indicators"] = {"quote": [quote], "adjclose": [{"adjclose": _list(adjusted)}]}
        return 200, {"chart": {"result": [result], "error": None}}

    def screen(self, question: dict[str, Any]) -> Reply:
        sector = question["query"]["operands"][1]["operands"][1]
        listed = self.sectors.get(sector, {})
        quotes = [
            {"symbol": f"{symbol}.IS", "shortName": symbol, "longName": name, "quoteType": "EQUITY"}
            for symbol, name in listed.items()
        ]
        page = quotes[question["offset"] :][: question["size"]]
        return 200, {"finance": {"result": [{"total": len(quotes), "quotes": page}], "error": None}}


@contextmanager
def serving(yahoo: Yahoo) -> Iterator[str]:
    """Serve on a port of this machine; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = urlsplit(self.path)
            symbol = path.path.rsplit("/", 1)[1].removesuffix(".IS")
            since = pd.Timestamp(int(parse_qs(path.query)["period1"][0]), unit="s", tz=ISTANBUL)
            yahoo.asked.append((symbol, str(since.date())))
            self._answer(*(yahoo.refuse(symbol) or yahoo.chart(symbol, since.tz_localize(None))))

        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(*(yahoo.refuse("") or yahoo.screen(question)))

        def _answer(self, status: int, content: Any) -> None:
            body = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.wfile.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _list(values: pd.Series) -> list[float | None]:
    return [None if pd.isna(value) else value for value in values.tolist()]
