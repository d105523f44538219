"""Is the process alive; is what it serves the newest there could be."""

from __future__ import annotations

import datetime as dt

from fastapi import APIRouter

from bist_pipeline.store.read import Freshness, read_freshness
from bist_pipeline.store.schema import REVISION
from serving.answers import Live, Ready
from serving.database import EngineOfApp, reading
from serving.problems import ProblemError, describe_problems, nothing_published

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live", summary="The process answers")
def live() -> Live:
    """Answer as long as the process runs, whatever the database does."""
    return Live()


@router.get(
    "/ready",
    summary="The newest session is published",
    responses=describe_problems({503: "It cannot serve the newest session; `detail` says why"}),
)
def ready(engine: EngineOfApp) -> Ready:
    """Check the database, its schema revision, and that no closed session is missing."""
    with reading(engine) as connection:
        freshness = read_freshness(connection, now=dt.datetime.now(dt.UTC))
    return _judge(freshness)


def _judge(freshness: Freshness) -> Ready:
    published, expected, age = freshness.published, freshness.expected, freshness.age_sessions
    if published is None:
        raise nothing_published()
    if age is None:
        detail = f"The newest publication is of {published}, but the stored trading calendar has ended."
        raise ProblemError(503, "freshness-unknown", detail, next="bist run")
    if age > 0:
        detail = f"The newest publication is of {published}; {age} session(s) closed since, up to {expected}."
        raise ProblemError(
            503, "stale-publication", detail, age_sessions=age, next=f"bist run --session {expected}"
        )
    return Ready(schema_revision=REVISION, published_session=published, age_sessions=age)
