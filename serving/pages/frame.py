"""What stands on every page: which batch is shown, how old it is, and whether drift was found."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import Connection

from bist_pipeline.store.read import (
    PUBLISHED,
    Batch,
    Freshness,
    Publication,
    Scorecard,
    read_batch,
    read_freshness,
    read_published_sessions,
    read_scorecards,
)
from bist_pipeline.store.read.drift import DriftRun, read_drift_runs
from bist_pipeline.store.read.pages import read_session_after

_SYNTHETIC = "synthetic"
_ABOUT_A_YEAR_DAYS = range(345, 386)
# Drift verdicts in the face of which ranks should not be relied on.
_ALARMS = ("RED", "BLOCK", "ERROR")


class NothingPublished(Exception):  # noqa: N818 - a state of a young installation, not an error
    """The database is in order, and still empty."""


@dataclass(frozen=True)
class Frame:
    """What stands on every page; `drift` is the newest verdict, None if the shown session has none.

    A verdict may be newer than the batch: it is what held the next one back.
    """

    publication: Publication
    freshness: Freshness
    drift: DriftRun | None

    @property
    def is_forecast(self) -> bool:
        """Whether the predictions are of the future."""
        return self.publication.kind == "forecast"

    @property
    def is_invented(self) -> bool:
        """Whether the market is one that does not exist."""
        return self.publication.source == _SYNTHETIC

    @property
    def is_alarmed(self) -> bool:
        """Whether drift says that the ranks should not be relied on."""
        return self.drift is not None and self.drift.status in _ALARMS


def read_frame(connection: Connection, *, shares: int | None = None) -> tuple[Frame, Batch]:
    """Read the current batch (at most so many `shares` of it) and what stands around it.

    Raises
    ------
    NothingPublished
        If there is no batch yet.
    """
    batch = read_batch(connection, limit=shares)
    if batch is None:
        raise NothingPublished
    publication = batch.publication
    runs = read_drift_runs(connection, publication.source, limit=1)
    checked = [run for run in runs if run.session >= publication.session]
    freshness = read_freshness(connection, now=dt.datetime.now(dt.UTC))
    return Frame(publication, freshness, checked[0] if checked else None), batch


@dataclass(frozen=True)
class Trust:
    """How published ranks have done: the longest scorecard of the model, and those of its baselines.

    `best_rule` is the baseline that did best on the same rows.
    """

    card: Scorecard
    baselines: tuple[Scorecard, ...]

    @property
    def covers_year(self) -> bool:
        """Whether the judged sessions reach over about twelve months."""
        return (self.card.last_session - self.card.first_session).days in _ABOUT_A_YEAR_DAYS

    @property
    def best_rule(self) -> Scorecard | None:
        """The baseline with the highest rank IC."""
        return max(self.baselines, key=lambda card: card.rank_ic, default=None)


def read_trust(connection: Connection, source: str) -> Trust | None:
    """Read how the published ranks of a source have done; None until the first results are in."""
    cards = read_scorecards(connection, source)
    of_model = [card for card in cards if card.model == PUBLISHED]
    if not of_model:
        return None
    longest = of_model[0]
    rest = [card for card in cards if card.window_sessions == longest.window_sessions]
    return Trust(longest, tuple(card for card in rest if card.model != PUBLISHED))


def read_first_results(connection: Connection, publication: Publication) -> dt.date | None:
    """Read when the first published ranks meet their results; None beyond the stored calendar."""
    first = read_published_sessions(connection)[0]
    return read_session_after(connection, first, publication.horizon_sessions)
