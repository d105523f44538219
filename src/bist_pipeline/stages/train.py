"""Train: judge the model on the past as it would have been, fit it on all of it, register, promote."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd
from sklearn.pipeline import Pipeline

from bist_pipeline import __version__
from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.lake import open_lake
from bist_pipeline.model import backtest, walk_forward
from bist_pipeline.model.gate import Candidate, Decision, decide, judge_skill, needs_comparison
from bist_pipeline.model.pipeline import has_same_recipe
from bist_pipeline.model.search import tune
from bist_pipeline.model.walk_forward import WalkForward
from bist_pipeline.receipt import Receipt
from bist_pipeline.reports.training import draw_rank_ic
from bist_pipeline.stages.calibrate import calibrate
from bist_pipeline.stages.examples import Examples, compute_fingerprint, read_examples
from bist_pipeline.stages.folds import read_scores, read_walk_forward, score_folds
from bist_pipeline.stages.inputs import open_store
from bist_pipeline.stages.provenance import read_origin
from bist_pipeline.store.drift import answer_requests
from bist_pipeline.store.write import write_decision
from bist_pipeline.tracking import ModelCard, ModelVersion, Registry
from bist_pipeline.wording import join


def train(
    settings: Settings, session: dt.date, *, folds: Sequence[Mapping[str, Any]] | None = None
) -> Receipt:
    """Train on everything known at the close of `session`, and promote the model if it deserves to be.

    The same data, settings and code are the same model: it is found in the registry, not fitted again.

    Parameters
    ----------
    settings : Settings
    session : date
    folds : sequence of mapping, optional
        From `plan_folds`, each of them run; without, they are run here.

    Raises
    ------
    InsufficientDataError
        If the history is too short to train and judge a model. The champion stays.
    MissingDataError
        If a fold was not run, or the data changed since. The champion stays.
    ModelError
        If the champion cannot be loaded to compare it. The champion stays.
    RegistryUnavailableError
        If MLflow does not answer. The champion stays.
    """
    registry, store = Registry(settings), open_store(settings)
    examples = read_examples(settings, session)
    fingerprint = compute_fingerprint(settings, examples.rows)
    model = registry.find_by_fingerprint(fingerprint)
    if model is not None and model.promoted:
        kept = _receipt(
            registry,
            session,
            model,
            examples,
            status="kept",
            verdict="same data and settings as before: kept",
        )
        again = partial(_score_anew, settings, examples, model)
        answer_requests(store, settings.source, until=session, model_version=model.version)
        return replace(kept, warnings=calibrate(settings, model, again))

    rows, columns, sessions = examples.rows, examples.columns, examples.sessions
    if folds:
        judged = read_walk_forward(settings, folds, fingerprint=fingerprint)
        scores = partial(read_scores, settings, folds)
    else:
        judged = walk_forward.run(rows, columns, sessions=sessions, settings=settings)
        scores = partial(score_folds, settings, session, judged)
    if model is None:
        model = _fit(registry, settings, session, examples, judged, fingerprint=fingerprint)
    champion, challenger = registry.champion(), _as_candidate(model, session)
    rival = None
    if champion is not None:
        rival = _as_candidate(champion, session)
        if needs_comparison(challenger, rival):
            rival = _judge_champion(registry.load(champion), rival, examples, judged, settings=settings)
    decision = decide(challenger, rival, low_volatility=judged.metrics["rank_ic_low_vol_126"])
    if decision.promoted:
        is_newest = champion is None or champion.trained_through <= session
        registry.promote(model, as_champion=is_newest)
    figures = _judge_in_full(judged, settings)
    write_decision(store, _as_row(decision, settings, session, model, champion), figures=figures)
    verdict = "promoted" if decision.promoted else "not promoted"
    reasons = join(decision.reasons)
    # Whatever became of the model: the same data would give the same one again.
    answer_requests(store, settings.source, until=session, model_version=model.version)
    receipt = _receipt(registry, session, model, examples, status=verdict, verdict=f"{verdict}. {reasons}")
    return replace(receipt, warnings=calibrate(settings, model, scores)) if decision.promoted else receipt


def _score_anew(settings: Settings, examples: Examples, model: ModelVersion) -> pd.DataFrame:
    """What `score_folds` gave when the model was trained; nobody kept it."""
    judged = walk_forward.run(examples.rows, examples.columns, sessions=examples.sessions, settings=settings)
    return score_folds(settings, model.trained_through, judged)


def _fit(
    registry: Registry,
    settings: Settings,
    session: dt.date,
    examples: Examples,
    judged: WalkForward,
    *,
    fingerprint: str,
) -> ModelVersion:
    rows, columns, sessions = examples.rows, examples.columns, examples.sessions
    tuned = tune(rows[rows["tradable"]], columns, sessions=sessions, settings=settings)
    pipeline = walk_forward.fit(rows, columns, sessions=sessions, settings=tuned)
    rank_ic, nw_t = judged.metrics["rank_ic"], judged.metrics["nw_t"]
    skill, _ = judge_skill(Candidate(settings.source, rank_ic=rank_ic, t=nw_t))
    card = ModelCard(
        source=settings.source,
        horizon=settings.horizon_sessions,
        data_hash=read_origin(open_lake(settings), session)[0].prices,
        code_version=__version__,
        trained_through=session,
        fingerprint=fingerprint,
        skill=skill,
        rank_ic=rank_ic,
        nw_t=nw_t,
    )
    params = {**tuned.training.model_dump(), **settings.validation.model_dump()}
    metrics = {name: value for name, value in judged.metrics.items() if math.isfinite(value)}
    newest = rows.loc[rows["session"] == rows["session"].max(), columns]
    files = {"rank_ic.svg": draw_rank_ic(judged.forecasts)}
    return registry.register(pipeline, newest, card=card, params=params, metrics=metrics, files=files)


def _judge_champion(
    champion: Pipeline, candidate: Candidate, examples: Examples, judged: WalkForward, *, settings: Settings
) -> Candidate:
    """The champion with the rank IC of its recipe, refitted in the folds that the challenger was judged on.

    What it was registered with is of other rows, and the champion as it is has seen these. The same recipe
    need not be refitted: it gives the challenger's own figure.
    """
    lacks = tuple(name for name in champion[0].columns if name not in examples.columns)
    if lacks:
        return replace(candidate, rank_ic=None, lacks=lacks)
    if has_same_recipe(champion, walk_forward.build(examples.columns, settings=settings)):
        return replace(candidate, rank_ic=judged.metrics["rank_ic"])
    scores = walk_forward.rescore(champion, examples.rows, judged.folds, sessions=examples.sessions)
    return replace(candidate, rank_ic=walk_forward.mean_rank_ic(scores, "score"))


def _judge_in_full(judged: WalkForward, settings: Settings) -> list[dict[str, Any]]:
    """Figures of the challenger and of low volatility with their intervals, for the people who read them."""
    result = backtest.judge(
        judged.forecasts,
        horizon=settings.horizon_sessions,
        step=settings.validation.sample_every,
        nominal=settings.training.interval,
    )
    return [{**row, "folds": len(judged.folds)} for row in result.as_rows()]


def _as_candidate(model: ModelVersion, session: dt.date) -> Candidate:
    age = bist_calendar().count(model.trained_through, session)
    return Candidate(model.source, rank_ic=model.rank_ic, t=model.nw_t, age_sessions=age)


def _as_row(
    decision: Decision,
    settings: Settings,
    session: dt.date,
    model: ModelVersion,
    champion: ModelVersion | None,
) -> dict[str, object]:
    return {
        "decided_at": dt.datetime.now(dt.UTC),
        "source": settings.source,
        "session": session,
        "model_name": model.name,
        "challenger_version": model.version,
        "champion_version": champion.version if champion else "",
        "promoted": decision.promoted,
        "reasons": join(decision.reasons, by="\n"),
    }


def _receipt(
    registry: Registry,
    session: dt.date,
    model: ModelVersion,
    examples: Examples,
    *,
    status: str,
    verdict: str,
) -> Receipt:
    return Receipt(
        stage="train",
        session=session,
        rows=len(examples.rows),
        summary=f"{model.name} version {model.version}, rank IC {model.rank_ic:+.3f} "
        f"(t {model.nw_t:.1f}) out of sample: {verdict}",
        data_hash=model.data_hash,
        details={
            "status": status,
            "model_name": model.name,
            "model_version": model.version,
            "mlflow_run_id": registry.find_run(model),
            "rank_ic": model.rank_ic,
            "nw_t": model.nw_t,
        },
    )
