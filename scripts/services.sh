#!/usr/bin/env bash
# Airflow, MLflow and the API on this machine: `make up`, `make down`, `make status`;
# `services.sh run airflow …` is its Airflow command line.
set -euo pipefail
cd "$(dirname "$0")/.."
port=${AIRFLOW_PORT:-8080} # airflow_env.sh forgets all that begins with AIRFLOW_
. scripts/airflow_env.sh
AIRFLOW_PORT=$port exec python scripts/services.py "$@"
