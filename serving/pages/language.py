"""Turkish and English: which of them a reader wants, its texts, and how it writes numbers and dates."""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import floor, log10
from pathlib import Path
from typing import Any

from fastapi import Request

from serving import negotiation

CODES: tuple[negotiation.Language, ...] = ("tr", "en")
COOKIE = "lang"

# Turkey has stayed on summer time since 2016: no table of time zones is needed.
_ISTANBUL = dt.timezone(dt.timedelta(hours=3))
_TEXTS = Path(__file__).parents[1] / "templates/texts"
_MINUS = "\N{MINUS SIGN}"
_SWAP = str.maketrans(",.", ".,")


@dataclass(frozen=True)
class Language:
    """Texts and formats of one language.

    Parameters
    ----------
    code : str
        `tr` or `en`.
    texts : mapping of str to object
        The parsed file of texts; sections nest.
    """

    code: negotiation.Language
    texts: Mapping[str, Any]

    def __call__(self, key: str, **values: Any) -> str:
        """Return the text `section.name`, its `{placeholders}` filled; a missing one is a KeyError.

        >>> load_language("en")("frame.behind", n=3)
        '3 sessions behind'
        """
        text = self.look_up(key)
        if text is None:
            raise KeyError(f"no {self.code} text {key!r}")
        return text.format(**values)

    def look_up(self, key: str) -> str | None:
        """Return a text that need not exist, as it is stored."""
        found: Any = self.texts
        for part in key.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return found if isinstance(found, str) else None

    def number(self, value: float, digits: int = 0, *, signed: bool = False) -> str:
        """Write a number; a sign is a real minus, and a rounded zero has none.

        >>> load_language("tr").number(-1234.5, 1), load_language("en").number(0.123, 2, signed=True)
        ('−1.234,5', '+0.12')
        """
        text = f"{abs(value):,.{digits}f}"
        sign = _sign(value, text, signed=signed)
        return sign + (text.translate(_SWAP) if self.code == "tr" else text)

    def percent(self, fraction: float, digits: int = 1, *, signed: bool = False) -> str:
        """Write a fraction in per cent, as the language does.

        >>> load_language("tr").percent(-0.0412, signed=True), load_language("en").percent(0.8, 0)
        ('−%4,1', '80%')
        """
        text = self.number(abs(fraction) * 100, digits)
        sign = _sign(fraction, text, signed=signed)
        return f"{sign}%{text}" if self.code == "tr" else f"{sign}{text}%"

    def figure(self, value: float) -> str:
        """Write a number whose size can be anything, with about three significant digits.

        >>> [load_language("en").figure(value) for value in (1234.5, 0.02134, 0.0, -3.0)]
        ['1,234', '0.0213', '0', '−3.00']
        """
        if not value:
            return "0"
        return self.number(value, min(max(2 - floor(log10(abs(value))), 0), 8))

    def price(self, value: float) -> str:
        """Write an amount in TRY.

        >>> load_language("tr").price(1312.5)
        '₺1.312,50'
        """
        return f"₺{self.number(value, 2 if value >= 1 else 4)}"

    def date(self, day: dt.date, *, short: bool = False) -> str:
        """Write a date.

        >>> load_language("tr").date(dt.date(2024, 6, 28)), load_language("en").date(dt.date(2024, 6, 28))
        ('28 Haziran 2024', '28 June 2024')
        """
        names = self.texts["date"]["months_short" if short else "months"]
        return f"{day.day} {names[day.month - 1]} {day.year}"

    def weekday(self, day: dt.date) -> str:
        """Name the day of the week."""
        name: str = self.texts["date"]["weekdays"][day.weekday()]
        return name

    def time(self, moment: dt.datetime) -> str:
        """Write date and time of an aware time, as clocks in Istanbul show it."""
        local = moment.astimezone(_ISTANBUL)
        return f"{self.date(local.date(), short=True)} {local:%H:%M}"


@cache
def load_language(code: negotiation.Language) -> Language:
    """Read the texts of a language, once."""
    return Language(code, tomllib.loads((_TEXTS / f"{code}.toml").read_text(encoding="utf-8")))


def choose_language(request: Request) -> Language:
    """Take the language from `?lang=`, else from the reader's earlier choice, else from the browser's."""
    for wanted in (request.query_params.get(COOKIE), request.cookies.get(COOKIE)):
        for code in CODES:
            if wanted == code:
                return load_language(code)
    return load_language(negotiation.choose_language(request.headers.get("accept-language", "")))


def _sign(value: float, text: str, *, signed: bool) -> str:
    if not text.strip("0.,"):
        return ""
    return _MINUS if value < 0 else "+" if signed else ""
