"""Data quality of a snapshot: rules that need no history, asked before any cleaning."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from bist_pipeline.contracts import SNAPSHOT_NUMBERS, SNAPSHOT_TARGET
from bist_pipeline.drift.data_quality import Finding, QualityReport
from bist_pipeline.drift.status import Status
from bist_pipeline.market.snapshot import MAX_MISSING

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
        message=f"{SNAPSHOT_TARGET} is unknown for {unknown.sum()} of {len(shares)} shares.",
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
        message=f"{len(empty)} of {len(missing)} columns are mostly missing and are dropped"
        + (f": {', '.join(empty)}." if len(empty) else "."),
    )


def _infinities(shares: pd.DataFrame) -> Finding:
    infinite = np.isinf(shares[SNAPSHOT_NUMBERS]).any(axis=1)
    return _about_shares("infinite", shares, infinite, "hold an infinite number")


def _changes(shares: pd.DataFrame) -> Finding:
    impossible = (shares[_CHANGES] < _LOWEST_CHANGE_PCT).any(axis=1)
    return _about_shares("changes", shares, impossible, "lost more than 100 % by one of their columns")


def _sectors(shares: pd.DataFrame) -> Finding:
    return _about_shares("sector", shares, shares["Sektor"].isna(), "have no sector")


def _about_shares(rule: str, shares: pd.DataFrame, concerned: pd.Series, what: str) -> Finding:
    """Single shares are worth a look; they stop nothing."""
    return Finding(
        rule,
        Status.INFO if concerned.any() else Status.OK,
        value=float(concerned.mean()),
        threshold=0.0,
        symbols=_symbols(shares, concerned),
        message=f"{concerned.sum()} of {len(shares)} shares {what}.",
    )


def _symbols(shares: pd.DataFrame, concerned: pd.Series) -> tuple[str, ...]:
    return tuple(shares.loc[concerned, "symbol"])
