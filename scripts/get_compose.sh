#!/usr/bin/env bash
# Unpacks Docker's compose, which checks docker-compose.yaml without Docker, and prints where. Nothing is installed: it
# is taken out of Debian 13's package, by apt, into the user's cache (13 MB to fetch, 64 MB unpacked, once).
set -euo pipefail
home=${XDG_CACHE_HOME:-$HOME/.cache}/bist-pipeline
tool=$home/docker-compose
if [ -x "$tool" ]; then
    echo "$tool"
    exit 0
fi
give_up() { echo "no docker-compose: $1" >&2; exit 1; }
mkdir -p "$home"
work=$(mktemp -d "$home/compose.XXXXXX")
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/apt_of_suite.sh"
use_suite trixie "$work" || give_up "Debian's packages cannot be reached"
cd "$work"
apt-get -qq download docker-compose >&2 || give_up "the package docker-compose cannot be fetched"
dpkg-deb --extract docker-compose_*.deb tree
mv tree/usr/libexec/docker/cli-plugins/docker-compose "$tool"
echo "$tool"
