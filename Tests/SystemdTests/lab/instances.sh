#!/bin/bash
# Runs inside the container: several brokers on one machine by the template, and a reload that
# returns when it is done (systemd 253 and later).
# shellcheck source=checks.sh
. /usr/lib/lab-checks.sh
set_key() { sed -i "s|^$2:.*|$2: $3|" "/etc/martlet/$1.yaml"; }

installed
section "$(systemctl --version | head -1): three brokers"
for number in 2 3; do
    sed -e "s/^broker_id:.*/broker_id: $number/; s/:9092/:909$((number + 1))/" \
        -e "s/:9192/:919$((number + 1))/; s/:9644/:964$((number + 4))/" \
        /etc/martlet/brokerd.yaml >/etc/martlet/brokerd-$number.yaml
done
t "they start together" systemctl start controllerd brokerd brokerd@2 brokerd@3
eq "they run" "$(systemctl is-active brokerd brokerd@2 brokerd@3 | xargs)" "active active active"
for number in 2 3; do
    has "brokerd@$number says who it is" "$(j -u brokerd@$number -o cat)" \
        "brokerd is ready: broker $number, clients on 127.0.0.1:909$((number + 1))"
    eq "its data is its own" "$(stat -c '%U %a' /var/lib/martlet/broker-$number)" "martlet 700"
    has "in a log of its own" "$(ls /var/lib/martlet/broker-$number)" "wal"
    eq "the settings' own data_directory does not count" \
        "$(j -u brokerd@$number -p warning -o cat)" ""
done
wait_for 10 '[ "$(martlet cluster status | grep -c "^ *[123]  *127.0.0.1:909")" = 3 ]'
t "a topic with a copy on each is made" martlet topic create copies --partitions 3 \
    --replication-factor 3
timeout 20 kcat -P -b 127.0.0.1:9092 -t copies -p 0 -X acks=all <<<hello
eq "a message goes in and comes out" "$(consume copies)" hello
systemctl kill --kill-whom=main -s SIGKILL brokerd@2
wait_for 10 '[ "$(p NRestarts brokerd@2)" = 1 ] && [ "$(p SubState brokerd@2)" = running ]'
eq "one that is killed comes back, the others stay" \
    "$(p NRestarts brokerd)/$(p NRestarts brokerd@2)/$(p NRestarts brokerd@3)" 0/1/0
t "an instance without settings is refused" bash -c '! systemctl start brokerd@9'
eq "with the status of its kind" "$(p ExecMainStatus brokerd@9)" 78
has "and the file's name" "$(j -u brokerd@9 -p err -o cat)" "/etc/martlet/brokerd-9.yaml"
systemctl reset-failed brokerd@9
t "the target stops all of them" systemctl stop martlet.target
wait_for 60 '[ "$(pgrep -c -u martlet)" = 0 ]'
eq "none is left" "$(pgrep -c -u martlet)" 0

section "a reload that returns when it is done"
for unit in brokerd brokerd@ controllerd; do
    mkdir -p "/etc/systemd/system/$unit.service.d"
    cp "/usr/share/doc/martlet/optional/$unit.service.d/10-systemd-253.conf" \
        "/etc/systemd/system/$unit.service.d/"
done
systemctl daemon-reload
if [ "$(systemctl --version | awk 'NR == 1 { print $2 }')" -lt 253 ]; then
    eq "an older systemd keeps what it knows" "$(p Type brokerd)" notify
    t "the daemons start all the same" systemctl start controllerd brokerd
    echo "skip - the drop-in (systemd 253 and later)"
else
    eq "the drop-in counts" "$(p Type brokerd)/$(p ExecReload brokerd)" notify-reload/
    t "the daemons start" systemctl start controllerd brokerd brokerd@2
    for unit in brokerd brokerd@2 controllerd; do
        section "reloads of $unit"
        file=${unit/@/-}
        for level in debug notice info; do
            set_key "$file" log_level $level
            t "a reload returns" systemctl reload $unit
            # At once, without waiting for anything: it is read when the command returns.
            has "and it is done" "$(j -u $unit -o cat | grep 'settings reloaded' | tail -1)" \
                "settings reloaded: applied log_level"
        done
        eq "each was one reload" "$(j -u $unit -o cat | grep -c 'settings reloaded')" 3
        set_key "$file" log_level loud
        t "a reload of a bad file returns as well" systemctl reload $unit
        has "STATUS has the reason" "$(p StatusText $unit)" "log_level must be one of"
        eq "the unit is active" "$(p ActiveState $unit)/$(p SubState $unit)" active/running
        set_key "$file" log_level info
        t "and a good one after it" systemctl reload $unit
        refuses "STATUS is clean" grep -q refused <<<"$(p StatusText $unit)"
    done
fi
systemctl stop martlet.target
wait_for 60 '[ "$(pgrep -c -u martlet)" = 0 ]'
eq "failed units" "$(systemctl --failed --no-legend --plain '*brokerd*' '*controllerd*' | cut -d' ' -f1 | xargs)" ""
finish
