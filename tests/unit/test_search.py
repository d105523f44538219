"""A search for hyper-parameters sees a model's own past only, and never ends worse than it began."""

import sys

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.config import Settings, TrainingSettings, ValidationSettings
from bist_pipeline.errors import ConfigError, InsufficientDataError
from bist_pipeline.model import metrics
from bist_pipeline.model.search import tune

COLUMNS = ["signal", "noise"]
SESSIONS = pd.bdate_range("2022-01-03", periods=200).to_numpy().astype("datetime64[D]")
HELD_OUT, GAP = 40, 22


def settings(trials=6, **training):
    small = {"trees": 20, "min_child_samples": 40, "calibration_sessions": HELD_OUT, "seeds": (1,)}
    return Settings(
        horizon_sessions=20,
        training=TrainingSettings(**small | training, search_trials=trials),
        validation=ValidationSettings(embargo_sessions=2),
    )


def rows():
    """What `signal` says is not linear: a Ridge alone, held down hard, finds little."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"session": np.repeat(SESSIONS.astype("datetime64[ns]"), 40)})
    frame[COLUMNS] = rng.uniform(size=(len(frame), 2)).astype("float32")
    return frame.assign(excess=0.3 * (frame["signal"] - 0.5) ** 2 + rng.normal(0, 0.02, len(frame)))


def tuned(frame=None, **changes):
    given = settings(**changes)
    return tune(rows() if frame is None else frame, COLUMNS, sessions=SESSIONS, settings=given)


def test_no_search_unless_asked_for():
    given = settings(trials=0)
    assert tune(rows(), COLUMNS, sessions=SESSIONS, settings=given) is given


def test_a_search_ends_the_same_every_time_and_within_reach_of_its_start():
    found = tuned()
    assert found == tuned()
    assert found.training != settings().training
    start = settings().training.model_dump()
    for name, value in found.training.model_dump().items():
        if name in ("learning_rate", "leaves", "min_child_samples", "column_share", "l2", "ridge_penalty"):
            assert start[name] / 4 - 1 <= value <= start[name] * 4
        else:
            assert value == start[name]


def test_one_trial_is_the_settings_as_they_are():
    assert tuned(trials=1) == settings(trials=1)


def test_labels_that_reach_the_held_out_sessions_are_not_fitted_on(monkeypatch):
    frame = rows()
    day = np.searchsorted(SESSIONS, frame["session"])
    between = (day > len(SESSIONS) - HELD_OUT - GAP) & (day < len(SESSIONS) - HELD_OUT)
    poisoned = frame.assign(excess=frame["excess"].where(~between, -9 * frame["excess"]))
    scores = []
    judge = metrics.daily_rank_ic
    monkeypatch.setattr(metrics, "daily_rank_ic", lambda rows: scores.append(rows["score"]) or judge(rows))
    assert tuned(poisoned) == tuned(frame)
    assert len(scores) == 12
    assert scores[0].to_numpy().tobytes() == scores[6].to_numpy().tobytes()
    assert len(scores[0]) == HELD_OUT * 40


def test_a_missing_optuna_is_one_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match="Optuna is not installed") as caught:
        tuned()
    assert "bist-pipeline[tuning]" in caught.value.next_step


def test_a_history_too_short_to_hold_anything_out_is_refused():
    frame = rows()
    with pytest.raises(InsufficientDataError, match="60 labelled sessions: 40 to calibrate on"):
        tuned(frame[frame["session"] <= pd.Timestamp(SESSIONS[59])])
