"""CPU seconds and memory of the drift checks on 600 shares and 60 features, for benchmarks/drift_bars.py.

Run `python -m benchmarks.drift_speed` for these figures alone. A process of its own measures them on one
core, after alibi-detect is imported, which costs any process some seconds once.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bist_pipeline.drift.adapter import ks_distances
from bist_pipeline.drift.breaks import check_break
from bist_pipeline.drift.calibration import MOVE, RELATED_MOVE, REPLAYED, SCORE, build_calibration
from bist_pipeline.drift.data_quality import check_session
from bist_pipeline.drift.distribution import check_distribution
from bist_pipeline.drift.performance import check_performance
from bist_pipeline.drift.replays import CURRENT_SESSIONS
from bist_pipeline.drift.summary import summarise

SHARES, FEATURES, SESSIONS, GAP = 600, 60, 1_050, 63
# More than any rule of data quality looks back.
LOOK_BACK = 640
# Bars: seconds, seconds, seconds, gigabytes.
BARS = {"daily": 1.0, "weekly": 5.0, "calibration": 120.0, "memory": 1.0}
ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
NAMES = [f"feature_{i}" for i in range(FEATURES)]


def build_table() -> pd.DataFrame:
    """Features that move slowly, and with the market, as those of a panel do."""
    rng = np.random.default_rng(0)
    days = pd.bdate_range("2020-01-01", periods=SESSIONS)
    table = {
        "session": np.repeat(days.to_numpy(), SHARES),
        "symbol": np.tile(np.array([f"S{i:03}" for i in range(SHARES)], dtype=object), SESSIONS),
        "tradable": np.ones(SHARES * SESSIONS, dtype=bool),
    }
    for name in NAMES:
        own = rng.normal(size=(SESSIONS, SHARES)).cumsum(axis=0) / 30 + rng.normal(size=SHARES)
        table[name] = (own + 0.3 * rng.normal(size=(SESSIONS, 1))).astype(np.float32).ravel()
    return pd.DataFrame(table)


def build_prices(days: pd.DatetimeIndex) -> pd.DataFrame:
    """Bars of the same shares, for the rules of data quality."""
    rng = np.random.default_rng(2)
    close = 50 * np.exp(rng.normal(0, 0.02, (len(days), SHARES)).cumsum(axis=0)).ravel()
    prices = {
        "session": np.repeat(days.to_numpy(), SHARES),
        "symbol": np.tile(np.array([f"S{i:03}" for i in range(SHARES)], dtype=object), len(days)),
        "volume": rng.lognormal(12, 0.5, len(close)).round(),
    }
    return pd.DataFrame(prices | dict.fromkeys(("open", "high", "low", "close"), close))


def cpu_seconds(action: Callable[[], Any]) -> tuple[float, Any]:
    started = time.process_time()
    result = action()
    return time.process_time() - started, result


def measure_here() -> dict[str, float]:
    ks_distances(pd.DataFrame({0: [0.0, 1.0]}), pd.DataFrame({0: [0.0, 2.0]}))  # imports alibi-detect
    table, due = build_table(), dict.fromkeys(NAMES, 1)
    days = [day.date() for day in table["session"].unique()]
    champion, today = days[-CURRENT_SESSIONS - 1], days[-1]
    known = table.iloc[: SHARES * (days.index(champion) + 1)]  # in order of sessions; a view, no copy
    scores, moves = (
        known[["session", "symbol", "tradable"]].assign(**dict.fromkeys(names, known[NAMES[0]]))
        for names in ((SCORE,), (MOVE, RELATED_MOVE))
    )
    ic = np.random.default_rng(1).normal(0.02, 0.1, 252)
    trained = days[days.index(champion) - GAP]
    calibration_seconds, calibration = cpu_seconds(
        lambda: build_calibration(
            known, due, moves, scores, ic, trained_until=trained, champion_session=champion
        )
    )
    ages = pd.Series(SESSIONS, index=table["symbol"].unique())
    newest = table[table["session"] > pd.Timestamp(champion)]
    sessions = np.array(days, dtype="datetime64[D]")
    prices = build_prices(pd.DatetimeIndex(sessions[-LOOK_BACK:]))

    def judge_day() -> None:
        check_session(prices, session=today, sessions=sessions)
        check_break(calibration.breaks, newest, due, ages=ages, session=today)
        check_performance(ic, ic, daily=ic, quarterly=ic, horizon=GAP)

    daily, _ = cpu_seconds(judge_day)
    weekly, _ = cpu_seconds(lambda: _judge_week(calibration, newest, today))
    return {"daily": daily, "weekly": weekly, "calibration": calibration_seconds, "memory": _peak_gb()}


def _peak_gb() -> float:
    """Most memory of this process; `getrusage` would count what the parent held before this program began."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**20


def _judge_week(calibration: Any, newest: pd.DataFrame, today: dt.date) -> None:
    first = dict.fromkeys((SCORE, MOVE, RELATED_MOVE), newest[NAMES[0]])
    for name in REPLAYED:
        replays = getattr(calibration, name)
        current = summarise(newest.assign(**first), [*replays.columns, *replays.unjudged], until=today)
        check_distribution(replays, current, name=name, session=today, age_sessions=CURRENT_SESSIONS)


def measure() -> list[dict[str, Any]]:
    """Lines of the table."""
    command = [sys.executable, "-m", "benchmarks.drift_speed"]
    answer = subprocess.run(  # noqa: S603
        command, env={**os.environ, **ONE_CORE}, capture_output=True, check=True, text=True
    )
    found = json.loads(answer.stdout)
    words = {
        "daily": "daily check",
        "weekly": "weekly check",
        "calibration": "calibration",
        "memory": "peak memory",
    }
    return [
        {
            "what": f"{SHARES} shares × {FEATURES} features on one core: {words[name]}",
            "measured": found[name],
            "error": None,
            "bar": bar,
            "is_lower_better": True,
            "unit": "GB" if name == "memory" else "s",
            "basis": "" if name == "memory" else "CPU",
        }
        for name, bar in BARS.items()
    ]


if __name__ == "__main__":
    print(json.dumps(measure_here()))
