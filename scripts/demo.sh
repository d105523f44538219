#!/usr/bin/env bash
# The main job through Airflow on the embedded defaults: synthetic market, SQLite, local files.
# Called by `make demo`. Safe to repeat.
set -euo pipefail
cd "$(dirname "$0")/.."
# Made-up shares must not be published where someone's real ones live.
unset BIST_SOURCE BIST_SOURCE_PATH BIST_DATABASE_URL BIST_LAKE_URL BIST_MLFLOW_URL
exec scripts/airflow_run.sh '{"source": "synthetic"}'
