"""A backtest's figures: every model on the same rows, intervals where there are enough, bars told plainly."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.errors import InsufficientDataError
from bist_pipeline.model import metrics
from bist_pipeline.model.backtest import judge
from bist_pipeline.model.walk_forward import BLEND, GATE_MODELS, LOW_VOLATILITY, MODELS
from bist_pipeline.reports.backtest import rank_effects, render_backtest

HORIZON, STEP = 63, 5


def invented(dates=60, shares=50, skill=0.3, seed=0):
    """Forecasts of eight models of which the blend knows most; every fifth row cannot be traded."""
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2022-01-03", periods=dates * STEP)[::STEP]
    frame = pd.DataFrame(
        {
            "session": np.repeat(days, shares),
            "symbol": np.tile([f"S{i:02d}" for i in range(shares)], dates),
            "tradable": np.arange(dates * shares) % 5 > 0,
            "volatility": rng.uniform(0.01, 0.05, dates * shares),
        }
    )
    frame["excess"] = rng.normal(0, 0.2, len(frame))
    for i, model in enumerate(MODELS):
        frame[model] = skill / (1 + i) * frame["excess"] / 0.2 + rng.normal(0, 1, len(frame))
    frame["expected_excess_return"] = 0.02 * frame[BLEND]
    frame["lower"], frame["upper"] = -0.26, 0.26
    return frame


def run(frame):
    return judge(frame, horizon=HORIZON, step=STEP, nominal=0.8)


@pytest.fixture(scope="module")
def result():
    return run(invented())


def test_every_model_is_judged_on_the_tradable_rows_and_on_all(result):
    frame = invented()
    tradable = frame[frame["tradable"]]
    for model in MODELS:
        for rows, found in ((tradable, result.models), (frame, result.models_all_rows)):
            figures = metrics.summarise(rows.assign(score=rows[model]), horizon=HORIZON, lag=13)
            for name in ("rank_ic", "icir", "nw_t", "ic_positive", "spread_quarter", "top20_quarter"):
                assert found[model][name] == pytest.approx(figures[name]), (model, name)
    assert (result.rows, result.all_rows) == (len(tradable), len(frame))


def test_only_the_blend_forecasts_an_excess_and_all_have_the_same_zero(result):
    assert result.models[BLEND]["r2"] is not None
    assert result.models["ridge"]["r2"] is result.models["ridge"]["mae_excess"] is None
    assert len({result.models[model]["mae_zero"] for model in MODELS}) == 1


def test_intervals_enclose_their_figures_and_end_where_they_should(result):
    blend = result.models[BLEND]
    for name in ("rank_ic", "ic_positive", "spread_quarter", "top20_quarter", "r2", "mae_excess", "mae_zero"):
        low, high = blend[f"{name}_ci"]
        assert low < blend[name] < high, name
    assert blend["rank_ic_ci"][0] > 0


def test_fewer_than_two_blocks_have_no_interval():
    figures = run(invented(dates=25)).models[BLEND]
    assert figures["rank_ic"] > 0
    assert "rank_ic_ci" not in figures


def test_costs_take_away_what_turnover_makes_them(result):
    blend = result.models[BLEND]
    gross, net, turnover = (blend[f"top20_{name}"] for name in ("quarter", "net_quarter", "turnover"))
    assert 0 < turnover < 1
    assert gross - result.cost <= net <= gross - result.cost * turnover


def test_the_lead_is_the_difference_of_rank_ics_on_the_same_dates(result):
    lead = result.advantage[LOW_VOLATILITY]
    assert lead["rank_ic"] == pytest.approx(
        result.models[BLEND]["rank_ic"] - result.models[LOW_VOLATILITY]["rank_ic"]
    )
    assert lead["rank_ic_ci"][0] < lead["rank_ic"] < lead["rank_ic_ci"][1]


def test_years_and_quarters_are_counted(result):
    assert result.independent_quarters == pytest.approx(60 * 5 / 63)
    assert list(result.by_year[BLEND]) == ["2022", "2023"]


def test_a_share_that_a_model_does_not_know_stands_in_its_middle():
    frame = invented()
    frame.loc[frame["symbol"] == "S01", "momentum_252_21"] = np.nan
    without = run(frame).models["momentum_252_21"]
    assert without["mae_zero"] == run(invented()).models["momentum_252_21"]["mae_zero"]
    assert without["rank_ic"] is not None


def test_a_model_without_any_order_has_no_figures_and_stops_nobody():
    frame = invented().assign(reversal_21=0.5)
    found = run(frame)
    assert found.models["reversal_21"]["rank_ic"] is None
    assert found.advantage["reversal_21"] == {"rank_ic": None}
    assert found.models[BLEND]["rank_ic"] > 0
    json.dumps(found.as_json(), allow_nan=False)


def test_without_a_tradable_share_there_is_nothing_to_judge():
    with pytest.raises(InsufficientDataError, match="None of 3000 forecasts is of a tradable share"):
        run(invented().assign(tradable=False))


def test_a_blend_without_any_order_is_refused():
    with pytest.raises(InsufficientDataError, match="None of 60 test sessions has a rank IC"):
        run(invented().assign(**{BLEND: 0.5}))


def test_the_bars_tell_a_leak_from_skill():
    checks = {check.name: check.is_met for check in run(invented(skill=0.15)).checks}
    assert checks["rank_ic"]
    leaky = {check.name: check.is_met for check in run(invented(skill=0.5)).checks}
    assert not leaky["rank_ic"]


def test_the_result_is_plain_json(result):
    assert json.loads(json.dumps(result.as_json(), allow_nan=False))["dates"] == 60


EFFECTS = pd.DataFrame(
    {
        "feature": ["vol_126"] * 4 + ["mom_21"] * 4,
        "effect": [-0.3, 0.2, 0.1, -0.1, 0.05, 0.0, 0.0, -0.02],
        "value": [0.9, 0.1, np.nan, 0.7, 0.5, 0.5, 0.5, 0.5],
    }
)
FOLD = {
    "number": 1,
    "train_first": "2020-07-01",
    "train_last": "2021-09-24",
    "test_first": "2022-01-03",
    "test_last": "2022-03-31",
}


def page(result, effects=EFFECTS):
    return render_backtest(result, effects, source="files", folds=[FOLD])


@pytest.mark.parametrize(
    ("skill", "verdict"),
    [(0.0, "no better than chance"), (0.13, "better than chance"), (0.6, "Too good to be true")],
)
def test_the_page_begins_with_its_verdict(skill, verdict):
    text = page(run(invented(skill=skill)))
    assert verdict in text
    assert text.index(verdict) < text.index("Is it good enough?")


def test_a_model_behind_low_volatility_says_so():
    frame = invented(skill=0.35)
    frame["expected_excess_return"] = 0.0
    frame = frame.rename(columns={BLEND: LOW_VOLATILITY, LOW_VOLATILITY: BLEND})
    assert "plain low volatility did better" in page(run(frame))


def test_the_page_stands_alone_in_two_languages_and_is_the_same_every_time(result):
    text = page(result)
    assert text == page(result)
    for words in ("upper bounds", "üst sınırdır", "about 5 independent quarters", "2021-09-24"):
        assert words in text
    assert text.count("<img") == 6
    assert "<script" not in text
    assert "http" not in text.replace("http://www.w3.org", "")


def test_without_effects_the_page_says_nothing_of_features(result):
    assert "What does it look at?" not in page(result, EFFECTS.iloc[:0])


def test_features_are_ordered_by_how_far_they_move_a_score():
    assert rank_effects(EFFECTS) == [("vol_126", pytest.approx(0.175)), ("mom_21", pytest.approx(0.0175))]


def test_a_short_series_makes_a_page_too(result):
    assert "Backtest" in page(replace(run(invented(dates=25)), independent_quarters=1.98))


def test_rows_for_readers_hold_the_figures_of_every_ranking_and_how_far_the_blend_leads(result):
    rows = {row["ranking"]: row for row in result.as_rows()}
    assert [*rows] == list(MODELS)
    for name, row in rows.items():
        assert (row["rank_ic"], row["rank_ic_lower"]) == (
            result.models[name]["rank_ic"],
            result.models[name]["rank_ic_ci"][0],
        )
        assert row["by_year"] == result.by_year[name]
        assert (row["dates"], row["independent"]) == (result.dates, result.independent_quarters)
    assert rows[BLEND]["lead_ic"] is rows[BLEND]["lead_upper"] is rows["ridge"]["coverage"] is None
    assert rows[BLEND]["coverage"] == result.coverage["pooled"]
    assert (
        rows[LOW_VOLATILITY]["lead_lower"]
        < rows[LOW_VOLATILITY]["lead_ic"]
        < rows[LOW_VOLATILITY]["lead_upper"]
    )


def test_a_training_that_compares_two_rankings_is_judged_on_these_alone(result):
    others = [name for name in MODELS if name not in GATE_MODELS]
    both = run(invented().drop(columns=others))
    assert [*both.models] == [*GATE_MODELS]
    assert both.models[BLEND] == result.models[BLEND]
    json.dumps(both.as_json(), allow_nan=False)
