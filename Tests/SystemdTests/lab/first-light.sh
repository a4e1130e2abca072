#!/bin/bash
# Runs inside the container: the installed daemons under real systemd, as their user would.
exec >/out/result.tap 2>&1
count=0
ok() { count=$((count + 1)) && if [ "$2" = 0 ]; then echo "ok $count - $1"; else echo "not ok $count - $1"; fi; }
t() {
    local what=$1
    shift
    "$@" >/tmp/o 2>&1
    local rc=$?
    ok "$what" $rc
    [ $rc = 0 ] || sed 's/^/#   /' /tmp/o
}
eq() {
    [ "$2" = "$3" ]
    local rc=$?
    ok "$1 ($2)" $rc
    [ $rc = 0 ] || echo "#   want: $3"
}
has() {
    [[ $2 == *$3* ]]
    local rc=$?
    ok "$1 ($2)" $rc
    [ $rc = 0 ] || echo "#   want a text with: $3"
}
p() { systemctl show -P "$1" "$2"; }
wait_for() { for _ in $(seq 200); do eval "$1" && return 0; sleep 0.1; done; return 1; }

echo "# $(systemctl --version | head -1)"
ip link set lo up
systemd-sysusers
systemd-tmpfiles --create martlet.conf
systemctl daemon-reload
journalctl --update-catalog

t "controllerd and brokerd start" systemctl start controllerd brokerd
eq "controllerd is active" "$(p ActiveState controllerd)" active
eq "brokerd is active" "$(p ActiveState brokerd)" active
has "controllerd says what it does" "$(p StatusText controllerd)" "leader"
has "brokerd says what it serves" "$(p StatusText brokerd)" "serving: "
t "a topic is made" martlet topic create orders --partitions 1 --replication-factor 1
eq "a message goes in" "$(echo hello | kcat -P -b 127.0.0.1:9092 -t orders -p 0 && echo sent)" sent
eq "and comes out" "$(kcat -C -b 127.0.0.1:9092 -t orders -o beginning -e -q)" hello
wait_for '[[ "$(p StatusText brokerd)" == *"leader of "[1-9]* ]]'
has "STATUS follows" "$(p StatusText brokerd)" "leader of 1"
eq "the journal tells the group's start" \
    "$(journalctl -q --no-pager -u brokerd MARTLET_GROUP=1001 -o cat |
        grep -c 'Successfully started Raft group 1001 for partition orders-0 (join=false)')" 1
eq "the daemon runs as martlet" "$(stat -c %U "/proc/$(p MainPID brokerd)")" martlet
t "reload is answered" systemctl reload brokerd
wait_for '[ "$(p SubState brokerd)" = running ]'
eq "it still runs after the reload" "$(p ActiveState brokerd)" active
kill -9 "$(p MainPID brokerd)"
wait_for '[ "$(p NRestarts brokerd)" = 1 ] && [ "$(p SubState brokerd)" = running ]'
eq "after SIGKILL it is started again" "$(p NRestarts brokerd)" 1
eq "and the message is still there" \
    "$(kcat -C -b 127.0.0.1:9092 -t orders -o beginning -e -q -m 20)" hello
t "both stop" systemctl stop brokerd controllerd
eq "brokerd ended cleanly" "$(p Result brokerd)/$(p ExecMainStatus brokerd)" success/0
eq "controllerd ended cleanly" "$(p Result controllerd)/$(p ExecMainStatus controllerd)" success/0
eq "no unit failed" "$(systemctl --failed --no-legend | wc -l)" 0
journalctl -q --no-pager -u brokerd -u controllerd -o short-monotonic >/out/journal.txt
sed 's/^/# /' /out/journal.txt | tail -60
echo "1..$count"
sync
systemctl poweroff
