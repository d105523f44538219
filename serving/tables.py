"""Answers as CSV: a header line, one line for each row, UTF-8.

Text that a spreadsheet would compute, because it begins with `=`, `+`, `-`, `@`, a tab or a line break, has
an apostrophe before it, which spreadsheets take as "this is text" (OWASP, "CSV Injection"). Numbers are
numbers, negative ones too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def encode_header(names: Sequence[str]) -> bytes:
    """Encode the first line."""
    return _encode(names)


def encode_row(row: BaseModel, *, lead: Mapping[str, Any], without: str = "") -> bytes:
    """Encode one line: the fields of `lead` and those of `row`, except the one that is no single value."""
    fields = row.model_dump(mode="json", exclude={without})
    return _encode([*lead.values(), *fields.values()])


def encode_table(
    kind: type[BaseModel], rows: Iterable[BaseModel], *, lead: Mapping[str, Any], without: str = ""
) -> bytes:
    r"""Encode a whole table.

    >>> class Row(BaseModel):
    ...     symbol: str
    ...     tradable: bool
    >>> encode_table(Row, [Row(symbol="THYAO", tradable=True)], lead={"session": "2024-06-28"})
    b'session,symbol,tradable\r\n2024-06-28,THYAO,true\r\n'
    """
    names = columns_of(kind, lead=lead, without=without)
    return b"".join([encode_header(names), *(encode_row(row, lead=lead, without=without) for row in rows)])


def columns_of(kind: type[BaseModel], *, lead: Mapping[str, Any], without: str = "") -> list[str]:
    """Name the columns of a table."""
    return [*lead, *(name for name in kind.model_fields if name != without)]


def _encode(values: Iterable[Any]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(map(_as_cell, values))
    return line.getvalue().encode()


def _as_cell(value: Any) -> Any:
    match value:
        case bool():
            return str(value).lower()
        case {"en": english}:  # a text in both languages: programs read the English one
            return _as_cell(english)
        case list():
            return _as_text(" ".join(map(_as_cell, value)))
        case str():
            return _as_text(value)
        case _:
            return value


def _as_text(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
