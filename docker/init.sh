#!/usr/bin/env bash
# One-shot service `init`: databases, users with least rights, migrations. Safe to repeat; run before any upgrade.
set -euo pipefail
cd "$(dirname "$0")"
python prepare_databases.py
BIST_DATABASE_URL=mysql+mysqldb://root:$MYSQL_ROOT_PASSWORD@mysql/bist bist db upgrade
airflow db migrate
