#!/usr/bin/env bash
# Images: images.sh build | scan | sbom | tag | push. Called by .gitea/workflows/images.yaml and by people.
#
# ENGINE      docker (default) or buildah
# BASE_IMAGE  base of all three; default in the Dockerfiles
# CA_BUNDLE   certificates that the build shall trust besides, behind a proxy (buildah only)
# REGISTRY    for tag and push: host and owner, as in git.example.org/team; push needs scripts/registry_login.sh
# RELEASE     tag of the release that the images are of, as in v0.1.0; in a workflow, the tag that it runs for. Without
#             one, images are named by their commit only, so that no later commit takes the place of a release
set -euo pipefail
cd "$(dirname "$0")/.."
images=(pipeline mlflow serving)
engine=${ENGINE:-docker}
version=$(sed -n 's/^version = //p' setup.cfg)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
fail() { echo "error: $*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || fail "$1 is not installed, and $2 needs it."; }

release=${RELEASE:-}
if [ "${GITHUB_REF_TYPE:-}" = tag ]; then release=${GITHUB_REF_NAME:-}; fi
[ -z "$release" ] || [ "$release" = "v$version" ] ||
    fail "the tag $release is not of version $version, which setup.cfg names. Next: correct one of them, and tag again"

build_one() {
    local arguments=(--build-arg "VERSION=$version" --build-arg "REVISION=$revision")
    [ -z "${BASE_IMAGE:-}" ] || arguments+=(--build-arg "BASE_IMAGE=$BASE_IMAGE")
    arguments+=(-f "docker/$1.Dockerfile" -t "${PREFIX:-}bist-$1:$version" .)
    case $engine in
        docker) docker build "${arguments[@]}" ;;
        # chroot: works inside containers too. Docker's format keeps HEALTHCHECK.
        buildah) buildah bud --isolation chroot --network host --format docker --layers \
            ${CA_BUNDLE:+-v "$CA_BUNDLE:/etc/ssl/certs/ca-certificates.crt:ro"} "${arguments[@]}" ;;
        *) fail "ENGINE is docker or buildah, not $engine." ;;
    esac
}
# buildah builds, and podman runs what it has built.
runner=${engine/buildah/podman}
look_inside() { # IMAGE PROGRAM WORDS...
    local image=${PREFIX:-}bist-$1:$version program=$2
    shift 2
    "$runner" run --rm --network none --entrypoint "$program" "$image" "$@"
}
trivy() {
    docker run --rm -v /var/run/docker.sock:/var/run/docker.sock "${TRIVY_IMAGE:-aquasec/trivy:0.67.2}" image --quiet "$@"
}

case ${1:-} in
    build)
        need "$engine" "images.sh build"
        for image in "${images[@]}"; do build_one "$image"; done
        ;;
    scan) # fails on what is critical and has a fix; needs trivy's image and its database of holes
        need docker "images.sh scan"
        for image in "${images[@]}"; do
            trivy --severity CRITICAL --ignore-unfixed --exit-code 1 "bist-$image:$version"
        done
        ;;
    sbom) # var/images/sbom-<image>.json: Python's packages with licences (CycloneDX); debian-<image>.txt: the system's
        need "$runner" "images.sh sbom"
        mkdir -p var/images
        for image in "${images[@]}"; do
            look_inside "$image" cat /opt/bist/sbom.json >"var/images/sbom-$image.json"
            # shellcheck disable=SC2016
            look_inside "$image" dpkg-query --show --showformat '${Package} ${Version}\n' >"var/images/debian-$image.txt"
        done
        ;;
    tag | push)
        need docker "images.sh $1"
        . scripts/registry.sh
        [ "$revision" != unknown ] || fail "this is not a git checkout, so images have no commit to be named after."
        for image in "${images[@]}"; do
            for tag in "$revision" ${release:+"$version"}; do
                if [ "$1" = tag ]; then
                    docker tag "bist-$image:$version" "$REGISTRY/bist-$image:$tag"
                else
                    docker push "$REGISTRY/bist-$image:$tag"
                fi
            done
        done
        ;;
    *) fail "usage: scripts/images.sh build | scan | sbom | tag | push" ;;
esac
