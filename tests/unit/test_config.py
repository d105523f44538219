"""Settings come from the environment, options win, and a wrong value names itself."""

from pathlib import Path

import pytest

from bist_pipeline.config import load_settings
from bist_pipeline.errors import ConfigError


def test_everything_lies_below_the_home_unless_it_is_given(monkeypatch, tmp_path):
    monkeypatch.setenv("BIST_HOME", str(tmp_path))
    monkeypatch.setenv("BIST_LAKE_URL", "s3://bucket/lake")

    settings = load_settings()

    assert settings.database_url == f"sqlite:///{tmp_path}/bist.db"
    assert settings.mlflow_url == f"sqlite:///{tmp_path}/mlflow.db"
    assert settings.lake_url == "s3://bucket/lake"


def test_a_relative_home_is_made_absolute_because_tasks_run_elsewhere(monkeypatch):
    monkeypatch.setenv("BIST_HOME", "data")

    assert load_settings().home == Path.cwd() / "data"


def test_an_option_wins_over_a_variable_and_an_empty_variable_counts_as_unset(monkeypatch):
    monkeypatch.setenv("BIST_SOURCE", "synthetic")
    monkeypatch.setenv("BIST_DATABASE_URL", "")

    settings = load_settings(source="files", source_path=None)

    assert settings.source == "files"
    assert settings.database_url.startswith("sqlite:///")


def test_nested_settings_have_variables_of_their_own(monkeypatch):
    monkeypatch.setenv("BIST_TRAINING__TREES", "7")

    assert load_settings().training.trees == 7


def test_every_wrong_value_is_named(monkeypatch):
    monkeypatch.setenv("BIST_HORIZON_SESSIONS", "soon")
    monkeypatch.setenv("BIST_VALIDATION__FOLDS", "1")

    with pytest.raises(ConfigError, match=r"2 setting\(s\).*horizon_sessions.*soon") as caught:
        load_settings()

    assert "validation.folds" in str(caught.value)


def test_settings_cannot_be_changed_behind_a_stage(settings):
    with pytest.raises(ValueError, match="frozen"):
        settings.source = "files"
