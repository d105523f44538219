"""The door to alibi-detect: its distances are scipy's, and what it would swallow is refused."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from bist_pipeline.drift.adapter import ks_distances
from bist_pipeline.errors import DriftInputError

REFERENCE = pd.DataFrame({"beta": [1.0, 2.0, 3.0, 4.0], "volatility": [0.1, 0.2, 0.2, 0.4]})
CURRENT = pd.DataFrame({"beta": [3.0, 4.0, 5.0], "volatility": [0.1, 0.2, 0.3]})


def test_distances_are_those_of_scipy():
    rng = np.random.default_rng(3)
    reference = pd.DataFrame({"smooth": rng.normal(size=400), "counts": rng.poisson(2, size=400)})
    current = pd.DataFrame({"smooth": rng.normal(0.3, 2, size=150), "counts": rng.poisson(3, size=150)})
    expected = {name: ks_2samp(reference[name], current[name]).statistic for name in reference}
    assert ks_distances(reference, current).to_dict() == pytest.approx(expected, rel=1e-6)


def test_a_distance_is_the_largest_gap_between_the_cumulative_shares():
    # Half of the reference lies below 3, nothing of the newer values.
    assert ks_distances(REFERENCE, CURRENT)["beta"] == 0.5


def with_value(value: object, frame: pd.DataFrame = CURRENT) -> pd.DataFrame:
    volatility = [value, *frame["volatility"].iloc[1:]]
    return frame.assign(volatility=volatility)


@pytest.mark.parametrize(
    ("reference", "current", "said"),
    [
        (REFERENCE, with_value(np.nan), "The current data .* 1 of 2 columns.* volatility"),
        (with_value(np.inf, REFERENCE), CURRENT, "The reference data .* 1 of 2 columns.* volatility"),
        (REFERENCE, with_value("0,3"), "no numbers in 1 of 2 columns.* volatility"),
        (REFERENCE, CURRENT[["beta"]], "1 missing.* volatility"),
        (REFERENCE, CURRENT.assign(noise=1.0), "1 extra.* noise"),
        (REFERENCE, CURRENT[["volatility", "beta"]], "2 in another order"),
        (REFERENCE[["beta", "beta"]], CURRENT[["beta", "beta"]], "1 repeated.* beta"),
        (REFERENCE, CURRENT.rename(columns={"beta": "alpha"}), "1 missing, 1 extra"),
        (REFERENCE.iloc[:0], CURRENT, "The reference data .* is empty"),
        (REFERENCE, CURRENT.iloc[:0], "The current data .* is empty"),
        (REFERENCE.assign(beta=1.0), CURRENT.assign(beta=1.0), "1 of 2 columns hold one and the same.* beta"),
    ],
)
def test_what_cannot_be_judged_is_refused_by_name(reference, current, said):
    with pytest.raises(DriftInputError, match=said) as caught:
        ks_distances(reference, current)
    assert "not the same as no drift" in str(caught.value)


def test_a_column_that_became_constant_is_judged():
    assert ks_distances(REFERENCE, CURRENT.assign(beta=9.0))["beta"] == 1.0
