"""The lake beside np.load: reading 2.7 million rows, and appending sessions to them one at a time.

Run `python -m benchmarks.lake`, with `--json` for machines. Readings alternate with np.load of the same
numbers, and the best of each counts: other work on the machine only ever adds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from bist_pipeline.lake import Lake
from bist_pipeline.lake.lake import MAX_PARTS

SYMBOLS, SESSIONS, ROUNDS = 600, 4_500, 9


def build_prices() -> pd.DataFrame:
    """Prices of two decimals, multiplied by an adjustment, as feeds deliver them."""
    rng = np.random.default_rng(0)
    shape = (SESSIONS, SYMBOLS)
    close = np.round(50 * np.exp(rng.normal(0, 0.02, shape).cumsum(axis=0)), 2)
    opened = np.round(close * (1 + rng.normal(0, 0.005, shape)), 2)
    adjustment = rng.uniform(0.3, 1, SYMBOLS)
    sessions = pd.bdate_range("2007-01-01", periods=SESSIONS).to_numpy()
    symbols = np.array([f"SYM{i:03d}" for i in range(SYMBOLS)], dtype=object)
    columns = {
        "session": np.repeat(sessions, SYMBOLS),
        "symbol": np.tile(symbols, SESSIONS),
        "open": (opened * adjustment).ravel(),
        "high": ((np.maximum(opened, close) + 0.02) * adjustment).ravel(),
        "low": ((np.minimum(opened, close) - 0.02) * adjustment).ravel(),
        "close": (close * adjustment).ravel(),
        "volume": rng.integers(1_000, 10_000_000, shape).astype(float).ravel(),
    }
    return pd.DataFrame(columns)


def save_numbers(prices: pd.DataFrame, path: Path) -> None:
    """Save what the lake holds as one matrix of float64: the session and the symbol as numbers."""
    keys = {"session": prices["session"].astype("int64"), "symbol": pd.factorize(prices["symbol"])[0]}
    np.save(path, prices.assign(**keys).to_numpy(dtype=np.float64))


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    result = action()
    elapsed = time.perf_counter() - started
    del result  # giving the memory back is not what is measured
    return elapsed


def compare_reading(lake: Lake, numbers: Path) -> dict[str, float]:
    pairs = [(seconds(lambda: np.load(numbers)), seconds(lambda: lake.read("prices"))) for _ in range(ROUNDS)]
    loads, reads = zip(*pairs, strict=True)
    return {
        "np_load_seconds": min(loads),
        "read_seconds": min(reads),
        "read_ratio": min(reads) / min(loads),
    }


def measure(folder: Path) -> dict[str, float]:
    prices, lake, numbers = build_prices(), Lake(str(folder / "lake")), folder / "numbers.npy"
    save_numbers(prices, numbers)

    def write(rows: pd.DataFrame) -> float:
        first, last = rows["session"].iloc[[0, -1]].dt.date
        return seconds(lambda: lake.write("prices", rows, covers=(first, last)))

    # The last append finds as many files as there may be, and makes one of them.
    until = (SESSIONS - MAX_PARTS) * SYMBOLS
    written = write(prices[:until])
    appends = [write(prices[start : start + SYMBOLS]) for start in range(until, len(prices), SYMBOLS)]
    *_, compaction = appends
    one_file = compare_reading(lake, numbers)
    stored = sum(path.stat().st_size for path in folder.glob("lake/prices/*.parquet"))
    day = prices["session"].iloc[-1].date()
    return {
        "rows": len(prices),
        "write_seconds": written,
        "append_seconds": median(appends[:-1]),
        "append_seconds_worst": max(appends[:-1]),
        "compaction_seconds": compaction,
        **one_file,
        "read_one_session_seconds": seconds(lambda: lake.read("prices", since=day)),
        "ingest_of_the_same_history_seconds": write(prices),
        "megabytes": stored / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    as_json = parser.parse_args().json
    with tempfile.TemporaryDirectory() as folder:
        found = {name: round(value, 4) for name, value in measure(Path(folder)).items()}
    if as_json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name.replace('_', ' '):<36}{value:>12,}")


if __name__ == "__main__":
    main()
