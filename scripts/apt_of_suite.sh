# Sourced: use_suite SUITE FOLDER lets apt see one suite of Debian and no installed package, all of it in FOLDER.
# The mirror is the one the system uses. For what a test unpacks and nothing installs.
use_suite() {
    local suite=$1 work=$2 mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    command -v apt-get >/dev/null && [ -e "$keyring" ] || return 1
    mirror=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null |
        grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1 | tr -d ' ') || true
    mkdir -p "$work"/{etc/apt.conf.d,etc/preferences.d,state/lists/partial,cache/archives/partial}
    touch "$work/state/status"
    echo "deb [signed-by=$keyring] ${mirror:-http://deb.debian.org/debian} $suite main" >"$work/etc/sources.list"
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
    apt-get -qq update >&2
}
