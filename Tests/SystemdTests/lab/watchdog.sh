#!/bin/bash
# Runs inside the container: single threads of the daemons are stopped, one after the other. The
# journal must name the part that stands still, and systemd must start the daemon again.
# shellcheck source=checks.sh
. /usr/lib/lab-checks.sh

# Holds one thread of a process, as a debugger does, for so many seconds or until the process ends.
cat >/tmp/hold-thread.pl <<'PERL'
use strict;
my ($pid, $name, $seconds) = @ARGV;
my $ptrace = `uname -m` =~ /x86_64/ ? 101 : 117;
sub comm { open(my $file, "<", "$_[0]/comm") or return ""; return scalar <$file> }
my ($tid) = map { m{(\d+)$} } grep { comm($_) =~ /^\Q$name\E/ } glob("/proc/$pid/task/*");
die "no thread $name" unless $tid;
# A text would be passed as its address.
$tid += 0;
syscall($ptrace, 0x4206, $tid, 0, 0) == 0 or die "PTRACE_SEIZE: $!";
syscall($ptrace, 0x4207, $tid, 0, 0) == 0 or die "PTRACE_INTERRUPT: $!";
waitpid($tid, 0x40000000);
$| = 1;
print "$tid\n";
open(STDOUT, ">", "/dev/null");
if ($seconds) {
    sleep $seconds;
    syscall($ptrace, 17, $tid, 0, 0) == 0 or die "PTRACE_DETACH: $!";
    exit;
}
# The end of a thread that is held goes to the holder first.
1 while waitpid($tid, 0x40000000) > 0 && -e "/proc/$tid";
PERL
hold() { perl /tmp/hold-thread.pl "$(p MainPID "$1")" "$2" "$3" >"/tmp/held-$1" 2>&1 & }
stalled() { j -u "$1" -p err -o cat MESSAGE_ID=f3bce2f34f4b435dbb7512d6a4d0d7b5; }

# stand_still UNIT THREAD PART: stops the thread and waits until systemd has started the daemon again.
stand_still() {
    section "$1: the thread $2 stands still"
    local pid restarts text
    pid=$(p MainPID "$1") restarts=$(p NRestarts "$1")
    hold "$1" "$2"
    # A hang is one after 3 seconds for what ticks, after 20 for what may wait for a disk.
    wait_for 60 '[ "$(p NRestarts '"$1"')" = '$((restarts + 1))' ] &&
        [ "$(p SubState '"$1"')" = running ]'
    eq "it is started again" "$(p NRestarts "$1")/$(p SubState "$1")" "$((restarts + 1))/running"
    text=$(stalled "$1")
    has "the journal names the part" "$text" "no progress: $3 for "
    eq "in one entry" "$(stalled "$1" | grep -c '^no progress: ')" 1
    has "with the thread that is held" "$text" "thread $(cat "/tmp/held-$1") $2"
    has "and with what the others do" "$text" " supervisor: R"
    has "before the watchdog acts" "$(j -u "$1" -o cat |
        sed -n '/^no progress:/,$p' | grep -m 1 'Watchdog timeout')" "Watchdog timeout"
    has "by SIGABRT" "$(j -u "$1" -o cat)" "code=killed, status=6/ABRT"
    [ "$pid" != "$(p MainPID "$1")" ]
    ok "it is a new process" $?
    eq "the message is still there" "$(consume orders -p 0)" hello
}

installed
# Shorter than as shipped, so that the suite is.
drop_in brokerd lab WatchdogSec=4s
drop_in controllerd lab WatchdogSec=4s
section "$(systemctl --version | head -1): as shipped"
t "controllerd and brokerd start" systemctl start controllerd brokerd
t "a topic is made" martlet topic create orders --partitions 1 --replication-factor 1
timeout 20 kcat -P -b 127.0.0.1:9092 -t orders -p 0 <<<hello
for unit in brokerd controllerd; do
    eq "$unit leaves no core behind" "$(p LimitCORE $unit)" 0
done

stand_still brokerd NIO-ELT "event loop"
has "the report tells the queues and groups" "$(stalled brokerd)" "raft_leaders 1"
has "and every other part" "$(stalled brokerd)" "WAL writer: goes on or is idle"
has "journalctl -x says what to do" "$(j -u brokerd -x)" "Subject: A part of the daemon makes no"
stalled brokerd | sed 's/^/# /'
stand_still controllerd NIO-ELT "event loop"
stand_still brokerd wal "WAL writer"
stand_still brokerd metadata "metadata writer"
stand_still controllerd wal "WAL writer"
stand_still controllerd reader "log reader"

section "a disk that is slow, and does not hang"
restarts=$(p NRestarts brokerd)
hold brokerd wal 12
sleep 1
timeout 60 kcat -P -b 127.0.0.1:9092 -t orders -p 0 -X acks=all <<<"after a while"
eq "what is sent meanwhile is acknowledged when it goes on" "$?" 0
eq "nothing is started again" "$(p NRestarts brokerd)" "$restarts"
eq "and nobody is alarmed" "$(stalled brokerd)" ""
eq "the message is there" "$(consume orders -p 0 | tail -1)" "after a while"

section "a loop that hangs for a while and goes on"
hold brokerd NIO-ELT 5
wait_for 20 'j -u brokerd -o cat | grep -q "progress again"'
has "the journal says that it goes on" "$(j -u brokerd -o cat)" \
    "progress again: event loop; the watchdog is fed"
eq "nothing is started again" "$(p NRestarts brokerd)" "$restarts"
wait_for 5 '[[ "$(p StatusText brokerd)" != *"no progress"* ]]'
has "and STATUS is clean" "$(p StatusText brokerd)" "serving: 1 partition, leader of 1"
t "both stop" systemctl stop brokerd controllerd
eq "failed units" "$(systemctl --failed --no-legend --plain '*brokerd*' '*controllerd*' | cut -d' ' -f1 | xargs)" ""
finish
