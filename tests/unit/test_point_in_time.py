"""A figure reaches the panel from the session after its announcement: not earlier, not another figure."""

from __future__ import annotations

import datetime as dt
import sqlite3

import pandas as pd
import pytest

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.contracts import BALANCE_COLUMNS, FLOW_COLUMNS
from bist_pipeline.errors import LookAheadError
from bist_pipeline.market.point_in_time import attach_as_of, first_usable, settle_announcements
from tests.small_market import small_facts

SESSIONS = bist_calendar().sessions


def facts_of(*rows: tuple[str, str | None, str | None, float]) -> pd.DataFrame:
    """Reports as `(symbol, period_end, announced_at, revenue)`; every other figure is 1."""
    frame = pd.DataFrame(rows, columns=["symbol", "period_end", "announced_at", "revenue"])
    others = {name: 1.0 for name in (*FLOW_COLUMNS, *BALANCE_COLUMNS) if name != "revenue"}
    return frame.assign(**others).astype({"period_end": "datetime64[ns]", "announced_at": "datetime64[ns]"})


def panel_of(symbol: str, first: str, last: str) -> pd.DataFrame:
    days = bist_calendar().between(dt.date.fromisoformat(first), dt.date.fromisoformat(last))
    return pd.DataFrame({"session": days.astype("datetime64[ns]"), "symbol": symbol})


@pytest.mark.parametrize(
    ("announced_at", "usable"),
    [
        ("2024-06-27 09:30", "2024-06-28"),  # before the market opens
        ("2024-06-27 17:59:59", "2024-06-28"),  # a second before the close
        ("2024-06-27 18:10", "2024-06-28"),  # after it
        ("2024-06-27 23:59:59", "2024-06-28"),
        ("2024-06-28 00:00", "2024-07-01"),  # the next day, a Friday
        ("2024-06-29 12:00", "2024-07-01"),  # on a Saturday
        ("2024-06-14 18:30", "2024-06-20"),  # before a weekend and a religious holiday
        ("2024-06-18 10:00", "2024-06-20"),  # in the middle of it
        ("2023-02-08 11:00", "2023-02-15"),  # on the session that was cancelled afterwards
    ],
)
def test_a_figure_is_usable_from_the_session_after_the_day_of_its_announcement(announced_at, usable):
    facts = facts_of(("THYAO", "2022-09-30", announced_at, 7.0))
    panel = panel_of("THYAO", "2023-02-01", "2024-07-05")

    attached = attach_as_of(panel, facts, value="revenue")

    assert panel.loc[attached.notna(), "session"].iloc[0] == pd.Timestamp(usable)
    assert set(attached.dropna()) == {7.0}
    assert first_usable(facts["announced_at"], SESSIONS).tolist() == [pd.Timestamp(usable)]


def test_what_no_known_session_follows_is_never_usable():
    announced = pd.Series([pd.Timestamp(SESSIONS[-1]) + pd.Timedelta(hours=12)])

    assert first_usable(announced, SESSIONS).isna().all()


def test_a_restatement_counts_from_its_own_announcement_on():
    facts = facts_of(
        ("THYAO", "2024-03-31", "2024-06-10 19:00", 8.0),
        ("THYAO", "2024-03-31", "2024-05-06 19:00", 7.0),
    )
    panel = panel_of("THYAO", "2024-05-06", "2024-06-11")

    attached = attach_as_of(panel, facts, value="revenue")

    assert pd.isna(attached.iloc[0])
    assert set(attached[panel["session"].between("2024-05-07", "2024-06-10")]) == {7.0}
    assert attached.iloc[-1] == 8.0


def test_of_two_announcements_of_one_day_the_later_counts():
    facts = facts_of(
        ("THYAO", "2024-03-31", "2024-05-06 21:00", 8.0), ("THYAO", "2024-03-31", "2024-05-06 19:00", 7.0)
    )

    assert attach_as_of(panel_of("THYAO", "2024-05-07", "2024-05-07"), facts, value="revenue").item() == 8.0


def test_a_figure_without_announcement_is_refused():
    facts = facts_of(("THYAO", "2024-03-31", None, 7.0), ("GARAN", "2024-03-31", "2024-05-06 19:00", 7.0))

    with pytest.raises(LookAheadError, match="1 of 2 figures have no announcement time"):
        attach_as_of(panel_of("THYAO", "2024-06-03", "2024-06-07"), facts, value="revenue")
    with pytest.raises(LookAheadError, match="1 of 2 figures have no announcement time"):
        first_usable(facts["announced_at"], SESSIONS)


def test_the_join_says_what_a_query_for_each_row_says():
    """SQL as an oracle: of a symbol's facts of earlier days, the one announced last."""
    facts = small_facts()
    days = pd.bdate_range("2019-06-03", "2022-06-01", freq="7B")
    panel = pd.MultiIndex.from_product([days, [f"S{i:02d}" for i in range(40)]]).to_frame(index=False)
    panel = panel.set_axis(["session", "symbol"], axis=1).sample(frac=1, random_state=1)
    with sqlite3.connect(":memory:") as database:
        facts.assign(announced_at=facts["announced_at"].astype(str)).to_sql("facts", database)
        panel.assign(day=panel["session"].dt.strftime("%Y-%m-%d")).to_sql("panel", database, index_label="i")
        expected = pd.read_sql(
            """SELECT panel.i, (SELECT revenue FROM facts WHERE facts.symbol = panel.symbol
                   AND date(announced_at) < panel.day ORDER BY announced_at DESC LIMIT 1) AS revenue
               FROM panel""",
            database,
            index_col="i",
        )["revenue"]
    database.close()

    attached = attach_as_of(panel, facts, value="revenue")

    assert 0.4 < attached.notna().mean() < 0.8
    pd.testing.assert_series_equal(attached, expected, check_names=False)


def counts_of(facts: pd.DataFrame) -> dict[str, int]:
    return {rule.rule: rule.count for rule in settle_announcements(facts).rules if rule.count}


def test_a_missing_announcement_is_assumed_90_days_after_the_period_and_marked():
    settled = settle_announcements(
        facts_of(("A", "2021-03-31", None, 7.0), ("B", "2021-03-31", "2021-05-06 19:00", 8.0))
    )

    assert settled.facts["announced_at"].tolist() == [
        pd.Timestamp("2021-06-29"),
        pd.Timestamp("2021-05-06 19:00"),
    ]
    assert settled.facts["announcement_assumed"].tolist() == [True, False]
    assert [(r.rule, r.count, r.symbols) for r in settled.rules if r.count] == [
        ("announcement_assumed", 1, ("A",))
    ]


def test_what_was_announced_before_its_period_was_over_is_refused():
    facts = facts_of(("A", "2021-03-31", "2021-03-31 23:59", 7.0), ("B", "2021-03-31", "2021-04-01", 8.0))

    assert settle_announcements(facts).facts["symbol"].tolist() == ["B"]
    assert counts_of(facts) == {"announced_before_period_end": 1}


def test_figures_that_were_overwritten_a_year_later_are_not_used():
    facts = facts_of(
        ("A", "2021-12-31", "2022-03-01", 4.0),
        ("A", "2022-09-30", "2022-11-01", 3.0),
        ("A", "2022-12-31", "2023-03-01", 9.0),  # refused: published again with the report of 2023
        ("A", "2023-03-31", "2023-05-05", 2.0),  # its income too, with that of March 2024
    )

    settled = settle_announcements(facts).facts

    assert settled["revenue"].tolist()[:2] == [4.0, 3.0]
    assert settled["period_end"].iloc[2] == pd.Timestamp("2023-03-31")
    assert settled[FLOW_COLUMNS].iloc[2].isna().all()
    assert settled[BALANCE_COLUMNS].iloc[2].notna().all()
    assert counts_of(facts) == {"restated_annual": 1, "restated_flows": 1}


def test_a_feed_that_keeps_both_publications_is_used_as_it_is():
    facts = facts_of(
        ("A", "2022-12-31", "2023-03-01", 5.0),
        ("A", "2022-12-31", "2024-05-10", 9.0),
        ("A", "2023-03-31", "2023-05-05", 2.0),
    )

    settled = settle_announcements(facts)

    assert settled.facts["revenue"].tolist() == [5.0, 9.0, 2.0]
    assert not any(rule.count for rule in settled.rules)


def test_a_balance_sheet_without_assets_is_emptied():
    facts = facts_of(("A", "2021-03-31", "2021-05-06", 7.0)).assign(total_assets=0.0)

    settled = settle_announcements(facts).facts

    assert settled[BALANCE_COLUMNS].isna().all(axis=None)
    assert settled["revenue"].tolist() == [7.0]
    assert counts_of(facts) == {"empty_balance_sheet": 1}
