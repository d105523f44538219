"""Features beside their alternatives: Alpha158 against Qlib itself, the rest against its bar.

Run `python -m benchmarks.features`, with `--json` for machines. Qlib's half needs an environment of its own:

    python3.11 -m venv .venv-qlib && .venv-qlib/bin/pip install -e '.[pipeline,qlib]'
    .venv-qlib/bin/python -m benchmarks.features

Without pyqlib only our half is measured. Both compute on one thread; readings alternate, and the best of each
counts: other work on the machine only ever adds.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.features import long_horizon
from bist_pipeline.features.alpha158 import FEATURES, compute_alpha158
from bist_pipeline.features.alpha158_formulas import Bars
from bist_pipeline.features.cross_section import row_rank
from bist_pipeline.features.feature import Inputs
from bist_pipeline.features.registry import compute_features
from bist_pipeline.market.cleaning import clean
from bist_pipeline.market.panel import Panel, build_panel

COLUMNS = ("open", "high", "low", "close", "vwap", "volume")
NAMES = [feature.name for feature in FEATURES]
SESSIONS = 3_654
COMPUTE_SHARES, ROUNDS = 40, 3
# Relative, and a float32's last digit beside 1 for differences that should be 0.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-7}


def build_bars(shares: int, sessions: int = SESSIONS) -> Bars:
    """Random walks with late listings, suspensions, sessions without a trade and flat stretches."""
    rng = np.random.default_rng(0)
    shape = (shares, sessions)
    returns = rng.normal(0, 0.02, shape)
    returns[::10, 500:600] = 0
    close = 50 * np.exp(returns.cumsum(axis=1))
    opened = close * (1 + rng.normal(0, 0.005, shape))
    high = np.maximum(opened, close) * (1 + rng.exponential(0.005, shape))
    low = np.minimum(opened, close) * (1 - rng.exponential(0.005, shape))
    volume = np.where(rng.random(shape) < 0.01, 0, np.round(rng.lognormal(12, 1, shape)))
    values = dict(zip(COLUMNS, (opened, high, low, close, (high + low + close) / 3, volume), strict=True))
    first = np.where(np.arange(shares) % 20 == 19, sessions // 3, 0)
    missing = (np.arange(sessions) < first[:, None]) | (rng.random(shape) < 0.002)
    missing[5::20, 900:980] = True
    missing[np.arange(shares), first] = False  # a listing begins with a bar
    return Bars(
        first, **{name: np.where(missing, np.nan, x).astype(np.float32) for name, x in values.items()}
    )


def days_of(bars: Bars) -> pd.DatetimeIndex:
    """As many days as there are sessions; which ones makes no difference to any feature."""
    return pd.bdate_range("2010-01-04", periods=bars.close.shape[1])


def write_prices(bars: Bars, folder: Path) -> None:
    """One Parquet file, as a lake holds prices."""
    rows, sessions = np.nonzero(np.isfinite(bars.close))
    prices = pd.DataFrame({name: getattr(bars, name)[rows, sessions].astype(float) for name in COLUMNS})
    prices.insert(0, "session", days_of(bars)[sessions])
    prices.insert(1, "symbol", pd.Categorical.from_codes(rows, [f"S{i:04d}" for i in range(rows.max() + 1)]))
    prices.drop(columns="vwap").to_parquet(folder / "prices.parquet", compression="zstd")


def write_qlib(bars: Bars, folder: Path) -> None:
    """Qlib's own storage: a file for each share and column, float32 behind the number of its first day."""
    days = days_of(bars).strftime("%Y-%m-%d")
    for name in ("calendars", "instruments"):
        (folder / name).mkdir(parents=True)
    (folder / "calendars/day.txt").write_text("\n".join(days) + "\n")
    listings = []
    for i, first in enumerate(bars.first):
        share = folder / f"features/s{i:04d}"
        share.mkdir(parents=True)
        listings.append(f"S{i:04d}\t{days[first]}\t{days[-1]}")
        for name in COLUMNS:
            values = getattr(bars, name)[i, first:]
            np.concatenate([[first], values]).astype("<f4").tofile(share / f"{name}.day.bin")
    (folder / "instruments/all.txt").write_text("\n".join(listings) + "\n")


def compute_with_qlib(folder: Path) -> pd.DataFrame:
    """Qlib's Alpha158 of a folder that `write_qlib` made, on one thread and without its caches."""
    import qlib
    from qlib.contrib.data.loader import Alpha158DL
    from qlib.data import D

    qlib.init(
        provider_uri=str(folder),
        kernels=1,
        expression_cache=None,
        dataset_cache=None,
        logging_level=logging.ERROR,
    )
    expressions, names = Alpha158DL.get_feature_config()
    if names != NAMES:
        raise SystemExit(f"this Qlib calls its features differently: {sorted({*names} ^ {*NAMES})}")
    return D.features(D.instruments("all"), expressions).set_axis(names, axis=1)


def as_table(features: pd.DataFrame, bars: Bars) -> np.ndarray:
    """Qlib's output laid out as ours."""
    shares = features.index.get_level_values("instrument").str[1:].astype(int)
    sessions = days_of(bars).get_indexer(features.index.get_level_values("datetime"))
    table = np.full((len(NAMES), *bars.close.shape), np.nan, dtype=np.float32)
    table[:, shares, sessions] = features.to_numpy(dtype=np.float32).T
    return table


def compare(ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    equal = np.isclose(ours, theirs, equal_nan=True, **TOLERANCE)
    return {
        "features_equal": int(equal.all(axis=(1, 2)).sum()),
        "cells_compared": equal.size,
        "cells_unequal": int((~equal).sum()),
    }


def cpu_seconds(action: Callable[[], Any]) -> tuple[float, Any]:
    started = time.process_time()
    result = action()
    return time.process_time() - started, result


def measure_compute(folder: Path) -> dict[str, float]:
    """Computation alone, and whether all 158 features are equal."""
    bars = build_bars(COMPUTE_SHARES)
    compute_alpha158(bars)  # compiles, or reads what was compiled
    rows = int((SESSIONS - bars.first).sum())
    if not has_qlib():
        ours = min(cpu_seconds(lambda: compute_alpha158(bars))[0] for _ in range(ROUNDS))
        return {"alpha158_microseconds_a_row": ours / rows * 1e6}
    write_qlib(bars, folder)
    compute_with_qlib(folder)  # imports
    rounds = [
        (cpu_seconds(lambda: compute_alpha158(bars)), cpu_seconds(lambda: compute_with_qlib(folder)))
        for _ in range(ROUNDS)
    ]
    ours, theirs = (min(reading[side][0] for reading in rounds) for side in (0, 1))
    return {
        "alpha158_microseconds_a_row": ours / rows * 1e6,
        "qlib_microseconds_a_row": theirs / rows * 1e6,
        "compute_ratio": theirs / ours,
        **compare(rounds[0][0][1], as_table(rounds[0][1][1], bars)),
    }


def measure_processes(folder: Path, shares: int) -> dict[str, float]:
    """From the start of the interpreter to the finished table."""
    bars = build_bars(shares)
    write_prices(bars, folder)
    ours = min((run_side("ours", folder) for _ in range(2)), key=lambda run: run["seconds"])
    found = {
        "process_seconds": ours["seconds"],
        "peak_over_output": ours["peak_bytes"] / (len(NAMES) * bars.close.size * 4),
    }
    if has_qlib():
        write_qlib(bars, folder / "qlib")
        theirs = run_side("qlib", folder / "qlib")
        found |= {
            "qlib_process_seconds": theirs["seconds"],
            "process_ratio": theirs["seconds"] / ours["seconds"],
        }
    return found


def run_side(side: str, folder: Path) -> dict[str, float]:
    started = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.features", "--side", side, "--folder", str(folder)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    return {"seconds": time.perf_counter() - started, **json.loads(printed.splitlines()[-1])}


def peak_bytes() -> int:
    """Most memory this process ever held; `getrusage` would count that of the process it was forked from."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def run_ours(folder: Path) -> pd.DataFrame:
    prices = pd.read_parquet(folder / "prices.parquet")
    panel = build_panel(prices, np.unique(prices["session"].to_numpy().astype("datetime64[D]")))
    del prices
    table = compute_alpha158(bars_of(panel))
    index = pd.MultiIndex.from_product([panel.symbols, panel.sessions], names=["symbol", "session"])
    return pd.DataFrame(table.reshape(len(NAMES), -1).T, index=index, columns=NAMES, copy=False)


def bars_of(panel: Panel) -> Bars:
    first = np.isfinite(panel.close).argmax(axis=0)
    vwap = (panel.high + panel.low + panel.close) / 3
    columns = (panel.open, panel.high, panel.low, panel.close, vwap, panel.volume)
    return Bars(first, *(np.ascontiguousarray(x.T, dtype=np.float32) for x in columns))


def measure_real_panel(path: Path, folder: Path) -> dict[str, float]:
    """CPU seconds for the real market, what carries the forecast and everything; and Qlib's output of it."""
    prices = pd.read_parquet(path).rename(columns={"date": "session"})
    first, last = (prices["session"].agg(edge).date() for edge in ("min", "max"))
    panel = build_panel(prices, bist_calendar().between(first, last))
    cleaned, bars = clean(panel), bars_of(panel)

    def rank_long_horizon() -> None:
        inputs = Inputs(cleaned)
        for feature in long_horizon.FEATURES:
            row_rank(feature.compute(inputs, feature.window, feature.min_history))

    found = {
        "long_horizon_and_ranks_cpu_seconds": min(cpu_seconds(rank_long_horizon)[0] for _ in range(ROUNDS)),
        "all_features_and_ranks_cpu_seconds": min(
            cpu_seconds(lambda: compute_features(cleaned))[0] for _ in range(ROUNDS)
        ),
    }
    if has_qlib():
        write_qlib(bars, folder)
        parity = compare(compute_alpha158(bars), as_table(compute_with_qlib(folder), bars))
        found |= {f"real_{name}": value for name, value in parity.items()}
    return found


BARS = {
    "compute_ratio": ">= 30",
    "features_equal": "158",
    "real_features_equal": "158",
    "process_ratio": ">= 15",
    "peak_over_output": "<= 2",
    "long_horizon_and_ranks_cpu_seconds": "<= 3",
}


def has_qlib() -> bool:
    return importlib.util.find_spec("qlib") is not None


def measure(shares: int) -> Iterator[tuple[str, float]]:
    path = Path(os.environ.get("BIST_SHARED_DATA", "../shared/data")) / "prices_daily.parquet"
    with tempfile.TemporaryDirectory() as folder:
        yield from measure_compute(Path(folder) / "compute").items()
        if path.exists():
            yield from measure_real_panel(path, Path(folder) / "real").items()
        yield from measure_processes(Path(folder), shares).items()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--shares", type=int, default=800, help="shares of the whole processes")
    parser.add_argument("--side", choices=("ours", "qlib"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        (run_ours if options.side == "ours" else compute_with_qlib)(options.folder)
        print(json.dumps({"peak_bytes": peak_bytes()}))
        return
    found = {}
    for name, value in measure(options.shares):
        found[name] = round(value, 3)
        if not options.json:
            print(f"{name.replace('_', ' '):<36}{found[name]:>14,}  {BARS.get(name, '')}", flush=True)
    if options.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
