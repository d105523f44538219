#!/usr/bin/env bash
# Prints the path of a Python 3.11 or 3.12 outside .venv, or says what is missing.
# Called by env.sh and setup_test.sh. PYTHON=... chooses another interpreter.
set -euo pipefail

probe='import sys; v = sys.version_info[:2]; print(sys.executable); sys.exit(v not in ((3, 11), (3, 12)) or sys.prefix != sys.base_prefix)'
for candidate in ${PYTHON:-python3.11 python3.12 python3 python}; do
    # Asked, not trusted: a version manager's stub may exist for a Python that does not.
    if path=$("$candidate" -c "$probe" 2>/dev/null); then
        echo "$path"
        exit 0
    fi
done
echo "error: Python 3.11 or 3.12 is needed${PYTHON:+ and PYTHON=$PYTHON is neither}." >&2
echo "       Install it (Debian 12: apt-get install python3 python3-venv), or name one: make demo PYTHON=/path/to/python3.11" >&2
exit 1
