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

cp -a "$installed/." "$d/m/"
install -m755 "$here/$suite" "$d/m/usr/bin/lab-suite"
install -m644 "$here/checks.sh" "$d/m/usr/lib/lab-checks.sh"
cat >"$d/m/etc/systemd/system/lab-suite.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=exec
ExecStart=/usr/bin/lab-suite
StandardOutput=truncate:/out/result.txt
StandardError=inherit
UNIT
ln -sf ../lab-suite.service "$d/m/etc/systemd/system/multi-user.target.wants/"

container 300 "$name" "$d" --private-network --bind="$d/out:/out" \
    --boot systemd.show_status=0 >"$d/out/console.log" 2>&1 || true
[[ ! -s $d/out/result.txt ]] || cat "$d/out/result.txt"
status=0
if ! grep -q '^done: ' "$d/out/result.txt" 2>/dev/null; then
    tail -n 20 "$d/out/console.log"
    echo "FAIL - the suite did not reach its end"
    status=1
elif grep -q '^FAIL' "$d/out/result.txt"; then
    status=1
fi
if ((status)); then
    journalctl -q --no-pager -D "$d/m/var/log/journal" -o short-precise \
        >"$lab/failed.journal" || true
    echo "the whole journal: $lab/failed.journal"
fi
exit $status
