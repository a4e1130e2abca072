# What the suites of this folder have in common. The drivers put it into the machines that they boot;
# hosts.sh, whose suite runs outside of its machines, reads it as well.
# shellcheck shell=bash
count=0 failed=0
# What the latest command of `t` or `refuses` said.
said=${said:-/tmp/o}
if [ "$0" = /usr/bin/lab-suite ]; then
    mkdir -p /out
    exec >>/out/result.txt 2>&1
    # A suite that goes over several boots goes on counting.
    count=$(grep -cE '^(ok|FAIL) [0-9]' /out/result.txt)
    failed=$(grep -c '^FAIL' /out/result.txt)
fi

# One line for a check, and the reason below it when it failed.
ok() {
    count=$((count + 1))
    if [ "$2" = 0 ]; then
        echo "ok $count - $1"
    else
        failed=$((failed + 1))
        echo "FAIL $count - $1"
    fi
}
t() {
    local what=$1
    shift
    "$@" >"$said" 2>&1
    local rc=$?
    ok "$what" $rc
    [ $rc = 0 ] || sed 's/^/#   /' "$said"
}
refuses() {
    local what=$1
    shift
    if "$@" >"$said" 2>&1; then ok "$what" 1; else ok "$what" 0; fi
}
eq() {
    [ "$2" = "$3" ]
    local rc=$?
    ok "$1: $2" $rc
    [ $rc = 0 ] || echo "#   want: $3"
}
has() {
    [[ $2 == *"$3"* ]]
    local rc=$?
    # Of many lines, the one that matters.
    ok "$1: $(grep -F -m 1 -- "$3" <<<"$2")" $rc
    [ $rc = 0 ] || sed 's/^/#   /' <<<"want a text with: $3, got: $2"
}
section() {
    echo "# $1"
    began=$(date +%s.%6N)
}
p() { systemctl show -P "$1" "$2"; }
# The journal since the section began, with everything that was sent to it by now. (Not by cursor:
# --after-cursor of systemd 252 swallows the first entry that other matches let through.)
j() { journalctl --sync && journalctl -q --no-pager --since="@$began" "$@"; }
wait_for() {
    local tries=$1
    shift
    for _ in $(seq "$((tries * 10))"); do
        eval "$*" && return 0
        sleep 0.1
    done
    return 1
}

# What a package's installation does after it has put the files into place.
installed() {
    ip link set lo up
    systemd-sysusers martlet.conf
    systemd-tmpfiles --create martlet.conf
    journalctl --update-catalog
    systemctl daemon-reload
}
# drop_in UNIT NAME LINES...: puts lines into a unit's [Service] section until it is removed.
drop_in() {
    mkdir -p "/run/systemd/system/$1.service.d"
    printf '%s\n' "[Service]" "${@:3}" >"/run/systemd/system/$1.service.d/$2.conf"
    systemctl daemon-reload
}
no_drop_in() {
    rm "/run/systemd/system/$1.service.d/$2.conf"
    systemctl daemon-reload
}
# All messages of a topic, one a line.
consume() { timeout 60 kcat -C -b 127.0.0.1:9092 -t "$1" -o beginning -e -q "${@:2}" 2>/dev/null; }

# The last line, without which a suite counts as failed.
summary() { echo "done: $((count - failed)) ok, $failed failed"; }
finish() {
    summary
    sync
    systemctl poweroff >/dev/null 2>&1
}
