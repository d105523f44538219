"""Everything that the newest publication shows, read and encoded once, and the thread that keeps it new."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine

from bist_pipeline.errors import DatabaseUnavailableError, StoreError
from bist_pipeline.store import read
from bist_pipeline.store.engine import connect
from bist_pipeline.store.read.drift import read_drift_report_sessions, read_feature_weeks
from bist_pipeline.store.read.pages import (
    DriftEpisode,
    JudgedSession,
    read_episodes,
    read_judged_sessions,
    read_session_after,
)
from serving.board import Board, build_board

log = logging.getLogger(__name__)

# A database that has not confirmed the snapshot for so long does not answer, whatever the reason.
LOST_AFTER_S = 5.0

# How far back lists reach that are read beforehand. Of checks, two weeks: every weekly one is among them.
DECISIONS, DAYS, CHECKS, WEEKS, EPISODES, JUDGEMENTS, RUNS = 20, 64, 100, 26, 10, 1040, 64
GAIN_WINDOW = 63
_LONGEST_STOP_S = 10.0


@dataclass(frozen=True)
class Snapshot:
    """What is published and what is known about it; `board` is None where nothing is published.

    API and pages are made from it, so that they cannot disagree. Lists are newest first; `weeks` is oldest
    first. The first published ranks meet their results on `first_results`, those of the batch on
    `horizon_end`: None beyond the stored calendar.
    """

    mark: tuple[Any, ...]
    freshness: read.Freshness
    board: Board | None = None
    scorecards: tuple[read.Scorecard, ...] = ()
    judged: Sequence[JudgedSession] = ()
    first_results: dt.date | None = None
    horizon_end: dt.date | None = None
    gains: Sequence[read.PastReturn] = ()
    verdicts: Sequence[read.DriftRun] = ()
    checks: Sequence[read.DriftCheck] = ()
    weeks: Mapping[dt.date, Sequence[read.DriftFeature]] = field(default_factory=dict)
    episodes: Sequence[DriftEpisode] = ()
    reports: Collection[dt.date] = ()
    decision: read.Decision | None = None
    decisions: Sequence[read.Decision] = ()
    backtests: tuple[read.Backtest, ...] = ()
    runs: Sequence[read.RunRecord] = ()
    # Finished answers by request, filled by `serving.shelf`: as good as the snapshot, and gone with it.
    shelf: dict[Any, Any] = field(default_factory=dict)
    # The same for what was read for the page of one share, by symbol; see `serving.pages.share`.
    pasts: dict[str, Any] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """Entity tag of every answer of the API that is made from it."""
        # Weak: the same publication may be spelled in other bytes by another version of this server.
        return f'W/"{hashlib.sha256(repr(self.mark).encode()).hexdigest()[:16]}"'

    @property
    def drift(self) -> read.DriftRun | None:
        """The newest drift verdict."""
        return self.verdicts[0] if self.verdicts else None

    @property
    def features(self) -> Sequence[read.DriftFeature]:
        """How far every feature was away when that was measured last, the farthest first."""
        newest = list(self.weeks.values())[-1] if self.weeks else ()
        return sorted(newest, key=lambda each: (-(each.distance or 0.0), each.feature))

    @property
    def cards(self) -> list[read.Scorecard]:
        """The scorecards of the batch's horizon, the longest window first, in it the best ranking."""
        horizon = None if self.board is None else self.board.publication.horizon_sessions
        return [card for card in self.scorecards if card.horizon_sessions == horizon]

    @property
    def card(self) -> read.Scorecard | None:
        """How the published ranks did over the longest window judged."""
        return next((card for card in self.cards if card.model == read.PUBLISHED), None)


def read_snapshot(connection: Connection, mark: tuple[Any, ...]) -> Snapshot:
    """Read and encode the newest publication with all that is shown beside it."""
    freshness: read.Freshness = mark[-1]
    batch = read.read_batch(connection)
    if batch is None:
        return Snapshot(mark, freshness)
    of = batch.publication
    # A writer may take the last publication away between two statements.
    first = min(read.read_published_sessions(connection), default=of.session)
    return Snapshot(
        mark,
        freshness,
        board=build_board(batch, age_sessions=freshness.age_sessions),
        scorecards=read.read_scorecards(connection, of.source),
        judged=read_judged_sessions(connection, of.source, limit=JUDGEMENTS),
        first_results=read_session_after(connection, first, of.horizon_sessions),
        horizon_end=read_session_after(connection, of.session, of.horizon_sessions),
        gains=read.read_past_returns(connection, of.source, of.session, window=GAIN_WINDOW),
        decision=read.read_decision(connection, of),
        decisions=read.read_decisions(connection, of.source, limit=DECISIONS),
        backtests=read.read_backtests(connection, of),
        runs=read.read_runs(connection, limit=RUNS),
        **_read_drift(connection, of.source),
    )


def _read_drift(connection: Connection, source: str) -> dict[str, Any]:
    verdicts = read.read_drift_runs(connection, source, limit=DAYS)
    if not verdicts:
        return {}
    newest = verdicts[0].session
    return {
        "verdicts": verdicts,
        "checks": read.read_newest_checks(connection, source, until=newest, rows=CHECKS),
        "weeks": read_feature_weeks(connection, source, until=newest, weeks=WEEKS),
        "episodes": read_episodes(connection, source, limit=EPISODES),
        "reports": read_drift_report_sessions(connection, source, since=verdicts[-1].session),
    }


@dataclass(frozen=True)
class Outage:
    """Nobody can say any more that the snapshot is the newest, since `since`.

    Either the database `is_away`, or what is newest in it cannot be read.
    """

    since: dt.datetime
    is_away: bool


class Keeper:
    """Holds the newest snapshot, and asks the database all the time whether there is a newer one.

    Reading and encoding happen in a thread of its own; then one reference is swapped, so that every request
    sees one whole snapshot. While the database is away, the last snapshot stays.

    Parameters
    ----------
    engine : Engine
        Of the predictions database.
    poll_seconds : float
        Pause between two questions.
    """

    def __init__(self, engine: Engine, *, poll_seconds: float) -> None:
        self._engine = engine
        self._poll_seconds = poll_seconds
        self._confirmed = float("-inf")
        self._confirmed_at = dt.datetime.min.replace(tzinfo=dt.UTC)
        self._stopping = threading.Event()
        self._refreshing = threading.Lock()
        self._thread: threading.Thread | None = None
        self.snapshot: Snapshot | None = None
        self.failure: StoreError | None = None

    @property
    def unconfirmed_s(self) -> float:
        """Seconds since the database last said that the snapshot is the newest."""
        return time.monotonic() - self._confirmed

    @property
    def is_lost(self) -> bool:
        """Whether nobody can say any more that the snapshot is the newest."""
        return self.failure is not None or self.unconfirmed_s > LOST_AFTER_S + self._poll_seconds

    @property
    def is_away(self) -> bool:
        """Whether the database is known not to answer."""
        return isinstance(self.failure, DatabaseUnavailableError)

    @property
    def outage(self) -> Outage | None:
        """Since when nobody can say that the snapshot is the newest; None as long as the database does."""
        if not self.is_lost:
            return None
        # A question that has no answer after so long is as good as a refusal.
        return Outage(self._confirmed_at, self.is_away or self.failure is None)

    def current(self) -> Snapshot:
        """Return the newest snapshot there is.

        Raises
        ------
        StoreError
            If there has not been any, for the reason that the database gave last.
        """
        if self.snapshot is None and self.failure is None:
            self.refresh()
        if self.snapshot is None and self.failure is not None:
            raise self.failure
        assert self.snapshot is not None  # noqa: S101 - refresh() sets one of the two
        return self.snapshot

    def refresh(self) -> None:
        """Ask the database once; what it refuses is kept in `failure`."""
        with self._refreshing:
            asked, asked_at = time.monotonic(), dt.datetime.now(dt.UTC)
            try:
                self._ask_again_if_cut(asked_at)
            except StoreError as error:
                self._note(error)
            except ValueError as error:  # broken JSON, or values that no answer can have
                what = f"The newest batch cannot be read: {error}."
                self._note(StoreError(what, consequence="The last one is served.", next_step="bist run"))
            else:
                if self.failure is not None:
                    log.warning("The database answers again.")
                self.failure = None
                self._confirmed, self._confirmed_at = asked, asked_at

    def _ask_again_if_cut(self, now: dt.datetime) -> None:
        """Ask; if that breaks off, ask once more: only the connection may have been cut."""
        try:
            self._ask(now)
        except DatabaseUnavailableError:
            if self.failure is not None:
                raise
            self._ask(now)

    def _ask(self, now: dt.datetime) -> None:
        with connect(self._engine) as connection:
            read.check_revision(connection)
            mark = read.read_mark(connection, now=now)
            if self.snapshot is None or self.snapshot.mark != mark:
                self.snapshot = read_snapshot(connection, mark)

    def _note(self, failure: StoreError) -> None:
        if type(failure) is not type(self.failure):
            log.warning("%s Next: %s", failure.what, failure.next_step)
        self.failure = failure

    def start(self) -> None:
        """Ask for the first time, and go on asking in the background."""
        self.refresh()
        self._thread = threading.Thread(target=self._run, name="snapshot", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the background thread; one that hangs in the database is left to die with the process."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_LONGEST_STOP_S)

    def _run(self) -> None:
        while not self._stopping.wait(self._poll_seconds):
            self.refresh()
