#!/usr/bin/env bash
# One-shot service `init`: databases, users with least rights, migrations, Airflow's login and pool.
# Safe to repeat; run before any upgrade.
set -euo pipefail
cd "$(dirname "$0")"
python prepare_databases.py
BIST_DATABASE_URL=mysql+mysqldb://root:$MYSQL_ROOT_PASSWORD@mysql/bist bist db upgrade
airflow db migrate
python airflow_admin.py
airflow pools set bist 1 "Stages that write: one at a time"
airflow pools set bist_folds 1 "Folds of a training: as many at once as there are machines for them"
