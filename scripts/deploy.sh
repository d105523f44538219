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
revisions() { # of the tables of all three databases, a line each; of a table that is not there, none
    # shellcheck disable=SC2016
    compose "$1" exec -T mysql sh -c 'MYSQL_PWD=$MYSQL_ROOT_PASSWORD exec mysql --host=127.0.0.1 --user=root -N --force \
        -e "select \"bist\", version_num from bist.alembic_version; select \"airflow\", version_num from airflow.alembic_version;
            select \"fab\", version_num from airflow.alembic_version_fab; select \"mlflow\", version_num from mlflow.alembic_version"' \
        2>/dev/null || true
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

smoke() { python3 scripts/smoke.py --patience "${PATIENCE_S:-300}"; }
start() { # pull, migrate and start this release; each step's failure is the caller's
    step=pull && compose "$revision" pull --quiet &&
        step=migration && compose "$revision" run --rm init &&
        migrated=yes &&
        step=start && compose "$revision" up --detach --wait --no-build &&
        step="smoke test" && smoke
}

come_back() { # to the release before
    [ -n "$before" ] || fail "the $step failed, and there is no version before. Next: $(compose_of "$revision") logs"
    [ "$step" != pull ] || fail "the pull of $revision failed; nothing was touched, and $before runs on. Next: scripts/deploy.sh wait"
    say "the $step failed: back to $before"
    # A schema that changed, or may have changed in part, is one that the old code does not know and does not start on.
    if [ -z "$migrated" ] || [ "$(revisions "$before")" != "$revisions_before" ]; then
        COMPOSE=$(compose_of "$before") scripts/restore.sh "$backup" --yes ||
            fail "the data could not be restored either. Next: COMPOSE='$(compose_of "$before")' scripts/restore.sh $backup --yes"
    else
        compose "$before" up --detach --wait --no-build || say "$before does not start as it should"
    fi
    smoke || fail "the $step of $revision failed, and $before does not do its work either. Next: $(compose_of "$before") logs"
    fail "the $step of $revision failed; $before runs again. Next: $(compose_of "$before") logs"
}

roll() {
    [ -e "$home/.env" ] || fail "$home/.env is missing. Next: make secrets, then move .env there; see docs/en/containers.md"
    # One at a time, whoever starts it: Gitea up to 1.25 does not know a workflow's `concurrency`.
    exec 9>>"$home/deploy.lock"
    flock --nonblock 9 || { say "another deployment runs here: waiting for its end" && flock 9; }
    before=$(readlink "$home/current" 2>/dev/null || true)
    write_release
    revisions_before='' backup='' migrated='' step=''
    if [ -n "$before" ]; then
        revisions_before=$(revisions "$before")
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
