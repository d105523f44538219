"""The pipeline learns ranks, holds its intervals, repeats to the bit, and refuses another schema."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.base import clone

from bist_pipeline.config import TrainingSettings
from bist_pipeline.contracts import FORECAST_COLUMNS
from bist_pipeline.errors import ContractError, FeatureSchemaError, InsufficientDataError
from bist_pipeline.model.pipeline import build_pipeline, explain, has_same_recipe

COLUMNS = ["signal", "vol", "noise"]
N_SESSIONS, N_SHARES = 260, 40
SMALL = TrainingSettings(
    trees=60,
    column_share=1.0,
    min_child_samples=40,
    interval_trees=60,
    calibration_sessions=60,
    seeds=(1, 2),
)


def market(seed=0):
    """Excess depends on `signal`; its spread, on `vol`. Every fourth session only, as in training."""
    rng = np.random.default_rng(seed)
    position = np.repeat(np.arange(0, N_SESSIONS, 2), N_SHARES)
    frame = pd.DataFrame(rng.normal(size=(position.size, 3)), columns=COLUMNS).astype("float32")
    frame["vol"] = rng.uniform(0.1, 0.4, position.size).astype("float32")
    excess = 0.1 * frame["signal"] + frame["vol"] * rng.normal(size=position.size)
    return frame, excess.rename("excess"), position


def pipeline(training=SMALL, columns=COLUMNS):
    return build_pipeline(training, columns, horizon=20, embargo=5)


def fitted(training=SMALL, frame=None, **changes):
    data = dict(zip(("frame", "excess", "position"), market(), strict=True)) | changes
    return pipeline(training).fit(data["frame"], data["excess"], forecaster__groups=data["position"])


@pytest.fixture(scope="module")
def model():
    return fitted()


@pytest.fixture(scope="module")
def new():
    return market(seed=1)


def test_forecasts_rank_new_rows_and_keep_their_index(model, new):
    frame, excess, _ = new
    forecasts = model.predict(frame.set_index(frame.index + 1000))
    assert list(forecasts.columns) == FORECAST_COLUMNS
    assert forecasts.index.tolist() == list(range(1000, 1000 + len(frame)))
    assert spearmanr(forecasts["score"], excess).statistic > 0.2


def test_intervals_of_new_rows_hold_80_percent_for_calm_and_wild_shares_alike(model, new):
    frame, excess, _ = new
    forecasts = model.predict(frame)
    inside = excess.between(forecasts["lower"], forecasts["upper"])
    assert inside.mean() == pytest.approx(0.8, abs=0.04)
    assert inside[frame["vol"] < 0.2].mean() == pytest.approx(0.8, abs=0.07)
    assert inside[frame["vol"] > 0.3].mean() == pytest.approx(0.8, abs=0.07)
    assert forecasts["expected_excess_return"].between(forecasts["lower"], forecasts["upper"]).all()


def test_expected_excess_is_monotone_in_the_score_and_better_than_zero(model, new):
    frame, excess, _ = new
    forecasts = model.predict(frame).assign(excess=excess).sort_values("score")
    assert forecasts["expected_excess_return"].is_monotonic_increasing
    best = forecasts.tail(len(forecasts) // 10)
    assert best["expected_excess_return"].mean() == pytest.approx(best["excess"].mean(), abs=0.06)
    assert (excess - forecasts["expected_excess_return"]).abs().mean() < excess.abs().mean()


def test_same_seed_gives_the_same_bits_on_any_number_of_threads(model, new):
    frame, _, _ = new
    expected = model.predict(frame).to_numpy()
    for threads in (1, 3):
        again = fitted(SMALL.model_copy(update={"threads": threads})).predict(frame).to_numpy()
        assert again.tobytes() == expected.tobytes()
    other = fitted(SMALL.model_copy(update={"seeds": (7, 8)})).predict(frame).to_numpy()
    assert other.tobytes() != expected.tobytes()


def test_columns_may_come_in_any_order_and_company(model, new):
    frame, _, _ = new
    shuffled = frame.assign(symbol="THYAO")[["noise", "symbol", "vol", "signal"]]
    pd.testing.assert_frame_equal(model.predict(shuffled), model.predict(frame))


def test_held_out_labels_do_not_reach_the_models_that_are_calibrated_on_them(model):
    _, excess, position = market()
    first_calibration = position.max() - SMALL.calibration_sessions + 1
    purged = position > first_calibration - 20 - 5
    poisoned = fitted(excess=excess.where(~purged, excess[::-1].to_numpy() * 9))
    assert poisoned[-1].quantiles_ == model[-1].quantiles_
    assert poisoned[-1].margins_ != model[-1].margins_
    nearly = fitted(excess=excess.where(position != (first_calibration - 20 - 5) // 2 * 2, 9.0))
    assert nearly[-1].quantiles_ != model[-1].quantiles_


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="vol"), "1 of 3 feature columns are missing. Concerned: vol"),
        (lambda frame: frame.assign(vol="high"), "1 of 3 feature columns are not numbers. Concerned: vol"),
        (lambda frame: frame.assign(vol=frame["vol"].astype(str)), "are not numbers"),
        (lambda frame: frame.assign(vol=pd.Timestamp("2024-06-28")), "are not numbers"),
        (lambda frame: frame.assign(signal=np.inf, vol=-np.inf), "2 of 3 feature columns hold infinities"),
        (
            lambda frame: frame.assign(vol=np.nan),
            "1 of 3 feature columns have no value at all. Concerned: vol",
        ),
    ],
)
def test_another_schema_is_refused_when_fitting_and_when_predicting(model, change, message):
    frame, excess, position = market()
    with pytest.raises(FeatureSchemaError, match=message):
        model.predict(change(frame))
    with pytest.raises(FeatureSchemaError, match=message):
        pipeline().fit(change(frame), excess, forecaster__groups=position)


def test_single_missing_values_are_no_obstacle(model, new):
    frame, _, _ = new
    holed = frame.head(5).assign(vol=np.nan)
    assert np.isfinite(model.predict(holed)).all(axis=None)
    assert next(d for d in explain(model, holed)[0] if d["feature"] == "vol")["value"] is None


def test_contributions_add_up_to_the_score(model, new):
    frame, _, _ = new
    frame = frame.head(50)
    drivers = explain(model, frame, top=3)
    rest = model.predict(frame)["score"] - [sum(driver["contribution"] for driver in row) for row in drivers]
    assert rest.to_numpy() == pytest.approx(rest.iloc[0])
    for row, (_, values) in zip(drivers, frame.iterrows(), strict=True):
        effects = [abs(driver["contribution"]) for driver in row]
        assert effects == sorted(effects, reverse=True)
        assert {driver["feature"]: driver["value"] for driver in row} == pytest.approx(values.to_dict())
    assert [row[:2] for row in drivers] == explain(model, frame, top=2)
    assert max(drivers, key=lambda row: abs(row[0]["contribution"]))[0]["feature"] == "signal"


def test_the_score_is_the_mean_of_members_in_units_of_their_spread(model, new):
    frame, _, position = new
    members = model[-1].score_members(frame[COLUMNS])
    assert list(members) == ["lightgbm", "ridge"]
    weights = model[-1].weights_
    blended = sum(weights[name] * members[name] for name in members)
    assert model.predict(frame)["score"].to_numpy() == pytest.approx(blended.to_numpy())
    for name in members:
        spread = members[name].groupby(position).std().mean()
        assert weights[name] * spread == pytest.approx(1 / 2, rel=0.25)


def test_low_volatility_is_a_member_where_its_rank_is_known(new):
    frame, excess, position = new
    ranked = frame.rename(columns={"vol": "vol_126_rank"})
    fitted = pipeline(columns=list(ranked)).fit(ranked, excess, forecaster__groups=position)
    members = fitted[-1].score_members(ranked)
    assert list(members) == ["lightgbm", "ridge", "factors"]
    assert members["factors"].to_numpy() == pytest.approx(0.5 - ranked["vol_126_rank"].to_numpy())
    assert fitted.predict(ranked)["score"].corr(ranked["vol_126_rank"]) < -0.3
    drivers = explain(fitted, ranked.head(20), top=3)
    rest = fitted.predict(ranked.head(20))["score"] - [sum(d["contribution"] for d in row) for row in drivers]
    assert rest.to_numpy() == pytest.approx(rest.iloc[0])


def test_a_member_that_cannot_tell_shares_apart_has_no_say(new):
    frame, _, _ = new
    stumps = SMALL.model_copy(update={"min_child_samples": 10**6})
    model = fitted(stumps)
    assert model[-1].weights_["lightgbm"] == 0
    assert model.predict(frame)["score"].corr(model[-1].score_members(frame)["ridge"]) == pytest.approx(1)


def test_a_row_scores_the_same_bits_in_any_company(model, new):
    frame, _, _ = new
    together = model.predict(frame)["score"]
    for rows in (frame.iloc[[7]], frame.iloc[3:20]):
        assert model.predict(rows)["score"].to_numpy().tobytes() == together[rows.index].to_numpy().tobytes()


def test_recipes_are_equal_whatever_they_were_fitted_on(model):
    assert has_same_recipe(model, pipeline())
    assert not has_same_recipe(model, pipeline(SMALL.model_copy(update={"ridge_penalty": 1.0})))
    assert not has_same_recipe(model, pipeline(columns=COLUMNS[:2]))


def test_constant_or_missing_labels_are_refused():
    _, excess, position = market()
    with pytest.raises(InsufficientDataError, match="nothing to learn"):
        fitted(excess=excess * 0)
    with pytest.raises(ContractError, match=f"40 of {len(excess)} labels"):
        fitted(excess=excess.where(position > 0))


def test_a_short_history_says_what_it_lacks():
    frame, excess, position = market()
    few = position < 100
    with pytest.raises(
        InsufficientDataError, match="99 labelled sessions: 60 to calibrate on and a gap of 25 leave 15"
    ):
        pipeline().fit(frame[few], excess[few], forecaster__groups=position[few])


def test_dates_are_refused_as_positions():
    frame, excess, position = market()
    with pytest.raises(TypeError, match="positions of sessions"):
        pipeline().fit(
            frame, excess, forecaster__groups=pd.Timestamp("2024-01-01") + pd.to_timedelta(position, "D")
        )


def test_it_is_a_scikit_learn_estimator():
    cloned = clone(pipeline())
    assert cloned.get_params()["forecaster__booster"]["lambda_l2"] == SMALL.l2
    assert cloned.get_params()["forecaster__seeds"] == SMALL.seeds
