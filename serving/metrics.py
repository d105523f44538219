"""What Prometheus may know: requests, and how new the snapshot is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from serving.snapshot import Keeper

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Metrics:
    """Counters of one application.

    Parameters
    ----------
    keeper : Keeper
        Asked for its snapshot whenever the metrics are read.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_SnapshotGauges(keeper))
        requests = Counter(
            "bist_requests", "Answers by route and status.", ["route", "status"], registry=self._registry
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
