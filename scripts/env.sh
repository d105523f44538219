#!/usr/bin/env bash
# Builds or completes .venv from locks/<name>.lock and installs the project into it, editable.
# Called by the Makefile as `env.sh run` or `env.sh dev`; `env.sh tools` stops after uv, for `make lock`.
# Does nothing when .venv is already right; never uninstalls.
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONDONTWRITEBYTECODE VIRTUAL_ENV
name=$1 py=.venv/bin/python
say() { echo "==> $*" >&2; }
fail() { echo "error: $*" >&2; exit 1; }

# The stamp holds what .venv was built from; dev contains run.
key() { { cat locks/tools.lock "locks/$1.lock" setup.cfg; pwd -P; } | sha256sum; }
is_ready() { [ "$(cat ".venv/.$1.stamp" 2>/dev/null)" = "$(key "$1")" ] && "$py" -c '' 2>/dev/null; }
exec 9<locks
! command -v flock >/dev/null || flock 9 # two makes at once: the second waits
if is_ready "$name" || is_ready dev; then exit 0; fi

python=$(scripts/find_python.sh)
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$python cannot create virtual environments. Install: apt-get install $(basename "$(readlink -f "$python")")-venv"
[ "$(uname)" != Linux ] || "$python" -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2>/dev/null ||
    fail "the system library libgomp.so.1 is missing and LightGBM needs it. Install: apt-get install libgomp1"

# Stamps from elsewhere mean that the tree was moved or copied: scripts in .venv/bin point to the old place.
if ! "$py" -c '' 2>/dev/null || [ "$(cat .venv/.home 2>/dev/null)" != "$(pwd -P)" ]; then
    say "creating .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
    pwd -P >.venv/.home
fi
"$py" -m pip install -qq --require-hashes --disable-pip-version-check -r locks/tools.lock
[ "$name" != tools ] || exit 0

# uv reads none of pip's settings: pass on the index of those who have only pip configured.
index=${UV_DEFAULT_INDEX:-${UV_INDEX_URL:-${PIP_INDEX_URL:-$("$py" -m pip config get global.index-url 2>/dev/null || true)}}}
[ -z "$index" ] || export UV_DEFAULT_INDEX=$index
uv() { .venv/bin/uv pip install --python "$py" --no-deps "$@"; }

say "installing $(grep -c '^[a-z]' "locks/$name.lock") packages from locks/$name.lock"
# Wheels only, except mysqlclient, which has none and is built with the setuptools of tools.lock.
uv --require-hashes --only-binary :all: --no-binary mysqlclient --no-build-isolation-package mysqlclient \
    --compile-bytecode -r "locks/$name.lock" 2>&1 | { grep -vE '^ ([+~-]|Downloaded|  +Built) ' || true; } >&2
uv --quiet --no-build-isolation -e .
key "$name" >".venv/.$name.stamp"
