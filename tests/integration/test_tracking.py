"""Models are registered once, found by what they have seen, and come back from MLflow to the last bit."""

import datetime as dt
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest
import skops.io
from sqlalchemy import create_engine, text

from bist_pipeline.config import Settings, TrainingSettings
from bist_pipeline.errors import (
    ConfigError,
    LookAheadError,
    ModelError,
    NoModelError,
    Policy,
    RegistryUnavailableError,
)
from bist_pipeline.model.pipeline import build_pipeline
from bist_pipeline.tracking import TRUSTED_TYPES, ModelCard, Registry
from tests.answering import answering

pytestmark = pytest.mark.integration

MARCH, JUNE, SEPTEMBER = dt.date(2024, 3, 29), dt.date(2024, 6, 28), dt.date(2024, 9, 30)
PARAMS = {"training.trees": 10, "training.seeds": (1, 2)}
METRICS = {"rank_ic": 0.11, "nw_t": 3.2}
HORIZONS = count(1)  # a horizon of its own gives each test a registered model of its own


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(4000, 12)), columns=[f"feature_{i}" for i in range(12)])
    frame.loc[::7, "feature_3"] = np.nan
    frame.loc[:199, "feature_5"] = np.nan  # as a long window is at the start of a history
    return frame


@pytest.fixture(scope="module")
def pipeline(frame):
    training = TrainingSettings(trees=60, interval_trees=20, calibration_sessions=30, min_child_samples=20)
    excess = 0.1 * frame["feature_0"] + np.random.default_rng(1).normal(0, 0.2, len(frame))
    unfitted = build_pipeline(training, list(frame.columns), horizon=10, embargo=0)
    return unfitted.fit(frame, excess, forecaster__groups=np.repeat(np.arange(100), 40))


@pytest.fixture(scope="module")
def sqlite_url(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'new' / 'mlflow.db'}"


@pytest.fixture(scope="module")
def server_url(mariadb, tmp_path_factory):
    """A real MLflow server on a free port of 127.0.0.1, over MariaDB."""
    engine = create_engine(mariadb)
    with engine.begin() as connection:
        connection.execute(text("CREATE DATABASE mlflow CHARACTER SET utf8mb4"))
    engine.dispose()
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {
        "--backend-store-uri": f"{mariadb}/mlflow?charset=utf8mb4",
        "--artifacts-destination": f"{folder}/artifacts",
        "--host": "127.0.0.1",
        "--port": str(port),
        "--workers": "1",
    }
    command = [sys.executable, "-m", "mlflow", "server", *(word for pair in options.items() for word in pair)]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = (folder / "server.log").open("w")
    process = subprocess.Popen(
        command, stdout=log, stderr=log, env=environment, cwd=folder, start_new_session=True
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process, folder / "server.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)
        log.close()


def wait_for(url, process, log):
    for _ in range(240):
        if process.poll() is not None:
            break
        with suppress(httpx.HTTPError):
            httpx.get(url, timeout=1).raise_for_status()
            return
        time.sleep(0.5)
    pytest.fail(f"the MLflow server did not come up:\n{log.read_text()[-2000:]}")


@pytest.fixture(params=["sqlite_url", "server_url"])
def settings(request, tmp_path):
    return settings_for(request.getfixturevalue(request.param), tmp_path)


def settings_for(url, home, **changes):
    return Settings(home=home, source="files", mlflow_url=url, horizon_sessions=next(HORIZONS), **changes)


def card(settings, *, through=JUNE, fingerprint="f00d", source="files"):
    return ModelCard(
        source=source,
        horizon=settings.horizon_sessions,
        data_hash="0123456789abcdef",
        code_version="0.1.0",
        trained_through=through,
        fingerprint=fingerprint,
        skill="proven",
        rank_ic=0.11,
        nw_t=4.2,
    )


def register(settings, pipeline, frame, **changes):
    registry = Registry(settings)
    return registry.register(pipeline, frame, card=card(settings, **changes), params=PARAMS, metrics=METRICS)


def promote(settings, pipeline, frame, *, as_champion=True, **changes):
    model = register(settings, pipeline, frame, **changes)
    Registry(settings).promote(model, as_champion=as_champion)
    return replace(model, promoted=True)


@pytest.mark.timeout(180)
def test_a_registered_model_comes_back_to_the_last_bit(settings, pipeline, frame):
    model = promote(settings, pipeline, frame)
    loaded = Registry(settings).load(Registry(settings).find_for(JUNE))
    assert loaded.predict(frame).to_numpy().tobytes() == pipeline.predict(frame).to_numpy().tobytes()
    assert model.name == f"bist-rank-{settings.horizon_sessions}s"


@pytest.mark.timeout(180)
def test_mlflow_holds_what_a_reader_needs_to_trust_it(settings, pipeline, frame):
    model = register(settings, pipeline, frame)
    client = mlflow.MlflowClient(settings.mlflow_url)
    stored = client.get_model_version_by_alias(model.name, "challenger")
    assert str(stored.version) == model.version
    assert stored.tags == {
        "source": "files",
        "kind": "forecast",
        "horizon": str(settings.horizon_sessions),
        "data_hash": "0123456789abcdef",
        "code_version": "0.1.0",
        "trained_through": "2024-06-28",
        "fingerprint": "f00d",
        "skill": "proven",
        "rank_ic": "0.11",
        "nw_t": "4.2",
    }
    run = client.get_run(stored.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {name: str(value) for name, value in PARAMS.items()}
    assert run.data.metrics == METRICS
    assert [item.dataset.digest for item in run.inputs.dataset_inputs] == ["0123456789abcdef"]

    info = mlflow.models.get_model_info(f"models:/{model.name}/{model.version}")
    assert info.signature.inputs.input_names() == list(frame.columns)
    assert info.signature.outputs.input_names() == ["score", "expected_excess_return", "lower", "upper"]
    assert info.flavors["sklearn"]["serialization_format"] == "skops"
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{model.name}/{model.version}"))
    requirements = (folder / "requirements.txt").read_text().split()
    assert any(line.startswith("lightgbm==") for line in requirements)
    example = mlflow.artifacts.download_artifacts(f"runs:/{stored.run_id}/input_example.json")
    assert len(pd.read_json(example, orient="split")) == 5
    assert set(skops.io.get_untrusted_types(file=folder / "model.skops")) <= set(TRUSTED_TYPES)


@pytest.mark.timeout(180)
def test_the_same_fingerprint_is_found_instead_of_trained_again(settings, pipeline, frame):
    assert Registry(settings).find_by_fingerprint("f00d") is None
    model = register(settings, pipeline, frame)
    register(settings, pipeline, frame, fingerprint="beef")
    assert Registry(settings).find_by_fingerprint("f00d") == model
    other_market = settings.model_copy(update={"source": "synthetic"})
    assert Registry(other_market).find_by_fingerprint("f00d") is None


@pytest.mark.timeout(180)
def test_a_session_gets_the_newest_promoted_model_that_has_not_seen_beyond_it(settings, pipeline, frame):
    registry = Registry(settings)
    with pytest.raises(NoModelError, match="No model of the source files was promoted"):
        registry.find_for(JUNE)
    march = promote(settings, pipeline, frame, through=MARCH)
    june = promote(settings, pipeline, frame, through=JUNE)
    register(settings, pipeline, frame, through=JUNE)  # a challenger that lost
    promote(settings, pipeline, frame, through=SEPTEMBER, source="synthetic")

    assert registry.champion().source == "synthetic"
    assert registry.find_for(SEPTEMBER) == registry.find_for(JUNE) == june
    assert registry.find_for(JUNE - dt.timedelta(days=1)) == march
    with pytest.raises(LookAheadError, match=r"All 2 promoted .* version 1, was trained through 2024-03-29"):
        registry.find_for(MARCH - dt.timedelta(days=1))


@pytest.mark.timeout(180)
def test_the_champion_comes_before_newer_models(settings, pipeline, frame):
    registry = Registry(settings)
    assert registry.champion() is None
    march = promote(settings, pipeline, frame, through=MARCH)
    promote(settings, pipeline, frame, through=JUNE)
    registry.promote(march)  # rolled back
    assert registry.find_for(SEPTEMBER) == registry.champion() == march


def test_a_model_of_the_past_scores_the_past_and_leaves_the_champion(sqlite_url, tmp_path, pipeline, frame):
    settings = settings_for(sqlite_url, tmp_path)
    june = promote(settings, pipeline, frame, through=JUNE)
    march = promote(settings, pipeline, frame, through=MARCH, as_champion=False)
    assert Registry(settings).champion() == june
    assert Registry(settings).find_for(JUNE - dt.timedelta(days=1)) == march


def test_a_champion_that_is_not_ours_is_refused(sqlite_url, tmp_path, pipeline, frame):
    settings = settings_for(sqlite_url, tmp_path)
    model = promote(settings, pipeline, frame)
    mlflow.MlflowClient(sqlite_url).delete_model_version_tag(model.name, model.version, "fingerprint")
    for find in (Registry(settings).champion, lambda: Registry(settings).find_for(JUNE)):
        with pytest.raises(ModelError, match="version 1 has no usable tag 'fingerprint'"):
            find()


def test_a_signature_that_mlflow_lost_is_noticed_and_nothing_registered(
    sqlite_url, tmp_path, pipeline, frame, monkeypatch
):
    settings = settings_for(sqlite_url, tmp_path)
    monkeypatch.setattr(mlflow.models, "infer_signature", lambda *_: False)
    with pytest.raises(ModelError, match="without its signature"):
        register(settings, pipeline, frame)
    assert Registry(settings).find_by_fingerprint("f00d") is None


def test_figures_are_kept_with_the_run(sqlite_url, tmp_path, pipeline, frame):
    settings = settings_for(sqlite_url, tmp_path)
    figures = {"rank_ic.svg": "<svg/>"}
    model = Registry(settings).register(
        pipeline, frame, card=card(settings), params=PARAMS, metrics=METRICS, files=figures
    )

    stored = mlflow.MlflowClient(sqlite_url).get_model_version(model.name, model.version)
    assert mlflow.artifacts.load_text(f"runs:/{stored.run_id}/rank_ic.svg") == "<svg/>"


def test_a_version_is_found_by_its_number_and_no_other_market_gets_it(sqlite_url, tmp_path, pipeline, frame):
    settings = settings_for(sqlite_url, tmp_path)
    model = register(settings, pipeline, frame)

    assert Registry(settings).find_version("1") == model
    for version in ("2", "x"):
        with pytest.raises(NoModelError, match=f"no version '{version}'"):
            Registry(settings).find_version(version)
    with pytest.raises(NoModelError, match="trained on files, not on synthetic"):
        Registry(settings.model_copy(update={"source": "synthetic"})).find_version("1")


def test_nothing_is_printed(settings, pipeline, frame, capfd):
    Registry(settings).load(promote(settings, pipeline, frame))
    assert capfd.readouterr() == ("", "")


def test_artifacts_of_a_local_registry_are_kept_in_its_home(
    sqlite_url, tmp_path, pipeline, frame, monkeypatch
):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    register(settings_for(sqlite_url, tmp_path / "var"), pipeline, frame)
    assert len(list((tmp_path / "var" / "mlflow-artifacts").rglob("model.skops"))) == 1
    assert list((tmp_path / "elsewhere").iterdir()) == []


def truncate(file):
    file.write_bytes(file.read_bytes()[:-1000])


def empty(file):
    file.write_bytes(b"")


def forge(file):
    skops.io.dump({"call": os.system}, file)


def replace_by_something_else(file):
    skops.io.dump({"a": 1}, file)


def delete_folder(file):
    shutil.rmtree(file.parent)


@pytest.mark.parametrize(
    "damage", [truncate, empty, forge, replace_by_something_else, Path.unlink, delete_folder]
)
def test_a_model_that_no_longer_loads_is_one_clear_error(damage, sqlite_url, tmp_path, pipeline, frame):
    settings = settings_for(sqlite_url, tmp_path)
    model = promote(settings, pipeline, frame)
    damage(next(tmp_path.rglob("model.skops")))
    with pytest.raises(ModelError, match=f"{model.name} version 1"):
        Registry(settings).load(model)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, b"Invalid Host header - possible DNS rebinding attack detected"),
        (403, b'{"error_code": "PERMISSION_DENIED", "message": "no"}'),
        (404, b"<html>some other server</html>"),
        (500, b'{"error_code": "INTERNAL_ERROR", "message": "broken"}'),
        (500, b"<html>broken</html>"),
        (200, b"<html>some other server</html>"),
    ],
)
def test_a_server_that_refuses_or_is_broken_is_unavailable(status, body, tmp_path, pipeline, frame):
    with answering(status, body) as url:
        assert_unavailable(settings_for(url, tmp_path), pipeline, frame)


def test_a_server_that_does_not_exist_or_never_answers_is_unavailable(tmp_path, pipeline, frame, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert_unavailable(
            settings_for(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path), pipeline, frame
        )
        port = silent.getsockname()[1]
    assert_unavailable(settings_for(f"http://127.0.0.1:{port}", tmp_path), pipeline, frame)


def test_a_database_that_is_none_or_cannot_be_made_is_unavailable(tmp_path, pipeline, frame):
    file = tmp_path / "mlflow.db"
    file.write_text("This is no database. " * 500)
    assert_unavailable(settings_for(f"sqlite:///{file}", tmp_path), pipeline, frame)
    assert_unavailable(settings_for(f"sqlite:///{file}/below/a/file.db", tmp_path), pipeline, frame)


def assert_unavailable(settings, pipeline, frame):
    for use in (
        lambda: Registry(settings).find_for(JUNE),
        lambda: Registry(settings).champion(),
        lambda: register(settings, pipeline, frame),
    ):
        with pytest.raises(RegistryUnavailableError, match="MLflow at") as caught:
            use()
        assert caught.value.policy is Policy.RETRY
        assert settings.mlflow_url in str(caught.value)


@pytest.mark.parametrize("url", ["mlruns", "file:///var/mlruns", "databricks", "https:/typo"])
def test_a_url_that_is_neither_server_nor_database_is_a_setting_to_correct(url, tmp_path):
    with pytest.raises(ConfigError, match="BIST_MLFLOW_URL"):
        Registry(settings_for(url, tmp_path))


def test_a_password_is_not_shown(tmp_path):
    settings = settings_for("http://pipeline:hunter2@127.0.0.1:9", tmp_path)
    with pytest.raises(RegistryUnavailableError) as caught:
        Registry(settings).champion()
    assert "hunter2" not in str(caught.value)


def test_a_backtest_is_a_run_with_its_data_figures_and_files(settings):
    registry = Registry(settings)
    for name in ("first", "second"):
        registry.record_backtest(
            name,
            data_hash="0123456789abcdef",
            params=PARAMS,
            metrics={"blend.rank_ic": 0.11},
            files={"backtest.json": '{"dates": 60}'},
        )
    client = mlflow.MlflowClient(settings.mlflow_url)
    experiment = client.get_experiment_by_name(f"{registry.name}-backtest")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.run_name for run in runs} == {"first", "second"}
    assert runs[0].data.metrics == {"blend.rank_ic": 0.11}
    assert runs[0].inputs.dataset_inputs[0].dataset.digest == "0123456789abcdef"
    uri = f"runs:/{runs[0].info.run_id}/backtest.json"
    assert mlflow.artifacts.load_dict(mlflow.artifacts.download_artifacts(uri)) == {"dates": 60}
    assert registry.champion() is None
