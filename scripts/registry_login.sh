#!/usr/bin/env bash
# Logs docker in to the registry as $REGISTRY_USER (in a workflow: who started it); REGISTRY_TOKEN goes in by a pipe.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/registry.sh
[ -n "${REGISTRY_TOKEN:-}" ] || { echo "error: REGISTRY_TOKEN is not set. Next: add it to the repository's secrets" >&2; exit 1; }
printf %s "$REGISTRY_TOKEN" |
    docker login --username "${REGISTRY_USER:-${GITHUB_ACTOR:-}}" --password-stdin "${REGISTRY%%/*}"
