"""The main job from prices to REST, through the real command line, on every kind of database."""

import json

import pytest
from sqlalchemy import func, select

from bist_pipeline.store.engine import connect, open_engine
from bist_pipeline.store.schema import drift_features, drift_runs, model_decisions, predictions
from tests.command_line import SESSION


def test_run_prints_one_json_object_with_everything_a_machine_needs(first_run):
    _, said = first_run

    assert set(said) >= {
        *("run_id", "session", "rows", "model_name", "model_version", "data_hash"),
        *("drift_status", "published", "seconds"),
    }
    assert said["session"] == str(SESSION)
    assert said["published"] is True
    assert said["rows"] >= 50


def test_every_share_is_ranked_once_with_an_interval_around_its_forecast(first_run):
    bist, said = first_run
    rows = bist.published()

    assert [row["rank"] for row in rows] == list(range(1, said["rows"] + 1))
    assert len({row["symbol"] for row in rows}) == said["rows"]
    assert all(row["lower"] <= row["expected_excess_return"] <= row["upper"] for row in rows)
    assert all(len(row["drivers"]) == 5 for row in rows)
    assert any(row["tradable"] for row in rows)


def test_a_second_run_gives_the_same_to_the_last_bit_and_doubles_nothing(bist, first_run):
    _, said = first_run
    before = bist.published()

    again = json.loads(bist("run", "--session", str(SESSION), "--json").stdout)

    assert bist.published() == before
    assert {key: again[key] for key in again if key != "seconds"} == {
        key: said[key] for key in said if key != "seconds"
    }
    with connect(open_engine(f"sqlite:///{bist.home}/bist.db")) as connection:
        count = {
            table.name: connection.scalar(select(func.count()).select_from(table))
            for table in (predictions, drift_runs, model_decisions)
        }
    assert count == {"predictions": said["rows"], "drift_runs": 1, "model_decisions": 1}


def test_another_home_gives_the_same_predictions(bist, first_run, tmp_path):
    done, _ = first_run
    bist.home = tmp_path / "elsewhere"

    assert bist("run", "--session", str(SESSION)).exit_code == 0

    keep = ("symbol", "rank", "score", "expected_excess_return", "lower", "upper", "drivers")
    assert [[r[k] for k in keep] for r in bist.published()] == [
        [r[k] for k in keep] for r in done.published()
    ]


def test_the_drift_distance_of_every_feature_is_stored(first_run):
    bist, _ = first_run
    with connect(open_engine(f"sqlite:///{bist.home}/bist.db")) as connection:
        distances = connection.scalars(select(drift_features.c.distance)).all()

    assert len(distances) >= 10
    assert all(0 <= distance <= 1 for distance in distances)


def test_the_table_at_the_end_says_how_far_to_trust_it(bist):
    shown = bist("top", "--limit", "10").stdout

    for words in ("80 % interval", "tradable", "bist-rank-63s version 1", "rank IC", "Drift", "bist serve"):
        assert words in shown


def test_the_same_job_stores_the_same_batch_in_mariadb(bist, mariadb_url):
    before = bist.published()

    result = bist("run", "--session", str(SESSION), "--json", BIST_DATABASE_URL=mariadb_url)

    assert result.exit_code == 0, result.output
    with connect(open_engine(mariadb_url)) as connection:
        stored = connection.execute(select(predictions.c.symbol, predictions.c.score)).all()
    assert {tuple(row) for row in stored} == {(row["symbol"], row["score"]) for row in before}


@pytest.mark.parametrize("stage", ["ingest", "check", "features", "train", "score", "evaluate", "drift"])
def test_every_stage_runs_by_itself_and_reports_as_json(bist, stage):
    result = bist(stage, "--session", str(SESSION), "--json")

    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said["stage"], said["session"]) == (stage, str(SESSION))
