"""Versions of a data set: which file holds which session, and the hash of every session."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property

from bist_pipeline.lake.content import combine, combine_until_each


@dataclass(frozen=True)
class Part:
    """One Parquet file, and the sessions that count of it; later writes may have replaced others.

    Parameters
    ----------
    file : str
        Name within the data set.
    held : int
        How many sessions the file holds.
    sessions : mapping
        ISO date to content hash, of the sessions that count.
    """

    file: str
    held: int
    sessions: Mapping[str, str]

    def without(self, replaced: Collection[str]) -> Part:
        """Return the part as a write leaves it that replaced some sessions."""
        return Part(self.file, self.held, {day: h for day, h in self.sessions.items() if day not in replaced})


@dataclass(frozen=True)
class Version:
    """All that a data set held at one time. Sessions are ISO dates.

    Parameters
    ----------
    number : int
        Counts the versions of the data set from 1.
    written_at : str
        ISO time in UTC.
    columns : mapping
        Column name to pandas dtype.
    parts : tuple of Part
        No session counts in two of them.
    """

    number: int
    written_at: str
    columns: Mapping[str, str]
    parts: tuple[Part, ...]

    @classmethod
    def nothing(cls) -> Version:
        """Return what a data set is before its first version."""
        return cls(0, "", {}, ())

    def next(self, columns: Mapping[str, str], parts: Iterable[Part]) -> Version:
        """Return the version that follows, written now."""
        return Version(self.number + 1, dt.datetime.now(dt.UTC).isoformat(), columns, tuple(parts))

    @cached_property
    def sessions(self) -> dict[str, str]:
        """Content hash of every session."""
        return sessions_of(self.parts)

    @property
    def written(self) -> dt.datetime:
        """When the version was written."""
        return dt.datetime.fromisoformat(self.written_at)

    @property
    def first(self) -> str:
        """The oldest session."""
        return min(self.sessions)

    @property
    def last(self) -> str:
        """The newest session."""
        return max(self.sessions)

    def hash_until(self, session: dt.date | None = None) -> str:
        """Return the content hash of the rows up to a session, of all of them by default; reads no rows."""
        return combine(self.sessions, until=session)

    def hashes_until(self, days: Iterable[str]) -> list[str]:
        """Return the content hash of the rows up to each of some ISO dates, which are in order."""
        return combine_until_each(self.sessions, days)

    def changes(self, fresh: Mapping[str, str], first: str, last: str) -> set[str]:
        """Return the sessions from `first` to `last` that differ from the hashes of `fresh`."""
        covered = {day for day in self.sessions if first <= day <= last}
        return {day for day in covered | fresh.keys() if self.sessions.get(day) != fresh.get(day)}

    def as_json(self) -> bytes:
        """Return the text that the lake keeps of a version."""
        facts = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps(facts, default=vars).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Version:
        """Build a version from the lake's text of it; ValueError if the text is something else."""
        try:
            facts = json.loads(text)
            parts = tuple(Part(**part) for part in facts.pop("parts"))
            return cls(**facts, parts=parts)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not the version of a data set: {text[:80]!r}") from error


def sessions_of(parts: Iterable[Part]) -> dict[str, str]:
    """Return the content hash of every session that counts in some files."""
    return {day: content for part in parts for day, content in part.sessions.items()}
