"""What all report pages share: two languages without a script, and how numbers are written in both."""

from __future__ import annotations

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bist_pipeline.wording import Wording


def open_environment() -> Environment:
    """Open the templates, with the texts and numbers that every page needs."""
    environment = Environment(
        loader=PackageLoader("bist_pipeline.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": as_percent, "change": as_change, "grouped": group_digits}
    environment.globals |= {"t": in_both, "text_of": _text_of, "show": show}
    return environment


def in_both(english: str, turkish: str) -> Markup:
    """Text in both languages, of which the page shows one."""
    return Markup('<span lang="en">{}</span><span lang="tr">{}</span>').format(english, turkish)


def show(words: Wording) -> Markup:
    """A text that was said in both languages."""
    return in_both(words.en, words.tr)


# Groups of digits are parted by a thin space: a comma or a point means the opposite in the other language.
def group_digits(number: float) -> str:
    """Write a number of any size.

    >>> group_digits(1234567), group_digits(3.14159)
    ('1\u202f234\u202f567', '3.14')
    """
    if 0 < number < 0.005:
        return "< 0.01"
    digits = 0 if number == int(number) or number >= 100 else 2 if number < 10 else 1
    return f"{number:,.{digits}f}".replace(",", "\u202f")


def as_percent(fraction: float | None, form: str = ".1f") -> str:
    """Write a fraction in per cent; a dash where there is none."""
    return "–" if fraction is None else f"{100 * fraction:{form}} %".replace("-", "−")


def as_change(fraction: float | None) -> str:
    """Write a fraction in per cent with its sign."""
    return as_percent(fraction, "+.1f")


def _text_of(texts: Mapping[str, tuple[str, str]], name: str) -> Markup:
    """Text in both languages; what has none yet is shown by its name."""
    return in_both(*texts.get(name, (name.replace("_", " "),) * 2))
