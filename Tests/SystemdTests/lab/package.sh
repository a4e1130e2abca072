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
# Lines that were acknowledged and are not in the topic any more.
missing() {
    timeout 20 kcat -C -b 127.0.0.1:9092 -t "$1" -o beginning -e -q 2>/tmp/consumed |
        sort -u | comm -23 <(sort -u "/tmp/$1.acknowledged") - | wc -l
}
# Sends to a topic until `settle`: what is acknowledged is written down, what is not is sent again.
load() {
    : >"/tmp/$1.acknowledged"
    rm -f /tmp/enough
    (
        number=0
        until [ -e /tmp/enough ]; do
            number=$((number + 1))
            until timeout 30 kcat -P -b 127.0.0.1:9092,127.0.0.1:9093,127.0.0.1:9094 -t "$1" \
                -X acks=all -X message.timeout.ms=3000 <<<"message $number" 2>>/tmp/load.log; do
                :
            done
            echo "message $number" >>"/tmp/$1.acknowledged"
        done
    ) &
    loader=$!
    more "$1"
}
# Waits until the load has got twenty more acknowledged.
more() {
    local before
    before=$(wc -l <"/tmp/$1.acknowledged")
    wait_for 30 '[ "$(wc -l <"/tmp/'"$1"'.acknowledged")" -ge '"$((before + 20))"' ]'
}
settle() {
    more "$1"
    ok "the load goes on afterwards" $?
    touch /tmp/enough
    wait "$loader"
    eq "of $(wc -l <"/tmp/$1.acknowledged") acknowledged messages, missing" "$(missing "$1")" 0
}
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
load orders
t "apt upgrades it" apt install "$new"
settle orders
eq "the new version is in place" "$(version)" 0.1.1
eq "both daemons run" "$(states)" "active active"
[ "$pids" != "$(p MainPID brokerd)/$(p MainPID controllerd)" ]
ok "they are new processes" $?
eq "nothing had to be started again" "$(p NRestarts brokerd)/$(p NRestarts controllerd)" 0/0
eq "nothing failed on the way" "$(j -u brokerd -u controllerd -p err -o cat)" ""
has "the changed setting is kept" "$(cat /etc/martlet/brokerd.yaml)" "default_partitions: 7"

section "a downgrade to a version that reads the same data"
t "apt downgrades it" apt --allow-downgrades install "$old"
eq "the old version is in place" "$(version)" 0.1.0
eq "both daemons run" "$(states)" "active active"
eq "of $(wc -l </tmp/orders.acknowledged) acknowledged messages, missing" "$(missing orders)" 0
t "apt upgrades it" apt install "$new"

section "a downgrade to a version that cannot read the data"
# As a later version would have left it.
identity=/var/lib/martlet/broker/directory_id
systemctl stop brokerd
cp $identity /tmp/identity
sed -i '1s/.*/format: martlet data directory 2/' $identity
find /var/lib/martlet/broker -type f -print0 | xargs -0 sha256sum >/tmp/files
t "apt downgrades it" apt --allow-downgrades install "$old"
eq "brokerd has failed, controllerd runs" "$(states)" "failed active"
eq "with the status of its kind" "$(p ExecMainStatus brokerd)/$(p NRestarts brokerd)" 74/0
has "the journal says why" "$(j -u brokerd -p err -o cat)" \
    "$identity is of format 2, which this program does not know"
has "and journalctl -x what to do" "$(j -u brokerd -x)" "Install that version"
t "nothing was changed" sha256sum --quiet -c /tmp/files
cat /tmp/identity >$identity
t "the version that can read it comes back" apt install "$new"
systemctl restart brokerd
eq "both daemons run" "$(states)" "active active"
eq "messages missing" "$(missing orders)" 0
systemctl reset-failed

section "an upgrade respects what the operator has switched off"
systemctl disable --now brokerd 2>/dev/null
t "apt upgrades it" apt --reinstall install "$new"
eq "brokerd stays off, controllerd runs" "$(states)" "inactive active"
eq "and stays disabled" "$(systemctl is-enabled brokerd controllerd | xargs)" "disabled enabled"
systemctl enable --now brokerd 2>/dev/null

section "an upgrade whose settings differ from those that the operator has changed"
dpkg-deb -R "$new" /tmp/newer
sed -i 's/^Version:.*/Version: 0.1.2/' /tmp/newer/DEBIAN/control
echo "# A newer package says more." >>/tmp/newer/etc/martlet/brokerd.yaml
sed -i '/etc\/martlet/d' /tmp/newer/DEBIAN/md5sums
dpkg-deb -Znone -b /tmp/newer /srv/martlet_0.1.2.deb >/dev/null
new=/srv/martlet_0.1.2.deb
t "apt upgrades it" apt -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
    install "$new"
eq "the new version is in place" "$(version)" 0.1.2
has "the changed setting is kept" "$(cat /etc/martlet/brokerd.yaml)" "default_partitions: 7"
has "the package's own lies beside it" "$(cat /etc/martlet/brokerd.yaml.dpkg-dist)" "says more"
eq "both daemons run" "$(states)" "active active"

section "an upgrade of three brokers"
for number in 2 3; do
    sed -e "s/^broker_id:.*/broker_id: $number/; s/:9092/:909$((number + 1))/" \
        -e "s/:9192/:919$((number + 1))/; s/:9644/:964$((number + 4))/" \
        /etc/martlet/brokerd.yaml >/etc/martlet/brokerd-$number.yaml
    t "brokerd@$number starts" systemctl start "brokerd@$number"
done
wait_for 10 '[ "$(martlet cluster status | grep -c "^ *[123]  *127.0.0.1:909")" = 3 ]'
t "a topic with three copies is made" martlet topic create copies --partitions 3 \
    --replication-factor 3
pids=$(p MainPID brokerd@2)/$(p MainPID brokerd@3)
load copies
t "apt upgrades it" apt --reinstall install "$new"
settle copies
eq "all brokers run" "$(systemctl is-active brokerd brokerd@2 brokerd@3 | xargs)" \
    "active active active"
[[ $(p MainPID brokerd@2) != "${pids%/*}" && $(p MainPID brokerd@3) != "${pids#*/}" ]]
ok "as new processes" $?
eq "one stopped after the other was ready" "$(j -o json SYSLOG_IDENTIFIER=brokerd \
    MESSAGE_ID=81ce66a1df8a408987777f6e0d2bf029 + SYSLOG_IDENTIFIER=brokerd \
    MESSAGE_ID=dd4a71d07335451a9c105e44a9ee44c1 --output-fields=_SYSTEMD_UNIT,MESSAGE -o cat |
    sed -n 's/.*brokerd stops.*/stop/p; s/.*brokerd is ready.*/ready/p' | tail -6 | xargs)" \
    "stop ready stop ready stop ready"

section "remove"
t "apt removes it" apt remove martlet
eq "nothing of it runs" "$(pgrep -u martlet | wc -l)" 0
eq "no broker waited in vain for the others" "$(j -o cat -g 'its time is over')" ""
t "the data stays" test -d /var/lib/martlet/broker
t "the settings stay" test -f /etc/martlet/brokerd.yaml
t "apt installs it again" apt install "$new"
eq "both daemons run" "$(states)" "active active"
eq "messages missing" "$(missing orders)" 0

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
