"""The guide's example of a new source works as printed, in both languages, and keeps every promise of one."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any, get_args
from unittest.mock import patch

import pytest

from bist_pipeline import config
from bist_pipeline.errors import SourceUnavailableError
from tests.contract.source_contract import CALENDAR, LATE
from tests.guides import blocks

GUIDES = ["docs/en/adding-a-source.md", "docs/tr/kaynak-ekleme.md"]
SOURCE, NAMES, BRANCH, PROOF = blocks(GUIDES[0])
MODULE = ModuleType("bist_pipeline.sources.warehouse")
KNOWN = patch.dict(sys.modules, {MODULE.__name__: MODULE})

exec(SOURCE, vars(MODULE))  # noqa: S102 (our own guide)
with KNOWN:
    exec(PROOF, globals())  # noqa: S102 (defines TestWarehouse)
del HistoryContract  # type: ignore[name-defined]  # noqa: F821 (imported by it, and no test itself)


def test_both_languages_show_the_same_code():
    assert blocks(GUIDES[0]) == blocks(GUIDES[1])


def test_its_name_is_added_to_those_that_there_are():
    names: dict[str, Any] = {}
    exec(NAMES, {"Literal": config.Literal}, names)  # noqa: S102
    assert get_args(names["SourceName"]) == (*get_args(config.SourceName), "warehouse")


def test_it_is_opened_by_its_name():
    function = "def open_prices(settings):\n" + "".join(f"    {line}\n" for line in BRANCH.splitlines())
    scope: dict[str, Any] = {}
    with KNOWN:
        exec(function, scope)  # noqa: S102
        opened = scope["open_prices"](SimpleNamespace(source="warehouse", source_path="sqlite://"))
    with pytest.raises(SourceUnavailableError, match="The price database does not answer"):
        opened.fetch(LATE, CALENDAR)  # an empty database
