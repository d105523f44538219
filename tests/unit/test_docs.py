"""The documentation: builds without a dead link, and names only commands that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.slow
def test_the_site_builds_strictly_with_the_rest_reference_in_it(tmp_path: Path):
    program = Path(sys.executable).with_name("mkdocs")
    built = subprocess.run(
        [program, "build", "--quiet", "--site-dir", tmp_path], cwd=ROOT, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stdout + built.stderr
    reference = (tmp_path / "en/rest.html").read_text()
    assert "/api/v1/predictions/{symbol}/history" in reference
    assert "expected_excess_return" in reference


def test_there_are_pages_to_check():
    assert {"README.md", "CONTRIBUTING.md", "containers.md", "tahminler.md"} <= {page.name for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_a_page_names_exist(page: Path):
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+)(?: [a-z ]+)?:", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^ {4}|^\$ |`|&& )make ([a-z-]+)", text, re.MULTILINE))
    assert named <= targets, f"{page.name} names make targets that do not exist: {sorted(named - targets)}"
    scripts = set(re.findall(r"scripts/\w+\.(?:sh|py)", text))
    missing = sorted(script for script in scripts if not (ROOT / script).exists())
    assert not missing, f"{page.name} names scripts that do not exist: {missing}"
