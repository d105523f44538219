#!/usr/bin/env bash
# Compiles locks/*.lock from setup.cfg and locks/tools.in. Called by `make lock`; UPGRADE=1 takes the newest versions.
# dev.lock is resolved once, for everything; the others are parts of it.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=.venv/bin/uv
compile() {
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --custom-compile-command 'make lock' --excludes locks/excludes.txt "$@"
}
# All but qlib, which has an environment of its own, and what only the images have.
extras=()
for extra in serving pipeline airflow celery mysql s3 tuning yahoo test ops; do extras+=(--extra "$extra"); done
compile ${UPGRADE:+--upgrade} locks/tools.in -o locks/tools.lock
compile ${UPGRADE:+--upgrade} locks/sbom.in -o locks/sbom.lock
compile ${UPGRADE:+--upgrade} setup.cfg "${extras[@]}" -c locks/tools.lock -o locks/dev.lock
part() { local lock=$1; shift; compile --upgrade --no-annotate setup.cfg "$@" -c locks/dev.lock -o "locks/$lock"; }
part run.lock --extra serving --extra pipeline --extra yahoo --extra airflow
part celery.lock --extra serving --extra pipeline --extra yahoo --extra airflow --extra celery --extra mysql --extra s3
part serving.lock --extra serving --extra mysql
part containers.lock --extra containers --extra celery --extra pipeline --extra airflow --extra mysql --extra s3 --extra serving \
    --extra yahoo
part mlflow.lock --extra tracking-server --extra mysql
