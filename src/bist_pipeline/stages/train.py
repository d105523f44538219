"""Train: judge the model on the past as it would have been, fit it on all of it, register, promote."""

from __future__ import annotations

import datetime as dt
import json
from hashlib import blake2b

import pandas as pd

from bist_pipeline import __version__
from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.contracts import KEY
from bist_pipeline.features.fundamentals import FAMILY
from bist_pipeline.features.registry import ALL_FAMILIES, rank_columns
from bist_pipeline.lake import content_hash, open_lake
from bist_pipeline.market.labels import compute_forward_excess
from bist_pipeline.market.panel import Sessions, look_up
from bist_pipeline.market.universe import compute_tradable
from bist_pipeline.model import walk_forward
from bist_pipeline.model.gate import Candidate, Decision, decide, judge_skill
from bist_pipeline.receipt import Receipt
from bist_pipeline.stages.inputs import open_store, read_market
from bist_pipeline.store.write import write_decision
from bist_pipeline.tracking import ModelCard, ModelVersion, Registry


def train(settings: Settings, session: dt.date) -> Receipt:
    """Train on everything known at the close of `session`, and promote the model if it deserves to be.

    The same data, settings and code are the same model: it is found in the registry, not fitted again.

    Raises
    ------
    InsufficientDataError
        If the history is too short to train and judge a model. The champion stays.
    RegistryUnavailableError
        If MLflow does not answer. The champion stays.
    """
    registry, store = Registry(settings), open_store(settings)
    examples, sessions = _read_examples(settings, session)
    data_hash = open_lake(settings).require("prices").hash_until(session)
    fingerprint = _fingerprint(settings, examples)

    model = registry.find_by_fingerprint(fingerprint)
    if model is not None and model.promoted:
        return _receipt(session, model, rows=len(examples), verdict="same data and settings as before: kept")
    if model is None:
        model = _fit(
            registry, settings, session, examples, sessions, fingerprint=fingerprint, data_hash=data_hash
        )
    champion = registry.champion()
    decision = decide(_as_candidate(model, session), _as_candidate(champion, session) if champion else None)
    if decision.promoted:
        is_newest = champion is None or champion.trained_through <= session
        registry.promote(model, as_champion=is_newest)
    write_decision(store, _as_row(decision, settings, session, model, champion))
    verdict = "promoted" if decision.promoted else "not promoted"
    return _receipt(session, model, rows=len(examples), verdict=f"{verdict}. {' '.join(decision.reasons)}")


def _read_examples(settings: Settings, session: dt.date) -> tuple[pd.DataFrame, Sessions]:
    market = read_market(settings, session)
    lake = open_lake(settings)
    held = lake.require("features").columns
    ranks = [*rank_columns(), *(name for name in rank_columns([FAMILY]) if name in held)]
    features = lake.read("features", until=session, columns=[*KEY, "tradable", *ranks])
    excess = compute_forward_excess(market.panel.close, compute_tradable(market), settings.horizon_sessions)
    sessions = market.panel.sessions
    known = look_up(market.panel, excess, features)
    return walk_forward.select_examples(features, known, sessions=sessions, settings=settings), sessions


def _fingerprint(settings: Settings, examples: pd.DataFrame) -> str:
    # The examples, not the prices: other code makes other examples of the same prices.
    identity = {
        "data": content_hash(examples),
        "source": settings.source,
        "horizon": settings.horizon_sessions,
        "code": __version__,
        "training": settings.training.model_dump(),
        "validation": settings.validation.model_dump(),
    }
    return blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=8).hexdigest()


def _fit(
    registry: Registry,
    settings: Settings,
    session: dt.date,
    examples: pd.DataFrame,
    sessions: Sessions,
    *,
    fingerprint: str,
    data_hash: str,
) -> ModelVersion:
    columns = [name for name in rank_columns(ALL_FAMILIES) if name in examples]
    judged = walk_forward.run(examples, columns, sessions=sessions, settings=settings)
    pipeline = walk_forward.fit(examples, columns, sessions=sessions, settings=settings)
    rank_ic, nw_t = judged.metrics["rank_ic"], judged.metrics["nw_t"]
    skill, _ = judge_skill(Candidate(settings.source, rank_ic=rank_ic, t=nw_t))
    card = ModelCard(
        source=settings.source,
        horizon=settings.horizon_sessions,
        data_hash=data_hash,
        code_version=__version__,
        trained_through=session,
        fingerprint=fingerprint,
        skill=skill,
        rank_ic=rank_ic,
        nw_t=nw_t,
    )
    params = {**settings.training.model_dump(), **settings.validation.model_dump()}
    newest = examples.loc[examples["session"] == examples["session"].max(), columns]
    return registry.register(pipeline, newest, card=card, params=params, metrics=judged.metrics)


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
        "reasons": "\n".join(decision.reasons),
    }


def _receipt(session: dt.date, model: ModelVersion, *, rows: int, verdict: str) -> Receipt:
    return Receipt(
        stage="train",
        session=session,
        rows=rows,
        summary=f"{model.name} version {model.version}, rank IC {model.rank_ic:+.3f} "
        f"(t {model.nw_t:.1f}) out of sample: {verdict}",
        data_hash=model.data_hash,
        details={
            "model_name": model.name,
            "model_version": model.version,
            "rank_ic": model.rank_ic,
            "nw_t": model.nw_t,
        },
    )
