"""What stands on every page: which batch is shown, how old it is, and whether drift was found."""

from __future__ import annotations

from dataclasses import dataclass

from bist_pipeline.store.read import PUBLISHED, DriftRun, Freshness, Publication, Scorecard
from serving.board import Board
from serving.snapshot import Outage, Snapshot

_SYNTHETIC = "synthetic"
_ABOUT_A_YEAR_DAYS = range(345, 386)
# Drift verdicts in the face of which ranks should not be relied on.
_ALARMS = ("RED", "BLOCK", "ERROR")


class NothingPublished(Exception):  # noqa: N818 - a state of a young installation, not an error
    """The database is in order, and still empty."""


@dataclass(frozen=True)
class Frame:
    """What stands on every page; `drift` is the newest verdict, None if the shown session has none.

    A verdict may be newer than the batch: it is what held the next one back. `outage` is None as long as the
    database confirms that the batch is the newest.
    """

    publication: Publication
    freshness: Freshness
    drift: DriftRun | None
    outage: Outage | None

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


def build_frame(snapshot: Snapshot, outage: Outage | None) -> tuple[Frame, Board]:
    """Return what stands around the current batch, and the batch.

    Raises
    ------
    NothingPublished
        If there is no batch yet.
    """
    if snapshot.board is None:
        raise NothingPublished
    publication = snapshot.board.publication
    newest = snapshot.drift
    checked = newest if newest is not None and newest.session >= publication.session else None
    return Frame(publication, snapshot.freshness, checked, outage), snapshot.board


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


def judge(snapshot: Snapshot) -> Trust | None:
    """Tell how the published ranks have done; None until the first results are in."""
    if snapshot.card is None:
        return None
    rest = [card for card in snapshot.cards if card.window_sessions == snapshot.card.window_sessions]
    return Trust(snapshot.card, tuple(card for card in rest if card.model != PUBLISHED))
