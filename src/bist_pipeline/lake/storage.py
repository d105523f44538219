"""Files under one fsspec URL, with the one promise that the lake is built on: a name is claimed once.

`claim` gives a name to the first who asks, together with all of the content, and refuses everybody after.
Who keeps that promise:

- a folder: written aside, flushed to the disk, then linked; the kernel refuses a name that exists;
- s3: one PUT with `If-None-Match: *`; the server refuses a key that exists;
- memory: one dictionary in one process;
- others: `mode="create"` of their fsspec driver. Google's and Azure's ask the server as s3 does; the rest
  look first and write then, so that only one ingest at a time is safe there.
"""

from __future__ import annotations

import datetime as dt
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

import fsspec
import pyarrow as pa
from fsspec.implementations.local import LocalFileSystem

from bist_pipeline.errors import ConfigError, LakeUnavailableError


def open_storage(url: str) -> Storage:
    """Open what is behind an fsspec URL: a folder, `s3://bucket/prefix`, `memory://…`.

    Raises
    ------
    ConfigError
        If fsspec, with what is installed, does not know this kind of URL.
    """
    try:
        fs, root = fsspec.url_to_fs(url)
    except (ValueError, TypeError, ImportError, OSError) as error:
        raise ConfigError(
            f"The lake URL {url!r} cannot be used: {error}.",
            next_step="set BIST_LAKE_URL to a folder or an fsspec URL (s3: pip install 'bist-pipeline[s3]')",
        ) from error
    kind = Folder if isinstance(fs, LocalFileSystem) else Storage
    return kind(url, fs, root)


class Storage:
    """Files under one URL; paths are relative to it."""

    def __init__(self, url: str, fs: Any, root: str) -> None:
        self.url = url
        self._fs = fs
        self._root = root.rstrip("/")
        self._failures: tuple[type[Exception], ...] = (OSError, *_library_errors(fs.protocol))

    def list_files(self, folder: str) -> list[str]:
        """Return the names of the files in a folder; none if it does not exist."""
        path = self._path(folder)
        self._fs.invalidate_cache(path)
        try:
            entries = self._fs.ls(path, detail=True)
        except FileNotFoundError:
            return []
        return [entry["name"].rpartition("/")[2] for entry in entries if entry["type"] == "file"]

    def read(self, path: str) -> bytes:
        """Return all bytes of a file."""
        return cast(bytes, self._fs.cat_file(self._path(path)))

    def open(self, path: str) -> IO[bytes]:
        """Open a file for reading."""
        return cast(IO[bytes], self._fs.open(self._path(path), "rb"))

    def age(self, path: str) -> dt.timedelta:
        """Return how long ago a file was written."""
        return dt.datetime.now(dt.UTC) - cast(dt.datetime, self._fs.modified(self._path(path)))

    def add(self, path: str, write: Callable[[IO[bytes]], object]) -> None:
        """Write a file under a name that nobody else uses; nothing of it is left where that fails."""
        try:
            with self._fs.open(self._path(path), "wb") as file:
                write(file)
        except BaseException:
            with suppress(*self._failures):
                self.remove(path)
            raise

    def replace(self, path: str, content: bytes) -> None:
        """Write a file that may be there already; readers see the old or the new one."""
        self._fs.pipe_file(self._path(path), content)

    def claim(self, path: str, content: bytes) -> bool:
        """Create a file, whole, if nobody did so before; else change nothing and return False."""
        try:
            self._create(path, content)
        except self._failures:
            # Servers have many ways to say that it exists. So ends, too, an answer lost on its way to us.
            self._fs.invalidate_cache(self._path(path))
            if not self._fs.exists(self._path(path)):
                raise
            return False
        return True

    def require_claims(self, folder: str) -> None:
        """Try whether the storage keeps its promise; a server that is too old for it overwrites silently.

        Raises
        ------
        ConfigError
            If the same name could be claimed twice.
        """
        path = f"{folder}/{uuid.uuid4().hex}.draft"
        self.claim(path, b"")
        is_forgotten = self.claim(path, b"")
        self.remove(path)
        if is_forgotten:
            raise ConfigError(
                f"The storage of the lake {self.url} overwrites a file that it was told to create: "
                "of two ingests at once it would lose one.",
                next_step="set BIST_LAKE_URL to a folder, or to a server that honours If-None-Match",
            )

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        with suppress(FileNotFoundError):
            self._fs.rm_file(self._path(path))

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Name what goes wrong inside as a lake that cannot be read."""
        try:
            yield
        except (*self._failures, pa.ArrowException, ValueError) as error:
            raise LakeUnavailableError(
                f"The lake {self.url} cannot be read: {error}.", next_step="check BIST_LAKE_URL, then retry"
            ) from error

    @contextmanager
    def writing(self, dataset: str) -> Iterator[None]:
        """Name what goes wrong inside as a lake that cannot be written."""
        try:
            yield
        except self._failures as error:
            raise LakeUnavailableError(
                f"The lake {self.url} cannot be written ({dataset}): {error}.",
                consequence="The data set stays as it was; nothing was published.",
                next_step="free space or correct BIST_LAKE_URL, then repeat the command",
            ) from error

    def _create(self, path: str, content: bytes) -> None:
        self._fs.pipe_file(self._path(path), content, mode="create")

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}"


class Folder(Storage):
    """Files in a folder: what was written is on the disk, and no crash leaves half a claim."""

    def add(self, path: str, write: Callable[[IO[bytes]], object]) -> None:
        """Write a file and flush it to the disk, its name included."""

        def write_through(file: IO[bytes]) -> None:
            write(file)
            file.flush()
            os.fsync(file.fileno())

        parent = self._parent(path)
        super().add(path, write_through)
        _flush(parent)

    def replace(self, path: str, content: bytes) -> None:
        """Write a file beside its place, then move it there."""
        draft = f"{path.partition('/')[0]}/{uuid.uuid4().hex}.draft"
        self.add(draft, lambda file: file.write(content))
        parent = self._parent(path)
        Path(self._path(draft)).replace(self._path(path))
        _flush(parent)

    def _create(self, path: str, content: bytes) -> None:
        draft = f"{path.partition('/')[0]}/{uuid.uuid4().hex}.draft"
        self.add(draft, lambda file: file.write(content))
        try:
            parent = self._parent(path)
            os.link(self._path(draft), self._path(path))
            _flush(parent)
        finally:
            self.remove(draft)

    def _parent(self, path: str) -> Path:
        parent = Path(self._path(path)).parent
        parent.mkdir(parents=True, exist_ok=True)
        return parent


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _library_errors(protocol: str | tuple[str, ...]) -> tuple[type[Exception], ...]:
    # Most drivers raise OSError only; s3fs lets through what its library says of an unreachable server.
    if "s3" not in protocol:
        return ()
    from botocore.exceptions import BotoCoreError, ClientError

    return BotoCoreError, ClientError
