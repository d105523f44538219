"""Each cleaning rule on a market small enough to check by eye."""

import numpy as np
import pytest

from bist_pipeline.market.cleaning import clean
from tests.small_market import cleaned_market, small_prices, tiny_panel, without

NAN = np.nan


def rule(cleaned, name):
    (found,) = [rule for rule in cleaned.rules if rule.rule == name]
    return found.count, found.symbols


def test_a_bar_with_a_non_positive_price_is_dropped_whole():
    cleaned = clean(tiny_panel([[10, 5], [10, 5], [10, 5]], low=[[10, 5], [0, 5], [10, 5]]))

    assert rule(cleaned, "non_positive_price") == (1, ("AAA",))
    assert cleaned.observed[:, 0].tolist() == [True, False, True]
    assert np.isnan(cleaned.panel.volume[1, 0])


def test_a_session_with_bars_for_fewer_than_half_of_the_listed_shares_is_dropped():
    cleaned = clean(tiny_panel([[1, 1, 1], [1, NAN, NAN], [1, 1, NAN]]))

    assert rule(cleaned, "thin_session") == (1, ("AAA",))
    assert cleaned.observed.any(axis=1).tolist() == [True, False, True]
    assert not cleaned.suspended[1].any()


def test_shares_not_listed_yet_or_long_gone_do_not_make_a_session_thin():
    close = np.ones((70, 5))
    close[:5, 2:] = NAN  # three listings after the first week
    close[8:, :3] = NAN  # three that stop trading, seen as gone after 60 sessions

    cleaned = clean(tiny_panel(close))

    assert cleaned.observed[:8].any(axis=1).all()
    assert not cleaned.observed[8:67].any()
    assert cleaned.observed[67:, 3:].all()


def test_a_bar_that_repeats_the_session_before_is_left_out_and_its_share_did_not_trade():
    volume = [[100, 50, 0], [100, 50, 0], [100, 60, 0], [100, 60, 0]]
    cleaned = clean(tiny_panel([[10, 5, 7], [10, 5, 7], [11, 5, 7], [11, 4, 7]], volume=volume))

    assert rule(cleaned, "repeated_bar") == (3, ("AAA", "BBB"))
    assert cleaned.observed[:, 0].tolist() == [True, False, True, False]
    assert cleaned.traded[:, 1].tolist() == [True, False, True, True]
    assert cleaned.observed[:, 2].all(), "nothing traded at an old price is no repeated bar"
    assert cleaned.panel.close[:, 0].tolist() == [10, 10, 11, 11]


def test_high_and_low_are_widened_to_enclose_the_bar():
    cleaned = clean(
        tiny_panel([[10.0], [10.0]], high=[[11.0], [9.0]], low=[[9.0], [9.5]], open=[[10.0], [10.4]])
    )

    assert rule(cleaned, "crossed_bar") == (1, ("AAA",))
    assert (cleaned.panel.high[1, 0], cleaned.panel.low[1, 0]) == (10.4, 9.0)


def test_zero_volume_becomes_missing_and_the_share_counts_as_suspended():
    cleaned = clean(tiny_panel([[10, 5, 7]] * 2, volume=[[100, 100, 100], [0, 110, 110]]))

    assert rule(cleaned, "zero_volume") == (1, ("AAA",))
    assert np.isnan(cleaned.panel.volume[1, 0])
    assert cleaned.panel.close[1, 0] == 10
    assert (cleaned.suspended[1, 0], cleaned.traded[1, 0], cleaned.value_try[1, 0]) == (True, False, 0.0)


def test_a_session_without_most_volumes_is_the_feeds_fault_and_suspends_nobody():
    cleaned = clean(tiny_panel([[10, 5, 7]] * 2, volume=[[100, 100, 100], [0, 0, 110]]))

    assert cleaned.traded.all()
    assert not cleaned.suspended.any()
    assert np.isnan(cleaned.value_try[1, 0])


def test_an_unadjusted_split_is_replaced_by_the_median_return_and_the_history_re_chained():
    close = np.array([[80.0, 10.0, 20.0], [80.0, 10.1, 20.4], [20.0, 10.2, 20.8], [21.0, 10.2, 20.8]])
    cleaned = clean(
        tiny_panel(close, volume=np.where(close == close, [[100, 7, 7]] * 2 + [[400, 7, 7]] * 2, 0))
    )
    median = np.median([10.2 / 10.1 - 1, 20.8 / 20.4 - 1])

    assert rule(cleaned, "move_beyond_limit") == (1, ("AAA",))
    np.testing.assert_array_equal(np.argwhere(cleaned.quarantined), [[2, 0]])
    np.testing.assert_allclose(
        cleaned.panel.close[:, 0], [80, 80, 80 * (1 + median), 80 * (1 + median) * 1.05], rtol=1e-12
    )
    assert np.isnan([cleaned.panel.open[2, 0], cleaned.panel.volume[2, 0]]).all()
    assert cleaned.value_try[3, 0] == pytest.approx(21.0 * 400)
    np.testing.assert_array_equal(cleaned.panel.close[:, 1:], close[:, 1:])


def test_a_bad_bar_leaves_no_trace_in_later_returns():
    cleaned = clean(tiny_panel([[10, 5, 7], [100, 5, 7], [10, 5, 7], [10.5, 5, 7]]))

    assert rule(cleaned, "move_beyond_limit") == (2, ("AAA",))
    np.testing.assert_allclose(cleaned.panel.close[:, 0], [10, 10, 10, 10.5])


@pytest.mark.parametrize(("first", "refused"), [("2020-03-12", False), ("2020-03-13", True)])
def test_the_price_limit_halved_on_2020_03_16(first, refused):
    cleaned = clean(tiny_panel([[10, 5, 7], [13, 5, 7]], first=first))

    assert cleaned.quarantined[1, 0] == refused


def test_two_limit_ups_around_a_missing_bar_are_no_error():
    cleaned = clean(tiny_panel([[10, 5, 7], [NAN, 5, 7], [12.1, 5, 7], [10, 5, 7]]))

    assert not cleaned.quarantined.any()


def test_holes_are_filled_for_five_sessions_and_marked():
    close = np.array([[10.0, 5, 7]] * 9)
    close[1:8, 0] = NAN

    cleaned = clean(tiny_panel(close))

    assert np.flatnonzero(cleaned.filled[:, 0]).tolist() == [1, 2, 3, 4, 5]
    assert rule(cleaned, "filled_forward") == (5, ("AAA",))
    assert np.isnan(cleaned.panel.close[6:8, 0]).all()
    assert np.isnan(cleaned.panel.high[1:8, 0]).all()
    assert cleaned.suspended[1:8, 0].all()


@pytest.mark.parametrize(
    ("close", "high", "low", "up", "down"),
    [
        (11.0, 11.0, 10.2, True, False),  # closed at the upper limit
        (9.0, 10.5, 9.0, False, True),  # at the lower one
        (10.4, 10.4, 10.4, True, False),  # one price all day, away from the last
        (10.0, 10.0, 10.0, False, False),  # one price, but the last one
        (10.97, 11.0, 10.0, False, False),  # had been at the limit and came back
        (10.5, 10.5, 10.0, False, False),
    ],
)
def test_closes_locked_at_the_limit_are_flagged(close, high, low, up, down):
    cleaned = clean(
        tiny_panel(
            [[10, 5, 7], [close, 5, 7]], high=[[10, 5, 7], [high, 5, 7]], low=[[10, 5, 7], [low, 5, 7]]
        )
    )

    assert (cleaned.limit_up[1, 0], cleaned.limit_down[1, 0]) == (up, down)
    assert rule(cleaned, "limit_locked")[0] == up + down


def test_a_feed_of_closes_alone_can_be_cleaned():
    panel = without(tiny_panel([[10, 5, 7], [11, 5, 7], [40, 5, 7]]), "open", "high", "low", "volume")

    cleaned = clean(panel)

    assert cleaned.traded.all()
    assert cleaned.limit_up[1, 0]
    assert cleaned.quarantined[2, 0]
    assert np.isnan(cleaned.panel.high).all()


def test_every_rule_reports_even_when_it_never_applied():
    spotless = clean(tiny_panel([[10, 5, 7]] * 3))

    assert {(rule.count, rule.symbols) for rule in spotless.rules} == {(0, ())}
    assert [rule.rule for rule in spotless.rules] == [
        "not_a_session", "non_positive_price", "thin_session", "repeated_bar", "crossed_bar", "zero_volume",
        "move_beyond_limit", "filled_forward", "suspended", "limit_locked",
    ]  # fmt: skip


def test_the_defects_planted_in_the_small_market_are_all_found():
    cleaned = cleaned_market(*small_prices())

    assert rule(cleaned, "not_a_session")[0] == 39
    assert rule(cleaned, "non_positive_price") == (3, ("S13",))
    assert rule(cleaned, "crossed_bar") == (1, ("S11",))
    assert rule(cleaned, "move_beyond_limit") == (3, ("S09", "S07"))
    assert 10 < rule(cleaned, "thin_session")[0] < 20
