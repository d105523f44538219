"""A published batch to start from: one small market in a file, run once through the real command line."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import SyntheticSettings
from bist_pipeline.sources.synthetic import SyntheticSource
from tests.command_line import SESSION, SMALL, Bist


@pytest.fixture(scope="session")
def small_prices_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prices of 60 invented shares over three years and a half, as a user's file."""
    market = SyntheticSettings(symbols=60, first_session=dt.date(2021, 1, 4))
    prices = SyntheticSource(market).fetch(SESSION, bist_calendar()).prices
    path = tmp_path_factory.mktemp("prices") / "prices.parquet"
    prices.rename(columns={"session": "date"}).to_parquet(path)
    return path


@pytest.fixture(scope="session")
def first_run(
    tmp_path_factory: pytest.TempPathFactory, small_prices_file: Path
) -> Iterator[tuple[Bist, dict[str, Any]]]:
    """The command line after one complete run, and what `bist run --json` said of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("BIST_HOME", raising=False)
        bist = Bist(tmp_path_factory.mktemp("bist") / "var", small_prices_file, SMALL)
        result = bist("run", "--session", str(SESSION), "--json")
        assert result.exit_code == 0, result.output
        yield bist, json.loads(result.stdout)


@pytest.fixture
def bist(first_run: tuple[Bist, dict[str, Any]], tmp_path: Path) -> Bist:
    """A copy of the command line after one complete run, for a test to do as it likes."""
    done, _ = first_run
    shutil.copytree(done.home, tmp_path / "var")
    return Bist(tmp_path / "var", done.prices, done.environment)
