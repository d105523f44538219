"""Features: from clean prices to what the model sees, for every share and session."""

from __future__ import annotations

import datetime as dt

from bist_pipeline.config import Settings
from bist_pipeline.features.fundamentals import FAMILY
from bist_pipeline.features.registry import (
    ALL_FAMILIES,
    PRICE_FAMILIES,
    compute_features,
    feature_columns,
)
from bist_pipeline.lake import open_lake
from bist_pipeline.receipt import Receipt
from bist_pipeline.stages.inputs import read_facts, read_market


def features(settings: Settings, session: dt.date) -> Receipt:
    """Compute all features up to `session` and replace them in the lake."""
    market, lake = read_market(settings, session), open_lake(settings)
    facts = read_facts(lake, session)
    frame = compute_features(market, facts)
    first = market.panel.sessions[0].item()
    data_hash = lake.write("features", frame, covers=(first, session))

    names = feature_columns(PRICE_FAMILIES if facts is None else ALL_FAMILIES)
    today = frame[frame["session"] == str(session)]
    tradable = int(today["tradable"].sum())
    unknown = [name for name in feature_columns([FAMILY]) if name in names and today[name].isna().all()]
    return Receipt(
        stage="features",
        session=session,
        rows=len(frame),
        summary=f"{len(names)} features of {len(today)} shares, {tradable} of them tradable",
        data_hash=data_hash,
        details={
            "features": len(names),
            "tradable": tradable,
            "cleaning": {rule.rule: rule.count for rule in market.rules},
        },
        warnings=(f"no share has a current report for: {', '.join(unknown)}",) if unknown else (),
    )
