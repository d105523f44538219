"""Evaluate: what became of the ranks published a horizon ago, and how well they have done so far."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Engine

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.contracts import KEY
from bist_pipeline.lake import open_lake
from bist_pipeline.market.labels import compute_forward_excess
from bist_pipeline.market.panel import look_up
from bist_pipeline.market.universe import compute_tradable
from bist_pipeline.model.scorecard import (
    BASELINES,
    WINDOWS,
    describe_skill,
    judge_session,
    mean_rank_ic,
    pooled_coverage,
)
from bist_pipeline.receipt import Receipt
from bist_pipeline.stages.inputs import open_store, read_market
from bist_pipeline.store.engine import connect
from bist_pipeline.store.read import PUBLISHED, read_due, read_judged
from bist_pipeline.store.scorecards import write_judgement, write_scorecards


def evaluate(settings: Settings, session: dt.date) -> Receipt:
    """Judge the published batches whose horizon has passed by `session`, and update the scorecards.

    Judged are those that were not judged yet or were published anew since, however old, and once more the
    one whose horizon ends at `session`: a rerun replaces.
    """
    store, newest = open_store(settings), bist_calendar().offset(session, -settings.horizon_sessions)
    rows, days = _judge_due(store, settings, session, newest)
    verdict = _update_scorecards(store, settings, session, newest)
    waiting = f"no published ranks of {newest} or earlier wait for their results"
    came_in = f"{rows} results of {days} published sessions came in" if days else waiting
    return Receipt(
        stage="evaluate", session=session, rows=rows, summary=f"{came_in}. {verdict}" if verdict else came_in
    )


def _judge_due(store: Engine, settings: Settings, session: dt.date, newest: dt.date) -> tuple[int, int]:
    """Judge what is due; return how many results of how many sessions came in."""
    horizon = settings.horizon_sessions
    with connect(store) as connection:
        due = read_due(connection, settings.source, horizon=horizon, until=newest, again=[newest])
    if not due:
        return 0, 0
    results = _attach_results(settings, session, pd.DataFrame(due))
    batches = results.groupby("run_id")
    for _, batch in batches:
        _write_session(store, settings, batch)
    return len(results), len(batches)


def _attach_results(settings: Settings, session: dt.date, published: pd.DataFrame) -> pd.DataFrame:
    """Add the realised `excess` and what the baselines rank by.

    Shares that stopped trading on the way have no result and drop out.
    """
    market = read_market(settings, session)
    excess = compute_forward_excess(market.panel.close, compute_tradable(market), settings.horizon_sessions)
    forecasts = published.assign(session=pd.to_datetime(published["session"]))
    known = forecasts.assign(excess=look_up(market.panel, excess, forecasts)).dropna(subset="excess")
    inputs = [feature for feature, _ in BASELINES.values()]
    days = forecasts["session"]
    features = open_lake(settings).read(
        "features", since=days.min().date(), until=days.max().date(), columns=[*KEY, *inputs]
    )
    return known.merge(features, on=KEY, how="left")


def _write_session(store: Engine, settings: Settings, batch: pd.DataFrame) -> None:
    day, horizon = batch["session"].iloc[0].date(), settings.horizon_sessions
    matured_on = bist_calendar().offset(day, horizon)
    outcomes = batch[["symbol", "excess"]].rename(columns={"excess": "excess_return"})
    results = outcomes.assign(matured_on=matured_on).to_dict("records")
    about = {"run_id": batch["run_id"].iloc[0], "matured_on": matured_on}
    judged = [
        {**asdict(found), **about} for found in judge_session(batch[batch["tradable"]], published=PUBLISHED)
    ]
    write_judgement(store, settings.source, day, results, judged, horizon=horizon)


def _update_scorecards(store: Engine, settings: Settings, session: dt.date, newest: dt.date) -> str:
    """Write the scorecards as of `session`; return what the longest one says of the published ranks."""
    horizon = settings.horizon_sessions
    with connect(store) as connection:
        rows = read_judged(connection, settings.source, horizon=horizon, until=newest)
    judged = pd.DataFrame([row for row in rows if row["rank_ic"] is not None])
    if judged.empty:
        return ""
    cards = [
        _build_card(of_model.tail(window), session, window=window, horizon=horizon)
        for window in WINDOWS
        for _, of_model in judged.groupby("model")
    ]
    write_scorecards(store, settings.source, session, cards, horizon=horizon)
    told = [card["verdict"]["en"] for card in cards if card["model"] == PUBLISHED]
    return str(told[-1]) if told else ""


def _build_card(judged: pd.DataFrame, session: dt.date, *, window: int, horizon: int) -> dict[str, Any]:
    calendar, days = bist_calendar(), list(judged["session"])
    positions = np.array([calendar.count(days[0], day) for day in days])
    found = mean_rank_ic(judged["rank_ic"].to_numpy(float), positions, horizon=horizon)
    return {
        "window_sessions": window,
        "model": judged["model"].iloc[0],
        "judged": len(days),
        "first_session": days[0],
        "last_session": days[-1],
        "lag_sessions": calendar.count(days[-1], session),
        "symbols": int(judged["symbols"].sum()),
        **asdict(found),
        "coverage": pooled_coverage(judged),
        "skill": found.skill,
        "verdict": describe_skill(found, days),
    }
