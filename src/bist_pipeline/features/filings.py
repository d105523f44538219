"""What each company's reports had told by the time of each announcement, and where that falls in the panel.

Income and cash flow are reported as sums since January. A quarter is the difference to the sum before, and
the trailing year is made of the last four quarters.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.contracts import BALANCE_COLUMNS, FLOW_COLUMNS
from bist_pipeline.features.feature import Inputs
from bist_pipeline.market.panel import Matrix
from bist_pipeline.market.point_in_time import attach_as_of

QUARTERS = 4
# A company silent for longer than this has no current report: the nine months' one is followed by that of
# the next March (annual ones may be unusable) after at most 270 days.
MAX_AGE = np.timedelta64(300, "D")

Values = NDArray[np.float64]


class Filings:
    """One row for each moment at which a company announced something.

    Every figure is the one known at that moment: of a period published twice, the latest by then.

    Parameters
    ----------
    facts : DataFrame
        `symbol, period_end, announced_at` (none missing) and the columns of the fundamentals' contract.
    """

    def __init__(self, facts: pd.DataFrame) -> None:
        self._facts = _numbered(facts).sort_values(["announced_at", "quarter"], ignore_index=True)
        newest = self._facts.groupby("symbol")["period_end"].cummax()
        moments = self._facts[["symbol", "announced_at"]].assign(period_end=newest)
        last = moments.drop_duplicates(["symbol", "announced_at"], keep="last")
        self._moments = _numbered(last).reset_index(drop=True)
        self._known: dict[int, pd.DataFrame] = {}

    @classmethod
    def of(cls, inputs: Inputs) -> Filings:
        """Read the facts of `inputs`; features made of them are computed only where there are any."""
        return cls(cast(pd.DataFrame, inputs.facts))

    def reported(self, name: str, *, back: int = 0) -> Values:
        """Figure as reported for the newest period, or for the one so many quarters before it."""
        if back not in self._known:
            wanted = self._moments.assign(quarter=self._moments["quarter"] - back)
            self._known[back] = pd.merge_asof(
                wanted, self._facts, on="announced_at", by=["symbol", "quarter"]
            )[[*FLOW_COLUMNS, *BALANCE_COLUMNS]]
        return self._known[back][name].to_numpy()

    def yearly_pace(self, name: str, *, back: int = 0) -> Values:
        """Sum since January, scaled to a whole year."""
        quarters_reported = self._moments["quarter"].to_numpy() % QUARTERS + 1
        pace: Values = self.reported(name, back=back) * QUARTERS / quarters_reported
        return pace

    def trailing(self, name: str, window: int, min_history: int) -> Values:
        """Sum over the last `window` quarters; `min_history` known ones stand for the others too."""
        quarters = np.stack([self._quarter(name, back=back) for back in range(window)])
        known = np.isfinite(quarters)
        count = known.sum(axis=0)
        total = np.where(known, quarters, 0.0).sum(axis=0)
        return np.where(count >= min_history, total * window / np.maximum(count, 1), np.nan)

    def spread(self, values: Values, inputs: Inputs) -> Matrix:
        """Lay values over sessions and symbols, each from the session after its announcement on."""
        row = inputs.shared(_newest)
        return np.where(row >= 0, np.append(values, np.nan)[row], np.nan)

    def newest_at(self, inputs: Inputs) -> NDArray[np.int64]:
        """Row of the newest filing public at each session, -1 where none is, or it is too old."""
        panel = inputs.cleaned.panel
        shape = panel.close.shape
        cells = pd.DataFrame(
            {
                "session": np.repeat(panel.sessions.astype("datetime64[ns]"), shape[1]),
                "symbol": np.tile(panel.symbols, shape[0]),
            }
        )
        numbered = self._moments.assign(row=np.arange(len(self._moments)))
        row = attach_as_of(cells, numbered, value="row").fillna(-1).to_numpy(np.int64).reshape(shape)
        period_end = np.append(self._moments["period_end"].to_numpy(), np.datetime64("NaT"))
        age = panel.sessions[:, None] - period_end[row]
        return np.where(age <= MAX_AGE, row, -1)

    def _quarter(self, name: str, *, back: int) -> Values:
        is_first = (self._moments["quarter"].to_numpy() - back) % QUARTERS == 0
        before: Values = np.where(is_first, 0.0, self.reported(name, back=back + 1))
        return self.reported(name, back=back) - before


def _numbered(facts: pd.DataFrame) -> pd.DataFrame:
    period = facts["period_end"].dt
    return facts.assign(quarter=QUARTERS * period.year + period.quarter - 1)


def _newest(inputs: Inputs) -> NDArray[np.int64]:
    return inputs.shared(Filings.of).newest_at(inputs)
