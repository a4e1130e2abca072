#!/bin/bash
# Runs inside user-mode Linux, in each of its boots: looks at what the power cut before has left, then
# loads the daemons until uml.sh cuts the power again. /out lies outside of the guest, and a write to
# it is there at once: what is noted in it as acknowledged outlives the cut.
# shellcheck source=checks.sh
. /usr/lib/lab-checks.sh
export LC_ALL=C
cycle=$(cat /out/cycle) cycles=$(cat /out/cycles)
broker=127.0.0.1:9092
topics=/out/topics

# Every message is `CYCLE NUMBER padding`; a line of what follows is `OFFSET CYCLE NUMBER`.
# What a partition holds, in its order.
held() {
    timeout 100 kcat -C -b $broker -t load -p "$1" -o beginning -e -q -f '%o %s\n' | cut -d' ' -f1-3
}
# What was acknowledged of a partition, as kcat has told: of one producer's messages to one partition
# the reports come in the messages' order.
acknowledged() {
    local earlier
    for ((earlier = 1; earlier < cycle; earlier++)); do
        awk -v cycle="$earlier" '/^% (Message delivered|Delivery failed)/ { number++ }
            /^% Message delivered.* on broker/ { print int($8), cycle, number }' \
            "/out/acknowledged.$1.$earlier"
    done
}
# The lines of the second file that the first one lacks.
missing() { awk 'FILENAME == ARGV[1] { held[$0]; next } !($0 in held)' "$1" "$2"; }
# The lines that do not follow the one before: a message twice, out of its order, or after a hole.
misplaced() {
    awk 'BEGIN { offset = -1 }
        { follows = $2 == cycle ? $3 == number + 1 : $2 > cycle && $3 == 1
          if ($1 <= offset || !follows) print
          offset = $1; cycle = $2; number = $3 }' "$1"
}
lines() { wc -l <"$1"; }
median() { sort -n | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }
of_topics() { cat "$topics.$1" 2>/dev/null | sort; }

check_partition() {
    held "$1" >/tmp/held
    acknowledged "$1" >/tmp/acknowledged
    missing /tmp/held /tmp/acknowledged >/tmp/missing
    misplaced /tmp/held >/tmp/misplaced
    eq "partition $1: of $(lines /tmp/acknowledged) acknowledged messages, missing" \
        "$(lines /tmp/missing)" 0
    head -n 5 /tmp/missing | sed 's/^/#   /'
    eq "partition $1: of $(lines /tmp/held) messages, twice or out of order" \
        "$(lines /tmp/misplaced)" 0
    head -n 5 /tmp/misplaced | sed 's/^/#   /'
}

check_topics() {
    t "the topics are listed" martlet topic list
    grep -o '^cycle-[0-9-]*' /tmp/o | sort >/tmp/listed
    of_topics made >/tmp/made
    eq "of $(lines /tmp/made) topics, $(of_topics deleted | wc -l) of them deleted, missing" \
        "$(comm -23 /tmp/made <(of_topics deleting) | comm -23 - /tmp/listed | xargs)" ""
    eq "of the deleted ones, back again" "$(of_topics deleted | comm -12 - /tmp/listed | xargs)" ""
}

# What the power cut has left.
check() {
    eq "boot $cycle: controllerd and brokerd are up, without help" \
        "$(p ActiveState controllerd) $(p ActiveState brokerd)" "active active"
    eq "at the first try" "$(p NRestarts controllerd) $(p NRestarts brokerd)" "0 0"
    [ "$(cat /out/fsck.status)" -le 1 ]
    ok "the file system is whole: $(tail -n 1 /out/fsck.log)" $?
    check_partition 0
    check_partition 1
    check_topics
    eq "no daemon complained" "$(journalctl -q -b -u controllerd -u brokerd -p err -o cat)" ""
}

# One producer to a partition, of a thousand messages a second, whose reports go out of the guest one
# by one.
produce() {
    perl -e '$| = 1; for my $number (1 .. 1e7) {
            print "$ARGV[0] $number ", "." x 300, "\n";
            select(undef, undef, undef, 0.01) unless $number % 10;
        }' "$cycle" |
        kcat -P -b $broker -t load -p "$1" -X acks=all -vvv "${@:2}" 2>"/out/acknowledged.$1.$cycle"
}
# Makes topics, and deletes every other one.
manage() {
    local number name
    for number in $(seq 1000); do
        name=cycle-$cycle-$number
        martlet topic create "$name" --partitions 1 --replication-factor 1 || continue
        echo "$name" >>$topics.made
        ((number % 2)) || continue
        echo "$name" >>$topics.deleting
        martlet topic delete "$name" && echo "$name" >>$topics.deleted
    done
} >/dev/null 2>&1
load() {
    [ "$cycle" -gt 1 ] || martlet topic create load --partitions 2 --replication-factor 1
    produce 0 -X max.in.flight.requests.per.connection=1 &
    produce 1 -X enable.idempotence=true &
    manage &
    sleep infinity
}

# Files so small that each cycle goes through several of them.
small_files() {
    sed -i 's/^\(wal_file_bytes\|segment_bytes\):.*/\1: 1MiB/' /etc/martlet/*.yaml
    systemctl restart controllerd brokerd
}

# The checks find what is wrong, if it is.
check_the_checks() {
    acknowledged 0 >/tmp/acknowledged
    held 0 >/tmp/held
    echo "999999999 1 1" >>/tmp/acknowledged
    eq "a message that nobody sent is found missing" \
        "$(missing /tmp/held /tmp/acknowledged | tail -n 1)" "999999999 1 1"
    eq "and all are missing of an empty partition" \
        "$(missing /dev/null /tmp/acknowledged | wc -l)" "$(lines /tmp/acknowledged)"
    sed '3{p;p}' /tmp/held >/tmp/wrong
    eq "a message that is there three times is found" "$(misplaced /tmp/wrong | wc -l)" 2
    sed 3d /tmp/held >/tmp/wrong
    eq "a hole is found" "$(misplaced /tmp/wrong | wc -l)" 1
    sed '3{h;d};4G' /tmp/held >/tmp/wrong
    [ "$(misplaced /tmp/wrong | wc -l)" -gt 0 ]
    ok "messages in the wrong order are found" $?
}

first=$(timeout 30 kcat -P -b $broker -t first <<<"$cycle" 2>&1 && cut -d' ' -f1 /proc/uptime)
if [ "$cycle" -gt 1 ]; then
    [ "$cycle" != 2 ] || section "power cuts"
    check
    for daemon in controllerd brokerd; do
        echo $((($(p ActiveEnterTimestampMonotonic $daemon) - \
            $(p ExecMainStartTimestampMonotonic $daemon)) / 1000)) >>/out/start.$daemon
        echo $(($(p ActiveEnterTimestampMonotonic $daemon) / 1000)) >>/out/ready.$daemon
    done
    echo "${first##* }" >>/out/first
else
    small_files
fi
[ "$cycle" -gt "$cycles" ] || load

section "after $cycles power cuts"
check_the_checks
t "every byte of the logs is right" martlet log verify /var/lib/martlet/broker \
    /var/lib/martlet/controller
for daemon in controllerd brokerd; do
    echo "# $daemon: READY $(median </out/ready.$daemon) ms after the kernel began to boot," \
        "$(median </out/start.$daemon) ms after its own start (medians)"
done
echo "# first acknowledged message $(median </out/first) s after the kernel began to boot (median)"
t "both stop" systemctl stop brokerd controllerd
finish
