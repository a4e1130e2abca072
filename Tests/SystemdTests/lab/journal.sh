#!/bin/bash
# Runs inside the container: what the daemons say reaches the journal, and the journal never holds
# them up: stopped, started again, flooded; last words before an exit; the catalog.
# shellcheck source=checks.sh
. /usr/lib/lab-checks.sh
broker=/etc/martlet/brokerd.yaml
dropped=e1937a39953c4b8290085149adefeb6d
left_out=05a4736fedb043268ccc3f3c14664ffe
metric() {
    perl -MIO::Socket::INET -e '
        my $s = IO::Socket::INET->new("127.0.0.1:9644") or die;
        print $s "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"; print <$s>' |
        sed -n "s/^$1 //p" | tr -d '\r'
}
# Sends so many messages, each acknowledged by all, and says how many milliseconds it took.
milliseconds() {
    local from=${EPOCHREALTIME/./}
    seq "$1" | timeout 120 kcat -P -b 127.0.0.1:9092 -t orders -p 0 -X acks=all \
        -X batch.num.messages=10 -X linger.ms=0 || return
    echo $(((${EPOCHREALTIME/./} - from) / 1000))
}
# Connects so many times with bytes that are no request, or breaks the connections off at once: the
# broker has something to say of each, in the latter case at the level of debugging.
cat >/tmp/garbage.pl <<'PERL'
use strict;
use Socket;
my ($count, $resets) = @ARGV;
for (1 .. $count) {
    socket(my $s, PF_INET, SOCK_STREAM, 0) or die;
    connect($s, sockaddr_in(9092, INADDR_LOOPBACK)) or next;
    if ($resets) {
        setsockopt($s, SOL_SOCKET, SO_LINGER, pack("ll", 1, 0));
    } else {
        syswrite($s, pack("N n n N n", 10, 999, 0, 7, 0xffff));
        sysread($s, my $answer, 8);
    }
    close($s);
}
PERL

installed
section "$(systemctl --version | head -1): a journal that stands still"
# journald's own limit, so tight that it would take most away: the units lift it.
mkdir -p /etc/systemd/journald.conf.d
printf '[Journal]\nRateLimitIntervalSec=30s\nRateLimitBurst=100\n' >/etc/systemd/journald.conf.d/lab.conf
systemctl restart systemd-journald
t "controllerd and brokerd start" systemctl start controllerd brokerd
t "a topic is made" martlet topic create orders --partitions 1 --replication-factor 1
milliseconds 2000 >/dev/null
before=$(milliseconds 50000)
systemctl kill --kill-whom=main -s SIGSTOP systemd-journald
during=$(milliseconds 50000)
[ -n "$during" ] && [ "$during" -le $((before * 2 + 1000)) ]
ok "50,000 messages take ${before:-no} ms, and ${during:-no} while it stands still" $?
sed -i 's/^log_level:.*/log_level: debug/' $broker
kill -HUP "$(p MainPID brokerd)"
for _ in 1 2 3; do perl /tmp/garbage.pl 20000 resets & done
# shellcheck disable=SC2046
wait $(jobs -p)
lost=$(metric log_entries_dropped_total)
[ "${lost:-0}" -gt 0 ]
ok "what does not fit is counted: ${lost:-nothing}" $?
during=$(milliseconds 50000)
[ -n "$during" ] && [ "$during" -le $((before * 2 + 1000)) ]
ok "50,000 messages take ${during:-no} ms even then" $?
lost=$(metric log_entries_dropped_total)
systemctl kill --kill-whom=main -s SIGCONT systemd-journald
wait_for 30 '[ -n "$(journalctl -q MESSAGE_ID='$dropped' -o cat)" ]'
eq "afterwards one line says how many" "$(journalctl -q MESSAGE_ID=$dropped -o cat)" \
    "dropped $lost log entries: the journal was slower than the daemon"
eq "it is a warning" "$(journalctl -q MESSAGE_ID=$dropped -p warning..warning -o cat | wc -l)" 1
has "journalctl -x explains it" "$(journalctl -q -x MESSAGE_ID=$dropped)" \
    "Subject: Log entries were dropped"
lines=$(j -u brokerd PRIORITY=7 -o cat | wc -l)
[ "$lines" -gt 20000 ]
ok "what did fit is there, all $lines lines for debugging that came at once" $?
eq "no watchdog woke" "$(p NRestarts brokerd)/$(p NRestarts controllerd)" 0/0
sed -i 's/^log_level:.*/log_level: info/' $broker
systemctl reload brokerd

section "a journal that is started again"
systemctl restart systemd-journald
martlet topic create later --partitions 1 --replication-factor 1 >/dev/null
wait_for 10 'j -u brokerd -o cat | grep -q "partition later-0"'
has "the next line is there" "$(j -u brokerd -o cat)" "Successfully started Raft group"
eq "and still has its fields" "$(j MARTLET_TOPIC=later -o short | cut -d' ' -f5 | cut -d[ -f1 |
    sort -u | xargs)" "brokerd controllerd"

section "a flood of one event"
systemctl restart brokerd
section "a flood of one event: 12000 clients that talk nonsense"
perl /tmp/garbage.pl 12000
martlet topic create afterwards --partitions 1 --replication-factor 1 >/dev/null
wait_for 45 '[ -n "$(j MESSAGE_ID='$left_out' -o cat)" ]'
has "is cut and reported" "$(j MESSAGE_ID=$left_out -o cat)" \
    "left out 2000 lines of one event, after 10000 within 30 s; the first was: Closed the connection"
eq "the journal has what was let through" \
    "$(j -u brokerd -o cat | grep -c '^Closed the connection of client')" 10000
has "other events are not touched" "$(j -u brokerd -o cat)" "partition afterwards-0"
eq "and journald left nothing out" "$(journalctl -q -o cat | grep -c '^Suppressed .* brokerd')" 0

section "last words: 200 starts that fail at once, on a busy machine"
systemctl stop brokerd controllerd
drop_in brokerd lab StartLimitIntervalSec=0
sed -i 's/\[Service\]/[Unit]/' /run/systemd/system/brokerd.service.d/lab.conf
systemctl daemon-reload
cp $broker /tmp/good.yaml
echo "no_such_key: 1" >>$broker
busy=()
for _ in 1 2 3; do
    perl -e 'while (1) {}' &
    busy+=($!)
done
starts=0
# A start in which systemd itself fails would not count.
for _ in $(seq 300); do
    systemctl start brokerd 2>/dev/null
    [ "$(p ExecMainStatus brokerd)" != 78 ] || starts=$((starts + 1))
    [ $starts -lt 200 ] || break
done
kill "${busy[@]}"
eq "brokerd refused its settings so many times" $starts 200
eq "journalctl -u has the reason of each" \
    "$(j _SYSTEMD_UNIT=brokerd.service MESSAGE_ID=5b4537316ae84f58a1c1c10416ed2d60 -o cat | wc -l)" 200
cp /tmp/good.yaml $broker
systemctl reset-failed

section "the catalog"
wanted=$(grep -c '^-- ' /usr/lib/systemd/catalog/martlet.catalog)
eq "journalctl knows every event of it" "$(for id in $(sed -n 's/^-- \([0-9a-f]*\).*/\1/p' \
    /usr/lib/systemd/catalog/martlet.catalog); do
    journalctl --dump-catalog "$id" 2>/dev/null | grep -c '^Subject: .'
done | grep -c '^1$')" "$wanted"
eq "each says what to do, or that nothing is to be done" "$(awk '/^-- / { n++; words[n] = 0 }
    !/^(--|Subject:|Defined-By:|$)/ { words[n] += NF }
    END { for (i in words) if (words[i] < 4) short++; print short + 0 }' \
    <(sed '/^#/d; s/@MESSAGE@//' /usr/lib/systemd/catalog/martlet.catalog))" 0
eq "and no text names a field that its event does not have" \
    "$(journalctl -q -x -o short | grep -o '@[A-Z_]*@' | sort -u | xargs)" ""
eq "failed units" "$(systemctl --failed --no-legend --plain '*brokerd*' '*controllerd*' | cut -d' ' -f1 | xargs)" ""
finish
