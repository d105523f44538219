"""Evaluate: what became of the ranks published a horizon ago."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.market.labels import compute_forward_excess
from bist_pipeline.market.panel import look_up
from bist_pipeline.market.universe import compute_tradable
from bist_pipeline.model.metrics import coverage, daily_rank_ic
from bist_pipeline.receipt import Receipt
from bist_pipeline.stages.inputs import open_store, read_market
from bist_pipeline.store.engine import connect
from bist_pipeline.store.read import read_unjudged
from bist_pipeline.store.write import write_results


def evaluate(settings: Settings, session: dt.date) -> Receipt:
    """Judge every published batch whose horizon has passed by `session` and that was not judged yet."""
    calendar, horizon = bist_calendar(), settings.horizon_sessions
    newest = calendar.offset(session, -horizon)
    store = open_store(settings)
    with connect(store) as connection:
        published = read_unjudged(connection, settings.source, horizon=horizon, until=newest)
    if not published:
        waiting = f"no published ranks of {newest} or earlier wait for their results"
        return Receipt(stage="evaluate", session=session, rows=0, summary=waiting)

    results = _attach_results(settings, session, pd.DataFrame(published))
    for day in results["session"].dt.date.unique():
        batch = results[results["session"] == str(day)]
        matured = {"horizon_sessions": horizon, "matured_on": calendar.offset(day, horizon)}
        outcomes = batch[["symbol", "excess"]].rename(columns={"excess": "excess_return"})
        rows = [{**outcome, **matured} for outcome in outcomes.to_dict("records")]
        write_results(store, settings.source, day, rows, {**_judge(batch), **matured})
    days = results["session"].nunique()
    return Receipt(
        stage="evaluate",
        session=session,
        rows=len(results),
        summary=f"{len(results)} results of {days} published sessions came in",
    )


def _attach_results(settings: Settings, session: dt.date, published: pd.DataFrame) -> pd.DataFrame:
    """Add the realised `excess`; shares that stopped trading on the way have none and drop out."""
    market = read_market(settings, session)
    excess = compute_forward_excess(market.panel.close, compute_tradable(market), settings.horizon_sessions)
    forecasts = published.assign(session=pd.to_datetime(published["session"]))
    return forecasts.assign(excess=look_up(market.panel, excess, forecasts)).dropna(subset="excess")


def _judge(batch: pd.DataFrame) -> dict[str, object]:
    ic = daily_rank_ic(batch)
    return {"symbols": len(batch), "rank_ic": None if ic.empty else ic.iloc[0], "coverage": coverage(batch)}
