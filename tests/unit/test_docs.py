"""The documentation: builds without a dead link, and names only commands, options and files that exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from bist_pipeline.cli import app

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


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


def test_every_page_of_the_guide_is_in_its_index_and_its_menu():
    index = (DOCS / "README.md").read_text()
    menu = str(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    pages = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md") if page.parent != DOCS]
    assert not [page for page in pages if f"]({page})" not in index]
    assert not [page for page in pages if f"'{page}'" not in menu]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_that_a_page_names_exist(page: Path):
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+)(?: [a-z ]+)?:", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^ {4}|^\$ |`|&& )make ([a-z-]+)", text, re.MULTILINE))
    assert named <= targets, f"{page.name} names make targets that do not exist: {sorted(named - targets)}"
    scripts = set(re.findall(r"scripts/\w+\.(?:sh|py)", text))
    missing = sorted(script for script in scripts if not (ROOT / script).exists())
    assert not missing, f"{page.name} names scripts that do not exist: {missing}"
    modules = set(re.findall(r"python -m (benchmarks\.\w+)", text))
    assert not [module for module in modules if not (ROOT / f"{module.replace('.', '/')}.py").exists()]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_bist_commands_and_their_options_exist(page: Path):
    for line in re.findall(r"(?:`|\$ )(?:\.venv/bin/)?bist ([^`\n#]+)", page.read_text()):
        words = shlex.split(line.replace("…", "").replace("'", ""))
        unknown = [*unknown_words(typer.main.get_command(app), words)]
        assert not unknown, f"{page.name}: bist {line}: {unknown} does not exist"


def unknown_words(command: Any, words: list[str]) -> Iterator[str]:
    """Words of a command line that are neither a command of this tree, nor an option or argument of it."""
    while words and (children := getattr(command, "commands", {})) and not words[0].startswith("-"):
        name, *words = words
        if name not in children:
            yield name
            return
        command = children[name]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    yield from (word for word in words if word.startswith("--") and word not in known)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_and_images_of_a_page_lead_to_files(page: Path):
    targets = re.findall(r"\]\(([^)\s#]+)[^)]*\)", page.read_text())
    files = [target for target in targets if not re.match(r"[a-z]+:", target)]
    missing = [file for file in files if not (page.parent / file).exists()]
    assert not missing, f"{page.name} links to files that do not exist: {missing}"


def test_the_turkish_page_of_rest_names_every_address_and_no_other():
    from serving.app import create_app

    named = set(re.findall(r"`GET (/[^`]*)`", (DOCS / "tr/rest.md").read_text()))
    assert named == set(create_app().openapi()["paths"])


def test_every_page_is_there_in_both_languages():
    """Its index says which page is whose translation; only a list of packages has none."""
    rows = re.findall(r"^\| (?!-)(.+?) \| *(.*?) *\| *(.*?) *\|$", (DOCS / "README.md").read_text(), re.M)
    assert len(rows) > 12
    alone = [english or turkish for _, english, turkish in rows[1:] if not (english and turkish)]
    assert alone == ["[tr/rest.md](tr/rest.md)", "[en/licences.md](en/licences.md)"]


def test_the_bars_of_drift_stand_in_one_place():
    text = "".join(page.read_text() for page in PAGES)
    assert len(re.findall(r"^\| false alarms per ", text, re.M)) == 1


def test_every_picture_is_shown_somewhere():
    text = "".join(page.read_text() for page in PAGES)
    pictures = [picture.name for picture in (DOCS / "images").iterdir()]
    assert len(pictures) > 5
    assert not [picture for picture in pictures if f"images/{picture}" not in text]
