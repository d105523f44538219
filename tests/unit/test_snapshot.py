"""A snapshot: its owner's cleaning rules, and estimates that never saw their own answer."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.config import TrainingSettings
from bist_pipeline.contracts import SNAPSHOT_NUMBERS, SNAPSHOT_TARGET, quarantine, security_contract
from bist_pipeline.drift.snapshot_quality import check_snapshot
from bist_pipeline.drift.status import Status
from bist_pipeline.errors import InsufficientDataError
from bist_pipeline.market.snapshot import (
    WINDOW_COLUMNS,
    clean_snapshot,
    compute_past_excess,
    is_liquid,
    list_securities,
)
from bist_pipeline.model.cross_fit import FOLD, FOLDS, assign_folds, judge
from bist_pipeline.model.pipeline import build_cross_fit_pipeline, explain
from tests.small_snapshot import (
    INFINITE,
    NO_SECTOR,
    NO_TARGET,
    SHARES,
    fetch_snapshot,
    small_snapshot,
    write_raw,
)

SMALL = TrainingSettings(trees=40, seeds=(1,), learning_rate=0.1, column_share=1.0)


@pytest.fixture(scope="module")
def shares(tmp_path_factory):
    """The invented snapshot as the source delivers it, with the symbols as index."""
    path = write_raw(tmp_path_factory.mktemp("snapshot") / "raw.csv", small_snapshot())
    return fetch_snapshot(path).snapshot.set_index("symbol", drop=False)


@pytest.fixture(scope="module")
def cleaned(shares):
    return clean_snapshot(shares)


@pytest.fixture(scope="module")
def examples(cleaned):
    """What the estimator is fitted on: every share with a known target."""
    frame = cleaned.shares.assign(
        excess=compute_past_excess(cleaned.shares[SNAPSHOT_TARGET]),
        fold=assign_folds(cleaned.shares["symbol"]),
    )
    return frame[frame["excess"].notna()]


def columns_of(frame, *, without=()):
    return [name for name in SNAPSHOT_NUMBERS if name in frame and name not in {SNAPSHOT_TARGET, *without}]


def fit(frame, columns):
    return build_cross_fit_pipeline(SMALL, columns).fit(frame, frame["excess"])


def test_an_infinite_number_becomes_the_columns_largest_finite_one(shares, cleaned):
    finite = shares["FiyatKazanc Orani"].replace(np.inf, np.nan).max()

    assert np.isinf(shares.loc[INFINITE, "FiyatKazanc Orani"])
    assert cleaned.shares.loc[INFINITE, "FiyatKazanc Orani"] == finite


def test_columns_with_more_than_half_missing_are_dropped_and_named(cleaned):
    (rule,) = [rule for rule in cleaned.rules if rule.rule == "column_mostly_missing"]

    assert set(rule.symbols) == {"Son Temettu Tarihi", "Temettu Verimi (%)", "3 Yil Degisim (%)"}
    assert not set(rule.symbols) & set(cleaned.shares)
    assert "Beta" in cleaned.shares  # a third is missing


def test_a_missing_number_becomes_the_mean_of_its_sector_where_no_sector_is_one_too(shares, cleaned):
    missing = shares.index[shares["Beta"].isna()]
    for symbol in missing:
        peers = shares["Beta"][shares["Sektor"] == shares.loc[symbol, "Sektor"]]
        assert cleaned.shares.loc[symbol, "Beta"] == pytest.approx(peers.mean())
    assert len(missing) == 50

    nowhere = shares.assign(Beta=shares["Beta"].where(shares["Sektor"].notna()))
    filled = clean_snapshot(nowhere).shares.loc[list(NO_SECTOR), "Beta"]
    assert filled.tolist() == pytest.approx([nowhere["Beta"].mean()] * 2)


def test_a_missing_text_becomes_the_letters_that_say_so(cleaned):
    assert (cleaned.shares.loc[list(NO_SECTOR), "Sektor"] == "N/A").all()


def test_the_target_is_never_made_up(cleaned):
    assert cleaned.shares.index[cleaned.shares[SNAPSHOT_TARGET].isna()].tolist() == list(NO_TARGET)


def test_cleaning_what_is_clean_changes_nothing(shares, cleaned):
    again = clean_snapshot(cleaned.shares.reindex(columns=shares.columns))

    pd.testing.assert_frame_equal(again.shares, cleaned.shares)


def test_every_share_has_a_name_and_a_sector_even_where_the_table_has_none(shares):
    listed = list_securities(shares.assign(Adi=None))
    good, bad = quarantine(listed.reset_index(drop=True), security_contract())

    assert len(good) == SHARES
    assert bad.empty
    assert good["name"].tolist() == good["symbol"].tolist()
    assert good["sector"].value_counts()["unknown"] == len(NO_SECTOR)


def test_only_what_trades_for_a_known_amount_is_called_tradable(shares):
    dark = shares.assign(
        **{"Ortalama Hacim (10 gun)": shares["Ortalama Hacim (10 gun)"].where(shares.index != "S000")}
    )

    assert 0.7 * SHARES < is_liquid(shares).sum() < 0.9 * SHARES
    assert not is_liquid(dark)["S000"]


def test_the_estimate_of_a_share_does_not_know_its_own_result(examples):
    columns = columns_of(examples)
    before = fit(examples, columns).predict(examples)["score"]
    other = examples.assign(excess=examples["excess"].where(examples[FOLD] != 2, 9.9))

    after = fit(other, columns).predict(other)["score"]

    same_fold = examples[FOLD] == 2
    assert (before[same_fold] == after[same_fold]).all()
    assert (before[~same_fold] != after[~same_fold]).any()


def test_folds_hang_on_the_symbol_alone_and_are_all_there(shares):
    folds = assign_folds(shares["symbol"])

    assert set(folds) == set(range(FOLDS))
    assert folds.loc["S010":"S020"].equals(assign_folds(shares["symbol"].loc["S010":"S020"]))


def test_only_columns_of_the_targets_own_months_explain_it(examples):
    full, reduced = (
        judge(fit(examples, columns).predict(examples), examples["excess"])["r2"]
        for columns in (columns_of(examples), columns_of(examples, without=WINDOW_COLUMNS))
    )

    assert full > 0.5
    assert reduced < 0.1


def test_intervals_hold_what_they_promise_and_drivers_add_up_to_names_of_columns(examples):
    columns = columns_of(examples)
    pipeline = fit(examples, columns)
    drivers = explain(pipeline, examples)

    assert judge(pipeline.predict(examples), examples["excess"])["coverage"] == pytest.approx(0.8, abs=0.05)
    assert len(drivers) == len(examples)
    assert {driver["feature"] for of_share in drivers for driver in of_share} <= set(columns)
    assert max(drivers[0], key=lambda driver: abs(driver["contribution"])) == drivers[0][0]


def test_too_few_shares_train_nothing(examples):
    with pytest.raises(InsufficientDataError, match="40 shares"):
        fit(examples.head(40), columns_of(examples))


def test_a_snapshot_mostly_without_the_target_is_blocked(shares):
    session = dt.date(2024, 12, 23)
    unknown = shares.assign(**{SNAPSHOT_TARGET: np.nan})

    assert check_snapshot(shares, session).status is Status.INFO
    assert [finding.rule for finding in check_snapshot(unknown, session).having(Status.BLOCK)] == ["target"]


def test_quality_names_what_is_odd_about_single_shares(shares):
    lost = shares.assign(
        **{"5 Yil Degisim (%)": shares["5 Yil Degisim (%)"].where(shares.index != "S001", -115_900)}
    )

    found = {f.rule: f.symbols for f in check_snapshot(lost, dt.date(2024, 12, 23)).findings}

    assert found["infinite"] == (INFINITE,)
    assert found["changes"] == ("S001",)
    assert found["sector"] == NO_SECTOR
    assert found["target"] == NO_TARGET
