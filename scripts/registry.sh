# Sourced: sets REGISTRY, host and owner of the images, as in git.example.org/team. In a workflow they are this Gitea's.
server=${GITHUB_SERVER_URL:-}
REGISTRY=${REGISTRY:-${server:+${server#*://}/${GITHUB_REPOSITORY_OWNER:-}}}
REGISTRY=${REGISTRY,,}
[ -n "$REGISTRY" ] || { echo "error: REGISTRY is not set. Next: REGISTRY=git.example.org/team $0 ${*:-}" >&2; exit 1; }
