#!/bin/bash
# Runs inside the container: three brokers on one machine, and what the journal tells of their
# leaders' moves.
# shellcheck source=checks.sh
. /usr/lib/lab-checks.sh
ip link set lo up
systemd-sysusers martlet.conf
systemd-tmpfiles --create martlet.conf
journalctl --update-catalog
systemctl daemon-reload
unit() { if [ "$1" = 1 ]; then echo brokerd; else echo "brokerd@$1"; fi; }
leader() {
    martlet topic describe orders | awk '$1 == 0 && $2 ~ /^[0-9]+$/ { print $2 }'
}
# Waits until another broker than the one named leads, and all three are up to date.
settled() {
    wait_for 30 '[ "$(systemctl is-active brokerd brokerd@2 brokerd@3 | sort -u)" = active ] &&
        [[ "$(leader)" =~ [123] ]] && [ "$(leader)" != '"${1:-0}"' ] &&
        martlet cluster status | grep -q "^healthy"'
}
produce() { timeout 20 kcat -P -b 127.0.0.1:9092 -t orders -p 0 -X acks=all <<<"$1" 2>/tmp/o; }
why() { martlet why orders/0 --last 1; }

section "three brokers"
systemctl start controllerd brokerd
for number in 2 3; do
    sed -e "s/^broker_id:.*/broker_id: $number/; s/:9092/:909$((number + 1))/" \
        -e "s/:9192/:919$((number + 1))/; s/:9644/:964$((number + 4))/" \
        -e "s,^data_directory:.*,data_directory: /var/lib/martlet/broker-$number," \
        /etc/martlet/brokerd.yaml >/etc/martlet/brokerd-$number.yaml
    t "brokerd@$number starts" systemctl start "brokerd@$number"
done
wait_for 10 '[ "$(martlet cluster status | grep -c "^ *[123]  *127.0.0.1:909")" = 3 ]'
t "a topic with three copies is made" martlet topic create orders --partitions 1 \
    --replication-factor 3
settled
first=$(leader)
has "the journal's fields tell of its first leader" \
    "$(journalctl -q --no-pager MARTLET_TOPIC=orders MARTLET_BROKER="$first" -o cat)" \
    ": no leader was known"
has "martlet why knows it too" "$(why)" "orders-0 (Raft group 1001): led by broker $first since"

section "kill -9"
before=$(leader)
kill -9 "$(p MainPID "$(unit "$before")")"
settled "$before"
produce one
has "what happened" "$(why)" "why: broker $before was killed (signal KILL)"
has "how long nobody led" "$(why)" " without a leader"
has "the service manager's own line" "$(why)" "status=9/KILL"
has "and the new leader's" "$(why)" ": broker $before is gone"

section "a restart"
before=$(leader)
systemctl restart "$(unit "$before")"
settled "$before"
has "what happened" "$(why)" "why: broker $before was stopped, and handed over before it went"
has "with the daemon's line" "$(why)" "brokerd stops: SIGTERM"

section "a process that stands still"
before=$(leader)
systemctl kill --kill-whom=main -s SIGSTOP "$(unit "$before")"
wait_for 30 '[[ "$(leader)" =~ [123] ]] && [ "$(leader)" != '"$before"' ]'
systemctl kill --kill-whom=main -s SIGCONT "$(unit "$before")"
settled "$before"
produce two
has "what happened" "$(why)" "why: the others did not hear broker $before, which heard them"
has "by the new leader" "$(why)" ": broker $before was silent"

section "other sources"
journalctl -q --no-pager -o export -u 'brokerd*' -u 'controllerd*' >/tmp/export
eq "an exported journal tells the same" "$(martlet why orders-0 --file /tmp/export --last 0)" \
    "$(martlet why orders/0 --last 0)"
eq "so does a folder of journal files" \
    "$(martlet why orders/0 --directory "/var/log/journal/$(cat /etc/machine-id)" --last 0)" \
    "$(martlet why orders/0 --last 0)"
has "the controllers' leader" "$(martlet why controllers)" "led by controller 1 since"
refuses "of a topic that never was nothing is known" martlet why nothing/0
has "in plain words" "$(cat /tmp/o)" "nobody is known to have led nothing-0"
refuses "nor is anything read that is not there" martlet why orders/0 --file /absent
has "in plain words" "$(cat /tmp/o)" "/absent: No such file or directory"
martlet why orders/0 --last 0 | sed 's/^/# /'
finish
