"""One published batch in memory, its shares encoded once: filters, orders and pages only join the pieces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any, Literal

from bist_pipeline.store import read
from serving.answers.shares import Prediction, Publication
from serving.tables import columns_of, encode_header, encode_row

Sort = Literal[
    "rank",
    "-rank",
    "symbol",
    "-symbol",
    "sector",
    "-sector",
    "score",
    "-score",
    "expected_excess_return",
    "-expected_excess_return",
    "lower",
    "-lower",
    "upper",
    "-upper",
]


@dataclass(frozen=True)
class Share:
    """One share, ready to be sent."""

    facts: read.Prediction
    json: bytes
    csv: bytes


@dataclass(frozen=True)
class Page:
    """Some of the shares that match, in order; `last` is the paging key, None where nothing follows."""

    shares: Sequence[Share]
    matched: int
    last: int | None


@dataclass(frozen=True)
class Board:
    """A batch with all its shares, best rank first."""

    publication: read.Publication
    head: Publication
    shares: tuple[Share, ...]

    @cached_property
    def head_json(self) -> bytes:
        """The publication, encoded."""
        return self.head.model_dump_json().encode()

    @cached_property
    def predictions(self) -> tuple[read.Prediction, ...]:
        """The same shares as they are stored."""
        return tuple(share.facts for share in self.shares)

    @cached_property
    def by_symbol(self) -> Mapping[str, Share]:
        """Every share by its symbol."""
        return {share.facts.symbol: share for share in self.shares}

    @cached_property
    def sectors(self) -> list[str]:
        """The sectors in alphabetical order."""
        return sorted({share.facts.sector for share in self.shares})

    @cached_property
    def _orders(self) -> dict[str, Sequence[Share]]:
        return {"rank": self.shares}

    def select(
        self,
        *,
        symbols: frozenset[str] = frozenset(),
        sector: str | None = None,
        tradable: bool | None = None,
        min_excess: float | None = None,
        sort: Sort = "rank",
        after: int | None = None,
        limit: int,
    ) -> Page:
        """Filter, order and cut.

        Parameters
        ----------
        symbols : frozenset of str
            Exact, as stored; all by default.
        sector, tradable, min_excess
            Keep the shares that have this sector, this flag, at least this expected excess (a fraction).
        sort : Sort
            Field, after a minus sign if the largest come first; equals are ordered by rank.
        after : int, optional
            Start behind the share with this rank in the whole batch, whether it matches or not.
        limit : int
            At most this many shares.
        """

        def matches(share: Share) -> bool:
            facts = share.facts
            return (
                (not symbols or facts.symbol in symbols)
                and (sector is None or facts.sector == sector)
                and (tradable is None or facts.tradable == tradable)
                and (min_excess is None or facts.expected_excess_return >= min_excess)
            )

        ordered = self._order(sort)
        matching = [place for place, share in enumerate(ordered) if matches(share)]
        start = 0 if after is None else _place_behind(ordered, after)
        rest = [place for place in matching if place >= start]
        shown = [ordered[place] for place in rest[:limit]]
        return Page(shown, len(matching), shown[-1].facts.rank if len(rest) > limit else None)

    def _order(self, sort: Sort) -> Sequence[Share]:
        if sort not in self._orders:
            key = attrgetter(f"facts.{sort.removeprefix('-')}")
            self._orders[sort] = sorted(self.shares, key=key, reverse=sort.startswith("-"))
        return self._orders[sort]


def build_board(batch: read.Batch, *, age_sessions: int | None) -> Board:
    """Encode every share of a whole batch."""
    publication = batch.publication
    facts = {**asdict(publication), "kind": publication.kind, "age_sessions": age_sessions}
    lead = lead_of(publication)
    answers = [Prediction.model_validate(prediction) for prediction in batch.predictions]
    shares = tuple(
        Share(prediction, answer.model_dump_json().encode(), encode_row(answer, lead=lead, without="drivers"))
        for prediction, answer in zip(batch.predictions, answers, strict=True)
    )
    return Board(publication, Publication.model_validate(facts), shares)


def lead_of(publication: read.Publication) -> dict[str, Any]:
    """Return what every CSV line says first: a table is passed on without the answer it came in."""
    return {
        "session": publication.session.isoformat(),
        "kind": publication.kind,
        "horizon_sessions": publication.horizon_sessions,
    }


def header_of(publication: read.Publication) -> bytes:
    """Return the first line of a batch as CSV."""
    return encode_header(columns_of(Prediction, lead=lead_of(publication), without="drivers"))


def _place_behind(ordered: Sequence[Share], rank: int) -> int:
    for place, share in enumerate(ordered):
        if share.facts.rank == rank:
            return place + 1
    return len(ordered)
