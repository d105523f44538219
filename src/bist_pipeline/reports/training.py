"""What training leaves with the model for people to look at."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from bist_pipeline.model.metrics import daily_rank_ic
from bist_pipeline.model.walk_forward import BLEND
from bist_pipeline.reports.charts import BLUE, INK, SKY, draw_svg


def draw_rank_ic(forecasts: pd.DataFrame) -> str:
    """Draw the model's rank IC on each session of its walk-forward, and their mean, as SVG.

    Parameters
    ----------
    forecasts : DataFrame
        `session, tradable, excess` and the blend's score, of all folds.
    """
    rows = forecasts[forecasts["tradable"]]
    ic = daily_rank_ic(rows.rename(columns={BLEND: "score"}))

    def draw(axes: Axes) -> None:
        axes.axhline(0, color=INK, linewidth=0.6)
        axes.axhline(ic.mean(), color=BLUE, linewidth=0.8, linestyle="--")
        axes.plot(ic, "o", color=SKY, markersize=4)
        axes.set_ylabel("rank IC")

    return draw_svg(draw, (8.2, 2.5)).decode()
