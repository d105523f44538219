"""Is the process alive; is what it serves the newest there could be; what monitoring reads."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bist_pipeline.errors import DatabaseUnavailableError
from bist_pipeline.store.read import Freshness
from bist_pipeline.store.schema import REVISION
from serving import metrics
from serving.answers.trust import Live, Ready
from serving.problems import ProblemError, describe_problems, nothing_published
from serving.snapshot import Keeper

router = APIRouter(tags=["health"])

_METRICS = (
    "# HELP bist_database_up Whether the database answers (1) or not (0).\n"
    "# TYPE bist_database_up gauge\nbist_database_up 1.0\n"
)
_AS_TEXT = {"text/plain": {"schema": {"type": "string"}, "example": _METRICS}}


@router.get("/health/live", summary="The process answers")
async def live() -> Live:
    """Answer as long as the process runs, whatever the database does."""
    return Live()


@router.get(
    "/health/ready",
    summary="The newest session is published",
    responses=describe_problems({503: "It cannot serve the newest session; `detail` says why"}),
)
def ready(request: Request) -> Ready:
    """Tell whether the database answers, its schema is the right one, and no closed session is missing."""
    # The keeper asks the database several times a second: probes need not, and cannot overload it.
    keeper: Keeper = request.app.state.keeper
    snapshot = keeper.current()
    if keeper.is_lost:
        raise keeper.failure or DatabaseUnavailableError(
            f"The database has said nothing for {keeper.unconfirmed_s:.0f} s.",
            consequence="The last snapshot is served.",
            next_step="look whether the database still runs",
        )
    return _judge(snapshot.freshness)


@router.get(
    "/metrics",
    summary="For Prometheus",
    response_class=Response,
    responses={200: {"content": _AS_TEXT, "description": "Prometheus' text format"}},
)
def show_metrics(request: Request) -> Response:
    """Tell how requests were answered, how new the newest batch is, what drift says, how the stages went."""
    found: metrics.Metrics = request.app.state.metrics
    return Response(found.render(), media_type=metrics.MEDIA_TYPE)


def _judge(freshness: Freshness) -> Ready:
    published, age = freshness.published, freshness.age_sessions
    if published is None:
        raise nothing_published()
    facts = {"published": published, "expected": freshness.expected, "age": age}
    if age is None:
        raise ProblemError(503, "freshness-unknown", facts)
    if age > 0:
        raise ProblemError(503, "stale-publication", facts, age_sessions=age)
    return Ready(schema_revision=REVISION, published_session=published, age_sessions=age)
