#!/usr/bin/env bash
# Backs up what cannot be computed again: databases, lake, and MLflow's files. `make backup`, or backup.sh [FOLDER].
# The system keeps running. Default: var/backups/<time>; a folder appears only when it is complete.
#
# COMPOSE  how compose is called here (default: docker compose)
set -euo pipefail
cd "$(dirname "$0")/.."
umask 077
read -ra compose <<<"${COMPOSE:-docker compose}"
target=${1:-var/backups/$(date -u +%Y%m%dT%H%M%SZ)}
part=$target.part
fail() { echo "error: $*" >&2; exit 1; }
[ ! -e "$target" ] || fail "$target exists, and a backup never replaces another one."
mkdir -p "$part"
trap 'rm -rf "$part"' EXIT
inside() { "${compose[@]}" exec -T "$@"; }

echo "==> databases" >&2
# The databases first: what is written to the folders after this moment, no row of the dump refers to.
# Without the transactions' numbers (GTID), or a server that has seen them would refuse its own dump; MariaDB's
# mysqldump does not know that option, hence `loose`.
# shellcheck disable=SC2016
inside mysql sh -c 'MYSQL_PWD=$MYSQL_ROOT_PASSWORD exec mysqldump --host=127.0.0.1 --user=root --single-transaction \
    --loose-set-gtid-purged=OFF --triggers --hex-blob --no-tablespaces --add-drop-database --databases bist airflow mlflow' |
    gzip >"$part/databases.sql.gz"
# A dump that ended early lacks its last line.
gunzip -c "$part/databases.sql.gz" | tail -n 1 | grep -q '^-- Dump completed' ||
    fail "the dump of the databases is not complete. Next: ${compose[*]} logs mysql"
# What restore.sh compares with the migrations it knows: empty where nothing was migrated yet.
# shellcheck disable=SC2016
inside mysql sh -c 'MYSQL_PWD=$MYSQL_ROOT_PASSWORD exec mysql --host=127.0.0.1 --user=root -N \
    -e "select version_num from bist.alembic_version"' >"$part/schema" || true
echo "==> lake" >&2
inside airflow-scheduler tar -C /var/lib/bist -cf - . | gzip >"$part/lake.tar.gz"
echo "==> MLflow's files" >&2
inside mlflow tar -C /var/lib/mlflow -cf - . | gzip >"$part/mlflow.tar.gz"
sed -n 's/^version = //p' setup.cfg >"$part/version"
(cd "$part" && sha256sum databases.sql.gz lake.tar.gz mlflow.tar.gz version schema >SHA256SUMS)
mv "$part" "$target"
trap - EXIT
echo "==> $(du -sh "$target" | cut -f1) in $target. It holds passwords' hashes, but not .env: keep a copy of that too." >&2
echo "$target"
