"""The guide's example of a new data check works as printed, in both languages."""

from __future__ import annotations

from types import ModuleType

from bist_pipeline.drift import data_quality
from tests.conftest import ROOT
from tests.guides import blocks
from tests.unit import test_data_quality
from tests.unit.test_data_quality import SESSIONS, TODAY

GUIDES = ["docs/en/adding-a-check.md", "docs/tr/denetim-ekleme.md"]
RULE, CALL, PROOF = blocks(GUIDES[0])
LAST = "        _check_young(bars, known),\n"


def changed() -> ModuleType:
    """The module with the function and the line pasted where the guide says."""
    text = (ROOT / "src/bist_pipeline/drift/data_quality.py").read_text()
    assert text.count(LAST) == 1
    module = ModuleType(data_quality.__name__)
    exec(text.replace(LAST, f"{LAST}{CALL},\n") + RULE, vars(module))  # noqa: S102 (our own guide)
    return module


def check(prices):
    return changed().check_session(prices, session=TODAY, sessions=SESSIONS)


# Defines the guide's test, and pytest runs it here.
exec(PROOF, {**vars(test_data_quality), "check": check}, globals())  # noqa: S102


def test_both_languages_show_the_same_code():
    assert blocks(GUIDES[0]) == blocks(GUIDES[1])


def test_the_other_rules_are_as_they_were():
    report = check(test_data_quality.quiet_market())
    assert [finding.rule for finding in report.findings] == [*test_data_quality.RULES, "flat"]
