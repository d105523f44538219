"""The command line under test, with a home of its own."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import Result
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from bist_pipeline.cli import app
from bist_pipeline.config import Settings
from serving.app import create_app

SESSION = dt.date(2024, 6, 28)

# Small enough for seconds, large enough for every stage to do its work.
SMALL = {
    "BIST_SOURCE": "files",
    "BIST_TRAINING__TREES": "30",
    "BIST_TRAINING__SEEDS": "[1]",
    "BIST_TRAINING__MIN_CHILD_SAMPLES": "50",
    "BIST_VALIDATION__FOLDS": "2",
}


@dataclass
class Bist:
    """The command line with its home in one folder, and what it has published."""

    home: Path
    prices: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str, **environment: str) -> Result:
        """Run `bist …`; keyword arguments are further variables."""
        home = {"BIST_HOME": str(self.home), "BIST_SOURCE_PATH": str(self.prices)}
        return CliRunner().invoke(app, arguments, env={**self.environment, **home, **environment})

    def published(self) -> list[dict[str, Any]]:
        """Every row of the published batch."""
        with TestClient(create_app(Settings(home=self.home)), base_url="http://localhost") as client:
            answer = client.get("/api/v1/predictions", params={"limit": 1000})
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["predictions"]
        return rows
