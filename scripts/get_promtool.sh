#!/usr/bin/env bash
# Unpacks promtool, which checks docker/alerts.yml, and prints where. Nothing is installed: it is taken out of the
# distribution's package of Prometheus, by apt, into the user's cache.
set -euo pipefail
home=${XDG_CACHE_HOME:-$HOME/.cache}/bist-pipeline
tool=$home/promtool
if [ -x "$tool" ]; then
    echo "$tool"
    exit 0
fi
give_up() { echo "no promtool: $1" >&2; exit 1; }
command -v apt-get >/dev/null || give_up "it is taken from Debian's or Ubuntu's package, by apt"
mkdir -p "$home"
work=$(mktemp -d "$home/promtool.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq download prometheus >&2 || give_up "the package prometheus cannot be fetched"
dpkg-deb --extract prometheus_*.deb .
mv usr/bin/promtool "$tool"
echo "$tool"
