#!/usr/bin/env bash
# Brings what `make up SCALE=celery` needs besides Python packages: MySQL, redis, and what builds MySQL's driver.
# Called by the Makefile. Does nothing when all are there. Starts no service.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(scripts/find_python.sh)
if ! scripts/get_mysql.sh >/dev/null; then
    echo "Next: the same with containers, which bring their own MySQL: docs/en/containers.md, Workers" >&2
    exit 1
fi

missing=()
need() { local package=$1; shift; "$@" >/dev/null 2>&1 || missing+=("$package"); }
need gcc command -v gcc
need pkg-config command -v pkg-config
need libmariadb-dev command -v mariadb_config
need "$(basename "$(readlink -f "$python")")-dev" \
    "$python" -c 'import sysconfig, os; os.stat(os.path.join(sysconfig.get_path("include"), "Python.h"))'
# The server is in there under this name; the package redis-server would start a service.
need redis-tools command -v redis-check-rdb
[ ${#missing[@]} = 0 ] || exec scripts/install_packages.sh "${missing[@]}"
