#!/usr/bin/env bash
# Puts a backup in the place of all data there is: restore.sh FOLDER --yes. Older backups are migrated forward.
#
# COMPOSE  how compose is called here (default: docker compose)
set -Eeuo pipefail
cd "$(dirname "$0")/.."
read -ra compose <<<"${COMPOSE:-docker compose}"
backup=${1:-}
writers=(api mlflow airflow-api-server airflow-scheduler airflow-dag-processor airflow-triggerer airflow-worker)
fail() { echo "error: $*" >&2; exit 1; }
[ -d "$backup" ] || fail "no folder ${backup:-was given}. Next: ls var/backups; scripts/restore.sh FOLDER --yes"
[ -e "$backup/SHA256SUMS" ] || fail "$backup is not a backup, or not a complete one. Nothing was changed."
(cd "$backup" && sha256sum --quiet --check SHA256SUMS) ||
    fail "$backup was damaged since it was made: see the files above. Nothing was changed."
version=$(sed -n 's/^version = //p' setup.cfg)
newest=$(printf '%s\n' "$version" "$(cat "$backup/version")" | sort --version-sort | tail -n 1)
[ "$newest" = "$version" ] ||
    fail "$backup was made by version $newest; this is $version, which does not know its tables. Nothing was changed.
       Next: check out version $newest, then repeat the command"
known=$(find sql/versions -name '[0-9]*.py' -printf '%f\n' | sort | tail -n 1)
schema=$(cat "$backup/schema" 2>/dev/null || true) # empty where nothing had been migrated
[[ ! "$schema" > "${known%%_*}" ]] ||
    fail "$backup has the schema $schema; the newest this checkout knows is ${known%%_*}. Nothing was changed.
       Next: check out the commit it was made by, or a newer one, then repeat the command"
[ "${2:-}" = --yes ] ||
    fail "this replaces all databases, the lake and all models by those of $backup. Nothing was changed.
       Next: make backup, then scripts/restore.sh $backup --yes"

trap 'echo "error: the restore broke off; the data is in part that of $backup. Next: repeat the command" >&2' ERR
# Nothing needs to run for it: what is broken cannot start before it is restored.
echo "==> everything but MySQL stops" >&2
"${compose[@]}" --profile celery stop "${writers[@]}" >&2 # without its profile a worker would not be known
"${compose[@]}" up --detach --wait --no-build mysql >&2
echo "==> databases" >&2
# shellcheck disable=SC2016
gunzip -c "$backup/databases.sql.gz" | "${compose[@]}" exec -T mysql \
    sh -c 'MYSQL_PWD=$MYSQL_ROOT_PASSWORD exec mysql --host=127.0.0.1 --user=root'
echo "==> lake and MLflow's files" >&2
fill() { # SERVICE FOLDER ARCHIVE: by a container of its own, which holds the service's volumes
    # shellcheck disable=SC2016
    "${compose[@]}" run --rm --no-deps -T "$1" sh -c 'find "$1" -mindepth 1 -delete && tar -C "$1" -xzf -' fill "$2" <"$3"
}
fill airflow-scheduler /var/lib/bist "$backup/lake.tar.gz"
fill mlflow /var/lib/mlflow "$backup/mlflow.tar.gz"
echo "==> migrations, users and rights of this version" >&2
"${compose[@]}" run --rm init >&2
echo "==> everything starts" >&2
"${compose[@]}" up --detach --wait --no-build >&2
echo "==> restored from $backup" >&2
