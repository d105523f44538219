"""The user's own kind of data set, one table of one date, through the whole pipeline."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from fastapi.testclient import TestClient

from bist_pipeline.config import Settings
from bist_pipeline.market.snapshot import clean_snapshot
from bist_pipeline.store.engine import connect, open_engine
from bist_pipeline.store.read import read_batch
from serving.app import create_app
from tests.command_line import Bist
from tests.conftest import ROOT
from tests.small_snapshot import NO_TARGET, SHARES, fetch_snapshot, small_snapshot, write_raw

SESSION, TARGET = "2024-12-23", "3 Ay Degisim (%)"
SMALL = {
    "BIST_SOURCE": "snapshot",
    "BIST_TRAINING__TREES": "40",
    "BIST_TRAINING__LEARNING_RATE": "0.1",
    "BIST_TRAINING__COLUMN_SHARE": "1",
    "BIST_TRAINING__SEEDS": "[1]",
}
FIGURES = ("rank", "symbol", "score", "expected_excess_return", "lower", "upper", "tradable", "drivers")


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bist, dict[str, Any]]:
    """The command line after one run, which was told no date, and what `bist run --json` said of it."""
    folder = tmp_path_factory.mktemp("bist")
    bist = Bist(folder / "var", write_raw(folder / "raw.csv", small_snapshot()), SMALL)
    return bist, run(bist)


@pytest.fixture
def elsewhere(first_run: tuple[Bist, dict[str, Any]], tmp_path: Path) -> Bist:
    """The same command line with an empty home."""
    return Bist(tmp_path / "var", first_run[0].prices, SMALL)


def run(bist: Bist, *arguments: str) -> dict[str, Any]:
    result = bist("run", "--json", *arguments)
    assert result.exit_code == 0, result.output
    said: dict[str, Any] = json.loads(result.stdout)
    return said


def figures(bist: Bist) -> list[list[Any]]:
    return [[row[name] for name in FIGURES] for row in bist.published()]


def answers(home: Path, *paths: str) -> list[dict[str, Any]]:
    with TestClient(create_app(Settings(home=home)), base_url="http://localhost") as client:
        return [client.get(path).json() for path in paths]


def test_every_share_gets_one_estimate_with_an_interval_and_its_drivers(first_run):
    bist, said = first_run
    rows = bist.published()

    assert (said["session"], said["rows"], said["published"]) == (SESSION, SHARES, True)
    assert {row["symbol"] for row in rows} == {f"S{i:03d}" for i in range(SHARES)} >= set(NO_TARGET)
    assert [row["rank"] for row in rows] == list(range(1, SHARES + 1))
    assert all(row["lower"] <= row["expected_excess_return"] <= row["upper"] for row in rows)
    assert all(len(row["drivers"]) == 5 for row in rows)


def test_every_answer_of_the_api_says_that_it_is_no_forecast(first_run):
    bist, _ = first_run
    found = answers(
        bist.home,
        "/api/v1/predictions",
        f"/api/v1/predictions?session={SESSION}&limit=1",
        "/api/v1/predictions?min_excess=9",
        "/api/v1/predictions/s001.is",
    )

    assert [answer["publication"]["kind"] for answer in found] == ["contemporaneous"] * 4
    assert {answer["publication"]["horizon_sessions"] for answer in found} == {0}
    assert {answer["publication"]["model"]["rank_ic"] for answer in found} == {None}


def test_the_registered_model_is_labelled_and_apart_from_those_that_forecast(first_run):
    bist, _ = first_run
    mlflow.set_tracking_uri(f"sqlite:///{bist.home}/mlflow.db")
    client = mlflow.MlflowClient()
    version = client.get_model_version_by_alias("bist-snapshot-3m", "champion")
    logged = client.get_run(version.run_id)

    assert [model.name for model in client.search_registered_models()] == ["bist-snapshot-3m"]
    assert version.tags["kind"] == logged.data.tags["kind"] == "contemporaneous"
    assert logged.data.metrics["r2_with_window"] > 0.5
    assert logged.data.metrics["r2_without_window"] < 0.1


@pytest.mark.parametrize(
    "words", ["contemporaneous", "ot a forecast", "R² 0.", "without them", "past three months"]
)
def test_the_table_at_the_end_says_what_it_is_and_both_figures(first_run, words):
    bist, _ = first_run

    assert words in bist("top").stdout.replace("\n", " ")


def test_the_report_says_what_it_is_and_shows_both_figures(first_run):
    bist, _ = first_run
    receipt = json.loads(bist("evaluate", "--json").stdout)
    page = Path(receipt["report"]).read_text()
    facts = json.loads(Path(receipt["report"]).with_suffix(".json").read_text())

    assert receipt["kind"] == facts["kind"] == "contemporaneous"
    for words in ("contemporaneous", "not a forecast", "tahmin değildir"):
        assert words in page
    for name in ("r2_with_window", "r2_without_window"):
        assert f"{facts['metrics'][name]:z.2f}".replace("-", "−") in page
    assert len(facts["shares"]) == SHARES


def test_a_second_run_gives_the_same_to_the_last_bit(first_run):
    bist, said = first_run
    before = bist.published()

    again = run(bist, "--session", SESSION)

    assert bist.published() == before
    assert {**again, "seconds": 0} == {**said, "seconds": 0}


@pytest.mark.integration
def test_the_same_job_stores_the_same_batch_in_mariadb(first_run, mariadb_url):
    bist, said = first_run

    assert run(bist, "--database-url", mariadb_url)["run_id"] == said["run_id"]

    with connect(open_engine(mariadb_url)) as connection:
        batch = read_batch(connection)
    assert batch.publication.kind == "contemporaneous"
    stored = [(row.symbol, row.score, effects(row.drivers)) for row in batch.predictions]
    assert stored == [(row["symbol"], row["score"], effects(row["drivers"])) for row in bist.published()]


def effects(drivers):
    return [(driver["feature"], driver["contribution"]) for driver in drivers]


def test_another_file_for_the_same_date_replaces_it_and_its_model(first_run, elsewhere, tmp_path):
    run(elsewhere)
    table = small_snapshot().head(100)
    run(elsewhere, "--source-path", str(write_raw(tmp_path / "fewer.csv", table)))
    assert len(elsewhere.published()) == 100

    run(elsewhere)

    assert figures(elsewhere) == figures(first_run[0])


def test_the_date_is_what_the_user_says_and_must_be_a_past_session(first_run):
    bist, _ = first_run

    for day, error in (("2024-09-29", "NotASessionError"), ("2027-12-31", "SessionOutOfRangeError")):
        result = bist("run", "--json", "--session", day)
        assert (result.exit_code, json.loads(result.stdout)["error"]) == (1, error)
    said = json.loads(bist("ingest", "--json", "--session", "2024-12-20").stdout)
    assert (said["session"], said["rows"]) == ("2024-12-20", SHARES)


@pytest.mark.parametrize(
    ("table", "error", "words"),
    [
        (None, "SourceNotFoundError", "other.csv"),
        (small_snapshot().tail(20), "InsufficientDataError", "20 shares"),
        (small_snapshot().assign(**{TARGET: np.nan}), "DataQualityError", "160 of 160 shares"),
        (small_snapshot()[["Hisse", "Sektor", TARGET, "Beta"]], "InsufficientDataError", "months, 0 do not"),
    ],
    ids=["missing file", "too few shares", "unknown target", "too few columns"],
)
def test_what_is_no_snapshot_is_refused_and_the_batch_stays(first_run, tmp_path, table, error, words):
    bist, _ = first_run
    before = bist.published()
    if table is not None:
        write_raw(tmp_path / "other.csv", table)

    result = bist("run", "--json", "--source-path", str(tmp_path / "other.csv"))

    said = json.loads(result.stdout)
    assert (result.exit_code, said["error"]) == (1, error)
    assert words in said["message"]
    assert said["next"]
    assert bist.published() == before


@pytest.fixture(scope="session")
def users_files() -> dict[str, Path]:
    """The user's own data set, which another machine does not have."""
    folder = Path(os.environ.get("BIST_SHARED_DATA", ROOT / "../shared/data")) / "seed"
    names = {"raw": "verileri", "cleaned": "temizlenmis"}
    files = {kind: folder / f"bist_tum_hisseler_{name}.csv" for kind, name in names.items()}
    if not all(file.exists() for file in files.values()):
        pytest.skip(f"no {files['raw']}; set BIST_SHARED_DATA to the folder that holds seed/")
    return files


def test_our_cleaning_of_the_raw_file_is_the_users_own(users_files):
    ours = clean_snapshot(fetch_snapshot(users_files["raw"]).snapshot).shares
    theirs = clean_snapshot(fetch_snapshot(users_files["cleaned"]).snapshot).shares
    known = ours[TARGET].notna()

    assert ours.shape == theirs.shape == (579, 25)
    assert known.sum() == 575
    for name in ours:
        if ours[name].dtype == object:
            assert (ours[name] == theirs[name]).all(), name
        else:
            np.testing.assert_allclose(
                ours.loc[known, name], theirs.loc[known, name], rtol=1e-9, err_msg=name
            )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["raw", "cleaned"])
def test_the_users_files_show_no_skill_without_the_columns_that_hold_the_answer(users_files, elsewhere, kind):
    settings = {"BIST_TRAINING__LEARNING_RATE": "0.03", "BIST_TRAINING__TREES": "300"}
    elsewhere.environment = {**SMALL, **settings, "BIST_TRAINING__COLUMN_SHARE": "0.3"}

    run(elsewhere, "--source-path", str(users_files[kind]))
    figures = json.loads(elsewhere("train", "--json").stdout)

    assert len(elsewhere.published()) == 579
    assert 0.35 < figures["r2_with_window"] < 0.6
    assert -0.1 < figures["r2_without_window"] < 0.1
