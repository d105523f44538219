"""The data-health report of a session as a value: what `health` computes, and `reports` lays out."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict, dataclass
from typing import Any

from bist_pipeline.market.cleaning import RuleCount
from bist_pipeline.market.gaps import Gap

# A session is poor below these shares of listed names with a bar, of bars with a volume, and of usual volume.
# Half days and the dullest session of 2020-2024 had 0.2 of the usual volume.
MIN_PRICED = 0.90
MIN_TRADED = 0.80
MIN_VOLUME = 0.10

# Unit of each figure that is known of every share of a session; fractions are of 1.
FIGURES = {
    "day_change": "fraction",
    "quarter_change": "fraction",
    "day_range": "fraction",
    "volatility": "fraction",
    "traded_value": "TRY",
    "volume_to_usual": "times",
}
# These spread over orders of magnitude: their classes are equally wide as logarithms.
LOGARITHMIC = ("traded_value", "volume_to_usual")


@dataclass(frozen=True)
class Completeness:
    """How many shares were listed in a session, had a bar, and had one with a volume.

    `volume_to_usual` is the median over shares of their volume divided by its median of the quarter before.
    """

    session: dt.date
    listed: int
    priced: int
    traded: int
    volume_to_usual: float | None

    @property
    def is_poor(self) -> bool:
        """Whether so much is missing that the feed, not the market, is the likely reason."""
        return (
            self.priced < MIN_PRICED * self.listed
            or self.traded < MIN_TRADED * self.priced
            or (self.volume_to_usual is not None and self.volume_to_usual < MIN_VOLUME)
        )


@dataclass(frozen=True)
class Move:
    """Change of a close since the bar before, as a fraction.

    `kind` is `beyond_limit` (set aside by cleaning), `at_limit` or empty; `volume_to_usual` is the volume
    over its median of the quarter before, None where either is unknown.
    """

    symbol: str
    session: dt.date
    change: float
    kind: str
    volume_to_usual: float | None


@dataclass(frozen=True)
class Gain:
    """Change of a share over the quarter that ends at the session, as a fraction.

    `path` is the change since its start at each of the 64 closes, None where there is none; `is_repaired`
    says that a move inside the quarter was set aside and counts as the market's median.
    """

    symbol: str
    sector: str
    change: float
    is_repaired: bool
    path: tuple[float | None, ...]


@dataclass(frozen=True)
class MissingValues:
    """Rows of the session without a value in a column, and the share of such rows in the year before."""

    column: str
    rows: int
    missing: int
    usual_share: float | None


@dataclass(frozen=True)
class Sector:
    """Number of shares of a sector and the median of their changes over the quarter."""

    sector: str
    shares: int
    quarter_change: float | None


@dataclass(frozen=True)
class Distribution:
    """Values of one figure across the shares of the session.

    `quantiles` are minimum, 5 %, median, 95 %, maximum; `counts` belong to the classes between `edges`, of
    which the outermost hold everything beyond them. Both are empty where nothing is known.
    """

    figure: str
    unit: str
    shares: int
    quantiles: tuple[float, ...]
    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class HealthReport:
    """Everything the report of a session says; see the classes of its parts.

    Parameters
    ----------
    session, first_session : date
        The session, and the first one that repairs, gaps and set-aside moves are counted from.
    completeness : tuple of Completeness
        At most 252 sessions, the report's own last.
    gaps : tuple of Gap
        Open ones first, then those with most bars missing.
    missing_values : tuple of MissingValues
        By column, and of zero volumes.
    refused : tuple of RuleCount
        Rows that break the price contract and never entered the lake.
    repairs : tuple of RuleCount
        What cleaning repaired, set aside or flagged.
    risers, fallers : tuple of Move
        Largest changes of the session, largest first.
    set_aside : tuple of Move
        Moves no trade can make, newest first.
    quarter_start : date or None
        Close that gains are counted from; None where the history is shorter than a quarter.
    gained, lost : tuple of Gain
        Best and worst shares over the quarter, most extreme first.
    sectors : tuple of Sector
        Largest first.
    distributions : tuple of Distribution
        One for each of `FIGURES`.
    correlations : tuple of tuple of float or None
        Spearman's, between `FIGURES` in their order; None where either is hardly known.
    """

    session: dt.date
    first_session: dt.date
    completeness: tuple[Completeness, ...]
    gaps: tuple[Gap, ...]
    missing_values: tuple[MissingValues, ...]
    refused: tuple[RuleCount, ...]
    repairs: tuple[RuleCount, ...]
    risers: tuple[Move, ...]
    fallers: tuple[Move, ...]
    set_aside: tuple[Move, ...]
    quarter_start: dt.date | None
    gained: tuple[Gain, ...]
    lost: tuple[Gain, ...]
    sectors: tuple[Sector, ...]
    distributions: tuple[Distribution, ...]
    correlations: tuple[tuple[float | None, ...], ...]

    @property
    def today(self) -> Completeness:
        """Completeness of the report's session."""
        return self.completeness[-1]

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON types: dates as ISO text, unknown numbers as None."""
        plain: dict[str, Any] = json.loads(
            json.dumps(asdict(self), default=dt.date.isoformat, allow_nan=False)
        )
        return plain
