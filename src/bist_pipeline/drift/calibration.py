"""All that a champion's drift checks compare with, frozen when it becomes champion."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.drift.break_record import BreakRecord, build_break_record
from bist_pipeline.drift.performance import REFERENCE_ICS
from bist_pipeline.drift.replays import Replays, build_replays
from bist_pipeline.drift.status import NO_VERDICT
from bist_pipeline.drift.summary import summarise
from bist_pipeline.errors import DriftInputError
from bist_pipeline.wording import Wording

# Columns of what is watched besides features.
SCORE, MOVE, RELATED_MOVE = "score", "move", "related_move"
# The weekly checks, each with its replays.
REPLAYED = ("features", "regime", "regime_change", "scores", "score_spread")
# Changes with what a calibration holds: files of another version of this package are built anew.
FORMAT = 4


@dataclass(frozen=True)
class Calibration:
    """What is usual for one champion.

    Parameters
    ----------
    session : date
        The session the champion was trained at; nothing here is newer.
    features, regime, regime_change, scores, score_spread : Replays
        Of the weekly checks.
    breaks : BreakRecord
        Of the daily one.
    daily_ic : array, shape (<= 252,)
        Rank IC of scores with the next session's returns, oldest first: of models of the champion's recipe,
        on sessions that none of them was trained on.
    """

    session: dt.date
    features: Replays
    regime: Replays
    regime_change: Replays
    scores: Replays
    score_spread: Replays
    breaks: BreakRecord
    daily_ic: NDArray[np.float64]

    @property
    def columns(self) -> tuple[str, ...]:
        """The features that are watched, in the order of the feature table."""
        return self.breaks.columns


def build_calibration(
    features: pd.DataFrame,
    columns: Mapping[str, int],
    moves: pd.DataFrame,
    scores: pd.DataFrame,
    daily_ic: NDArray[np.float64],
    *,
    trained_until: dt.date,
    champion_session: dt.date,
    stopped: Collection[dt.date] = (),
) -> Calibration:
    """Replay every check on the past of a champion.

    Parameters
    ----------
    features : DataFrame
        `session, symbol, tradable` and the columns, with the history up to `champion_session`.
    columns : mapping of str to int
        The features to watch, and the age in sessions from which a share should have a value.
    moves : DataFrame
        `session, symbol, tradable, move, related_move`: returns since the session before, as they are and
        by `relate_to_before`, on the same sessions.
    scores : DataFrame
        `session, symbol, tradable, score`: the champion's, on the same sessions.
    daily_ic : array
        Of out-of-sample scores with the next session's returns, oldest first: `scores` would flatter the
        champion, which has seen the results of these sessions.
    trained_until, champion_session : date
        Last session of the champion's training rows, and the session it was trained at.
    stopped : collection of date
        Sessions that a check stopped and nobody released: they say nothing about what is usual.

    Raises
    ------
    DriftInputError
        If a column is missing, a share has two rows on a session, or a date is not in the table.
    """
    features, moves, scores = (_set_aside(table, stopped) for table in (features, moves, scores))

    def replay(table: pd.DataFrame, names: Sequence[str], view: str) -> Replays:
        return build_replays(
            summarise(table, names, until=champion_session),
            view=view,
            trained_until=trained_until,
            champion_session=champion_session,
        )

    return Calibration(
        session=champion_session,
        features=replay(features, list(columns), "relative"),
        regime=replay(moves, [MOVE], "centred"),
        regime_change=replay(moves, [RELATED_MOVE], "centred"),
        scores=replay(scores, [SCORE], "relative"),
        score_spread=replay(scores, [SCORE], "centred"),
        breaks=build_break_record(features, columns, champion_session=champion_session, stopped=stopped),
        daily_ic=np.asarray(daily_ic, dtype=np.float64)[-REFERENCE_ICS:],
    )


def _set_aside(rows: pd.DataFrame, stopped: Collection[dt.date]) -> pd.DataFrame:
    """Keep the place of stopped sessions and none of their shares: windows stay as long as they are."""
    is_stopped = rows["session"].isin([pd.Timestamp(day) for day in stopped])
    others = rows.copy(deep=False)  # a copy in full would be the largest thing in memory
    others["tradable"] = rows["tradable"].astype(bool) & ~is_stopped
    return others


def hash_columns(columns: Sequence[str]) -> str:
    """Hash of column names in their order: 16 hex digits.

    >>> hash_columns(["beta_252", "vol_126"]) == hash_columns(["vol_126", "beta_252"])
    False
    """
    return blake2b("\n".join(columns).encode(), digest_size=8).hexdigest()


def to_bytes(calibration: Calibration) -> bytes:
    """Write a calibration as one `.npz` file; the same calibration gives the same bytes."""
    facts, arrays = _flatten(calibration, "")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, facts=np.array(json.dumps({**facts, "format": FORMAT})), **arrays)
    return buffer.getvalue()


def from_bytes(content: bytes) -> Calibration:
    """Read what `to_bytes` wrote.

    Raises
    ------
    DriftInputError
        If the file is damaged, or of another version of this package.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            facts = json.loads(str(stored["facts"]))
            if facts.get("format") != FORMAT:
                raise ValueError("it was written by another version of this package")
            arrays = {name: stored[name] for name in stored.files if name != "facts"}
        return Calibration(
            session=dt.date.fromisoformat(facts["session"]),
            **{name: Replays(**_gather(Replays, facts, arrays, f"{name}.")) for name in REPLAYED},
            breaks=BreakRecord(**_gather(BreakRecord, facts, arrays, "breaks.")),
            daily_ic=arrays["daily_ic"],
        )
    except (BadZipFile, OSError, EOFError, KeyError, TypeError, ValueError) as error:
        raise DriftInputError(
            Wording(
                f"The champion's calibration cannot be read: {error}.",
                "Modelin kayma ayarı okunamıyor: dosya bozuk ya da başka bir sürümün.",
            ),
            consequence=NO_VERDICT,
            next_step="bist train (it builds a missing or damaged calibration again)",
        ) from error


def _flatten(part: Any, prefix: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    facts: dict[str, Any] = {}
    arrays: dict[str, NDArray[Any]] = {}
    for field in fields(part):
        name, value = prefix + field.name, getattr(part, field.name)
        if isinstance(value, np.ndarray):
            arrays[name] = value
        elif isinstance(value, Replays | BreakRecord):
            inner_facts, inner_arrays = _flatten(value, f"{name}.")
            facts, arrays = facts | inner_facts, arrays | inner_arrays
        else:
            facts[name] = value.isoformat() if isinstance(value, dt.date) else value
    return facts, arrays


def _gather(kind: type, facts: Mapping[str, Any], arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in fields(kind):
        name = prefix + field.name
        if name in arrays:
            values[field.name] = arrays[name]
        elif str(field.type) == "dt.date":
            values[field.name] = dt.date.fromisoformat(facts[name])
        else:
            fact = facts[name]
            values[field.name] = tuple(fact) if isinstance(fact, list) else fact
    return values
