#!/bin/bash
# Runs inside user-mode Linux: what the limits of the units do, on a kernel that enforces them.
# shellcheck source=checks.sh
. /usr/lib/lab-checks.sh
broker=127.0.0.1:9092
group() { cat "/sys/fs/cgroup/martlet.slice/$1.service/$2"; }
open_files() { awk '/^Max open files/ { print $4 "/" $5 }' "/proc/$(p MainPID "$1")/limits"; }
# Gives brokerd other limits, and starts it with them.
limit() {
    # First the stop: a running daemon would get the new limits at once.
    systemctl stop brokerd
    systemctl reset-failed
    mkdir -p /run/systemd/system/brokerd.service.d
    printf '[Service]\n%s\n' "$@" >/run/systemd/system/brokerd.service.d/lab.conf
    systemctl daemon-reload
    # The journal's lines of before lie before this moment.
    began=$(date +%s.%6N)
    timeout 60 systemctl start brokerd
}
# The journal's line of a start that was refused. journald may not know any more which unit a process
# belonged to that has ended meanwhile, but systemd starts it again.
refused() {
    wait_for 10 '[ -n "$(j -u brokerd -p crit -o cat)" ]'
    j -u brokerd -p crit -o cat
}
consume() { timeout 60 kcat -C -b $broker -t "$1" -p 0 -o beginning -e -q "${@:2}"; }
produce() { timeout 60 kcat -P -b $broker -t "$1" -p 0 -X acks=all "${@:2}"; }

section "the units' own limits"
eq "both daemons are up" "$(p ActiveState controllerd) $(p ActiveState brokerd)" "active active"
eq "open files of brokerd" "$(open_files brokerd)" 524288/524288
eq "open files of controllerd" "$(open_files controllerd)" 65536/65536
t "a topic is made" martlet topic create orders --partitions 1 --replication-factor 1
seq 10000 | produce orders
for daemon in brokerd controllerd; do
    eq "tasks of $daemon" "$(group $daemon pids.max)" 512
    tasks=$(group $daemon pids.current)
    [ "$tasks" -ge 5 ] && [ "$tasks" -le 64 ]
    ok "of which it has $tasks" $?
    eq "its memory has no limit" "$(group $daemon memory.max)" max
    echo "# it uses $(($(group $daemon memory.current) >> 20)) MiB," \
        "$(($(awk '$1 == "anon" { print $2 }' <<<"$(group $daemon memory.stat)") >> 20)) MiB its own"
done
eq "the slice's memory is held at four fifths of the machine's" "$(awk -v high="$(
    cat /sys/fs/cgroup/martlet.slice/memory.high)" '/^MemTotal:/ {
        print (high / 1024 / $2 > 0.79 && high / 1024 / $2 < 0.81) ? "yes" : high }' /proc/meminfo
)" yes

section "MemoryMax"
# The newest batches are kept in memory, up to tail_cache_bytes, 64 MiB: more than there is.
t "brokerd starts with 48 MiB" limit MemoryMax=48M
eq "which is what the kernel enforces" "$(group brokerd memory.max)" $((48 << 20))
t "a topic is made" martlet topic create large --partitions 1 --replication-factor 1
line=$(head -c 450000 /dev/urandom | base64 -w 0)
# One after the other, so that the number of messages that are acknowledged is known.
for number in $(seq 200); do
    echo "$number $line"
done 2>/dev/null | produce large -X message.send.max.retries=0 -X max.in.flight.requests.per.connection=1 \
    -X queue.buffering.max.kbytes=4000 -vvv >/tmp/produced 2>&1
acknowledged=$(grep -c 'Message delivered .* on broker' /tmp/produced)
wait_for 20 'j _PID=1 UNIT=brokerd.service -o cat | grep -q oom-kill'
has "the kernel ends the daemon, and the journal says so" "$(j _PID=1 UNIT=brokerd.service -o cat)" \
    "brokerd.service: Failed with result 'oom-kill'"
# To recover, it reads the newest batches into memory again.
t "it gets more memory" systemctl set-property --runtime brokerd MemoryMax=256M
wait_for 30 '[ "$(p NRestarts brokerd)" -ge 1 ] && [ "$(p ActiveState brokerd)" = active ]'
eq "and is up again, by systemd alone" "$(p ActiveState brokerd)" active
[ "$acknowledged" -ge 10 ]
ok "$acknowledged messages of 600 KB were acknowledged" $?
consume large -f '%s\n' | cut -d' ' -f1 | sort -n | uniq >/tmp/held
eq "of which are missing" "$(seq "$acknowledged" | sort | comm -23 - <(sort /tmp/held) | xargs)" ""
eq "and the others are there as well" "$(consume orders | sort -n | uniq | wc -l)" 10000

section "TasksMax"
# Fewer threads than it needs: the start fails before anything is touched.
refuses "9: the start fails" limit TasksMax=9
has "the journal says what is short" "$(refused)" \
    "threads and it needs 18: raise TasksMax= of the unit"
has "and journalctl -x what to do" "$(j -u brokerd -x)" "systemctl edit, then LimitNOFILE= or TasksMax="
t "32: it starts" limit TasksMax=32
eq "and serves" "$(consume orders | wc -l)" 10000

section "LimitNOFILE"
refuses "24: the start fails" limit LimitNOFILE=24
has "the journal says what is short" "$(refused)" \
    "brokerd cannot start: it may have 24 files open and needs 64: raise LimitNOFILE="
# Opens 80 connections, keeps them until the file $1.end exists, and writes down how many of them are
# answered. Those that are refused come back, as clients do.
cat >/tmp/crowd.pl <<'PERL'
use strict;
use Socket;
my %open;
sub attempt {
    socket(my $s, PF_INET, SOCK_STREAM, 0) or die;
    connect($s, sockaddr_in(9092, INADDR_LOOPBACK)) or return;
    syswrite($s, pack("N n n N n", 10, 18, 0, 7, 0xffff)) or return;
    my $answer = "";
    my $got = sysread($s, $answer, 8);
    $open{$s} = $s if $got && $got == 8;
}
$SIG{PIPE} = "IGNORE";
until (-e "$ARGV[0].end") {
    for (1 .. 80) { attempt() if keys %open < 80 }
    open(my $out, ">", "$ARGV[0].tmp") or die;
    print $out scalar(keys %open), "\n";
    close($out);
    rename("$ARGV[0].tmp", $ARGV[0]);
    select(undef, undef, undef, 0.2);
}
PERL
sed -i 's/^wal_file_bytes:.*/wal_file_bytes: 1MiB/' /etc/martlet/brokerd.yaml
t "64: it starts" limit LimitNOFILE=64
wait_for 20 '[[ "$(p StatusText controllerd)" == *"1 broker online"* ]]'
# A producer that is connected before the crowd comes, and writes through several files of the log.
mkfifo /run/lines
exec 7<>/run/lines
kcat -P -b $broker -t orders -p 0 -X acks=all -X linger.ms=0 -vvv <&7 >/tmp/produced 2>&1 &
producer=$!
# kcat reads a report when it sends the next message.
delivered() { grep -c 'on broker' /tmp/produced; }
wait_for 90 'echo hello >&7; [ "$(delivered)" -ge 1 ]'
ok "a producer is connected" $?
perl /tmp/crowd.pl /tmp/crowd &
wait_for 20 '[ -s /tmp/crowd ]'
has "clients are refused, and the journal names the limit" "$(j -u brokerd -p warning -o cat)" \
    "Refused the connection of client 127.0.0.1: the process may have 64 files open (LimitNOFILE="
before=$(delivered)
for number in $(seq 40); do
    echo "$number ${line:0:100000}"
done >&7
wait_for 20 'echo hello >&7; [ "$(delivered)" -ge "$((before + 40))" ]'
ok "who is connected is served, into new files of the log" $?
echo "# of 80 connections $(cat /tmp/crowd) are served," \
    "$(find "/proc/$(p MainPID brokerd)/fd" -type l | wc -l) descriptors are in use"
wait_for 20 'j -u brokerd -o cat | grep -q "more of this kind were not logged"'
refused=$(j -u brokerd -o cat -g 'Refused the connection')
has "the lines tell how many others were left out" "$refused" "more of this kind were not logged"
seconds=$(($(date +%s) - ${began%.*}))
[ "$(wc -l <<<"$refused")" -le $((5 * (seconds / 10 + 1))) ]
ok "they are limited: $(wc -l <<<"$refused") in $seconds s" $?
has "the controllers hear from it" "$(p StatusText controllerd)" "1 broker online"
eq "at all times" "$(j -u controllerd MESSAGE_ID=89fec2d6d54d4f9dbd1ff805a2bab7a7 -o cat)" ""
eq "the daemon is the same" "$(p NRestarts brokerd)/$(p ActiveState brokerd)" 0/active
eq "and has complained of nothing worse" "$(j -u brokerd -p err -o cat)" ""
touch /tmp/crowd.end
wait_for 20 'martlet topic list 2>/dev/null | grep -q orders'
ok "when the crowd has gone others are served again" $?
kill "$producer"
eq "with all that was acknowledged" "$(($(consume orders | wc -l) >= 10000 + $(delivered)))" 1

systemctl stop brokerd controllerd
eq "no unit failed" "$(systemctl --failed --no-legend | wc -l)" 0
finish
