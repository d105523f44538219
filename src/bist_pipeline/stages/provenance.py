"""What the features of a session were made from, so that a run can be repeated on exactly that.

The lake's data set `provenance` holds, for every session, the content hash of its features beside those of
the prices, reported figures and trading calendar up to it. Prices that arrive between features and scores
belong to the next run.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.errors import MissingDataError
from bist_pipeline.lake import Lake, Version
from bist_pipeline.market.cleaning import Cleaned, clean
from bist_pipeline.market.panel import build_panel
from bist_pipeline.stages.inputs import require_prices

_MARKET = "BIST"


@dataclass(frozen=True)
class Origin:
    """Content hashes of all that is known up to a session; `facts` is empty without reported figures."""

    prices: str
    facts: str
    calendar: str


@dataclass(frozen=True)
class Pinned:
    """The versions of one moment, whatever is written to the lake meanwhile."""

    prices: Version
    facts: Version | None
    calendar: Version

    def at(self, session: dt.date) -> Origin:
        """Return their hashes up to a session."""
        return Origin(**{name: hashes[0] for name, hashes in self._hashes([str(session)]).items()})

    def table(self, features: Version, days: Sequence[str]) -> pd.DataFrame:
        """Lay out the hashes of these days (ISO dates, in order) beside those of their features."""
        rows = {"features": [features.sessions[day] for day in days], **self._hashes(days)}
        return _keyed(days, rows)

    def _hashes(self, days: Sequence[str]) -> dict[str, list[str]]:
        facts = self.facts.hashes_until(days) if self.facts else [""] * len(days)
        return {
            "prices": self.prices.hashes_until(days),
            "facts": facts,
            "calendar": self.calendar.hashes_until(days),
        }


def pin_inputs(lake: Lake, session: dt.date) -> Pinned:
    """Hold on to what the lake knows now, for computing features up to `session`.

    Raises
    ------
    MissingDataError
        If nothing was ingested yet.
    SessionOutOfRangeError
        If the ingested prices do not reach `session`.
    """
    prices, facts = require_prices(lake, session), lake.head("fundamentals")
    first = dt.date.fromisoformat(prices.first)
    days = [str(day) for day in bist_calendar().between(first, session)]
    lake.write("calendar", _keyed(days, {}), covers=(first, session))
    return Pinned(prices, facts if facts and facts.parts else None, lake.require("calendar"))


def read_origin_market(lake: Lake, session: dt.date, origin: Origin) -> tuple[Cleaned, pd.DataFrame | None]:
    """Read and clean the prices up to `session` as they were, with the reported figures of the time.

    Raises
    ------
    MissingDataError
        If the lake keeps no version with that content.
    """
    prices = lake.read("prices", until=session, version=origin.prices)
    days = lake.read("calendar", until=session, version=origin.calendar, columns=["session"])
    sessions = days["session"].to_numpy().astype("datetime64[D]")
    market = clean(build_panel(prices, sessions[sessions >= prices["session"].iloc[0].to_datetime64()]))
    if not origin.facts:
        return market, None
    return market, lake.read("fundamentals", until=session, version=origin.facts)


def write_origins(lake: Lake, session: dt.date, pinned: Pinned, features_hash: str) -> None:
    """Note what the features up to `session`, written with this hash, were made from."""
    features = lake.require("features")
    if features.hash_until(session) != features_hash:
        return  # somebody else has written features since, and notes their origin
    days = [day for day in sorted(features.sessions) if day <= str(session)]
    covers = (dt.date.fromisoformat(days[0]), session)
    lake.write("provenance", pinned.table(features, days), covers=covers)


def read_origin(lake: Lake, session: dt.date) -> tuple[Origin, str]:
    """Return what the features of `session` were made from, and the version that holds them.

    Raises
    ------
    MissingDataError
        If there are no features of that session, or nobody noted what they were made from.
    """
    features = lake.require("features")
    held = features.sessions.get(str(session))
    if held is None:
        raise _not_computed(f"The lake holds no features for {session}.", session)
    noted = lake.head("provenance")
    rows = lake.read("provenance", since=session, until=session) if noted and noted.parts else pd.DataFrame()
    if rows.empty or rows["features"].iloc[0] != held:
        raise _not_computed(
            f"It is not known which prices the features of {session} were made from.", session
        )
    row = rows.iloc[0]
    return Origin(row["prices"], row["facts"], row["calendar"]), features.hash_until(session)


def _keyed(days: Sequence[str], columns: dict[str, list[str]]) -> pd.DataFrame:
    keys = {"session": pd.to_datetime(list(days)).as_unit("ns"), "symbol": _MARKET}
    return pd.DataFrame({**keys, **columns}).astype(dict.fromkeys(["symbol", *columns], object))


def _not_computed(what: str, session: dt.date) -> MissingDataError:
    return MissingDataError(what, next_step=f"bist features --session {session}")
