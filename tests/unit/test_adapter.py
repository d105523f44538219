"""The door to alibi-detect: its distances are scipy's, and what it would swallow is refused."""

import sys

import numpy as np
import pandas as pd
import pytest
from scipy.stats import cramervonmises_2samp, ks_2samp

from bist_pipeline.drift.adapter import CVM_WINDOWS, cvm_statistics, ks_distances, simulate_cvm_thresholds
from bist_pipeline.drift.performance import REFERENCE_ICS, cvm_thresholds
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


def test_online_statistics_are_those_of_scipy():
    """alibi-detect standardises the statistic by its mean and variance under the null hypothesis."""
    rng = np.random.default_rng(5)
    reference, stream = rng.normal(size=252), rng.normal(0.3, 1, size=70)

    found = cvm_statistics(reference, stream, thresholds=cvm_thresholds())

    n, m = len(reference), max(CVM_WINDOWS)
    plain = cramervonmises_2samp(reference, stream[-m:]).statistic
    mean = 1 / 6 + 1 / (6 * (n + m))
    variance = (n + m + 1) * (4 * n * m * (n + m) - 3 * (n**2 + m**2) - 2 * n * m)
    variance /= 45 * (n + m) ** 2 * 4 * n * m
    assert found[-1, 1] == pytest.approx((plain - mean) / np.sqrt(variance), rel=1e-5)
    assert np.isnan(found[:20]).all()
    assert np.isfinite(found[20:, 0]).all()


def test_a_stream_with_a_hole_or_without_a_reference_is_refused():
    with pytest.raises(DriftInputError, match="missing, infinite"):
        cvm_statistics(np.arange(252.0), np.array([0.1, np.nan]), thresholds=cvm_thresholds())
    for reference in (np.empty(0), np.ones(252)):
        with pytest.raises(DriftInputError, match="reference of a stream"):
            cvm_statistics(reference, np.array([0.1]), thresholds=cvm_thresholds())


@pytest.mark.slow
def test_the_thresholds_in_the_source_are_those_that_alibi_detect_simulates():
    """With a twentieth of the simulations: their mean must agree, single ones are noisy."""
    simulated = simulate_cvm_thresholds(REFERENCE_ICS, simulations=2_000, seed=1)[40:]

    assert np.mean(simulated) == pytest.approx(np.mean(cvm_thresholds()[40:]), rel=0.1)


def test_where_alibi_detect_is_not_installed_its_absence_is_said_and_what_works_without_it(monkeypatch):
    for module in [name for name in sys.modules if name.partition(".")[0] == "alibi_detect"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "alibi_detect", None)
    with pytest.raises(DriftInputError, match="alibi-detect is not there") as caught:
        ks_distances(REFERENCE, CURRENT)
    assert "README.md" in caught.value.next_step
