"""What a company's reports say about it, as ratios that need no currency.

Every ratio divides money by money of the same company's reports, so the currency cancels, and nothing is
divided by a price: prices in the lake are adjusted, which means that an old one knows the splits and
dividends that came later, and earnings over such a price would know them too.

Feeds in dollars convert income at the average rate of its period and balance sheets at the rate of its last
day. Ratios across the two (return on equity, turnover, …) then carry the quotient of the two rates, the same
for all shares that reported the same quarter, and growth is growth in dollars. Ranks are hardly touched;
levels should not be quoted.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bist_pipeline.features.feature import Feature, Inputs
from bist_pipeline.features.filings import QUARTERS, Filings, Values
from bist_pipeline.market.panel import Matrix

FAMILY = "fundamentals"

Ratio = Callable[[Filings, int, int], Values]


def _over(above: Values, below: Values) -> Values:
    """Quotient, NaN unless the denominator is positive: a share of a loss or a debt means nothing."""
    quotient: Values = above / np.where(below > 0, below, np.nan)
    return quotient


def _trailing_over(above: str, below: str) -> Ratio:
    return lambda filings, window, min_history: _over(
        filings.trailing(above, window, min_history), filings.trailing(below, window, min_history)
    )


def _trailing_on(above: str, below: str) -> Ratio:
    return lambda filings, window, min_history: _over(
        filings.trailing(above, window, min_history), filings.reported(below)
    )


def _balance(above: str, below: str) -> Ratio:
    return lambda filings, window, min_history: _over(filings.reported(above), filings.reported(below))


def _accruals(filings: Filings, window: int, min_history: int) -> Values:
    earned = filings.trailing("net_income", window, min_history)
    received = filings.trailing("operating_cash_flow", window, min_history)
    return _over(earned - received, filings.reported("total_assets"))


def _growth(name: str) -> Ratio:
    return lambda filings, window, min_history: (
        _over(filings.reported(name), filings.reported(name, back=window)) - 1
    )


def _earnings_change(filings: Filings, window: int, min_history: int) -> Values:
    change = filings.yearly_pace("net_income") - filings.yearly_pace("net_income", back=window)
    return _over(change, filings.reported("total_assets"))


def _margin_change(filings: Filings, window: int, min_history: int) -> Values:
    now, before = (
        _over(filings.reported("operating_profit", back=back), filings.reported("revenue", back=back))
        for back in (0, window)
    )
    return now - before


def _liabilities(filings: Filings, window: int, min_history: int) -> Values:
    owed = filings.reported("current_liabilities") + filings.reported("long_term_liabilities")
    return _over(owed, filings.reported("total_assets"))


def _net_debt(filings: Filings, window: int, min_history: int) -> Values:
    borrowed = filings.reported("short_term_debt") + filings.reported("long_term_debt")
    return _over(borrowed - filings.reported("cash"), filings.reported("total_assets"))


def _row(
    name: str, window: int, min_history: int, inputs: tuple[str, ...], ratio: Ratio, reason: str, source: str
) -> Feature:
    def compute(inputs: Inputs, window: int, min_history: int) -> Matrix:
        filings = inputs.shared(Filings.of)
        return filings.spread(ratio(filings, window, min_history), inputs)

    return Feature(
        name=f"{name}_{window}q",
        family=FAMILY,
        window=window,
        min_history=min_history,
        unit="fraction",
        inputs=inputs,
        reason=reason,
        source=source,
        compute=compute,
    )


# Annual reports from 2022 on may be lost to restatements, and the fourth quarter with them.
_YEAR = (QUARTERS, QUARTERS - 1)
_YEAR_ON_YEAR = (QUARTERS, QUARTERS + 1)
_NOW = (1, 1)

FEATURES: tuple[Feature, ...] = (
    _row(
        "operating_margin",
        *_YEAR,
        ("operating_profit", "revenue"),
        _trailing_over("operating_profit", "revenue"),
        "Companies that keep much of each sale can lower prices when others cannot.",
        "Soliman 2008",
    ),
    _row(
        "net_margin",
        *_YEAR,
        ("net_income", "revenue"),
        _trailing_over("net_income", "revenue"),
        "What is left after interest and tax belongs to the shareholders.",
        "Soliman 2008",
    ),
    _row(
        "roe",
        *_YEAR,
        ("net_income", "equity"),
        _trailing_on("net_income", "equity"),
        "Companies that earn much on their own money go on earning more than their price says.",
        "Hou, Xue and Zhang 2015",
    ),
    _row(
        "gross_profitability",
        *_YEAR,
        ("gross_profit", "total_assets"),
        _trailing_on("gross_profit", "total_assets"),
        "Gross profit is the cleanest sign of productive assets, before choices of accounting.",
        "Novy-Marx 2013",
    ),
    _row(
        "asset_turnover",
        *_YEAR,
        ("revenue", "total_assets"),
        _trailing_on("revenue", "total_assets"),
        "Assets that sell much are used well, and use is copied less easily than margins.",
        "Soliman 2008",
    ),
    _row(
        "accruals",
        *_YEAR,
        ("net_income", "operating_cash_flow", "total_assets"),
        _accruals,
        "Earnings that did not arrive as cash tend to vanish again.",
        "Sloan 1996",
    ),
    _row(
        "free_cash",
        *_YEAR,
        ("free_cash_flow", "total_assets"),
        _trailing_on("free_cash_flow", "total_assets"),
        "Cash left after investment is harder to embellish than profit.",
        "Foerster, Tsagarelis and Wang 2017",
    ),
    _row(
        "revenue_growth",
        *_YEAR_ON_YEAR,
        ("revenue",),
        _growth("revenue"),
        "Sales that surprise are followed by more of it, and prices adjust slowly.",
        "Jegadeesh and Livnat 2006",
    ),
    _row(
        "earnings_change",
        *_YEAR_ON_YEAR,
        ("net_income", "total_assets"),
        _earnings_change,
        "Prices drift for months in the direction of an earnings surprise.",
        "Bernard and Thomas 1989",
    ),
    _row(
        "margin_change",
        *_YEAR_ON_YEAR,
        ("operating_profit", "revenue"),
        _margin_change,
        "A margin that widens says that the business itself gets better.",
        "Piotroski 2000",
    ),
    _row(
        "asset_growth",
        *_YEAR_ON_YEAR,
        ("total_assets",),
        _growth("total_assets"),
        "Companies that expand fast tend to overinvest, and disappoint.",
        "Cooper, Gulen and Schill 2008",
    ),
    _row(
        "leverage",
        *_NOW,
        ("current_liabilities", "long_term_liabilities", "total_assets"),
        _liabilities,
        "Debt multiplies what happens to a company; in inflation it is repaid in cheaper money.",
        "Bhandari 1988",
    ),
    _row(
        "net_debt",
        *_NOW,
        ("short_term_debt", "long_term_debt", "cash", "total_assets"),
        _net_debt,
        "Borrowing beyond the cash at hand is the part of leverage that lenders can call.",
        "Penman, Richardson and Tuna 2007",
    ),
    _row(
        "current_ratio",
        *_NOW,
        ("current_assets", "current_liabilities"),
        _balance("current_assets", "current_liabilities"),
        "Companies that can pay this year's bills survive a bad one.",
        "Ou and Penman 1989",
    ),
    _row(
        "cash_share",
        *_NOW,
        ("cash", "total_assets"),
        _balance("cash", "total_assets"),
        "Companies hold cash when their business is risky, and risk is paid for.",
        "Palazzo 2012",
    ),
)
