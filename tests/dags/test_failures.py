"""When something fails: what Airflow does, who is told, and that the guide says the same."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from types import SimpleNamespace

import pytest

from bist_pipeline import errors
from bist_pipeline.alerts import Delivery
from bist_pipeline.store.engine import open_engine
from bist_pipeline.store.migrate import upgrade
from tests.publishing import SESSION, publish_score

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
BASES = (errors.BistError, errors.SourceError, errors.SessionError, errors.LakeError, errors.ModelError)
RAISED = [
    each
    for each in vars(errors).values()
    if isinstance(each, type)
    and issubclass(each, errors.BistError)
    and each not in (*BASES, errors.StoreError)
]


@pytest.fixture
def alerts(dag_bag, monkeypatch):
    """The module, and every message that it sends."""
    import bist_alerts
    from bist_pipeline import alerts

    sent = []
    monkeypatch.setattr(alerts, "send", lambda alert, settings: sent.append(alert) or Delivery(("log",), ()))
    return SimpleNamespace(module=bist_alerts, sent=sent)


@pytest.fixture
def database(tmp_path, monkeypatch):
    """A database in which the ranks of 2024-06-28 are published."""
    url = f"sqlite:///{tmp_path}/bist.db"
    monkeypatch.setenv("BIST_DATABASE_URL", url)
    monkeypatch.setenv("BIST_SOURCE", "files")
    engine = open_engine(url)
    upgrade(engine)
    publish_score(engine, 1.0, rows=3)
    engine.dispose()


def late(module, run_type, moment):
    run = {"run_type": run_type, "logical_date": moment, "dag_id": "bist_daily", "dag_run_id": "of that day"}
    asyncio.run(module.tell_late({"dag_run": run}))


@pytest.mark.parametrize("guide", ["docs/en/operating.md", "docs/tr/isletme.md"])
def test_the_guide_says_of_every_error_what_airflow_does(guide):
    text = (ROOT / guide).read_text()
    table = [line for line in text.splitlines() if line.startswith("| `") and "Error`" in line]

    rows = {line.split("`")[1]: line.split("|")[2].strip() for line in table}
    assert rows == {each.__name__: each.policy.value for each in RAISED}, (
        f"{guide}: its table of errors must name each class with its policy, as bist_pipeline.errors has it."
    )


def test_a_failed_run_is_one_alert_with_cause_urgency_and_runbook(alerts):
    cause = "DataQualityError: 2024-06-28 is blocked.\nNext: repair the source"
    task = SimpleNamespace(task_id="check", map_index=-1, xcom_pull=lambda **_: cause)
    dag = SimpleNamespace(dag_id="bist_daily")

    alerts.module.tell_failed({"dag": dag, "run_id": "scheduled__1", "ti": task})

    (alert,) = alerts.sent
    assert "bist_daily, run scheduled__1, task check: DataQualityError: 2024-06-28 is blocked." in alert.text
    assert (alert.urgency, alert.check) == ("today", "bist_daily failed")
    assert "docs/en/operating.md" in alert.runbook
    assert alert.turkish.startswith("bist_daily, çalışma scheduled__1, görev check: DataQualityError:")
    assert "docs/tr/isletme.md" in alert.turkish


def test_a_killed_task_is_told_too(alerts):
    task = SimpleNamespace(task_id="score", map_index=-1, xcom_pull=lambda **_: None)

    alerts.module.tell_failed({"dag": SimpleNamespace(dag_id="bist_daily"), "run_id": "x", "ti": task})

    assert "killed or ran out of time" in alerts.sent[0].cause
    assert "öldürüldü ya da süresi doldu" in alerts.sent[0].turkish


@pytest.mark.parametrize(("language", "guide"), [(0, "docs/en/operating.md"), (1, "docs/tr/isletme.md")])
def test_the_runbook_that_alerts_name_is_in_the_guide(alerts, language, guide):
    text = (ROOT / guide).read_text()

    for section in (alerts.module.FAILED_RUN, alerts.module.LATE_BATCH):
        assert f"\n## {section[language]}\n" in text


def test_a_batch_that_is_not_published_in_time_is_one_alert(alerts, database):
    late(alerts.module, "scheduled", "2024-07-01T15:40:00Z")

    (alert,) = alerts.sent
    assert "the ranks of 2024-07-01 are not published; the newest are of 2024-06-28" in alert.cause
    assert "2024-07-01 seansının listesi yayında değil; en yenisinin seansı: 2024-06-28" in alert.turkish
    assert alert.urgency == "today"


def test_a_published_batch_and_replays_of_the_past_are_nobodys_deadline(alerts, database):
    late(alerts.module, "scheduled", f"{SESSION}T15:40:00Z")
    late(alerts.module, "backfill", "2024-07-01T15:40:00Z")
    late(alerts.module, "manual", "2024-07-01T15:40:00Z")

    assert not alerts.sent


def test_a_database_out_of_reach_is_told_as_such(alerts, monkeypatch):
    monkeypatch.setenv("BIST_DATABASE_URL", "mysql+mysqldb://bist@127.0.0.1:1/bist")

    late(alerts.module, "scheduled", "2024-07-01T15:40:00Z")

    assert "cannot be told" in alerts.sent[0].cause


@pytest.mark.parametrize(("day", "deadline_at"), [("2024-06-28", "20:00"), ("2024-04-09", "14:30")])
def test_the_deadline_is_20_00_in_istanbul_and_14_30_on_half_days(alerts, monkeypatch, day, deadline_at):
    from bist_pipeline.calendar import bist_calendar
    from bist_timetable import SessionTimetable

    deadline = alerts.module.daily_deadline()
    due = bist_calendar().cutoff(dt.date.fromisoformat(day)) + SessionTimetable().margin

    assert (due + deadline.interval).strftime("%H:%M") == deadline_at
    assert deadline_at in deadline.name
    monkeypatch.setenv("BIST_DEADLINES", "off")
    assert alerts.module.daily_deadline() is None
