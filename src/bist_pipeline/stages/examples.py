"""What a model is trained on: the rows with a known result, read from the lake."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from hashlib import blake2b

import pandas as pd

from bist_pipeline import __version__
from bist_pipeline.config import Settings
from bist_pipeline.contracts import KEY
from bist_pipeline.features.registry import ALL_FAMILIES, rank_columns
from bist_pipeline.lake import Lake, content_hash, open_lake
from bist_pipeline.market.labels import compute_forward_excess
from bist_pipeline.market.panel import Sessions, look_up
from bist_pipeline.market.universe import compute_tradable
from bist_pipeline.model import walk_forward
from bist_pipeline.model.walk_forward import VOLATILITY
from bist_pipeline.stages.inputs import read_market


@dataclass(frozen=True)
class Examples:
    """Rows to learn from, the columns of them that are features, and every trading session."""

    rows: pd.DataFrame
    columns: list[str]
    sessions: Sessions


def read_examples(settings: Settings, session: dt.date) -> Examples:
    """Read every row whose result is known at the close of `session`.

    Raises
    ------
    InsufficientDataError
        If no session has enough tradable shares with a known result.
    MissingDataError
        If the features were not computed.
    """
    market = read_market(settings, session)
    lake = open_lake(settings)
    held = lake.require("features").columns
    ranks = [name for name in rank_columns(ALL_FAMILIES) if name in held]
    shares = lake.read("features", until=session, columns=[*KEY, "tradable"])
    excess = compute_forward_excess(market.panel.close, compute_tradable(market), settings.horizon_sessions)
    sessions = market.panel.sessions
    known = look_up(market.panel, excess, shares)
    chosen = walk_forward.select_examples(shares, known, sessions=sessions, settings=settings)
    rows = _read_features(lake, chosen, [VOLATILITY, *ranks])
    # What no share has (anything about volumes, of a file of closes) is no feature of this market.
    has_values = rows.loc[rows["tradable"], ranks].notna().any()
    return Examples(rows, [name for name in ranks if has_values[name]], sessions)


def compute_fingerprint(settings: Settings, examples: pd.DataFrame) -> str:
    """Hash all that decides a model: the same fingerprint is the same model."""
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


def _read_features(lake: Lake, rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    # Year by year: four of five sessions are dropped again, and all of them at once fill the memory.
    parts = []
    for _, year in rows.groupby(rows["session"].dt.year):
        first, last = (edge.date() for edge in (year["session"].iloc[0], year["session"].iloc[-1]))
        features = lake.read("features", since=first, until=last, columns=[*KEY, *columns])
        parts.append(year.merge(features, on=KEY))
    return pd.concat(parts, ignore_index=True)
