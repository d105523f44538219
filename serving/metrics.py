"""What Prometheus may know: requests, how new the snapshot is, what drift says, how every stage went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from bist_pipeline.errors import StoreError
from bist_pipeline.store.read import StageRun, read_stage_runs
from serving.database import Database
from serving.snapshot import Keeper

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Metrics:
    """Counters of one application.

    Parameters
    ----------
    database : Database
        Its keeper is asked for the snapshot whenever the metrics are read; it itself, unless it is known to
        be away, how the stages went.
    """

    def __init__(self, database: Database) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_SnapshotGauges(database.keeper))
        self._registry.register(_StageGauges(database))
        requests = Counter(
            "bist_requests",
            "Answers by route and status; 499 is a client that hung up before it had one.",
            ["route", "status"],
            registry=self._registry,
        )
        seconds = Histogram(
            "bist_request_seconds",
            "Time from request to answer.",
            ["route"],
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        # Finding a child by its labels costs more than counting with it.
        self._requests = cache(lambda route, status: requests.labels(route, status))
        self._seconds = cache(seconds.labels)

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._requests(route, status).inc()
        self._seconds(route).observe(seconds)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class _SnapshotGauges:
    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def collect(self) -> Iterator[Metric]:
        snapshot = self._keeper.snapshot
        is_up = 0.0 if self._keeper.is_lost else 1.0
        yield GaugeMetricFamily("bist_database_up", "Whether the database answers (1) or not (0).", is_up)
        if snapshot is not None and snapshot.drift is not None:
            name, text = "bist_drift_status", "1 for the status that the newest drift verdict has."
            yield _labelled(name, text, "status", {snapshot.drift.status: 1.0})
        if snapshot is None or snapshot.board is None:
            return
        publication, age = snapshot.board.publication, snapshot.freshness.age_sessions
        published_at = publication.published_at.timestamp()
        yield GaugeMetricFamily(
            "bist_published_timestamp_seconds", "When the newest batch was published.", published_at
        )
        yield GaugeMetricFamily(
            "bist_published_shares", "Shares ranked in the newest batch.", publication.universe
        )
        if age is not None:
            yield GaugeMetricFamily(
                "bist_published_age_sessions", "Closed sessions that the newest publication lacks.", age
            )


class _StageGauges:
    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        runs = self._read()
        seconds = {run.stage: run.seconds for run in runs}
        yield _labelled("bist_stage_seconds", "How long the newest run of a stage took.", "stage", seconds)
        rows = {run.stage: float(run.rows) for run in runs}
        yield _labelled("bist_stage_rows", "Rows that it wrote or judged.", "stage", rows)
        failed = {run.stage: float(run.status == "failed") for run in runs}
        yield _labelled("bist_stage_failed", "Whether it failed (1) or not (0).", "stage", failed)
        finished = {run.stage: run.finished_at.timestamp() for run in runs}
        yield _labelled("bist_stage_finished_timestamp_seconds", "When it ended.", "stage", finished)

    def _read(self) -> list[StageRun]:
        if self._database.keeper.is_lost:
            return []
        try:
            with self._database.reading() as connection:
                return read_stage_runs(connection)
        except StoreError:  # `bist_database_up` says so
            return []


def _labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for labelled, value in values.items():
        family.add_metric([labelled], value)
    return family
