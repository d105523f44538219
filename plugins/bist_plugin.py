"""What the project adds to Airflow itself: its timetable, and the pages of the API in the navigation."""

from __future__ import annotations

import os
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from bist_timetable import SessionTimetable

_API = os.environ.get("BIST_API_URL", "http://127.0.0.1:8000").rstrip("/")


class BistPlugin(AirflowPlugin):
    """Read by Airflow when it starts."""

    name = "bist"
    timetables: list[Any] = [SessionTimetable]  # noqa: RUF012 (as its base class declares it)
    external_views: list[Any] = [  # noqa: RUF012
        {
            "name": "Predictions",
            "href": f"{_API}/",
            "destination": "nav",
            "url_route": "predictions",
            "nav_top_level": True,
        },
        {
            "name": "Drift",
            "href": f"{_API}/drift",
            "destination": "dag",
            "url_route": "drift-report",
        },
    ]
