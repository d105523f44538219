#!/usr/bin/env bash
# Entry point of the pipeline's image: puts the compiled loops where numba may write, then becomes the command.
set -euo pipefail
[ -e "$NUMBA_CACHE_DIR" ] || cp -r /var/cache/numba "$NUMBA_CACHE_DIR"
exec "$@"
