"""A training taken apart into tasks is the same training, and a fold that is missing stops it."""

from __future__ import annotations

import datetime as dt
import shutil

import numpy as np
import pytest

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import load_settings
from bist_pipeline.errors import MissingDataError
from bist_pipeline.stages.folds import plan_folds, read_scores, run_fold
from bist_pipeline.stages.train import train
from bist_pipeline.tracking import Registry
from tests.command_line import SESSION


@pytest.fixture
def settings(bist, monkeypatch):
    """The market of `bist`, and a recipe that is not the champion's."""
    for name, value in {**bist.environment, "BIST_TRAINING__RIDGE_PENALTY": "10"}.items():
        monkeypatch.setenv(name, value)
    return load_settings(home=bist.home, source="files", source_path=str(bist.prices))


def test_folds_run_one_by_one_come_to_the_figures_of_a_training_in_one_piece(settings, tmp_path):
    other = load_settings(home=tmp_path / "other", source="files", source_path=settings.source_path)
    shutil.copytree(settings.home, other.home)
    whole = train(other, SESSION)

    plan = plan_folds(settings, SESSION)
    assert len(plan) == settings.validation.folds
    for fold in reversed(plan):
        run_fold(settings, SESSION, fold=fold)
    apart = train(settings, SESSION, folds=plan)

    ours, theirs = (
        {name: fact for name, fact in receipt.details.items() if name != "mlflow_run_id"}
        for receipt in (apart, whole)
    )
    assert ours == pytest.approx(theirs)
    scores = read_scores(settings, plan)
    since = bist_calendar().between(dt.date.fromisoformat(plan[0]["test_first"]), SESSION)
    assert np.unique(scores["session"]).astype("datetime64[D]").tolist() == since.tolist()
    assert scores["tradable"].all()


def test_a_fold_that_was_not_run_stops_the_training_and_the_champion_stays(settings):
    registry = Registry(settings)
    champion, (first, *others) = registry.champion(), plan_folds(settings, SESSION)
    for fold in others:
        run_fold(settings, SESSION, fold=fold)

    with pytest.raises(MissingDataError, match=f"no forecasts of 1 of {len(others) + 1} folds") as caught:
        train(settings, SESSION, folds=[first, *others])

    assert caught.value.which == (f"fold {first['number']}",)
    assert registry.champion() == champion


def test_folds_of_other_data_are_refused(settings):
    (first, *_) = plan_folds(settings, SESSION)

    with pytest.raises(MissingDataError, match="changed since the folds were planned"):
        run_fold(settings, SESSION, fold={**first, "fingerprint": "of yesterday"})


def test_a_model_that_is_in_use_already_needs_no_folds(settings, monkeypatch):
    monkeypatch.delenv("BIST_TRAINING__RIDGE_PENALTY")
    same = load_settings(home=settings.home, source="files", source_path=settings.source_path)

    assert plan_folds(same, SESSION) == []
    assert train(same, SESSION, folds=[]).details["status"] == "kept"
