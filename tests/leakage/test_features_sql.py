"""Features against SQL whose windows end at the current row: what SQL cannot see, a feature cannot know.

sqlite, which comes with Python, computes more than half of the registry anew, from bars and reports, and the
rank of every registered feature.
"""

from __future__ import annotations

import math
import sqlite3

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.features.nested_windows import WINDOWS
from bist_pipeline.features.registry import ALL_FAMILIES, REGISTRY, compute_features, feature_columns
from tests.small_market import cleaned_market, small_facts, small_prices

FEATURES = {feature.name: feature for feature in REGISTRY}

# One row for each share and session since the share's first bar. `o h l c v` are bars as they arrived, in
# float32 as Qlib keeps them; `price` is the close with short holes filled, `r` a return; `seen` counts bars.
BARS = """
CREATE TABLE steps AS SELECT *,
    c - LAG(c) OVER share AS move,
    v - LAG(v) OVER share AS growth,
    ABS(c / LAG(c) OVER share - 1) * v AS unrest,
    iif(bar, price / LAG(price) OVER share - 1, NULL) AS r,
    LN(day_open / LAG(price) OVER share) AS night,
    LN(day_high / day_low) AS span,
    (price - day_low) / NULLIF(day_high - day_low, 0) AS spot,
    SUM(bar) OVER share AS seen
FROM bars WINDOW share AS (PARTITION BY symbol ORDER BY t)
"""
# The newest period that was announced before a session, and its figures as last announced before it.
REPORTS = """
CREATE TABLE current AS SELECT day, symbol, facts.* FROM facts
JOIN (SELECT day, symbol, MAX(period_end) AS period_end FROM facts JOIN days ON announced_on < day
      GROUP BY day, symbol) USING (symbol, period_end)
WHERE announced_on < day AND julianday(day) - julianday(period_end) <= 300
GROUP BY day, symbol HAVING announced_at = MAX(announced_at)
"""

SHAPES = {
    "KMID": "(c - o) / o",
    "KLEN": "(h - l) / o",
    "KMID2": "(c - o) / (h - l + 1e-12)",
    "KUP": "(h - MAX(o, c)) / o",
    "KUP2": "(h - MAX(o, c)) / (h - l + 1e-12)",
    "KLOW": "(MIN(o, c) - l) / o",
    "KLOW2": "(MIN(o, c) - l) / (h - l + 1e-12)",
    "KSFT": "(2 * c - h - l) / o",
    "KSFT2": "(2 * c - h - l) / (h - l + 1e-12)",
    "OPEN0": "o / c",
    "HIGH0": "h / c",
    "LOW0": "l / c",
    "VWAP0": "(h + l + c) / 3 / c",
}
# {} is the window of so many rows up to the current one, {n} its length.
TRAILING = {
    "ROC": "LAG(c, {n}) OVER share / c",
    "MA": "AVG(c) {} / c",
    "STD": "SQRT(MAX(SUM(c * c) {} - AVG(c) {} * SUM(c) {}, 0) / (COUNT(c) {} - 1)) / c",
    "MAX": "MAX(h) {} / c",
    "MIN": "MIN(l) {} / c",
    "RSV": "(c - MIN(l) {}) / (MAX(h) {} - MIN(l) {} + 1e-12)",
    "CNTP": "AVG(COALESCE(move > 0, 0)) {}",
    "CNTN": "AVG(COALESCE(move < 0, 0)) {}",
    "CNTD": "AVG(COALESCE(move > 0, 0) - COALESCE(move < 0, 0)) {}",
    "SUMP": "SUM(MAX(move, 0)) {} / (SUM(ABS(move)) {} + 1e-12)",
    "SUMN": "-SUM(MIN(move, 0)) {} / (SUM(ABS(move)) {} + 1e-12)",
    "SUMD": "SUM(move) {} / (SUM(ABS(move)) {} + 1e-12)",
    "VMA": "AVG(v) {} / (v + 1e-12)",
    "VSTD": "SQRT(MAX(SUM(v * v) {} - AVG(v) {} * SUM(v) {}, 0) / (COUNT(v) {} - 1)) / (v + 1e-12)",
    "VSUMP": "SUM(MAX(growth, 0)) {} / (SUM(ABS(growth)) {} + 1e-12)",
    "VSUMN": "-SUM(MIN(growth, 0)) {} / (SUM(ABS(growth)) {} + 1e-12)",
    "VSUMD": "SUM(growth) {} / (SUM(ABS(growth)) {} + 1e-12)",
}
_VOLATILITY = "iif(COUNT(r) {} >= {m}, SQRT(MAX(AVG(r * r) {} - AVG(r) {} * AVG(r) {}, 0)), NULL)"
_RETURN = "iif(seen >= {m}, LAG(price, %d) OVER share / LAG(price, {n}) OVER share - 1, NULL)"
_DISTANCE = "iif(SUM(bar) {} >= {m}, price / %s(price) {} - 1, NULL)"
_MEAN = "iif(COUNT(%s) {} >= {m}, %s, NULL)"
LONG_HORIZON = {
    "mom_5": _RETURN % 0,
    "mom_21": _RETURN % 0,
    "mom_63_21": _RETURN % 21,
    "mom_126_21": _RETURN % 21,
    "mom_252_21": _RETURN % 21,
    "mom_252_126": _RETURN % 126,
    "season_252_63": _RETURN % 189,
    "vol_21": _VOLATILITY,
    "vol_63": _VOLATILITY,
    "vol_126": _VOLATILITY,
    "vol_252": _VOLATILITY,
    "downside_vol_126": _MEAN % ("r", "SQRT(AVG(MIN(r, 0) * MIN(r, 0)) {})"),
    "max_ret_21": _MEAN % ("r", "MAX(r) {}"),
    "min_ret_63": _MEAN % ("r", "MIN(r) {}"),
    "dist_high_252": _DISTANCE % "MAX",
    "dist_low_252": _DISTANCE % "MIN",
    "dist_mean_200": _DISTANCE % "AVG",
    "overnight_63": _MEAN % ("night", "AVG(night) {}"),
    "range_63": _MEAN % ("span", "SQRT(AVG(span * span) {} / (4 * LN(2)))"),
    "close_location_21": _MEAN % ("spot", "AVG(spot) {}"),
}
FUNDAMENTALS = {
    "leverage_1q": "(current_liabilities + long_term_liabilities) / total_assets",
    "net_debt_1q": "(short_term_debt + long_term_debt - cash) / total_assets",
    "current_ratio_1q": "current_assets / current_liabilities",
    "cash_share_1q": "cash / total_assets",
}
# Shares with a defect each, and some without; more would only take longer.
SHARES = [f"S{i:02d}" for i in (1, 2, 3, 5, 7, 9, 11, 13, 20, 30, 31, 34)]
PRICED = [*SHAPES, *(f"{name}{n}" for name in TRAILING for n in WINDOWS), *LONG_HORIZON]


@pytest.fixture(scope="module")
def database() -> tuple[sqlite3.Connection, pd.DataFrame]:
    """A database with the market and the reports, and what `compute_features` makes of them."""
    prices, sessions = small_prices()
    market, facts = cleaned_market(prices, sessions), small_facts()
    database = sqlite3.connect(":memory:")
    for name, function in (("SQRT", math.sqrt), ("LN", math.log)):  # not every sqlite has them
        database.create_function(name, 1, lambda x, f=function: None if x is None else f(x))
    panel = market.panel
    listed = (market.observed.cumsum(axis=0) > 0) & np.isin(panel.symbols, SHARES)
    t, symbol = np.nonzero(listed)
    bars = pd.DataFrame({"t": t, "symbol": panel.symbols[symbol], "bar": market.observed[listed].astype(int)})
    for name in ("open", "high", "low"):
        bars[f"day_{name}"] = getattr(panel, name)[listed]
        bars[name[0]] = bars[f"day_{name}"].astype(np.float32)
    bars["price"] = panel.close[listed]
    bars["c"] = bars["price"].where(bars["bar"] == 1).astype(np.float32)
    bars["v"] = panel.volume[listed].astype(np.float32)
    bars.to_sql("bars", database, index=False)
    pd.DataFrame({"day": sessions.astype(str)}).to_sql("days", database, index=False)
    dated = facts.assign(announced_on=facts["announced_at"].dt.strftime("%Y-%m-%d"))
    for moment in ("announced_at", "period_end"):
        dated[moment] = dated[moment].astype(str)
    dated.to_sql("facts", database, index=False)
    database.execute(BARS)
    database.execute(REPORTS)
    features = compute_features(market, facts).drop(columns="tradable")
    features.insert(0, "t", np.searchsorted(sessions, features["session"]))
    return database, features.assign(session=features["session"].astype(str))


def query(name: str) -> str:
    """The expression of a feature, with its window and minimum history from the registry."""
    feature = FEATURES[name]
    text = SHAPES.get(name) or LONG_HORIZON.get(name) or TRAILING[name.rstrip("0123456789")]
    return text.replace("{}", f"OVER w{feature.window}").format(n=feature.window, m=feature.min_history)


@pytest.fixture(scope="module")
def by_sql(database) -> pd.DataFrame:
    """Everything in `PRICED`, on the rows of these shares in the feature table."""
    connection, features = database
    lengths = {FEATURES[name].window for name in PRICED}
    windows = ", ".join(f"w{n} AS (share ROWS BETWEEN {n - 1} PRECEDING AND CURRENT ROW)" for n in lengths)
    columns = ", ".join(f"{query(name)} AS {name}" for name in PRICED)
    found = pd.read_sql(
        f"SELECT t, symbol, {columns} FROM steps WINDOW share AS (PARTITION BY symbol ORDER BY t), {windows}",  # noqa: S608
        connection,
    )
    return features.loc[features["symbol"].isin(SHARES), ["t", "symbol"]].merge(found, on=["t", "symbol"])


@pytest.mark.parametrize("name", PRICED)
def test_a_feature_of_prices_equals_windows_that_end_at_the_current_row(name, database, by_sql):
    _, features = database
    computed = features.loc[features["symbol"].isin(SHARES), name]

    assert len(computed) == len(by_sql) > 6_000
    assert computed.notna().mean() > 0.3
    np.testing.assert_allclose(computed, by_sql[name].astype(float), rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("name", FUNDAMENTALS)
def test_a_feature_of_reports_uses_only_what_was_announced_before(name, database):
    connection, features = database
    ratio, below = FUNDAMENTALS[name], FUNDAMENTALS[name].rpartition(" / ")[2]
    sql = f"SELECT day AS session, symbol, {ratio} AS value FROM current WHERE {below} > 0"  # noqa: S608
    rows = features[["session", "symbol", name]].merge(pd.read_sql(sql, connection), how="left")

    assert rows[name].notna().mean() > 0.3
    np.testing.assert_allclose(rows[name], rows["value"].astype(float), rtol=1e-6)


@pytest.fixture(scope="module")
def on_some_days(database) -> pd.DataFrame:
    """Raw features and ranks of eight sessions, and as `<name>_sql` the rank that SQL gives."""
    connection, features = database
    days = features[features["t"].isin(np.linspace(300, 590, 8).astype(int))]
    days.drop(columns=[name for name in days if name.endswith("_rank")]).to_sql(
        "days_raw", connection, index=False
    )
    ranked = [
        f"(RANK() OVER (PARTITION BY t ORDER BY {name} NULLS LAST)"
        f" + (COUNT({name}) OVER (PARTITION BY t, {name}) - 2) * 0.5) / COUNT({name}) OVER (PARTITION BY t)"
        f" AS {name}_sql"
        for name in feature_columns(ALL_FAMILIES)
    ]
    found = [
        pd.read_sql(f"SELECT {', '.join(ranked[i : i + 20])} FROM days_raw ORDER BY t, symbol", connection)  # noqa: S608
        for i in range(0, len(ranked), 20)
    ]
    return pd.concat([days.sort_values(["t", "symbol"], ignore_index=True), *found], axis=1)


@pytest.mark.parametrize("name", feature_columns(ALL_FAMILIES))
def test_a_rank_is_a_place_among_the_shares_of_the_same_session(name, on_some_days):
    known = on_some_days[name].notna()

    assert known.mean() > 0.3
    np.testing.assert_allclose(
        on_some_days.loc[known, f"{name}_rank"], on_some_days.loc[known, f"{name}_sql"], rtol=1e-6
    )
