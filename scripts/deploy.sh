#!/usr/bin/env bash
# Deploys this checkout on this host: deploy.sh wait | roll. Called by .gitea/workflows/deploy.yaml and by people.
#
# wait   until the images of this commit are in the registry
# roll   backup, migrate, start, smoke test; if anything fails, the version before comes back, data included
#
# BIST_DEPLOYMENT  the folder with .env that outlives checkouts (default: ~/bist); releases and backups go there
# REGISTRY         as for images.sh
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/registry.sh
revision=$(git rev-parse HEAD)
home=${BIST_DEPLOYMENT:-$HOME/bist}
say() { echo "==> $*" >&2; }
fail() { echo "error: $*" >&2; exit 1; }

# How compose is called for a release, in words: backup.sh and restore.sh take it as COMPOSE.
compose_of() {
    echo "docker compose --project-name bist --env-file $home/.env --env-file $home/releases/$1/images.env" \
        "--file $home/releases/$1/docker-compose.yaml"
}
compose() { local release=$1; shift; $(compose_of "$release") "$@"; }
schema() { # the revision of our tables; empty before the first deployment
    # shellcheck disable=SC2016
    compose "$1" exec -T mysql sh -c 'MYSQL_PWD=$MYSQL_ROOT_PASSWORD exec mysql --host=127.0.0.1 --user=root -N \
        -e "select version_num from bist.alembic_version"' 2>/dev/null || true
}

wait_for_images() {
    for image in pipeline mlflow serving; do
        for try in {1..120}; do
            if docker manifest inspect "$REGISTRY/bist-$image:$revision" >/dev/null 2>&1; then break; fi
            [ "$try" != 120 ] || fail "no image $REGISTRY/bist-$image:$revision after an hour. Next: look at the workflow images"
            sleep "${WAIT_S:-30}"
        done
    done
    say "the images of $revision are in $REGISTRY"
}

write_release() { # what the running containers need of this checkout
    local folder=$home/releases/$revision
    mkdir -p "$folder/docker"
    cp docker-compose.yaml "$folder/"
    cp docker/prometheus.yml docker/alerts.yml "$folder/docker/"
    for image in pipeline mlflow serving; do
        echo "${image^^}_IMAGE=$REGISTRY/bist-$image:$revision"
    done >"$folder/images.env"
}

start() { # pull, migrate and start this release; each step's failure is the caller's
    step=pull && compose "$revision" pull --quiet &&
        step=migration && compose "$revision" run --rm init &&
        migrated=yes &&
        step=start && compose "$revision" up --detach --wait --no-build &&
        step="smoke test" && python3 scripts/smoke.py --patience "${PATIENCE_S:-300}"
}

come_back() { # to the release before
    [ -n "$before" ] || fail "the $step failed, and there is no version before. Next: $(compose_of "$revision") logs"
    say "the $step failed: back to $before"
    compose "$before" up --detach --wait --no-build || true
    # A schema that changed, or may have changed in part, is one that the old code does not know.
    if [ "$step" != pull ] && { [ -z "$migrated" ] || [ "$(schema "$before")" != "$schema_before" ]; }; then
        COMPOSE=$(compose_of "$before") scripts/restore.sh "$backup" --yes ||
            fail "the data could not be restored either. Next: COMPOSE='$(compose_of "$before")' scripts/restore.sh $backup --yes"
    fi
    fail "the $step of $revision failed; $before runs again. Next: $(compose_of "$before") logs"
}

roll() {
    [ -e "$home/.env" ] || fail "$home/.env is missing. Next: make secrets, then move .env there; see docs/en/containers.md"
    before=$(readlink "$home/current" 2>/dev/null || true)
    write_release
    schema_before='' backup='' migrated='' step=''
    if [ -n "$before" ]; then
        schema_before=$(schema "$before")
        backup=$home/backups/$(date -u +%Y%m%dT%H%M%SZ)-before-${revision:0:12}
        COMPOSE=$(compose_of "$before") scripts/backup.sh "$backup" >/dev/null
    fi
    start || come_back
    ln -sfn "$revision" "$home/current"
    say "$revision runs"
}

case ${1:-} in
    wait) wait_for_images ;;
    roll) roll ;;
    *) fail "usage: scripts/deploy.sh wait | roll" ;;
esac
