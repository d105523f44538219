"""Drift through the real command line: what is broken holds the scores, and a person can release them."""

import datetime as dt
import json
import sqlite3
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from scipy.stats import spearmanr

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.cli.drift import simulation_lines
from bist_pipeline.config import Settings, SyntheticSettings
from bist_pipeline.drift.status import Status
from bist_pipeline.lake import open_lake
from bist_pipeline.sources.synthetic import SyntheticSource
from bist_pipeline.stages.calibrate import load_calibration
from bist_pipeline.stages.hold import judge_break
from bist_pipeline.stages.provenance import pin_inputs, write_origins
from bist_pipeline.store.drift import read_checks, read_requests
from bist_pipeline.store.engine import connect, open_engine
from bist_pipeline.store.read import PUBLISHED
from bist_pipeline.store.scorecards import write_judgement
from bist_pipeline.store.write import publish
from bist_pipeline.tracking import Registry
from serving.app import create_app
from serving.pages.drift_report import POLICY
from tests import publishing
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


def spoil(bist, session) -> None:
    """Put every feature of a session far beyond what it ever was."""
    lake = lake_of(bist)
    rows = lake.read("features", since=session, until=session)
    numbers = rows.select_dtypes("number").columns
    spoilt = rows.assign(**{name: 1e6 + rows[name] for name in numbers})
    lake.write("features", spoilt.astype(rows.dtypes), covers=(session, session))


def insert_check(bist, session, name: str, status: str, message: str = "a fault") -> None:
    said_so = json.dumps({"en": message, "tr": message})
    execute(
        bist,
        "INSERT OR REPLACE INTO drift_checks (source, session, check_name, status, action, message,"
        " model_version, checked_at) VALUES ('files', ?, ?, ?, ?, ?, '', '2024-06-28 16:00:00')",
        *(str(session), name, status, said_so, said_so),
    )


def execute(bist, statement: str, *values: str) -> None:
    with sqlite3.connect(bist.home / "bist.db") as database:
        database.execute(statement, values)
    database.close()


def test_every_check_is_reported_and_stored_with_the_first_run(bist):
    answer = said(bist("drift", *DAY, "--json"))

    names = {
        "data_quality",
        "break",
        "missing_values",
        "features",
        "regime",
        "regime_change",
        "scores",
        "score_spread",
    }
    names |= {"performance_change", "performance_daily", "performance_quarter"}
    assert {check["check"] for check in answer["checks"]} == names
    fields = {"check", "status", "statistic", "p_value", "threshold", "action", "message"}
    assert all(fields <= check.keys() for check in answer["checks"])
    with connect(open_engine(f"sqlite:///{bist.home}/bist.db")) as connection:
        assert {check.check_name for check in read_checks(connection, "files")} == names


def test_the_report_is_served_with_a_policy_of_its_own_and_a_rerun_replaces_it(bist):
    place = f"/drift/reports/{SESSION}"
    said(bist("drift", *DAY, "--json"))
    on_disk = (bist.home / f"lake/files/reports/drift/{SESSION}.html").read_text(encoding="utf-8")

    with TestClient(create_app(Settings(home=bist.home)), base_url="http://localhost") as client:
        page, overview = client.get(place), client.get("/drift", headers={"accept": "text/html"})

    assert page.text == on_disk
    policies = page.headers.get_list("content-security-policy")
    assert policies == [f"{POLICY}; frame-ancestors 'none'"]
    assert "script" not in POLICY
    assert f'href="{place}"' in overview.text
    assert "script-src 'self'" in overview.headers["content-security-policy"]


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
        return judge_break(settings, later, champion).checks[0]

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
        ("UPDATE drift_calibrations SET features_hash = 'x'", "or in another order"),
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

    score = bist("score", *DAY)
    checks = said(bist("drift", *DAY, "--json"))["checks"]

    assert score.exit_code == 0, score.output
    assert [row["symbol"] for row in bist.published()] == [row["symbol"] for row in before]
    failed = {check["check"] for check in checks if "alibi-detect is not there" in check["message"]}
    assert failed == {"break", "features", "regime", "regime_change", "scores", "score_spread"}
    assert all(check["status"] == "ERROR" for check in checks if check["check"] in failed)
    judged = {check["check"]: check["status"] for check in checks}
    assert (judged["data_quality"], judged["missing_values"]) == ("OK", "OK")


def test_training_again_builds_the_calibration_that_is_missing_without_what_was_stopped(bist):
    execute(bist, "DELETE FROM drift_calibrations")
    fault = bist_calendar().offset(SESSION, -100)
    spoil(bist, fault)
    insert_check(bist, fault, "data_quality", "BLOCK")

    assert bist("train", *DAY).exit_code == 0

    assert said(bist("drift", *DAY, "--json"))["status"] != "ERROR"
    settings = Settings(home=bist.home, source="files")
    calibration = load_calibration(settings, Registry(settings).champion())
    assert np.nanmax(calibration.breaks.level[0]) < 1


def test_an_outage_of_the_lake_is_no_damaged_calibration(bist):
    (file,) = (bist.home / "lake/files/drift").iterdir()
    content = file.read_bytes()
    file.unlink()
    file.mkdir()
    answer = refused(bist("score", *DAY, "--json"))
    assert answer["error"] == "LakeUnavailableError"

    file.rmdir()
    assert "not the file that was stored" in json.dumps(said(bist("drift", *DAY, "--json")))
    file.write_bytes(content)
    assert said(bist("drift", *DAY, "--json"))["status"] != "ERROR"


def test_prices_that_went_missing_after_the_check_stop_the_score_released_or_not(bist):
    before = bist.published()
    insert_check(bist, SESSION, "data_quality", "BLOCK", "young")
    said(bist("drift", "release", str(SESSION), "--reason", "many listings", "--json"))
    lake = lake_of(bist)
    prices = lake.read("prices", since=SESSION)
    lake.write("prices", prices.assign(volume=np.nan), covers=(SESSION, SESSION))

    stopped = refused(bist("score", *DAY, "--json"))

    assert (stopped["error"], bist.published()) == ("DataQualityError", before)
    assert "Missing, or the same for every share: volume" in stopped["message"]
    assert "release" not in stopped["next"]


def test_a_release_covers_what_the_person_saw_and_no_other_fault(bist):
    lake = lake_of(bist)
    prices = lake.read("prices", since=SESSION)
    half = np.arange(len(prices)) % 2 > 0
    prices_in = {"another unit": prices.assign(close=prices["close"] * 10, high=prices["high"] * 10)}
    prices_in["lots"] = prices.assign(volume=np.where(half, prices["volume"] / 100, prices["volume"]))
    lake.write("prices", prices_in["another unit"], covers=(SESSION, SESSION))
    # No `check` has run since: the score looks for itself.
    refused(bist("score", *DAY, "--json"))
    said(bist("drift", "release", str(SESSION), "--reason", "new lira", "--json"))
    assert bist("check", *DAY).exit_code == 0

    lake.write("prices", prices_in["lots"], covers=(SESSION, SESSION))

    for stage in ("check", "score"):
        stopped = refused(bist(stage, *DAY, "--json"))
        assert stopped["error"] == "DataQualityError"
        assert "traded nothing" in stopped["message"]


def test_prices_that_no_rule_can_read_leave_a_verdict(bist):
    lake = lake_of(bist)
    prices = lake.read("prices", since=SESSION)
    lake.write("prices", pd.concat([prices, prices.head(1)]), covers=(SESSION, SESSION))

    assert refused(bist("check", *DAY, "--json"))["error"] == "ContractError"

    with connect(open_engine(f"sqlite:///{bist.home}/bist.db")) as connection:
        stored = {check.check_name: check for check in read_checks(connection, "files")}
    assert stored["data_quality"].status == "BLOCK"
    assert "occur more than once" in stored["data_quality"].message.en


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
    assert (request.reason.tr, request.forced, request.answered_by) == ("new regime", True, None)


def test_a_request_reaches_the_training_with_every_run_until_one_has_answered(bist):
    earlier = bist_calendar().offset(SESSION, -3)
    said(bist("drift", "retrain", str(earlier), "--reason", "new regime", "--json"))
    for _ in range(2):
        assert said(bist("drift", *DAY, "--json"))["retrain_requested"] == "new regime"
    report = (bist.home / f"lake/files/reports/drift/{SESSION}.html").read_text(encoding="utf-8")
    assert "A new model was asked for" in report

    # The same data gives the same model: no other is promoted, and the request is answered all the same.
    assert bist("train", *DAY).exit_code == 0

    assert said(bist("drift", *DAY, "--json"))["retrain_requested"] == ""
    with connect(open_engine(f"sqlite:///{bist.home}/bist.db")) as connection:
        (request,) = read_requests(connection, "files")
    assert request.answered_by == "1"


def publish_scores(bist, *, sessions: int, skill: float) -> list[float]:
    """Publish scores of past sessions that know the next returns so well; return their rank ICs, by scipy."""
    rng, lake = np.random.default_rng(3), lake_of(bist)
    closes = lake.read("prices", until=SESSION).pivot_table(index="session", columns="symbol", values="close")
    following = closes.shift(-1) / closes - 1
    store = open_engine(f"sqlite:///{bist.home}/bist.db")
    ics = []
    for day, returns in following.iloc[-sessions - 1 : -1].iterrows():
        known = returns.dropna()
        scores = skill * known / known.std() + rng.normal(size=len(known))
        ics.append(spearmanr(scores, known).statistic)
        run = publishing.run(f"r{day:%Y%m%d}", session=day.date(), rows=len(known))
        shared = {k: v for k, v in publishing.batch(0.0, rows=1)[0].items() if k not in ("symbol", "score")}
        rows = [
            {**shared, "symbol": name, "score": score, "tradable": True} for name, score in scores.items()
        ]
        publish(store, run, rows)
        judged = {"model": PUBLISHED, "run_id": run.run_id, "symbols": len(known), "coverage": None}
        write_judgement(
            *(store, "files", day.date(), []),
            [{**judged, "rank_ic": 0.5 * skill, "matured_on": SESSION}],
            horizon=63,
        )
    return ics


@pytest.mark.parametrize(("skill", "status"), [(0.3, "OK"), (-0.3, "RED")])
def test_results_of_published_ranks_are_measured_on_the_next_returns(bist, skill, status):
    ics = publish_scores(bist, sessions=260, skill=skill)

    answer = said(bist("drift", *DAY, "--json"))

    checks = {check["check"]: check for check in answer["checks"]}
    daily, quarter = checks["performance_daily"], checks["performance_quarter"]
    assert daily["status"].replace("INFO", "OK") == quarter["status"] == status
    # The newest of them has no next session yet; cleaning sets single moves aside.
    assert daily["statistic"] == pytest.approx(np.mean(ics[-126:]), abs=0.01)
    assert quarter["statistic"] == pytest.approx(0.5 * skill)
    assert "that is 4.0 independent periods of 63 sessions" in quarter["message"]
    assert "in 1 of 2 such years" in quarter["message"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "check", "status", "words"),
    [
        ("missing_column", "data_quality", "BLOCK", "Missing, or"),
        ("unit_change_x10", "data_quality", "BLOCK", "of the shares moved further"),
        ("ipo_wave", "data_quality", "AMBER", "listed for less than half a year"),
    ],
)
def test_a_fault_is_shown_day_by_day(fault, check, status, words, bist):
    simulated = said(bist("drift", "simulate", "--fault", fault, "--days", "2", "--json"))
    sound, broken = simulated["days"]

    is_scored = status != "BLOCK"
    assert (sound["has_fault"], sound["scored"], broken["has_fault"], broken["scored"]) == (
        *(False, True, True, is_scored),
    )
    assert (check, status) in {(each["check"], each["status"]) for each in broken["checks"]}
    assert [episode["check_name"] for episode in simulated["episodes"]] == [check]
    first = {"session": broken["session"], "day": 1, "check": check, "status": status}
    assert simulated["first_alarm"] == first
    written = "\n".join(simulation_lines(simulated))
    assert f"{broken['session']}  fault: {fault}, {'scored' if is_scored else 'NOT SCORED'}" in written
    assert any(line.startswith(f"  {status}") and words in line for line in written.splitlines())
    assert f"Found on day 1 of the fault: {check}, {status}." in written
    for each in sound["checks"]:
        assert f"{each['check']}: " in written
        assert each["statistic"] is None or f"{each['statistic']:.3g} (alarm at" in written
    # The results of a champion can be compared with 252 out of sample: without them no flip is ever seen.
    change = next(each for each in sound["checks"] if each["check"] == "performance_change")
    assert "and 252 before it" in change["message"]
    assert pd.Timestamp(broken["session"]) > pd.Timestamp(sound["session"])
