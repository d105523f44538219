#!/usr/bin/env bash
# Builds every image and runs the whole compose file with podman: `make containers-test`. Needs root, Debian 12 and apt;
# installs what else it needs. Nothing is pulled: base, MySQL and Prometheus are made from Debian's packages.
# Everything lies in one folder and is gone at the end, but for the images and the summary.
#
# SKIP       parts to leave out, as in SKIP="kills celery"; see PARTS in containers_check.py
# WORK       that folder (default: var/containers-test); a second run reuses the images of the first
# CA_BUNDLE  certificates that the builds shall trust besides, behind a proxy
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mkdir -p "${WORK:-var/containers-test}" && cd "${WORK:-var/containers-test}" && pwd)
base=localhost/python:3.11-slim-bookworm
say() { echo "==> $*" >&2; }
fail() { echo "error: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "containers without Docker need root here. Next: sudo make containers-test"

missing=()
for program in podman buildah runc debootstrap; do
    command -v "$program" >/dev/null || [ -x "/usr/sbin/$program" ] || missing+=("$program")
done
if [ ${#missing[@]} -gt 0 ]; then
    say "apt-get install ${missing[*]}"
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "${missing[@]}"; } \
        >"$work/apt.log" 2>&1 || fail "apt cannot install ${missing[*]}. Next: read $work/apt.log"
fi

mkdir -p "$work"/{storage,run,tmp}
printf '[storage]\ndriver = "%s"\ngraphroot = "%s"\nrunroot = "%s"\n' \
    "${STORAGE_DRIVER:-overlay}" "$work/storage" "$work/run" >"$work/storage.conf"
export CONTAINERS_STORAGE_CONF=$work/storage.conf CONTAINERS_CONF=$PWD/docker/stand-ins/containers.conf TMPDIR=$work/tmp
log=$work/build.log
: >"$log"
build() { # NAME: a stand-in, from the folder $work/context
    buildah bud --isolation chroot --network host --format docker --layers --build-arg "BASE_IMAGE=$base" \
        ${CA_BUNDLE:+-v "$CA_BUNDLE:/etc/ssl/certs/ca-certificates.crt:ro"} \
        -f "docker/stand-ins/$1.Dockerfile" -t "localhost/$1:stand-in" "$2" >>"$log" 2>&1 ||
        fail "the stand-in for $1 cannot be built. Next: read $log"
}

started=$SECONDS
if ! podman image exists "$base"; then
    say "making the base image from Debian's packages"
    root=$work/bookworm
    mirror=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null |
        grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1 | tr -d ' ') || true
    { rm -rf "$root" && debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv \
        bookworm "$root" "${mirror:-http://deb.debian.org/debian}"; } >>"$log" 2>&1 || fail "debootstrap failed. Next: read $log"
    ln -sf python3 "$root/usr/bin/python"
    tar -C "$root" --exclude='./proc/*' --exclude='./sys/*' --exclude='./var/cache/apt/archives/*.deb' -c . |
        podman import --quiet -c 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' \
            -c 'CMD ["bash"]' - "$base" >>"$log" 2>&1
    rm -rf "$root"
fi
if ! podman image exists localhost/mysql:stand-in; then
    say "making an image of MySQL from Debian's packages"
    tree=$(scripts/get_mysql.sh)
    mkdir -p "$work/context"
    cp -r "$tree" "$work/context/tree"
    cp docker/stand-ins/mysql.sh "$work/context/"
    build mysql "$work/context"
    rm -rf "$work/context"
fi
for name in prometheus redis; do
    if ! podman image exists "localhost/$name:stand-in"; then
        say "making an image of $name from Debian's package"
        build "$name" docker/stand-ins
    fi
done
say "building the project's images"
export ENGINE=buildah PREFIX=localhost/ BASE_IMAGE=$base
scripts/images.sh build >>"$log" 2>&1 || fail "an image cannot be built. Next: read $log"
export BUILD_S=$((SECONDS - started))
say "images ready after $BUILD_S s"
exec .venv/bin/python scripts/containers_check.py "$work"
