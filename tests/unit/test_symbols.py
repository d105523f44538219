"""Whatever people type for a share is that share."""

import pytest

from serving.symbols import normalize_symbol


@pytest.mark.parametrize(
    "typed",
    ["THYAO", "thyao", "THYAO.IS", "thyao.is", " Thyao\t", "ＴＨＹＡＯ", "ｔｈｙａｏ．ｉｓ", "TḦYÄO"],
)
def test_case_suffix_width_and_marks_do_not_matter(typed):
    assert normalize_symbol(typed) == "THYAO"


@pytest.mark.parametrize(
    "typed", ["ISCTR", "isctr", "ısctr", "İSCTR", "İSCTR".lower(), "I\u0307SCTR", "İsctr.İS"]
)
def test_dotted_and_dotless_i_are_one_letter(typed):
    assert normalize_symbol(typed) == "ISCTR"


@pytest.mark.parametrize(("typed", "symbol"), [("ŞİŞE", "SISE"), ("şişe", "SISE"), ("ğüçöş", "GUCOS")])
def test_turkish_letters_become_those_of_the_exchange(typed, symbol):
    assert normalize_symbol(typed) == symbol


@pytest.mark.parametrize("typed", ["THYAO.E", "IS", "THY AO", "ТНУАО", "'; DROP TABLE predictions; --"])
def test_what_is_no_spelling_of_a_symbol_does_not_become_one(typed):
    assert normalize_symbol(typed) == typed.upper()
