r"""How published ranks did once their horizon had passed, against rules that need no model.

Results of neighbouring sessions share most of their days: a published quarter is judged on little more than
one independent outcome. With forecasts at the positions :math:`p_1 \dots p_n` and results over :math:`h`
sessions, two results share :math:`\rho_{ij} = \max(0, 1 - |p_i - p_j| / h)` of their days, so that the mean
of their rank ICs varies by :math:`V = n^{-2} \sum_{ij} \rho_{ij}` of the variance of one, and is worth
:math:`1 / V` independent results. The sample variance is too small by the factor :math:`1 - V`. The interval
is that of Student's t with :math:`1 / V - 1` degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from bist_pipeline.features.registry import NEUTRAL_RANK
from bist_pipeline.model.intervals import Positions
from bist_pipeline.model.metrics import coverage, daily_rank_ic

# About a month, a quarter and a year of judged sessions.
WINDOWS = (21, 63, 252)
# The ranking that a rule makes of one feature, as in model/baselines.py; -1 where small values are good.
BASELINES = {
    "low_vol_126": ("vol_126_rank", -1),
    "momentum_252_21": ("mom_252_21_rank", 1),
    "reversal_21": ("mom_21_rank", -1),
}
_LEVEL = 0.95


@dataclass(frozen=True)
class Judgement:
    """How one ranking of the shares of one session did; `rank_ic` is None where nothing varies."""

    model: str
    symbols: int
    rank_ic: float | None
    coverage: float | None


@dataclass(frozen=True)
class MeanIC:
    """Mean daily rank IC with its 95 % interval, and the independent results that it is worth."""

    rank_ic: float
    lower: float
    upper: float
    independent: float

    @property
    def skill(self) -> Literal["proven", "unproven"]:
        """Proven if the whole interval lies above zero."""
        return "proven" if self.lower > 0 else "unproven"


def judge_session(batch: pd.DataFrame, *, published: str) -> list[Judgement]:
    """Judge the published ranking of one session and the baselines, all on the same shares.

    Parameters
    ----------
    batch : DataFrame
        Shares with a result: `session, score, lower, upper, excess`, and the features of `BASELINES`; a
        share without a value is in the middle.
    published : str
        Name of the ranking by `score`.
    """
    rankings = {
        published: batch["score"],
        **{name: _rank_by(batch, *rule) for name, rule in BASELINES.items()},
    }
    inside = coverage(batch) if len(batch) else None
    return [
        Judgement(
            model=name,
            symbols=len(batch),
            rank_ic=_only(daily_rank_ic(batch.assign(score=score))),
            coverage=inside if name == published else None,
        )
        for name, score in rankings.items()
    ]


def mean_rank_ic(values: NDArray[np.float64], positions: Positions, *, horizon: int) -> MeanIC:
    """Mean of daily rank ICs whose results overlap; see the module's description.

    Parameters
    ----------
    values : array, shape (n,)
        Rank ICs, n at least 1.
    positions : integer array, shape (n,)
        Places of their sessions among all trading sessions.
    horizon : int
        Sessions that a result runs over.

    Examples
    --------
    A month of daily ICs around 0.1 is one observation and proves nothing; three years do:

    >>> daily = 0.1 + 0.05 * np.sin(np.arange(756) / 20)
    >>> month, years = (mean_rank_ic(daily[:n], np.arange(n), horizon=63) for n in (21, 756))
    >>> month.lower, month.upper, month.skill, round(month.independent, 1)
    (-1.0, 1.0, 'unproven', 1.1)
    >>> round(years.lower, 2), round(years.upper, 2), years.skill, round(years.independent, 1)
    (0.08, 0.12, 'proven', 12.3)
    """
    distance = np.abs(positions[:, None] - positions[None, :])
    overlap = float(np.maximum(0.0, 1 - distance / horizon).mean())
    mean, independent = float(values.mean()), 1 / overlap
    if overlap == 1.0:
        return MeanIC(mean, -1.0, 1.0, independent)
    error = math.sqrt(float(values.var()) / (1 - overlap) * overlap)
    reach = error * float(stdtrit(independent - 1, (1 + _LEVEL) / 2))
    return MeanIC(mean, max(mean - reach, -1.0), min(mean + reach, 1.0), independent)


def pooled_coverage(judged: pd.DataFrame) -> float | None:
    """Share of all results of some sessions inside their interval, from `coverage` and `symbols` of each."""
    known = judged[judged["coverage"].notna()]
    if not known["symbols"].sum():
        return None
    return float(np.average(known["coverage"].astype(float), weights=known["symbols"]))


def describe_skill(found: MeanIC, sessions: Sequence[object]) -> dict[str, str]:
    """Say in a sentence, in English and Turkish, whether the ranks had skill.

    Parameters
    ----------
    found : MeanIC
        Of the published ranks.
    sessions : sequence of date
        The judged sessions, oldest first.

    Examples
    --------
    >>> words = describe_skill(MeanIC(0.11, 0.04, 0.18, 4.3), ["2023-03-29", "2024-03-28"])
    >>> words["en"]
    'Over 2 sessions from 2023-03-29 to 2024-03-28 the ranks had skill: mean rank IC +0.110, 95 % interval...'
    """
    proven, first, last = found.skill == "proven", sessions[0], sessions[-1]
    mean, lower, upper = (f"{value:+.3f}" for value in (found.rank_ic, found.lower, found.upper))
    worth = f"{found.independent:.1f}"
    en = (
        f"Over {len(sessions)} sessions from {first} to {last} the ranks had"
        f" {'skill' if proven else 'no proven skill'}: mean rank IC {mean},"
        f" 95 % interval {lower} to {upper} (worth {worth} independent results)."
    )
    mean, lower, upper, worth = (text.replace(".", ",") for text in (mean, lower, upper, worth))
    tr = (
        f"{first} ile {last} arasındaki {len(sessions)} seansta sıralamanın isabeti"
        f" {'kanıtlandı' if proven else 'kanıtlanamadı'}: ortalama sıra korelasyonu {mean},"
        f" %95 güven aralığı {lower} ile {upper} arası ({worth} bağımsız sonuca denk)."
    )
    return {"en": en, "tr": tr}


def _rank_by(batch: pd.DataFrame, feature: str, sign: int) -> pd.Series:
    return sign * batch[feature].fillna(NEUTRAL_RANK)


def _only(ic: pd.Series) -> float | None:
    return None if ic.empty else float(ic.iloc[0])
