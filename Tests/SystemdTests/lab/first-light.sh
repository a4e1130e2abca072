#!/bin/bash
# Runs inside the container: the installed daemons under real systemd, as their operator would.
# shellcheck source=checks.sh
. /usr/lib/lab-checks.sh
broker=/etc/martlet/brokerd.yaml
set_key() { sed -i "s|^$1:.*|$1: $2|" $broker; }
consume() { timeout 20 kcat -C -b 127.0.0.1:9092 -t orders -o beginning -e -q "$@" 2>&1; }
produce() { timeout 20 kcat -P -b 127.0.0.1:9092 -t orders -p 0 <<<"$1" 2>/tmp/o && echo sent; }
# A process on a port of the loopback, as another daemon would hold it.
hold() {
    systemd-run -q -u hold --service-type=exec /usr/bin/perl -MSocket -e \
        'socket(S, PF_INET, SOCK_STREAM, 0); setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1);
         bind(S, sockaddr_in(shift, INADDR_LOOPBACK)) or die; listen(S, 5); sleep 300' "$1"
    wait_for 5 'ss -Hltn "sport = :'"$1"'" | grep -q .'
}

section "$(systemctl --version | head -1)"
ip link set lo up
t "the user is made" systemd-sysusers martlet.conf
t "the directories are made" systemd-tmpfiles --create martlet.conf
t "the catalog is read" journalctl --update-catalog
systemctl daemon-reload
t "the units are verified" systemd-analyze verify --man=no brokerd.service controllerd.service

section "first start"
t "controllerd and brokerd start" systemctl start controllerd brokerd
eq "controllerd is active" "$(p ActiveState controllerd)" active
eq "brokerd is active" "$(p ActiveState brokerd)" active
eq "brokerd's STATUS is true at once" "$(p StatusText brokerd)" \
    "serving: 0 partitions, leader of 0, 0 under-replicated"
wait_for 2 '[[ "$(p StatusText controllerd)" == "leader in epoch 1: 1 broker online, 0 topics" ]]'
eq "controllerd's STATUS" "$(p StatusText controllerd)" \
    "leader in epoch 1: 1 broker online, 0 topics"
eq "a first start warns of nothing" "$(j -u brokerd -u controllerd -p warning -o cat)" ""
eq "and no library speaks past the log" \
    "$(j -u brokerd -u controllerd _TRANSPORT=stdout -o cat)" ""

section "a topic"
t "a topic is made" martlet topic create orders --partitions 1 --replication-factor 1
eq "a message goes in" "$(produce hello)" sent
eq "and comes out" "$(consume)" hello
wait_for 3 '[[ "$(p StatusText brokerd)" == "serving: 1 partition, leader of 1, "* ]]'
has "STATUS follows" "$(p StatusText brokerd)" "serving: 1 partition, leader of 1, 0 under"
eq "MARTLET_GROUP=1001 tells the group's start" \
    "$(journalctl -q --no-pager -u brokerd MARTLET_GROUP=1001 -o cat | sed -n 2p)" \
    "Successfully started Raft group 1001 for partition orders-0 (join=false)"
has "MARTLET_TOPIC tells both daemons' part" \
    "$(journalctl -q --no-pager MARTLET_TOPIC=orders -o short | cut -d' ' -f5 | cut -d[ -f1 |
        sort -u | xargs)" "brokerd controllerd"
has "journalctl -x explains the event" "$(j -x -u brokerd)" "Subject: A Raft group was started"
has "martlet cluster is content" "$(martlet cluster)" "healthy: 1 topic, 1 partition"

section "sandbox"
pid=$(p MainPID brokerd)
eq "the daemon runs as martlet" "$(stat -c %U "/proc/$pid")" martlet
eq "without privileges, behind a filter" \
    "$(awk '/^(NoNewPrivs|Seccomp|CapBnd):/ { printf "%s%s ", $1, $2 }' "/proc/$pid/status")" \
    "CapBnd:0000000000000000 NoNewPrivs:1 Seccomp:2 "
eq "its data is nobody else's" "$(stat -c '%U %a' /var/lib/martlet/broker)" "martlet 700"
for unit in brokerd controllerd; do
    score=$(systemd-analyze security --no-pager $unit.service |
        sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p')
    t "$unit.service is exposed by $score, at most 1.2" awk -v s="$score" \
        'BEGIN { exit !(s != "" && s <= 1.2) }'
done

section "reload"
set_key log_level debug
set_key default_partitions 4
set_key peer_allow_list '["127.0.0.0/8"]'
t "a reload is answered" systemctl reload brokerd
has "it says what counts now and what waits" "$(j -u brokerd -o cat -g 'settings reloaded')" \
    "settings reloaded: applied peer_allow_list, log_level; a restart is needed for default_part"
wait_for 5 '[ -n "$(j -u brokerd PRIORITY=7 -o cat)" ]'
ok "debug lines are written from then on" $?
eq "it is the same process" "$(p MainPID brokerd)" "$pid"
set_key log_level loud
t "a reload with a bad file is answered as well" systemctl reload brokerd
wait_for 3 '[[ "$(p StatusText brokerd)" == *"settings refused"* ]]'
has "STATUS says that the file is refused" "$(p StatusText brokerd)" \
    "log_level must be one of trace, debug"
has "the journal says why" "$(j -u brokerd -p err -o cat)" "log_level must be one of trace, debug"
set_key log_level info
set_key peer_allow_list '["not-a-network"]'
systemctl reload brokerd
wait_for 3 'j -u brokerd -o cat | grep -q not-a-network'
has "a bad network is refused too" "$(j -u brokerd -p err -o cat)" \
    "peer_allow_list: not an IP address or network: not-a-network"
set_key peer_allow_list '["127.0.0.0/8", "::1/128"]'
set_key default_partitions 1
t "a good file is taken again" systemctl reload brokerd
wait_for 3 '[[ "$(p StatusText brokerd)" != *refused* ]]'
has "and STATUS is clean" "$(p StatusText brokerd)" "0 under-replicated"
t "controllerd reloads" systemctl reload controllerd
has "and says that nothing has changed" "$(j -u controllerd -o cat -g reloaded)" \
    "settings reloaded: nothing has changed"
eq "messages flow on" "$(consume)" hello

section "kill -9"
kill -9 "$pid"
wait_for 10 '[ "$(p NRestarts brokerd)" = 1 ] && [ "$(p SubState brokerd)" = running ]'
eq "it is started again" "$(p NRestarts brokerd)" 1
eq "and the message is still there" "$(consume)" hello

section "watchdog"
mkdir -p /run/systemd/system/brokerd.service.d
printf '[Service]\nWatchdogSec=3s\n' >/run/systemd/system/brokerd.service.d/lab.conf
systemctl daemon-reload
systemctl restart brokerd
systemctl reset-failed
systemctl kill --kill-whom=main -s SIGSTOP brokerd
wait_for 15 '[ "$(p NRestarts brokerd)" = 1 ] && [ "$(p SubState brokerd)" = running ]'
eq "a daemon that hangs is started again" "$(p NRestarts brokerd)" 1
has "by the watchdog" "$(j -u brokerd -o cat)" "Watchdog timeout"
section "a journal that hangs"
systemctl kill --kill-whom=main -s SIGSTOP systemd-journald
for _ in $(seq 40); do produce more; done >/tmp/sent
systemctl kill --kill-whom=main -s SIGCONT systemd-journald
eq "holds nobody up" "$(grep -c sent /tmp/sent)" 40
eq "and wakes no watchdog" "$(p NRestarts brokerd)" 1
rm /run/systemd/system/brokerd.service.d/lab.conf
systemctl daemon-reload

section "command line"
wide=$({ martlet --help && brokerd --help && controllerd --help &&
    for verb in "why" "topic" "topic create" "topic list" "topic describe" "topic delete" "produce" \
        "consume" "cluster" "cluster status" "cluster can-stop" "log" \
        "log dump" "log verify" "bench"; do
        # shellcheck disable=SC2086
        martlet $verb --help || echo "martlet $verb has no help: $(printf '%80s' .)"
    done; } | awk 'length($0) > 80')
eq "every help fits 80 columns" "$wide" ""
exits() {
    local want=$1
    shift
    "$@" >/tmp/o 2>&1 </dev/null
    eq "$* exits with" "$?" "$want"
}
exits 0 martlet topic list
exits 64 martlet
exits 64 martlet nonsense
exits 64 martlet topic create
exits 64 martlet topic list --nonsense
exits 1 martlet topic delete absent
has "a failure is named in full" "$(cat /tmp/o)" "martlet topic delete: "
exits 69 martlet topic list --bootstrap 127.0.0.1:1 --timeout 1
has "in the system's own words" "$(cat /tmp/o)" "127.0.0.1:1: Connection refused"
exits 64 brokerd
exits 78 brokerd --config /absent
exits 0 brokerd --config $broker --check-config

section "stop"
t "both stop while a topic exists" systemctl stop brokerd controllerd
eq "brokerd ended cleanly" "$(p Result brokerd)/$(p ExecMainStatus brokerd)" success/0
eq "controllerd ended cleanly" "$(p Result controllerd)/$(p ExecMainStatus controllerd)" success/0
has "brokerd says so last" "$(j _SYSTEMD_UNIT=brokerd.service -o cat | tail -1)" \
    "brokerd has stopped"
eq "no unit failed" "$(systemctl --failed --no-legend | wc -l)" 0

section "settings that are wrong at a start"
cp $broker /tmp/good.yaml
set_key default_partitions many
refuses "the start fails" systemctl start brokerd
eq "with the status of its kind" "$(p ExecMainStatus brokerd)" 78
line=$(sed -n '/^default_partitions:/=' $broker)
has "the journal has it as an error" \
    "$(j -u brokerd -p err -o cat MESSAGE_ID=5b4537316ae84f58a1c1c10416ed2d60)" \
    "$broker:$line: default_partitions must be a whole number from 1 to 10000"
sleep 1
eq "it is not tried again" "$(p NRestarts brokerd)/$(p SubState brokerd)" 0/failed
cp /tmp/good.yaml $broker

section "a data directory that cannot be written"
set_key data_directory /srv/elsewhere
refuses "the start fails" systemctl start brokerd
eq "with the status of its kind" "$(p ExecMainStatus brokerd)" 74
has "the journal says what failed" "$(j -u brokerd -p err -o cat)" \
    "/srv/elsewhere: error 30 (Read-only file system)"
has "and journalctl -x says what to do" "$(j -u brokerd -x)" "ReadWritePaths="
sleep 1
eq "it is not tried again" "$(p NRestarts brokerd)/$(p SubState brokerd)" 0/failed
cp /tmp/good.yaml $broker
systemctl reset-failed

section "a port in use"
for port in "9092 client" "9192 peer" "9644 http"; do
    section "port $port in use"
    hold "${port% *}"
    systemctl start --no-block brokerd
    wait_for 5 '[ "$(p NRestarts brokerd)" -ge 2 ]'
    has "the journal names the address" "$(j -u brokerd -p err -o cat)" \
        "cannot listen on 127.0.0.1:${port% *}"
    has "and the reason" "$(j -u brokerd -p err -o cat)" "Address already in use"
    systemctl stop hold
    wait_for 10 '[ "$(p ActiveState brokerd)" = active ]'
    eq "the start succeeds once it is free" "$(p ActiveState brokerd)" active
    systemctl stop brokerd
    systemctl reset-failed
done

section "a broker without controllers"
t "brokerd starts" systemctl start brokerd
wait_for 3 '[[ "$(p StatusText brokerd)" == *controller* ]]'
has "STATUS says what is missing" "$(p StatusText brokerd)" "no controller answers"
t "controllerd comes later" systemctl start controllerd
wait_for 10 '[[ "$(p StatusText brokerd)" != *controller* ]]'
has "and STATUS is clean" "$(p StatusText brokerd)" "leader of 1, 0 under-replicated"
t "a topic is made" martlet topic create later --partitions 1 --replication-factor 1

section "the target"
t "the units are enabled" systemctl enable controllerd brokerd
systemctl start martlet.target
t "the target stops both" systemctl stop martlet.target
wait_for 10 '[ "$(systemctl is-active brokerd controllerd | xargs)" = "inactive inactive" ]'
eq "both are gone" "$(systemctl is-active brokerd controllerd | xargs)" "inactive inactive"
t "and starts both" systemctl start martlet.target
eq "both are there" "$(systemctl is-active brokerd controllerd | xargs)" "active active"
systemctl stop martlet.target
wait_for 10 '[ "$(systemctl is-active brokerd controllerd | xargs)" = "inactive inactive" ]'
eq "no unit failed" "$(systemctl --failed --no-legend | wc -l)" 0

finish
