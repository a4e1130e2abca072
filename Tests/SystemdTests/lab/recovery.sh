#!/bin/bash
# Runs inside the container: a start that takes several times TimeoutStartSec= because the log is
# long, and data directories of another version.
# shellcheck source=checks.sh
. /usr/lib/lab-checks.sh
broker=/etc/martlet/brokerd.yaml data=/var/lib/martlet

installed
sed -i 's/^wal_file_bytes:.*/wal_file_bytes: 1GiB/; s/^wal_files:.*/wal_files: 2/' $broker
section "$(systemctl --version | head -1): a long log"
t "controllerd and brokerd start" systemctl start controllerd brokerd
t "a topic is made" martlet topic create orders --partitions 4 --replication-factor 1
head -c 700000000 /dev/zero | tr '\0' x | fold -w 100000 >/tmp/lines
timeout 200 kcat -P -b 127.0.0.1:9092 -t orders -X acks=all -l /tmp/lines
eq "700 MB are sent" "$?" 0
sent=$(grep -c "" /tmp/lines)
drop_in brokerd lab TimeoutStartSec=2s Restart=no
systemctl kill --kill-whom=main -s SIGKILL brokerd
wait_for 10 '[ "$(p ActiveState brokerd)" = failed ]'
sync
section "a start that takes several times TimeoutStartSec="
eq "a start may take" "$(p TimeoutStartUSec brokerd)" 2s
from=${EPOCHREALTIME/./}
systemctl start brokerd &
start=$!
: >/tmp/statuses
# A machine that gives it a quarter of the time: it is stopped for the rest.
while kill -0 $start 2>/dev/null; do
    pid=$(p MainPID brokerd)
    if [ "$pid" != 0 ] && [ "$(p SubState brokerd)" = start ]; then
        kill -STOP "$pid"
        sleep 0.3
        kill -CONT "$pid"
    fi
    p StatusText brokerd >>/tmp/statuses
    sleep 0.1
done
wait $start
eq "brokerd starts" "$?/$(p ActiveState brokerd)" 0/active
took=$(((${EPOCHREALTIME/./} - from) / 1000))
[ $took -gt 4000 ]
ok "the start took $took ms, more than twice the time that it had" $?
has "STATUS said how far the reading was" "$(sort -u /tmp/statuses)" \
    "MiB of the write-ahead log"
[ "$(grep -c MiB <(sort -u /tmp/statuses))" -gt 3 ]
ok "again and again: $(grep MiB /tmp/statuses | sort -u | wc -l) different lines" $?
sed -n '/MiB/p' /tmp/statuses | uniq | sed -n '1p;$p' | sed 's/^/# /'
no_drop_in brokerd lab
eq "every message is there" "$(for n in 0 1 2 3; do
    consume orders -p $n -f '.\n'
done | wc -l)" "$sent"

section "data of a later version"
systemctl stop brokerd controllerd
tree() { (cd "$1" && find . -type f -printf '%p %s ' -exec sha256sum {} \; | sort); }
for unit in brokerd controllerd; do
    folder=$data/${unit%d} file=$data/${unit%d}/directory_id
    section "$unit: data of a later version"
    cp $file /tmp/directory_id
    {
        echo "format: martlet data directory 2"
        echo "something: that nobody knows yet"
        sed -n '2,3p' /tmp/directory_id
        echo "crc: 1"
    } >$file
    find $folder -name '*.wal' -prune -o -type f -print0 | xargs -0 sha256sum >/tmp/before
    refuses "the start fails" systemctl start $unit
    eq "with the status of its kind" "$(p ExecMainStatus $unit)" 74
    has "the journal says why" "$(j -u $unit -p err -o cat)" \
        "$file is of format 2, which this program does not know"
    has "and journalctl -x says what to do" "$(j -u $unit -x)" "Install that version"
    sleep 1
    eq "it is not tried again" "$(p NRestarts $unit)/$(p SubState $unit)" 0/failed
    t "nothing was changed" sha256sum --quiet -c /tmp/before
    cat /tmp/directory_id >$file
    systemctl reset-failed $unit
done
section "data of this version again"
t "both start again" systemctl start controllerd brokerd
eq "every message is still there" "$(for n in 0 1 2 3; do
    consume orders -p $n -f '.\n'
done | wc -l)" "$sent"
t "both stop" systemctl stop brokerd controllerd
eq "failed units" "$(systemctl --failed --no-legend --plain '*brokerd*' '*controllerd*' | cut -d' ' -f1 | xargs)" ""
finish
