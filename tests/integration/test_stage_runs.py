"""How stages went, from the runner that stores it to what monitoring reads."""

from __future__ import annotations

import datetime as dt
import logging

import pytest
from fastapi.testclient import TestClient

from bist_pipeline.config import Settings, SyntheticSettings
from bist_pipeline.errors import (
    BistError,
    DataQualityError,
    NotASessionError,
    SessionError,
    SessionOutOfRangeError,
)
from bist_pipeline.receipt import Receipt
from bist_pipeline.stages import running
from bist_pipeline.store.engine import connect, open_engine
from bist_pipeline.store.migrate import upgrade
from bist_pipeline.store.read import StageRun, read_stage_runs
from serving.app import create_app

pytestmark = pytest.mark.integration

FRIDAY, MONDAY = dt.date(2024, 6, 28), dt.date(2024, 7, 1)


def stored(settings: Settings) -> dict[str, StageRun]:
    with connect(open_engine(settings.database_url)) as connection:
        return {run.stage: run for run in read_stage_runs(connection)}


def pretend(monkeypatch: pytest.MonkeyPatch, outcome: Receipt | BistError) -> None:
    """Let every stage end like this."""

    def stage(*_arguments: object) -> Receipt:
        if isinstance(outcome, BistError):
            raise outcome
        return outcome

    monkeypatch.setattr(running, "find_stage", lambda *_name: stage)


def test_a_stage_leaves_how_long_it_took_for_the_session_that_it_settled_on(settings):
    market = SyntheticSettings(symbols=40, first_session=dt.date(2024, 1, 2))
    settings = settings.model_copy(update={"synthetic": market})
    receipt = running.run_stage("ingest", settings, None)

    run = stored(settings)["ingest"]
    assert (run.session, run.status, run.rows) == (receipt.session, "done", receipt.rows)
    assert run.seconds > 0
    assert run.finished_at.tzinfo is not None


def test_a_rerun_replaces_and_only_the_newest_session_is_read(settings, database_url, monkeypatch):
    settings = settings.model_copy(update={"database_url": database_url})
    pretend(monkeypatch, DataQualityError("bad"))
    with pytest.raises(DataQualityError):
        running.run_stage("check", settings, MONDAY)
    pretend(monkeypatch, Receipt("check", FRIDAY, 7, "fine"))
    running.run_stage("check", settings, FRIDAY)
    assert (stored(settings)["check"].session, stored(settings)["check"].status) == (MONDAY, "failed")

    pretend(monkeypatch, Receipt("check", MONDAY, 9, "repaired"))
    running.run_stage("check", settings, MONDAY)
    assert (stored(settings)["check"].status, stored(settings)["check"].rows) == ("done", 9)


@pytest.mark.parametrize("error", [NotASessionError("closed"), SessionOutOfRangeError("not yet")])
def test_a_day_without_a_session_hides_nothing(settings, monkeypatch, error):
    pretend(monkeypatch, Receipt("check", FRIDAY, 7, "fine"))
    running.run_stage("check", settings, FRIDAY)
    pretend(monkeypatch, error)
    with pytest.raises(SessionError):
        running.run_stage("check", settings, MONDAY)
    assert (stored(settings)["check"].session, stored(settings)["check"].status) == (FRIDAY, "done")


def test_a_stage_that_is_done_stays_done_where_nothing_can_be_stored(settings, monkeypatch, caplog):
    pretend(monkeypatch, Receipt("features", FRIDAY, 1, "done"))
    lost = settings.model_copy(update={"database_url": "mysql+mysqldb://nobody@127.0.0.1:1/bist"})
    with caplog.at_level(logging.WARNING):
        assert running.run_stage("features", lost, FRIDAY).summary == "done"
    assert "does not answer" in caplog.text


def test_monitoring_reads_how_the_stages_went(settings, monkeypatch):
    upgrade(open_engine(settings.database_url))
    app = create_app(settings)
    with TestClient(app, base_url="http://localhost") as api:
        assert "bist_stage_seconds{" not in api.get("/metrics").text
        pretend(monkeypatch, Receipt("features", FRIDAY, 120, "done"))
        running.run_stage("features", settings, FRIDAY)
        pretend(monkeypatch, DataQualityError("bad"))
        with pytest.raises(DataQualityError):
            running.run_stage("check", settings, FRIDAY)
        lines = api.get("/metrics").text.splitlines()
    assert 'bist_stage_rows{stage="features"} 120.0' in lines
    assert 'bist_stage_failed{stage="features"} 0.0' in lines
    assert 'bist_stage_failed{stage="check"} 1.0' in lines
    for figure in ("seconds", "finished_timestamp_seconds"):
        assert [line for line in lines if line.startswith(f'bist_stage_{figure}{{stage="check"}} ')]
