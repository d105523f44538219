"""The shared panel of real prices: every row is accounted for, and only late feeds are incomplete."""

import datetime as dt
from dataclasses import replace

import pandas as pd
import pytest

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.errors import IncompleteSessionError
from bist_pipeline.market.cleaning import LISTED_SESSIONS
from bist_pipeline.market.gaps import require_complete
from bist_pipeline.market.panel import build_panel
from bist_pipeline.sources.files import FileSource

pytestmark = pytest.mark.slow
NEWEST = dt.date(2024, 6, 28)


@pytest.fixture(scope="module")
def fetch(shared_prices):
    return FileSource(str(shared_prices)).fetch(NEWEST, bist_calendar())


def test_every_row_is_a_price_or_one_of_the_cancelled_session(fetch, shared_prices):
    assert len(fetch.prices) == 409_212
    assert fetch.quarantined["rule"].value_counts().to_dict() == {"not_a_session": 394}
    assert set(fetch.quarantined["session"]) == {pd.Timestamp("2023-02-08")}
    assert len(fetch.prices) + len(fetch.quarantined) == len(pd.read_parquet(shared_prices))


def test_six_sessions_are_incomplete(fetch):
    """Of 1,121. Whoever was missing then was back within three sessions: it was the feed."""
    sessions = bist_calendar().between(dt.date(2020, 1, 2), NEWEST)
    panel = build_panel(fetch.prices, sessions)
    incomplete = []
    for last in range(2, len(sessions) + 1):
        recent = slice(max(0, last - LISTED_SESSIONS), last)
        try:
            require_complete(replace(panel, sessions=sessions[recent], close=panel.close[recent]))
        except IncompleteSessionError:
            incomplete.append(str(sessions[last - 1]))
    assert incomplete == ["2023-09-14", "2023-10-09", "2023-12-25", "2024-01-23", "2024-01-24", "2024-04-09"]
