"""Score: rank every share of a session with the model that was in charge then, and publish the ranks."""

from __future__ import annotations

import datetime as dt
from hashlib import blake2b
from typing import Any, cast

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from bist_pipeline import __version__
from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.errors import MissingDataError
from bist_pipeline.features.registry import feature_columns
from bist_pipeline.features.wording import word_drivers
from bist_pipeline.lake import open_lake
from bist_pipeline.market.cleaning import clean
from bist_pipeline.market.history import HISTORY_SESSIONS, compute_past_returns, compute_price_series
from bist_pipeline.market.panel import build_panel
from bist_pipeline.model.pipeline import explain
from bist_pipeline.model.ranking import build_batch
from bist_pipeline.receipt import Receipt
from bist_pipeline.stages.hold import require_unbroken
from bist_pipeline.stages.inputs import open_store, read_prices
from bist_pipeline.stages.provenance import Origin, read_origin
from bist_pipeline.store.write import History, Run, publish
from bist_pipeline.tracking import ModelVersion, Registry


def score(settings: Settings, session: dt.date) -> Receipt:
    """Score all shares that have features on `session` and publish them as one batch.

    Raises
    ------
    NoModelError
        If no model of this source was trained on data up to `session`.
    MissingDataError
        If the features of `session` were not computed.
    DataQualityError, ScoringHeldError
        If the features broke with the session before; the previous batch stays published.
    """
    registry = Registry(settings)
    model = registry.find_for(session)
    require_unbroken(settings, session, model)
    run, rows = rank_session(settings, session, model, registry.load(model))
    publish_ranks(settings, run, rows)
    tradable = sum(row["tradable"] for row in rows)
    return Receipt(
        stage="score",
        session=session,
        rows=run.rows,
        summary=f"{run.rows} shares ranked by {model.name} version {model.version} and published, "
        f"{tradable} of them tradable",
        data_hash=run.data_hash,
        details={"run_id": run.run_id, "model_name": model.name, "model_version": model.version},
    )


def rank_session(
    settings: Settings, session: dt.date, model: ModelVersion, pipeline: Pipeline
) -> tuple[Run, list[dict[str, Any]]]:
    """Rank the shares of a session with a model; nothing is written.

    Raises
    ------
    MissingDataError
        If the features of `session` were not computed.
    """
    lake = open_lake(settings)
    origin, version = read_origin(lake, session)
    features = lake.read("features", since=session, until=session, version=version)
    rows = rank_shares(features, pipeline)
    if not rows:
        raise MissingDataError(
            f"No share has a feature on {session}.", next_step=f"bist features --session {session}"
        )
    made_by = {"model_name": model.name, "model_version": model.version}
    rows = [{**row, **made_by, "horizon_sessions": settings.horizon_sessions} for row in rows]
    return _describe(settings, session, model, origin, rows=len(rows)), rows


def rank_shares(features: pd.DataFrame, pipeline: Pipeline) -> list[dict[str, Any]]:
    """Rank the shares of one session that have any feature: the rows of a batch, best first."""
    shares = features[features[feature_columns()].notna().any(axis=1)].reset_index(drop=True)
    if shares.empty:
        return []
    batch = build_batch(shares["symbol"], pipeline.predict(shares), tradable=shares["tradable"])
    drivers = word_drivers(explain(pipeline, shares), shares)
    drivers_of = dict(zip(shares["symbol"], drivers, strict=True))
    rows = batch.assign(drivers=batch["symbol"].map(drivers_of)).to_dict("records")
    return cast("list[dict[str, Any]]", rows)


def publish_ranks(settings: Settings, run: Run, rows: list[dict[str, Any]]) -> None:
    """Publish a batch with what the charts beside it show."""
    publish(open_store(settings), run, rows, history=_read_history(settings, run.session))


def _read_history(settings: Settings, session: dt.date) -> History:
    """What the shares did up to `session`, for the charts and the table of past gains."""
    calendar, lake = bist_calendar(), open_lake(settings)
    first = dt.date.fromisoformat(lake.require("prices").first)
    since = calendar.between(first, session)[-HISTORY_SESSIONS:][0].item()
    raw = build_panel(read_prices(lake, session, since=since), calendar.between(since, session))
    market = clean(raw)
    returns = compute_past_returns(market).replace({np.nan: None})
    series = compute_price_series(raw, market)
    return History(returns=returns.to_dict("records"), series=series.to_dict("records"))


def _describe(settings: Settings, session: dt.date, model: ModelVersion, origin: Origin, *, rows: int) -> Run:
    # The same prices, reports and model give the same run, on any machine and however often.
    inputs = [origin.prices, *([origin.facts] if origin.facts else []), model.fingerprint]
    identity = blake2b(" ".join(inputs).encode(), digest_size=4).hexdigest()
    return Run(
        run_id=f"{settings.source}-{session:%Y%m%d}-{identity}",
        source=settings.source,
        session=session,
        rows=rows,
        data_hash=origin.prices,
        facts_hash=origin.facts,
        calendar_hash=origin.calendar,
        model_name=model.name,
        model_version=model.version,
        code_version=__version__,
        rank_ic=model.rank_ic,
        finished_at=dt.datetime.now(dt.UTC),
    )
