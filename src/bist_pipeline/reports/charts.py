"""Charts as SVG in data URLs. They hold numbers and dates only; words in two languages stand around them."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bist_pipeline.market.health_report import LOGARITHMIC, Completeness, Distribution

INK, GREY = "#1c2733", "#9aa7b4"
BLUE, SKY, SALMON, RED = "#2166ac", "#92c5de", "#f4a582", "#b2182b"

# Narrow figures with small type: on a phone they fill the screen at about their own size.
_WIDE, _SMALL = (4.0, 1.8), (3.1, 1.6)
_STYLE: dict[Any, Any] = {
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.size": 7.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "bist",  # the same data, the same bytes
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}
_RATIOS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)


def draw_shares(sessions: Sequence[Completeness]) -> str:
    """Draw listed shares and those with a price over time; poor sessions as red lines."""

    def draw(axes: Axes) -> None:
        position = np.arange(len(sessions))
        axes.fill_between(position, [day.listed for day in sessions], step="mid", color=SALMON, linewidth=0)
        axes.fill_between(position, [day.priced for day in sessions], step="mid", color=SKY, linewidth=0)
        axes.set_ylim(bottom=0)
        _show_sessions(axes, sessions)

    return as_svg(draw, _WIDE)


def draw_volumes(sessions: Sequence[Completeness]) -> str:
    """Draw the median volume in units of the usual one over time; poor sessions as red lines."""
    values = np.array([day.volume_to_usual or np.nan for day in sessions], dtype=float)
    lowest, highest = np.nanmin([*values, 0.3]), np.nanmax([*values, 3.0])

    def draw(axes: Axes) -> None:
        axes.axhline(1, color=GREY, linewidth=0.6)
        axes.plot(values, color=BLUE, linewidth=1, marker=".", markersize=2)
        axes.set_yscale("log")
        axes.set_ylim(lowest / 1.3, highest * 1.3)
        ticks = [tick for tick in _RATIOS if lowest <= tick <= highest]
        axes.set_yticks(ticks, [f"{tick:g} ×" for tick in ticks])
        axes.yaxis.set_minor_locator(NullLocator())
        _show_sessions(axes, sessions)

    return as_svg(draw, _WIDE)


def draw_distribution(distribution: Distribution) -> str:
    """Draw a histogram with a line at the median."""
    edges = np.array(distribution.edges)

    def draw(axes: Axes) -> None:
        axes.bar(edges[:-1], distribution.counts, np.diff(edges), align="edge", color=SKY, edgecolor="white")
        axes.axvline(distribution.quantiles[2], color=RED, linewidth=1)
        if distribution.figure in LOGARITHMIC:
            axes.set_xscale("log")
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_locator(LogLocator(numticks=6))
        else:
            axes.locator_params(axis="x", nbins=5)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value, distribution.unit)))
        axes.locator_params(axis="y", nbins=4, integer=True)

    return as_svg(draw, _SMALL)


def draw_path(path: Sequence[float | None]) -> Markup:
    """Draw the course of one share at the height of its line of text, its start as a faint level."""
    known = [value for value in path if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)

    def level(value: float) -> str:
        return f"{26 - 24 * (value - low) / ((high - low) or 1):.1f}"

    step = 100 / max(len(path) - 1, 1)
    points = [f"{i * step:.1f},{level(value)}" for i, value in enumerate(path) if value is not None]
    return Markup(
        '<svg class="path" viewBox="0 0 100 28" preserveAspectRatio="none" aria-hidden="true">'
        '<line x1="0" x2="100" y1="{0}" y2="{0}"/><polyline points="{1}"/></svg>'
    ).format(level(0), " ".join(points))


def as_svg(draw: Callable[[Axes], None], size: tuple[float, float]) -> str:
    """Draw into a figure of so many inches; the same drawing always gives the same URL."""
    return f"data:image/svg+xml;base64,{b64encode(draw_svg(draw, size)).decode()}"


def draw_svg(draw: Callable[[Axes], None], size: tuple[float, float]) -> bytes:
    """Draw into a file of its own, for those who do not put it into a page."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.add_subplot())
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return buffer.getvalue()


def _show_sessions(axes: Axes, sessions: Sequence[Completeness]) -> None:
    """Mark poor sessions and write some of the dates below."""
    for position, day in enumerate(sessions):
        if day.is_poor:
            axes.axvline(position, color=RED, linewidth=1)
    shown = np.unique(np.linspace(0, len(sessions) - 1, 4).round().astype(int))
    axes.set_xticks(shown, [str(sessions[i].session) for i in shown])
    axes.set_xlim(-1, len(sessions))


def _tick(value: float, unit: str) -> str:
    if unit == "fraction":
        return f"{100 * value:g} %"
    if unit == "times":
        return f"{value:g} ×"
    return f"{value / 1e6:g}"
