#!/usr/bin/env bash
# Unpacks a real MySQL server and its client for the tests, and prints where. Nothing is installed: Debian unstable has
# the packages, and they go to the user's cache (55 MB to fetch, 350 MB unpacked, once). Needs Debian on amd64.
set -euo pipefail
home=${XDG_CACHE_HOME:-$HOME/.cache}/bist-pipeline/mysql-server-and-client
tree=$home/tree
if [ -x "$tree/usr/sbin/mysqld" ]; then
    echo "$tree"
    exit 0
fi

give_up() { echo "no MySQL: $1" >&2; exit 1; }
[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || give_up "its packages are Debian's, and unpacked for amd64 only"
mkdir -p "$home"
work=$(mktemp -d "$home/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/apt_of_suite.sh"
use_suite sid "$work" || give_up "Debian's packages cannot be reached"
mkdir "$work/debs" "$work/tree"
# What mysqld loads: the server, its libraries, and the C library it was built with. Not what perl scripts need.
packages=$(apt-get install --simulate --no-install-recommends mysql-server-core mysql-client-core |
    awk '$1 == "Inst" { print $2 }' | grep -vE '^(lib)?(perl|gdbm|db5)|^gcc-|^openssl-provider')
cd "$work/debs"
# shellcheck disable=SC2086
apt-get -qq download $packages >&2 || give_up "Debian's packages cannot be fetched"
for package in *.deb; do dpkg-deb --extract "$package" "$work/tree"; done
mv -T "$work/tree" "$tree" 2>/dev/null || [ -x "$tree/usr/sbin/mysqld" ] # another one may have been faster
echo "$tree"
