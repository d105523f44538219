"""Everything that the newest publication shows, read and encoded once, and the thread that keeps it new."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine

from bist_pipeline.errors import StoreError
from bist_pipeline.store import read
from bist_pipeline.store.engine import connect
from serving.board import Board, build_board

log = logging.getLogger(__name__)

# A database that has not confirmed the snapshot for so long does not answer, whatever the reason.
LOST_AFTER_S = 5.0

_DECISIONS = 20
# Two weeks of all checks: every weekly one is among them.
_CHECKS = 100
_LONGEST_STOP_S = 10.0


@dataclass(frozen=True)
class Snapshot:
    """What is published and what is known about it; `board` is None where nothing is published."""

    mark: tuple[Any, ...]
    freshness: read.Freshness
    board: Board | None = None
    scorecards: tuple[read.Scorecard, ...] = ()
    drift: read.DriftRun | None = None
    drift_checks: tuple[read.DriftCheck, ...] = ()
    drift_features: tuple[read.DriftFeature, ...] = ()
    decision: read.Decision | None = None
    decisions: tuple[read.Decision, ...] = ()
    backtests: tuple[read.Backtest, ...] = ()
    # Finished answers by request, filled by `serving.shelf`: as good as the snapshot, and gone with it.
    shelf: dict[Any, Any] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """Entity tag of every answer made from it."""
        # Weak: the same publication may be spelled in other bytes by another version of this server.
        return f'W/"{hashlib.sha256(repr(self.mark).encode()).hexdigest()[:16]}"'


def read_snapshot(connection: Connection, mark: tuple[Any, ...]) -> Snapshot:
    """Read and encode the newest publication with all that is shown beside it."""
    freshness: read.Freshness = mark[-1]
    batch = read.read_batch(connection)
    if batch is None:
        return Snapshot(mark, freshness)
    source = batch.publication.source
    return Snapshot(
        mark,
        freshness,
        board=build_board(batch, age_sessions=freshness.age_sessions),
        scorecards=read.read_scorecards(connection, source),
        decision=read.read_decision(connection, batch.publication),
        decisions=tuple(read.read_decisions(connection, source, limit=_DECISIONS)),
        backtests=read.read_backtests(connection, batch.publication),
        **_read_drift(connection, source),
    )


def _read_drift(connection: Connection, source: str) -> dict[str, Any]:
    verdicts = read.read_drift_runs(connection, source, limit=1)
    if not verdicts:
        return {}
    session = verdicts[0].session
    return {
        "drift": verdicts[0],
        "drift_checks": tuple(read.read_newest_checks(connection, source, until=session, rows=_CHECKS)),
        "drift_features": tuple(read.read_drift_features(connection, source, session)),
    }


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
            asked = time.monotonic()
            try:
                self._ask()
            except StoreError as error:
                self._note(error)
            except ValueError as error:  # broken JSON, or values that no answer can have
                what = f"The newest batch cannot be read: {error}."
                self._note(StoreError(what, consequence="The last one is served.", next_step="bist run"))
            else:
                if self.failure is not None:
                    log.warning("The database answers again.")
                self.failure = None
                self._confirmed = asked

    def _ask(self) -> None:
        with connect(self._engine) as connection:
            read.check_revision(connection)
            mark = read.read_mark(connection, now=dt.datetime.now(dt.UTC))
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
