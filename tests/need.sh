# To be sourced: installs what is missing from Debian, where that may be done. Else the tests that need it say so.

need() { # command package...
    command -v "$1" >/dev/null 2>&1 && return
    shift
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 0
    needs_log=$(mktemp)
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } >"$needs_log" 2>&1 ||
        { echo "cannot install $*:"; tail -n 5 "$needs_log"; }
    rm -f "$needs_log"
}
