"""`/symbols/{symbol}`: one share's forecast, what it rests on, and how earlier ones turned out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from bist_pipeline.errors import DatabaseUnavailableError
from bist_pipeline.store.read import PastPrediction, Prediction, Publication, read_history
from bist_pipeline.store.read.pages import Gain, read_closes, read_gains
from serving.database import Database, DatabaseOfApp
from serving.delivery import OutageOfApp, SnapshotOfApp
from serving.pages.drawing import Scale, build_scale, draw_line
from serving.pages.frame import build_frame, judge
from serving.pages.home import interval_scale
from serving.pages.ranking import fold
from serving.pages.rendering import render
from serving.snapshot import Snapshot
from serving.symbols import normalize_symbol

_PAST_PREDICTIONS = 260
_PAST_SHOWN = 40
# Shares whose past is kept in memory, about 50 kB each.
_PASTS_KEPT = 200
_NEAR = 6
_LONGEST_SYMBOL = 32


@dataclass(frozen=True)
class PriceChart:
    """Closes over at most a year, and where they are drawn."""

    closes: Sequence[tuple[dt.date, float]]
    scale: Scale
    points: str

    @property
    def change(self) -> float:
        """What the share did from the first to the last close, a fraction."""
        return self.closes[-1][1] / self.closes[0][1] - 1

    @property
    def months(self) -> list[tuple[float, dt.date]]:
        """Place in per cent and date of the first session of every second month."""
        firsts = [
            (i, day)
            for i, (day, _) in enumerate(self.closes)
            if i and day.month != self.closes[i - 1][0].month and day.month % 2
        ]
        width = max(len(self.closes) - 1, 1)
        return [(round(100 * i / width, 2), day) for i, day in firsts]

    @property
    def month_ends(self) -> list[tuple[dt.date, float]]:
        """The last close of every month, for who reads numbers."""
        ends = [close for close, after in pairwise(self.closes) if close[0].month != after[0].month]
        return [*ends, self.closes[-1]]


@dataclass(frozen=True)
class Record:
    """How the past predictions of one share turned out."""

    shown: Sequence[PastPrediction]
    matured: int
    held: int
    right_side: int
    scale: Scale


@dataclass(frozen=True)
class Past:
    """What is known of one share besides its newest prediction."""

    record: Record
    chart: PriceChart | None
    gains: Sequence[Gain]


def show_share(
    request: Request, snapshot: SnapshotOfApp, outage: OutageOfApp, database: DatabaseOfApp, symbol: str
) -> Response:
    """Show one share, or shares of similar names."""
    bare = normalize_symbol(symbol)
    if bare != symbol or not bare:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/symbols/{quote(bare, safe='')}{query}" if bare else f"/{query}")
    frame, board = build_frame(snapshot, outage)
    if bare not in board.by_symbol:
        near = find_near(symbol, board.predictions)
        return render(request, "unknown_share.html", status=404, frame=frame, asked=symbol, near=near)
    share = board.by_symbol[bare].facts
    past = _recall(snapshot, database, frame.publication, bare)
    return render(
        request,
        "share.html",
        # What could not be read now must not be kept as if there were nothing to read.
        is_whole=past is not None,
        frame=frame,
        share=share,
        trust=judge(snapshot),
        first_results=snapshot.first_results,
        horizon_end=snapshot.horizon_end,
        scale=interval_scale(board.predictions),
        others=[other.expected_excess_return for other in board.predictions if other.symbol != bare],
        strongest=max((abs(driver["contribution"]) for driver in share.drivers), default=0.0),
        past=past,
    )


def _recall(snapshot: Snapshot, database: Database, of: Publication, symbol: str) -> Past | None:
    """Return the past of a share, read once for every snapshot; None if the database is away."""
    if symbol not in snapshot.pasts and not database.is_away:
        try:
            with database.reading() as connection:
                history = read_history(connection, symbol, before=of.session, limit=_PAST_PREDICTIONS)
                closes = read_closes(connection, of.source, symbol)
                gains = read_gains(connection, of.source, of.session, symbol)
        except DatabaseUnavailableError:  # since a moment ago
            return None
        if len(snapshot.pasts) >= _PASTS_KEPT:
            snapshot.pasts.clear()
        snapshot.pasts[symbol] = Past(_judge_history(history), _draw_prices(closes), gains)
    return snapshot.pasts.get(symbol)


def find_near(asked: str, shares: Sequence[Prediction]) -> list[Prediction]:
    """Return the shares whose symbol or name resembles what was asked for, the most similar first."""
    by_symbol = {share.symbol: share for share in shares}
    bare, wanted = normalize_symbol(asked)[:_LONGEST_SYMBOL], fold(asked)
    close = [by_symbol[symbol] for symbol in get_close_matches(bare, by_symbol, n=_NEAR)]
    named = [share for share in shares if len(wanted) > 2 and wanted in fold(share.name or "")]
    return [*close, *(share for share in named if share not in close)][:_NEAR]


def _draw_prices(closes: Sequence[tuple[dt.date, float]]) -> PriceChart | None:
    if len(closes) < 2:
        return None
    values = [close for _, close in closes]
    scale = build_scale(values, ticks=4, zero=False)
    return PriceChart(closes, scale, draw_line(values, scale))


def _judge_history(history: Sequence[PastPrediction]) -> Record:
    """Count over all past predictions, show the newest of them; oldest first, as time runs."""
    results = ((past, past.realized_excess_return) for past in history)
    matured = [(past, result) for past, result in results if result is not None]
    held = [past for past, result in matured if past.lower <= result <= past.upper]
    right = [past for past, result in matured if result * past.expected_excess_return > 0]
    shown = history[:_PAST_SHOWN][::-1]
    places = [value for past in shown for value in (past.lower, past.upper, past.realized_excess_return)]
    scale = build_scale([value for value in places if value is not None], ticks=5)
    return Record(shown, len(matured), len(held), len(right), scale)
