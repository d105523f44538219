"""An invented snapshot of the shape that the user's scraper writes, with every oddity that it has."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.contracts import SNAPSHOT_NUMBERS, SNAPSHOT_TARGET, SNAPSHOT_TEXTS
from bist_pipeline.sources.base import Fetch
from bist_pipeline.sources.snapshot import SnapshotSource

SESSION = dt.date(2024, 6, 28)
SHARES = 160
SECTORS = ("Energy", "Healthcare", "Technology")
# What the invented defects concern.
INFINITE, NO_SECTOR, NO_TARGET = "S003", ("S005", "S006"), ("S007", "S008")


def small_snapshot(seed: int = 3) -> pd.DataFrame:
    """The raw table: columns and their order as in the file, one row a share."""
    rng = np.random.default_rng(seed)
    quarter, month = rng.normal(5, 20, SHARES), rng.normal(0, 8, SHARES)
    price = rng.uniform(2, 300, SHARES).round(2)
    numbers = {name: rng.lognormal(2, 1, SHARES) for name in SNAPSHOT_NUMBERS}
    numbers |= {
        "Son Kapanis Fiyati": price,
        "Son Fiyat": price,
        "Ortalama Hacim (10 gun)": rng.lognormal(14, 1, SHARES).round(),
        "1 Ay Degisim (%)": 0.4 * quarter + month,
        SNAPSHOT_TARGET: quarter,
        "6 Ay Degisim (%)": quarter + rng.normal(0, 5, SHARES),
        "3 Yil Degisim (%)": np.full(SHARES, np.nan),
    }
    symbols = [f"S{i:03d}" for i in range(SHARES)]
    texts = {
        "Adi": [f"{symbol} SANAYI" for symbol in symbols],
        "Sektor": [SECTORS[i % len(SECTORS)] for i in range(SHARES)],
        "Alt Grup": "Diversified",
        "Aciklama": [f'{symbol} sells "tea", coffee and sugar; Millî A.Ş.' for symbol in symbols],
        "Son Temettu Tarihi": None,
    }
    table = pd.DataFrame({"Hisse": [f"{symbol}.IS" for symbol in symbols], **texts, **numbers})
    table = table[["Hisse", *SNAPSHOT_TEXTS, *SNAPSHOT_NUMBERS]].set_index(pd.Index(symbols))
    table.loc[INFINITE, "FiyatKazanc Orani"] = np.inf
    table.loc[[*NO_SECTOR], "Sektor"] = None
    table.loc[[*NO_TARGET], SNAPSHOT_TARGET] = np.nan
    table.loc[table.index[10:60], "Beta"] = np.nan
    table.loc[table.index[10:100], "Temettu Verimi (%)"] = np.nan  # most of them
    return table.reset_index(drop=True)


def write_raw(path: Path, table: pd.DataFrame) -> Path:
    """Write it as the scraper does: UTF-8 without a BOM, `Infinity`, empty cells."""
    table.replace(np.inf, "Infinity").to_csv(path, index=False)
    return path


def fetch_snapshot(path: Path | str) -> Fetch:
    """Read a snapshot as the stage does."""
    return SnapshotSource(str(path), SESSION).fetch(SESSION, bist_calendar())


def write_turkish(path: Path, table: pd.DataFrame) -> Path:
    """Write it as Excel in Turkish saves it: a BOM, semicolons, decimal commas."""
    table.to_csv(path, index=False, sep=";", decimal=",", encoding="utf-8-sig")
    return path
