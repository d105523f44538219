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
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
command -v apt-get >/dev/null && [ -e "$keyring" ] || give_up "its packages are taken from Debian, by apt"
[ "$(dpkg --print-architecture)" = amd64 ] || give_up "unpacked for amd64 only"

# An apt of its own, that knows unstable and no installed package: the mirror is the one the system uses.
mirror=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null |
    grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1 | tr -d ' ') || true
mkdir -p "$home"
work=$(mktemp -d "$home/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{etc/apt.conf.d,etc/preferences.d,state/lists/partial,cache/archives/partial,debs,tree}
touch "$work/state/status"
echo "deb [signed-by=$keyring] ${mirror:-http://deb.debian.org/debian} sid main" >"$work/etc/sources.list"
cat >"$work/apt.conf" <<END
Dir::Etc "$work/etc";
Dir::Etc::parts "$work/etc/apt.conf.d";
Dir::Etc::sourcelist "$work/etc/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State "$work/state";
Dir::State::status "$work/state/status";
Dir::Cache "$work/cache";
Acquire::Languages "none";
// A mirror may be weeks behind; its signature is checked all the same.
Acquire::Check-Valid-Until "false";
Acquire::http::Timeout "15";
Acquire::Retries "1";
APT::Update::Error-Mode "any";
APT::Sandbox::User "";
END
export APT_CONFIG=$work/apt.conf
apt-get -qq update >&2 || give_up "Debian's packages cannot be reached"
# What mysqld loads: the server, its libraries, and the C library it was built with. Not what perl scripts need.
packages=$(apt-get install --simulate --no-install-recommends mysql-server-core mysql-client-core |
    awk '$1 == "Inst" { print $2 }' | grep -vE '^(lib)?(perl|gdbm|db5)|^gcc-|^openssl-provider')
cd "$work/debs"
# shellcheck disable=SC2086
apt-get -qq download $packages >&2 || give_up "Debian's packages cannot be fetched"
for package in *.deb; do dpkg-deb --extract "$package" "$work/tree"; done
mv -T "$work/tree" "$tree" 2>/dev/null || [ -x "$tree/usr/sbin/mysqld" ] # another one may have been faster
echo "$tree"
