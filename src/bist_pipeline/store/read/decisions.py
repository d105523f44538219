"""Which models were taken into use or refused, and why."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields

from sqlalchemy import Connection, RowMapping, Select, select

from bist_pipeline.store.read.batches import Publication
from bist_pipeline.store.schema import model_decisions
from bist_pipeline.wording import Wording


@dataclass(frozen=True)
class Decision:
    """One promotion decision; `champion_version` is empty where there was no champion to compare with."""

    decided_at: dt.datetime
    session: dt.date
    model_name: str
    challenger_version: str
    champion_version: str
    promoted: bool
    reasons: tuple[Wording, ...]


def read_decisions(connection: Connection, source: str, *, limit: int) -> list[Decision]:
    """Read the decisions about a source's models, newest first."""
    found = _decisions().filter_by(source=source).order_by(model_decisions.c.id.desc()).limit(limit)
    return [_as_decision(row) for row in connection.execute(found).mappings()]


def read_decision(connection: Connection, publication: Publication) -> Decision | None:
    """Read the newest decision about the model behind a batch."""
    found = _decisions().filter_by(
        source=publication.source,
        model_name=publication.model.name,
        challenger_version=publication.model.version,
    )
    row = connection.execute(found.order_by(model_decisions.c.id.desc()).limit(1)).mappings().one_or_none()
    return None if row is None else _as_decision(row)


def read_reasons(connection: Connection, publication: Publication) -> list[str]:
    """Return why the model behind a batch was taken into use, sentence by sentence, in English."""
    decision = read_decision(connection, publication)
    return [] if decision is None else [reason.en for reason in decision.reasons]


def _decisions() -> Select[tuple[object, ...]]:
    return select(*(model_decisions.c[field.name] for field in fields(Decision)))


def _as_decision(row: RowMapping) -> Decision:
    return Decision(**{**row, "reasons": row["reasons"].lines()})
