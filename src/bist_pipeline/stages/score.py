"""Score: rank every share of a session with the model that was in charge then, and publish the ranks."""

from __future__ import annotations

import datetime as dt
from hashlib import blake2b

import pandas as pd

from bist_pipeline import __version__
from bist_pipeline.config import Settings
from bist_pipeline.errors import MissingDataError
from bist_pipeline.features.registry import feature_columns
from bist_pipeline.lake import open_lake
from bist_pipeline.model.pipeline import explain
from bist_pipeline.model.ranking import build_batch
from bist_pipeline.receipt import Receipt
from bist_pipeline.stages.inputs import open_store
from bist_pipeline.store.write import Run, publish
from bist_pipeline.tracking import ModelVersion, Registry


def score(settings: Settings, session: dt.date) -> Receipt:
    """Score all shares that have features on `session` and publish them as one batch.

    Raises
    ------
    NoModelError
        If no model of this source was trained on data up to `session`.
    MissingDataError
        If the features of `session` were not computed.
    """
    registry = Registry(settings)
    model = registry.find_for(session)
    pipeline = registry.load(model)
    shares = _read_shares(settings, session)

    batch = build_batch(shares["symbol"], pipeline.predict(shares), tradable=shares["tradable"])
    drivers = dict(zip(shares["symbol"], explain(pipeline, shares), strict=True))
    rows = batch.assign(
        drivers=batch["symbol"].map(drivers),
        horizon_sessions=settings.horizon_sessions,
        model_name=model.name,
        model_version=model.version,
    ).to_dict("records")

    run = _describe(settings, session, model, rows=len(rows))
    publish(open_store(settings), run, rows)
    tradable = int(batch["tradable"].sum())
    return Receipt(
        stage="score",
        session=session,
        rows=run.rows,
        summary=f"{run.rows} shares ranked by {model.name} version {model.version} and published, "
        f"{tradable} of them tradable",
        data_hash=run.data_hash,
        details={"run_id": run.run_id, "model_name": model.name, "model_version": model.version},
    )


def _read_shares(settings: Settings, session: dt.date) -> pd.DataFrame:
    lake = open_lake(settings)
    lake.require("features")
    shares = lake.read("features", since=session, until=session)
    shares = shares[shares[feature_columns()].notna().any(axis=1)].reset_index(drop=True)
    if shares.empty:
        raise MissingDataError(
            f"The lake holds no features for {session}.", next_step=f"bist features --session {session}"
        )
    return shares


def _describe(settings: Settings, session: dt.date, model: ModelVersion, *, rows: int) -> Run:
    # The same prices, reports and model give the same run, on any machine and however often.
    lake = open_lake(settings)
    data_hash, facts = lake.require("prices").hash_until(session), lake.head("fundamentals")
    inputs = [data_hash, *([facts.hash_until(session)] if facts else []), model.fingerprint]
    identity = blake2b(" ".join(inputs).encode(), digest_size=4).hexdigest()
    return Run(
        run_id=f"{settings.source}-{session:%Y%m%d}-{identity}",
        source=settings.source,
        session=session,
        rows=rows,
        data_hash=data_hash,
        model_name=model.name,
        model_version=model.version,
        code_version=__version__,
        rank_ic=model.rank_ic,
        finished_at=dt.datetime.now(dt.UTC),
    )
