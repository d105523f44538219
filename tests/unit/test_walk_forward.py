"""Walk-forward forecasts use only what was known before their block, and only tradable rows to learn."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.config import Settings, TrainingSettings, ValidationSettings
from bist_pipeline.errors import InsufficientDataError
from bist_pipeline.model import metrics, walk_forward

COLUMNS = ["signal", "noise", "vol_126_rank"]
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
    frame[COLUMNS] = rng.uniform(size=(len(frame), 3)).astype("float32")
    frame["vol_126"] = frame["vol_126_rank"] / 20
    frame["KMID"] = rng.normal(size=len(frame)).astype("float32")
    excess = 0.3 * (frame["signal"] - 0.5) + rng.normal(0, 0.2, len(frame))
    return frame, excess.where(frame["session"] <= pd.Timestamp(SESSIONS[LABELLED - 1]))


def examples(frame, excess, settings=SETTINGS):
    return walk_forward.select_examples(frame, excess, sessions=SESSIONS, settings=settings)


def run(rows):
    return walk_forward.run(rows, COLUMNS, sessions=SESSIONS, settings=SETTINGS)


@pytest.fixture(scope="module")
def result():
    return run(examples(*market()))


def test_the_model_that_scores_a_block_has_seen_no_result_that_reaches_into_it(result):
    frame, excess = market()
    (begins, ends) = walk_forward.find_lives(result.folds, until=SESSIONS[-1].item())[-1]
    reaches_in = SESSIONS[np.searchsorted(SESSIONS, np.datetime64(begins)) - SETTINGS.horizon_sessions]
    turned = excess.where(frame["session"] < pd.Timestamp(reaches_in), -excess)

    others = run(examples(frame, turned)).models

    rows = frame[frame["session"].between(pd.Timestamp(begins), pd.Timestamp(ends))]
    pd.testing.assert_frame_equal(others[-1].predict(rows), result.models[-1].predict(rows))
    assert len(others) == len(result.folds) == SETTINGS.validation.folds


def test_every_session_since_the_first_block_has_the_newest_model_trained_before_it(result):
    lives = walk_forward.find_lives(result.folds, until=SESSIONS[-1].item())

    scored = [day for first, last in lives for day in SESSIONS.tolist() if first <= day <= last]
    assert scored == SESSIONS[LABELLED - 3 * 20 :].tolist()
    assert all(fold.train_last < first for fold, (first, _) in zip(result.folds, lives, strict=True))


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
    blend = metrics.summarise(tradable.assign(score=tradable["blend"]), horizon=20, lag=4)
    assert result.metrics == blend | {"rank_ic_low_vol_126": pytest.approx(0, abs=0.1)}
    assert result.metrics["rank_ic"] > 0.2


def test_a_fold_alone_gives_what_the_run_gave(result):
    rows = examples(*market())
    fold = result.folds[1]
    alone = walk_forward.forecast_fold(rows, COLUMNS, fold, sessions=SESSIONS, settings=SETTINGS)
    days = result.forecasts["session"]
    part = result.forecasts[days.between(pd.Timestamp(fold.test_first), pd.Timestamp(fold.test_last))]
    pd.testing.assert_frame_equal(alone.reset_index(drop=True), part.reset_index(drop=True))


def forecast(rows, fold, *, settings=SETTINGS, columns=COLUMNS, **options):
    return walk_forward.forecast_fold(rows, columns, fold, sessions=SESSIONS, settings=settings, **options)


def test_all_models_score_the_same_rows(result):
    fold = result.folds[1]
    forecasts = forecast(examples(*market()), fold, models=walk_forward.MODELS)
    scores = forecasts[list(walk_forward.MODELS)]
    assert set(walk_forward.MODELS) == {
        *("blend", "lightgbm", "ridge", "low_vol_126", "momentum_252_21", "reversal_21", "random"),
        "qlib_lightgbm",
    }
    assert np.isfinite(scores).all(axis=None)
    assert (forecasts["fold"] == 2).all()
    ranked = {name: walk_forward.mean_rank_ic(forecasts, name) for name in scores}
    assert min(ranked["blend"], ranked["ridge"], ranked["lightgbm"]) > 0.15
    assert abs(ranked["random"]) < 0.2
    alone = forecast(examples(*market()), fold)
    pd.testing.assert_frame_equal(alone, forecasts[alone.columns])
    assert alone["volatility"].equals(examples(*market()).loc[alone.index, "vol_126"].rename("volatility"))


def test_a_baseline_alone_fits_nothing_else(result, monkeypatch):
    monkeypatch.setattr(walk_forward, "fit", None)
    forecasts = forecast(examples(*market()), result.folds[0], models=["random"])
    assert forecasts["random"].between(0, 1).all()
    assert "blend" not in forecasts


def test_a_column_without_any_value_is_left_out_of_the_fold(result):
    frame, excess = market()
    holed = examples(frame.assign(noise=np.float32(np.nan)), excess)
    fold = result.folds[0]
    without = forecast(holed, fold, columns=["signal", "vol_126_rank"])
    pd.testing.assert_frame_equal(forecast(holed, fold), without)


def test_without_volatility_there_is_nothing_to_compare_with(result):
    frame, excess = market()
    blind = examples(frame.drop(columns=["vol_126", "vol_126_rank"]), excess)
    forecasts = forecast(blind, result.folds[0], columns=["signal", "noise"])
    assert forecasts["volatility"].isna().all()
    assert np.isnan(walk_forward.mean_rank_ic(forecasts, "low_vol_126"))
    assert walk_forward.mean_rank_ic(forecasts, "blend") > 0.2


def test_a_recipe_gives_in_the_same_folds_what_it_gave_there(result):
    rows = examples(*market())
    same = walk_forward.fit(rows, COLUMNS, sessions=SESSIONS, settings=SETTINGS)
    again = walk_forward.rescore(same, rows, result.folds, sessions=SESSIONS)
    assert again["score"].to_numpy().tobytes() == result.forecasts["blend"].to_numpy().tobytes()
    blind = walk_forward.fit(rows, ["noise", "vol_126_rank"], sessions=SESSIONS, settings=SETTINGS)
    worse = walk_forward.rescore(blind, rows, result.folds, sessions=SESSIONS)
    assert worse[["session", "symbol"]].equals(again[["session", "symbol"]])
    assert walk_forward.mean_rank_ic(worse, "score") < 0.2 < walk_forward.mean_rank_ic(again, "score")


def test_a_backtest_tests_everything_from_its_first_date_on():
    rows = examples(*market())
    first = SESSIONS[LABELLED - 70].item()
    folds = walk_forward.plan_folds(rows, sessions=SESSIONS, settings=SETTINGS, first_test=first)
    assert folds[0].test_first == first
    assert folds[-1].test_last == SESSIONS[LABELLED - 1].item()
    lengths = [np.busday_count(fold.test_first, fold.test_last) + 1 for fold in folds]
    assert lengths == [20, 20, 20, 10]


def test_the_earliest_test_is_the_first_quarter_with_enough_before_it():
    rows = examples(*market())
    first = walk_forward.earliest_test(rows, sessions=SESSIONS, settings=SETTINGS)
    assert first == dt.date(2022, 10, 3)  # 150 sessions and the gap of 22 end on 2022-08-30
    folds = walk_forward.plan_folds(rows, sessions=SESSIONS, settings=SETTINGS, first_test=first)
    assert folds[0].test_first == first
    longer = SETTINGS.validation.model_copy(update={"min_train_sessions": 10_000})
    hopeless = SETTINGS.model_copy(update={"validation": longer})
    none = walk_forward.earliest_test(rows, sessions=SESSIONS, settings=hopeless)
    with pytest.raises(InsufficientDataError, match="labelled sessions"):
        walk_forward.plan_folds(rows, sessions=SESSIONS, settings=hopeless, first_test=none)


def test_a_search_stays_inside_each_folds_past(result):
    frame, excess = market()
    fold = result.folds[0]
    searching = SETTINGS.training.model_copy(update={"search_trials": 3})
    settings = SETTINGS.model_copy(update={"training": searching})
    unknown = frame["session"] > pd.Timestamp(fold.train_last)
    found = forecast(examples(frame, excess), fold, settings=settings)
    poisoned = forecast(examples(frame, excess.where(~unknown, -excess)), fold, settings=settings)
    assert found["blend"].equals(poisoned["blend"])
    assert not found["blend"].equals(forecast(examples(frame, excess), fold)["blend"])


def test_labels_not_known_before_a_block_change_nothing_in_it(result):
    frame, excess = market()
    fold = result.folds[0]
    unknown = frame["session"] > pd.Timestamp(fold.train_last)
    poisoned = run(examples(frame, excess.where(~unknown, -excess)))
    block = result.forecasts["session"] <= pd.Timestamp(fold.test_last)
    columns = ["blend", "expected_excess_return", "lower", "upper"]
    pd.testing.assert_frame_equal(poisoned.forecasts[block][columns], result.forecasts[block][columns])
    assert not poisoned.forecasts[~block][columns].equals(result.forecasts[~block][columns])


def test_nothing_is_learnt_from_rows_that_cannot_be_traded(result):
    frame, excess = market()
    poisoned = run(examples(frame, excess.where(frame["tradable"], -9 * excess)))
    pd.testing.assert_series_equal(poisoned.forecasts["blend"], result.forecasts["blend"])


def test_a_horizon_longer_than_the_history_is_refused():
    settings = SETTINGS.model_copy(update={"horizon_sessions": 252})
    with pytest.raises(InsufficientDataError, match="a gap of 254"):
        walk_forward.run(examples(*market()), COLUMNS, sessions=SESSIONS, settings=settings)
