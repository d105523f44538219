"""The table of ranks as its reader asked for it: search, filters, order and page, all in the address."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from bist_pipeline.store.read import Prediction

PAGE_ROWS = 50
_LONGEST_SEARCH = 60

# What a column is ordered by, and whether its first click shows the largest values on top.
_ORDERS: Mapping[str, tuple[Callable[[Prediction], Any], bool]] = {
    "rank": (lambda share: share.rank, False),
    "symbol": (lambda share: share.symbol, False),
    "sector": (lambda share: (share.sector, share.rank), False),
    "expected": (lambda share: share.expected_excess_return, True),
    "lower": (lambda share: share.lower, True),
    "width": (lambda share: share.upper - share.lower, False),
}


@dataclass(frozen=True)
class Asked:
    """What the address asks for; anything it cannot mean falls back to the whole table by rank.

    Parameters
    ----------
    search : str
        Part of a symbol or of a name.
    sector : str
        Empty for all.
    tradable : bool
        Only shares that can be traded.
    order : str
        A column.
    descending : bool
        Largest first.
    page : int
        From 1.
    """

    search: str = ""
    sector: str = ""
    tradable: bool = False
    order: str = "rank"
    descending: bool = False
    page: int = 1

    @property
    def is_filtered(self) -> bool:
        """Whether some shares may be hidden."""
        return bool(self.search or self.sector or self.tradable)

    @property
    def sort(self) -> str:
        """The order as addresses spell it: a column, after a minus sign if the largest come first."""
        return f"-{self.order}" if self.descending else self.order

    def address(self, **changes: Any) -> str:
        """Return the address of this table with some things changed, defaults left out.

        >>> Asked(search="thy").address(page=2)
        '/?q=thy&page=2'
        """
        wanted = replace(self, **changes)
        parts = {
            "q": wanted.search,
            "sector": wanted.sector,
            "tradable": "1" if wanted.tradable else "",
            "sort": "" if wanted.sort == "rank" else wanted.sort,
            "page": str(wanted.page) if wanted.page > 1 else "",
        }
        query = urlencode({name: value for name, value in parts.items() if value})
        return f"/?{query}" if query else "/"

    def address_sorted_by(self, column: str) -> str:
        """Return the address that a click on a column's head leads to: its order, or the reverse of it."""
        _, largest_first = _ORDERS[column]
        descending = not self.descending if column == self.order else largest_first
        return self.address(order=column, descending=descending, page=1)

    def aria_sort(self, column: str) -> str:
        """Return the order of a column as screen readers name it."""
        if column != self.order:
            return "none"
        return "descending" if self.descending else "ascending"


@dataclass(frozen=True)
class Page:
    """The shares to show, of `matched` that fit; `first` and `last` count them from 1."""

    shares: Sequence[Prediction]
    matched: int
    number: int
    pages: int

    @property
    def first(self) -> int:
        """Place of the first share shown."""
        return (self.number - 1) * PAGE_ROWS + 1

    @property
    def last(self) -> int:
        """Place of the last share shown."""
        return self.first + len(self.shares) - 1


def parse_address(query: Mapping[str, str]) -> Asked:
    """Read what a table's address asks for.

    >>> parse_address({"q": " thy ", "sort": "-expected", "page": "x"})
    Asked(search='thy', sector='', tradable=False, order='expected', descending=True, page=1)
    """
    sort, page = query.get("sort", ""), query.get("page", "")
    order = sort.removeprefix("-")
    return Asked(
        search=query.get("q", "").strip()[:_LONGEST_SEARCH],
        sector=query.get("sector", ""),
        tradable=query.get("tradable", "") == "1",
        order=order if order in _ORDERS else "rank",
        descending=sort.startswith("-") and order in _ORDERS,
        page=int(page) if page.isdecimal() and len(page) < 5 else 1,
    )


def select_page(shares: Sequence[Prediction], asked: Asked) -> Page:
    """Filter and order a batch, and cut out the asked page; a page beyond the last one is the last one."""
    wanted = fold(asked.search)
    fitting = [
        share
        for share in shares
        if (not asked.sector or share.sector == asked.sector)
        and (not asked.tradable or share.tradable)
        and (wanted in fold(share.symbol) or wanted in fold(share.name or ""))
    ]
    key, _ = _ORDERS[asked.order]
    fitting.sort(key=key, reverse=asked.descending)
    pages = max(-(-len(fitting) // PAGE_ROWS), 1)
    number = min(max(asked.page, 1), pages)
    shown = fitting[(number - 1) * PAGE_ROWS : number * PAGE_ROWS]
    return Page(shown, len(fitting), number, pages)


def fold(text: str) -> str:
    """Reduce text to what people mean when they search: no case, no accents, dotted and dotless i alike.

    >>> fold("Şişecam ISI") == fold("sisecam ısı")
    True
    """
    letters = unicodedata.normalize("NFKD", text.replace("ı", "i").casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
