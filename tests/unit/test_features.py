"""Every registered feature against a slow, plain one-share-at-a-time computation in pandas."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.contracts import BALANCE_COLUMNS, FLOW_COLUMNS
from bist_pipeline.features.registry import (
    ALL_FAMILIES,
    PRICE_FAMILIES,
    compute_features,
    feature_columns,
    rank_columns,
)
from bist_pipeline.features.registry import REGISTRY as ALL_FEATURES
from bist_pipeline.market.cleaning import Cleaned, clean
from bist_pipeline.market.panel import build_panel
from tests.small_market import cleaned_market, small_prices, without

# Qlib's and those made of reports have their own oracles: test_alpha158, test_fundamentals.
REGISTRY = [feature for feature in ALL_FEATURES if feature.family == "long_horizon"]
FEATURES = {feature.name: feature for feature in REGISTRY}
PRICES = ["open", "high", "low", "close"]
INPUTS = {
    "long_horizon": [*PRICES, "volume"],
    "alpha158": [*PRICES, "volume"],
    "fundamentals": [*FLOW_COLUMNS, *BALANCE_COLUMNS],
}


@pytest.fixture(scope="module")
def market() -> Cleaned:
    return cleaned_market(*small_prices())


@pytest.fixture(scope="module")
def features(market) -> pd.DataFrame:
    return compute_features(market)


@pytest.fixture(scope="module")
def shares(market) -> dict[str, pd.DataFrame]:
    """One table a share, with what the oracles look at."""
    panel = market.panel
    wide = {name: pd.DataFrame(getattr(panel, name)) for name in PRICES}
    bar = pd.DataFrame(market.observed)
    returns = wide["close"].pct_change(fill_method=None).where(bar)
    value = pd.DataFrame(market.value_try)
    listed = pd.DataFrame(market.traded | market.suspended)
    columns = {
        **wide,
        "bar": bar.where(bar).astype(float),
        "r": returns,
        "m": returns.notna().astype(float).where(returns.notna()).mul(returns.median(axis=1), axis=0),
        "value": value.div(value.median(axis=1), axis=0),
        "idle": pd.DataFrame(market.suspended).astype(float).where(listed),
        "up": pd.DataFrame(market.limit_up).astype(float).where(returns.notna()),
        "down": pd.DataFrame(market.limit_down).astype(float).where(returns.notna()),
    }
    tables = (
        pd.DataFrame({name: frame[i] for name, frame in columns.items()}) for i in range(len(panel.symbols))
    )
    return dict(zip(panel.symbols, tables, strict=True))


def by_symbol(features: pd.DataFrame, name: str) -> pd.DataFrame:
    return features.pivot(index="session", columns="symbol", values=name)  # noqa: PD010 - nothing to aggregate


def mean(values: pd.Series, name: str) -> pd.Series:
    return values.rolling(FEATURES[name].window, min_periods=FEATURES[name].min_history).mean()


def log(values: pd.Series) -> pd.Series:
    return np.log(values.where(values > 0))


def seen(share: pd.DataFrame, name: str) -> pd.Series:
    """True where the window holds enough bars."""
    return share.bar.rolling(FEATURES[name].window, min_periods=1).sum() >= FEATURES[name].min_history


def change(share: pd.DataFrame, newest: int, oldest: int) -> pd.Series:
    long_enough = share.bar.notna().cumsum() > oldest
    return (share.close.shift(newest) / share.close.shift(oldest) - 1).where(long_enough)


def volatility(window: int):
    return lambda s: s.r.rolling(window, min_periods=(window + 1) // 2).std(ddof=0)


def steady(s: pd.DataFrame) -> pd.Series:
    window = (s.r - s.m).shift(21).rolling(231, min_periods=126)
    return window.mean() / window.std(ddof=0)


def drawdown(s: pd.DataFrame) -> pd.Series:
    fall = s.close / s.close.rolling(126, min_periods=1).max() - 1
    return fall.rolling(126, min_periods=1).min().where(seen(s, "drawdown_126"))


def regression(s: pd.DataFrame, window: int) -> tuple[pd.Series, pd.Series, pd.Series]:
    r, m = (x.rolling(window, min_periods=window // 2) for x in (s.r, s.m))
    return r.cov(s.m, ddof=0), r.var(ddof=0), m.var(ddof=0)


def beta(s: pd.DataFrame) -> pd.Series:
    covariance, _, market = regression(s, 252)
    return covariance / market


def correlation(s: pd.DataFrame) -> pd.Series:
    covariance, own, market = regression(s, 252)
    return covariance / np.sqrt(own * market)


def idiosyncratic(s: pd.DataFrame) -> pd.Series:
    covariance, own, market = regression(s, 126)
    return np.sqrt((own - covariance**2 / market).clip(lower=0))


def skewness(s: pd.DataFrame) -> pd.Series:
    def moment(window: np.ndarray) -> float:
        known = window[np.isfinite(window)]
        centred = known - known.mean()
        return float((centred**3).mean() / (centred**2).mean() ** 1.5)

    return s.r.rolling(126, min_periods=63).apply(moment, raw=True)


def spread(s: pd.DataFrame) -> pd.Series:
    close, middle = np.log(s.close), np.log(s.high * s.low) / 2
    return mean(np.sqrt((4 * (close - middle).shift() * (close.shift() - middle)).clip(lower=0)), "spread_63")


def place(s: pd.DataFrame) -> pd.Series:
    return (s.close - s.low) / (s.high - s.low).replace(0, np.nan)


def coefficient_of_variation(s: pd.DataFrame) -> pd.Series:
    window = s.value.rolling(126, min_periods=63)
    return window.std(ddof=0) / window.mean()


ORACLES = {
    "mom_5": lambda s: change(s, 0, 5),
    "mom_21": lambda s: change(s, 0, 21),
    "mom_63_21": lambda s: change(s, 21, 63),
    "mom_126_21": lambda s: change(s, 21, 126),
    "mom_252_21": lambda s: change(s, 21, 252),
    "mom_252_126": lambda s: change(s, 126, 252),
    "season_252_63": lambda s: change(s, 189, 252),
    "steady_mom_252_21": steady,
    "win_share_126": lambda s: mean((s.r > s.m).astype(float).where(s.r.notna()), "win_share_126"),
    "overnight_63": lambda s: mean(np.log(s.open / s.close.shift()), "overnight_63"),
    "dist_high_252": lambda s: (s.close / s.close.rolling(252, 1).max() - 1).where(seen(s, "dist_high_252")),
    "dist_low_252": lambda s: (s.close / s.close.rolling(252, 1).min() - 1).where(seen(s, "dist_low_252")),
    "dist_mean_200": lambda s: (s.close / s.close.rolling(200, 1).mean() - 1).where(seen(s, "dist_mean_200")),
    "drawdown_126": drawdown,
    "max_ret_21": lambda s: s.r.rolling(21, min_periods=11).max(),
    "min_ret_63": lambda s: s.r.rolling(63, min_periods=32).min(),
    "vol_21": volatility(21),
    "vol_63": volatility(63),
    "vol_126": volatility(126),
    "vol_252": volatility(252),
    "downside_vol_126": lambda s: np.sqrt(mean(s.r.clip(upper=0) ** 2, "downside_vol_126")),
    "idio_vol_126": idiosyncratic,
    "beta_252": beta,
    "corr_252": correlation,
    "skew_126": skewness,
    "limit_up_63": lambda s: mean(s.up, "limit_up_63"),
    "limit_down_63": lambda s: mean(s.down, "limit_down_63"),
    "range_63": lambda s: np.sqrt(mean(np.log(s.high / s.low) ** 2, "range_63") / (4 * np.log(2))),
    "close_location_21": lambda s: mean(place(s), "close_location_21"),
    "spread_63": spread,
    "amihud_126": lambda s: log(mean(s.r.abs() / s.value.where(s.value > 0), "amihud_126")),
    "turnover_63": lambda s: log(mean(s.value, "turnover_63")),
    "turnover_cv_126": coefficient_of_variation,
    "turnover_trend_252": lambda s: log(s.value.rolling(21, 10).mean() / mean(s.value, "turnover_trend_252")),
    "zero_days_126": lambda s: mean(s.idle, "zero_days_126"),
}


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_equals_its_plain_computation(name, features, shares):
    computed = by_symbol(features, name)
    expected = pd.DataFrame({symbol: ORACLES[name](share) for symbol, share in shares.items()})
    expected = expected.where(
        np.isfinite(pd.DataFrame({symbol: share.close for symbol, share in shares.items()}))
    )

    assert computed.notna().to_numpy().mean() > 0.4
    np.testing.assert_allclose(computed.to_numpy(), expected.to_numpy(), rtol=2e-5, atol=1e-6)


def test_the_table_holds_keys_raw_values_and_ranks_in_the_registrys_order(market, features):
    assert features.columns.tolist() == ["session", "symbol", "tradable", *feature_columns(), *rank_columns()]
    assert set(features.dtypes[3:]) == {np.dtype("float32")}
    assert features["session"].dtype == "datetime64[ns]"
    assert len(features) == np.isfinite(market.panel.close).sum()
    assert not features.duplicated(["session", "symbol"]).any()
    assert features[["session", "symbol"]].equals(
        features[["session", "symbol"]].sort_values(["session", "symbol"])
    )


@pytest.mark.parametrize("name", FEATURES)
def test_ranks_order_the_priced_shares_of_a_session_like_the_raw_values(name, features):
    day = features[features["session"] == features["session"].iloc[-1]]
    expected = (day[name].rank() - 0.5) / day[name].notna().sum()

    assert day[name].notna().sum() > 30
    np.testing.assert_allclose(day[f"{name}_rank"], expected, rtol=1e-6)


@pytest.mark.parametrize("feature", ALL_FEATURES, ids=lambda feature: feature.name)
def test_a_registry_row_is_complete_and_its_name_tells_the_window(feature):
    columns = INPUTS[feature.family]

    assert feature.window == 1 or str(feature.window) in re.findall(r"\d+", feature.name)
    assert 1 <= feature.min_history <= feature.window + 1
    assert set(feature.inputs) <= {*columns}
    assert feature.inputs
    assert feature.reason.endswith(".")
    assert feature.unit
    assert feature.source


def test_every_feature_has_a_rank_and_alpha158_is_whole():
    assert len(feature_columns(["alpha158"])) == 158
    assert rank_columns(ALL_FAMILIES) == [f"{feature.name}_rank" for feature in ALL_FEATURES]


def test_feature_names_are_unique():
    assert len({feature.name for feature in ALL_FEATURES}) == len(ALL_FEATURES)


@pytest.mark.parametrize("feature", REGISTRY, ids=lambda feature: feature.name)
def test_a_share_has_a_value_from_its_minimum_history_on(feature, market, features):
    """Listed at row 200 without a hole in the prices it needs; a return needs one bar more than a price."""
    late = np.flatnonzero(market.panel.symbols == "S31")[0]
    first = 200 + np.argmax(market.observed[200:, late])
    bars = np.cumsum(market.observed[:, late])
    known = by_symbol(features, feature.name)["S31"].notna().to_numpy()

    assert not known[bars < feature.min_history].any()
    assert first + feature.min_history - 1 <= np.argmax(known) <= first + feature.min_history + 12


@pytest.fixture(scope="module")
def after_split() -> pd.DataFrame:
    """The features of a market in which some shares were split by eight from the start."""
    prices, sessions = small_prices()
    split = prices["symbol"].isin(["S01", "S04", "S07", "S20"])
    prices.loc[split, PRICES] /= 8
    prices.loc[split, "volume"] *= 8
    return compute_features(cleaned_market(prices, sessions))


@pytest.mark.parametrize("name", FEATURES)
def test_no_feature_sees_the_price_level_or_the_number_of_shares(name, features, after_split):
    np.testing.assert_allclose(after_split[name], features[name], rtol=1e-4, atol=1e-6)


def test_inflation_of_prices_and_volumes_changes_no_level_of_liquidity(features):
    prices, sessions = small_prices()
    names = ["amihud_126", "turnover_63", "turnover_cv_126", "turnover_trend_252", "zero_days_126"]

    inflated = compute_features(cleaned_market(prices.assign(volume=prices["volume"] * 1_000), sessions))

    np.testing.assert_allclose(inflated[names], features[names], rtol=1e-4, atol=1e-6)


def test_closes_alone_still_give_what_is_made_of_closes():
    prices, sessions = small_prices()
    panel = without(build_panel(prices, sessions), "open", "high", "low", "volume")

    features = compute_features(clean(panel))
    missing = {name for name in feature_columns() if features[name].isna().all()}
    unaware = {"limit_up_63", "limit_down_63", "zero_days_126"}

    assert features["tradable"].mean() > 0.5
    made_of_more = {f.name for f in ALL_FEATURES if f.family in PRICE_FAMILIES and f.inputs != ("close",)}
    assert missing == made_of_more - unaware
