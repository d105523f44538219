#!/usr/bin/env bash
# Known holes of every Python package in the images: `make audit`. Fails if there are any, or if they cannot be known.
# Left behind: var/audit/<lock>.json, pip-audit's reports.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p var/audit
for lock in containers mlflow serving; do
    # The locks hold every version with its hash: nothing is resolved or installed.
    .venv/bin/pip-audit --requirement "locks/$lock.lock" --require-hashes --disable-pip --progress-spinner off \
        --format json --output "var/audit/$lock.json" >/dev/null 2>&1 || [ -s "var/audit/$lock.json" ]
done
exec .venv/bin/python scripts/audit_report.py var/audit/{containers,mlflow,serving}.json
