"""Features: from clean prices to what the model sees, for every share and session."""

from __future__ import annotations

import datetime as dt

from bist_pipeline.config import Settings
from bist_pipeline.contracts import feature_contract, require
from bist_pipeline.features.fundamentals import FAMILY
from bist_pipeline.features.registry import (
    ALL_FAMILIES,
    PRICE_FAMILIES,
    compute_features,
    feature_columns,
    rank_columns,
)
from bist_pipeline.lake import open_lake
from bist_pipeline.receipt import Receipt
from bist_pipeline.stages.provenance import pin_inputs, read_origin_market, write_origins


def features(settings: Settings, session: dt.date) -> Receipt:
    """Compute all features up to `session` and replace them in the lake.

    All of them every time: a feed that corrects its history, reports that arrive late and new code all
    change the past, and what has not changed is not written again.

    Raises
    ------
    ContractError
        If a feature is infinite, or a rank is none; the lake keeps what it had.
    MissingDataError, SessionOutOfRangeError
        As `pin_inputs`.
    """
    lake = open_lake(settings)
    pinned = pin_inputs(lake, session)
    market, facts = read_origin_market(lake, session, pinned.at(session))
    frame = compute_features(market, facts)
    families = PRICE_FAMILIES if facts is None else ALL_FAMILIES
    names = feature_columns(families)
    require(
        frame,
        feature_contract(names, rank_columns(families)),
        next_step=f"correct the function of the feature, then: bist features --session {session}",
    )
    first = market.panel.sessions[0].item()
    data_hash = lake.write("features", frame, covers=(first, session))
    write_origins(lake, session, pinned, data_hash)

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
            "cleaning": [rule.as_json() for rule in market.rules],
        },
        warnings=(f"no share has a current report for: {', '.join(unknown)}",) if unknown else (),
    )
