"""The estimator beside the bare libraries it is made of: what the pipeline around them costs.

Run `python -m benchmarks.model`, with `--json` for machines. On one thread both sides fit the same boosters,
to the same bits, and the same two Ridges, and predict the held-out rows that calibrate them. Readings
alternate, and the best of each counts: other work on the machine only ever adds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline

from bist_pipeline.config import TrainingSettings
from bist_pipeline.model.forecaster import gaussian_rank_by_session
from bist_pipeline.model.pipeline import booster_parameters, build_pipeline, explain

# About four and a half years of a market, every fifth session of it.
SESSIONS, SHARES, FEATURES, EVERY = 155, 320, 193, 5
HORIZON, EMBARGO, ROUNDS = 63, 5, 3
TRAINING = TrainingSettings(threads=1)
BARS = {"fit_ratio": "<= 1.05"}


def build_examples() -> tuple[pd.DataFrame, pd.Series, np.ndarray]:
    """Ranks of which every tenth says something, a few missing, and the excess."""
    rng = np.random.default_rng(0)
    values = rng.uniform(size=(SESSIONS * SHARES, FEATURES)).astype(np.float32)
    excess = (values[:, ::10] - 0.5).sum(axis=1) / 50 + rng.normal(0, 0.2, len(values))
    values[rng.random(values.shape) < 0.02] = np.nan
    frame = pd.DataFrame(values, columns=[f"feature_{i}_rank" for i in range(FEATURES)])
    return frame, pd.Series(excess), np.repeat(np.arange(SESSIONS) * EVERY, SHARES)


def fit_ours(frame: pd.DataFrame, excess: pd.Series, positions: np.ndarray) -> Pipeline:
    pipeline = build_pipeline(TRAINING, list(frame), horizon=HORIZON, embargo=EMBARGO)
    return pipeline.fit(frame, excess, forecaster__groups=positions)


def fit_bare(values: np.ndarray, rank: np.ndarray, excess: np.ndarray, positions: np.ndarray) -> list[str]:
    """The same models by the libraries alone; arrays and labels are ready."""
    span = positions.max() + 1
    starts = [span - held_out for held_out in (span // 2, TRAINING.calibration_sessions)]
    older, before = (positions <= start - HORIZON - EMBARGO for start in starts)
    newer, recent = (positions >= start for start in starts)
    fixed = {"deterministic": True, "force_col_wise": True, "num_threads": 1, "verbosity": -1}
    binning = {**fixed, "feature_pre_filter": False}
    data = lgb.Dataset(values, rank, params=binning).construct()
    half, calm = (
        data.subset(np.flatnonzero(rows).tolist(), params=binning).construct().set_label(label[rows])
        for rows, label in ((older, rank), (before, excess))
    )
    shared = {**booster_parameters(TRAINING), **fixed}
    jobs = [(data, {"objective": "regression", "seed": seed}, TRAINING.trees) for seed in TRAINING.seeds]
    jobs.append((half, {"objective": "regression", "seed": TRAINING.seeds[0]}, TRAINING.trees))
    for alpha in ((1 - TRAINING.interval) / 2, (1 + TRAINING.interval) / 2):
        quantile = {"objective": "quantile", "alpha": alpha, "seed": TRAINING.seeds[0]}
        quantile["learning_rate"] = TRAINING.interval_learning_rate
        jobs.append((calm, quantile, TRAINING.interval_trees))
    trained = [lgb.train({**shared, **own}, rows, trees).model_to_string() for rows, own, trees in jobs]
    for model, rows in zip(trained[-3:], (newer, recent, recent), strict=True):
        lgb.Booster(model_str=model).predict(values[rows], num_threads=1)
    centred = np.nan_to_num(values.astype(np.float64) - 0.5)
    for rows in (slice(None), older):
        Ridge(alpha=TRAINING.ridge_penalty, solver="cholesky").fit(centred[rows], rank[rows])
    return trained


def cpu_seconds(action: Callable[[], Any]) -> tuple[float, Any]:
    started = time.process_time()
    result = action()
    return time.process_time() - started, result


def measure() -> dict[str, float]:
    frame, excess, positions = build_examples()
    values, answers = frame.to_numpy(), excess.to_numpy()
    rank = gaussian_rank_by_session(answers, positions)
    rounds = [
        (
            cpu_seconds(lambda: fit_ours(frame, excess, positions)),
            cpu_seconds(lambda: fit_bare(values, rank, answers, positions)),
        )
        for _ in range(ROUNDS)
    ]
    ours, bare = (min(reading[side][0] for reading in rounds) for side in (0, 1))
    pipeline, trained = rounds[0][0][1], rounds[0][1][1]
    if pipeline[-1].boosters_ != trained[: len(TRAINING.seeds)]:
        raise SystemExit("the two sides did not fit the same models")
    session = frame.head(600)
    return {
        "fit_cpu_seconds": ours,
        "bare_fit_cpu_seconds": bare,
        "fit_ratio": ours / bare,
        "predict_600_shares_cpu_seconds": cpu_seconds(lambda: pipeline.predict(session))[0],
        "explain_600_shares_cpu_seconds": cpu_seconds(lambda: explain(pipeline, session))[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    found = {name: round(value, 3) for name, value in measure().items()}
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name.replace('_', ' '):<36}{value:>14,}  {BARS.get(name, '')}")


if __name__ == "__main__":
    main()
