"""Drift through the real command line: what is broken holds the scores, and a person can release them."""

import datetime as dt
import json
import sqlite3
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.cli.drift import simulation_lines
from bist_pipeline.config import Settings, SyntheticSettings
from bist_pipeline.drift.status import Status
from bist_pipeline.lake import open_lake
from bist_pipeline.sources.synthetic import SyntheticSource
from bist_pipeline.stages.hold import judge_break
from bist_pipeline.stages.provenance import pin_inputs, write_origins
from bist_pipeline.store.drift import read_checks, read_requests
from bist_pipeline.store.engine import connect, open_engine
from bist_pipeline.tracking import Registry
from tests.command_line import SESSION

DAY = ("--session", str(SESSION))
LAST_GOOD = bist_calendar().offset(SESSION, -1)


def said(result) -> dict:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(result) -> dict:
    assert result.exit_code == 1, result.output
    return json.loads(result.stdout)


def lake_of(bist):
    return open_lake(Settings(home=bist.home, source="files"))


def shuffle_features(bist) -> None:
    """Do what a bug would: in the newest session every share has the features of another one."""
    lake = lake_of(bist)
    rows = lake.read("features", since=SESSION)
    order = np.random.default_rng(1).permutation(len(rows))
    rest = [name for name in rows if name not in ("session", "symbol")]
    rows[rest] = rows[rest].take(order).to_numpy()
    held = lake.require("features").columns
    data_hash = lake.write("features", rows.astype(held), covers=(SESSION, SESSION))
    write_origins(lake, SESSION, pin_inputs(lake, SESSION), data_hash)


def execute(bist, statement: str, *values: str) -> None:
    with sqlite3.connect(bist.home / "bist.db") as database:
        database.execute(statement, values)
    database.close()


def test_every_check_is_reported_and_stored_with_the_first_run(bist):
    answer = said(bist("drift", *DAY, "--json"))

    names = {"data_quality", "break", "missing_values", "features", "regime", "scores", "score_spread"}
    names |= {"performance_change", "performance_daily", "performance_quarter"}
    assert {check["check"] for check in answer["checks"]} == names
    fields = {"check", "status", "statistic", "p_value", "threshold", "action", "message"}
    assert all(fields <= check.keys() for check in answer["checks"])
    with connect(open_engine(f"sqlite:///{bist.home}/bist.db")) as connection:
        assert {check.check_name for check in read_checks(connection, "files")} == names


def test_a_check_made_twice_says_the_same_and_is_stored_once(bist):
    first, second = (said(bist("drift", *DAY, "--json"))["checks"] for _ in range(2))

    assert first == second
    with connect(open_engine(f"sqlite:///{bist.home}/bist.db")) as connection:
        stored = [(check.session, check.check_name) for check in read_checks(connection, "files")]
    assert len(stored) == len(set(stored)) == len(first)


def test_a_red_break_holds_scoring_until_a_person_releases_the_session(bist):
    before = bist.published()
    shuffle_features(bist)

    held = refused(bist("score", *DAY, "--json"))
    assert (held["error"], bist.published()) == ("ScoringHeldError", before)
    assert f"bist drift release {SESSION}" in held["next"]
    report = bist.home / f"lake/files/reports/drift/{SESSION}.html"
    assert str(report) in held["message"]
    told = report.read_text(encoding="utf-8")
    assert "Puanlamadan önce durduruldu" in told
    assert f"The ranks of {SESSION}." in told

    released = said(bist("drift", "release", str(SESSION), "--reason", "merger", "--json"))
    assert (released["released"], released["reason"]) == (True, "merger")
    scored = bist("score", *DAY)
    assert scored.exit_code == 0, scored.output
    assert bist.published() != before
    assert said(bist("drift", *DAY, "--json"))["status"] == "RED"


def test_a_unit_change_that_lasts_is_held_every_day_until_a_person_releases_it(bist, tmp_path):
    days = [bist_calendar().offset(SESSION, n) for n in range(1, 7)]
    market = SyntheticSettings(
        symbols=60, first_session=dt.date(2021, 1, 4), fault="unit_change_x10", fault_from=days[0]
    )
    feed = replace(bist, prices=tmp_path / "faulty.parquet")
    prices = SyntheticSource(market).fetch(days[-1], bist_calendar()).prices
    prices.rename(columns={"session": "date"}).to_parquet(feed.prices)
    before = feed.published()
    assert feed("ingest", "--session", str(days[-1])).exit_code == 0

    for day in days[:5]:
        held = refused(feed("check", "--session", str(day), "--json"))
        assert (held["error"], feed.published()) == ("DataQualityError", before)
        assert f"bist drift release {day}" in held["next"]

    said(feed("drift", "release", str(days[4]), "--reason", "new lira", "--json"))
    for stage in ("check", "features", "score"):
        result = feed(stage, "--session", str(days[4]))
        assert result.exit_code == 0, result.output
    assert feed.published() != before
    assert feed("check", "--session", str(days[5])).exit_code == 0


def test_what_is_held_is_no_yardstick_for_the_next_session(bist):
    shuffle_features(bist)
    refused(bist("score", *DAY, "--json"))
    lake, later = lake_of(bist), bist_calendar().offset(SESSION, 1)
    good, held = (lake.read("features", since=day, until=day) for day in (LAST_GOOD, SESSION))
    settings = Settings(home=bist.home, source="files")
    champion = Registry(settings).champion()

    def judge_next(rows):
        held_columns = lake.require("features").columns
        stamped = rows.assign(session=pd.Timestamp(later)).astype(held_columns)
        lake.write("features", stamped, covers=(later, later))
        return judge_break(settings, later, champion)[0]

    assert judge_next(held).status is Status.RED
    passed = judge_next(good)
    assert passed.status is Status.OK
    assert "the last good session, 2 before" in str(passed.message)


def test_only_what_is_held_can_be_released(bist):
    answer = refused(bist("drift", "release", str(SESSION), "--reason", "why not", "--json"))

    assert "Nothing holds" in answer["message"]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("DELETE FROM drift_calibrations", "has no drift calibration"),
        ("UPDATE drift_calibrations SET features = '[\"other\"]'", "other features"),
        ("UPDATE drift_calibrations SET content_hash = 'x'", "not the file that was stored"),
    ],
)
def test_a_champion_without_a_fitting_calibration_scores_but_is_never_ok(bist, damage, words):
    execute(bist, damage)

    assert bist("score", *DAY).exit_code == 0
    answer = said(bist("drift", *DAY, "--json"))

    errors = {check["check"]: check["message"] for check in answer["checks"] if check["status"] == "ERROR"}
    assert answer["status"] == "ERROR"
    assert set(errors) == {"break", "features", "scores"}
    assert all(words in message and "bist train" in message for message in errors.values())


def test_without_alibi_detect_ranks_are_published_and_its_checks_say_that_they_could_not_judge(
    bist, monkeypatch
):
    before = bist.published()
    for module in [name for name in sys.modules if name.partition(".")[0] == "alibi_detect"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "alibi_detect", None)

    train, score = bist("train", *DAY), bist("score", *DAY)
    checks = said(bist("drift", *DAY, "--json"))["checks"]

    assert (train.exit_code, score.exit_code) == (0, 0), train.output + score.output
    assert [row["symbol"] for row in bist.published()] == [row["symbol"] for row in before]
    failed = {check["check"] for check in checks if "alibi_detect is not installed" in check["message"]}
    assert failed == {"break", "features", "scores"}
    assert all(check["status"] == "ERROR" for check in checks if check["check"] in failed)
    judged = {check["check"]: check["status"] for check in checks}
    assert (judged["data_quality"], judged["missing_values"]) == ("OK", "OK")


def test_training_again_builds_the_calibration_that_is_missing(bist):
    execute(bist, "DELETE FROM drift_calibrations")

    assert bist("train", *DAY).exit_code == 0

    assert said(bist("drift", *DAY, "--json"))["status"] != "ERROR"


def test_an_older_session_after_a_newer_one_says_so_and_loses_nothing(bist):
    later = bist_calendar().offset(SESSION, 1)
    execute(
        bist,
        "INSERT INTO drift_checks SELECT source, ?, check_name, status, statistic, p_value, threshold,"
        " record, action, message, model_version, checked_at FROM drift_checks",
        str(later),
    )

    answer = said(bist("drift", *DAY, "--json"))

    (order,) = [check for check in answer["checks"] if check["check"] == "order"]
    assert (order["status"], str(later) in order["message"]) == ("INFO", True)
    assert answer["status"] != "OK"
    with connect(open_engine(f"sqlite:///{bist.home}/bist.db")) as connection:
        assert len({check.session for check in read_checks(connection, "files")}) == 2


def test_a_session_without_features_is_refused_with_the_next_command(bist):
    earlier = bist_calendar().offset(SESSION, 1)
    answer = refused(bist("drift", "--session", str(earlier), "--json"))

    assert (answer["error"], answer["next"]) == ("MissingDataError", f"bist features --session {earlier}")


def test_a_person_can_ask_for_a_new_model(bist):
    asked = ("drift", "retrain", str(SESSION), "--reason", "new regime", "--json")

    assert [said(bist(*asked))["requested"] for _ in range(2)] == [True, False]

    with connect(open_engine(f"sqlite:///{bist.home}/bist.db")) as connection:
        (request,) = read_requests(connection, "files")
    assert (request.reason, request.forced, request.answered_by) == ("new regime", True, None)


@pytest.mark.slow
def test_a_fault_is_shown_day_by_day(bist):
    simulated = said(bist("drift", "simulate", "--fault", "missing_column", "--days", "2", "--json"))
    sound, broken = simulated["days"]

    assert (sound["has_fault"], sound["scored"], broken["has_fault"], broken["scored"]) == (
        *(False, True, True, False),
    )
    assert [check["status"] for check in broken["checks"]] == ["BLOCK"]
    assert [episode["check_name"] for episode in simulated["episodes"]] == ["data_quality"]
    first = {"session": broken["session"], "day": 1, "check": "data_quality", "status": "BLOCK"}
    assert simulated["first_alarm"] == first
    written = "\n".join(simulation_lines(simulated))
    headline = f"{broken['session']}  fault: missing_column, NOT SCORED"
    assert f"{headline}\n  BLOCK  data_quality: Missing, or" in written
    assert "Found on day 1 of the fault: data_quality, BLOCK." in written
    assert pd.Timestamp(broken["session"]) > pd.Timestamp(sound["session"])
