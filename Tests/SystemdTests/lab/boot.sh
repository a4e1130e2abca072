#!/usr/bin/env bash
# Boots a throw-away Debian with real systemd in a container, runs one suite in it as a boot unit,
# and prints the suite's lines: `ok N - what`, `skip N - what (why)` or `FAIL N - what`.
#
#   boot.sh RELEASE SUITE FILES   RELEASE: bookworm (systemd 252) or trixie (257); SUITE: a script of
#                                 this folder; FILES: a tree that is put into the system, such as
#                                 `DESTDIR=... Tools/install` fills
#   boot.sh --probe               only finds out whether this machine allows it
#
# Exit status: 0 all ok, 1 something failed, 77 this machine does not allow it (with the reason).
# Every run leaves nothing behind but the base system, and the whole journal if it failed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=base.sh
. "$here/base.sh"
usage() {
    sed -n '2,12p' "$0" | cut -c3-
    exit 64
}

case $# in
1) [[ $1 == --probe ]] || usage ;;
3)
    suite=$2 installed=$3
    [[ -f $here/$suite && -n $(ls -A "$installed" 2>/dev/null) ]] || {
        echo "boot.sh: no suite $suite, or nothing below $installed"
        exit 64
    }
    ;;
*) usage ;;
esac

require_containers
release=$1
[[ $1 != --probe ]] || release=bookworm
base_system "$release"
name=martlet-$$
d=$lab/$name
trap 'unlayer "$d"' EXIT
layer "$d"
probe_container "$name" "$d"
[[ $1 != --probe ]] || exit 0

put_suite "$d" "$suite" "$installed"
container 300 "$name" "$d" --private-network --bind="$d/out:/out" \
    --boot systemd.show_status=0 >"$d/out/console.log" 2>&1 || true
report "$d/out/result.txt" "$d/out/console.log" "$d/m/var/log/journal"
