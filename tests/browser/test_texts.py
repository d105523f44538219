"""Both languages say everything, with the same facts in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from serving.pages.language import load_language

TEMPLATES = Path(__file__).parents[2] / "serving/templates"


def flatten(texts: Mapping[str, object], path: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in texts.items():
        place = f"{path}{name}"
        found |= flatten(value, f"{place}.") if isinstance(value, Mapping) else {place: value}
    return found


def test_turkish_and_english_have_the_same_texts_with_the_same_placeholders():
    turkish, english = (flatten(load_language(code).texts) for code in ("tr", "en"))

    assert turkish.keys() == english.keys()
    for key, text in english.items():
        holes = [sorted(re.findall(r"{\w+}", str(each))) for each in (text, turkish[key])]
        assert holes[0] == holes[1], key


# Keys that templates put together, and sections that are looked up by what the database holds.
BUILT = re.compile(
    r"(status|rule|sector|check|check_asks|error|date)\..*|site\.(ranking|drift|model)|trust\.(un)?proven(_year)?"
    r"|model\.((un)?proven|mlflow|airflow)|share\.window_\d+|drift\.(do_)?[A-Z_]+"
)


def test_no_text_is_left_that_no_page_shows():
    templates = "".join(path.read_text(encoding="utf-8") for path in TEMPLATES.glob("*.html"))
    keys = [key for key in flatten(load_language("en").texts) if not BUILT.fullmatch(key)]

    assert len(keys) > 100
    assert [key for key in keys if f'"{key}"' not in templates] == []
