"""What people see of the data: the report of a check, the doctor's findings, and the repair they lead to."""

import json
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import select, text

from bist_pipeline.config import Settings
from bist_pipeline.lake import open_lake
from bist_pipeline.store.engine import begin, connect, open_engine
from bist_pipeline.store.schema import data_health, drift_runs
from tests.command_line import SESSION

LAST = str(SESSION)


@pytest.fixture
def up_to_date(monkeypatch):
    """The exchange's newest session is the last one of the test's prices."""
    monkeypatch.setattr("bist_pipeline.stages.doctor.newest_final", lambda calendar: SESSION)


def rewrite(bist, tmp_path, change) -> None:
    """Give the command line a source whose prices differ."""
    prices = change(pd.read_parquet(bist.prices))
    bist.prices = tmp_path / "changed.parquet"
    prices.to_parquet(bist.prices)


def lose(symbols):
    return lambda prices: prices[~((prices["date"] == LAST) & prices["symbol"].isin(symbols))]


def silence(prices):
    return prices.assign(volume=prices["volume"].where(prices["date"] != LAST, 0.0))


def stored_health(bist) -> dict:
    with connect(open_engine(f"sqlite:///{bist.home}/bist.db")) as connection:
        (row,) = connection.execute(select(data_health)).mappings()
    return dict(row)


def diagnose(bist, **environment) -> tuple[int, dict[str, dict]]:
    result = bist("doctor", "--json", **environment)
    said = json.loads(result.stdout)
    checks = {check["check"]: check for check in said["checks"]}
    assert len(checks) == len(said["checks"])
    assert all(bool(check["next"]) == (check["status"] == "PROBLEM") for check in checks.values())
    return result.exit_code, checks


def problems(checks) -> list[str]:
    return [name for name, check in checks.items() if check["status"] == "PROBLEM"]


def test_a_check_leaves_a_page_its_figures_and_a_row(bist):
    said = json.loads(bist("check", "--json").stdout)

    page = Path(said["report"])
    facts = json.loads(page.with_suffix(".json").read_text())
    row = stored_health(bist)
    assert "Data health of</span>" in page.read_text()
    assert (facts["session"], facts["status"], facts["rules"]) == (LAST, said["status"], said["rules"])
    assert (row["status"], row["report"]) == (said["status"], str(page))
    assert row["listed"] >= row["priced"] == facts["completeness"][-1]["priced"] >= 50
    assert str(page) in bist("check").stderr
    assert sorted(file.suffix for file in page.parent.rglob("*") if file.is_file()) == [
        ".html",
        ".json",
    ]


def test_a_blocked_session_has_its_report_too(bist, tmp_path):
    rewrite(bist, tmp_path, silence)
    bist("ingest", "--session", LAST)

    said = json.loads(bist("check", "--json").stdout)

    row = stored_health(bist)
    assert said["error"] == "DataQualityError"
    assert row["report"] in said["message"]
    assert 'class="chip BLOCK"' in Path(row["report"]).read_text()
    assert (row["status"], row["traded"]) == ("BLOCK", 0)
    drift = Path(row["report"].replace("/health/", "/drift/"))
    assert str(drift) in said["message"]
    assert "İlgili hisseler" in drift.read_text(encoding="utf-8")
    with connect(open_engine(f"sqlite:///{bist.home}/bist.db")) as connection:
        (verdict,) = connection.execute(select(drift_runs).filter_by(session=SESSION)).mappings()
    assert (verdict["status"], verdict["reference_last"]) == ("BLOCK", None)
    assert verdict["summary"].tr.startswith("Veri kalitesi: ")


def test_rows_that_were_refused_are_kept_and_reported(bist, tmp_path):
    rewrite(bist, tmp_path, lambda prices: pd.concat([prices, prices.tail(1).assign(symbol="no share")]))
    bist("ingest", "--session", LAST)

    said = json.loads(bist("check", "--json").stdout)

    facts = json.loads(Path(said["report"]).with_suffix(".json").read_text())
    refused = [(rule["rule"], rule["count"], rule["symbols"]) for rule in facts["refused"]]
    assert refused == [("symbol_malformed", 1, ["NO SHARE"])]
    assert stored_health(bist)["refused_rows"] == 1


@pytest.mark.usefixtures("up_to_date")
def test_after_a_run_the_doctor_finds_nothing(bist):
    code, checks = diagnose(bist)

    assert code == 0
    assert list(checks) == [
        *("calendar", "source", "prices", "shares", "database", "quality", "published", "mlflow", "champion")
    ]


def test_on_a_new_machine_the_doctor_says_how_to_begin_and_leaves_nothing_behind(bist, tmp_path):
    bist.home = tmp_path / "new"

    code, checks = diagnose(bist)

    assert code == 1
    assert problems(checks) == ["source", "prices", "database", "mlflow"]
    assert "bist run" in checks["database"]["next"]
    assert not bist.home.exists()


def test_a_source_that_stopped_is_told_with_its_age(bist):
    code, checks = diagnose(bist)

    assert (code, problems(checks)) == (1, ["source"])
    assert LAST in checks["source"]["message"]
    assert "session(s) have closed since" in checks["source"]["message"]


@pytest.mark.usefixtures("up_to_date")
def test_a_share_the_feed_lost_is_named_and_nothing_but_it_is_taken_in_later(bist, tmp_path):
    whole = bist.prices
    closes = pd.read_parquet(whole).set_index(["date", "symbol"])["close"].loc[LAST]
    lost = closes.index.sort_values()[:2].tolist()
    rewrite(bist, tmp_path, lose(lost))
    bist("ingest", "--session", LAST)

    code, checks = diagnose(bist)
    assert (code, problems(checks)) == (1, ["shares"])
    assert ", ".join(lost) in checks["shares"]["message"]

    # Later the feed has one of the two, and another opinion about all prices.
    bist.prices = whole
    rewrite(bist, tmp_path, lambda prices: lose(lost[1:])(prices.assign(close=prices["close"] + 1)))
    command = checks["shares"]["next"].split()[1:]
    filled = json.loads(bist(*command, "--json").stdout)
    lake = open_lake(Settings(home=bist.home, source="files"))
    stored = lake.read("prices", since=SESSION, until=SESSION).set_index("symbol")["close"]
    assert (filled["rows"], filled["missing"]) == (1, lost[1:])
    assert stored.index[stored != closes.reindex(stored.index)].tolist() == lost[:1]

    bist.prices = whole
    assert json.loads(bist(*command, "--json").stdout)["missing"] == []
    assert diagnose(bist)[0] == 0


@pytest.mark.usefixtures("up_to_date")
def test_what_does_not_answer_is_named_and_the_rest_is_still_examined(bist):
    _, checks = diagnose(bist, BIST_MLFLOW_URL="http://127.0.0.1:1")
    assert problems(checks) == ["mlflow"]

    _, checks = diagnose(bist, BIST_DATABASE_URL="mysql+mysqldb://nobody@127.0.0.1:1/bist")
    assert problems(checks) == ["database"]

    with begin(open_engine(f"sqlite:///{bist.home}/bist.db")) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    _, checks = diagnose(bist)
    assert problems(checks) == ["database"]
    assert "bist db upgrade" in checks["database"]["next"]


@pytest.mark.usefixtures("up_to_date")
def test_ingested_but_not_run_is_a_problem_of_what_is_missing(bist, tmp_path):
    bist.home = tmp_path / "ingested"
    bist("ingest", "--session", LAST)

    _, checks = diagnose(bist)

    assert problems(checks) == ["quality", "published", "mlflow"]
    assert checks["quality"]["next"] == f"bist check --session {LAST}"
