"""What the API says about how far to trust the ranks, of a database as the pipeline leaves it."""

import csv
import datetime as dt
import io
from collections.abc import Iterator

import pytest

from bist_pipeline.config import Settings
from bist_pipeline.store.engine import open_engine
from serving.answers.shares import History, Predictions, SymbolPrediction, TopReturns
from serving.answers.trust import Champion, Drift, Runs, Scorecards
from serving.app import create_app
from tests.api_client import Api, problem_of, serve
from tests.browser.invented_batch import (
    DRIFT_DAYS,
    GATED,
    HORIZON,
    NEWEST,
    SECTORS,
    TESTED,
    create_tables,
    expected,
    fill,
)

ANSWERS = {
    "/api/v1/predictions?limit=1000": (Predictions, "predictions"),
    "/api/v1/predictions/THYAO/history": (History, "predictions"),
    "/api/v1/returns/top": (TopReturns, "returns"),
    "/api/v1/scorecard": (Scorecards, "scores"),
    "/api/v1/models/champion": (Champion, "decisions"),
    "/api/v1/drift": (Drift, "history"),
    "/api/v1/runs": (Runs, "runs"),
}
IS_TABLE = {"Accept": "text/csv"}


@pytest.fixture(scope="module")
def api(tmp_path_factory) -> Iterator[Api]:
    url = f"sqlite:///{tmp_path_factory.mktemp('trust')}/bist.db"
    engine = open_engine(url)
    create_tables(engine)
    fill(engine)
    engine.dispose()
    with serve(create_app(Settings(database_url=url))) as client:
        yield client


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("path", ANSWERS)
def test_every_answer_is_what_it_is_declared_to_be(api, path):
    kind, listed = ANSWERS[path]
    answer = api.get(path)
    assert answer.headers["content-type"] == "application/json"
    assert kind.model_validate_json(answer.content).model_dump_json().encode() == answer.content
    assert answer.json()[listed]


@pytest.mark.parametrize("path", ANSWERS)
def test_every_list_comes_as_a_table_with_the_same_rows(api, path):
    _, listed = ANSWERS[path]
    wanted = api.get(path).json()[listed]
    answer = api.get(path, headers=IS_TABLE)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    found = rows_of(answer.text)
    assert len(found) == len(wanted)
    for row, fields in zip(found, wanted, strict=True):
        assert all(
            row[name]
            == ("" if value is None else str(value).lower() if isinstance(value, bool) else str(value))
            for name, value in fields.items()
            if not isinstance(value, (list, dict))
        )


@pytest.mark.parametrize("path", [*ANSWERS, "/api/v1/predictions/THYAO"])
def test_other_media_types_are_refused_and_what_is_known_is_not_sent_again(api, path):
    problem_of(api.get(path, headers={"Accept": "image/png"}), 406, "not-acceptable")
    etag = api.get(path).headers["etag"]
    for accepted in ("application/json", "text/csv"):
        known = api.get(path, headers={"Accept": accepted, "If-None-Match": f'"other", {etag}'})
        assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", etag)
        assert known.headers["cache-control"] == "no-cache"


def test_one_share_comes_with_all_that_tells_how_far_to_trust_it(api):
    answer = api.get("/api/v1/predictions/thyao")
    assert SymbolPrediction.model_validate_json(answer.content).model_dump_json().encode() == answer.content
    found = answer.json()
    share = found["prediction"]
    assert (share["rank"], found["publication"]["universe"]) == (1, 120)
    assert share["lower"] < share["expected_excess_return"] == expected("THYAO", NEWEST) < share["upper"]
    assert share["sector"] in SECTORS
    assert (found["publication"]["kind"], found["publication"]["age_sessions"]) == ("forecast", 0)
    assert share["drivers"][0]["text"]["tr"].endswith("yükseltiyor.")
    assert share["drivers"][0]["raw"] == 0.021
    assert (found["scorecard"]["model"], found["scorecard"]["window_sessions"]) == ("published", 252)
    assert found["drift"] == {
        "session": str(NEWEST),
        "status": "OK",
        "summary": {
            "en": "features: vol_126 differs most: 1.4 times its usual distance.",
            "tr": "Özellikler: en çok ayrılan vol_126, uzaklığı olağanın 1,4 katı.",
        },
    }


def test_the_history_of_a_share_has_results_where_the_horizon_has_passed(api):
    found = api.get("/api/v1/predictions/THYAO/history").json()["predictions"]
    ages = [(NEWEST - dt.date.fromisoformat(past["session"])).days for past in found]
    assert ages == [0, 100, 150, 200]
    assert [past["realized_excess_return"] is None for past in found] == [True, False, False, False]
    matured = dt.date.fromisoformat(found[1]["session"]) + dt.timedelta(days=HORIZON)
    assert found[1]["matured_on"] == str(matured)
    page = api.get("/api/v1/predictions/THYAO/history?limit=2").json()
    assert api.get(page["next"]).json()["predictions"] == found[2:]


def test_the_largest_gains_come_first_and_pages_follow_on(api):
    whole = api.get("/api/v1/returns/top?sessions=21&limit=1000").json()
    assert (whole["sessions"], whole["matched"], whole["next"]) == (21, 120, None)
    gains = [each["past_return"] for each in whole["returns"]]
    assert gains == sorted(gains, reverse=True)
    page = api.get("/api/v1/returns/top?sessions=21&limit=100").json()
    following = api.get(page["next"]).json()
    assert page["returns"] + following["returns"] == whole["returns"]
    assert following["returns"][0]["rank"] == 101
    problem_of(api.get("/api/v1/returns/top?sessions=62"), 422, "invalid-parameters")


def test_drift_tells_the_newest_verdict_its_checks_and_the_days_before(api):
    found = api.get(f"/api/v1/drift?limit={DRIFT_DAYS}").json()
    assert found["next"] is None
    assert [day["status"] for day in found["history"]].count("AMBER") == 1
    newest = found["newest"]
    assert (newest["session"], newest["status"]) == (str(NEWEST), "OK")
    assert [check["check"] for check in newest["checks"]] == ["features"]
    assert newest["checks"][0]["message"]["tr"].startswith("En çok ayrılan: vol_126.")
    assert newest["checks"][0]["action"] == {"en": "none", "tr": "yok"}
    assert [each["feature"] for each in newest["features"]] == ["mom_21", "vol_126", "beta_252"]
    called = [each["label"] and each["label"]["tr"] for each in newest["features"]]
    assert called == ["21 seanslık getiri", "126 seanslık oynaklık", None]
    table = rows_of(api.get("/api/v1/drift", headers=IS_TABLE).text)
    assert table[0]["summary"] == newest["summary"]["en"]


def test_the_champion_comes_with_the_decision_that_took_it_into_use(api):
    found = api.get("/api/v1/models/champion").json()
    assert (found["name"], found["version"], found["rank_ic"]) == ("bist-rank-63s", "4", 0.131)
    assert found["decision"]["promoted"] is True
    assert [reason["tr"] for reason in found["decision"]["reasons"]] == [
        "Kullanımdaki modelden kötü değil: sıra IC'si 0,131; onunki 0,116.",
        "Rastgele sıralamadan iyi.",
    ]


def test_the_champion_comes_with_how_it_did_on_the_past(api):
    training, backtest = api.get("/api/v1/models/champion").json()["backtests"]
    assert (training["origin"], training["model_version"]) == ("training", "4")
    assert {one["ranking"]: one["rank_ic"] for one in training["rankings"]} == GATED
    assert (backtest["origin"], backtest["model_version"], backtest["dates"]) == ("backtest", "", 112)
    assert [one["ranking"] for one in backtest["rankings"]] == sorted(TESTED, key=TESTED.get, reverse=True)
    rival = next(one for one in backtest["rankings"] if one["ranking"] == "low_vol_126")
    assert rival["lead_lower"] < 0 < rival["lead_ic"] == TESTED["blend"] - TESTED["low_vol_126"]


def test_runs_are_paged_back_in_time(api):
    whole = api.get("/api/v1/runs").json()["runs"]
    assert len(whole) == 4
    page = api.get("/api/v1/runs?limit=3").json()
    assert page["runs"] + api.get(page["next"]).json()["runs"] == whole
    assert api.get("/api/v1/runs?before=0001-01-01").json() == {"next": None, "runs": []}


def test_large_answers_are_compressed_for_those_who_can_read_it(api):
    path = "/api/v1/predictions?limit=1000"
    plain = api.get(path, headers={"Accept-Encoding": "identity"})
    packed = api.get(path, headers={"Accept-Encoding": "gzip"})
    assert packed.content == plain.content
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 5
    assert "content-encoding" not in plain.headers


def test_monitoring_reads_requests_by_route_and_what_is_published(api):
    api.get("/api/v1/scorecard")
    api.get("/no/such/path/1")
    found = api.get("/metrics")
    assert found.headers["content-type"].startswith("text/plain; version=")
    lines = found.text.splitlines()
    for start in (
        'bist_requests_total{route="/api/v1/scorecard",status="200"}',
        'bist_requests_total{route="other",status="404"}',
        "bist_database_up 1.0",
        "bist_published_shares 120.0",
        "bist_published_age_sessions 0.0",
        'bist_drift_status{status="OK"} 1.0',
    ):
        assert [line for line in lines if line.startswith(start)], start
    assert "/no/such/path" not in found.text


def test_the_problem_with_a_parameter_is_told_in_turkish_too(api):
    headers = {"Accept-Language": "tr"}
    problem = problem_of(
        api.get("/api/v1/predictions?limit=1000000000", headers=headers), 422, "invalid-parameters"
    )
    assert problem["errors"] == [{"parameter": "limit", "message": "En çok 1000 olmalı", "got": "1000000000"}]
