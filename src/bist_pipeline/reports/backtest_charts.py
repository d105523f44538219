"""Charts of a backtest, as SVG in data URLs; words stand around them, model names are the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.ticker import PercentFormatter

from bist_pipeline.model.backtest import BacktestResult
from bist_pipeline.model.intervals import Values
from bist_pipeline.model.walk_forward import BLEND, LOW_VOLATILITY
from bist_pipeline.reports.charts import BLUE, GREY, INK, RED, SALMON, SKY, as_svg

_FULL, _HALF = (8.2, 2.5), (4.0, 2.2)
# Models that are drawn, and how: ours, the dull one to beat, Qlib's, chance.
COLOURS = {BLEND: BLUE, LOW_VOLATILITY: RED, "qlib_lightgbm": SALMON, "random": GREY}
_TALLEST = 30


def draw_rank_ic(result: BacktestResult) -> str:
    """Draw the blend's rank IC on each session, the mean of the last quarter, and the overall mean's band."""
    days = pd.to_datetime(list(result.curves.sessions))
    ic = pd.Series(result.curves.rank_ic[BLEND], index=days, dtype=float)
    other = pd.Series(result.curves.rank_ic[LOW_VOLATILITY], index=days, dtype=float)
    figures = result.models[BLEND]
    quarter = max(round(len(days) / result.independent_quarters), 1)

    def draw(axes: Axes) -> None:
        if "rank_ic_ci" in figures:
            axes.axhspan(*figures["rank_ic_ci"], color=SKY, alpha=0.35, linewidth=0)
        axes.axhline(figures["rank_ic"], color=BLUE, linewidth=0.8, linestyle="--")
        axes.axhline(0, color=INK, linewidth=0.6)
        axes.plot(ic, ".", color=SKY, markersize=4)
        for series, colour, width in ((other, RED, 0.8), (ic, BLUE, 1.6)):
            axes.plot(series.rolling(quarter, min_periods=quarter // 2).mean(), color=colour, linewidth=width)
        _show_dates(axes)

    return as_svg(draw, _FULL)


def draw_deciles(result: BacktestResult) -> str:
    """Draw the mean excess of each tenth of the shares by score: bars for the blend, points for others."""

    def draw(axes: Axes) -> None:
        blend = result.curves.deciles[BLEND]
        axes.bar(range(1, len(blend) + 1), blend, color=[SALMON if v < 0 else SKY for v in blend])
        other = result.curves.deciles[LOW_VOLATILITY]
        axes.plot(range(1, len(other) + 1), other, "o", color=RED, markersize=3.5)
        axes.axhline(0, color=INK, linewidth=0.6)
        axes.set_xticks(range(1, len(blend) + 1))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))

    return as_svg(draw, _HALF)


def draw_top20(result: BacktestResult) -> str:
    """Draw the running sum of the top 20's excess after costs, and the blend's before costs."""
    days = pd.to_datetime(list(result.curves.sessions))

    def draw(axes: Axes) -> None:
        axes.axhline(0, color=INK, linewidth=0.6)
        axes.plot(days, result.curves.top20[BLEND], color=BLUE, linewidth=0.8, linestyle=":")
        for model, colour in COLOURS.items():
            width = 1.8 if model == BLEND else 1
            axes.plot(days, result.curves.top20_net[model], color=colour, linewidth=width)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        _show_dates(axes)

    return as_svg(draw, _HALF)


def draw_coverage(result: BacktestResult) -> str:
    """Draw how many results the interval held in each fifth of the shares by volatility."""
    shares, nominal = result.coverage["by_vol_quintile"], result.coverage["nominal"]

    def draw(axes: Axes) -> None:
        axes.axhspan(nominal - 0.05, nominal + 0.05, color=SKY, alpha=0.35, linewidth=0)
        axes.axhline(nominal, color=BLUE, linewidth=0.8, linestyle="--")
        axes.plot(range(1, len(shares) + 1), shares, "o", color=BLUE, markersize=6)
        axes.set_ylim(min([nominal - 0.12, *shares]), max([nominal + 0.12, *shares]))
        axes.set_xticks(range(1, len(shares) + 1))
        axes.set_xlim(0.5, len(shares) + 0.5)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))

    return as_svg(draw, _HALF)


def draw_importance(ranked: Sequence[tuple[str, float]]) -> str:
    """Draw how far each feature moves the score on average, the strongest on top."""

    def draw(axes: Axes) -> None:
        names, sizes = zip(*reversed(ranked), strict=True)
        axes.barh(names, sizes, color=SKY)
        axes.margins(y=0.01)

    return as_svg(draw, (_HALF[0], 0.5 + 0.17 * len(ranked)))


def draw_effects(effects: pd.DataFrame, ranked: Sequence[tuple[str, float]]) -> str:
    """Draw every share's effect of each feature, coloured by the feature's value: blue low, red high."""

    def draw(axes: Axes) -> None:
        names = [name for name, _ in reversed(ranked)]
        for height, name in enumerate(names):
            rows = effects[effects["feature"] == name]
            order = rows["value"].rank(pct=True).fillna(0.5)
            axes.scatter(
                rows["effect"],
                height + _spread(rows["effect"].to_numpy()),
                c=order,
                cmap="coolwarm",
                s=3,
                linewidths=0,
                rasterized=True,
            )
        axes.axvline(0, color=INK, linewidth=0.6)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(-0.6, len(names) - 0.4)

    return as_svg(draw, (_HALF[0], 0.5 + 0.17 * len(ranked)))


def _show_dates(axes: Axes) -> None:
    axes.xaxis.set_major_locator(AutoDateLocator(maxticks=6))  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(DateFormatter("%Y-%m"))  # type: ignore[no-untyped-call]
    axes.margins(x=0.01)


def _spread(effects: Values) -> Values:
    """Heights that keep points of equal effect apart: the more there are, the wider."""
    low, high = effects.min(), effects.max()
    column = np.round(60 * (effects - low) / ((high - low) or 1)).astype(int)
    place = pd.Series(column).groupby(column).cumcount().to_numpy()
    count = np.bincount(column)[column]
    heights: Values = 0.8 * (place - (count - 1) / 2) / max(count.max(), _TALLEST)
    return heights
