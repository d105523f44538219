"""`/model`: which model makes the ranks, how it did where it could not know the answer, and who chose it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import HTMLResponse

from bist_pipeline.store.read import PUBLISHED, Backtest, RankingFigures, Scorecard
from bist_pipeline.store.read.pages import JudgedSession
from serving.delivery import OutageOfApp, SnapshotOfApp
from serving.pages.drawing import Scale, build_scale
from serving.pages.frame import build_frame
from serving.pages.rendering import render

_BLEND, _RIVAL = "blend", "low_vol_126"
_DECISIONS_SHOWN = 12
_RESULTS_SHOWN = 252


@dataclass(frozen=True)
class Results:
    """Rank IC of the published ranks, session by session, oldest first, and where it is drawn."""

    sessions: Sequence[JudgedSession]
    scale: Scale


@dataclass(frozen=True)
class Test:
    """One backtest: the ranking that is published, the simple rule it has to beat, and the years it spans."""

    about: Backtest
    own: RankingFigures
    rival: RankingFigures | None
    years: Sequence[str]


def show_model(request: Request, snapshot: SnapshotOfApp, outage: OutageOfApp) -> HTMLResponse:
    """Show the model."""
    frame, _ = build_frame(snapshot, outage)
    cards = snapshot.cards
    tests = [_describe_test(found) for found in snapshot.backtests]
    return render(
        request,
        "model.html",
        frame=frame,
        windows=_by_window(cards),
        ic_scale=build_scale([place for card in cards for place in (card.lower, card.upper)], ticks=4),
        results=_draw_results(snapshot.judged),
        tests=tests,
        test_scale=build_scale(_ends_of(tests), ticks=4),
        decision=snapshot.decision,
        decisions=snapshot.decisions[:_DECISIONS_SHOWN],
        links=request.app.state.links,
    )


def _by_window(cards: Sequence[Scorecard]) -> list[tuple[Scorecard, list[Scorecard]]]:
    """Group the scorecards by window, the model's own in front of each; of equal windows one is enough."""
    own = {card.judged: card for card in reversed(cards) if card.model == PUBLISHED}
    return [
        (mine, [card for card in cards if card.window_sessions == mine.window_sessions])
        for mine in sorted(own.values(), key=lambda card: -card.window_sessions)
    ]


def _draw_results(judged: Sequence[JudgedSession]) -> Results | None:
    mine = [one for one in judged if one.model == PUBLISHED and one.rank_ic is not None]
    shown = mine[:_RESULTS_SHOWN][::-1]
    if not shown:
        return None
    return Results(shown, build_scale([one.rank_ic for one in shown if one.rank_ic is not None], ticks=4))


def _describe_test(found: Backtest) -> Test:
    by_name = {one.ranking: one for one in found.rankings}
    rival = by_name.get(_RIVAL)
    is_comparable = rival is not None and rival.lead_ic is not None
    years = sorted({year for one in found.rankings for year in one.by_year})
    return Test(found, by_name[_BLEND], rival if is_comparable else None, years)


def _ends_of(tests: Sequence[Test]) -> list[float]:
    ends = [
        end for test in tests for one in test.about.rankings for end in (one.rank_ic_lower, one.rank_ic_upper)
    ]
    return [end for end in ends if end is not None]
