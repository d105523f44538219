"""Takes tables out of files that may be anything: Parquet or CSV, packed or not, whole or damaged.

What a file is, its first bytes say, not its name. Whatever is wrong with it ends in one `SourceError` that
names the file. Nothing that unpacks to more than `MAX_BYTES` or has more than `MAX_COLUMNS` is read.
"""

from __future__ import annotations

import csv
import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from bist_pipeline.errors import SourceContentError, SourceNotFoundError, SourceUnavailableError

# Ten years of 600 shares are 1.5 million rows: 120 MB of CSV, 90 MB as plain numbers.
MAX_BYTES = 2**29
MAX_COLUMNS = 1000
# Parquet describes every column before the first value: a million of them would take gigabytes to count.
_MAX_METADATA = 10**5
# In a folder, files of other names are someone's notes.
TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".gz", ".zip")

COMPLETE = "check that the file is complete, or fetch it again"
_BOM = b"\xef\xbb\xbf"
# What the readers raise on damaged input; anything else would be a fault of ours.
_DAMAGED = (
    pa.ArrowException,
    csv.Error,
    lzma.LZMAError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # a packing method of zip that Python lacks
    OSError,
    RuntimeError,  # a zip that needs a password
    ValueError,  # UnicodeDecodeError is one
)


@dataclass(frozen=True)
class RawTable:
    """A table as it stands in a file.

    Parameters
    ----------
    name : str
        The file, for messages; inside an archive `archive.zip/member.csv`.
    header : tuple of str
        The names of all columns, in lower case.
    columns : dict of str to pyarrow.Array
        Those asked for that are there. Every column of a CSV is text, its empty cells null.
    delimiter : str
        What separates the fields of a CSV; empty for Parquet.
    symbol : str
        The share that yfinance's second header line names; empty where there is no such line.
    is_open_ended : bool
        The last line of a CSV has no line break: nobody can tell whether it is whole.
    """

    name: str
    header: tuple[str, ...]
    columns: dict[str, pa.Array]
    delimiter: str = ""
    symbol: str = ""
    is_open_ended: bool = False

    @property
    def stem(self) -> str:
        """The file's name up to the first dot: `THYAO` of `THYAO.IS.csv.gz`."""
        return PurePath(self.name).name.split(".")[0]


def list_files(path: Path) -> list[Path]:
    """List the file, or every file of the folder that is not hidden, in order of their names.

    Raises
    ------
    SourceNotFoundError
        If the path does not exist.
    SourceUnavailableError
        If it may not be read.
    """
    try:
        path.stat()
        if not path.is_dir():
            return [path]
        return sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    except (OSError, ValueError) as error:
        raise _unavailable(path, error) from error


def read_tables(file: Path, wanted: Collection[str]) -> Iterator[RawTable]:
    """Read the table in a file, or every table in an archive, in order of their names.

    Parameters
    ----------
    file : Path
    wanted : collection of str
        Names of columns in lower case; others are not even decoded.

    Raises
    ------
    SourceUnavailableError
        If the file does not exist or may not be read.
    SourceContentError
        If there is no table in it, or one that is damaged, too large or ambiguous.
    """
    with _damage_named(str(file)):
        for name, data in _unpack(file):
            with _damage_named(name):
                yield _parse(name, data, wanted)


def _unavailable(path: Path, error: OSError | ValueError) -> SourceUnavailableError:
    is_absent = isinstance(error, FileNotFoundError | NotADirectoryError)
    kind = SourceNotFoundError if is_absent else SourceUnavailableError
    return kind(
        f"{path} cannot be opened: {getattr(error, 'strerror', None) or error}.",
        next_step="correct --source-path (or BIST_SOURCE_PATH, BIST_FUNDAMENTALS_PATH) or the file's rights",
    )


@contextmanager
def _damage_named(name: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        raise SourceContentError(
            f"{name} cannot be read as a table: {error or type(error).__name__}.",
            next_step="check that the file is complete, and Parquet or CSV in UTF-8",
        ) from error


def _unpack(file: Path) -> Iterator[tuple[str, bytes]]:
    try:
        stream = file.open("rb")
    except OSError as error:
        raise _unavailable(file, error) from error
    with stream:
        start = stream.read(4)
        stream.seek(0)
        if start == b"PK\x03\x04":
            yield from _unpack_zip(file, stream)
        elif start[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=stream) as unpacked:
                yield str(file), _read_limited(unpacked, str(file))
        else:
            yield str(file), _read_limited(stream, str(file))


def _unpack_zip(file: Path, stream: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(stream) as archive:
        # macOS adds a hidden twin to every file.
        names = [name for name in archive.namelist() if not PurePath(name).name.startswith(".")]
        members = [archive.getinfo(name) for name in sorted(names) if not name.endswith("/")]
        if not members:
            raise SourceContentError(f"The archive {file} holds no file.", next_step=COMPLETE)
        _require_size(sum(member.file_size for member in members), str(file))
        for member in members:
            # Never yields more bytes than the member's entry says, so the sum above holds.
            yield f"{file}/{member.filename}", archive.read(member)


def _read_limited(stream: IO[bytes] | gzip.GzipFile, name: str) -> bytes:
    data = stream.read(MAX_BYTES + 1)
    _require_size(len(data), name)
    return data


def _require_size(size: int, name: str) -> None:
    if size > MAX_BYTES:
        raise SourceContentError(
            f"{name} holds more than {MAX_BYTES // 2**20:,} MiB unpacked, the limit for one file.",
            next_step="split it by year into a folder of files",
        )


def _parse(name: str, data: bytes, wanted: Collection[str]) -> RawTable:
    data = data.removeprefix(_BOM).lstrip(b"\r\n")
    if not data.strip():
        raise SourceContentError(f"{name} is empty.", next_step=COMPLETE)
    read = _read_parquet if data.startswith(b"PAR1") else _read_csv
    return read(name, data, wanted)


def _read_parquet(name: str, data: bytes, wanted: Collection[str]) -> RawTable:
    opened = pa.parquet.ParquetFile(pa.BufferReader(data), thrift_container_size_limit=_MAX_METADATA)
    metadata = opened.metadata
    _require_columns(metadata.num_columns, name)
    schema = opened.schema_arrow
    names = schema.names
    header = tuple(column.strip().lower() for column in names)
    place = _locate(header, wanted, name)
    sizes = (metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    # Run lengths can make a small file of any number of rows, and texts stay coded for the same reason.
    _require_size(max(metadata.num_rows * len(place) * 8, sum(sizes)), name)
    chosen = [names[i] for i in place.values()]
    texts = [names[i] for i in place.values() if schema.types[i] in (pa.string(), pa.large_string())]
    file = pa.parquet.ParquetFile(
        pa.BufferReader(data),
        metadata=metadata,
        read_dictionary=texts,
        page_checksum_verification=True,  # where the writer left checksums; few do
    )
    table = file.read(columns=chosen)
    table.validate(full=True)  # Arrow believes what damaged pages say of texts
    return RawTable(name, header, {key: _whole(table[names[i]]) for key, i in place.items()})


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.unify_dictionaries().combine_chunks()


def _read_csv(name: str, data: bytes, wanted: Collection[str]) -> RawTable:
    header, delimiter, symbol, lines = _read_header(name, data)
    _require_columns(len(header), name)
    place = _locate(header, wanted, name)
    # Arrow is given numbers as names, because those in a file may repeat.
    keys = [str(i) for i in range(len(header))]
    chosen = [keys[i] for i in place.values()]
    table = pa.csv.read_csv(
        pa.BufferReader(data),
        pa.csv.ReadOptions(column_names=keys, skip_rows=lines),
        pa.csv.ParseOptions(delimiter=delimiter),
        pa.csv.ConvertOptions(
            include_columns=chosen,
            column_types=dict.fromkeys(chosen, pa.string()),
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    columns = {key: _whole(table[keys[i]]) for key, i in place.items()}
    return RawTable(name, header, columns, delimiter, symbol, not data.endswith((b"\n", b"\r")))


def _require_columns(count: int, name: str) -> None:
    if count > MAX_COLUMNS:
        raise SourceContentError(
            f"{name} has {count:,} columns; a table of prices has seven, and {MAX_COLUMNS:,} is the limit.",
            next_step="write one row for each share and session (long form)",
        )


def _locate(header: tuple[str, ...], wanted: Collection[str], name: str) -> dict[str, int]:
    """Position of each wanted column that is there."""
    place = {column: i for i, column in enumerate(header) if column in wanted}
    twice = [column for column in place if header.count(column) > 1]
    if twice:
        raise SourceContentError(
            f"{name} has columns of the same name.", which=twice, next_step="keep one of each"
        )
    return place


def _read_header(name: str, data: bytes) -> tuple[tuple[str, ...], str, str, int]:
    """Names of the columns, delimiter, the share if the header names one, and the header's lines.

    yfinance's files have up to three::

        Price,Close,High,Low,Open,Volume
        Ticker,THYAO.IS,THYAO.IS,THYAO.IS,THYAO.IS,THYAO.IS
        Date,,,,,
    """
    lines = io.BytesIO(data)
    first, second, third = (lines.readline().decode() for _ in range(3))
    delimiter = max(",;\t", key=first.count)
    header, tickers, dates = (_cells(line, delimiter) for line in (first, second, third))
    if not _is_ticker_line(tickers):
        return header, delimiter, "", 1
    symbols = sorted(set(tickers[1:]))
    if len(symbols) > 1:
        raise SourceContentError(
            f"{name} holds {len(symbols)} shares side by side.",
            which=[symbol.upper() for symbol in symbols],
            next_step="write one file for each share, or one row for each share and session",
        )
    return ("date", *header[1:]), delimiter, symbols[0], 3 if dates[0] == "date" else 2


def _is_ticker_line(cells: tuple[str, ...]) -> bool:
    first, *others = cells
    names_shares = bool(others) and all(cell and not cell[0].isdigit() for cell in others)
    return first in ("ticker", "") and names_shares


def _cells(line: str, delimiter: str) -> tuple[str, ...]:
    rows = list(csv.reader([line], delimiter=delimiter))
    return tuple(cell.strip().lower() for cell in rows[0]) if rows and rows[0] else ("",)
