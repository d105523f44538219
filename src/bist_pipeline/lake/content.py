"""The content of a table apart from any file: one hash for each session, and one hash over those."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterable, Mapping
from hashlib import blake2b

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_BYTES = 8


def content_hash(frame: pd.DataFrame) -> str:
    """Hash what a table says, whatever the order of its rows and columns: 16 hex digits.

    Equal numbers give equal hashes: every NaN is the same, and so are 0.0 and -0.0. Types count.

    Parameters
    ----------
    frame : DataFrame
        Needs `session` (datetime64) and `symbol`. Of rows that share both, the order counts.

    Examples
    --------
    >>> day = pd.Timestamp("2024-06-28")
    >>> a = pd.DataFrame({"session": day, "symbol": ["THYAO", "GARAN"], "close": [310.0, 112.5]})
    >>> content_hash(a) == content_hash(a[["close", "symbol", "session"]].iloc[::-1])
    True
    >>> content_hash(a) == content_hash(a.assign(close=[112.5, 310.0]))
    False
    """
    return combine(hash_sessions(in_order(frame)))


def combine(sessions: Mapping[str, str], *, until: dt.date | None = None) -> str:
    """Make one hash of the hashes of sessions (ISO dates), or of those up to a day."""
    last = str(until or dt.date.max)
    lines = (f"{session} {sessions[session]}\n" for session in sorted(sessions) if session <= last)
    return blake2b("".join(lines).encode(), digest_size=_BYTES).hexdigest()


def combine_until_each(sessions: Mapping[str, str], days: Iterable[str]) -> list[str]:
    """Return what `combine` makes of the sessions up to each day; the days are in order.

    >>> sessions = {"2024-06-27": "aa", "2024-06-28": "bb"}
    >>> combine_until_each(sessions, ["2024-06-28"]) == [combine(sessions)]
    True
    """
    digest, pending, hashes = blake2b(digest_size=_BYTES), deque(sorted(sessions)), []
    for day in days:
        while pending and pending[0] <= day:
            session = pending.popleft()
            digest.update(f"{session} {sessions[session]}\n".encode())
        hashes.append(digest.hexdigest())
    return hashes


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows by session, then symbol; a frame that has this order already is returned itself."""
    session = frame["session"].to_numpy()
    symbol, _ = pd.factorize(frame["symbol"].to_numpy(), sort=True)
    later, same = session[1:] > session[:-1], session[1:] == session[:-1]
    if (later | (same & (symbol[1:] >= symbol[:-1]))).all():
        return frame
    return frame.take(np.lexsort((symbol, session))).reset_index(drop=True)


def hash_sessions(frame: pd.DataFrame) -> dict[str, str]:
    """Hash each session of a frame that is in order; the keys are ISO dates."""
    if frame.empty:
        return {}
    days = frame["session"].to_numpy().astype("datetime64[D]")
    starts = np.flatnonzero(np.r_[True, days[1:] != days[:-1]])
    ends = np.append(starts[1:], len(days))
    columns = sorted(set(frame.columns) - {"session"})
    schema = repr([(name, str(frame[name].dtype)) for name in columns])
    digests = [blake2b(schema.encode(), digest_size=_BYTES) for _ in starts]
    for name in columns:
        values = _as_bytes(frame[name]).data
        for digest, start, end in zip(digests, starts, ends, strict=True):
            digest.update(values[start:end])
    return {str(day): digest.hexdigest() for day, digest in zip(days[starts], digests, strict=True)}


def _as_bytes(column: pd.Series) -> NDArray[np.uint8]:
    """The column as one row of bytes for each value, the same on every machine."""
    values = column.to_numpy()
    if values.dtype == object:
        # Each text stands for itself by its own hash, so that all have the same width; missing is zeros.
        codes, texts = pd.factorize(values)
        hashes = [blake2b(str(text).encode(), digest_size=_BYTES).digest() for text in texts]
        values = np.frombuffer(b"".join([*hashes, bytes(_BYTES)]), dtype="<u8")[codes]
    elif values.dtype.kind == "f":
        values = values + values.dtype.type(0)  # a copy, in which -0.0 became 0.0
        values[np.isnan(values)] = np.nan  # processors give NaN different signs
    return np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
