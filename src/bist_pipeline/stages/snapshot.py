"""The seven stages for a snapshot: all shares on one date, without a history.

The words keep their order and their receipts, and mean what they can mean without a history:

========  ==================================================================================
ingest    read the table and file it under its date
check     rules that need no history
features  the owner's cleaning rules; the target becomes an excess over the median share
train     five folds, with and without the columns that hold the target's own three months
score     publish each share's out-of-fold estimate
evaluate  compare with the changes, which are known already; write the report
drift     nothing to compare with, and it says so
========  ==================================================================================

What is published is `contemporaneous`: an estimate of the past three months, not a forecast.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from hashlib import blake2b

import pandas as pd

from bist_pipeline import __version__
from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.contracts import SNAPSHOT_TARGET, kind_of
from bist_pipeline.drift.snapshot_quality import check_snapshot
from bist_pipeline.drift.status import Status
from bist_pipeline.errors import ConfigError, DataQualityError, MissingDataError, NoModelError
from bist_pipeline.features.wording import word_drivers
from bist_pipeline.lake import content_hash, open_lake
from bist_pipeline.market.snapshot import (
    PREDICTORS,
    clean_snapshot,
    compute_past_excess,
    is_liquid,
    list_securities,
    outside_window,
    usable_predictors,
)
from bist_pipeline.model.cross_fit import FOLD, assign_folds
from bist_pipeline.model.pipeline import explain
from bist_pipeline.model.ranking import build_batch
from bist_pipeline.model.snapshot import learn
from bist_pipeline.receipt import Receipt
from bist_pipeline.reports.snapshot import SnapshotReport, rank_shares, render_snapshot
from bist_pipeline.sources.base import open_source
from bist_pipeline.stages.inputs import open_store
from bist_pipeline.stages.stop import record_stop
from bist_pipeline.stages.watch import summarise_quality
from bist_pipeline.store.write import (
    Run,
    publish,
    write_decision,
    write_drift,
    write_securities,
    write_sessions,
)
from bist_pipeline.tracking import ModelCard, ModelVersion, Registry
from bist_pipeline.wording import Wording, join, say, say_number

_PAST_ONLY = Wording("contemporaneous, not a forecast", "eşzamanlı kestirim, tahmin değil")


def ingest(settings: Settings, session: dt.date | None, *, only_missing: bool = False) -> Receipt:
    """Read the snapshot and file it under `session`, the date that it shows; None takes the setting's.

    A snapshot does not say its date itself.
    """
    if only_missing:
        raise ConfigError(
            "A snapshot arrives whole: --only-missing is for sources of prices.",
            next_step="bist ingest --source snapshot --source-path snapshot.csv",
        )
    calendar, source = bist_calendar(), open_source(settings)
    day = session or source.latest_session(calendar)
    fetch = source.fetch(day, calendar)
    shares = fetch.snapshot
    store, lake = open_store(settings), open_lake(settings)
    data_hash = lake.write("snapshot", _on(day, shares), covers=(day, day))
    lake.write("quarantine", fetch.quarantined, covers=(day, day))
    write_sessions(store, map(calendar.describe, calendar.sessions.tolist()))

    rules = fetch.quarantined["rule"].value_counts().to_dict()
    return Receipt(
        stage="ingest",
        session=day,
        rows=len(shares),
        summary=f"a snapshot of {len(shares)} shares from {settings.source_path}",
        data_hash=data_hash,
        details={"symbols": len(shares), "quarantined": rules},
        warnings=(
            f"the file does not say its date: taken as of {day} (--session, or BIST_SNAPSHOT_SESSION)",
            *fetch.notes,
            *(f"{count} rows quarantined: {rule}" for rule, count in rules.items()),
        ),
    )


def check(settings: Settings, session: dt.date) -> Receipt:
    """Judge the snapshot as it arrived.

    Raises
    ------
    DataQualityError
        If the target is unknown for most shares: nothing can be learned.
    """
    shares = _read(settings, "snapshot", session)
    report = check_snapshot(shares, session)
    blocked = report.having(Status.BLOCK)
    if blocked:
        command = f"bist ingest --session {session}"
        next_step = Wording(f"{command} once the file is repaired", f"dosya onarılınca: {command}")
        page = record_stop(settings, session, [summarise_quality(report)], next_step=next_step)
        raise DataQualityError(
            f"{session} is blocked: {join(finding.message for finding in blocked)}",
            which=blocked[0].symbols,
            consequence=f"Nothing was scored; the previous batch stays published. Report: {page}",
            next_step=next_step.en,
        )
    return Receipt(
        stage="check",
        session=session,
        rows=len(shares),
        summary=f"data quality {report.status.value} by {len(report.findings)} rules",
        details={"status": report.status.value, "rules": report.as_json()},
        warnings=tuple(finding.message.en for finding in report.findings if finding.status is not Status.OK),
    )


def features(settings: Settings, session: dt.date) -> Receipt:
    """Clean the snapshot and turn its target into an excess over the median share."""
    shares = _read(settings, "snapshot", session)
    cleaned = clean_snapshot(shares)
    frame = pd.DataFrame(
        {
            "symbol": shares["symbol"],
            "tradable": is_liquid(shares),
            FOLD: assign_folds(shares["symbol"]),
            "excess": compute_past_excess(cleaned.shares[SNAPSHOT_TARGET]),
        }
    )
    # Every snapshot has the same columns in the lake; those that were dropped have no value.
    numbers = cleaned.shares.reindex(columns=PREDICTORS).astype("float32")
    data_hash = open_lake(settings).write(
        "features", _on(session, frame.join(numbers)), covers=(session, session)
    )
    used = usable_predictors(numbers)
    return Receipt(
        stage="features",
        session=session,
        rows=len(frame),
        summary=f"{len(used)} columns of {len(frame)} shares cleaned, "
        f"{frame['excess'].notna().sum()} of them with a known past change",
        data_hash=data_hash,
        details={"features": len(used), "cleaning": [rule.as_json() for rule in cleaned.rules]},
    )


def plan_folds(settings: Settings, session: dt.date) -> list[dict[str, object]]:
    """Name no fold: a snapshot's are parts of one date, and `train` runs them in a moment."""
    return []


def train(settings: Settings, session: dt.date, *, folds: Sequence[object] = ()) -> Receipt:
    """Fit five folds twice, with and without the columns that hold the target's own three months.

    The model with them is registered and made champion: it answers what the snapshot can answer, and the
    figure without them says what that is worth for the future. The same shares and settings are the same
    model: it is found in the registry, not fitted again. `folds` is what `plan_folds` names: none.

    Raises
    ------
    InsufficientDataError
        If too few shares have a known target. The champion stays.
    RegistryUnavailableError
        If MLflow does not answer. The champion stays.
    """
    registry, store = Registry(settings), open_store(settings)
    shares = _read(settings, "features", session)
    fingerprint = _fingerprint(settings, shares)
    model = registry.find_by_fingerprint(fingerprint)
    is_new, champion = model is None, registry.champion()
    if model is None:
        model = _fit(registry, settings, session, shares, fingerprint)
    registry.promote(model)
    metrics = registry.read_metrics(model)
    if is_new:
        write_decision(store, _as_decision(settings, session, model, champion, metrics))
    return Receipt(
        stage="train",
        session=session,
        rows=int(shares["excess"].notna().sum()),
        summary=f"{model.name} version {model.version}, {kind_of(settings.source)}: "
        f"{_say_r2(metrics)}{'' if is_new else '; same data and settings as before: kept'}",
        data_hash=model.data_hash,
        details={
            "model_name": model.name,
            "model_version": model.version,
            "mlflow_run_id": registry.find_run(model),
            **metrics,
        },
    )


def score(settings: Settings, session: dt.date) -> Receipt:
    """Publish the out-of-fold estimate of every share, ranked.

    Raises
    ------
    NoModelError
        If no model was trained on exactly these shares: only for them its estimates are out of fold.
    """
    shares = _read(settings, "features", session)
    registry = Registry(settings)
    model = _require_model(registry, settings, shares, session)
    pipeline = registry.load(model)
    batch = build_batch(shares["symbol"], pipeline.predict(shares), tradable=shares["tradable"])
    drivers = dict(zip(shares["symbol"], word_drivers(explain(pipeline, shares), shares), strict=True))
    rows = batch.assign(
        drivers=batch["symbol"].map(drivers),
        horizon_sessions=0,  # it does not look ahead
        model_name=model.name,
        model_version=model.version,
    ).to_dict("records")
    run = _describe(settings, session, model, rows=len(rows))
    securities = list_securities(_read(settings, "snapshot", session)).to_dict("records")
    store = open_store(settings)
    # Not before: what is served of the old batch keeps its names if something fails on the way.
    write_securities(store, settings.source, securities)
    publish(store, run, rows)
    return Receipt(
        stage="score",
        session=session,
        rows=run.rows,
        summary=f"{run.rows} shares ranked out of fold by {model.name} version {model.version} and published "
        f"as {kind_of(settings.source)}: the past three months, not a forecast",
        data_hash=run.data_hash,
        details={"run_id": run.run_id, "model_name": model.name, "model_version": model.version},
    )


def evaluate(settings: Settings, session: dt.date) -> Receipt:
    """Compare the estimates with the changes, which are known already, and write the report.

    It goes to the lake as `reports/snapshot/<session>.html` and `.json`.
    """
    shares, raw = (_read(settings, dataset, session) for dataset in ("features", "snapshot"))
    registry = Registry(settings)
    model = _require_model(registry, settings, shares, session)
    metrics = registry.read_metrics(model)
    report = SnapshotReport(
        session=session,
        source=settings.source,
        model=f"{model.name} version {model.version}",
        metrics=metrics,
        predictors=usable_predictors(shares),
        without_window=outside_window(usable_predictors(shares)),
        rules=clean_snapshot(raw).rules,
        shares=rank_shares(raw, registry.load(model).predict(shares).assign(symbol=shares["symbol"])),
    )
    lake, place = open_lake(settings), f"reports/snapshot/{session}"
    lake.publish(f"{place}.json", json.dumps(report.as_json(), ensure_ascii=False))
    address = lake.publish(f"{place}.html", render_snapshot(report))
    return Receipt(
        stage="evaluate",
        session=session,
        rows=len(report.shares),
        summary=f"{report.kind}, not a forecast: {_say_r2(metrics)}; report: {address}",
        details={"kind": report.kind, "report": address, **metrics},
    )


def drift(settings: Settings, session: dt.date) -> Receipt:
    """Record that one date has nothing to drift from."""
    status = Status.INSUFFICIENT_HISTORY.value
    message = Wording(
        "a snapshot is one date: there is nothing to compare it with",
        "anlık görüntü tek bir gündür: karşılaştırılacak bir şey yok",
    )
    model = Registry(settings).champion()
    verdict = {
        "status": status,
        "summary": message,
        "reference_first": None,
        "reference_last": None,
        "model_version": model.version if model else "",
        "checked_at": dt.datetime.now(dt.UTC),
    }
    write_drift(open_store(settings), settings.source, session, verdict, [])
    return Receipt(
        stage="drift",
        session=session,
        rows=0,
        summary=f"{status}: {message}",
        details={"status": status, "checks": []},
    )


def _on(session: dt.date, rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(session=pd.Timestamp(session).as_unit("ns"))


def _read(settings: Settings, dataset: str, session: dt.date) -> pd.DataFrame:
    lake = open_lake(settings)
    lake.require(dataset)
    rows = lake.read(dataset, since=session, until=session)
    if rows.empty:
        stage = "ingest" if dataset == "snapshot" else dataset
        raise MissingDataError(
            f"The lake holds no {dataset} of {session}.", next_step=f"bist {stage} --session {session}"
        )
    return rows


def _fingerprint(settings: Settings, shares: pd.DataFrame) -> str:
    identity = {
        "data": content_hash(shares),
        "source": settings.source,
        "code": __version__,
        "training": settings.training.model_dump(),
    }
    return blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=8).hexdigest()


def _fit(
    registry: Registry, settings: Settings, session: dt.date, shares: pd.DataFrame, fingerprint: str
) -> ModelVersion:
    known = shares[shares["excess"].notna()]
    pipeline, metrics = learn(known, usable_predictors(shares), settings.training)
    card = ModelCard(
        source=settings.source,
        horizon=0,
        data_hash=open_lake(settings).require("snapshot").hash_until(session),
        code_version=__version__,
        trained_through=session,
        fingerprint=fingerprint,
        skill="unproven",
        rank_ic=float("nan"),
        nw_t=float("nan"),
    )
    # As used: on one date, leaves are smaller than the settings say.
    used = pipeline[-1].get_params()
    params = {**used.pop("booster"), **used}
    return registry.register(pipeline, known, card=card, params=params, metrics=metrics)


def _require_model(
    registry: Registry, settings: Settings, shares: pd.DataFrame, session: dt.date
) -> ModelVersion:
    model = registry.find_by_fingerprint(_fingerprint(settings, shares))
    if model is None:
        raise NoModelError(
            f"No version of {registry.name} was trained on the snapshot of {session} as it is now.",
            next_step=f"bist train --session {session}",
        )
    return model


def _describe(settings: Settings, session: dt.date, model: ModelVersion, *, rows: int) -> Run:
    data_hash = open_lake(settings).require("snapshot").hash_until(session)
    identity = blake2b(f"{data_hash} {model.fingerprint}".encode(), digest_size=4).hexdigest()
    return Run(
        run_id=f"{settings.source}-{session:%Y%m%d}-{identity}",
        source=settings.source,
        session=session,
        rows=rows,
        data_hash=data_hash,
        model_name=model.name,
        model_version=model.version,
        code_version=__version__,
        rank_ic=None,  # it ranks the past: there is no skill to state
        finished_at=dt.datetime.now(dt.UTC),
    )


def _as_decision(
    settings: Settings,
    session: dt.date,
    model: ModelVersion,
    champion: ModelVersion | None,
    metrics: dict[str, float],
) -> dict[str, object]:
    return {
        "decided_at": dt.datetime.now(dt.UTC),
        "source": settings.source,
        "session": session,
        "model_name": model.name,
        "challenger_version": model.version,
        "champion_version": champion.version if champion else "",
        "promoted": True,
        "reasons": join([_PAST_ONLY, _say_r2(metrics)], by="\n"),
    }


def _say_r2(metrics: dict[str, float]) -> Wording:
    return say(
        "5-fold R² {with_window} with the columns that hold the target's own three months, {without_window} "
        "without them",
        "5 katlı R²: hedefin kendi üç ayını içeren sütunlarla {with_window}, onlarsız {without_window}",
        with_window=say_number(metrics["r2_with_window"], 2),
        without_window=say_number(metrics["r2_without_window"], 2),
    )
