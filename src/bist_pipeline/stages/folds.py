"""The walk-forward of a training, fold by fold: tasks of an orchestrator, side by side or on other machines.

`plan_folds`, then `run_fold` for each, then `train` with the plan. It comes to the same figures as `train` by
itself: each fold reads the same examples, and their fingerprint proves it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.errors import MissingDataError
from bist_pipeline.lake import open_lake
from bist_pipeline.market.panel import Sessions
from bist_pipeline.model import walk_forward
from bist_pipeline.model.splits import Fold
from bist_pipeline.receipt import Receipt
from bist_pipeline.stages.calibrate import score_sessions
from bist_pipeline.stages.examples import compute_fingerprint, read_examples
from bist_pipeline.tracking import Registry


def plan_folds(settings: Settings, session: dt.date) -> list[dict[str, Any]]:
    """Say on which blocks of the past a model of `session` is judged, oldest first.

    Returns
    -------
    list of dict
        One plain object for each call of `run_fold`, all together for `train`. None where the model of these
        data and settings is in use already: `train` will keep it.

    Raises
    ------
    InsufficientDataError
        If the history is too short.
    """
    examples = read_examples(settings, session)
    fingerprint = compute_fingerprint(settings, examples.rows)
    known = Registry(settings).find_by_fingerprint(fingerprint)
    if known is not None and known.promoted:
        return []
    folds = walk_forward.plan_folds(examples.rows, sessions=examples.sessions, settings=settings)
    lives = walk_forward.find_lives(folds, until=session)
    return [
        {**_as_plain(fold), "scores_until": str(last), "fingerprint": fingerprint}
        for fold, (_, last) in zip(folds, lives, strict=True)
    ]


def run_fold(settings: Settings, session: dt.date, *, fold: Mapping[str, Any]) -> Receipt:
    """Train on what was known before one block, forecast it, and write forecasts and scores to the lake.

    Folds do not depend on each other: run them in any order, or all at once.

    Raises
    ------
    MissingDataError
        If the data changed since the folds were planned.
    """
    examples, bounds = read_examples(settings, session), _as_fold(fold)
    _require_same(fold, compute_fingerprint(settings, examples.rows))
    rows, columns, sessions = examples.rows, examples.columns, examples.sessions
    model = walk_forward.fit_fold(rows, columns, bounds, sessions=sessions, settings=settings)
    forecasts = walk_forward.forecast_fold(
        rows, columns, bounds, sessions=sessions, settings=settings, model=model
    )
    block, lake = (bounds.test_first, bounds.test_last), open_lake(settings)
    data_hash = lake.write(_dataset(fold), forecasts, covers=block)
    life = (bounds.test_first, dt.date.fromisoformat(fold["scores_until"]))
    lake.write(_dataset(fold, "scores"), score_sessions(lake, model, _sessions_of(life)), covers=life)
    return Receipt(
        stage="run_fold",
        session=session,
        rows=len(forecasts),
        summary=f"fold {bounds.number}, {block[0]} … {block[1]}: {len(forecasts):,} forecasts, rank IC"
        f" {walk_forward.mean_rank_ic(forecasts, walk_forward.BLEND):+.3f}",
        data_hash=data_hash,
        details={"fold": bounds.number},
    )


def read_walk_forward(
    settings: Settings, folds: Sequence[Mapping[str, Any]], *, fingerprint: str
) -> walk_forward.WalkForward:
    """Read and judge the forecasts of all folds.

    Raises
    ------
    MissingDataError
        If a fold was not run, or the data changed since.
    """
    _require_same(folds[0], fingerprint)
    lake, bounds = open_lake(settings), [_as_fold(fold) for fold in folds]
    head = lake.head(_dataset(folds[0]))
    held = [dt.date.fromisoformat(day) for day in head.sessions] if head else []
    absent = [
        fold for fold in bounds if not any(fold.test_first <= session <= fold.test_last for session in held)
    ]
    if absent:
        raise MissingDataError(
            f"The lake {lake.url} holds no forecasts of {len(absent)} of {len(folds)} folds.",
            which=[f"fold {fold.number}" for fold in absent],
            consequence="No model was trained; the champion stays.",
            next_step="clear the folds and what follows them, or: bist train",
        )
    return walk_forward.judge_folds(lake.read(_dataset(folds[0])), bounds, settings=settings)


def read_scores(settings: Settings, folds: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Read what `run_fold` scored, for all folds: as `score_folds`."""
    return open_lake(settings).read(_dataset(folds[0], "scores"))


def score_folds(settings: Settings, session: dt.date, judged: walk_forward.WalkForward) -> pd.DataFrame:
    """Score every session since the first block as it would have been scored then, up to `session`.

    Each by the newest model that had been trained before it: what a champion of this recipe is worth out of
    sample. The forecasts of a walk-forward are of every n-th session only, and end where results are known.

    Returns
    -------
    DataFrame
        `session, symbol, tradable, score` of the tradable shares.
    """
    lake, lives = open_lake(settings), walk_forward.find_lives(judged.folds, until=session)
    parts = [
        score_sessions(lake, model, _sessions_of(life))
        for model, life in zip(judged.models, lives, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def _sessions_of(life: tuple[dt.date, dt.date]) -> Sessions:
    return bist_calendar().between(*life)


def _require_same(fold: Mapping[str, Any], fingerprint: str) -> None:
    if fold["fingerprint"] != fingerprint:
        raise MissingDataError(
            "The data or the settings have changed since the folds were planned.",
            consequence="No model was trained; the champion stays.",
            next_step="clear the task plan_folds and what follows it, or: bist train",
        )


def _dataset(fold: Mapping[str, Any], of: str = "folds") -> str:
    return f"{of}_{fold['fingerprint']}"


_DAYS = ("train_first", "train_last", "test_first", "test_last")


def _as_plain(fold: Fold) -> dict[str, Any]:
    return {name: value if name == "number" else str(value) for name, value in asdict(fold).items()}


def _as_fold(fold: Mapping[str, Any]) -> Fold:
    return Fold(fold["number"], *(dt.date.fromisoformat(fold[name]) for name in _DAYS))
