"""What happens to a published batch: explained, judged once it matured, computed again, rolled back."""

import json
import math
import shutil
import sqlite3

import pandas as pd
import pytest

from bist_pipeline.calendar import bist_calendar
from tests.answering import answering
from tests.command_line import SESSION, Bist

# So that its results are known at SESSION.
PAST = str(bist_calendar().offset(SESSION, -63))


@pytest.fixture(scope="module")
def judged(first_run, tmp_path_factory) -> Bist:
    """A home with a published batch of a quarter ago, judged at SESSION, and two promoted models."""
    done, _ = first_run
    home = tmp_path_factory.mktemp("judged") / "var"
    shutil.copytree(done.home, home)
    bist = Bist(home, done.prices, done.environment)
    for command in (("run", "--session", PAST), ("evaluate", "--session", str(SESSION))):
        result = bist(*command)
        assert result.exit_code == 0, result.output
    return bist


@pytest.fixture
def own(judged, tmp_path) -> Bist:
    """A copy of it for a test to change."""
    shutil.copytree(judged.home, tmp_path / "own")
    return Bist(tmp_path / "own", judged.prices, judged.environment)


def ask(bist: Bist, *command: str, **environment: str) -> dict:
    result = bist(*command, "--json", **environment)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(bist: Bist, *command: str, **environment: str) -> dict:
    result = bist(*command, "--json", **environment)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    said = json.loads(result.stdout)
    assert said["next"]
    return said


def rows(bist: Bist, table: str, **where: str) -> list[dict]:
    """Rows of a table whose columns begin with these texts, in the table's order."""
    with sqlite3.connect(bist.home / "bist.db") as connection:
        connection.row_factory = sqlite3.Row
        found = [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]  # noqa: S608 - our tables
    return [row for row in found if all(str(row[name]).startswith(text) for name, text in where.items())]


def change(bist: Bist, statement: str) -> None:
    with sqlite3.connect(bist.home / "bist.db") as connection:
        connection.execute(statement)


def run_of(bist: Bist, session: str) -> str:
    (published,) = rows(bist, "publications", session=session)
    return published["run_id"]


def test_every_share_is_published_with_five_drivers_in_two_languages(judged):
    stored = [json.loads(row["drivers"]) for row in rows(judged, "predictions")]

    assert len(stored) >= 100
    assert {len(drivers) for drivers in stored} == {5}
    for driver in (driver for drivers in stored for driver in drivers):
        assert set(driver) == {"feature", "contribution", "value", "raw", "text"}
        raised = driver["contribution"] > 0
        assert driver["text"]["en"].endswith("raises the rank." if raised else "lowers the rank.")
        assert driver["text"]["tr"].endswith("yükseltiyor." if raised else "düşürüyor.")


def test_explain_reproduces_the_matured_label_from_two_closes_and_a_median(judged):
    symbol = rows(judged, "realized_returns", session=PAST)[0]["symbol"]

    said = ask(judged, "explain", symbol, "--session", PAST)

    outcome = said["outcome"]
    prices = pd.read_parquet(judged.prices)
    mine = prices[prices["symbol"] == symbol].set_index("date")["close"]
    assert outcome["matured_on"] == str(SESSION)
    assert (outcome["close"], outcome["close_later"]) == (mine[PAST], mine[str(SESSION)])
    assert math.isclose(outcome["excess"], mine[str(SESSION)] / mine[PAST] - 1 - outcome["universe_median"])
    assert outcome["equal"] is True
    assert [len(driver["text"]) for driver in said["drivers"]] == [2] * 5


def test_explain_before_the_horizon_has_passed_says_from_when_on_there_is_a_result(judged):
    symbol = judged.published()[0]["symbol"]

    shown = judged("explain", f"{symbol.lower()}.is").stdout

    assert "rank 1 of" in shown
    assert shown.count("the rank.") == 5
    assert "needs prices of 2024-09-27" in shown


def test_an_unknown_share_gets_those_that_are_spelt_alike(judged):
    symbol = judged.published()[0]["symbol"]

    said = refused(judged, "explain", f"{symbol}X")

    assert said["error"] == "MissingDataError"
    assert said["next"] == f"bist explain {symbol}"


def test_a_matured_session_has_results_a_scorecard_and_its_baselines(judged):
    cards = pd.DataFrame(rows(judged, "scorecards"))

    assert set(cards["model"]) == {"published", "low_vol_126", "momentum_252_21", "reversal_21"}
    assert set(cards["window_sessions"]) == {21, 63, 252}
    assert set(cards["session"]) == {str(SESSION)}
    assert set(cards["lag_sessions"]) == {63}
    assert len(set(cards["symbols"])) == 1
    mine = cards[cards["model"] == "published"].iloc[0]
    assert mine["skill"] == "unproven"  # one session proves nothing
    assert 0 <= mine["coverage"] <= 1
    assert "no proven skill" in json.loads(mine["verdict"])["en"]


def test_judging_a_session_again_replaces_and_a_rescored_session_is_judged_anew(own):
    tables = ("realized_returns", "judged_sessions", "scorecards")
    before = {table: rows(own, table) for table in tables}

    assert ask(own, "evaluate", "--session", str(SESSION))["rows"] > 0
    assert {table: rows(own, table) for table in tables} == before

    change(own, "UPDATE judged_sessions SET run_id = 'replaced', rank_ic = 9")
    ask(own, "evaluate", "--session", str(SESSION))
    assert {table: rows(own, table) for table in tables} == before


def test_a_stored_batch_is_computed_again_to_the_last_bit(judged):
    run_id = run_of(judged, PAST)

    said = ask(judged, "replay", run_id)

    assert said["equal"] is True
    assert said["rows"] >= 50


def test_a_replay_names_what_differs_and_fails(own):
    run_id = run_of(own, PAST)
    change(own, "UPDATE predictions SET score = score + 0.25 WHERE session < '2024-06' AND rank = 1")

    result = own("replay", run_id, "--json")

    assert result.exit_code == 1
    (difference,) = json.loads(result.stdout)["differences"]
    assert (difference["column"], len(difference["shares"])) == ("score", 1)
    assert math.isclose(difference["largest"], 0.25)


def test_prices_that_arrive_between_features_and_score_belong_to_the_next_run(own, tmp_path):
    before = ask(own, "score", "--session", str(SESSION))
    corrected = pd.read_parquet(own.prices)
    corrected.loc[corrected["date"] == str(SESSION), "close"] *= 1.01
    corrected.to_parquet(tmp_path / "corrected.parquet")
    ask(own, "ingest", "--session", str(SESSION), "--source-path", str(tmp_path / "corrected.parquet"))

    again = ask(own, "score", "--session", str(SESSION))

    assert (again["data_hash"], again["run_id"]) == (before["data_hash"], before["run_id"])
    assert ask(own, "replay", again["run_id"])["equal"] is True


def forget_prices(own: Bist) -> None:
    change(own, "UPDATE pipeline_runs SET data_hash = 'ffffffffffffffff'")


def forget_model(own: Bist) -> None:
    change(own, "UPDATE pipeline_runs SET model_version = '77'")


@pytest.mark.parametrize(
    ("forget", "error", "words"),
    [
        (forget_prices, "MissingDataError", "keeps no version of prices"),
        (forget_model, "NoModelError", "has no version '77'"),
    ],
)
def test_a_replay_without_its_prices_or_its_model_is_one_clear_error(own, forget, error, words):
    run_id = run_of(own, PAST)
    forget(own)

    said = refused(own, "replay", run_id)

    assert said["error"] == error
    assert words in said["message"]


def test_an_unknown_run_names_those_that_are_stored(judged):
    assert "bist replay files-2024" in refused(judged, "replay", "files-20240101-00000000")["next"]


def test_rollback_moves_champion_publication_and_decisions_together(own):
    (old,) = {row["model_version"] for row in rows(own, "predictions", session=str(SESSION))}

    said = ask(own, "rollback")

    assert said["replaced_version"] == old != said["model_version"]
    (published,) = rows(own, "pipeline_runs", run_id=run_of(own, str(SESSION)))
    assert published["model_version"] == said["model_version"]
    decision = rows(own, "model_decisions")[-1]
    assert (decision["challenger_version"], decision["champion_version"]) == (said["model_version"], old)
    assert "Rolled back" in decision["reasons"]
    assert ask(own, "score", "--session", str(SESSION))["model_version"] == said["model_version"]
    assert "No version was promoted before" in refused(own, "rollback")["message"]
    assert ask(own, "rollback", "--to", old)["model_version"] == old


def test_a_rollback_that_failed_half_way_says_what_is_left_and_is_completed_by_another(own, monkeypatch):
    from bist_pipeline.errors import RegistryUnavailableError
    from bist_pipeline.tracking import Registry

    def broken(*_):
        raise RegistryUnavailableError("MLflow answered 500.")

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "promote", broken)
        said = refused(own, "rollback")
    assert "are published, but version 1 is still champion" in said["message"]

    assert ask(own, "rollback")["replaced_version"] == "1"
    assert len(rows(own, "model_decisions", reasons='{"en": "Rolled back')) == 1


@pytest.mark.parametrize("to", ["77", "x"])
def test_a_rollback_to_a_version_that_never_served_changes_nothing(own, to):
    before = own.published()

    said = refused(own, "rollback", "--to", to)

    assert said["error"] == "NoModelError"
    assert own.published() == before


def test_a_champion_that_no_longer_loads_publishes_nothing_and_names_the_way_back(own, monkeypatch):
    before = own.published()
    monkeypatch.setattr("bist_pipeline.tracking.model_file.TRUSTED_TYPES", [])

    said = refused(own, "score", "--session", str(SESSION))

    assert said["error"] == "ModelError"
    assert "bist rollback" in said["next"]
    assert own.published() == before


@pytest.mark.parametrize(("status", "body"), [(500, b"<html>broken</html>"), (403, b"denied")])
@pytest.mark.parametrize("command", ["train", "score", "rollback"])
def test_a_registry_that_refuses_changes_nothing(own, command, status, body):
    before = own.published()
    session = () if command == "rollback" else ("--session", str(SESSION))

    with answering(status, body) as url:
        said = refused(own, command, *session, BIST_MLFLOW_URL=url)

    assert said["error"] == "RegistryUnavailableError"
    assert "BIST_MLFLOW_URL" in said["next"]
    assert own.published() == before
    assert ask(own, "score", "--session", str(SESSION))["model_version"] == "1"


def test_past_gains_are_published_with_every_session_and_closes_with_the_newest(judged):
    """The older session was run last, and must not take the chart back in time."""
    symbol = rows(judged, "predictions", session=PAST)[0]["symbol"]
    prices = pd.read_parquet(judged.prices).query("symbol == @symbol")
    close = prices.set_index(pd.to_datetime(prices["date"]))["close"].sort_index()

    (chart,) = rows(judged, "price_series", symbol=symbol)
    shown = json.loads(chart["closes"])
    assert chart["session"] == shown[-1][0] == str(SESSION)
    assert [price for _, price in shown] == pytest.approx(close[-252:].tolist(), rel=1e-5)
    for session in (PAST, str(SESSION)):
        (gain,) = rows(judged, "past_returns", session=session, symbol=symbol, window_sessions="63")
        ends = close[:session].iloc[[-64, -1]]
        assert gain["past_return"] == pytest.approx(ends.iloc[1] / ends.iloc[0] - 1)
