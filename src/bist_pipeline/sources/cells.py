"""What the cells of a user's table mean: symbols, dates and numbers as people and programs write them.

Text that is no number refuses its file: the other numbers may be misread too. An unreadable date says nothing
about other rows: it becomes a missing one, and the contract sets its row aside.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bist_pipeline.calendar import ISTANBUL
from bist_pipeline.errors import SourceContentError
from bist_pipeline.sources.tables import RawTable

SYMBOL_NAMES = ("symbol", "ticker", "sembol", "hisse")
SUFFIX = ".IS"

_NUMBER = r"^[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|inf|infinity|nan)$"
# As Turkish Excel writes: 1.234.567,89. A point that does not group three digits is no such number.
_COMMA_NUMBER = r"^[+-]?((\d+|\d{1,3}(\.\d{3})+)(,\d*)?([eE][+-]?\d+)?|inf|infinity|nan)$"
_NUMERIC = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
_TURKISH_DATE = re.compile(r"(\d\d?)\.(\d\d)\.(\d{4})", re.ASCII)
# fromisoformat alone would take 2024-W26 too.
_DATE = re.compile(r"\d{4}-\d\d-\d\d([ T].+)?|\d{8}", re.ASCII)
# Those that 64 bits can count in nanoseconds.
_YEARS = range(1678, 2262)
# No bar is stamped in the last hours of a day: that is midnight in Istanbul under another offset.
_LAST_HOUR = 22


def find_column(raw: RawTable, names: tuple[str, ...]) -> pa.Array:
    """Return the one column that has one of the names.

    Raises
    ------
    SourceContentError
        If there is none, or more than one.
    """
    found = [name for name in names if name in raw.columns]
    if len(found) == 1:
        return raw.columns[found[0]]
    problem = f"has the columns {' and '.join(found)}" if found else f"has no column {' or '.join(names[:2])}"
    raise SourceContentError(
        f"{raw.name} {problem}; its columns: {', '.join(raw.header[:8])}.",
        next_step=f"name one column {names[0]}",
    )


def read_symbol(value: object) -> str:
    """Return the bare symbol.

    >>> read_symbol(" thyao.is ")
    'THYAO'
    """
    text = str(value).strip()
    # Outside ASCII, capitals may be other letters ("ß" makes "SS"): the contract refuses the text as it is.
    return text.upper().removesuffix(SUFFIX) if text.isascii() else text


def translate(raw: RawTable, column: pa.Array, read: Callable[[Any], object], kind: str) -> NDArray[Any]:
    """Read a column by reading each distinct value once: millions of rows hold a few thousand dates.

    Parameters
    ----------
    raw : RawTable
        Where the column is from, for messages.
    column : pyarrow.Array, shape (n_rows,)
    read : callable
        What to make of a value; a `ValueError` refuses the whole column.
    kind : str
        NumPy's name for the type of the answer.

    Returns
    -------
    array, shape (n_rows,)
        None or NaT where the cell is empty.

    Raises
    ------
    SourceContentError
        If the column holds what cannot be read.
    """
    try:
        coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        values = [read(value) for value in coded.dictionary.to_pylist()]
    except (pa.ArrowException, LookupError, OverflowError, ValueError) as error:
        raise SourceContentError(
            f"{raw.name} holds {column.type} where dates and symbols should be: {error}.",
            next_step="write dates as YYYY-MM-DD and symbols as text",
        ) from error
    positions = coded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
    return np.asarray(np.array([*values, None], dtype=kind)[positions])


@lru_cache(maxsize=2**16)  # a folder has the same dates in every file
def read_day(value: object) -> dt.date | None:
    """Date in Istanbul; None for what is no date, or does not say which.

    A time without a zone may be that of any: 21:00 UTC is midnight in Istanbul, the start of the next date.

    >>> [str(read_day(text)) for text in ("2024-06-28", "20240628", "28.06.2024", "2024-06-27T21:00:00Z")]
    ['2024-06-28', '2024-06-28', '2024-06-28', '2024-06-28']
    >>> [str(read_day(text)) for text in ("2024-06-27 21:00:00", "6/28/24", "45471")]
    ['None', 'None', 'None']
    """
    try:
        moment = read_moment(value)
        if moment is None or moment.year not in _YEARS:
            return None
        if moment.tzinfo is None:
            return moment.date() if moment.time() == dt.time.min else None
        local = moment.astimezone(ISTANBUL)
    except (OverflowError, ValueError):
        return None
    return local.date() if local.hour < _LAST_HOUR else None


def read_moment(value: object) -> dt.datetime | None:
    """Date and time as written, with its zone if there is one; None for what is neither ISO 8601 nor Turkish.

    >>> str(read_moment("1.06.2024 18:10")), read_moment("June 2024")
    ('2024-06-01 18:10:00', None)
    """
    if isinstance(value, dt.datetime):
        return value
    text = _TURKISH_DATE.sub(lambda date: f"{date[3]}-{date[2]}-{date[1]:0>2}", str(value).strip())
    return dt.datetime.fromisoformat(text) if _DATE.fullmatch(text) else None


def read_numbers(raw: RawTable, names: list[str]) -> dict[str, NDArray[np.float64]]:
    """Read columns of numbers, NaN where a cell is empty.

    Raises
    ------
    SourceContentError
        If a cell holds anything else.
    """
    # Behind `,` a comma inside a number is a thousands separator or damage: not for us to guess.
    has_comma = raw.delimiter in (";", "\t") and any(
        pc.any(pc.match_substring(raw.columns[name], ",")).as_py() for name in names
    )
    return {
        name: _to_float(raw, name, raw.columns[name], has_comma=has_comma).to_numpy(zero_copy_only=False)
        for name in names
    }


def _to_float(raw: RawTable, name: str, column: pa.Array, *, has_comma: bool) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _to_float(raw, name, column.dictionary, has_comma=has_comma).take(column.indices)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _parse_numbers(raw, name, pc.utf8_trim_whitespace(column), has_comma=has_comma)
    if any(is_kind(kind) for is_kind in _NUMERIC):
        return column.cast(pa.float64(), safe=False)
    raise SourceContentError(
        f"{raw.name}: the column {name} holds {kind}.", next_step=f"write numbers into {name}"
    )


def _parse_numbers(raw: RawTable, name: str, text: pa.Array, *, has_comma: bool) -> pa.Array:
    text = pc.if_else(pc.equal(text, ""), None, text)
    is_number = pc.match_substring_regex(text, _COMMA_NUMBER if has_comma else _NUMBER, ignore_case=True)
    odd = pc.filter(text, pc.invert(is_number)).unique().to_pylist()
    if odd:
        raise SourceContentError(
            f"{raw.name}: the column {name} holds {len(odd):,} different values that are no numbers.",
            which=[repr(value[:20]) for value in odd],
            next_step="correct the file; decimal commas need ';' between the fields",
        )
    if has_comma:
        text = pc.replace_substring(pc.replace_substring(text, ".", ""), ",", ".")
    return pc.utf8_ltrim(text, "+").cast(pa.float64())
