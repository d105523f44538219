"""Say what pip-audit found: audit_report.py REPORT... Called by audit.sh.

Ends with 1 if there are holes, with 2 if packages could not be looked up: silence is no clean bill.
"""

import json
import sys
from pathlib import Path

reports = {Path(name).stem: json.loads(Path(name).read_text())["dependencies"] for name in sys.argv[1:]}
packages = {
    (package["name"], package.get("version", "?")): package for found in reports.values() for package in found
}
unknown = sorted(name for (name, _), package in packages.items() if "skip_reason" in package)
holes = {key: package["vulns"] for key, package in packages.items() if package.get("vulns")}

fine = len(packages) - len(holes) - len(unknown)
print(f"{len(packages)} packages: {len(holes)} with known holes, {fine} without, {len(unknown)} unknown.")
for (name, version), vulnerabilities in sorted(holes.items()):
    for hole in vulnerabilities:
        fixed = ", ".join(hole["fix_versions"]) or "no fixed version"
        print(f"{name} {version}: {hole['id']} ({fixed})")
if unknown:
    print(f"Not looked up: {', '.join(unknown[:5])}{' …' if len(unknown) > 5 else ''}")
    print(
        "Next: repeat where https://pypi.org can be reached; an index without its JSON interface does not do."
    )
sys.exit(1 if holes else 2 if unknown else 0)
