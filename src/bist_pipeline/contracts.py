"""What each table of data must look like: columns, types, units, keys.

Every edge validates what it lets in: a row that breaks a rule is quarantined with the rule's name, a table
that breaks its shape as a whole is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bist_pipeline.errors import ContractError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

KEY = ["session", "symbol"]
PRICE_COLUMNS = ["open", "high", "low", "close", "volume"]
SECURITY_COLUMNS = ["symbol", "name", "sector"]
FORECAST_COLUMNS = ["score", "expected_excess_return", "lower", "upper"]
UNKNOWN_SECTOR = "unknown"

# Bare symbols: what the exchange prints, without a vendor's suffix.
SYMBOL_PATTERN = r"[A-Z0-9]{1,12}"
# No share and no turnover of the exchange comes near these; a larger number is another unit or damage.
MAX_PRICE_TRY = 1e7
MAX_VOLUME_SHARES = 1e13


def quarantine_prices(
    frame: pd.DataFrame, sessions: NDArray[np.datetime64]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Separate the rows that keep the price contract from those that break it.

    Parameters
    ----------
    frame : DataFrame
        `session` (datetime64[ns], midnight), `symbol` (str), `open high low close volume` (float64; TRY and
        shares).
    sessions : array of datetime64[D]
        Trading dates in order, up to the newest whose prices are final.

    Returns
    -------
    good, bad : DataFrame
        `good` in order of session and symbol; `bad` with the first broken rule in the column `rule`.
        Non-positive prices and crossed bars are good here: cleaning repairs and counts them. Of rows that are
        equal in everything one is good, because there is nothing to choose; of rows that contradict each
        other about the same session and symbol none is.

    Raises
    ------
    ContractError
        If a column is missing or has the wrong type.
    """
    import numpy as np
    import pandas as pd

    _require_types(frame)
    prices = frame[PRICE_COLUMNS[:-1]].to_numpy()
    volume = frame["volume"].to_numpy()
    day = frame["session"].to_numpy().astype("datetime64[D]")
    # A market has hundreds of symbols and millions of rows: each symbol is looked at once.
    code, symbols = pd.factorize(frame["symbol"], sort=True)
    is_symbol = pd.Series(symbols, dtype=object).astype(str).str.fullmatch(SYMBOL_PATTERN)
    broken = {
        "session_missing": np.isnat(day),
        "symbol_malformed": ~np.append(is_symbol, [False]).astype(bool)[code],
        "in_the_future": day > sessions[-1],
        "not_a_session": ~np.isin(day, sessions) | (day != frame["session"].to_numpy()),
        "close_missing": np.isnan(frame["close"].to_numpy()),
        "price_not_finite": np.isinf(prices).any(axis=1),
        "price_absurd": (np.abs(prices) > MAX_PRICE_TRY).any(axis=1),
        "volume_absurd": np.isinf(volume) | (volume < 0) | (volume > MAX_VOLUME_SHARES),
    }
    broken |= _find_repeated(frame, day.astype(np.int64) * (len(symbols) + 1) + code)
    rule = np.select(list(broken.values()), list(broken), default="")
    order = np.lexsort((code, day))
    ordered = frame.iloc[order].assign(rule=rule[order])
    is_good = ordered["rule"] == ""
    good = ordered[is_good].drop(columns="rule")
    return good.reset_index(drop=True), ordered[~is_good].reset_index(drop=True)


def _find_repeated(frame: pd.DataFrame, keys: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    import numpy as np

    is_copy = np.zeros(len(keys), dtype=bool)
    repeated = _is_repeated(keys)
    is_copy[repeated] = frame[repeated].duplicated()
    contradicts = np.zeros(len(keys), dtype=bool)
    contradicts[~is_copy] = _is_repeated(keys[~is_copy])
    return {"repeated_row": is_copy, "duplicate_key": contradicts}


def _is_repeated(keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    import numpy as np

    _, position, count = np.unique(keys, return_inverse=True, return_counts=True)
    return np.asarray(count[position] > 1)


def _require_types(frame: pd.DataFrame) -> None:
    missing = [name for name in (*KEY, *PRICE_COLUMNS) if name not in frame.columns]
    if missing:
        raise ContractError(
            f"A price table needs 7 columns; {len(missing)} are missing.",
            which=missing,
            next_step="see the price contract in contracts.py",
        )
    expected = {"session": "datetime64[ns]", **dict.fromkeys(PRICE_COLUMNS, "float64")}
    wrong = [f"{name} is {frame[name].dtype}" for name, kind in expected.items() if frame[name].dtype != kind]
    if wrong:
        raise ContractError(f"{len(wrong)} of 7 price columns have the wrong type.", which=wrong)
