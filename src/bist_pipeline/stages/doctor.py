"""Doctor: is everything there that a run needs, and is what the last one left behind in order?

No stage, but like them it knows all edges. It looks and changes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, make_url

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.errors import (
    BistError,
    DataQualityError,
    MissingDataError,
    SessionOutOfRangeError,
    SourceContentError,
)
from bist_pipeline.lake import Lake, open_lake
from bist_pipeline.market.cleaning import LISTED_SESSIONS
from bist_pipeline.market.gaps import find_gaps
from bist_pipeline.market.panel import build_panel
from bist_pipeline.sources.base import newest_final, open_source
from bist_pipeline.store.engine import connect, open_engine
from bist_pipeline.store.read import check_revision, read_health, read_newest_publication
from bist_pipeline.store.schema import REVISION
from bist_pipeline.tracking import Registry


@dataclass(frozen=True)
class Diagnosis:
    """What one look found: a sentence, and where something is wrong the next command."""

    what: str
    is_problem: bool
    message: str
    next_step: str = ""

    @property
    def status(self) -> str:
        """OK or PROBLEM."""
        return "PROBLEM" if self.is_problem else "OK"

    def as_json(self) -> dict[str, str]:
        """Return the form that `--json` prints."""
        return {
            "check": self.what,
            "status": self.status,
            "message": self.message,
            "next": self.next_step,
        }


def examine(settings: Settings) -> list[Diagnosis]:
    """Look at source, lake, database and models, in the order in which a run needs them.

    What cannot be looked at because of an earlier problem is left out: one cause, one line.
    """
    lake, calendar = open_lake(settings), bist_calendar()
    offered = cache(lambda: open_source(settings).latest_session(calendar))
    # A snapshot is one day, handed in once: it has no feed that could stop, and no session before.
    is_feed = settings.source != "snapshot"
    dataset = "prices" if is_feed else "snapshot"
    newest = _if_known(lambda: dt.date.fromisoformat(lake.require(dataset).last))

    found = [_look("calendar", _calendar)]
    found += [_look("source", lambda: _source(settings, offered()))] if is_feed else []
    found.append(_look("prices", lambda: _prices(lake, dataset, _if_known(offered) if is_feed else None)))
    if newest and is_feed:
        found.append(_look("shares", lambda: _shares(lake, newest)))
    found.append(_look("database", lambda: _database(settings)))
    if newest and not found[-1].is_problem:
        with connect(open_engine(settings.database_url)) as connection:
            if is_feed:
                found.append(_look("quality", lambda: _quality(settings, connection, newest)))
            found.append(_look("published", lambda: _publication(settings, connection, newest)))
    found.append(_look("mlflow", lambda: _mlflow(settings)))
    if newest and not found[-1].is_problem:
        found.append(_look("champion", lambda: _champion(settings, newest)))
    return found


def _look(what: str, look: Callable[[], str]) -> Diagnosis:
    try:
        return Diagnosis(what, False, look())
    except BistError as error:
        concerned = f" Concerned: {', '.join(error.which)}." if error.which else ""
        return Diagnosis(what, True, error.what + concerned, error.next_step)


def _if_known(look: Callable[[], dt.date]) -> dt.date | None:
    try:
        return look()
    except BistError:
        return None


def _calendar() -> str:
    calendar = bist_calendar()
    if notice := calendar.notice_of_end(newest_final(calendar)):
        raise SessionOutOfRangeError(
            f"{notice.en[0].upper()}{notice.en[1:]}.",
            consequence="",
            next_step="update exchange_calendars, and LAST in bist_pipeline/calendar.py",
        )
    return f"sessions are known up to {calendar.last}"


def _source(settings: Settings, newest: dt.date) -> str:
    calendar = bist_calendar()
    closed = newest_final(calendar)
    if newest < closed:
        raise SourceContentError(
            f"The source {settings.source} ends with {newest}; "
            f"{calendar.count(newest, closed)} session(s) have closed since, up to {closed}.",
            next_step="bring the source up to date, then: bist run",
        )
    return f"{settings.source} answers; its newest session is {newest}"


def _prices(lake: Lake, dataset: str, offered: dt.date | None) -> str:
    head = lake.require(dataset)
    if offered and head.last < str(offered):
        raise MissingDataError(
            f"The newest prices in the lake are of {head.last}; the source has {offered}.",
            next_step=f"bist run --session {offered}",
        )
    return f"{lake.url} holds {head.first} to {head.last}, written {head.written:%Y-%m-%d %H:%M} UTC"


def _shares(lake: Lake, session: dt.date) -> str:
    """Tell shares that have just gone missing, dropped perhaps by the feed, from those that do not trade."""
    calendar = bist_calendar()
    recent = calendar.between(calendar.first, session)[-LISTED_SESSIONS:]
    panel = build_panel(lake.read("prices", since=recent[0].item(), until=session), recent)
    gaps = [gap for gap in find_gaps(panel) if gap.is_open]
    lost = [symbol for gap in gaps if gap.sessions == 1 for symbol in gap.symbols]
    if lost:
        raise SessionOutOfRangeError(
            f"{len(lost)} share(s) with a price of the session before have none of {session}.",
            which=sorted(lost),
            next_step=f"bist ingest --session {session} --only-missing",
        )
    longer = sorted(symbol for gap in gaps for symbol in gap.symbols)
    suspended = f"; for longer without a price: {', '.join(longer)}" if longer else ""
    return f"every share of the session before has a price of {session}{suspended}"


def _database(settings: Settings) -> str:
    engine = open_engine(settings.database_url)
    _require_file(settings.database_url)
    with connect(engine) as connection:
        check_revision(connection)
    return f"{engine.url.render_as_string(hide_password=True)} answers, at revision {REVISION}"


def _quality(settings: Settings, connection: Connection, session: dt.date) -> str:
    row = read_health(connection, settings.source, session)
    if row is None:
        raise MissingDataError(
            f"The data of {session} were not checked.", next_step=f"bist check --session {session}"
        )
    if row["status"] == "BLOCK":
        raise DataQualityError(
            f"{session} is blocked: {' '.join(row['summary'].en.splitlines())}",
            next_step=f"read {row['report']}, repair the source, then: bist run --session {session}",
        )
    return f"{row['status']} on {session}; report: {row['report']}"


def _publication(settings: Settings, connection: Connection, session: dt.date) -> str:
    published = read_newest_publication(connection, settings.source)
    if published is None or published < session:
        before = f"the newest ranks are of {published}" if published else "nothing is published"
        raise MissingDataError(
            f"The lake holds data of {session}, but {before}.", next_step=f"bist run --session {session}"
        )
    return f"ranks of {published}"


def _mlflow(settings: Settings) -> str:
    registry = Registry(settings)
    _require_file(settings.mlflow_url)
    registry.champion()
    return f"{make_url(settings.mlflow_url).render_as_string(hide_password=True)} answers"


def _champion(settings: Settings, session: dt.date) -> str:
    model = Registry(settings).find_for(session)
    age = bist_calendar().count(model.trained_through, session)
    return (
        f"{model.name} version {model.version}, trained through {model.trained_through} "
        f"({age} sessions before the newest), rank IC {model.rank_ic:+.3f}, skill {model.skill}"
    )


def _require_file(url: str) -> None:
    """SQLite would create a file that is not there, and a look must leave no trace."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database and not Path(parsed.database).exists():
        raise MissingDataError(f"{parsed.database} does not exist yet.", next_step="bist run")
