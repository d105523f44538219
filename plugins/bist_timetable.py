"""A run for every session of Borsa Istanbul, once its prices are final, from the pipeline's own calendar.

The calendar is imported when Airflow asks for a date, not when it parses a DAG: it needs pandas.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from functools import lru_cache
from typing import Any

import pendulum
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable


class SessionTimetable(Timetable):
    """A run after each session, or after every n-th one.

    The logical date of a run is the moment at which it falls due: `margin` after the session's prices are
    final, which is later on an ordinary day than on a half day. Without catch-up only the newest run that
    fell due is made up for; older sessions are a backfill, which a person starts. On the day after the last
    known session there is one more run, which fails with an alert: a schedule that just ended would go
    unseen.

    Parameters
    ----------
    every : int
        Sessions from one run to the next, counted from the first session of the calendar.
    margin : timedelta
        How long vendors are given to deliver.
    """

    def __init__(self, *, every: int = 1, margin: dt.timedelta = dt.timedelta(minutes=30)) -> None:
        self.every = every
        self.margin = margin
        minutes = int(margin.total_seconds() // 60)
        rhythm = "session" if every == 1 else f"{every} sessions"
        self.description = f"Every {rhythm} of Borsa Istanbul, {minutes} minutes after its prices are final"

    @property
    def summary(self) -> str:
        """Text in lists of DAGs."""
        return "Every session" if self.every == 1 else f"Every {self.every} sessions"

    def serialize(self) -> dict[str, Any]:
        """Return what `deserialize` needs."""
        return {"every": self.every, "margin": self.margin.total_seconds()}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> SessionTimetable:
        """Build the timetable that `serialize` described."""
        return cls(every=data["every"], margin=dt.timedelta(seconds=data["margin"]))

    def infer_manual_data_interval(self, *, run_after: pendulum.DateTime) -> DataInterval:
        """A run by hand is of the moment that it names."""
        return DataInterval.exact(run_after)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the run that falls due next; None beyond the end of the DAG or of the known calendar."""
        due = _due_times(self.every, self.margin)
        position = 0
        if restriction.earliest is not None:
            position = bisect_left(due, restriction.earliest)
        if not restriction.catchup:
            newest = bisect_left(due, dt.datetime.now(dt.UTC)) - 1
            position = max(position, newest)
        if last_automated_data_interval is not None:
            after = last_automated_data_interval.end + dt.timedelta(microseconds=1)
            position = max(position, bisect_left(due, after))
        if position >= len(due) or (restriction.latest is not None and due[position] > restriction.latest):
            return None
        return DagRunInfo.exact(pendulum.instance(due[position]))


@lru_cache(maxsize=8)
def _due_times(every: int, margin: dt.timedelta) -> list[dt.datetime]:
    from bist_pipeline.calendar import bist_calendar

    calendar = bist_calendar()
    due = [calendar.cutoff(day) + margin for day in calendar.sessions[::every].tolist()]
    return [*due, calendar.cutoff(calendar.last) + margin + dt.timedelta(days=1)]
