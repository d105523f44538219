"""Charts of the drift report, as SVG in data URLs; words in two languages stand around them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter, date2num
from matplotlib.ticker import PercentFormatter

from bist_pipeline.drift.adapter import CVM_WINDOWS
from bist_pipeline.drift.report import Samples, Values, Week
from bist_pipeline.drift.status import Status
from bist_pipeline.events import Event
from bist_pipeline.reports.charts import BLUE, GREY, INK, RED, SALMON, SKY, as_svg

_FULL, _SMALL = (7.0, 2.3), (2.9, 1.8)
_ALARM_COLOURS = {Status.AMBER: "#e08a00", Status.RED: RED, Status.ERROR: INK}
_HEAT_FEATURES = 15
# Beyond so many times its usual distance a feature has the darkest colour.
_DARKEST = 5.0
_BINS = 24


def draw_distance(weeks: Sequence[Week], events: Sequence[Event]) -> str:
    """Draw the statistic of the feature check by week, its threshold, and numbered events."""
    days = [_on_axis(week.session) for week in weeks]
    values = [_or_nan(week.check.statistic) for week in weeks]
    thresholds = [_or_nan(week.check.threshold) for week in weeks]

    def draw(axes: Axes) -> None:
        axes.plot(days, thresholds, color=RED, linewidth=1, linestyle="--", marker="_", markersize=4)
        axes.plot(days, values, color=BLUE, linewidth=1.2, marker="o", markersize=2.5)
        for day, value, week in zip(days, values, weeks, strict=True):
            if week.check.status in _ALARM_COLOURS:
                axes.plot([day], [value], "o", color=_ALARM_COLOURS[week.check.status], markersize=6)
        top = np.nanmax([*values, *thresholds, 1.0]) * 1.25
        axes.set_ylim(0, top)
        for number, event in enumerate(events, start=1):
            axes.axvline(_on_axis(event.day), color=GREY, linewidth=0.8)
            axes.text(_on_axis(event.day), top, f" {number}", va="top", color=INK)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} ×")
        _show_dates(axes)

    return as_svg(draw, _FULL)


def draw_samples(samples: Samples) -> str:
    """Draw a feature's values in the training window as an area, and now as a line."""
    both = np.concatenate([samples.then, samples.now])
    low, high = np.quantile(both, [0.005, 0.995])
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)

    def draw(axes: Axes) -> None:
        shares = [
            np.histogram(np.clip(v, edges[0], edges[-1]), edges)[0] / len(v)
            for v in (samples.then, samples.now)
        ]
        axes.stairs(shares[0], edges, fill=True, color=SKY)
        axes.stairs(shares[1], edges, color=RED, linewidth=1.4)
        for values, colour in ((samples.then, BLUE), (samples.now, RED)):
            axes.axvline(float(np.median(values)), color=colour, linewidth=0.9, linestyle=":")
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.locator_params(nbins=4)

    return as_svg(draw, _SMALL)


def draw_heat_map(weeks: Sequence[Week]) -> str:
    """Draw how many times its usual distance each feature was away, by week; the most unusual now on top."""
    now = weeks[-1].times
    names = sorted(now, key=lambda name: -now[name])[:_HEAT_FEATURES]
    table = np.array([[week.times.get(name, np.nan) for week in weeks] for name in names])

    def draw(axes: Axes) -> None:
        axes.imshow(table, aspect="auto", cmap="Oranges", vmin=0, vmax=_DARKEST, interpolation="nearest")
        axes.set_yticks(range(len(names)), names)
        shown = np.unique(np.linspace(0, len(weeks) - 1, 6).round().astype(int))
        axes.set_xticks(shown, [str(weeks[i].session) for i in shown])
        for row, column in np.argwhere(table >= 2):
            colour = "white" if table[row, column] > 0.6 * _DARKEST else INK
            axes.text(
                column, row, f"{table[row, column]:.1f}", ha="center", va="center", color=colour, size=6
            )

    return as_svg(draw, (7.0, 0.7 + 0.19 * len(names)))


def draw_ic(before: Values, since: Values) -> str:
    """Draw the mean of 63 daily rank ICs, before and since the champion, in the band where it was at home."""
    window = max(CVM_WINDOWS)
    daily = pd.Series(np.concatenate([before, since]), index=np.arange(-len(before), len(since)))
    smooth = daily.rolling(window, min_periods=min(CVM_WINDOWS)).mean()
    half = 2 * before.std() / np.sqrt(window) if len(before) > 1 else np.nan

    def draw(axes: Axes) -> None:
        if np.isfinite(half):
            axes.axhspan(before.mean() - half, before.mean() + half, color=SKY, alpha=0.35, linewidth=0)
        axes.axhline(0, color=INK, linewidth=0.6)
        axes.axvline(0, color=GREY, linewidth=1)
        axes.plot(smooth[smooth.index <= 0], color=GREY, linewidth=1.2)
        axes.plot(smooth[smooth.index >= 0], color=BLUE, linewidth=1.6)
        if len(since):
            axes.bar(np.arange(len(since)), since, color=SALMON, alpha=0.5, width=1.0)

    return as_svg(draw, _FULL)


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _on_axis(day: dt.date) -> float:
    return float(date2num(day))  # type: ignore[no-untyped-call]


def _show_dates(axes: Axes) -> None:
    axes.xaxis.set_major_locator(AutoDateLocator(maxticks=7))  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(DateFormatter("%Y-%m-%d"))  # type: ignore[no-untyped-call]
