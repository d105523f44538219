"""Features: from clean prices to what the model sees, for every share and session."""

from __future__ import annotations

import datetime as dt

from bist_pipeline.config import Settings
from bist_pipeline.features.registry import compute_features, feature_columns
from bist_pipeline.lake import open_lake
from bist_pipeline.receipt import Receipt
from bist_pipeline.stages.inputs import read_market


def features(settings: Settings, session: dt.date) -> Receipt:
    """Compute all features up to `session` and replace them in the lake."""
    market = read_market(settings, session)
    frame = compute_features(market)
    first = market.panel.sessions[0].item()
    data_hash = open_lake(settings).write("features", frame, covers=(first, session))

    today = frame[frame["session"] == str(session)]
    tradable = int(today["tradable"].sum())
    return Receipt(
        stage="features",
        session=session,
        rows=len(frame),
        summary=f"{len(feature_columns())} features of {len(today)} shares, {tradable} of them tradable",
        data_hash=data_hash,
        details={
            "features": len(feature_columns()),
            "tradable": tradable,
            "cleaning": {rule.rule: rule.count for rule in market.rules},
        },
    )
