"""One text in English and Turkish: who finds something says it in both, readers see theirs.

Numbers differ, too: English writes 2.1%, Turkish %2,1. `say` fills a sentence with them in both languages.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_SWAP = str.maketrans(",.", ".,")


@dataclass(frozen=True)
class Wording:
    """The same text in English and Turkish; as a string it is the English one, for logs and errors.

    >>> str(Wording("fine", "uygun"))
    'fine'
    """

    en: str
    tr: str

    def __str__(self) -> str:
        return self.en

    def as_json(self) -> dict[str, str]:
        """Return `{en, tr}`, as it is stored and served."""
        return {"en": self.en, "tr": self.tr}

    def lines(self) -> tuple[Wording, ...]:
        r"""Return the lines of a text, of which both languages have the same number.

        >>> join([Wording("a", "b"), Wording("c", "d")], by="\n").lines()
        (Wording(en='a', tr='b'), Wording(en='c', tr='d'))
        """
        pairs = zip(self.en.splitlines(), self.tr.splitlines(), strict=True)
        return tuple(Wording(en, tr) for en, tr in pairs)


def say(en: str, tr: str, **values: object) -> Wording:
    """Fill the places of a sentence; values that are a `Wording` themselves stand in each language.

    >>> say("{share} of {n} shares.", "{n} hissenin {share} kadarı.", share=say_percent(0.021), n=40)
    Wording(en='2.1% of 40 shares.', tr='40 hissenin %2,1 kadarı.')
    """
    english = {name: value.en if isinstance(value, Wording) else value for name, value in values.items()}
    turkish = {name: value.tr if isinstance(value, Wording) else value for name, value in values.items()}
    return Wording(en.format(**english), tr.format(**turkish))


def say_number(value: float, digits: int = 0, *, signed: bool = False) -> Wording:
    """Write a number; the minus is a real one, and a rounded zero has none.

    >>> say_number(-1234.5, 1)
    Wording(en='−1,234.5', tr='−1.234,5')
    """
    text = f"{value:{'+' if signed else ''}z,.{digits}f}".replace("-", "−")
    return Wording(text, text.translate(_SWAP))


def say_percent(fraction: float, digits: int = 1) -> Wording:
    """Write a fraction in per cent; Turkish puts the sign before the number, and the minus before both.

    >>> say_percent(-0.0412)
    Wording(en='−4.1%', tr='−%4,1')
    """
    number = say_number(100 * fraction, digits)
    return Wording(f"{number.en}%", f"%{number.tr}".replace("%−", "−%"))


def join(parts: Iterable[Wording], *, by: str = " ") -> Wording:
    """Join texts, with the same between them in both languages."""
    kept = tuple(parts)
    return Wording(by.join(part.en for part in kept), by.join(part.tr for part in kept))
