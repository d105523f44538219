"""Sources are opened by the settings, and count a session as over when its closing auction is."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

import pytest

from bist_pipeline.config import Settings
from bist_pipeline.errors import ConfigError
from bist_pipeline.sources import base
from bist_pipeline.sources.base import newest_final, open_source
from tests.contract.source_contract import CALENDAR, LATE


def test_the_settings_open_a_source(settings: Settings) -> None:
    assert open_source(settings).name == settings.source == "synthetic"
    files = settings.model_copy(update={"source": "files", "source_path": "p.csv"})
    assert open_source(files).name == "files"


def test_files_need_a_path(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="needs a path"):
        open_source(settings.model_copy(update={"source": "files"}))


def test_the_newest_session_waits_for_the_closing_auction(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(dt.datetime):
        moment: ClassVar[dt.datetime]

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:
            return cls.moment.astimezone(tz)

    monkeypatch.setattr(base.dt, "datetime", Clock)
    for minute, expected in ((9, dt.date(2024, 6, 27)), (10, LATE)):
        Clock.moment = dt.datetime.fromisoformat(f"2024-06-28T18:{minute:02}+03:00")
        assert newest_final(CALENDAR) == expected
