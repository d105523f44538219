"""The small typed value that a stage returns: what it did, on what, and what to know about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Receipt:
    """Outcome of one stage for one session. Crosses Airflow tasks as JSON; frames never do.

    Parameters
    ----------
    stage : str
        Name of the stage.
    session : date
        The session it worked on.
    rows : int
        Rows written (or judged).
    summary : str
        What was done, in one sentence for people.
    data_hash : str
        Content hash of what was written, 16 hex digits; empty where nothing was.
    details : mapping
        JSON-ready facts of this stage: counts by rule, model version, metrics.
    warnings : tuple of str
        Sentences for people; none of them stopped the stage.
    """

    stage: str
    session: dt.date
    rows: int
    summary: str
    data_hash: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON types, for XCom, logs and `--json`."""
        return {**asdict(self), "session": self.session.isoformat(), "warnings": list(self.warnings)}
