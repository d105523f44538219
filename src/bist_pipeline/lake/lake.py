"""Reading and writing data sets: what a write changes, how it takes effect, what is thrown away when."""

from __future__ import annotations

import datetime as dt
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise

import pandas as pd

from bist_pipeline.config import Settings
from bist_pipeline.errors import (
    ContractError,
    LakeConflictError,
    LakeUnavailableError,
    MissingDataError,
)
from bist_pipeline.lake.content import hash_sessions, in_order
from bist_pipeline.lake.parts import add_part, read_parts
from bist_pipeline.lake.storage import open_storage
from bist_pipeline.lake.version import Version, sessions_of

# A data set of so many files becomes one file with the next write.
MAX_PARTS = 32
# How long a version is kept after another took its place: what was ingested, for replays; of what is computed
# from it, and of files that no version names, what somebody may be reading or writing just now.
RETENTION = dict.fromkeys(("prices", "fundamentals", "snapshot", "calendar"), dt.timedelta(days=400))
GRACE = dt.timedelta(days=1)
_TRIES = 10


class Lake:
    """Data sets of one market under one fsspec URL.

    Parameters
    ----------
    url : str
        A folder, `s3://bucket/prefix` (the bucket must exist), or any other URL that fsspec understands.
        `bist_pipeline.lake.storage` says what each kind of storage promises.
    """

    def __init__(self, url: str) -> None:
        self._storage = open_storage(url)
        self.url = url

    def head(self, dataset: str) -> Version | None:
        """Return the current version of a data set; None if it was never written."""
        return next(self._versions(dataset), None)

    def require(self, dataset: str) -> Version:
        """Return the current version of a data set.

        Raises
        ------
        MissingDataError
            If it was never written, or holds no rows.
        """
        head = self.head(dataset)
        if head is None or not head.parts:
            raise MissingDataError(
                f"The lake {self.url} holds no {dataset}.",
                next_step=_command(dataset),
            )
        return head

    def read(
        self,
        dataset: str,
        *,
        until: dt.date | None = None,
        since: dt.date | None = None,
        columns: Sequence[str] | None = None,
        version: str | None = None,
    ) -> pd.DataFrame:
        """Read rows with `since` ≤ session ≤ `until`, in order of session and symbol.

        Parameters
        ----------
        version : str, optional
            The rows as they were when the content hash of all rows up to `until` was this: what models and
            predictions carry as `data_hash`. Versions of what was ingested are kept for 400 days after their
            time, those of features for a day.

        Raises
        ------
        MissingDataError
            If the data set was never written, lacks a column, or no version with that content is kept.
        LakeUnavailableError
            If the storage does not answer, or a file is damaged.
        """
        source = self.require(dataset) if version is None else self._find(dataset, version, until)
        self._require_columns(dataset, source, columns or ())
        frame = read_parts(
            self._storage,
            dataset,
            source.parts,
            first=str(since or dt.date.min),
            last=str(until or dt.date.max),
            columns=None if columns is None else list(dict.fromkeys([*columns, "session", "symbol"])),
        )
        # Selecting copies, and a table of features is large.
        return frame if columns is None or list(frame) == list(columns) else frame[list(columns)]

    def write(self, dataset: str, frame: pd.DataFrame, *, covers: tuple[dt.date, dt.date]) -> str:
        """Replace the sessions from `covers[0]` to `covers[1]`; other sessions stay.

        Only sessions that differ from what is there are written, as one file. If another writer is faster,
        this one starts again from what the other wrote.

        Parameters
        ----------
        dataset : str
            Name of the data set.
        frame : DataFrame
            Needs `session` (datetime64) and `symbol`; all sessions inside `covers`.
        covers : pair of date
            The range of sessions that `frame` speaks for, absent rows included.

        Returns
        -------
        str
            Content hash of the rows up to `covers[1]`, as they are then. Writing what is already there
            changes nothing.

        Raises
        ------
        ContractError
            If sessions would stay that have other columns.
        LakeConflictError
            If other writers were faster ten times in a row.
        LakeUnavailableError
            If the storage is full, read-only or unreachable; the version before stays.
        """
        first, last = map(str, covers)
        rows = in_order(frame)
        fresh = hash_sessions(rows)
        if any(not first <= day <= last for day in fresh):
            raise ValueError(f"{dataset}: rows outside the sessions the write covers")
        for attempt in range(_TRIES):
            base = self.head(dataset) or Version.nothing()
            changed = base.changes(fresh, first, last)
            if not changed:
                return base.hash_until(covers[1])
            with self._storage.writing(dataset):
                version = self._build(dataset, base, rows, fresh, changed)
                if self._commit(dataset, version):
                    return version.hash_until(covers[1])
            time.sleep(secrets.randbelow(10 * 2**attempt) / 1000)
        raise LakeConflictError(
            f"{_TRIES} times other writers changed {dataset} in the lake {self.url}, each time just before "
            f"the sessions {first} to {last} were in.",
            consequence="The data set holds what the others wrote, and nothing of this write.",
            next_step="repeat the command when the others are done",
        )

    def _build(
        self, dataset: str, base: Version, rows: pd.DataFrame, fresh: Mapping[str, str], changed: set[str]
    ) -> Version:
        """Write the changed sessions to a file, and say what the data set would be with it."""
        kept = [part for part in (part.without(changed) for part in base.parts) if part.sessions]
        sessions = {day: fresh[day] for day in fresh if day in changed}
        if not sessions:
            return base.next(base.columns, kept)
        columns = {str(name): str(dtype) for name, dtype in rows.dtypes.items()}
        if kept and columns != base.columns:
            raise _columns_differ(dataset, base, columns)
        is_all = len(sessions) == len(fresh)  # a large table is not copied
        added = rows if is_all else rows[rows["session"].isin(pd.to_datetime(list(sessions)))]
        if len(kept) >= MAX_PARTS:
            added = in_order(pd.concat([read_parts(self._storage, dataset, kept), added]))
            sessions = {**sessions_of(kept), **sessions}
            kept = []
        return base.next(columns, [*kept, add_part(self._storage, dataset, added, sessions)])

    def _commit(self, dataset: str, version: Version) -> bool:
        """Make a version the current one, unless another writer took its number."""
        if version.number == 1:
            self._storage.require_claims(dataset)
        is_first = self._storage.claim(_path(dataset, version.number), version.as_json())
        if is_first and len(version.parts) == 1:
            self._tidy(dataset)
        return is_first

    def _tidy(self, dataset: str) -> None:
        """Remove versions that are no longer kept, and files that none needs: theirs, or those of a crash.

        Whatever fails here is done another time.
        """
        with suppress(LakeUnavailableError), self._storage.writing(dataset):
            versions = list(self._versions(dataset))
            since = dt.datetime.now(dt.UTC) - RETENTION.get(dataset, GRACE)
            kept = versions[:1] + [old for new, old in pairwise(versions) if new.written > since]
            for number in {version.number for version in versions} - {version.number for version in kept}:
                self._storage.remove(_path(dataset, number))
            needed = {part.file for version in kept for part in version.parts}
            for file in set(self._storage.list_files(dataset)) - needed:
                if self._storage.age(f"{dataset}/{file}") > GRACE:
                    self._storage.remove(f"{dataset}/{file}")

    def _find(self, dataset: str, content: str, until: dt.date | None) -> Version:
        for version in self._versions(dataset):
            if version.hash_until(until) == content:
                return version
        rows = f"rows up to {until}" if until else "rows"
        raise MissingDataError(
            f"The lake {self.url} keeps no version of {dataset} whose {rows} have the content {content}.",
            consequence="What was computed from them cannot be repeated.",
            next_step="restore the lake from a backup of that time",
        )

    def _require_columns(self, dataset: str, version: Version, columns: Sequence[str]) -> None:
        absent = [name for name in columns if name not in version.columns]
        if absent:
            raise MissingDataError(
                f"The {dataset} of the lake {self.url} lack {len(absent)} of {len(columns)} columns: "
                "other code wrote them.",
                which=absent,
                next_step=f"{_command(dataset)} --session {version.last}",
            )

    def publish(self, path: str, content: str) -> str:
        """Put a text for people beside the data sets, in place of what was there; return its URL.

        Raises
        ------
        LakeUnavailableError
            If the storage is full, read-only or unreachable.
        """
        with self._storage.writing(path):
            self._storage.replace(path, content.encode())
        return f"{self.url.rstrip('/')}/{path}"

    def keep(self, path: str, content: bytes) -> None:
        """Put a file beside the data sets, in place of what was there; raises as `publish`."""
        with self._storage.writing(path):
            self._storage.replace(path, content)

    def recall(self, path: str) -> bytes:
        """Read a file that `keep` put there.

        Raises
        ------
        MissingDataError
            If it is not there.
        LakeUnavailableError
            If the storage does not answer.
        """
        with self._storage.reading():
            try:
                return self._storage.read(path)
            except FileNotFoundError as error:
                raise MissingDataError(f"The lake {self.url} holds no file {path}.") from error

    def _versions(self, dataset: str) -> Iterator[Version]:
        """Every version that is kept, newest first."""
        with self._storage.reading():
            names = self._storage.list_files(f"{dataset}/versions")
            for name in sorted(names, reverse=True):
                yield Version.from_json(self._storage.read(f"{dataset}/versions/{name}"))


def _path(dataset: str, number: int) -> str:
    return f"{dataset}/versions/{number:08}.json"


def _command(dataset: str) -> str:
    return "bist features" if dataset == "features" else "bist ingest"


def _columns_differ(dataset: str, base: Version, columns: Mapping[str, str]) -> ContractError:
    differing = dict(base.columns.items() ^ columns.items())
    return ContractError(
        f"{dataset}: {len(differing)} columns are not those of the sessions that would stay, "
        f"{base.first} to {base.last}.",
        which=sorted(differing),
        consequence=f"The lake keeps {dataset} as it was.",
        next_step=f"{_command(dataset)} --session {base.last}",
    )


def open_lake(settings: Settings) -> Lake:
    """Open the lake of the configured market: sources never share a folder."""
    return Lake(f"{settings.lake_url.rstrip('/')}/{settings.source}")
