#!/usr/bin/env bash
# Boots three throw-away Debians with real systemd in containers, each with an address of its own,
# installs the package on them, makes them one cluster as its operator would, and does harm to it
# while clients write. Prints `ok N - what`, `skip N - what (why)` or `FAIL N - what`.
#
#   hosts.sh RELEASE PACKAGES     RELEASE: bookworm (systemd 252) or trixie (257); PACKAGES: a folder
#                                 with martlet_0.1.0 and martlet_0.1.1, which differ in their number
#   hosts.sh --probe              only finds out whether this machine allows it
#
# Exit status: 0 all ok, 1 something failed, 77 this machine does not allow it (with the reason).
# Every run leaves nothing behind but the base system, and the hosts' journals if it failed.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=base.sh
. "$here/base.sh"
run=$lab/hosts-$$ said=$lab/hosts-$$/said
# shellcheck source=network.sh
. "$here/network.sh"
# shellcheck source=load.sh
. "$here/load.sh"
# shellcheck source=checks.sh
. "$here/checks.sh"

usage() {
    sed -n '2,12p' "$0" | cut -c3-
    exit 64
}
case $# in
1)
    [[ $1 == --probe ]] || usage
    release=bookworm packages=/srv
    ;;
2)
    release=$1 packages=$(cd "$2" && pwd) || usage
    old=$(cd "$packages" && echo martlet_0.1.0_*.deb) new=${old/0.1.0/0.1.1}
    [[ -f $packages/$old && -f $packages/$new ]] || {
        echo "hosts.sh: no martlet_0.1.0 or martlet_0.1.1 in $packages"
        exit 64
    }
    ;;
*) usage ;;
esac

end() {
    local status=$?
    trap - EXIT
    end_loads
    if ((status != 0 && status != 77)); then
        for n in 1 2 3; do
            journalctl -q --no-pager -D "$run/$n/m/var/log/journal" -o short-precise \
                >"$lab/failed.journal.$n" 2>/dev/null || true
        done
        echo "the whole journals: $lab/failed.journal.{1,2,3}"
    fi
    remove_hosts
    exit "$status"
}

require_containers
find_clients
base_system "$release"
mkdir -p "$run"
trap end EXIT
make_network
for n in 1 2 3; do make_host "$n"; done
probe_container "$net-1" "$run/1"
[[ $1 != --probe ]] || exit 0

# What a host's systemd says of a unit, and the daemon of itself.
property() { on "$1" systemctl show -P "$3" "$2"; }
state() { property "$1" "$2" StatusText; }
# The journal of a host since the section began.
journal() {
    on "$1" journalctl --sync
    on "$1" journalctl -q --no-pager --since="@$began" "${@:2}"
}
# Milliseconds from the boot of a host to the latest READY of a unit.
to_ready() {
    local from to
    from=$(on "$1" systemctl show -P UserspaceTimestampMonotonic)
    to=$(property "$1" "$2" ActiveEnterTimestampMonotonic)
    echo $(((to - from) / 1000))
}
# host_of WHAT [EXCEPT]: who leads the controllers, or the partition `orders-WHAT`, in the eyes of
# all hosts but one.
host_of() {
    local n
    for n in 1 2 3; do
        [[ $n != "${2:-}" ]] || continue
        case $1 in
        controllers) state "$n" controllerd | sed -n "s/^leader in epoch .*/$n/p" ;;
        *) on "$n" martlet topic describe orders | awk -v p="$1" '$1 == p && NF > 4 { print $2 }' ;;
        esac
    done 2>/dev/null | grep -m 1 '[123]'
}
# The terms of the partitions and the controllers' epoch, in the eyes of all hosts but one.
terms() {
    local witness=$(($1 % 3 + 1))
    on "$witness" martlet topic describe orders |
        awk '/^ *[0-9]+ +[0-9]+ / { printf "%s in %s, ", $1, $3 }'
    state "$(host_of controllers "$1")" controllerd | sed -n 's/^leader in epoch \([0-9]*\).*/\1/p'
}
# Whether all hosts know each other, and no partition lacks a copy.
is_healthy() {
    local n status
    status=$(on 1 martlet cluster status --check 2>/dev/null) &&
        [[ $(grep -cE '^ *[123] +10\.77\.0\.[123]:9092 ' <<<"$status") == 3 ]] || return 1
    for n in 1 2 3; do
        [[ $(state "$n" brokerd) == "serving: "*", 0 under-replicated" ]] || return 1
        [[ $(state "$n" controllerd) == *"3 brokers online, "* ]] || return 1
    done
}
healthy() {
    wait_for 60 is_healthy
    ok "the cluster is healthy${1:+ $1}" $? && is_healthy && return
    {
        on 1 martlet cluster status
        for n in 1 2 3; do
            echo "host $n: $(state "$n" brokerd) | $(state "$n" controllerd)"
        done
    } 2>&1 | sed 's/^/#   /'
}

section "the package on three hosts"
t "three hosts boot" power_on 1 2 3
eq "each with $(on 1 systemctl --version | head -n 1)" \
    "$(for n in 1 2 3; do on "$n" systemctl is-system-running; done | xargs)" \
    "running running running"
t "apt installs it" everywhere apt-get -q -y -o Dpkg::Use-Pty=0 install "/srv/$old"
t "the daemons stop, for other settings" everywhere systemctl stop brokerd controllerd
everywhere rm -r /var/lib/martlet/broker /var/lib/martlet/controller
for n in 1 2 3; do
    # shellcheck disable=SC2016
    t "host $n gets its settings" on "$n" sed -i \
        -e "s/^broker_id:.*/broker_id: $n/; s/^controller_id:.*/controller_id: $n/" \
        -e "s/127\.0\.0\.1:\(909\|919\)/10.77.0.$n:\1/" \
        -e 's/^controllers:.*/controllers: ["1@10.77.0.1:9190", "2@10.77.0.2:9190", "3@10.77.0.3:9190"]/' \
        -e 's/^insecure_peers:.*/insecure_peers: true/' \
        -e 's/^peer_allow_list:.*/peer_allow_list: ["10.77.0.0\/24"]/' \
        -e 's/^\(default\|offsets_topic\)_replication_factor:.*/\1_replication_factor: 3/' \
        -e 's/^offsets_topic_partitions:.*/offsets_topic_partitions: 3/' \
        -e '/^listeners:/,/^$/s/client: .*/client: 0.0.0.0:9092/' \
        /etc/martlet/brokerd.yaml /etc/martlet/controllerd.yaml
done
t "the settings are good" everywhere sh -c 'brokerd --config /etc/martlet/brokerd.yaml \
    --check-config && controllerd --config /etc/martlet/controllerd.yaml --check-config'
t "the daemons start" everywhere systemctl start controllerd brokerd
healthy
on 1 martlet cluster status | sed 's/^/#   /'

section "a stop takes nobody's quorum: copies of their own"
t "a topic of single copies is made" \
    on 1 martlet topic create single --partitions 3 --replication-factor 1
t "a broker stops" on 3 systemctl stop brokerd
has "another may stop, too" "$(on 1 martlet cluster can-stop 2)" "yes: no partition loses"
t "it stops" on 2 systemctl stop brokerd
eq "without waiting" "$(journal 2 -u brokerd -o cat -g 'waits')" ""
t "host 2's starts" on 2 systemctl start brokerd
t "host 3's starts" on 3 systemctl start brokerd
healthy
t "the topic is deleted" on 1 martlet topic delete single

section "messages"
for topic in orders lines; do
    t "$topic gets three copies" \
        on 1 martlet topic create "$topic" --partitions 3 --replication-factor 3
done
for n in 1 2 3; do
    t "kcat produces on host $n" on "$n" sh -c \
        "seq 100 | sed 's/^/host $n: /' | timeout 30 kcat -P -b 127.0.0.1:9092 -t lines -X acks=all"
done
for n in 1 2 3; do
    eq "kcat consumes on host $n, lines" "$(on "$n" timeout 30 kcat -C -b 127.0.0.1:9092 -t lines \
        -o beginning -e -q | sort -u | wc -l)" 300
done
healthy

section "what systemd knows"
for n in 1 2 3; do
    leads=$(on 1 martlet cluster status | awk -v n="$n" '$1 == n && $2 ~ /:9092$/ { print $4 }')
    wait_for 5 '[[ $(state "$n" brokerd) == "serving: 6 partitions, leader of $leads, "* ]]'
    has "host $n's STATUS is what the cluster says" "$(on "$n" systemctl status brokerd)" \
        "Status: \"serving: 6 partitions, leader of $leads, 0 under-replicated\""
done
head=$(host_of controllers)
for n in 1 2 3; do
    role="following controller $head, the leader"
    [[ $n != "$head" ]] || role="leader in epoch "
    has "host $n's controller, too" "$(state "$n" controllerd)" "$role"
    eq "and warns of nothing" "$(journal "$n" -u brokerd -u controllerd -p warning -o cat)" ""
done

section "restarts under load"
load
t "readers read along" read_along
gaps=()
for n in 1 2 3; do
    moment=$(now)
    t "brokerd restarts on host $n" on "$n" systemctl restart brokerd
    more 20
    ok "all partitions are written" $?
    healthy
    gaps+=("$(gap_since "$moment")")
done
end_reading
echo "# longest time without an acknowledgement, of any partition: ${gaps[*]} ms"
median=$(printf '%s\n' "${gaps[@]}" | sort -n | sed -n 2p)
((median <= 300))
ok "at most 300 ms: $median" $?
settle
eq "refused connects" "$(grep -c 'refused' "$log")" 0

# What is true while host $away cannot be reached: the others serve, and say what they lack.
served_without() {
    local witness status
    wait_for 30 '[[ -n $(host_of controllers "$away") ]]'
    ok "the other controllers have a leader" $?
    served
    ok "all partitions are written" $?
    wait_for 30 'witness=$(host_of 0 "$away"); [[ -n $witness && $witness != "$away" ]]'
    ok "orders-0 is led by host $witness" $?
    wait_for 30 'status=$(on "$witness" martlet cluster status) && [[ $status == *" $away  (away) "* ]]'
    has "martlet says who is away" "$status" " $away  (away)"
    wait_for 30 'status=$(state "$witness" brokerd) && lacks_copies "$status"'
    ok "host $witness knows what it lacks: $status" $?
    echo "# longest time without an acknowledgement, of any partition: $(gap_since "$moment") ms"
}
# Whether a status line says that all partitions lack a copy that are led there.
lacks_copies() {
    [[ $1 =~ leader\ of\ ([1-9]),\ ([1-9])\ under-replicated$ &&
        ${BASH_REMATCH[1]} == "${BASH_REMATCH[2]}" ]]
}
knows_itself_alone() {
    wait_for 30 '[[ $(state "$away" brokerd) == *"no controller answers"* ]]'
    has "the broker knows that it is alone" "$(state "$away" brokerd)" \
        "without a leader; no controller answers"
    wait_for 30 '[[ $(state "$away" controllerd) == "no leader"* ]]'
    eq "so does the controller" "$(state "$away" controllerd)" "no leader of the controllers yet"
    has "the broker's journal says it" "$(journal "$away" -u brokerd -o cat)" "No controller"
    refuses "nothing is acknowledged there" on "$away" timeout 5 sh -c \
        'echo never | kcat -P -b 127.0.0.1:9092 -t lines -p 0 -X acks=all -X message.timeout.ms=2000'
}

for office in 0 controllers; do
    away=$(host_of "$office")
    [[ $office == 0 ]] && whose=orders-0 || whose="the controllers"
    section "host $away, which leads $whose, is cut off"
    load
    moment=$(now)
    cut "$away"
    served_without
    knows_itself_alone
    heal "$away"
    healthy
    settle
done

for chain in input output; do
    away=$(host_of controllers)
    [[ $chain == input ]] && way="hears nothing" || way="is not heard"
    section "host $away, which leads the controllers, $way"
    load
    moment=$(now)
    interface=iifname
    [[ $chain == input ]] || interface=oifname
    lossy "$away" "$chain" "$interface" host0 drop
    served_without
    before=$(terms "$away")
    more 400
    eq "terms grow no more" "$(terms "$away")" "$before"
    lossless "$away"
    healthy
    settle
done

away=$(host_of 0)
section "host $away, which leads orders-0, loses a quarter of all packets, both ways"
load
for chain in input output; do lossy "$away" "$chain" numgen random mod 100 '<' 25 drop; done
more 200
ok "all partitions are written" $?
lossless "$away"
healthy
settle

away=$(host_of 0)
section "host $away, which leads orders-0, loses its power and comes back"
load
moment=$(now)
crash "$away"
served_without
t "it boots again" power_on "$away"
healthy
settle

away=$(host_of 0)
section "host $away, which leads orders-0, reboots in order"
load
moment=$(now)
# Its bus is gone before it can answer.
on "$away" systemctl reboot 2>/dev/null
t "it goes down" is_off "$away"
down=$(($(now) - moment))
((down < 15000))
ok "soon: after $down ms" $?
served
echo "# longest time without an acknowledgement, of any partition: $(gap_since "$moment") ms"
t "it boots again" power_on "$away"
healthy
eq "its stops waited for nobody" "$(journal "$away" -o cat -g 'waits before it stops')" ""
has "its leaders moved first" "$(journal "$away" -u brokerd -o cat)" "No longer leading Raft group"
has "its broker has stopped in order" "$(journal "$away" -u brokerd -o cat)" "brokerd has stopped"
settle

section "a stop waits for others"
load
t "host 3's broker stops" on 3 systemctl stop brokerd
on 2 systemctl stop --no-block brokerd
wait_for 10 '[[ $(state 2 brokerd) == waits* ]]'
has "host 2's waits, says STATUS" "$(state 2 brokerd)" "waits to stop: without this broker"
has "and names it" "$(state 2 brokerd)" "lose the quorum while broker 3 is away: "
has "so does the journal" "$(journal 2 -u brokerd -p warning -o cat)" \
    "brokerd waits before it stops: without this broker"
on 1 martlet cluster can-stop 2 >"$said"
eq "martlet cluster can-stop ends with" $? 1
has "and says the same" "$(cat "$said")" "no: 9 partitions would lose the quorum with broker 2"
served
ok "meanwhile all partitions are written" $?
t "host 3's is started" on 3 systemctl start brokerd
wait_for 30 '[[ $(property 2 brokerd ActiveState) == inactive ]]'
eq "then host 2's has stopped" "$(property 2 brokerd ActiveState)/$(property 2 brokerd Result)" \
    inactive/success
eq "and did not lose its patience" "$(journal 2 -u brokerd -o cat -g 'waits no longer')" ""
t "it starts again" on 2 systemctl start brokerd
healthy
t "host 3's controller stops" on 3 systemctl stop controllerd
on 2 systemctl stop --no-block controllerd
wait_for 10 '[[ $(state 2 controllerd) == waits* ]]'
has "host 2's waits" "$(state 2 controllerd)" "waits to stop: "
wait_for 5 '! on 1 martlet cluster can-stop 2 --controller >"$said"'
on 1 martlet cluster can-stop 2 --controller >"$said"
eq "martlet cluster can-stop ends with" $? 1
has "and says the same" "$(cat "$said")" "no: the controllers would lose their quorum with controller 2"
t "host 3's is started" on 3 systemctl start controllerd
wait_for 30 '[[ $(property 2 controllerd ActiveState) == inactive ]]'
eq "then host 2's has stopped" "$(property 2 controllerd ActiveState)" inactive
t "it starts again" on 2 systemctl start controllerd
healthy
settle

section "a host that goes down waits for nobody"
t "host 3's daemons stop" on 3 systemctl stop brokerd controllerd
moment=$(now)
on 2 systemctl poweroff 2>/dev/null
t "host 2 goes down" is_off 2
down=$(($(now) - moment))
((down < 15000))
ok "soon: after $down ms" $?
t "it boots again" power_on 2
t "host 3's daemons start" on 3 systemctl start brokerd controllerd
healthy

section "apt upgrades one host after the other"
load
feed
for n in 1 2 3; do
    pids=$(property "$n" brokerd MainPID)/$(property "$n" controllerd MainPID)
    moment=$(now)
    t "host $n is upgraded" on "$n" apt-get -q -y -o Dpkg::Use-Pty=0 install "/srv/$new"
    healthy
    echo "# longest time without an acknowledgement, of any partition: $(gap_since "$moment") ms"
    eq "host $n has" "$(on "$n" dpkg-query -W -f '${Version}' martlet)" 0.1.1
    [[ ${pids%/*} != "$(property "$n" brokerd MainPID)" &&
        ${pids#*/} != "$(property "$n" controllerd MainPID)" ]]
    ok "both daemons are new processes" $?
    eq "nothing failed" "$(journal "$n" -u brokerd -u controllerd -p err -o cat)" ""
done
end_feeding
settle

section "all hosts boot at once"
for n in 1 2 3; do on "$n" systemctl poweroff 2>/dev/null; done
for n in 1 2 3; do t "host $n goes down" is_off "$n"; done
load unawaited
t "they boot" power_on 1 2 3
served
ok "messages are acknowledged" $?
for n in 1 2 3; do
    booted=$(on "$n" systemctl show -P UserspaceTimestampMonotonic)
    first=$(awk '$1 == "A" { print $3; exit }' "$log")
    echo "# host $n: from its boot to READY controllerd $(to_ready "$n" controllerd) ms, brokerd" \
        "$(to_ready "$n" brokerd) ms; to the first acknowledged message $((first - booted / 1000)) ms"
done
healthy
settle
for n in 1 2 3; do
    eq "units that failed on host $n" "$(on "$n" systemctl --failed --no-legend | wc -l)" 0
done

summary
exit $((failed > 0))
