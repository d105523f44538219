"""List the licences of every package of the Python that runs this, as a Markdown table; unusual ones first.

For an image: `docker run --rm -i --entrypoint python IMAGE - <scripts/licences.py`, as `images.sh sbom` does.
"""

import re
import sys
from importlib.metadata import Distribution, distributions

USUAL = re.compile(
    r"MIT|BSD|Apache|ISC|PSF|Python Software|HPND|Zlib|0BSD|Unlicense|MPL|Mozilla", re.IGNORECASE
)


def licence_of(package: Distribution) -> str:
    """Return what a package says of itself."""
    about = package.metadata
    if expression := about.get("License-Expression"):
        return expression
    classifiers = [line for line in about.get_all("Classifier", []) if line.startswith("License :: ")]
    if classifiers:
        return "; ".join(sorted({line.rpartition(" :: ")[2] for line in classifiers}))
    stated = (about.get("License") or "not stated").strip().splitlines()
    return stated[0][:80] if stated else "not stated"


found = {(package.name, package.version): licence_of(package) for package in distributions()}
rows = sorted((bool(USUAL.search(licence)), *key, licence) for key, licence in found.items())
table = [f"| {name} | {version} | {licence} |" for _, name, version, licence in rows]
sys.stdout.write("\n".join(["| package | version | licence |", "|---|---|---|", *table, ""]))
