"""What checks and features are called in sentences, and how several findings become one text."""

from __future__ import annotations

from collections.abc import Iterable

from bist_pipeline.drift.status import Check
from bist_pipeline.errors import DriftInputError
from bist_pipeline.features.wording import name_feature
from bist_pipeline.wording import Wording, join, say

NO_ACTION = Wording("none", "yok")

# English sentences call a check by the name that commands and tables know it by.
CHECK_NAMES_TR = {
    "data_quality": "Veri kalitesi",
    "break": "Kırılma",
    "missing_values": "Eksik değerler",
    "features": "Özellikler",
    "regime": "Piyasa rejimi",
    "regime_change": "Rejim değişimi",
    "scores": "Puanlar",
    "score_spread": "Puanların genişliği",
    "performance_change": "İsabet, değişim",
    "performance_daily": "İsabet, yarım yıl",
    "performance_quarter": "İsabet, bir yıl",
    "order": "Seansların sırası",
}
# What is watched besides features, by its column.
_NO_FEATURES = {
    "score": Wording("score", "modelin puanı"),
    "move": Wording("how far daily returns lie apart", "günlük getirilerin birbirine uzaklığı"),
    "related_move": Wording(
        "how far daily returns lie apart, against shortly before",
        "günlük getirilerin birbirine uzaklığı, az öncesine göre",
    ),
}


def call_feature(feature: str) -> Wording:
    """Call a feature by what it is, and by its name; one without words by its name alone.

    >>> call_feature("vol_126").tr
    '126 seanslık oynaklık (vol_126)'
    >>> call_feature("own_column").tr
    'own_column'
    """
    if feature in _NO_FEATURES:
        return _NO_FEATURES[feature]
    names = Wording(*name_feature(feature))
    if names.en == feature:
        return names
    return say("{name} ({code})", "{name} ({code})", name=names, code=feature)


def call_features(features: Iterable[str]) -> Wording:
    """Call several features, parted by commas."""
    return join(map(call_feature, features), by=", ")


def tell_check(check: str, message: Wording) -> Wording:
    """Put the name of a check before what it says.

    >>> tell_check("break", Wording("a jump.", "bir sıçrama."))
    Wording(en='break: a jump.', tr='Kırılma: bir sıçrama.')
    """
    return Wording(f"{check}: {message.en}", f"{CHECK_NAMES_TR.get(check, check)}: {message.tr}")


def tell_checks(checks: Iterable[Check]) -> Wording:
    """Tell what several checks say, a line each."""
    return join((tell_check(check.check, check.message) for check in checks), by="\n")


def tell_failure(error: DriftInputError) -> Wording:
    """Say that a check could not be made, and why."""
    which = f" ({', '.join(error.which)})" if error.which else ""
    reason = error.turkish.removesuffix(".")
    turkish = f"Denetim yapılamadı; bu, kayma yok demek değildir. {reason}{which}."
    # What follows the command in brackets explains it in English.
    following = f" Sonraki adım: {error.next_step.partition(' (')[0]}" if error.next_step else ""
    return Wording(str(error), turkish + following)
