# The systems that the lab boots: Debian as debootstrap makes it, once for each release, and a
# throw-away layer above it for each machine of a run. Sourced by what boots them.
#
# MARTLET_LAB names the folder that keeps the base systems between runs.
# shellcheck shell=bash
lab=${MARTLET_LAB:-${TMPDIR:-/tmp}/martlet-lab}

# Ends the run: this machine does not allow it, for the reason given.
skip() {
    echo "skipped: $*"
    exit 77
}

# base_system RELEASE: makes sure that $lab/RELEASE holds it, and sets `base` to that folder.
# bookworm has systemd 252, the oldest that Martlet supports; trixie has 257.
base_system() {
    base=$lab/$1
    [[ ! -e $base/.complete ]] || return 0
    command -v debootstrap >/dev/null ||
        skip "debootstrap is not installed (apt-get install debootstrap)"
    local packages mirror
    packages=systemd,systemd-sysv,dbus,iproute2,nftables,libnss-systemd,procps,kcat,libstdc++6
    packages+=,libyaml-0-2,libisal2,libsystemd0,libsnappy1v5,liblz4-1,libzstd1,zlib1g
    mirror=$(sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\?\([^ ]*\).*/\2/p' \
        /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1 || true)
    mkdir -p "$lab"
    rm -rf "$base"
    debootstrap --variant=minbase --include="$packages" "$1" "$base" "$mirror" \
        >"$lab/debootstrap-$1.log" 2>&1 ||
        skip "debootstrap $1 failed: $(tail -n 1 "$lab/debootstrap-$1.log")"
    rm -f "$base"/var/cache/apt/archives/*.deb
    touch "$base/.complete"
}

# layer FOLDER: a system of its own in FOLDER/m above `base`; what it writes lies in FOLDER/up.
layer() {
    mkdir -p "$1"/{up,work,m,out}
    mount -t overlay overlay -o "lowerdir=$base,upperdir=$1/up,workdir=$1/work" "$1/m" \
        2>"$1/out/mount.log" || skip "no overlay mounts here: $(head -n 1 "$1/out/mount.log")"
    mkdir -p "$1/m/var/log/journal" "$1/m/etc/systemd/system/multi-user.target.wants"
    : >"$1/m/etc/machine-id"
    local unit
    # Without modules of its own a container could only fail to load them.
    for unit in systemd-modules-load.service apt-daily.timer apt-daily-upgrade.timer \
        e2scrub_all.timer e2scrub_reap.service fstrim.timer dpkg-db-backup.timer \
        console-getty.service getty@tty1.service; do
        ln -sf /dev/null "$1/m/etc/systemd/system/$unit"
    done
}

# put_suite FOLDER SUITE FILES: puts a tree of files into a layer, and a script of this folder, which
# runs in every boot once all else is up, and writes to /out/result.txt.
put_suite() {
    cp -a "$3/." "$1/m/"
    install -m755 "$here/$2" "$1/m/usr/bin/lab-suite"
    install -m644 "$here/checks.sh" "$1/m/usr/lib/lab-checks.sh"
    cat >"$1/m/etc/systemd/system/lab-suite.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=exec
ExecStart=/usr/bin/lab-suite
StandardOutput=journal
UNIT
    ln -sf ../lab-suite.service "$1/m/etc/systemd/system/multi-user.target.wants/"
}

# report RESULT CONSOLE JOURNAL: prints what a suite has written, and ends the run with its status;
# keeps the whole journal of one that failed.
report() {
    local status=0
    [[ ! -s $1 ]] || cat "$1"
    if ! grep -q '^done: ' "$1" 2>/dev/null; then
        tail -n 20 "$2"
        echo "FAIL - the suite did not reach its end"
        status=1
    elif grep -q '^FAIL' "$1"; then
        status=1
    fi
    if ((status)); then
        journalctl -q --no-pager -D "$3" -o short-precise >"$lab/failed.journal" || true
        echo "the whole journal: $lab/failed.journal"
    fi
    exit $status
}

# Takes the layer away again, with all that was written to it.
unlayer() {
    if mountpoint -q "$1/m"; then umount "$1/m" || umount -l "$1/m"; fi
    rm -rf "$1"
}

# container SECONDS NAME FOLDER ARGUMENTS...: runs systemd-nspawn on a layer.
container() {
    local status=0
    (
        # Containers in one and the same cgroup would kill each other's services.
        while read -r place; do
            mkdir -p "$place" && echo "$BASHPID" >"$place/cgroup.procs"
        done < <(cgroups "$2")
        SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 exec timeout -k 5 "$1" systemd-nspawn --register=no \
            --keep-unit --quiet --machine="$2" --console=pipe --capability=all \
            --system-call-filter=bpf -D "$3/m" "${@:4}" </dev/null
    ) || status=$?
    local place
    while read -r place; do
        find "$place" -depth -type d -exec rmdir {} \; 2>/dev/null
    done < <(cgroups "$2")
    return "$status"
}
# Where a cgroup of this name belongs in the hierarchies that systemd may use here.
cgroups() {
    local hierarchy own
    for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
        [[ -e $hierarchy/cgroup.procs ]] || continue
        case $hierarchy in
        */systemd) own=$(sed -n 's/^[0-9]*:name=systemd://p' /proc/self/cgroup) ;;
        *) own=$(sed -n 's/^0:://p' /proc/self/cgroup) ;;
        esac
        echo "$hierarchy${own%/}/$1"
    done
}

# Ends the run when containers are forbidden; needs a layer.
probe_container() {
    container 30 "$1" "$2" --private-network /bin/true >"$2/out/probe.log" 2>&1 ||
        skip "containers are not allowed here: $(tail -n 1 "$2/out/probe.log")"
}

# What every kind of container needs of this machine.
require_containers() {
    [[ $(uname -s) == Linux ]] || skip "containers need Linux"
    [[ $EUID == 0 ]] || skip "booting a container needs root"
    command -v systemd-nspawn >/dev/null ||
        skip "systemd-nspawn is not installed (apt-get install systemd-container)"
}
