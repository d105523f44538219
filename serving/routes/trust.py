"""How far to trust the ranks: results so far, drift, the champion, and the runs behind what is published."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from bist_pipeline.store import read
from serving.answers.trust import (
    Backtest,
    Champion,
    Decision,
    Drift,
    DriftCheck,
    DriftState,
    DriftVerdict,
    FeatureDistance,
    Run,
    Runs,
    Score,
    Scorecards,
    Texts,
)
from serving.database import DatabaseOfApp
from serving.delivery import SnapshotOfApp, board_of, deliver, describe_answers
from serving.parameters import Paged, refuse_parameters, refuse_repeats
from serving.routes.predictions import describe_drift
from serving.snapshot import DAYS, RUNS, Snapshot
from serving.tables import encode_table

router = APIRouter(prefix="/api/v1", tags=["trust"])

_CSV_SCORES = (
    "source,session,horizon_sessions,window_sessions,model,judged,first_session,last_session,lag_sessions,symbols,"
    "rank_ic,lower,upper,independent,coverage,skill\r\n"
    "files,2024-06-28,63,252,published,252,2023-03-24,2024-03-28,63,80217,0.094,0.021,0.166,4.0,0.79,proven\r\n"
)
_CSV_DECISIONS = (
    "decided_at,session,model_name,challenger_version,champion_version,promoted,reasons\r\n"
    "2024-03-28T17:10:00Z,2024-03-28,bist-rank-63s,3,2,true,No champion yet.\r\n"
)
_CSV_DRIFT = (
    "source,session,status,summary\r\n"
    "files,2024-06-28,OK,features: beta_252 differs most: 2.4 times its usual distance\r\n"
)
_CSV_RUNS = (
    "run_id,source,session,rows,data_hash,model_name,model_version,code_version,rank_ic,finished_at,published_at\r\n"
    "files-20240628-4f0c9a1e,files,2024-06-28,471,9b1c4be2,bist-rank-63s,3,0.1.0,0.102,2024-06-28T16:05:12Z,"
    "2024-06-28T16:05:12Z\r\n"
)


@router.get(
    "/scorecard",
    summary="What became of the published ranks",
    dependencies=[Depends(refuse_parameters)],
    **describe_answers(Scorecards, _CSV_SCORES, {}),
)
def show_scorecard(request: Request, snapshot: SnapshotOfApp) -> Response:
    """Tell how the ranks did, as they were published, beside simple rankings on the same rows."""
    source = board_of(snapshot).publication.source
    scores = [Score.model_validate(card) for card in snapshot.scorecards]
    session = snapshot.scorecards[0].session if scores else None
    answer = Scorecards(source=source, session=session, scores=scores)
    return deliver(
        request,
        snapshot,
        json=lambda: answer.model_dump_json().encode(),
        table=lambda: encode_table(
            Score, scores, lead={"source": source, "session": session}, without="verdict"
        ),
    )


@router.get(
    "/models/champion",
    summary="The model in use",
    dependencies=[Depends(refuse_parameters)],
    **describe_answers(Champion, _CSV_DECISIONS, {}),
)
def show_champion(request: Request, snapshot: SnapshotOfApp) -> Response:
    """Tell which model made the newest publication, and why it and no other; as CSV, the decisions alone."""
    model = board_of(snapshot).publication.model
    decisions = [Decision.model_validate(each) for each in snapshot.decisions]
    answer = Champion(
        name=model.name,
        version=model.version,
        rank_ic=model.rank_ic,
        decision=None if snapshot.decision is None else Decision.model_validate(snapshot.decision),
        decisions=decisions,
        backtests=[Backtest.model_validate(each) for each in snapshot.backtests],
    )
    return deliver(
        request,
        snapshot,
        json=lambda: answer.model_dump_json().encode(),
        table=lambda: encode_table(Decision, decisions, lead={}),
    )


@router.get(
    "/drift",
    summary="Whether the market is still the one the model knows",
    dependencies=[Depends(refuse_repeats)],
    **describe_answers(Drift, _CSV_DRIFT, {}),
)
def show_drift(
    request: Request, snapshot: SnapshotOfApp, database: DatabaseOfApp, wanted: Annotated[Paged, Query()]
) -> Response:
    """Tell the newest verdict with all that was measured, and earlier ones; as CSV, the verdicts alone."""
    source = board_of(snapshot).publication.source
    found = snapshot.verdicts
    if not wanted.is_within(DAYS):
        with database.reading() as connection:
            found = read.read_drift_runs(connection, source, before=wanted.before, limit=wanted.limit + 1)
    shown = [describe_drift(run) for run in found[: wanted.limit]]
    following = None
    if len(found) > wanted.limit:
        following = wanted.address("/api/v1/drift", before=shown[-1].session.isoformat())
    answer = Drift(source=source, newest=_describe_newest(snapshot), next=following, history=shown)
    return deliver(
        request,
        snapshot,
        json=lambda: answer.model_dump_json().encode(),
        table=lambda: encode_table(DriftState, shown, lead={"source": source}),
        following=following,
    )


@router.get(
    "/runs",
    summary="The runs behind the publications",
    dependencies=[Depends(refuse_repeats)],
    **describe_answers(Runs, _CSV_RUNS, {}),
)
def list_runs(
    request: Request, snapshot: SnapshotOfApp, database: DatabaseOfApp, wanted: Annotated[Paged, Query()]
) -> Response:
    """List the run behind every publication of the current source, newest session first."""
    board_of(snapshot)
    found = snapshot.runs
    if not wanted.is_within(RUNS):
        with database.reading() as connection:
            found = read.read_runs(connection, before=wanted.before, limit=wanted.limit + 1)
    shown = [Run.model_validate(run) for run in found[: wanted.limit]]
    following = None
    if len(found) > wanted.limit:
        following = wanted.address("/api/v1/runs", before=shown[-1].session.isoformat())
    answer = Runs(next=following, runs=shown)
    return deliver(
        request,
        snapshot,
        json=lambda: answer.model_dump_json().encode(),
        table=lambda: encode_table(Run, shown, lead={}),
        following=following,
    )


def _describe_newest(snapshot: Snapshot) -> DriftVerdict | None:
    run = snapshot.drift
    if run is None:
        return None
    return DriftVerdict(
        **describe_drift(run).model_dump(),
        checks=[_describe_check(check) for check in snapshot.checks],
        reference_first=run.reference_first,
        reference_last=run.reference_last,
        model_version=run.model_version,
        checked_at=run.checked_at,
        features=[FeatureDistance.model_validate(each) for each in snapshot.features],
    )


def _describe_check(check: read.DriftCheck) -> DriftCheck:
    return DriftCheck(
        check=check.check_name,
        session=check.session,
        status=check.status,
        statistic=check.statistic,
        p_value=check.p_value,
        threshold=check.threshold,
        action=Texts.model_validate(check.action),
        message=Texts.model_validate(check.message),
    )
