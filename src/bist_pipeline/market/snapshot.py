"""The snapshot: all shares on one date, its cleaning rules, and what it says about the three months before.

The rules are those with which the data set's owner cleaned it, and give the same values:

1. a missing text is "N/A";
2. an infinite number is the column's largest or smallest finite one;
3. a column with more than half of its cells missing is dropped;
4. a missing number is the mean of the share's sector ("N/A" is one too), else the mean of all shares.

One thing is never made up: the target. A share whose past change is unknown teaches nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bist_pipeline.contracts import (
    SECURITY_COLUMNS,
    SNAPSHOT_NUMBERS,
    SNAPSHOT_TARGET,
    SNAPSHOT_TEXTS,
    UNKNOWN_SECTOR,
)
from bist_pipeline.market.cleaning import RuleCount

NO_TEXT = "N/A"
MAX_MISSING = 0.5

# What may be estimated from: every number but the target.
PREDICTORS = [name for name in SNAPSHOT_NUMBERS if name != SNAPSHOT_TARGET]
# Prices, and what is measured on prices or trades of a span that reaches into the target's three months.
# Ratios to the price stay out: they know where those months ended, not where they began.
WINDOW_COLUMNS = (
    *("1 Ay Degisim (%)", "6 Ay Degisim (%)", "1 Yil Degisim (%)", "3 Yil Degisim (%)", "5 Yil Degisim (%)"),
    *("52 Hafta En Yuksek", "52 Hafta En Dusuk", "Volatilite", "Beta"),
    *("Son Kapanis Fiyati", "Son Fiyat", "Ortalama Hacim (10 gun)"),
)
# A share in the lowest fifth by traded value can hardly be bought in size, as in `market.universe`.
_ILLIQUID = 0.2


@dataclass(frozen=True)
class CleanedSnapshot:
    """The shares without missing or infinite values but the target's, and what every rule did.

    `shares` lacks the columns that were dropped; the symbols of a rule about columns are their names.
    """

    shares: pd.DataFrame
    rules: tuple[RuleCount, ...]


def clean_snapshot(shares: pd.DataFrame) -> CleanedSnapshot:
    """Apply the four rules; cleaning what is clean changes nothing.

    Parameters
    ----------
    shares : DataFrame
        As `contracts.snapshot_contract` wants it.
    """
    texts, numbers = shares[SNAPSHOT_TEXTS], shares[SNAPSHOT_NUMBERS]
    sector = texts["Sektor"].fillna(NO_TEXT)
    bounded = numbers.apply(_bound)
    target = numbers[[SNAPSHOT_TARGET]].where(np.isfinite)
    others = pd.concat([texts, bounded.drop(columns=SNAPSHOT_TARGET)], axis=1)
    dropped = others.columns[others.isna().mean() > MAX_MISSING]
    kept_texts, kept_numbers = (
        part.columns.intersection(others.columns.drop(dropped)) for part in (texts, bounded)
    )
    filled = _fill(bounded[kept_numbers], sector)
    cleaned = pd.concat([shares["symbol"], texts[kept_texts].fillna(NO_TEXT), filled, target], axis=1)
    return CleanedSnapshot(
        cleaned[[name for name in shares if name in cleaned]],
        rules=(
            _count("infinite_number", shares["symbol"], numbers.abs() == np.inf),
            RuleCount("column_mostly_missing", len(dropped), tuple(dropped)),
            _count("missing_number", shares["symbol"], bounded[kept_numbers].isna()),
            _count("missing_text", shares["symbol"], texts[kept_texts].isna()),
            _count("unknown_target", shares["symbol"], target.isna()),
        ),
    )


def usable_predictors(shares: pd.DataFrame) -> list[str]:
    """Those that cleaning did not drop."""
    return [name for name in PREDICTORS if name in shares and shares[name].notna().all()]


def outside_window(columns: Iterable[str]) -> list[str]:
    """Those that do not hold the target's own three months.

    >>> outside_window(["Beta", "Kar Marji (%)", "6 Ay Degisim (%)"])
    ['Kar Marji (%)']
    """
    return [name for name in columns if name not in WINDOW_COLUMNS]


def compute_past_excess(change_pct: pd.Series) -> pd.Series:
    """Excess over the median share, as a fraction, of changes in per cent; NaN stays NaN.

    >>> compute_past_excess(pd.Series([10.0, -5.0, 0.0, np.nan])).tolist()
    [0.1, -0.05, 0.0, nan]
    """
    return (change_pct - change_pct.median()) / 100


def is_liquid(shares: pd.DataFrame) -> pd.Series:
    """Whether a share's traded value of the last ten days is known and not in the lowest fifth.

    All that a snapshot can say about tradability: it does not hold how long and how often a share traded.
    """
    price = shares["Son Fiyat"].fillna(shares["Son Kapanis Fiyati"])
    value = price * shares["Ortalama Hacim (10 gun)"]
    return value > value.quantile(_ILLIQUID)


def list_securities(shares: pd.DataFrame) -> pd.DataFrame:
    """Name and sector of every share, as `contracts.security_contract` wants them."""
    name, sector = shares["Adi"].fillna(shares["symbol"]), shares["Sektor"].fillna(UNKNOWN_SECTOR)
    return pd.DataFrame(dict(zip(SECURITY_COLUMNS, (shares["symbol"], name, sector), strict=True)))


def _bound(column: pd.Series) -> pd.Series:
    finite = column[np.isfinite(column)]
    if finite.empty:
        return column.where(np.isfinite(column))
    return column.clip(finite.min(), finite.max())


def _fill(numbers: pd.DataFrame, sector: pd.Series) -> pd.DataFrame:
    by_sector = numbers.groupby(sector).transform("mean")
    return numbers.fillna(by_sector).fillna(numbers.mean())


def _count(rule: str, symbols: pd.Series, cells: pd.DataFrame) -> RuleCount:
    per_share = cells.sum(axis=1)
    concerned = symbols[per_share > 0].iloc[np.argsort(-per_share[per_share > 0], kind="stable")]
    return RuleCount(rule, int(per_share.sum()), tuple(concerned))
