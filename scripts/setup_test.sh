#!/usr/bin/env bash
# Installs the system packages that the tests need; where this user cannot, says which.
# Called by `make check` and `make test`. Does nothing when all are there. Starts no service.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(scripts/find_python.sh)

# A real MySQL beside MariaDB, where Debian's packages can be had; else its tests are skipped, and say why.
scripts/get_mysql.sh >/dev/null || echo "note: the tests that need MySQL will be skipped" >&2

missing=()
need() { local package=$1; shift; "$@" >/dev/null 2>&1 || missing+=("$package"); }
have() { PATH=$PATH:/usr/sbin command -v "$1"; }
# A slim Debian has Python without these two.
need "$(basename "$(readlink -f "$python")")-venv" "$python" -c 'import ensurepip, venv'
need libgomp1 "$python" -c 'import ctypes; ctypes.CDLL("libgomp.so.1")'
need gcc have gcc
need pkg-config have pkg-config
need libmariadb-dev have mariadb_config
need "$(basename "$(readlink -f "$python")")-dev" \
    "$python" -c 'import sysconfig, os; os.stat(os.path.join(sysconfig.get_path("include"), "Python.h"))'
# The server without Debian's service around it: each test run starts its own, private one.
need mariadb-server-core have mariadbd
need mariadb-client have mariadb-dump
# Broker of Airflow's workers; the server is in there under this name, without a service around it.
need redis-tools have redis-check-rdb
# The browser of the tests that look at pages; fonts, or every text is boxes.
need chromium have chromium
need fonts-dejavu-core test -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
[ ${#missing[@]} = 0 ] || exec scripts/install_packages.sh "${missing[@]}"
