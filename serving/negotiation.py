"""What a client asks for by its headers: JSON or CSV, Turkish or English."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal

Language = Literal["en", "tr"]

JSON, CSV = "application/json", "text/csv"

_WEIGHT = re.compile(r"q=([01](?:\.[0-9]{0,3})?)")


@lru_cache(256)
def choose_media_type(accept: str, offered: Sequence[str]) -> str | None:
    """Return the media type that `Accept` wants most, the first of equals; None where it wants no other.

    >>> choose_media_type("text/csv, application/json;q=0.9", (JSON, CSV))
    'text/csv'
    >>> choose_media_type("", (JSON, CSV)), choose_media_type("image/png", (JSON, CSV))
    ('application/json', None)
    """
    weights = _weigh(accept or "*/*")

    def wanted(media_type: str) -> float:
        # The most precise range that fits counts.
        ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
        return next((weights[each] for each in ranges if each in weights), 0.0)

    best = max(offered, key=wanted)
    return best if wanted(best) > 0 else None


@lru_cache(256)
def choose_language(accept_language: str) -> Language:
    """Return Turkish where it is wanted more than English, else English.

    >>> choose_language("tr-TR,tr;q=0.9,en;q=0.8"), choose_language("en, tr;q=0.5"), choose_language("de")
    ('tr', 'en', 'en')
    """
    wanted = {"en": 0.0, "tr": 0.0}
    for tag, weight in _weigh(accept_language).items():
        base = tag.partition("-")[0]
        wanted[base] = max(weight, wanted.get(base, 0.0))
    return "tr" if wanted["tr"] > wanted["en"] else "en"


def _weigh(header: str) -> Mapping[str, float]:
    weights = {}
    for part in header.lower().split(","):
        value, _, parameters = part.partition(";")
        found = _WEIGHT.search(parameters.replace(" ", ""))
        weights[value.strip()] = float(found[1]) if found else 1.0
    return weights
