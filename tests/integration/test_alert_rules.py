"""Alert rules against invented series: each speaks when it should, and is silent the rest of the time."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]

ALL_WELL = {'bist_requests_total{status="200"}': "0+60x600"}
HALF_FAIL = {**ALL_WELL, 'bist_requests_total{status="503"}': "0+60x600"}
SLOW = {f'bist_request_seconds_bucket{{le="{le}"}}': "0+60x600" for le in ("1.0", "+Inf")}

# Name of the alert, series with a value each minute, the minute to look at, and whether it is raised then.
DOWN = {'up{job="bist-api"}': "1x20 0x30"}
LOST = {"bist_database_up": "1x20 0x30"}
EMPTY = {"bist_database_up": "1x3000"}
CASES = [
    ("BistApiDown", DOWN, 24, False),
    ("BistApiDown", DOWN, 30, True),
    ("BistDatabaseDown", LOST, 24, False),
    ("BistDatabaseDown", LOST, 30, True),
    ("BistNothingPublished", EMPTY, 1400, False),
    ("BistNothingPublished", EMPTY, 1500, True),
    ("BistNothingPublished", {**EMPTY, "bist_published_shares": "470x3000"}, 1500, False),
    ("BistNothingPublished", {"bist_database_up": "0x3000"}, 1500, False),  # nobody knows then
    ("BistUniverseShrunk", {"bist_published_shares": "470x600 380x60"}, 650, False),
    ("BistUniverseShrunk", {"bist_published_shares": "470x600 370x60"}, 650, True),
    ("BistPublicationLate", {"bist_published_age_sessions": "0x60 1x200"}, 250, False),
    ("BistPublicationLate", {"bist_published_age_sessions": "0x60 1x300"}, 350, True),
    ("BistDriftAlarm", {'bist_drift_status{status="AMBER"}': "1x60"}, 50, False),
    ("BistDriftAlarm", {'bist_drift_status{status="BLOCK"}': "1x60"}, 50, True),
    ("BistStageFailed", {'bist_stage_failed{stage="check"}': "0x60 1x10 0x60"}, 110, False),
    ("BistStageFailed", {'bist_stage_failed{stage="check"}': "0x60 1x60"}, 110, True),
    ("BistStageSlow", {'bist_stage_seconds{stage="train"}': "100x600 290x60"}, 650, False),
    ("BistStageSlow", {'bist_stage_seconds{stage="drift"}': "2x600 40x60"}, 650, False),
    ("BistStageSlow", {'bist_stage_seconds{stage="train"}': "100x600 310x60"}, 650, True),
    ("BistApiErrors", ALL_WELL, 60, False),
    ("BistApiErrors", HALF_FAIL, 60, True),
    ("BistApiSlow", SLOW, 60, True),
    ("BistApiSlow", {**SLOW, 'bist_request_seconds_bucket{le="0.1"}': "0+60x600"}, 60, False),
]


@pytest.fixture(scope="module")
def promtool() -> str:
    found = subprocess.run([ROOT / "scripts/get_promtool.sh"], capture_output=True, text=True)
    if found.returncode:
        pytest.skip(found.stderr.strip().splitlines()[-1])
    return found.stdout.strip()


def test_every_rule_has_a_case_in_which_it_speaks_and_one_in_which_it_is_silent():
    rules = yaml.safe_load((ROOT / "docker/alerts.yml").read_text())["groups"][0]["rules"]
    assert {(alert, is_raised) for alert, _, _, is_raised in CASES} == {
        (rule["alert"], is_raised) for rule in rules for is_raised in (False, True)
    }


def test_every_alert_is_raised_by_its_cause_and_by_nothing_less(promtool: str, tmp_path: Path):
    file = tmp_path / "tests.yml"
    tests = [as_test(*case) for case in CASES]
    file.write_text(yaml.safe_dump({"rule_files": [str(ROOT / "docker/alerts.yml")], "tests": tests}))
    tested = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def as_test(alert: str, series: dict[str, str], minute: int, is_raised: bool) -> dict[str, Any]:
    firing = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)'
    return {
        "name": f"{alert}: {series}",
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": firing,
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": int(is_raised)}],
            }
        ],
    }
