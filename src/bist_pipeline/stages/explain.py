"""Explain: why a share has its rank, in words, and what became of it once its horizon has passed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.contracts import kind_of
from bist_pipeline.errors import MissingDataError
from bist_pipeline.features.wording import name_feature
from bist_pipeline.lake import open_lake
from bist_pipeline.market.cleaning import Cleaned
from bist_pipeline.market.universe import compute_tradable
from bist_pipeline.stages.inputs import open_store, read_market
from bist_pipeline.store.engine import connect
from bist_pipeline.store.read import read_newest_publication, read_result
from bist_pipeline.store.read.stored_runs import StoredRun, read_published_run

_NOTHING = "Nothing was changed."
# Subtractions in another order: the last digits may differ.
_TOLERANCE = 1e-12


@dataclass(frozen=True)
class Outcome:
    """A share's label by hand: two closes, the median of the tradable shares, and their difference.

    `stored` is what the evaluation wrote, None where it has not run; `is_equal` compares the two.
    """

    matured_on: dt.date
    close: float
    close_later: float
    share_return: float
    universe_median: float
    universe: int
    excess: float
    stored: float | None

    @property
    def is_equal(self) -> bool | None:
        """Whether the stored result is this one."""
        return None if self.stored is None else abs(self.stored - self.excess) <= _TOLERANCE


@dataclass(frozen=True)
class Explanation:
    """One share of a published batch. `outcome` is None until `matures_on`, or if it has no price then."""

    symbol: str
    session: dt.date
    run_id: str
    kind: str
    horizon_sessions: int
    rank: int
    universe: int
    percentile: float
    tradable: bool
    expected_excess_return: float
    lower: float
    upper: float
    model_name: str
    model_version: str
    drivers: Sequence[Mapping[str, Any]]
    matures_on: dt.date | None
    outcome: Outcome | None

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON types; dates as text."""
        facts = {name: _plain(value) for name, value in asdict(self).items()}
        if self.outcome:
            told = {name: _plain(value) for name, value in asdict(self.outcome).items()}
            facts["outcome"] = {**told, "equal": self.outcome.is_equal}
        return facts


def explain(settings: Settings, symbol: str, session: dt.date | None) -> Explanation:
    """Explain the published rank of a share, the newest by default, and reproduce its label from prices.

    Raises
    ------
    MissingDataError
        If nothing is published for that session, or the share is not among the ranked ones; it names those
        that are spelt alike.
    """
    store = open_store(settings)
    with connect(store) as connection:
        run = read_published_run(connection, settings.source, session)
        newest = read_newest_publication(connection, settings.source)
    if run is None:
        raise _not_published(settings, session, newest)
    row = _require_row(run, symbol)
    horizon = row["horizon_sessions"]
    with connect(store) as connection:
        result = read_result(connection, run.source, run.session, row["symbol"], horizon=horizon)
    is_forecast = kind_of(run.source) == "forecast"
    matures_on = bist_calendar().offset(run.session, horizon) if is_forecast else None
    names = ("rank", "percentile", "tradable", "expected_excess_return", "lower", "upper", "drivers")
    return Explanation(
        symbol=row["symbol"],
        session=run.session,
        run_id=run.run_id,
        kind=kind_of(run.source),
        horizon_sessions=horizon,
        universe=len(run.rows),
        model_name=run.model_name,
        model_version=run.model_version,
        **{name: row[name] for name in names},
        matures_on=matures_on,
        outcome=_find_outcome(settings, run.session, matures_on, row["symbol"], result)
        if matures_on
        else None,
    )


def say_drivers(drivers: Sequence[Mapping[str, Any]], language: str = "en") -> list[str]:
    """Return the sentences of drivers; of a batch from before there were any, names and contributions."""
    return [
        driver["text"][language]
        if "text" in driver
        else f"{name_feature(driver['feature'].removesuffix('_rank'))[language == 'tr']}:"
        f" {driver['contribution']:+.3f}"
        for driver in drivers
    ]


def reproduce_label(market: Cleaned, session: dt.date, later: dt.date, symbol: str) -> Outcome | None:
    """Compute one label from two rows of closes; None where the share has no price at either end."""
    panel = market.panel
    start, end = (int(np.searchsorted(panel.sessions, np.datetime64(day, "D"))) for day in (session, later))
    place = int(np.searchsorted(panel.symbols, symbol))
    if place == len(panel.symbols) or panel.symbols[place] != symbol:
        return None
    returns = panel.close[end] / panel.close[start] - 1
    peers = returns[compute_tradable(market)[start] & np.isfinite(returns)]
    if not np.isfinite(returns[place]) or not peers.size:
        return None
    median = float(np.median(peers))
    return Outcome(
        matured_on=later,
        close=float(panel.close[start, place]),
        close_later=float(panel.close[end, place]),
        share_return=float(returns[place]),
        universe_median=median,
        universe=int(peers.size),
        excess=float(returns[place]) - median,
        stored=None,
    )


def _find_outcome(
    settings: Settings, session: dt.date, later: dt.date, symbol: str, stored: float | None
) -> Outcome | None:
    held = open_lake(settings).head("prices")
    if held is None or not held.parts or held.last < str(later):
        return None
    # All prices up to the day on which the label was known, as the evaluation of that day has them.
    label = reproduce_label(read_market(settings, later), session, later, symbol)
    return None if label is None else Outcome(**{**asdict(label), "stored": stored})


def _require_row(run: StoredRun, symbol: str) -> Mapping[str, Any]:
    ranked = {row["symbol"]: row for row in run.rows}
    asked = symbol.strip().upper().removesuffix(".IS")
    if asked not in ranked:
        near = get_close_matches(asked, ranked, n=3, cutoff=0.5)
        raise MissingDataError(
            f"{symbol} is not among the {len(ranked)} shares ranked on {run.session}.",
            which=near,
            consequence=_NOTHING,
            next_step=f"bist explain {near[0]}" if near else "bist top --limit 1000",
        )
    return ranked[asked]


def _not_published(settings: Settings, session: dt.date | None, newest: dt.date | None) -> MissingDataError:
    wanted, there_is = f" for {session}" if session else "", f"; the newest are of {newest}" if newest else ""
    return MissingDataError(
        f"No ranks of the source {settings.source} are published{wanted}{there_is}.",
        consequence=_NOTHING,
        next_step=f"bist run --session {session}" if session else "bist run",
    )


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.date) else value
