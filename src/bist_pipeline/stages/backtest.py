"""Backtest: what the model and its baselines would have said on past sessions, and what it was worth.

Three steps, so that folds may run side by side, in one process or as tasks of an orchestrator: `plan_folds`,
then `run_fold` for each, then `summarise`. They read and write the lake beside what is served, never that
itself, and no rank changes: any prices may be tested at any time. The figures are shown on the page about the
model.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd

from bist_pipeline import __version__
from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.errors import (
    InsufficientDataError,
    MissingDataError,
    RegistryUnavailableError,
    StoreError,
)
from bist_pipeline.features.registry import ALL_FAMILIES, compute_features, rank_columns
from bist_pipeline.lake import Lake, content_hash, open_lake
from bist_pipeline.market.cleaning import clean
from bist_pipeline.market.labels import compute_forward_excess
from bist_pipeline.market.panel import Sessions, build_panel, look_up
from bist_pipeline.market.point_in_time import settle_announcements
from bist_pipeline.market.universe import compute_tradable
from bist_pipeline.model import walk_forward
from bist_pipeline.model.backtest import BacktestResult, judge
from bist_pipeline.model.pipeline import explain
from bist_pipeline.model.splits import Fold
from bist_pipeline.receipt import Receipt
from bist_pipeline.reports.backtest import render_backtest
from bist_pipeline.sources.base import open_source
from bist_pipeline.stages.inputs import open_store, read_facts, read_prices
from bist_pipeline.store.write import write_backtest
from bist_pipeline.tracking import Registry

# Every backtest replaces the examples of the one before; one that is still running finds its own by their
# content hash, because the lake keeps replaced versions for a day.
EXAMPLES = "backtest_examples"
# Three years, where nobody says how far back to go.
MOST_FOLDS = 12
_ALWAYS = (dt.date.min, dt.date.max)


def plan_folds(
    settings: Settings,
    session: dt.date | None,
    *,
    first: dt.date | None = None,
    last: dt.date | None = None,
) -> list[dict[str, Any]]:
    """Take in the prices, put labelled features into the lake, and say what each fold is.

    Files and the synthetic market are read anew, whatever the lake holds of them; Yahoo's prices come from
    the lake, because asking for them takes an hour.

    Parameters
    ----------
    settings : Settings
    session : date or None
        The last session whose prices count; None means the newest there is.
    first, last : date, optional
        Bounds of the test sessions. Without them: up to the newest session with known results, and back to
        the earliest with enough history before it, three years at most.

    Returns
    -------
    list of dict
        One plain object for each call of `run_fold`, oldest fold first; all together for `summarise`.

    Raises
    ------
    InsufficientDataError
        If the history is too short, or has too few shares, to train and test on.
    SourceError, MissingDataError
        If there are no prices.
    """
    prices, facts, notes = _take_in(settings, session)
    since, until = (prices["session"].iloc[i].date() for i in (0, -1))
    sessions = bist_calendar().between(since, until)
    examples = _build_examples(prices, facts, sessions, settings=settings, last=last)
    folds = _plan(examples, sessions, settings=settings, first=first)
    lake = open_lake(settings)
    shared = {
        "examples": lake.write(EXAMPLES, examples, covers=_ALWAYS),
        "data_hash": content_hash(prices),
        "since": str(since),
        "until": str(until),
    }
    plans = [{**shared, **_as_plain(fold)} for fold in folds]
    identity = _identify(settings, plans)
    for dataset in (_forecasts(identity), _effects(identity)):
        if lake.head(dataset) is not None:
            lake.write(dataset, examples.iloc[:0], covers=_ALWAYS)
    return [{**plan, "backtest": identity, "notes": notes, "is_newest": plan is plans[-1]} for plan in plans]


def run_fold(settings: Settings, session: dt.date, fold: Mapping[str, Any]) -> Receipt:
    """Train every model on the fold's past, forecast its block, and write the forecasts to the lake.

    Parameters
    ----------
    settings : Settings
        As given to `plan_folds`.
    session : date
        Names the run in the receipt.
    fold : mapping
        From `plan_folds`. Folds do not depend on each other: run them in any order, or all at once.
    """
    lake, bounds = open_lake(settings), _as_fold(fold)
    examples = lake.read(EXAMPLES, version=fold["examples"])
    columns = [name for name in rank_columns(ALL_FAMILIES) if name in examples]
    sessions = _sessions(fold)
    forecasts = walk_forward.forecast_fold(
        examples, columns, bounds, sessions=sessions, settings=settings, models=walk_forward.MODELS
    )
    if fold["is_newest"]:
        effects = _explain_newest(examples, columns, bounds, sessions=sessions, settings=settings)
        lake.write(_effects(fold["backtest"]), effects, covers=_ALWAYS)
    block = (bounds.test_first, bounds.test_last)
    data_hash = lake.write(_forecasts(fold["backtest"]), forecasts, covers=block)
    return Receipt(
        stage="backtest",
        session=session,
        rows=len(forecasts),
        summary=f"fold {bounds.number}, {block[0]} … {block[1]}: {len(forecasts):,} forecasts, rank IC"
        f" {walk_forward.mean_rank_ic(forecasts, walk_forward.BLEND):+.3f}",
        data_hash=data_hash,
        details={"fold": bounds.number},
    )


def summarise(settings: Settings, session: dt.date, folds: Sequence[Mapping[str, Any]]) -> Receipt:
    """Judge the forecasts of all folds; put the report into the lake and MLflow, its figures on the page.

    The report is `reports/backtest/<first>_<last>_<backtest>.html` beside the data sets, its figures the
    `.json` of the same name.

    Raises
    ------
    MissingDataError
        If a fold was not run.
    StoreError
        If the predictions database does not take the figures; the report is in the lake by then.
    RegistryUnavailableError
        If MLflow does not answer; the report is in the lake by then.
    """
    lake, identity = open_lake(settings), folds[0]["backtest"]
    forecasts = _read_forecasts(lake, folds)
    validation = settings.validation
    result = judge(
        forecasts,
        horizon=settings.horizon_sessions,
        step=validation.sample_every,
        nominal=settings.training.interval,
    )
    effects = lake.read(_effects(identity))
    bounds = [{name: fold[name] for name in _BOUNDS} for fold in folds]
    facts = {
        **result.as_json(),
        "backtest": identity,
        "source": settings.source,
        "data_hash": folds[0]["data_hash"],
        "code_version": __version__,
        "notes": folds[0]["notes"],
        "folds": bounds,
    }
    texts = {
        "json": json.dumps({**facts, "curves": asdict(result.curves)}, ensure_ascii=False, allow_nan=False),
        "html": render_backtest(result, effects, source=settings.source, folds=bounds),
    }
    place = f"reports/backtest/{result.first}_{result.last}_{identity}"
    report = {kind: lake.publish(f"{place}.{kind}", text) for kind, text in texts.items()}["html"]
    _store(settings, result, folds, report=report)
    _record(settings, result, folds[0], texts, report=report)
    blend = result.models[walk_forward.BLEND]
    return Receipt(
        stage="backtest",
        session=session,
        rows=result.rows,
        summary=f"rank IC {blend['rank_ic']:+.3f} over {result.dates} dates,"
        f" about {result.independent_quarters:.0f} independent quarters; report: {report}",
        data_hash=folds[0]["data_hash"],
        details={**facts, "report": report},
    )


def _take_in(
    settings: Settings, session: dt.date | None
) -> tuple[pd.DataFrame, pd.DataFrame | None, list[str]]:
    """Prices up to the session, reported figures if there are any, and what people should know of both."""
    if settings.source == "yahoo":
        lake = open_lake(settings)
        until = session or dt.date.fromisoformat(lake.require("prices").last)
        return read_prices(lake, until), read_facts(lake, until), []
    calendar, source = bist_calendar(), open_source(settings)
    fetch = source.fetch(calendar.require(session or source.latest_session(calendar)), calendar)
    if fetch.prices.empty:
        raise InsufficientDataError(
            f"The source {settings.source} has no history of prices.",
            consequence="There is nothing to test.",
            next_step="bist backtest --source files --source-path prices.parquet",
        )
    facts = None if fetch.fundamentals is None else settle_announcements(fetch.fundamentals).facts
    refused = fetch.quarantined["rule"].value_counts()
    notes = [*fetch.notes, *(f"{count:,} rows left out: {rule}" for rule, count in refused.items())]
    return fetch.prices, facts, notes


def _build_examples(
    prices: pd.DataFrame,
    facts: pd.DataFrame | None,
    sessions: Sessions,
    *,
    settings: Settings,
    last: dt.date | None,
) -> pd.DataFrame:
    market = clean(build_panel(prices, sessions))
    frame = compute_features(market, facts)
    excess = compute_forward_excess(market.panel.close, compute_tradable(market), settings.horizon_sessions)
    known = look_up(market.panel, excess, frame)
    if last is not None:
        known = known.where(frame["session"] <= pd.Timestamp(last))
    return walk_forward.select_examples(frame, known, sessions=sessions, settings=settings)


def _explain_newest(
    examples: pd.DataFrame, columns: Sequence[str], fold: Fold, *, sessions: Sessions, settings: Settings
) -> pd.DataFrame:
    """What every feature adds to the score of every share of the fold's newest session."""
    past = examples[examples["session"] <= pd.Timestamp(fold.train_last)]
    in_block = examples[examples["session"] <= pd.Timestamp(fold.test_last)]
    newest = in_block[in_block["session"] == in_block["session"].max()]
    known = [name for name in columns if past[name].notna().any() and newest[name].notna().any()]
    model = walk_forward.fit(past, known, sessions=sessions, settings=settings)
    drivers = explain(model, newest, top=len(known))
    rows = [
        {
            "session": session,
            "symbol": symbol,
            "feature": driver["feature"].removesuffix("_rank"),
            "effect": driver["contribution"],
            "value": driver["value"],
        }
        for session, symbol, share in zip(newest["session"], newest["symbol"], drivers, strict=True)
        for driver in share
    ]
    return pd.DataFrame(rows).astype({"effect": float, "value": float})


def _read_forecasts(lake: Lake, folds: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    dataset = _forecasts(folds[0]["backtest"])
    head = lake.head(dataset)
    held = () if head is None else head.sessions
    missing = [
        str(fold["number"])
        for fold in folds
        if not any(fold["test_first"] <= day <= fold["test_last"] for day in held)
    ]
    if missing:
        raise MissingDataError(
            f"The lake {lake.url} holds no forecasts of {len(missing)} of {len(folds)} folds.",
            which=[f"fold {number}" for number in missing],
            consequence="There is no report.",
            next_step="run these folds, or all: bist backtest",
        )
    return lake.read(dataset)


def _store(
    settings: Settings, result: BacktestResult, folds: Sequence[Mapping[str, Any]], *, report: str
) -> None:
    """Write the figures into the predictions database, where the page about the model shows them."""
    figures = [{**row, "folds": len(folds)} for row in result.as_rows()]
    try:
        until = dt.date.fromisoformat(folds[0]["until"])
        write_backtest(open_store(settings), settings.source, until, figures)
    except StoreError as error:
        raise type(error)(
            error.what, consequence=f"The report is complete without it: {report}", next_step=error.next_step
        ) from error


def _record(
    settings: Settings,
    result: BacktestResult,
    fold: Mapping[str, Any],
    texts: Mapping[str, str],
    *,
    report: str,
) -> None:
    """Log the backtest as a run in MLflow."""
    figures = {
        f"{model}.{name}": value for model, found in result.models.items() for name, value in found.items()
    }
    metrics = {name: value for name, value in figures.items() if isinstance(value, float)}
    metrics |= {"coverage": result.coverage["pooled"], "dates": float(result.dates)}
    validation = settings.validation.model_dump(exclude={"folds"})
    params = {**settings.training.model_dump(), **validation, "first": result.first, "last": result.last}
    try:
        Registry(settings).record_backtest(
            fold["backtest"],
            data_hash=fold["data_hash"],
            params=params,
            metrics=metrics,
            files={f"backtest.{kind}": text for kind, text in texts.items()},
        )
    except RegistryUnavailableError as error:
        raise RegistryUnavailableError(
            error.what, consequence=f"The report is complete without it: {report}", next_step=error.next_step
        ) from error


def _plan(
    examples: pd.DataFrame, sessions: Sessions, *, settings: Settings, first: dt.date | None
) -> tuple[Fold, ...]:
    earliest = walk_forward.earliest_test(examples, sessions=sessions, settings=settings)
    newest = examples["session"].max().date()
    start = first or max(earliest, _years_before(newest, sessions, settings))
    if start > newest:
        raise InsufficientDataError(
            f"The newest session with known {settings.horizon_sessions}-session results is {newest}:"
            f" there is nothing to test from {start} on.",
            consequence="There is no report.",
            next_step=f"bist backtest --first {earliest}",
        )
    try:
        return walk_forward.plan_folds(examples, sessions=sessions, settings=settings, first_test=start)
    except InsufficientDataError as error:
        if start >= earliest:
            raise
        raise InsufficientDataError(
            error.what, consequence="There is no report.", next_step=f"bist backtest --first {earliest}"
        ) from error


def _years_before(newest: dt.date, sessions: Sessions, settings: Settings) -> dt.date:
    """First day of the most that is tested where nobody says how much."""
    end = int(np.searchsorted(sessions, np.datetime64(newest))) + 1
    day: dt.date = sessions[max(end - MOST_FOLDS * settings.validation.block_sessions, 0)].item()
    return day


def _identify(settings: Settings, plans: Sequence[Mapping[str, Any]]) -> str:
    """Hash of all that decides the forecasts; how many threads compute them does not."""
    training = settings.training.model_dump(exclude={"threads"})
    asked = {"training": training, "validation": settings.validation.model_dump()}
    identity = {**asked, "horizon": settings.horizon_sessions, "code": __version__, "folds": plans}
    return blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=4).hexdigest()


_BOUNDS = ("number", "train_first", "train_last", "test_first", "test_last")


def _as_plain(fold: Fold) -> dict[str, Any]:
    return {name: value if name == "number" else str(value) for name, value in asdict(fold).items()}


def _as_fold(fold: Mapping[str, Any]) -> Fold:
    return Fold(fold["number"], *(dt.date.fromisoformat(fold[name]) for name in _BOUNDS[1:]))


def _sessions(fold: Mapping[str, Any]) -> Sessions:
    return bist_calendar().between(*(dt.date.fromisoformat(fold[name]) for name in ("since", "until")))


def _forecasts(identity: str) -> str:
    return f"backtest_{identity}"


def _effects(identity: str) -> str:
    return f"backtest_{identity}_effects"
