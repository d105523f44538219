"""Which earlier sessions a check may compare with: none that was stopped, unless a person released it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from bist_pipeline.config import Settings
from bist_pipeline.drift.policy import find_stopped
from bist_pipeline.stages.inputs import open_store
from bist_pipeline.stages.watch import as_outcome
from bist_pipeline.store.drift import read_checks, read_published, read_released
from bist_pipeline.store.engine import connect
from bist_pipeline.wording import Wording


@dataclass(frozen=True)
class Standing:
    """What is known of the sessions up to one.

    Parameters
    ----------
    stopped : frozenset of date
        A check stopped them, and nobody released them.
    released : mapping of date to Wording
        A person let them pass, having seen what the checks said of them: it stands beside.
    published : frozenset of date
        They were scored.
    """

    stopped: frozenset[dt.date]
    released: Mapping[dt.date, Wording]
    published: frozenset[dt.date]

    @property
    def good(self) -> frozenset[dt.date]:
        """Sessions that the checks or a person let pass; a stopped one never counts."""
        return frozenset(self.released.keys() | self.published) - self.stopped


def read_standing(settings: Settings, session: dt.date) -> Standing:
    """Read what the checks and people have said of the sessions up to `session`."""
    with connect(open_store(settings)) as connection:
        history = [as_outcome(check) for check in read_checks(connection, settings.source, until=session)]
        released = read_released(connection, settings.source)
        published = read_published(connection, settings.source)
    return Standing(find_stopped(history, released=released), released, published)
