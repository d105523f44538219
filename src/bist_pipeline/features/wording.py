"""Say in words, English and Turkish, which features moved a share's score, and which way.

The sentences tell what a feature is and how the model counted it. Whether it is the reason for any return,
nobody knows, and none of them says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bist_pipeline.features.registry import REGISTRY
from bist_pipeline.features.words import NAMES, PLAIN_NUMBER, UNITS
from bist_pipeline.wording import say_number

_UNIT_OF = {feature.name: feature.unit for feature in REGISTRY}
# Fewer shares than this on either side: the value is what nearly all have.
_HARDLY_ANY = 0.05


def word_drivers(
    drivers: Sequence[Sequence[Mapping[str, Any]]], shares: pd.DataFrame
) -> list[list[dict[str, Any]]]:
    """Add to each driver the feature's own value and a sentence in each language.

    Parameters
    ----------
    drivers : sequence of sequences of mapping
        For each share its `{feature, contribution, value}`; `feature` may be a rank (`vol_126_rank`).
    shares : DataFrame, shape (len(drivers), n_columns)
        All shares of the session with their raw features.

    Returns
    -------
    list of lists of dict
        The drivers with `raw` (the feature in the registry's unit, None where it is not known) and `text`,
        `{en, tr}`.

    Examples
    --------
    >>> shares = pd.DataFrame({"vol_126": [0.021, 0.034, 0.041]})
    >>> driver = {"feature": "vol_126_rank", "contribution": 0.03, "value": 0.17}
    >>> worded = word_drivers([[driver], [], []], shares)[0][0]
    >>> worded["text"]["en"]
    'Volatility over 126 sessions is 2.1 % a day, lower than for 67 % of shares: raises the rank.'
    >>> worded["text"]["tr"]
    '126 seanslık oynaklık: günlük %2,1, hisselerin %67 kadarından düşük; sırayı yükseltiyor.'
    """
    return [[_word(driver, shares, place) for driver in of_share] for place, of_share in enumerate(drivers)]


def name_feature(feature: str) -> tuple[str, str]:
    """Call a feature in English and Turkish.

    >>> name_feature("ROC20")
    ('Close of 20 sessions ago', '20 seans önceki kapanış')
    >>> name_feature("my_feature_7")
    ('my_feature_7', 'my_feature_7')
    """
    found = NAMES.get(feature) or NAMES.get(re.sub(r"\d+", "#", feature)) or (feature, feature)
    numbers = re.findall(r"\d+", feature)
    return found[0].format(*numbers), found[1].format(*numbers)


def _word(driver: Mapping[str, Any], shares: pd.DataFrame, place: int) -> dict[str, Any]:
    feature = driver["feature"].removesuffix("_rank")
    column = shares[feature].to_numpy(dtype=float) if feature in shares else np.array([math.nan])
    value = float(column[place]) if len(column) > place else math.nan
    english, turkish = name_feature(feature)
    effect = _EFFECTS[int(np.sign(driver["contribution"]))]
    if math.isnan(value):
        text = {"en": f"{english} is not known: {effect[0]}.", "tr": f"{turkish}: bilinmiyor; {effect[1]}."}
        return {**driver, "raw": None, "text": text}
    said, compared = _say_value(feature, value), _compare(value, column)
    en, tr = (", ".join(part for part in parts if part) for parts in zip(said, compared, strict=True))
    text = {"en": f"{english} is {en}: {effect[0]}.", "tr": f"{turkish}: {tr}; {effect[1]}."}
    return {**driver, "raw": value, "text": text}


_EFFECTS = {
    1: ("raises the rank", "sırayı yükseltiyor"),
    0: ("leaves the rank as it is", "sırayı değiştirmiyor"),
    -1: ("lowers the rank", "sırayı düşürüyor"),
}


def _say_value(feature: str, value: float) -> tuple[str, str]:
    rule = UNITS.get(_UNIT_OF.get(feature, ""), PLAIN_NUMBER)
    if rule is None:
        return "", ""
    factor, digits, english, turkish = rule
    scaled = say_number(value * factor, digits)
    # Turkish writes the percent sign before the number, and the minus before both.
    return english.format(scaled.en), turkish.format(scaled.tr).replace("%−", "−%")


def _compare(value: float, column: NDArray[np.float64]) -> tuple[str, str]:
    known = column[np.isfinite(column)]
    above, below = float((known > value).mean()), float((known < value).mean())
    if max(above, below) < _HARDLY_ANY:
        return "as for nearly all shares", "hisselerin neredeyse hepsindeki gibi"
    english, turkish = ("lower", "düşük") if above >= below else ("higher", "yüksek")
    share = min(round(100 * max(above, below)), 99)
    return f"{english} than for {share} % of shares", f"hisselerin %{share} kadarından {turkish}"
