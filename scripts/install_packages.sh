#!/usr/bin/env bash
# Installs system packages by apt, as root or with passwordless sudo; else says which.
# Called by setup_test.sh and setup_celery.sh with what they found missing.
set -euo pipefail
as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi
if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
    echo "error: system packages are missing, and this user cannot install them." >&2
    echo "       Run as root: apt-get install --no-install-recommends $*" >&2
    exit 1
fi
echo "==> apt-get install $*" >&2
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
apt install --no-install-recommends "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
