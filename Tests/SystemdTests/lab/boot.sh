#!/usr/bin/env bash
# Boots a throw-away Debian 12 with real systemd in a container, runs one suite in it as a boot
# unit, and prints the suite's lines: `ok N - what` or `FAIL N - what`.
#
#   boot.sh SUITE FILES        SUITE: a script of this folder; FILES: a tree that is put into the
#                              system, such as `DESTDIR=... Tools/install` fills
#   boot.sh --probe            only finds out whether this machine allows it
#
# Exit status: 0 all ok, 1 something failed, 77 this machine does not allow it (with the reason).
# MARTLET_LAB names the folder that keeps the base system between runs; every run works on a layer
# of its own above it and leaves nothing behind. The whole journal of a run that failed is kept.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
lab=${MARTLET_LAB:-${TMPDIR:-/tmp}/martlet-lab}
name=martlet-$$
d=$lab/$name

skip() {
    echo "skipped: $*"
    exit 77
}

case $# in
1) [[ $1 == --probe ]] || { sed -n '2,11p' "$0" | cut -c3- && exit 64; } ;;
2)
    suite=$1 installed=$2
    [[ -f $here/$suite && -n $(ls -A "$installed" 2>/dev/null) ]] || {
        echo "boot.sh: no suite $suite, or nothing below $installed"
        exit 64
    }
    ;;
*) sed -n '2,11p' "$0" | cut -c3- && exit 64 ;;
esac

[[ $(uname -s) == Linux ]] || skip "containers need Linux"
[[ $EUID == 0 ]] || skip "booting a container needs root"
command -v systemd-nspawn >/dev/null ||
    skip "systemd-nspawn is not installed (apt-get install systemd-container)"

# The base system, made once.
if [[ ! -e $lab/rootfs/.complete ]]; then
    command -v debootstrap >/dev/null || skip "debootstrap is not installed"
    packages=systemd,systemd-sysv,dbus,iproute2,libnss-systemd,procps,kcat,libstdc++6
    packages+=,libyaml-0-2,libisal2,libsystemd0,libsnappy1v5,liblz4-1,libzstd1,zlib1g
    mkdir -p "$lab"
    rm -rf "$lab/rootfs"
    mirror=$(sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\?\([^ ]*\).*/\2/p' \
        /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1)
    debootstrap --variant=minbase --include="$packages" bookworm "$lab/rootfs" "$mirror" \
        >"$lab/debootstrap.log" 2>&1 ||
        skip "debootstrap failed: $(tail -n 1 "$lab/debootstrap.log")"
    touch "$lab/rootfs/.complete"
fi

mkdir -p "$d"/{up,work,m,out}
trap 'if mountpoint -q "$d/m"; then umount "$d/m" || umount -l "$d/m"; fi; rm -rf "$d"' EXIT
mount -t overlay overlay -o "lowerdir=$lab/rootfs,upperdir=$d/up,workdir=$d/work" "$d/m" \
    2>"$d/out/mount.log" || skip "no overlay mounts here: $(head -n 1 "$d/out/mount.log")"

container() {
    SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 timeout -k 5 "$1" systemd-nspawn --register=no --keep-unit \
        --quiet --machine="$name" --private-network --console=pipe --capability=all \
        --system-call-filter=bpf -D "$d/m" "${@:2}" </dev/null
}

# What forbids containers (no namespaces, no mounts, another container around us) shows here.
container 30 /bin/true >"$d/out/probe.log" 2>&1 ||
    skip "containers are not allowed here: $(tail -n 1 "$d/out/probe.log")"
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
StandardOutput=journal
UNIT
mkdir -p "$d/m/etc/systemd/system/multi-user.target.wants" "$d/m/var/log/journal"
ln -sf ../lab-suite.service "$d/m/etc/systemd/system/multi-user.target.wants/"
: >"$d/m/etc/machine-id"
for unit in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer dpkg-db-backup.timer console-getty.service getty@tty1.service; do
    ln -sf /dev/null "$d/m/etc/systemd/system/$unit"
done

container 300 --bind="$d/out:/out" --boot systemd.show_status=0 >"$d/out/console.log" 2>&1 || true
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
