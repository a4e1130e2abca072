# Three hosts: containers with systemd, each in a network namespace of its own, on a bridge in another.
# Host N is 10.77.0.N; who stands outside, at 10.77.0.254, is `outside`. Sourced by hosts.sh, after
# base.sh; everything carries this process's id in its name.
# shellcheck shell=bash disable=SC2154
net=mlab$$
# By the host's number: its PID 1, as it is called outside.
leader=()

# A bridge, a namespace for each host, and a cable between them.
make_network() {
    lay_cables 2>"$run/network.log" ||
        skip "no virtual network here: $(head -n 1 "$run/network.log")"
    ip netns exec "$net-1" nft list ruleset >"$run/network.log" 2>&1 ||
        skip "no nftables here: $(head -n 1 "$run/network.log")"
}
lay_cables() {
    local n
    ip netns add "$net" &&
        ip -n "$net" link set lo up &&
        ip -n "$net" link add bridge0 type bridge &&
        ip -n "$net" link set bridge0 up &&
        ip -n "$net" addr add 10.77.0.254/24 dev bridge0 || return 1
    for n in 1 2 3; do
        ip netns add "$net-$n" &&
            ip -n "$net-$n" link set lo up &&
            ip link add "port$n" netns "$net" type veth peer name host0 netns "$net-$n" &&
            ip -n "$net" link set "port$n" master bridge0 up &&
            ip -n "$net-$n" addr add "10.77.0.$n/24" dev host0 &&
            ip -n "$net-$n" link set host0 up || return 1
    done
}

# A layer for host N.
make_host() {
    layer "$run/$1"
    echo "host$1" >"$run/$1/m/etc/hostname"
    rm -f "$run/$1/m/etc/dpkg/dpkg.cfg.d/docker"
}

# power_on N...: boots hosts on the disks that they have, with their cables in. Returns when each has come up.
power_on() {
    local n
    for n; do
        container 900 "$net-$n" "$run/$n" \
            --network-namespace-path="/run/netns/$net-$n" --bind-ro="$packages:/srv" \
            --boot systemd.show_status=0 >>"$run/$n/out/console.log" 2>&1 &
        leader[n]=
        heal "$n"
    done
    for n; do
        wait_for 20 "find_leader $n" &&
            wait_for 30 "[[ \$(on $n systemctl is-system-running 2>&1) =~ running|degraded ]]" ||
            return 1
    done
}
# The process that holds host N's container, as long as it runs.
holder() { pgrep -f "^systemd-nspawn .*--machine=$net-$1 "; }
find_leader() {
    local pid
    pid=$(holder "$1") && pid=$(pgrep -P "$pid") && [[ $(cat "/proc/$pid/comm") == systemd ]] &&
        leader[$1]=$pid
} 2>/dev/null

# on N COMMAND...: runs it on host N.
on() {
    nsenter -t "${leader[$1]}" -m -u -i -n -p -C -r -w -- /usr/bin/env -i HOME=/root \
        PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "${@:2}"
}
# everywhere COMMAND...: runs it on all hosts at once, and says what it said where it failed.
everywhere() {
    local n status=0 jobs=()
    for n in 1 2 3; do
        on "$n" "$@" >"$run/$n/out/everywhere" 2>&1 &
        jobs[n]=$!
    done
    for n in 1 2 3; do
        wait "${jobs[n]}" && continue
        status=1
        sed "s/^/host $n: /" "$run/$n/out/everywhere"
    done
    return "$status"
}
outside() { ip netns exec "$net" "$@"; }

# Ends as its machine would when its power is cut, without a last word; the disk stays.
crash() {
    cut "$1"
    kill -9 "${leader[$1]}"
    is_off "$1"
}
# Waits until host N has gone down.
is_off() { wait_for 60 "! holder $1 >/dev/null"; }

# Takes a host's cable out, or puts it in again.
cut() { ip -n "$net" link set "port$1" down; }
heal() { ip -n "$net" link set "port$1" up; }
# lossy N CHAIN RULE...: host N loses what the rule says of what comes `input` or goes `output`.
lossy() {
    on "$1" nft add table inet lab
    on "$1" nft add chain inet lab "$2" "{ type filter hook $2 priority 0; }"
    on "$1" nft add rule inet lab "$2" "${@:3}"
}
lossless() { on "$1" nft delete table inet lab; }

# Takes away everything that was made here.
remove_hosts() {
    local n
    for n in 1 2 3; do
        if find_leader "$n"; then
            kill -9 "${leader[n]}"
            is_off "$n"
        fi
        unlayer "$run/$n"
        ip netns delete "$net-$n" 2>/dev/null || true
    done
    ip netns delete "$net" 2>/dev/null || true
    rm -rf "$run"
}
