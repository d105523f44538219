"""The walk-forward of a training, fold by fold: tasks of an orchestrator, side by side or on other machines.

`plan_folds`, then `run_fold` for each, then `train` with the plan. It comes to the same figures as `train` by
itself: each fold reads the same examples, and their fingerprint proves it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bist_pipeline.config import Settings
from bist_pipeline.errors import MissingDataError
from bist_pipeline.lake import open_lake
from bist_pipeline.model import walk_forward
from bist_pipeline.model.splits import Fold
from bist_pipeline.receipt import Receipt
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
    return [{**_as_plain(fold), "fingerprint": fingerprint} for fold in folds]


def run_fold(settings: Settings, session: dt.date, *, fold: Mapping[str, Any]) -> Receipt:
    """Train on what was known before one block, forecast it, and write the forecasts to the lake.

    Folds do not depend on each other: run them in any order, or all at once.

    Raises
    ------
    MissingDataError
        If the data changed since the folds were planned.
    """
    examples, bounds = read_examples(settings, session), _as_fold(fold)
    _require_same(fold, compute_fingerprint(settings, examples.rows))
    forecasts = walk_forward.forecast_fold(
        examples.rows, examples.columns, bounds, sessions=examples.sessions, settings=settings
    )
    block = (bounds.test_first, bounds.test_last)
    data_hash = open_lake(settings).write(_dataset(fold), forecasts, covers=block)
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


def _require_same(fold: Mapping[str, Any], fingerprint: str) -> None:
    if fold["fingerprint"] != fingerprint:
        raise MissingDataError(
            "The data or the settings have changed since the folds were planned.",
            consequence="No model was trained; the champion stays.",
            next_step="clear the task plan_folds and what follows it, or: bist train",
        )


def _dataset(fold: Mapping[str, Any]) -> str:
    return f"folds_{fold['fingerprint']}"


_DAYS = ("train_first", "train_last", "test_first", "test_last")


def _as_plain(fold: Fold) -> dict[str, Any]:
    return {name: value if name == "number" else str(value) for name, value in asdict(fold).items()}


def _as_fold(fold: Mapping[str, Any]) -> Fold:
    return Fold(fold["number"], *(dt.date.fromisoformat(fold[name]) for name in _DAYS))
