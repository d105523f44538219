"""A batch is ranked the same way every time, and one unsound prediction refuses it whole."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.contracts import FORECAST_COLUMNS
from bist_pipeline.errors import ModelError
from bist_pipeline.model.ranking import build_batch

SYMBOLS = pd.Series(["GARAN", "THYAO", "AKBNK"])


def rank(**changes: object) -> pd.DataFrame:
    """Rank three shares whose forecasts are sound but for the changes to the second."""
    forecasts = pd.DataFrame([[0.1, 0.0, -0.1, 0.1]] * 3, columns=FORECAST_COLUMNS)
    for name, value in changes.items():
        forecasts.loc[1, name] = value
    return build_batch(SYMBOLS, forecasts, tradable=pd.Series([True, False, True]))


def test_the_best_share_comes_first_and_equal_ones_by_symbol():
    batch = rank(score=0.2)

    assert batch["symbol"].tolist() == ["THYAO", "AKBNK", "GARAN"]
    assert batch["rank"].tolist() == [1, 2, 3]
    assert batch["percentile"].tolist() == [1.0, 0.5, 0.0]
    assert batch["tradable"].tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"score": np.nan}, "not_finite"),
        ({"expected_excess_return": np.inf}, "not_finite"),
        ({"upper": np.nan}, "not_finite"),
        ({"lower": 0.05}, "outside_its_interval"),
    ],
)
def test_an_unsound_prediction_is_named_and_refuses_the_batch(change, rule):
    with pytest.raises(ModelError, match=rule) as caught:
        rank(**change)

    assert caught.value.which == ("THYAO",)
