#!/usr/bin/env bash
# Runs the DAG bist_pipeline through Airflow, in one process and without servers, and shows the best shares.
# Called by demo.sh and by `make airflow-run CONF='{"source": "files", "source_path": "prices.parquet"}'`.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/airflow_env.sh
log=$logs/bist_pipeline.log
mkdir -p "$logs"
say() { echo "==> $*" >&2; }

exec 9>"$AIRFLOW_HOME/lock"
if command -v flock >/dev/null && ! flock -n 9; then
    say "waiting for another run to end"
    flock 9
fi

say "preparing Airflow's database and the predictions database"
if ! airflow db migrate >"$log" 2>&1; then
    echo "error: Airflow cannot prepare its database. Full log: $log" >&2
    echo "Next: mv $AIRFLOW_HOME $AIRFLOW_HOME.old (it holds the history of runs, no data), then run this again" >&2
    exit 1
fi
bist db upgrade >&2
# Airflow's in-process run knows no deadlines, nor does it ask for pools.
export BIST_DEADLINES=off
say "running the DAG bist_pipeline through Airflow"
exec python scripts/run_dag.py "${1:-}" "$log" 3>&1 4>&2 >>"$log" 2>&1
