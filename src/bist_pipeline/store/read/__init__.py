"""What readers ask of the database, one module for each thing that is asked for."""

from bist_pipeline.store.read.backtests import Backtest, RankingFigures, read_backtests
from bist_pipeline.store.read.batches import (
    Batch,
    Model,
    Prediction,
    Publication,
    read_batch,
    read_sectors,
    read_symbols,
)
from bist_pipeline.store.read.decisions import Decision, read_decision, read_decisions, read_reasons
from bist_pipeline.store.read.drift import (
    DriftCheck,
    DriftFeature,
    DriftRun,
    read_drift_runs,
    read_drift_status,
    read_newest_checks,
)
from bist_pipeline.store.read.freshness import Freshness, read_freshness
from bist_pipeline.store.read.health import read_health
from bist_pipeline.store.read.history import PastPrediction, read_history
from bist_pipeline.store.read.mark import read_mark
from bist_pipeline.store.read.past_returns import PastReturn, read_past_returns
from bist_pipeline.store.read.publications import read_newest_publication, read_published_sessions
from bist_pipeline.store.read.results import (
    PUBLISHED,
    Scorecard,
    read_due,
    read_judged,
    read_result,
    read_scorecards,
)
from bist_pipeline.store.read.revision import check_revision
from bist_pipeline.store.read.runs import RunRecord, read_runs
from bist_pipeline.store.read.securities import read_sector_of
from bist_pipeline.store.read.stage_runs import StageRun, read_stage_runs

__all__ = [
    "PUBLISHED",
    "Backtest",
    "Batch",
    "Decision",
    "DriftCheck",
    "DriftFeature",
    "DriftRun",
    "Freshness",
    "Model",
    "PastPrediction",
    "PastReturn",
    "Prediction",
    "Publication",
    "RankingFigures",
    "RunRecord",
    "Scorecard",
    "StageRun",
    "check_revision",
    "read_backtests",
    "read_batch",
    "read_decision",
    "read_decisions",
    "read_drift_runs",
    "read_drift_status",
    "read_due",
    "read_freshness",
    "read_health",
    "read_history",
    "read_judged",
    "read_mark",
    "read_newest_checks",
    "read_newest_publication",
    "read_past_returns",
    "read_published_sessions",
    "read_reasons",
    "read_result",
    "read_runs",
    "read_scorecards",
    "read_sector_of",
    "read_sectors",
    "read_stage_runs",
    "read_symbols",
]
