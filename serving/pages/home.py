"""`/`: all shares by rank, how far to trust the ranks, and, apart from them, who gained most."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import HTMLResponse

from bist_pipeline.store.read import Prediction
from bist_pipeline.store.read.pages import read_session_after
from bist_pipeline.store.read.past_returns import read_past_returns
from serving.database import EngineOfApp, reading
from serving.pages.drawing import Scale, build_scale, trim
from serving.pages.frame import read_first_results, read_frame, read_trust
from serving.pages.ranking import parse_address, select_page
from serving.pages.rendering import render

GAIN_WINDOW = 63
# What a share is said to be in whose sector the source does not tell.
_UNKNOWN_SECTOR = "unknown"
_GAINERS = 5
_ODD_SHARE = 0.02


def show_home(request: Request, engine: EngineOfApp) -> HTMLResponse:
    """Show the ranking."""
    with reading(engine) as connection:
        frame, batch = read_frame(connection)
        of = frame.publication
        trust = read_trust(connection, of.source)
        gains = read_past_returns(connection, of.source, of.session, window=GAIN_WINDOW)
        first_results = read_first_results(connection, of)
        horizon_end = read_session_after(connection, of.session, of.horizon_sessions)
    asked = parse_address(request.query_params)
    sectors = sorted({share.sector for share in batch.predictions})
    ranks = {share.symbol: share.rank for share in batch.predictions}
    return render(
        request,
        "home.html",
        frame=frame,
        trust=trust,
        first_results=first_results,
        horizon_end=horizon_end,
        asked=asked,
        page=select_page(batch.predictions, asked),
        sectors=[] if sectors == [_UNKNOWN_SECTOR] else sectors,
        scale=interval_scale(batch.predictions),
        gainers=[gain for gain in gains if gain.symbol in ranks][:_GAINERS],
        ranks=ranks,
        gain_window=GAIN_WINDOW,
    )


def interval_scale(shares: tuple[Prediction, ...]) -> Scale:
    """Build the one scale of all shares' intervals; the few that are wider than it are cut off."""
    lows = trim([share.lower for share in shares], share=_ODD_SHARE)
    highs = trim([share.upper for share in shares], share=_ODD_SHARE)
    return build_scale([*lows, *highs], ticks=4)
