"""What each table of data must look like: columns, types, units, keys.

Every edge validates what it lets in: a row that breaks a rule is quarantined with the rule's name, a table
that breaks its shape as a whole is refused. A contract is a pandera schema; its checks are named after what
is wrong with a row that fails them, and asked in the order in which they stand here.

Whether a price makes sense (positive, inside the day's range, a plausible move) is not asked here: real
feeds are full of such bars, and `market.cleaning` repairs and counts them.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from bist_pipeline.errors import ContractError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from pandera.pandas import Check, Column, DataFrameSchema

KEY = ["session", "symbol"]
PRICE_COLUMNS = ["open", "high", "low", "close", "volume"]
SECURITY_COLUMNS = ["symbol", "name", "sector"]
# Income and cash flow, summed up from the start of the calendar year.
FLOW_COLUMNS = [
    *("revenue", "gross_profit", "operating_profit", "net_income"),
    *("operating_cash_flow", "free_cash_flow"),
]
# What the company owned and owed when the period ended.
BALANCE_COLUMNS = [
    *("total_assets", "equity", "current_assets", "current_liabilities", "long_term_liabilities"),
    *("cash", "short_term_debt", "long_term_debt"),
]
FORECAST_COLUMNS = ["score", "expected_excess_return", "lower", "upper"]
UNKNOWN_SECTOR = "unknown"

# The snapshot of the source of that name: all shares on one date, columns in its own words, 3.2 for 3.2 %.
SNAPSHOT_TARGET = "3 Ay Degisim (%)"
SNAPSHOT_TEXTS = ["Adi", "Sektor", "Alt Grup", "Aciklama", "Son Temettu Tarihi"]
SNAPSHOT_NUMBERS = [
    *("Beta", "FiyatKazanc Orani", "PDDD Orani", "FiyatSatis Orani", "Kar Marji (%)", "Dolasimdaki Lot"),
    *("Toplam Gelir", "Net Kar", "Son Kapanis Fiyati", "52 Hafta En Yuksek", "52 Hafta En Dusuk"),
    *("Ortalama Hacim (10 gun)", "Temettu Verimi (%)", "Piyasa Degeri", "Son Fiyat", "1 Ay Degisim (%)"),
    *(SNAPSHOT_TARGET, "6 Ay Degisim (%)", "1 Yil Degisim (%)", "3 Yil Degisim (%)", "5 Yil Degisim (%)"),
    "Volatilite",
]

# What a prediction is of: the time after its session, or the time before it, which the data already hold.
Kind = Literal["forecast", "contemporaneous"]

# Bare symbols: what the exchange prints, without a vendor's suffix.
SYMBOL_PATTERN = re.compile(r"[A-Z0-9]{1,12}")
# No share and no turnover of the exchange comes near these; a larger number is another unit or damage.
MAX_PRICE_TRY = 1e7
MAX_VOLUME_SHARES = 1e13


def kind_of(source: str) -> Kind:
    """Say what predictions made from a source are.

    A snapshot has one date: all that a model can learn from it is what the other columns of that date say
    about the three months before, and that is no forecast.

    >>> kind_of("snapshot"), kind_of("files")
    ('contemporaneous', 'forecast')
    """
    return "contemporaneous" if source == "snapshot" else "forecast"


def price_contract(sessions: NDArray[np.datetime64]) -> DataFrameSchema:
    """Build the contract of daily prices: key `session, symbol`, TRY and shares.

    Non-positive prices and crossed bars keep it, and so does a feed that knows closes only.

    Parameters
    ----------
    sessions : array of datetime64[D], shape (n_sessions,)
        Trading dates in order, up to the newest whose prices are final.
    """
    import numpy as np
    import pandas as pd
    import pandera.pandas as pa

    traded = pd.DatetimeIndex(sessions).as_unit("ns")
    session = [
        _rule("session_missing", lambda days: days.notna()),
        _rule("in_the_future", lambda days: ~(days > traded[-1])),
        _rule("not_a_session", lambda days: days.isin(traded)),
    ]
    price = [
        _rule("price_not_finite", lambda prices: ~np.isinf(prices)),
        _rule("price_absurd", lambda prices: ~(prices.abs() > MAX_PRICE_TRY)),
    ]
    # A missing volume is allowed, and compares false.
    volume = _rule("volume_absurd", lambda shares: ~((shares < 0) | (shares > MAX_VOLUME_SHARES)))
    return pa.DataFrameSchema(
        {
            "session": _column("datetime64[ns]", *session),
            "symbol": _column("object", _rule("symbol_malformed", _is_symbol)),
            "open": _column("float64", *price),
            "high": _column("float64", *price),
            "low": _column("float64", *price),
            "close": _column("float64", _rule("close_missing", lambda prices: prices.notna()), *price),
            "volume": _column("float64", volume),
        },
        name="prices",
        unique=KEY,
        strict=True,
    )


def security_contract() -> DataFrameSchema:
    """Build the contract of securities: key `symbol`; a sector nobody knows is `UNKNOWN_SECTOR`."""
    import pandera.pandas as pa

    return pa.DataFrameSchema(
        {
            "symbol": _column("object", _rule("symbol_malformed", _is_symbol)),
            "name": _column("object", _rule("name_missing", _is_text)),
            "sector": _column("object", _rule("sector_missing", _is_text)),
        },
        name="securities",
        unique=["symbol"],
        strict=True,
    )


def fundamental_contract(until: dt.date) -> DataFrameSchema:
    """Build the contract of fundamentals: key `symbol, period_end, announced_at`; a restatement is a new row.

    All money of a table is in one currency, whichever: only ratios are made of it, so that a figure never
    meets a price in TRY. `announced_at` (Istanbul time) may be missing here; `market.point_in_time` settles
    that. Periods are quarters of the calendar year: what a sum of another financial year covers is unknown.

    Parameters
    ----------
    until : date
        No reported period may end later.
    """
    import numpy as np
    import pandas as pd
    import pandera.pandas as pa

    period = [
        _rule("period_end_missing", lambda days: days.notna()),
        _rule("period_in_the_future", lambda days: ~(days > pd.Timestamp(until))),
        _rule("not_a_calendar_quarter", lambda days: days.dt.is_quarter_end & (days == days.dt.normalize())),
    ]
    figure = _rule("figure_not_finite", lambda figures: ~np.isinf(figures))
    return pa.DataFrameSchema(
        {
            "symbol": _column("object", _rule("symbol_malformed", _is_symbol)),
            "period_end": _column("datetime64[ns]", *period),
            "announced_at": _column("datetime64[ns]"),
            **{name: _column("float64", figure) for name in (*FLOW_COLUMNS, *BALANCE_COLUMNS)},
        },
        name="fundamentals",
        unique=["symbol", "period_end", "announced_at"],
        strict=True,
    )


def snapshot_contract() -> DataFrameSchema:
    """Build the contract of a snapshot: key `symbol`; every cell may be missing, and a number infinite."""
    import pandera.pandas as pa

    return pa.DataFrameSchema(
        {
            "symbol": _column("object", _rule("symbol_malformed", _is_symbol)),
            **{name: _column("object") for name in SNAPSHOT_TEXTS},
            **{name: _column("float64") for name in SNAPSHOT_NUMBERS},
        },
        name="the snapshot",
        unique=["symbol"],
        strict=True,
    )


def prediction_contract() -> DataFrameSchema:
    """Build the contract of one session's predictions: key `symbol`; excess returns are fractions."""
    import numpy as np
    import pandera.pandas as pa

    finite = _rule("not_finite", lambda values: np.isfinite(values))
    return pa.DataFrameSchema(
        {
            "symbol": _column("object", _rule("symbol_malformed", _is_symbol)),
            "rank": _column("int64", _rule("rank_below_one", lambda ranks: ranks >= 1)),
            "percentile": _column("float64", _rule("not_a_percentile", lambda shares: shares.between(0, 1))),
            **{name: _column("float64", finite) for name in FORECAST_COLUMNS},
            "tradable": _column("bool"),
        },
        checks=_rule(
            "outside_its_interval",
            lambda batch: batch["expected_excess_return"].between(batch["lower"], batch["upper"]),
        ),
        name="predictions",
        unique=["symbol"],
        strict=True,
    )


def feature_contract(raw: Sequence[str], ranks: Sequence[str]) -> DataFrameSchema:
    """Build the contract of features: key `session, symbol`; every cell of a feature may be missing.

    Parameters
    ----------
    raw : sequence of str
        Columns of raw features, finite where known.
    ranks : sequence of str
        Columns of their ranks among the shares of the session, above 0 and below 1 where known.
    """
    import numpy as np
    import pandera.pandas as pa

    finite = _rule("not_finite", lambda values: ~np.isinf(values))
    inside = _rule("not_between_0_and_1", lambda places: ~((places <= 0) | (places >= 1)))
    return pa.DataFrameSchema(
        {
            "session": _column("datetime64[ns]", _rule("session_missing", lambda days: days.notna())),
            "symbol": _column("object", _rule("symbol_malformed", _is_symbol)),
            "tradable": _column("bool"),
            **{name: _column("float32", finite) for name in raw},
            **{name: _column("float32", inside) for name in ranks},
        },
        name="features",
        unique=KEY,
        strict=True,
    )


def quarantine(frame: pd.DataFrame, contract: DataFrameSchema) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Separate the rows that keep a contract from those that break it.

    Parameters
    ----------
    frame : DataFrame, shape (n_rows, n_columns)
        Exactly the contract's columns, with its types.
    contract : DataFrameSchema
        From one of the functions above; `unique` names its key.

    Returns
    -------
    good, bad : DataFrame
        In order of the key; `bad` with the first broken rule in the further column `rule`. Of rows that are
        equal in everything one is good, because there is nothing to choose (`repeated_row`); of rows that
        contradict each other about the same key none is (`duplicate_key`).

    Raises
    ------
    ContractError
        If a column is missing, unknown or of another type.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"symbol": ["KARAQ", "karaq.is"], "name": "Kara", "sector": "Energy"})
    >>> good, bad = quarantine(rows, security_contract())
    >>> good["symbol"].tolist(), bad[["symbol", "rule"]].values.tolist()
    (['KARAQ'], [['karaq.is', 'symbol_malformed']])
    """
    import numpy as np

    _require_shape(frame, contract)
    names, broken = [""], np.zeros(len(frame), dtype=np.int8)
    for concerned, rule in _rules(frame, contract):
        fails = ~rule(concerned).check_output.to_numpy()
        if fails.any():
            names.append(str(rule.name))
            broken[fails & (broken == 0)] = len(names) - 1
    place = _place_by_key(frame, contract.unique)
    is_copy, contradicts = _compare_keys(frame, place, np.flatnonzero(broken == 0))
    broken[is_copy], broken[contradicts] = len(names), len(names) + 1
    names += ["repeated_row", "duplicate_key"]

    order = np.argsort(place, kind="stable")
    kept, refused = (order[(broken[order] == 0) == wanted] for wanted in (True, False))
    bad = frame.take(refused).assign(rule=np.array(names, dtype=object)[broken[refused]])
    return frame.take(kept).reset_index(drop=True), bad.reset_index(drop=True)


def require(frame: pd.DataFrame, contract: DataFrameSchema, *, next_step: str = "") -> None:
    """Refuse a table of which any row breaks its contract: for what we compute, where no row may be wrong.

    Raises
    ------
    ContractError
        If a column is missing, unknown or of another type, a key occurs twice, or a rule is broken. Every
        broken rule is named with its column; `next_step` is what the error recommends.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> row = {"session": pd.Timestamp("2024-06-28"), "symbol": "THYAO", "tradable": True}
    >>> table = pd.DataFrame([row]).assign(mom_21=np.float32(np.inf), mom_21_rank=np.float32(0.5))
    >>> require(table, feature_contract(["mom_21"], ["mom_21_rank"]))
    Traceback (most recent call last):
    bist_pipeline.errors.ContractError: 1 rule of the contract of features is broken. \
Concerned: mom_21 not_finite in 1 row. Nothing was written.
    """
    _require_shape(frame, contract)
    faults = [
        f"{concerned.name if concerned.ndim == 1 else 'row'} {rule.name} in {_count(fails, 'row')}"
        for concerned, rule in _rules(frame, contract)
        if (fails := int((~rule(concerned).check_output).sum()))
    ]
    if twice := int(_is_shared(_place_by_key(frame, contract.unique)).sum()):
        faults.append(f"{', '.join(contract.unique)} not_unique in {_count(twice, 'row')}")
    if faults:
        raise ContractError(
            f"{_count(len(faults), 'rule')} of the contract of {contract.name} "
            f"{'are' if len(faults) > 1 else 'is'} broken.",
            which=faults,
            consequence="Nothing was written.",
            next_step=next_step,
        )


def _count(number: int, things: str) -> str:
    return f"{number:,} {things}{'s' if number > 1 else ''}"


def _column(kind: str, *rules: Check) -> Column:
    import pandera.pandas as pa

    return pa.Column(kind, list(rules), nullable=True)


def _rule(broken: str, keeps: Callable[[Any], pd.Series]) -> Check:
    import pandera.pandas as pa

    return pa.Check(keeps, name=broken, ignore_na=False)


def _rules(
    frame: pd.DataFrame, contract: DataFrameSchema
) -> Iterator[tuple[pd.Series | pd.DataFrame, Check]]:
    for name, column in contract.columns.items():
        yield from ((frame[name], rule) for rule in column.checks)
    yield from ((frame, rule) for rule in contract.checks)


def _is_symbol(symbols: pd.Series) -> pd.Series:
    # A market has hundreds of symbols and millions of rows: each symbol is looked at once.
    known = [text for text in symbols.unique() if isinstance(text, str) and SYMBOL_PATTERN.fullmatch(text)]
    return symbols.isin(known)


def _is_text(values: pd.Series) -> pd.Series:
    return values.notna() & (values != "")


def _place_by_key(frame: pd.DataFrame, key: list[str]) -> NDArray[np.int64]:
    """Number the rows by their key in sorted order; equal keys have equal numbers."""
    import numpy as np
    import pandas as pd

    place = np.zeros(len(frame), dtype=np.int64)
    for name in key:
        code, values = pd.factorize(frame[name], sort=True)
        place = place * (len(values) + 1) + code  # -1, for a missing value, comes first
    return place


def _compare_keys(
    frame: pd.DataFrame, place: NDArray[np.int64], kept: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find, among the rows `kept`, copies of an earlier one and those that contradict each other."""
    shared = kept[_is_shared(place[kept])]
    copy = frame.take(shared).duplicated().to_numpy()
    distinct = shared[~copy]
    return shared[copy], distinct[_is_shared(place[distinct])]


def _is_shared(values: NDArray[np.int64]) -> NDArray[np.bool_]:
    import pandas as pd

    return pd.Series(values).duplicated(keep=False).to_numpy()


def _require_shape(frame: pd.DataFrame, contract: DataFrameSchema) -> None:
    kinds = {name: str(column.dtype) for name, column in contract.columns.items()}
    faults = [f"{name} is missing" for name in kinds if name not in frame]
    faults += [f"{name} is unknown" for name in frame if name not in kinds]
    faults += [
        f"{name} is {frame[name].dtype}, not {kind}"
        for name, kind in kinds.items()
        if name in frame and str(frame[name].dtype) != kind
    ]
    if faults:
        raise ContractError(
            f"The table of {contract.name} breaks its contract.",
            which=faults,
            next_step=f"deliver the columns {', '.join(kinds)}",
        )
