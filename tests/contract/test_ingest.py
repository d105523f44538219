"""What arrives is in the lake, what is refused in quarantine, and an incomplete session ends the stage."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import func, select

from bist_pipeline.alerts import Delivery
from bist_pipeline.calendar import bist_calendar
from bist_pipeline.errors import IncompleteSessionError
from bist_pipeline.lake import open_lake
from bist_pipeline.sources.synthetic import SyntheticSource
from bist_pipeline.stages.ingest import ingest
from bist_pipeline.store.engine import open_engine
from bist_pipeline.store.schema import securities
from tests.contract.source_contract import LATE, SMALL, TOMORROW


@pytest.fixture
def deliver(settings, tmp_path):
    """Write a table to a file, and take it in."""

    def deliver(prices, **options):
        path = tmp_path / "prices.csv"
        prices.to_csv(path, index=False)
        return ingest(
            settings.model_copy(update={"source": "files", "source_path": str(path)}), LATE, **options
        )

    return deliver


@pytest.fixture
def lake(settings):
    return open_lake(settings.model_copy(update={"source": "files"}))


def lacking(market, count):
    is_lost = market["symbol"].isin(market["symbol"].unique()[:count]) & (market["session"] == str(LATE))
    return market[~is_lost]


def test_refused_rows_stay_with_their_rule_and_their_date(deliver, lake, market):
    odd = market.tail(4).copy().astype({"session": str})
    odd["symbol"] = ["AAAA", "BBBB", "CCCC", "DDDD"]
    odd["session"] = ["2024-06-23", str(TOMORROW), "soon", "2024-06-28"]
    odd.loc[odd.index[3], "close"] = None

    receipt = deliver(pd.concat([market.astype({"session": str}), odd]))

    refused = lake.read("quarantine").set_index("symbol")
    assert refused["rule"].to_dict() == {
        "AAAA": "not_a_session",
        "BBBB": "in_the_future",
        "CCCC": "session_missing",
        "DDDD": "close_missing",
    }
    assert refused["session"].dt.date.to_dict() == {
        "AAAA": dt.date(2024, 6, 23),
        **dict.fromkeys(["BBBB", "CCCC", "DDDD"], LATE),
    }
    assert refused["dated"].dt.date.to_dict() == {
        "AAAA": dt.date(2024, 6, 23),
        "BBBB": TOMORROW,
        "CCCC": pd.NaT,
        "DDDD": LATE,
    }
    assert receipt.details["quarantined"] == dict.fromkeys(refused["rule"], 1)
    assert receipt.rows == len(market)


def test_a_repaired_source_empties_the_quarantine(deliver, lake, market):
    deliver(pd.concat([market, market.tail(1).assign(close=np.nan, symbol="AAAA")]))
    assert len(lake.read("quarantine")) == 1

    deliver(market)
    assert lake.head("quarantine").parts == ()


def test_an_incomplete_session_is_stored_refused_and_completed_by_the_gap(deliver, lake, market):
    with pytest.raises(IncompleteSessionError, match="listed shares arrived") as caught:
        deliver(lacking(market, 6))
    assert len(caught.value.which) == 6
    assert lake.require("prices").last == str(LATE)

    with pytest.raises(IncompleteSessionError):  # still late
        deliver(lacking(market, 6), only_missing=True)

    receipt = deliver(market, only_missing=True)
    assert receipt.rows == 6
    pd.testing.assert_frame_equal(lake.read("prices"), market)


def test_a_few_shares_may_be_missing(deliver, market):
    assert deliver(lacking(market, 5)).rows == len(market) - 5


def test_a_security_without_a_name_is_refused_and_its_prices_are_not(settings, monkeypatch):
    fetch = SyntheticSource.fetch

    def fetch_one_unnamed(*arguments):
        delivered = fetch(*arguments)
        delivered.securities.loc[0, "name"] = None
        return delivered

    monkeypatch.setattr(SyntheticSource, "fetch", fetch_one_unnamed)
    receipt = ingest(settings.model_copy(update={"synthetic": SMALL}), LATE)

    with open_engine(settings.database_url).connect() as connection:
        written = connection.scalar(select(func.count()).select_from(securities))
    assert written == receipt.details["symbols"] - 1
    assert receipt.warnings[-1].endswith("refused: name_missing")


@pytest.mark.parametrize(("left", "messages"), [(127, 0), (126, 1), (125, 0), (1, 1)])
def test_people_are_told_months_before_the_known_calendar_ends_and_then_rarely(
    settings, monkeypatch, left, messages
):
    from bist_pipeline.stages import ingest as stage

    sent, calendar = [], bist_calendar()
    delivery = Delivery(("log",), ("webhook: gone",))
    monkeypatch.setattr(stage, "send", lambda alert, _: sent.append(alert) or delivery)
    warnings = stage._tell_end_of_calendar(settings, calendar.offset(calendar.last, -left))

    assert len(sent) == messages
    assert bool(warnings) is (left <= 126)  # the log tells it at every session
    if sent:
        assert (sent[0].check, sent[0].urgency) == ("trading calendar", "this month")
        assert "2027-12-31" in sent[0].cause
        assert "Ne yapmalı" in sent[0].turkish
        assert warnings[1] == "an alert about that by webhook: gone"
