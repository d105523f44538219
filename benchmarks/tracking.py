"""How long it takes to log a model, beyond MLflow's first import.

    python benchmarks/tracking.py [--mlflow-url http://127.0.0.1:5000]

Fits a pipeline of the usual size on random features, then logs it several times into an empty SQLite store
(or into the given one), and prints the median of MLflow's `log_model` and of everything that registering does
around it: dataset, parameters, metrics, signature read back, version, alias.
"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from bist_pipeline.config import Settings, TrainingSettings
from bist_pipeline.features.registry import rank_columns
from bist_pipeline.model.pipeline import build_pipeline

_SESSIONS, _SHARES, _REPEATS = 200, 50, 7


def fit_pipeline() -> tuple[Pipeline, pd.DataFrame]:
    """Fit a pipeline with the default hyper-parameters on features without meaning."""
    rng, columns = np.random.default_rng(0), rank_columns()
    rows = _SESSIONS * _SHARES
    frame = pd.DataFrame(rng.random((rows, len(columns)), dtype=np.float32), columns=columns)
    excess = 0.1 * frame.iloc[:, 0] + rng.normal(0, 0.2, rows)
    pipeline = build_pipeline(TrainingSettings(calibration_sessions=60), columns, horizon=10, embargo=0)
    positions = np.repeat(np.arange(_SESSIONS), _SHARES)
    return pipeline.fit(frame, excess, forecaster__groups=positions), frame


def timed(function: Callable[..., Any], into: list[tuple[float, float]]) -> Callable[..., Any]:
    """Wrap a function so that each call adds its seconds, by the clock and of the CPU, to a list."""

    def call(*args: Any, **options: Any) -> Any:
        started = time.perf_counter(), time.process_time()
        try:
            return function(*args, **options)
        finally:
            into.append((time.perf_counter() - started[0], time.process_time() - started[1]))

    return call


def say(what: str, seconds: list[tuple[float, float]], remark: str) -> None:
    """Print medians; the first call creates the store and imports the rest of MLflow."""
    clock, cpu = (statistics.median(column) for column in zip(*seconds[1:], strict=True))
    print(f"{what:<18} {clock:6.2f} s, {cpu:.2f} s of CPU{remark}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mlflow-url", default="")
    url = parser.parse_args().mlflow_url
    pipeline, frame = fit_pipeline()

    started = time.perf_counter()
    from bist_pipeline.tracking import ModelCard, Registry
    from bist_pipeline.tracking.client import mlflow

    print(f"first import       {time.perf_counter() - started:6.2f} s")
    logging: list[tuple[float, float]] = []
    registering: list[tuple[float, float]] = []
    mlflow.sklearn.log_model = timed(mlflow.sklearn.log_model, logging)
    with tempfile.TemporaryDirectory() as home:
        registry = Registry(Settings(home=Path(home), source="files", mlflow_url=url))
        register = timed(registry.register, registering)
        for i in range(_REPEATS):
            card = ModelCard(
                "files", 63, "0" * 16, "0", dt.date(2024, 6, 28), f"benchmark {i}", "unproven", 0, 0
            )
            register(pipeline, frame, card=card, params={}, metrics={})
    say("log_model", logging, f" (median of {_REPEATS - 1}; bar: 0.20 s)")
    say("register, in all", registering, "")


if __name__ == "__main__":
    main()
