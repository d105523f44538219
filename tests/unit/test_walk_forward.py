"""Walk-forward forecasts use only what was known before their block, and only tradable rows to learn."""

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.config import Settings, TrainingSettings, ValidationSettings
from bist_pipeline.errors import InsufficientDataError
from bist_pipeline.model import metrics, walk_forward

COLUMNS = ["signal", "noise"]
SESSIONS = pd.bdate_range("2022-01-03", periods=320).to_numpy().astype("datetime64[D]")
LABELLED, N_SHARES = 300, 36
SETTINGS = Settings(
    horizon_sessions=20,
    training=TrainingSettings(
        trees=20, min_child_samples=40, interval_trees=10, calibration_sessions=40, seeds=(1,)
    ),
    validation=ValidationSettings(folds=3, block_sessions=20, embargo_sessions=2, min_train_sessions=150),
)


def market():
    """Every session of the calendar; the last 20 have no label yet; every sixth share is not tradable."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "session": np.repeat(SESSIONS.astype("datetime64[ns]"), N_SHARES),
            "symbol": np.tile([f"S{i:02d}" for i in range(N_SHARES)], len(SESSIONS)),
        }
    )
    frame["tradable"] = np.arange(len(frame)) % 6 > 0
    frame[COLUMNS] = rng.normal(size=(len(frame), 2)).astype("float32")
    excess = 0.1 * frame["signal"] + rng.normal(0, 0.2, len(frame))
    return frame, excess.where(frame["session"] <= pd.Timestamp(SESSIONS[LABELLED - 1]))


def examples(frame, excess, settings=SETTINGS):
    return walk_forward.select_examples(frame, excess, sessions=SESSIONS, settings=settings)


def run(rows):
    return walk_forward.run(rows, COLUMNS, sessions=SESSIONS, settings=SETTINGS)


@pytest.fixture(scope="module")
def result():
    return run(examples(*market()))


def test_examples_are_every_fifth_session_back_from_the_newest_label():
    chosen = examples(*market())
    expected = SESSIONS[LABELLED - 1 :: -5][::-1]
    assert chosen["session"].drop_duplicates().tolist() == pd.DatetimeIndex(expected).tolist()
    assert len(chosen) == len(expected) * N_SHARES


def test_sessions_with_too_few_tradable_results_are_left_out():
    frame, excess = market()
    thin = SESSIONS[LABELLED - 1]
    frame.loc[(frame["session"] == pd.Timestamp(thin)) & (frame["symbol"] > "S28"), "tradable"] = False
    assert examples(frame, excess)["session"].max() == pd.Timestamp(SESSIONS[LABELLED - 2])


def test_a_market_that_is_too_small_is_refused():
    frame, excess = market()
    with pytest.raises(InsufficientDataError, match=r"No session has 30 .* \(the fullest has 10\)"):
        examples(frame[frame["symbol"] < "S12"], excess[frame["symbol"] < "S12"])
    with pytest.raises(InsufficientDataError, match="the fullest has 0"):
        examples(frame, excess * np.nan)


def test_every_labelled_share_of_the_blocks_is_forecast_once_and_tradable_ones_are_judged(result):
    rows = examples(*market())
    tested = rows[rows["session"] >= pd.Timestamp(SESSIONS[LABELLED - 60])]
    keys = ["session", "symbol", "tradable", "excess"]
    pd.testing.assert_frame_equal(result.forecasts[keys], tested[keys].reset_index(drop=True))
    tradable = result.forecasts[result.forecasts["tradable"]]
    assert 0 < len(tradable) < len(tested)
    assert result.metrics == metrics.summarise(tradable, horizon=20, lag=4)
    assert result.metrics["rank_ic"] > 0.2


def test_a_fold_alone_gives_what_the_run_gave(result):
    rows = examples(*market())
    fold = result.folds[1]
    alone = walk_forward.forecast_fold(rows, COLUMNS, fold, sessions=SESSIONS, settings=SETTINGS)
    days = result.forecasts["session"]
    part = result.forecasts[days.between(pd.Timestamp(fold.test_first), pd.Timestamp(fold.test_last))]
    pd.testing.assert_frame_equal(alone.reset_index(drop=True), part.reset_index(drop=True))


def test_labels_not_known_before_a_block_change_nothing_in_it(result):
    frame, excess = market()
    fold = result.folds[0]
    unknown = frame["session"] > pd.Timestamp(fold.train_last)
    poisoned = run(examples(frame, excess.where(~unknown, -excess)))
    block = result.forecasts["session"] <= pd.Timestamp(fold.test_last)
    columns = ["score", "expected_excess_return", "lower", "upper"]
    pd.testing.assert_frame_equal(poisoned.forecasts[block][columns], result.forecasts[block][columns])
    assert not poisoned.forecasts[~block][columns].equals(result.forecasts[~block][columns])


def test_nothing_is_learnt_from_rows_that_cannot_be_traded(result):
    frame, excess = market()
    poisoned = run(examples(frame, excess.where(frame["tradable"], -9 * excess)))
    pd.testing.assert_series_equal(poisoned.forecasts["score"], result.forecasts["score"])


def test_a_horizon_longer_than_the_history_is_refused():
    settings = SETTINGS.model_copy(update={"horizon_sessions": 252})
    with pytest.raises(InsufficientDataError, match="a gap of 254"):
        walk_forward.run(examples(*market()), COLUMNS, sessions=SESSIONS, settings=settings)
