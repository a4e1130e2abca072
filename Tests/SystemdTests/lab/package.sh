#!/bin/bash
# Runs inside the container: the Debian package from its installation to its purge, as apt does it.
# /srv holds martlet_0.1.0 and martlet_0.1.1, which differ in their number alone.
# shellcheck source=checks.sh
. /usr/lib/lab-checks.sh
export DEBIAN_FRONTEND=noninteractive
old=$(echo /srv/martlet_0.1.0_*.deb) new=$(echo /srv/martlet_0.1.1_*.deb)
apt() { apt-get -q -y -o Dpkg::Use-Pty=0 "$@"; }
states() { systemctl is-active brokerd controllerd | xargs; }
version() { dpkg-query -W -f '${Version}' martlet; }
consume() { timeout 20 kcat -C -b 127.0.0.1:9092 -t orders -o beginning -e -q 2>/tmp/consumed; }
ip link set lo up
# A minimal system leaves manuals out.
rm -f /etc/dpkg/dpkg.cfg.d/docker

section "install"
t "apt installs it" apt install "$old"
eq "both daemons run" "$(states)" "active active"
eq "both are enabled" "$(systemctl is-enabled brokerd controllerd | xargs)" "enabled enabled"
eq "the user is made" "$(getent passwd martlet | cut -d: -f6)" /var/lib/martlet
eq "the data is the user's" "$(stat -c '%U %a' /var/lib/martlet)" "martlet 750"
wait_for 5 '[[ "$(p StatusText controllerd)" == *"1 broker online"* ]]'
has "it is a cluster" "$(martlet cluster status)" "healthy: 0 topics"
has "the journal says what the broker is" "$(j -u brokerd -o cat)" \
    "brokerd is ready: broker 1, clients on 127.0.0.1:9092, peers on 127.0.0.1:9192, metrics on"
has "and what the controller is" "$(j -u controllerd -o cat)" \
    "controllerd is ready: controller 1, peers on 127.0.0.1:9190"
has "journalctl -x explains it" "$(j -x -u brokerd)" "Subject: The daemon is ready and answers"
eq "nothing warns" "$(j -u brokerd -u controllerd -p warning -o cat)" ""
for page in man8/brokerd.8 man8/controllerd.8 man1/martlet-topic.1 man5/martlet.yaml.5; do
    t "$page is there" test -s "/usr/share/man/$page.gz"
done
t "completion is there" test -s /usr/share/bash-completion/completions/martlet
t "dpkg finds every file as it was shipped" dpkg --verify martlet

section "upgrade under load"
t "a topic is made" martlet topic create orders --partitions 3 --replication-factor 1
t "a setting is changed" sed -i 's/^default_partitions:.*/default_partitions: 7/' \
    /etc/martlet/brokerd.yaml
pids=$(p MainPID brokerd)/$(p MainPID controllerd)
# What is acknowledged is written down; what is not is sent again, so that nothing may be missing.
load() {
    local number=0
    until [ -e /tmp/enough ]; do
        number=$((number + 1))
        until timeout 30 kcat -P -b 127.0.0.1:9092 -t orders -X acks=all \
            -X message.timeout.ms=3000 <<<"message $number" 2>>/tmp/load.log; do :; done
        echo "message $number" >>/tmp/acknowledged
    done
}
: >/tmp/acknowledged
load &
loader=$!
wait_for 20 '[ "$(wc -l </tmp/acknowledged)" -ge 20 ]'
t "apt upgrades it" apt -o Dpkg::Options::=--force-confdef install "$new"
before=$(wc -l </tmp/acknowledged)
wait_for 20 '[ "$(wc -l </tmp/acknowledged)" -ge $((before + 20)) ]'
ok "the load goes on afterwards" $?
touch /tmp/enough
wait "$loader"
eq "the new version is in place" "$(version)" 0.1.1
eq "both daemons run" "$(states)" "active active"
[ "$pids" != "$(p MainPID brokerd)/$(p MainPID controllerd)" ]
ok "they are new processes" $?
eq "stopped and started in good order" \
    "$(p NRestarts brokerd)/$(p NRestarts controllerd) $(j -u brokerd -u controllerd -p err -o cat)" \
    "0/0 "
consume | sort -u >/tmp/read
sort -u /tmp/acknowledged >/tmp/wanted
eq "of $(wc -l </tmp/wanted) acknowledged messages, missing" \
    "$(comm -23 /tmp/wanted /tmp/read | wc -l)" 0
has "the changed setting is kept" "$(cat /etc/martlet/brokerd.yaml)" "default_partitions: 7"

section "an upgrade respects what the operator has switched off"
systemctl disable --now brokerd 2>/dev/null
t "apt upgrades it" apt --reinstall install "$new"
eq "brokerd stays off, controllerd runs" "$(states)" "inactive active"
eq "and stays disabled" "$(systemctl is-enabled brokerd controllerd | xargs)" "disabled enabled"
systemctl enable --now brokerd 2>/dev/null

section "instances"
sed -e 's/^broker_id:.*/broker_id: 2/' -e 's/:9092/:9093/; s/:9192/:9193/; s/:9644/:9646/' \
    /etc/martlet/brokerd.yaml >/etc/martlet/brokerd-2.yaml
t "a second broker starts" systemctl start brokerd@2
pid=$(p MainPID brokerd@2)
t "apt upgrades it" apt --reinstall install "$new"
eq "the second broker runs again" "$(p ActiveState brokerd@2)" active
[ "$pid" != "$(p MainPID brokerd@2)" ]
ok "as a new process" $?

section "remove"
t "apt removes it" apt remove martlet
eq "nothing of it runs" "$(pgrep -u martlet | wc -l)" 0
t "the data stays" test -d /var/lib/martlet/broker
t "the settings stay" test -f /etc/martlet/brokerd.yaml
t "apt installs it again" apt install "$new"
eq "both daemons run" "$(states)" "active active"
consume | sort -u >/tmp/read
eq "messages missing" "$(comm -23 /tmp/wanted /tmp/read | wc -l)" 0

section "purge"
t "apt purges it" apt purge martlet
has "without an answer the data stays" "$(cat /tmp/o)" "the data stays in /var/lib/martlet"
t "it does stay" test -d /var/lib/martlet/broker
t "apt installs it again" apt install "$new"
eq "both daemons run" "$(states)" "active active"
echo "martlet martlet/purge-data boolean true" | debconf-set-selections
t "apt purges it" apt purge martlet
refuses "with the answer to delete, the data is gone" test -e /var/lib/martlet
refuses "so are the settings" test -e /etc/martlet/brokerd.yaml
eq "no unit failed" "$(systemctl --failed --no-legend | wc -l)" 0
finish
