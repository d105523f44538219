"""One share, however people type it."""

from __future__ import annotations

import unicodedata


def normalize_symbol(text: str) -> str:
    """Return the bare symbol as the exchange spells it: ASCII capitals, no Yahoo suffix.

    Full-width letters, Turkish letters (dotted and dotless i among them) and case all lead to the same
    share. What no symbol can be is returned as well, and simply will not be found.

    >>> [normalize_symbol(text) for text in ("thyao", "THYAO.IS", "ＴＨＹＡＯ", "şişe", "ısctr", "İSCTR")]
    ['THYAO', 'THYAO', 'THYAO', 'SISE', 'ISCTR', 'ISCTR']
    """
    # NFKD splits a letter from its marks (İ is I and a dot above) and turns full-width letters into ASCII.
    letters = unicodedata.normalize("NFKD", text.strip().upper())
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return bare.removesuffix(".IS")
