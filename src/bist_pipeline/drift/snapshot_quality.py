"""Data quality of a snapshot: rules that need no history, asked before any cleaning."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from bist_pipeline.contracts import SNAPSHOT_NUMBERS, SNAPSHOT_TARGET
from bist_pipeline.drift.findings import Finding, QualityReport
from bist_pipeline.drift.status import Status
from bist_pipeline.market.snapshot import MAX_MISSING
from bist_pipeline.wording import Wording, say

_CHANGES = [name for name in SNAPSHOT_NUMBERS if name.endswith("Degisim (%)")]
# A share cannot lose more than all of its value.
_LOWEST_CHANGE_PCT = -100.0


def check_snapshot(shares: pd.DataFrame, session: dt.date) -> QualityReport:
    """Judge a snapshot as it arrived.

    Parameters
    ----------
    shares : DataFrame
        As `contracts.snapshot_contract` wants it.
    session : date
        Its date.
    """
    return QualityReport(
        session, (_target(shares), _columns(shares), _infinities(shares), _changes(shares), _sectors(shares))
    )


def _target(shares: pd.DataFrame) -> Finding:
    unknown = shares[SNAPSHOT_TARGET].isna()
    share = float(unknown.mean())
    return Finding(
        "target",
        Status.BLOCK if share > MAX_MISSING else Status.OK,
        value=share,
        threshold=MAX_MISSING,
        symbols=_symbols(shares, unknown),
        message=say(
            "{target} is unknown for {n} of {all} shares.",
            "{target}, {all} hissenin {n} tanesinde bilinmiyor.",
            target=SNAPSHOT_TARGET,
            n=unknown.sum(),
            all=len(shares),
        ),
    )


def _columns(shares: pd.DataFrame) -> Finding:
    missing = shares.drop(columns=["symbol", SNAPSHOT_TARGET]).isna().mean()
    empty = missing.index[missing > MAX_MISSING]
    return Finding(
        "columns",
        Status.INFO if len(empty) else Status.OK,
        value=float(len(empty)),
        threshold=0.0,
        symbols=(),
        message=say(
            "{n} of {all} columns are mostly missing and are dropped{which}.",
            "{all} sütunun {n} tanesi çoğunlukla boş olduğu için kullanılmıyor{which}.",
            n=len(empty),
            all=len(missing),
            which=f": {', '.join(empty)}" if len(empty) else "",
        ),
    )


def _infinities(shares: pd.DataFrame) -> Finding:
    infinite = np.isinf(shares[SNAPSHOT_NUMBERS]).any(axis=1)
    told = Wording("hold an infinite number", "sonsuz bir sayı içeriyor")
    return _about_shares("infinite", shares, infinite, told)


def _changes(shares: pd.DataFrame) -> Finding:
    impossible = (shares[_CHANGES] < _LOWEST_CHANGE_PCT).any(axis=1)
    told = Wording(
        "lost more than 100 % by one of their columns", "bir sütununa göre %100'den fazla değer yitirmiş"
    )
    return _about_shares("changes", shares, impossible, told)


def _sectors(shares: pd.DataFrame) -> Finding:
    told = Wording("have no sector", "sektörsüz")
    return _about_shares("sector", shares, shares["Sektor"].isna(), told)


def _about_shares(rule: str, shares: pd.DataFrame, concerned: pd.Series, told: Wording) -> Finding:
    """Single shares are worth a look; they stop nothing."""
    return Finding(
        rule,
        Status.INFO if concerned.any() else Status.OK,
        value=float(concerned.mean()),
        threshold=0.0,
        symbols=_symbols(shares, concerned),
        message=say(
            "{n} of {all} shares {told}.",
            "{all} hissenin {n} tanesi {told}.",
            n=concerned.sum(),
            all=len(shares),
            told=told,
        ),
    )


def _symbols(shares: pd.DataFrame, concerned: pd.Series) -> tuple[str, ...]:
    return tuple(shares.loc[concerned, "symbol"])
