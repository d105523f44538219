"""Replay: compute a stored batch once more, from the prices, calendar and model of its day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

import pandas as pd

from bist_pipeline import __version__
from bist_pipeline.config import Settings
from bist_pipeline.contracts import kind_of
from bist_pipeline.errors import ConfigError, MissingDataError
from bist_pipeline.features.registry import compute_features
from bist_pipeline.lake import open_lake
from bist_pipeline.stages.inputs import open_store
from bist_pipeline.stages.provenance import Origin, read_origin_market
from bist_pipeline.stages.score import rank_shares
from bist_pipeline.store.engine import connect
from bist_pipeline.store.read.stored_runs import StoredRun, read_run, read_run_ids
from bist_pipeline.tracking import Registry

_COLUMNS = ("rank", "percentile", "score", "expected_excess_return", "lower", "upper", "tradable", "drivers")
_NOTHING = "Nothing was changed."


@dataclass(frozen=True)
class Difference:
    """One column that came out otherwise, or `symbol` for shares that are in one batch only.

    `largest` is the largest absolute difference, None where the column holds no numbers.
    """

    column: str
    shares: tuple[str, ...]
    largest: float | None


@dataclass(frozen=True)
class Replay:
    """Whether a batch came out equal to the last bit, and if not, what differs."""

    run_id: str
    rows: int
    data_hash: str
    model: str
    code_then: str
    code_now: str
    differences: tuple[Difference, ...]

    @property
    def is_equal(self) -> bool:
        """Whether every value of every share is the same to the last bit."""
        return not self.differences

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {**asdict(self), "equal": self.is_equal}


def replay(settings: Settings, run_id: str) -> Replay:
    """Compute the batch of a stored run again, and compare; nothing is written.

    Features are computed anew by this code from the stored version of the prices, never read. Sentences are
    not compared: they may be worded better by now.

    Raises
    ------
    MissingDataError
        If the run is not stored, or the lake keeps its prices no more.
    NoModelError, ModelError
        If its model is gone or does not load.
    """
    stored = _require_run(settings, run_id)
    settings = settings.model_copy(
        update={"source": stored.source, "horizon_sessions": stored.rows[0]["horizon_sessions"]}
    )
    registry = Registry(settings)
    pipeline = registry.load(registry.find_version(stored.model_version))
    origin = Origin(stored.data_hash, stored.facts_hash, stored.calendar_hash)
    features = compute_features(*read_origin_market(open_lake(settings), stored.session, origin))
    again = rank_shares(features[features["session"] == str(stored.session)], pipeline)
    return Replay(
        run_id=run_id,
        rows=len(stored.rows),
        data_hash=stored.data_hash,
        model=f"{stored.model_name} version {stored.model_version}",
        code_then=stored.code_version,
        code_now=__version__,
        differences=tuple(compare_batches(stored.rows, again)),
    )


def compare_batches(then: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[Difference]:
    """Name the columns in which two batches differ; values are compared to the last bit.

    >>> stored = [{"symbol": "THYAO", **dict.fromkeys(_COLUMNS, 1.0), "drivers": []}]
    >>> compare_batches(stored, [{**stored[0], "score": 1.5}])
    [Difference(column='score', shares=('THYAO',), largest=0.5)]
    """
    before, after = ({row["symbol"]: row for row in batch} for batch in (then, now))
    one_sided = sorted(before.keys() ^ after.keys())
    found = [Difference("symbol", tuple(one_sided), None)] if one_sided else []
    shared = sorted(before.keys() & after.keys())
    for column in _COLUMNS:
        pairs = {symbol: (_plain(before[symbol][column]), _plain(after[symbol][column])) for symbol in shared}
        unequal = {symbol: pair for symbol, pair in pairs.items() if pair[0] != pair[1]}
        if unequal:
            found.append(Difference(column, tuple(unequal), _largest(unequal.values())))
    return found


def _largest(pairs: Any) -> float | None:
    gaps = pd.Series([abs(a - b) for a, b in pairs if isinstance(a, int | float) and not isinstance(a, bool)])
    return None if gaps.empty else float(gaps.max())


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [{name: driver[name] for name in ("feature", "contribution", "value")} for driver in value]
    return value


def _require_run(settings: Settings, run_id: str) -> StoredRun:
    with connect(open_store(settings)) as connection:
        stored, known = read_run(connection, run_id), read_run_ids(connection)
    if stored is None or not stored.rows:
        near = get_close_matches(run_id, known, n=3, cutoff=0.3) or known[:3]
        raise MissingDataError(
            f"No run {run_id!r} is stored ({len(known)} others are); a rerun of its session replaces a run.",
            which=near,
            consequence=_NOTHING,
            next_step=f"bist replay {near[0]}" if near else "bist run",
        )
    if kind_of(stored.source) != "forecast":
        raise ConfigError(
            f"{run_id} is of the source {stored.source}, which has no history to go back to.",
            consequence=_NOTHING,
            next_step="bist run --source snapshot gives the same batch again",
        )
    if not stored.calendar_hash:
        raise MissingDataError(
            f"{run_id} was made by version {stored.code_version}, which did not note what it was made from.",
            consequence=_NOTHING,
            next_step=f"bist run --session {stored.session}, then replay the new run",
        )
    return stored
