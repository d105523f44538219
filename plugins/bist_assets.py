"""What the pipeline makes, as assets of Airflow: which stage reads and writes which; what is told of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Asset, AssetAlias

_GROUP = "bist"

PRICES = Asset("bist_prices", uri="x-bist://lake/prices", group=_GROUP)
FEATURES = Asset("bist_features", uri="x-bist://lake/features", group=_GROUP)
MODEL = Asset("bist_model", uri="x-bist://mlflow/model", group=_GROUP)
PREDICTIONS = Asset("bist_predictions", uri="x-bist://database/predictions", group=_GROUP)
DRIFT = Asset("bist_drift", uri="x-bist://database/drift", group=_GROUP)
# An event of it means that a new model was asked for, and starts the training. The stage `drift` asks on few
# days only: its outlet is the alias, to which it adds the request when there is one.
RETRAIN_REQUEST = Asset("bist_retrain_request", uri="x-bist://database/retrain_request", group=_GROUP)
RETRAIN_IF_ASKED = AssetAlias("bist_retrain_if_asked", group=_GROUP)

INLETS: dict[str, list[Asset]] = {
    "check": [PRICES],
    "features": [PRICES],
    "train": [FEATURES, PRICES],
    "score": [FEATURES, MODEL],
    "evaluate": [PREDICTIONS, PRICES],
    "drift": [PREDICTIONS, FEATURES, MODEL],
}
OUTLETS: dict[str, list[Asset | AssetAlias]] = {
    "ingest": [PRICES],
    "features": [FEATURES],
    "train": [MODEL],
    "score": [PREDICTIONS],
    "drift": [DRIFT, RETRAIN_IF_ASKED],
}


def record(events: Any, receipt: Mapping[str, Any]) -> None:
    """Tell Airflow what a stage wrote.

    Parameters
    ----------
    events : OutletEventAccessors
        `outlet_events` of the task's context.
    receipt : mapping
        The JSON of the stage's receipt.
    """
    facts = describe(receipt)
    for outlet in OUTLETS.get(receipt["stage"], []):
        if isinstance(outlet, Asset):
            events[outlet].extra = facts
    if reason := receipt["details"].get("retrain_requested"):
        events[RETRAIN_IF_ASKED].add(RETRAIN_REQUEST, extra={**facts, "reason": reason})


def describe(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """Pick what is worth seeing beside an asset: session, rows, hash, status, and the model if any."""
    details = receipt["details"]
    facts = {
        "session": receipt["session"],
        "rows": receipt["rows"],
        "hash": receipt["data_hash"],
        "status": details.get("status", "OK"),
    }
    return facts | {name: details[name] for name in ("run_id", "model_version") if name in details}
