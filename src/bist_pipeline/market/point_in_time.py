"""When a reported figure became known, and the one join by which it reaches a panel.

Vendors keep one row a reporting period and overwrite it when a company publishes the period again. From
the year 2022 on Turkish companies do that every year: under IAS 29 last year's figures are published a
second time, in the purchasing power of the new report. Such a row carries the announcement time of the
first publication and the figures of the second, a year later. It knows the future, and is not used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.contracts import BALANCE_COLUMNS, FLOW_COLUMNS
from bist_pipeline.errors import LookAheadError
from bist_pipeline.market.cleaning import RuleCount
from bist_pipeline.market.panel import Sessions

# Longer than companies may take: of 1,502 known delays (111 shares, 2020-2024) one was longer, by three days.
ASSUMED_DELAY = pd.Timedelta(days=90)
# The first year whose statements were published again under IAS 29, with those of 2023 (decision of the
# Public Oversight Authority, KGK, of 23 November 2023).
FIRST_RESTATED = pd.Timestamp("2022-12-31")
DECEMBER = 12


@dataclass(frozen=True)
class Settled:
    """Figures that all have a time from which they were known.

    Parameters
    ----------
    facts : DataFrame
        As given, without the refused rows, with `announced_at` complete and the column
        `announcement_assumed` (bool).
    rules : tuple of RuleCount
        In the order applied; rules that never applied are there with count 0.
    """

    facts: pd.DataFrame
    rules: tuple[RuleCount, ...]


def settle_announcements(facts: pd.DataFrame) -> Settled:
    """Give every figure the time it became known, and refuse those whose time cannot be right.

    In this order: rows announced before their period was over are refused; a missing announcement is
    assumed 90 days after the period; annual rows of 2022 and later are refused; the income and cash flow
    figures of later periods are emptied (balance sheets within a year are published once); a balance sheet
    without assets is emptied. The two rules on figures that were published twice leave out the symbols
    whose restatements are rows of their own: there every row is what was announced at its time.

    Parameters
    ----------
    facts : DataFrame
        Rows that keep `fundamental_contract`.

    Returns
    -------
    Settled
    """
    period = facts["period_end"]
    too_early = facts["announced_at"] < period + pd.Timedelta(days=1)
    assumed = facts["announced_at"].isna()
    kept_twice = facts["symbol"].isin(_with_restatements(facts[~too_early]))
    overwritten = ~too_early & ~kept_twice & (period >= FIRST_RESTATED)
    annual = overwritten & (period.dt.month == DECEMBER)
    refused = too_early | annual
    flows = overwritten & ~annual & facts[FLOW_COLUMNS].notna().any(axis=1)
    no_balance = ~refused & (facts["total_assets"] <= 0)

    kept = facts.assign(
        announced_at=facts["announced_at"].fillna(period + ASSUMED_DELAY), announcement_assumed=assumed
    )
    kept.loc[flows, FLOW_COLUMNS] = np.nan
    kept.loc[no_balance, BALANCE_COLUMNS] = np.nan
    applied = {
        "announced_before_period_end": too_early,
        "announcement_assumed": assumed & ~refused,
        "restated_annual": annual,
        "restated_flows": flows,
        "empty_balance_sheet": no_balance,
    }
    rules = tuple(_count(rule, facts.loc[mask, "symbol"]) for rule, mask in applied.items())
    return Settled(kept[~refused].reset_index(drop=True), rules)


def first_usable(announced_at: pd.Series, sessions: Sessions) -> pd.Series:
    """First session that may use a figure: the first one after the day it was announced.

    Parameters
    ----------
    announced_at : Series of datetime64
        Istanbul time, none missing.
    sessions : array of datetime64[D], shape (n_sessions,)
        Trading dates in order.

    Returns
    -------
    Series of datetime64[ns]
        Indexed like `announced_at`; NaT where no session follows.

    Raises
    ------
    LookAheadError
        If an announcement is missing.

    Examples
    --------
    >>> friday_and_monday = np.array(["2024-06-28", "2024-07-01"], dtype="datetime64[D]")
    >>> evening = pd.Series(pd.to_datetime(["2024-06-27 22:15", "2024-06-28 09:00", "2024-06-29 11:00"]))
    >>> first_usable(evening, friday_and_monday).dt.strftime("%d.%m.").tolist()
    ['28.06.', '01.07.', '01.07.']
    """
    _require_announced(announced_at)
    after = np.searchsorted(sessions, _days(announced_at), side="right")
    following = np.append(sessions, np.datetime64("NaT")).astype("datetime64[ns]")
    return pd.Series(following[after], index=announced_at.index)


def attach_as_of(panel: pd.DataFrame, facts: pd.DataFrame, *, value: str) -> pd.Series:
    """Newest figure that was already public at each row's session.

    A figure is public from the session after the day of its announcement, whatever the hour: the row of a
    session never depends on what was announced on that same day.

    Parameters
    ----------
    panel : DataFrame, shape (n_rows, >= 2)
        Needs `session` (midnight) and `symbol`, in any order.
    facts : DataFrame, shape (n_facts, >= 3)
        Needs `symbol`, `announced_at` (Istanbul time) and the column `value`; restatements are extra rows.
    value : str
        Column to carry over, unit unchanged.

    Returns
    -------
    Series, shape (n_rows,)
        Indexed like `panel`; NaN where nothing was public yet.

    Raises
    ------
    LookAheadError
        If any `announced_at` is missing: a figure of unknown age is refused, never assumed old.

    Examples
    --------
    >>> facts = pd.DataFrame({"symbol": "THYAO", "announced_at": pd.to_datetime(["2024-05-06 18:30"]),
    ...                       "roe_4q": 0.4})
    >>> panel = pd.DataFrame({"session": pd.to_datetime(["2024-05-06", "2024-05-07"]), "symbol": "THYAO"})
    >>> attach_as_of(panel, facts, value="roe_4q").tolist()
    [nan, 0.4]
    """
    _require_announced(facts["announced_at"])
    known = facts.sort_values("announced_at", kind="stable")
    announced = {"day": _days(known["announced_at"]), "symbol": known["symbol"], "value": known[value]}
    day = _days(panel["session"])
    order = np.argsort(day, kind="stable")
    rows = pd.DataFrame({"day": day[order], "symbol": panel["symbol"].to_numpy()[order]})
    joined = pd.merge_asof(rows, pd.DataFrame(announced), on="day", by="symbol", allow_exact_matches=False)
    return pd.Series(joined["value"].to_numpy()[np.argsort(order)], index=panel.index, name=value)


def _require_announced(announced_at: pd.Series) -> None:
    missing = int(announced_at.isna().sum())
    if missing:
        raise LookAheadError(
            f"{missing} of {len(announced_at)} figures have no announcement time.",
            consequence="None of them is used: a figure of unknown age may be from the future.",
            next_step="bist ingest",
        )


def _days(moments: pd.Series) -> NDArray[np.datetime64]:
    return moments.to_numpy().astype("datetime64[D]").astype("datetime64[ns]")


def _with_restatements(facts: pd.DataFrame) -> NDArray[np.object_]:
    dated = facts[facts["announced_at"].notna() & (facts["period_end"] >= FIRST_RESTATED)]
    twice = dated.duplicated(["symbol", "period_end"])
    symbols: NDArray[np.object_] = dated.loc[twice, "symbol"].unique()
    return symbols


def _count(rule: str, symbols: pd.Series) -> RuleCount:
    return RuleCount(rule, len(symbols), tuple(symbols.value_counts().index))
