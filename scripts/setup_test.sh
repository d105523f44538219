#!/usr/bin/env bash
# Installs the system packages that the tests need, by apt as root or with passwordless sudo; else says which.
# Called by `make check` and `make test`. Does nothing when all are there. Starts no service.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(scripts/find_python.sh)

# A real MySQL beside MariaDB, where Debian's packages can be had; else its tests are skipped, and say why.
scripts/get_mysql.sh >/dev/null || echo "note: the tests that need MySQL will be skipped" >&2

missing=()
need() { local package=$1; shift; "$@" >/dev/null 2>&1 || missing+=("$package"); }
have() { PATH=$PATH:/usr/sbin command -v "$1"; }
need gcc have gcc
need pkg-config have pkg-config
need libmariadb-dev have mariadb_config
need "$(basename "$(readlink -f "$python")")-dev" \
    "$python" -c 'import sysconfig, os; os.stat(os.path.join(sysconfig.get_path("include"), "Python.h"))'
# The server without Debian's service around it: each test run starts its own, private one.
need mariadb-server-core have mariadbd
need mariadb-client-core have mariadb
# The browser of the tests that look at pages; fonts, or every text is boxes.
need chromium have chromium
need fonts-dejavu-core test -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi
if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
    echo "error: the tests need system packages that are missing, and this user cannot install them." >&2
    echo "       Run as root: apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi
echo "==> apt-get install ${missing[*]}" >&2
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 "$@"; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for try in {1..60}; do # another apt may hold the lists; only the dpkg lock can be waited for by option
    if apt update >"$log" 2>&1; then break; fi
    if [ "$try" = 60 ] || ! grep -q 'Could not get lock' "$log"; then
        cat "$log" >&2
        exit 1
    fi
    sleep 5
done
apt install --no-install-recommends "${missing[@]}" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
