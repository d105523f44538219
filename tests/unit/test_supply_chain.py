"""What comes from others: the list of licences is that of the locks, and known holes are reported."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKED = re.compile(r"^([a-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def test_every_locked_package_is_listed_with_a_licence_and_no_other():
    locks = list((ROOT / "locks").glob("*.lock"))
    locked = {package for lock in locks for package in LOCKED.findall(lock.read_text())}
    page = (ROOT / "docs/en/licences.md").read_text(encoding="utf-8")
    _, everything = page.split("## All ")
    listed = re.findall(r"^\| ([a-z0-9._-]+) \| ([0-9]\S*) \| (.+?) \| (.+?) \|$", everything, re.MULTILINE)

    assert len(locked) > 300
    assert {(name, version) for name, version, *_ in listed} == locked, "Next: make licences"
    assert not [name for name, _, licence, _ in listed if licence == "not stated"]


def test_what_may_not_be_used_freely_in_production_is_named_first():
    page = (ROOT / "docs/en/licences.md").read_text(encoding="utf-8")
    assert page.index("alibi-detect") < page.index("## All ")
    assert "not free in production" in page


@pytest.mark.parametrize(
    ("package", "status", "says"),
    [
        ({"vulns": []}, 0, "0 with known holes, 1 without, 0 unknown"),
        ({"vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}, 1, "a 1.0: PYSEC-1 (1.1)"),
        ({"skip_reason": "not found"}, 2, "Next: repeat where https://pypi.org can be reached"),
    ],
    ids=["clean", "a hole", "cannot be known"],
)
def test_an_audit_says_what_it_found_and_that_silence_is_no_clean_bill(
    tmp_path: Path, package: dict[str, object], status: int, says: str
):
    report = tmp_path / "serving.json"
    report.write_text(json.dumps({"dependencies": [{"name": "a", "version": "1.0", **package}]}))
    program = [sys.executable, ROOT / "scripts/audit_report.py", report]
    done = subprocess.run(program, capture_output=True, text=True)
    assert (done.returncode, says in done.stdout) == (status, True), done.stdout
