"""Draw the pictures of docs/en/drift.md from a synthetic market: `python -m benchmarks.drift_pictures`."""

from __future__ import annotations

import datetime as dt
from base64 import b64decode
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.stats import ks_2samp

from benchmarks.drift_markets import (
    HISTORY,
    HORIZON,
    PRICE_FAULTS,
    WATCHED,
    Champion,
    Table,
    crown,
    generate,
    tabulate,
)
from bist_pipeline.drift.distribution import check_distribution
from bist_pipeline.drift.replays import CURRENT_SESSIONS
from bist_pipeline.drift.report import FeatureStory, tell_features
from bist_pipeline.drift.summary import summarise
from bist_pipeline.reports import drift_charts
from bist_pipeline.reports.charts import BLUE, RED, as_svg

FOLDER = Path(__file__).parents[1] / "docs/images"
SYMBOLS = 120
# A market whose share of false alarms is near the mean of the suite, and one for the faults.
NAIVE_SEED, FAULT_SEED = 8, 3
# The fault begins half a year into the champion's life; the pictures end five weeks later.
FIRST, DAYS = HISTORY + 100, 26
SWAP, SWAPPED = "swapped_columns", ("limit_up_63", "beta_252")


def tell(champion: Champion, fault: str) -> FeatureStory:
    """What the report would show at the end of `DAYS`, had no daily check stopped the fault before."""
    is_in_prices = fault in PRICE_FAULTS
    market = PRICE_FAULTS[fault](champion.market, FIRST) if is_in_prices else champion.market
    table = tabulate(market, last=FIRST + DAYS - 1)
    session = market.sessions[FIRST + DAYS - 1].item()
    recent = table.features[table.features["session"] > pd.Timestamp(champion.session - dt.timedelta(200))]
    if fault == SWAP:
        is_later = recent["session"] >= pd.Timestamp(market.sessions[FIRST])
        recent = recent.copy()
        recent.loc[is_later, list(SWAPPED)] = recent.loc[is_later, list(SWAPPED[::-1])].to_numpy()
    return tell_features(
        champion.calibration.features,
        summarise(recent, list(WATCHED), until=session),
        session=session,
        champion_session=champion.session,
        importance={},
    )


def compare_with_naive(champion: Champion) -> tuple[list[float], list[float]]:
    """Smallest p-value of a textbook test, corrected for the number of features, and ours, week by week."""
    table = champion.table
    trained = HISTORY - 1 - HORIZON
    year = [table.days[i] for i in range(trained, trained - 252, -5)]
    then = _tradable(table, year)
    naive, ours = [], []
    for end in range(HISTORY + 4, HISTORY + 252, 5):
        rows = table.newest(table.days[end], CURRENT_SESSIONS)
        now = rows[rows["tradable"]]
        p = [ks_2samp(then[name].dropna(), now[name].dropna()).pvalue for name in WATCHED]
        naive.append(max(min(1.0, len(WATCHED) * min(p)), 1e-300))
        found = check_distribution(
            champion.calibration.features,
            summarise(rows, list(WATCHED), until=table.days[end]),
            name="features",
            session=table.days[end],
            age_sessions=end - HISTORY + 1,
        )
        ours.append(found.check.p_value or np.nan)
    return naive, ours


def _tradable(table: Table, days: list[dt.date]) -> pd.DataFrame:
    rows = pd.concat([table.by_day[day] for day in days])
    return rows[rows["tradable"]]


def draw_p_values(naive: list[float], ours: list[float]) -> str:
    def draw(axes: Axes) -> None:
        weeks = np.arange(1, len(naive) + 1)
        axes.plot(weeks, naive, "s", color=RED, markersize=3)
        axes.plot(weeks, ours, "o", color=BLUE, markersize=3)
        axes.axhline(0.03, color=BLUE, linewidth=0.8, linestyle="--")
        axes.set_yscale("log")

    return as_svg(draw, (8.2, 2.6))


def save(name: str, url: str) -> None:
    path = FOLDER / f"drift-{name}.svg"
    path.write_bytes(b64decode(url.partition(",")[2]))
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    naive, ours = compare_with_naive(crown(generate(NAIVE_SEED, symbols=SYMBOLS)))
    alarms = np.mean(np.array(naive) < 0.05), np.mean(np.array(ours) <= 0.03)
    print(f"alarms in a quiet year: textbook {alarms[0]:.0%} of weeks, ours {alarms[1]:.0%}")
    save("naive", draw_p_values(naive, ours))
    champion = crown(generate(FAULT_SEED, symbols=SYMBOLS))
    save("quiet-weeks", drift_charts.draw_distance(tell(champion, "").weeks, ()))
    save("swapped-map", drift_charts.draw_heat_map(tell(champion, SWAP).weeks))
    story = tell(champion, "volatility_x2")
    save("volatility-weeks", drift_charts.draw_distance(story.weeks, ()))
    save("volatility-map", drift_charts.draw_heat_map(story.weeks))
    save("volatility-values", drift_charts.draw_samples(story.samples[0]))


if __name__ == "__main__":
    main()
