"""`/`: all shares by rank, how far to trust the ranks, and, apart from them, who gained most."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import HTMLResponse

from bist_pipeline.store.read import Prediction
from serving.delivery import OutageOfApp, SnapshotOfApp
from serving.pages.drawing import Scale, build_scale, trim
from serving.pages.frame import build_frame, judge
from serving.pages.ranking import parse_address, select_page
from serving.pages.rendering import render
from serving.snapshot import GAIN_WINDOW

# What a share is said to be in whose sector the source does not tell.
_UNKNOWN_SECTOR = "unknown"
_GAINERS = 5
_ODD_SHARE = 0.02


def show_home(request: Request, snapshot: SnapshotOfApp, outage: OutageOfApp) -> HTMLResponse:
    """Show the ranking."""
    frame, board = build_frame(snapshot, outage)
    asked = parse_address(request.query_params)
    ranks = {share.symbol: share.rank for share in board.predictions}
    return render(
        request,
        "home.html",
        frame=frame,
        trust=judge(snapshot),
        first_results=snapshot.first_results,
        horizon_end=snapshot.horizon_end,
        asked=asked,
        page=select_page(board.predictions, asked),
        sectors=[] if board.sectors == [_UNKNOWN_SECTOR] else board.sectors,
        scale=interval_scale(board.predictions),
        gainers=[gain for gain in snapshot.gains if gain.symbol in ranks][:_GAINERS],
        ranks=ranks,
        gain_window=GAIN_WINDOW,
    )


def interval_scale(shares: tuple[Prediction, ...]) -> Scale:
    """Build the one scale of all shares' intervals; the few that are wider than it are cut off."""
    lows = trim([share.lower for share in shares], share=_ODD_SHARE)
    highs = trim([share.upper for share in shares], share=_ODD_SHARE)
    return build_scale([*lows, *highs], ticks=4)
