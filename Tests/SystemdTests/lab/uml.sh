#!/usr/bin/env bash
# Boots a throw-away Debian with real systemd on a kernel of its own, user-mode Linux, runs one suite
# in it, and prints the suite's lines as boot.sh does. Unlike a container, the guest has the kernel's
# real controllers and limits, and its disk loses what was not synced when the guest is killed.
#
#   uml.sh limits.sh FILES      what the units' limits do
#   uml.sh power-cut.sh FILES   20 power cuts under load, and what is left after each
#   uml.sh --probe              only finds out whether this machine allows it
#
# FILES: a tree that is put into the system, such as `DESTDIR=... Tools/install` fills. UML_CYCLES:
# another number of power cuts. Exit status: 0 all ok, 1 something failed, 77 this machine does not
# allow it (with the reason). Every run leaves nothing behind but the base system and the kernel, and
# the whole journal if it failed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=base.sh
. "$here/base.sh"
usage() {
    sed -n '2,13p' "$0" | cut -c3-
    exit 64
}

# Makes sure that there is a kernel to run, and sets `kernel` to it: Debian's package, installed or not.
uml_kernel() {
    kernel=$(command -v linux.uml || true)
    [[ -z $kernel ]] || return 0
    local package=$lab/user-mode-linux
    kernel=$package/usr/bin/linux.uml
    [[ ! -e $package/.complete ]] || return 0
    mkdir -p "$package"
    (cd "$package" && apt-get -q download user-mode-linux && dpkg -x user-mode-linux_*.deb . &&
        rm user-mode-linux_*.deb) >"$lab/user-mode-linux.log" 2>&1 ||
        skip "user-mode-linux is neither installed nor found: $(tail -n 1 "$lab/user-mode-linux.log")"
    touch "$package/.complete"
}

# Starts the guest on the layer's system and on its disk, with more settings of the kernel as arguments.
guest_on() {
    local memory=$d
    [[ ! -w /dev/shm ]] || memory=/dev/shm
    TMPDIR=$memory "$d/linux" mem=768M uml_dir="$d/uml/" ubd0="$d/disk.img" root=/dev/root \
        rootfstype=hostfs rootflags="$d/m" rw con=null con0=fd:0,fd:1 \
        systemd.show_status=0 quiet "$@" </dev/null >>"$d/out/console.log" 2>&1 &
    guest=$!
}

# Takes the guest's power away. From the moment on in which its kernel is stopped nothing happens in it
# any more. The guest's processes are processes of this machine, too, that their kernel holds on a
# leash: it dies last, or they would run loose here.
power_off() {
    local process
    {
        kill -STOP "$guest" || true
        for process in /proc/[0-9]*; do
            [[ ${process#/proc/} == "$guest" || $(readlink "$process/exe") != "$d/linux" ]] ||
                kill -9 "${process#/proc/}" || true
        done
        kill -9 "$guest" || true
        wait "$guest" || true
    } 2>/dev/null
    guest=
}

# Waits SECONDS for a command to succeed while the guest runs.
while_on() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) && kill -0 "$guest" 2>/dev/null || return 1
        sleep 0.1
    done
}
is_off() { ! kill -0 "$guest" 2>/dev/null; }
wait_for_off() {
    while_on "$1" is_off || true
    is_off || echo "the guest did not power off" >>"$d/out/console.log"
    power_off
}

# Whether cycle $1 has $2 messages of each producer acknowledged, and a topic made.
is_loaded() {
    local file
    for file in "$out"/acknowledged.{0,1}."$1"; do
        [[ -e $file ]] && (($(grep -c 'on broker' "$file") >= $2)) || return 1
    done
    grep -qs "^cycle-$1-" "$out/topics.made"
}

# Cuts the power in the middle of each cycle's load; the boot after the last cut ends by itself.
cut_power() {
    local cycle
    echo "$cycles" >"$out/cycles"
    for ((cycle = 1; cycle <= cycles; cycle++)); do
        echo "$cycle" >"$out/cycle"
        guest_on
        while_on 120 is_loaded "$cycle" $((50 + cycle * 7919 % 1500)) || return 0
        power_off
    done
    echo "$cycle" >"$out/cycle"
    guest_on
    wait_for_off 200
}

case $# in
1) [[ $1 == --probe ]] || usage ;;
2)
    suite=$1 installed=$2
    [[ -f $here/$suite && -n $(ls -A "$installed" 2>/dev/null) ]] || {
        echo "uml.sh: no suite $suite, or nothing below $installed"
        exit 64
    }
    ;;
*) usage ;;
esac
cycles=${UML_CYCLES:-20}

[[ $(uname -sm) == "Linux x86_64" ]] || skip "user-mode Linux needs Linux on x86_64"
[[ $EUID == 0 ]] || skip "a system's files in a folder need root"
command -v mkfs.ext4 >/dev/null || skip "mkfs.ext4 is not installed (apt-get install e2fsprogs)"
base_system bookworm
uml_kernel
d=$lab/martlet-uml-$$ out=$lab/martlet-uml-$$/m/out guest=
trap '[[ -z $guest ]] || power_off; unlayer "$d"' EXIT
layer "$d"
mkdir -p "$d/uml" "$out"
# A name of its own for the kernel, by which the processes of this guest are found.
cp "$kernel" "$d/linux"
truncate -s 1G "$d/disk.img"
mkfs.ext4 -q "$d/disk.img"
printf '#!/bin/sh\nexec /usr/sbin/poweroff -ff\n' >"$d/m/usr/bin/lab-probe"
chmod 755 "$d/m/usr/bin/lab-probe"
guest_on init=/usr/bin/lab-probe
while_on 30 is_off || true
grep -q 'System halted' "$d/out/console.log" ||
    skip "user-mode Linux does not run here: $(tail -n 1 "$d/out/console.log")"
power_off
[[ $1 != --probe ]] || exit 0

put_suite "$d" "$suite" "$installed"
chroot "$d/m" systemd-sysusers martlet.conf >"$d/out/console.log" 2>&1
chroot "$d/m" journalctl --update-catalog
# The data lies on a disk of the guest's own. Without udev no device unit ever appears for it.
cat >"$d/m/etc/systemd/system/lab-disk.service" <<'UNIT'
[Unit]
Before=controllerd.service brokerd.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'e2fsck -fp /dev/ubda >/out/fsck.log 2>&1; echo $$? >/out/fsck.status'
ExecStart=/bin/mount /dev/ubda /var/lib/martlet
ExecStart=/bin/systemd-tmpfiles --create martlet.conf
[Install]
RequiredBy=controllerd.service brokerd.service
UNIT
# What only costs time in a guest that never changes.
touch "$d/m/etc/.updated" "$d/m/var/.updated"
for unit in systemd-logind.service systemd-random-seed.service dev-mqueue.mount \
    dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    systemd-update-utmp.service systemd-update-utmp-runlevel.service \
    modprobe@{configfs,dm_mod,drm,fuse,efi_pstore,loop}.service; do
    ln -sf /dev/null "$d/m/etc/systemd/system/$unit"
done
systemctl -q --root="$d/m" enable lab-disk.service controllerd.service brokerd.service

if [[ $suite == power-cut.sh ]]; then
    cut_power
else
    guest_on
    wait_for_off 400
fi
report "$out/result.txt" "$d/out/console.log" "$d/m/var/log/journal"
