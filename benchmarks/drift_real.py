"""The drift checks on the real panel, for benchmarks/drift_bars.py; nothing where BIST_SHARED_DATA has none.

Every quarter a champion's replays are built from what was known then, and every week of the next quarter is
judged by them. There is no drift-free truth here: an alarm may be right. The bar says how many are bearable.
"""

from __future__ import annotations

import datetime as dt
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.drift_markets import HORIZON, WATCHED, Table, tabulate_prices
from bist_pipeline.calendar import CANCELLED, TradingCalendar, bist_calendar
from bist_pipeline.drift.data_quality import check_session
from bist_pipeline.drift.distribution import MIN_REPLAYS, check_distribution
from bist_pipeline.drift.replays import CURRENT_SESSIONS, build_replays
from bist_pipeline.drift.status import Status
from bist_pipeline.drift.summary import summarise
from bist_pipeline.sources.files import FileSource

BAD_DAYS = {
    dt.date(2022, 6, 27): "most volumes are zero",
    dt.date(2023, 2, 8): "cancelled after the earthquake",
}
WEEK, QUARTER = 5, 63


def measure() -> list[dict[str, Any]]:
    """Lines of the table."""
    path = Path(os.environ.get("BIST_SHARED_DATA", "../shared/data")) / "prices_daily.parquet"
    if not path.exists():
        return []
    calendar = as_known_then()
    last = calendar.last_closed(dt.datetime(2024, 6, 29, tzinfo=dt.UTC))
    prices = FileSource(str(path)).fetch(last, calendar).prices
    return [*_judge_weeks(prices, last), *_judge_bad_days(prices, calendar)]


def as_known_then() -> TradingCalendar:
    """The calendar before anybody knew which sessions would be cancelled."""
    sessions = np.union1d(bist_calendar().sessions, np.array(list(CANCELLED), dtype="datetime64[D]"))
    midnight = sessions.astype("datetime64[ns]")
    return TradingCalendar(sessions, midnight + np.timedelta64(7, "h"), midnight + np.timedelta64(15, "h"))


def _judge_weeks(prices: pd.DataFrame, last: dt.date) -> Iterator[dict[str, Any]]:
    sessions = bist_calendar().between(prices["session"].min().date(), last)
    known = prices[prices["session"].isin(sessions)]
    statuses = [status for _, status in judge_weeks(tabulate_prices(known, sessions))]
    alarms = sum(status in (Status.AMBER, Status.RED, Status.ERROR) for status in statuses)
    share = alarms / len(statuses)
    yield {
        "what": "real panel: weeks with an alarm of the weekly feature check",
        "measured": share,
        "error": math.sqrt(share * (1 - share) / len(statuses)),
        "bar": 0.12,
        "is_lower_better": True,
        "unit": "%",
        "basis": f"{alarms} of {len(statuses)} weeks",
    }


def judge_weeks(table: Table) -> Iterator[tuple[dt.date, Status]]:
    """Every week that has enough past to be judged, with a new champion each quarter."""
    summary = summarise(table.features, list(WATCHED), until=table.days[-1])
    days = table.days
    for champion in range(QUARTER * 8, len(days) - WEEK, QUARTER):
        dates = {"trained_until": days[champion - HORIZON], "champion_session": days[champion]}
        replays = build_replays(summary, view="relative", **dates)
        if (replays.ends[0] >= 0).sum() < MIN_REPLAYS:
            continue
        for end in range(champion + WEEK, min(champion + QUARTER + 1, len(days)), WEEK):
            current = summarise(table.newest(days[end], CURRENT_SESSIONS), list(WATCHED), until=days[end])
            found = check_distribution(
                replays, current, name="features", session=days[end], age_sessions=end - champion
            )
            yield days[end], found.check.status


def _judge_bad_days(prices: pd.DataFrame, calendar: TradingCalendar) -> Iterator[dict[str, Any]]:
    for day, why in BAD_DAYS.items():
        quality = check_session(prices, session=day, sessions=calendar.sessions)
        stops = quality.having(Status.BLOCK)
        yield {
            "what": f"real panel: {day} ({why}) RED or BLOCK on the day",
            "measured": float(bool(stops)),
            "error": None,
            "bar": 1.0,
            "is_lower_better": False,
            "unit": "",
            "basis": ", ".join(finding.rule for finding in stops) or "no rule",
        }
