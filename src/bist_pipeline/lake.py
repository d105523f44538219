"""The lake: Parquet data sets on any fsspec URL, replaced atomically, each version with a content hash.

A data set is a folder of immutable Parquet files named by their content, and one small `CURRENT` file that
says which of them counts. A write adds a file first and moves `CURRENT` last, so a reader, or a crash at any
moment, sees the whole old or the whole new version.

    prices/2f6a….parquet        sessions in order, then symbols
    prices/CURRENT              {"version": "2f6a…", "rows": 409212, "first": "2020-01-02", "last": …}
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import IO, cast

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bist_pipeline.config import Settings
from bist_pipeline.errors import ConfigError, LakeUnavailableError, MissingDataError

_POINTER = "CURRENT"
# The version before the current one stays, so that a reader that has just opened it can finish.
_KEPT_VERSIONS = 2


@dataclass(frozen=True)
class Version:
    """What `CURRENT` says of a data set: its content hash, size and range of sessions (ISO dates)."""

    version: str
    rows: int
    first: str
    last: str


def content_hash(frame: pd.DataFrame) -> str:
    """Hash values and column names, whatever file they came from: 16 hex digits.

    >>> a = pd.DataFrame({"x": [1.0, 2.0], "symbol": ["THYAO", "GARAN"]})
    >>> content_hash(a) == content_hash(a[["symbol", "x"]])
    True
    >>> content_hash(a) == content_hash(a.iloc[::-1])
    False
    """
    digest = blake2b(digest_size=8)
    for name in sorted(frame.columns):
        values = frame[name].to_numpy()
        digest.update(name.encode())
        if values.dtype == object:
            codes, texts = pd.factorize(values)
            digest.update("\x00".join(map(str, texts)).encode())
            values = codes.astype(np.int32)
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


class Lake:
    """Data sets of one market under one fsspec URL.

    Parameters
    ----------
    url : str
        Any URL fsspec understands: a folder, `s3://bucket/prefix`, `memory://…`.
    """

    def __init__(self, url: str) -> None:
        try:
            self._fs, self._root = fsspec.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise ConfigError(
                f"The lake URL {url!r} cannot be used: {error}.",
                next_step="set BIST_LAKE_URL to a folder or an fsspec URL",
            ) from error
        self.url = url

    def head(self, dataset: str) -> Version | None:
        """Return the current version of a data set; None if it was never written."""
        with self._reading():
            try:
                return Version(**json.loads(self._fs.cat_file(self._path(dataset, _POINTER))))
            except FileNotFoundError:
                return None

    def require(self, dataset: str) -> Version:
        """Return the current version of a data set.

        Raises
        ------
        MissingDataError
            If it was never written.
        """
        head = self.head(dataset)
        if head is None:
            raise MissingDataError(
                f"The lake {self.url} holds no {dataset}.",
                next_step=f"bist {'ingest' if dataset == 'prices' else dataset}",
            )
        return head

    def read(
        self,
        dataset: str,
        *,
        until: dt.date | None = None,
        since: dt.date | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Read rows with `since` ≤ session ≤ `until`, in order of session and symbol.

        Raises
        ------
        MissingDataError
            If the data set was never written.
        """
        head = self.require(dataset)
        bounds = [("session", op, pd.Timestamp(day)) for op, day in ((">=", since), ("<=", until)) if day]
        with self._reading(), self._fs.open(self._path(dataset, f"{head.version}.parquet"), "rb") as file:
            table = pq.read_table(file, columns=list(columns) if columns else None, filters=bounds or None)
            return cast(pd.DataFrame, table.to_pandas())

    def write(self, dataset: str, frame: pd.DataFrame, *, covers: tuple[dt.date, dt.date]) -> str:
        """Replace the sessions from `covers[0]` to `covers[1]`; other sessions stay.

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
            Content hash of the data set after the write. Writing what is already there changes nothing.

        Raises
        ------
        LakeUnavailableError
            If the storage is full, read-only or unreachable; the version before stays.
        """
        merged = self._merge(dataset, frame, covers)
        version = Version(
            version=content_hash(merged),
            rows=len(merged),
            first=str(merged["session"].min().date()),
            last=str(merged["session"].max().date()),
        )
        if version != self.head(dataset):
            with self._writing(dataset):
                self._fs.makedirs(self._path(dataset), exist_ok=True)
                self._put(self._path(dataset, f"{version.version}.parquet"), lambda file: _dump(merged, file))
                pointer = json.dumps(asdict(version)).encode()
                self._put(self._path(dataset, _POINTER), lambda file: file.write(pointer))
                self._prune(dataset)
        return version.version

    def _merge(self, dataset: str, frame: pd.DataFrame, covers: tuple[dt.date, dt.date]) -> pd.DataFrame:
        first, last = map(pd.Timestamp, covers)
        if not frame["session"].between(first, last).all():
            raise ValueError(f"{dataset}: rows outside the sessions the write covers")
        head = self.head(dataset)
        kept = []
        if head is not None and (head.first < str(covers[0]) or head.last > str(covers[1])):
            current = self.read(dataset)
            kept = [current[~current["session"].between(first, last)]]
        merged = pd.concat([*kept, frame], ignore_index=True) if kept else frame
        return merged.sort_values(["session", "symbol"], ignore_index=True)

    def _put(self, path: str, write: Callable[[IO[bytes]], object]) -> None:
        # Written beside its place, then moved onto it: a crash leaves a stray file, never half a data set.
        draft = f"{path}.{uuid.uuid4().hex}.tmp"
        try:
            with self._fs.open(draft, "wb") as file:
                write(file)
            self._fs.mv(draft, path)
        except BaseException:
            if self._fs.exists(draft):
                self._fs.rm(draft)
            raise

    def _prune(self, dataset: str) -> None:
        files = [f for f in self._fs.ls(self._path(dataset), detail=True) if f["name"].endswith(".parquet")]
        newest_first = sorted(files, key=lambda f: cast(float, f.get("mtime") or 0), reverse=True)
        for file in newest_first[_KEPT_VERSIONS:]:
            self._fs.rm(file["name"])

    def _path(self, *parts: str) -> str:
        return "/".join((self._root.rstrip("/"), *parts))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException, ValueError) as error:
            raise LakeUnavailableError(
                f"The lake {self.url} cannot be read: {error}.", next_step="check BIST_LAKE_URL, then retry"
            ) from error

    @contextmanager
    def _writing(self, dataset: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise LakeUnavailableError(
                f"The lake {self.url} cannot be written ({dataset}): {error}.",
                consequence="The data set stays as it was; nothing was published.",
                next_step="free space or correct BIST_LAKE_URL, then repeat the command",
            ) from error


def _dump(frame: pd.DataFrame, file: IO[bytes]) -> None:
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), file, compression="zstd")


def open_lake(settings: Settings) -> Lake:
    """Open the lake of the configured market: sources never share a folder."""
    return Lake(f"{settings.lake_url.rstrip('/')}/{settings.source}")
