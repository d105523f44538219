"""The report on a snapshot as one HTML page: Turkish and English, no script, nothing from other hosts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from bist_pipeline.contracts import SNAPSHOT_TARGET, Kind, kind_of
from bist_pipeline.market.cleaning import RuleCount

# Each text in English and Turkish.
RULES = {
    "infinite_number": ("Infinite number: the column's extreme", "Sonsuz sayı: sütunun en uç değeri"),
    "column_mostly_missing": (
        "Column with more than half missing: dropped",
        "Yarıdan fazlası boş sütun: çıkarıldı",
    ),
    "missing_number": (
        "Missing number: mean of the sector, else of all",
        "Boş sayı: sektörün, yoksa tümünün ortalaması",
    ),
    "missing_text": ("Missing text: N/A", "Boş metin: N/A"),
    "unknown_target": (
        "Past change unknown: estimated, not learned from",
        "Geçmiş değişimi bilinmeyen: kestirildi, öğrenmede kullanılmadı",
    ),
}


@dataclass(frozen=True)
class RankedShare:
    """A share with what it did (change in per cent, None where unknown) and its estimate (a fraction)."""

    rank: int
    symbol: str
    sector: str
    change_pct: float | None
    expected_excess_return: float
    lower: float
    upper: float


@dataclass(frozen=True)
class SnapshotReport:
    """What was learned from a snapshot, and what that is worth.

    `metrics` are those of the registered model: `r2`, `mae` and `coverage`, each `_with_window` and
    `_without_window`. `predictors` are the columns it uses, `without_window` those of the other model.
    """

    session: dt.date
    source: str
    model: str
    metrics: Mapping[str, float]
    predictors: Sequence[str]
    without_window: Sequence[str]
    rules: tuple[RuleCount, ...]
    shares: tuple[RankedShare, ...]

    @property
    def kind(self) -> Kind:
        """What the estimates are."""
        return kind_of(self.source)

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"kind": self.kind, **asdict(self), "session": self.session.isoformat()}


def rank_shares(shares: pd.DataFrame, estimates: pd.DataFrame) -> tuple[RankedShare, ...]:
    """Put the estimates, which need the column `symbol`, beside what the shares did, best estimate first."""
    rows = shares[["symbol", "Sektor", SNAPSHOT_TARGET]].merge(estimates, on="symbol")
    ordered = rows.sort_values(["expected_excess_return", "symbol"], ascending=[False, True])
    return tuple(
        RankedShare(
            rank=rank,
            symbol=row["symbol"],
            sector=row["Sektor"] or "",
            change_pct=None if pd.isna(row[SNAPSHOT_TARGET]) else row[SNAPSHOT_TARGET],
            expected_excess_return=row["expected_excess_return"],
            lower=row["lower"],
            upper=row["upper"],
        )
        for rank, row in enumerate(ordered.to_dict("records"), start=1)
    )


def render_snapshot(report: SnapshotReport) -> str:
    """Lay out the report; the same values always give the same page."""
    known = [(share.change_pct, share) for share in report.shares if share.change_pct is not None]
    moves = [share for _, share in sorted(known, key=lambda pair: pair[0], reverse=True)]
    environment = Environment(
        loader=PackageLoader("bist_pipeline.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("snapshot.html")
    return page.render(report=report, gained=moves[:10], lost=moves[:-11:-1], known=len(moves), rules=RULES)
