#!/usr/bin/env bash
# Boots a throw-away Debian 12 with real systemd in a container, runs one suite in it as a boot
# unit, and prints the suite's TAP lines. Exit status 1 if any line says "not ok", 77 if this
# machine does not allow it.
#
#   boot.sh SUITE INSTALLED    SUITE: a script of this folder; INSTALLED: the tree that
#                              `DESTDIR=... Tools/install` has filled
#
# MARTLET_LAB names the folder that keeps the base system between runs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
suite=$1 installed=$2
lab=${MARTLET_LAB:-${TMPDIR:-/tmp}/martlet-lab}
name=martlet-$$

skip() {
    echo "skipped: $*"
    exit 77
}
[[ $EUID == 0 ]] || skip "booting a container needs root"
for tool in systemd-nspawn debootstrap; do
    command -v "$tool" >/dev/null || skip "$tool is not installed"
done

packages=systemd,systemd-sysv,dbus,iproute2,libnss-systemd,procps,kcat,libstdc++6
packages+=,libyaml-0-2,libisal2,libsystemd0,libsnappy1v5,liblz4-1,libzstd1,zlib1g
if [[ ! -e $lab/rootfs/.complete ]]; then
    mkdir -p "$lab"
    rm -rf "$lab/rootfs"
    mirror=$(sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\?\([^ ]*\).*/\2/p' \
        /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1)
    debootstrap --variant=minbase --include="$packages" bookworm "$lab/rootfs" "$mirror" \
        >"$lab/debootstrap.log" 2>&1 || skip "debootstrap failed: $(tail -n 1 "$lab/debootstrap.log")"
    touch "$lab/rootfs/.complete"
fi

d=$lab/$name
mkdir -p "$d"/{up,work,m,out}
mount -t overlay overlay -o "lowerdir=$lab/rootfs,upperdir=$d/up,workdir=$d/work" "$d/m" ||
    skip "no overlay mounts here"
trap 'umount "$d/m"; rm -rf "$d"' EXIT

cp -a "$installed/." "$d/m/"
install -m755 "$here/$suite" "$d/m/usr/bin/lab-suite"
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

SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 timeout -k 5 240 systemd-nspawn --register=no --keep-unit \
    --quiet --machine="$name" --private-network --bind="$d/out:/out" --console=pipe \
    --capability=all --system-call-filter=bpf -D "$d/m" --boot systemd.show_status=0 \
    </dev/null >"$d/out/console.log" 2>&1 || true
[[ -s $d/out/result.tap ]] || {
    tail -n 20 "$d/out/console.log"
    echo "not ok - the suite did not run"
    exit 1
}
cat "$d/out/result.tap"
! grep -q '^not ok' "$d/out/result.tap"
