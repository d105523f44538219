"""Drivers are said in words, in two languages, with value, place among the shares and direction."""

import re
from string import Formatter

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.features.registry import REGISTRY
from bist_pipeline.features.wording import name_feature, word_drivers
from bist_pipeline.features.words import NAMES, UNITS


def say(feature: str, values: list[float], *, contribution: float = 0.1, place: int = 0) -> dict:
    shares = pd.DataFrame({feature.removesuffix("_rank"): values})
    drivers: list[list[dict]] = [[] for _ in values]
    drivers[place] = [{"feature": feature, "contribution": contribution, "value": 0.5}]
    return word_drivers(drivers, shares)[place][0]


@pytest.mark.parametrize("feature", [row.name for row in REGISTRY])
def test_every_feature_has_a_sentence_in_both_languages(feature):
    driver = say(f"{feature}_rank", [0.2, 0.4, 0.1])

    for language, end in (("en", ": raises the rank."), ("tr", "; sırayı yükseltiyor.")):
        text = driver["text"][language]
        assert text.endswith(end)
        assert not re.search(r"nan|None|[{}_]", text)


def test_no_words_are_kept_for_features_and_units_that_are_gone():
    shapes = {re.sub(r"\d+", "#", row.name) for row in REGISTRY} | {row.name for row in REGISTRY}

    assert set(NAMES) <= shapes
    assert set(UNITS) <= {row.unit for row in REGISTRY}


@pytest.mark.parametrize("shape", NAMES)
def test_both_languages_tell_the_same_windows(shape):
    used = [{field for _, field, _, _ in Formatter().parse(text) if field} for text in NAMES[shape]]

    assert used[0] == used[1]
    assert len(used[0]) <= shape.count("#")


def test_a_sentence_tells_value_place_and_direction():
    driver = say("vol_126_rank", [0.021, 0.034, 0.041, np.nan], contribution=-0.2)

    assert driver["text"] == {
        "en": "Volatility over 126 sessions is 2.1 % a day, lower than for 67 % of shares: lowers the rank.",
        "tr": "126 seanslık oynaklık: günlük %2,1, hisselerin %67 kadarından düşük; sırayı düşürüyor.",
    }
    assert driver["raw"] == 0.021


def test_a_minus_stands_where_each_language_puts_it():
    text = say("mom_252_21_rank", [-0.172, 0.2])["text"]

    assert "is −17.2 %," in text["en"]
    assert ": −%17,2," in text["tr"]


def test_tied_shares_count_on_neither_side():
    assert "lower than for 40 % of shares" in say("limit_up_63_rank", [0.0] * 6 + [0.1] * 4)["text"]["en"]
    assert "as for nearly all shares" in say("limit_up_63_rank", [0.0] * 100)["text"]["en"]


def test_a_logarithm_is_compared_but_not_quoted():
    assert say("amihud_126_rank", [-18.0, -20.0])["text"]["en"] == (
        "Illiquidity over 126 sessions is higher than for 50 % of shares: raises the rank."
    )


def test_a_missing_value_is_said_to_be_missing():
    driver = say("roe_4q_rank", [np.nan, 0.2])

    assert driver["raw"] is None
    assert "is not known" in driver["text"]["en"]
    assert "bilinmiyor" in driver["text"]["tr"]


def test_a_feature_without_words_is_called_by_its_name():
    assert name_feature("brand_new_7") == ("brand_new_7", "brand_new_7")
    assert say("brand_new_7_rank", [1.5, 2.0])["text"]["en"].startswith("brand_new_7 is 1.50, lower than")


@pytest.mark.parametrize("word", ["because", "cause", "due to", "therefore", "will ", "çünkü", "nedeniyle"])
def test_no_sentence_claims_a_cause_or_the_future(word):
    told = [text for row in REGISTRY for text in say(f"{row.name}_rank", [0.2, 0.4])["text"].values()]

    assert len(told) == 2 * len(REGISTRY)
    assert not [text for text in told if word in text]
