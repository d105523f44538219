"""`bist backtest` on a user's file: one command, an empty folder, and nothing that is served is touched."""

import datetime as dt
import json
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from bist_pipeline.config import Settings, load_settings
from bist_pipeline.errors import DatabaseUnavailableError, MissingDataError
from bist_pipeline.stages.backtest import plan_folds, run_fold, summarise
from bist_pipeline.store.engine import connect, open_engine
from bist_pipeline.store.schema import backtests
from tests.command_line import SESSION, SMALL, Bist

pytestmark = pytest.mark.slow

FIRST, LAST = "2023-07-03", "2023-12-29"
MODELS = {
    *("blend", "lightgbm", "ridge", "low_vol_126"),
    *("momentum_252_21", "reversal_21", "random", "qlib_lightgbm"),
}
FIGURES = {
    *("rank_ic", "icir", "nw_t", "ic_positive", "spread_quarter", "top20_quarter"),
    *("r2", "mae_excess", "mae_zero"),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("backtest") / "var"


@pytest.fixture(scope="module")
def tested(home, small_prices_file):
    """The command line after a backtest in an empty home, and what it said."""
    bist = Bist(home, small_prices_file, SMALL)
    result = bist("backtest", "--first", FIRST, "--last", LAST, "--json")
    assert result.exit_code == 0, result.output
    return bist, json.loads(result.stdout)


def stored(home):
    """What the page about the model reads."""
    with connect(open_engine(f"sqlite:///{home}/bist.db")) as connection:
        return connection.execute(select(backtests)).mappings().all()


def test_one_command_on_a_file_and_an_empty_home_gives_every_figure(tested):
    _, said = tested
    assert set(said["models"]) == MODELS
    for figures in said["models"].values():
        assert set(figures) >= FIGURES
    assert len(said["models"]["blend"]["rank_ic_ci"]) == 2
    assert set(said["by_year"]["blend"]) == {"2023"}
    assert 0.5 < said["coverage"]["pooled"] < 1
    assert len(said["coverage"]["by_vol_quintile"]) == 5
    assert FIRST <= said["first"] < said["last"] <= LAST
    assert said["dates"] >= 20
    assert 30 <= said["symbols"] <= 60
    assert said["seconds"] > 0
    assert said["peak_mb"] > 0


def test_the_invented_signal_is_found_and_chance_is_not(tested):
    models = tested[1]["models"]
    assert models["blend"]["rank_ic"] > models["random"]["rank_ic"] + 0.03
    assert abs(models["random"]["rank_ic"]) < 0.1


def test_the_report_and_its_figures_are_in_the_lake(tested):
    _, said = tested
    page = Path(said["report"])
    facts = json.loads(page.with_suffix(".json").read_text())
    assert "What it cannot do" in page.read_text()
    assert facts["models"] == said["models"]
    assert len(facts["curves"]["sessions"]) == said["dates"]
    assert [fold["number"] for fold in facts["folds"]] == list(range(1, len(facts["folds"]) + 1))


def test_the_page_about_the_model_has_its_figures(tested):
    bist, said = tested
    rows = stored(bist.home)
    assert {row["ranking"] for row in rows} == MODELS
    for row in rows:
        assert (row["origin"], row["session"]) == ("backtest", SESSION)
        assert (row["dates"], row["symbols"]) == (said["dates"], said["symbols"])
        assert row["rank_ic"] == said["models"][row["ranking"]]["rank_ic"]


def test_mlflow_has_the_run_with_its_data_figures_and_report(tested):
    bist, said = tested
    client = mlflow.MlflowClient(f"sqlite:///{bist.home}/mlflow.db")
    experiment = client.get_experiment_by_name("bist-rank-63s-backtest")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.metrics["blend.rank_ic"] == pytest.approx(said["models"]["blend"]["rank_ic"])
    assert run.data.params["first"] == said["first"]
    assert run.inputs.dataset_inputs[0].dataset.digest == said["data_hash"]
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {
        "backtest.html",
        "backtest.json",
    }


def test_folds_as_separate_tasks_in_any_order_give_the_same(tested, tmp_path):
    bist, said = tested
    shutil.copytree(bist.home, tmp_path / "var")
    settings = load_settings(
        home=tmp_path / "var",
        source="files",
        source_path=str(bist.prices),
        training={"trees": 30, "seeds": [1], "min_child_samples": 50, "threads": 1},
        validation={"folds": 2},
    )
    bounds = {name: dt.date.fromisoformat(day) for name, day in (("first", FIRST), ("last", LAST))}
    folds = json.loads(json.dumps(plan_folds(settings, SESSION, **bounds)))
    assert len(folds) >= 2
    for fold in folds[1:]:
        run_fold(settings, SESSION, fold)
    with pytest.raises(MissingDataError, match="no forecasts of 1 of"):
        summarise(settings, SESSION, folds)
    run_fold(settings, SESSION, folds[0])
    run_fold(settings, SESSION, folds[0])  # as a retry does
    assert summarise(settings, SESSION, folds).details["models"] == said["models"]
    assert len(stored(settings.home)) == len(MODELS), "it replaces what was shown before"

    gone = settings.model_copy(update={"database_url": "mysql+mysqldb://bist@127.0.0.1:9/bist"})
    with pytest.raises(
        DatabaseUnavailableError, match=r"The report is complete without it: .*reports/backtest"
    ):
        summarise(gone, SESSION, folds)


def test_what_is_served_and_its_lake_stay_as_they_are(bist, tmp_path):
    """Other prices under test, in the home of a served batch."""
    before, lake = bist.published(), Settings(home=bist.home).lake_url
    held = {
        path: path.read_bytes() for name in ("prices", "features") for path in Path(lake).rglob(f"{name}/*.*")
    }
    prices = pd.read_parquet(bist.prices)
    other = tmp_path / "other.parquet"
    prices[prices["symbol"] > prices["symbol"].unique()[8]].to_parquet(other)

    result = bist("backtest", "--source-path", str(other), "--first", "2023-11-01", "--last", LAST, "--json")

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["symbols"] < 60
    assert bist.published() == before
    assert held
    assert {path: path.read_bytes() for path in held} == held


def test_closing_prices_alone_are_enough(bist, tmp_path):
    closes = tmp_path / "closes.csv"
    pd.read_parquet(bist.prices)[["date", "symbol", "close"]].to_csv(closes, index=False)

    result = Bist(tmp_path / "var", closes, SMALL)(
        "backtest", "--first", "2023-11-01", "--last", LAST, "--json"
    )

    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert set(said["models"]) == MODELS
    assert np.isfinite(said["models"]["blend"]["rank_ic"])


def test_people_see_progress_and_a_table(bist):
    result = bist("backtest", "--first", "2023-11-01", "--last", LAST)
    assert result.exit_code == 0, result.output
    for words in ("fold 1,", "low_vol_126", "independent quarters", "upper bounds", "Report"):
        assert words in result.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--first", "2021-06-01"), "for training, need 252"),
        (("--first", "2024-06-03"), "nothing to test from 2024-06-03"),
        (("--last", "2021-12-31"), "for training, need 252"),
        (("--last", "2020-12-31"), "No session has 30 tradable shares"),
    ],
)
def test_too_short_a_history_says_what_is_missing(tested, options, words):
    bist, _ = tested
    result = bist("backtest", *options, "--json")
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert said["error"] == "InsufficientDataError"
    assert words in said["message"]
    assert said["next"]


def test_without_mlflow_the_report_is_there_all_the_same(tested, tmp_path):
    done, said = tested
    shutil.copytree(done.home, tmp_path / "var")
    bist = Bist(tmp_path / "var", done.prices, {**done.environment, "BIST_MLFLOW_URL": "http://127.0.0.1:9"})
    report = Path(str(said["report"]).replace(str(done.home), str(bist.home)))
    report.unlink()

    result = bist("backtest", "--first", FIRST, "--last", LAST, "--json")

    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert answer["error"] == "RegistryUnavailableError"
    assert str(report) in answer["message"]
    assert report.exists()


def test_a_snapshot_has_no_past_to_test(tmp_path):
    bist = Bist(tmp_path / "var", tmp_path / "missing.csv", SMALL)
    result = bist("backtest", "--source", "snapshot", "--json")
    assert result.exit_code == 1
    assert "error" in json.loads(result.stdout)
