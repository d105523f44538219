"""The table of benchmarks/drift_bars.py: what was measured, how surely, and beside it the bar."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bist_pipeline.drift.performance import DAILY_ICS


@dataclass(frozen=True)
class Line:
    """One line of the table: what was measured, how surely, and what it should be."""

    what: str
    measured: float
    error: float | None
    bar: float
    is_lower_better: bool
    unit: str
    basis: str

    @property
    def is_met(self) -> bool:
        return self.measured <= self.bar if self.is_lower_better else self.measured >= self.bar


_DAY_1 = {
    "unit_change_x10": "prices in another unit (× 10)",
    "volume_in_lots": "volume in lots",
    "missing_column": "missing column",
    "nan_surge": "surge of missing values",
    "swapped_columns": "two features swapped",
    "shuffled_rows": "rows shuffled",
}


def build_lines(markets: Sequence[Mapping[str, Any]]) -> list[Line]:
    """Add up what the markets went through."""
    quiet = [market["quiet"] for market in markets]
    rates = [one["alarmed_weeks"] / one["weeks"] for one in quiet]
    weeks, years = sum(one["weeks"] for one in quiet), sum(one["years"] for one in quiet)
    spread = float(np.std(rates, ddof=1) / math.sqrt(len(rates))) if len(rates) > 1 else None
    basis = f"{weeks} weeks of {len(markets)} quiet markets"
    lines = [
        Line("false alarms per weekly feature check", float(np.mean(rates)), spread, 0.10, True, "%", basis)
    ]
    for what, key, bar in (
        ("false episodes a year: features", "feature_episodes", 1.0),
        ("false episodes a year: daily, RED or above", "daily_red_episodes", 0.3),
        ("false episodes a year: all, AMBER and above", "episodes", 3.0),
    ):
        count = sum(one[key] for one in quiet)
        error = math.sqrt(max(count, 1)) / years
        lines.append(Line(what, count / years, error, bar, True, "", f"{count} in {years:.0f} years"))

    def share(what: str, outcomes: Sequence[bool], bar: float) -> None:
        if outcomes:
            lines.append(_share(what, outcomes, bar))

    def of(name: str) -> list[Any]:
        return [outcome for market in markets for outcome in market["faults"].get(name, [])]

    for name, words in _DAY_1.items():
        share(f"found on day 1: {words}", [one["found"] for one in of(name)], 0.95)
    share("found on day 1: whole feed stale", [one["found"] for one in of("stale_feed")], 1.0)
    share("found by day 21: a fifth of the shares stale", [one["found"] for one in of("stale_for_some")], 0.9)
    volatile = [one["found"] or one["noted"] for one in of("volatility_x2")]
    share("found by day 21: volatility × 2, at least as regime", volatile, 0.9)
    share("found on day 1: wave of listings", [one["found"] for one in of("ipo_wave")], 1.0)
    mean = markets[0]["sign_flip"]["mean_daily_ic"]
    flips = [market["sign_flip"]["found"] for market in markets]
    share(f"found within {DAILY_ICS} sessions: sign flip (mean daily IC {mean:.2f})", flips, 0.95)
    silent, trials = (sum(market["hidden"][key] for market in markets) for key in ("said_ok", "trials"))
    lines.append(Line("NaN or missing column called OK", silent, None, 0, True, "", f"{trials} trials"))
    return lines


def _share(what: str, outcomes: Sequence[bool], bar: float) -> Line:
    """Share of the trials; its error is that of (k + 1) of (n + 2): no share is known to be 0 or 1."""
    n, k = len(outcomes), sum(outcomes)
    p = (k + 1) / (n + 2)
    return Line(what, k / n, math.sqrt(p * (1 - p) / n), bar, False, "%", f"{k} of {n}")


def as_cells(line: Line) -> tuple[str, ...]:
    """One line as people read it."""

    def write(value: float) -> str:
        if line.unit == "%":
            return f"{value:.1%}".replace("%", " %")
        return f"{value:.{0 if value >= 10 else 2}f} {line.unit}".replace(".00", "").strip()

    error = "" if line.error is None else f" ± {write(line.error)}"
    sign = "≤" if line.is_lower_better else "≥"
    verdict = "met" if line.is_met else "MISSED"
    return (line.what, f"{write(line.measured)}{error}", f"{sign} {write(line.bar)}", line.basis, verdict)


HEAD = ("bar", "measured ± standard error", "asked for", "from", "")


def as_text(lines: Sequence[Line]) -> str:
    rows = [HEAD, *map(as_cells, lines)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def as_markdown(lines: Sequence[Line]) -> str:
    cells = [("**missed**" if cell == "MISSED" else cell for cell in as_cells(line)) for line in lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in (HEAD, ["---"] * len(HEAD), *cells))
