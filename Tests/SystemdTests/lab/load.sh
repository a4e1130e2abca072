# Clients that write and read outside of the hosts while harm is done to these, and the judgement of
# what they were told. They are those of ClusterTests and kcat. Sourced by hosts.sh, after network.sh.
# shellcheck shell=bash disable=SC2154
scripts=$here/../../ClusterTests/scripts
bootstrap=10.77.0.1:9092,10.77.0.2:9092,10.77.0.3:9092
python=$here/../../../.build/clients/bin/python3
writer=0 loader='' reader='' feeder=''

find_clients() {
    [[ -x $python ]] || python=python3
    "$python" -c 'import confluent_kafka' 2>/dev/null && command -v kcat >/dev/null ||
        skip "no kcat or no confluent-kafka for Python (.ci/install installs them)"
}
# Milliseconds of the clock that the writers use.
now() { "$python" -c 'import time; print(time.monotonic_ns() // 1_000_000)'; }

# Begins to write some 100 messages a second to each partition of `orders`, until `settle`.
load() {
    writer=$((writer + 1))
    log=$run/writer$writer.log
    : >"$log"
    (exec ip netns exec "$net" "$python" "$scripts/keep_writing.py" "$bootstrap" orders 3 \
        "writer$writer" "$log" 100 2>>"$run/clients.log") &
    loader=$!
    [[ ${1:-} == unawaited ]] || served
}
# Waits until each partition has acknowledged something that is sent from now on.
served() {
    local since
    since=$(now)
    wait_for 60 "answered_since $since 1"
}
# Waits until each has acknowledged as many further messages.
more() {
    local since
    since=$(now)
    wait_for 60 "answered_since $since $1"
}
answered_since() {
    awk -v since="$1" -v want="$2" '$1 == "A" && $2 >= since && ++n[$4] == want { done++ }
        END { exit done < 3 }' "$log"
}
# The longest time that any partition let pass without an acknowledgement, since a moment; ms.
gap_since() {
    awk -v since="$1" '$1 == "A" && $3 >= since - 200 {
            if ($4 in last && $3 - last[$4] > longest) longest = $3 - last[$4]
            last[$4] = $3
        } END { print longest + 0 }' "$log"
}
# Ends the load: all that was acknowledged stands where it was said, once and in order, and no
# message was given up.
settle() {
    served
    ok "clients go on writing" $?
    kill "$loader"
    wait "$loader"
    ok "nothing is left without an answer" $?
    loader=
    t "what was acknowledged is there" reads_back
    sed 's/^/# /' "$said"
}
reads_back() {
    outside "$python" "$scripts/read_back.py" "$bootstrap" orders 3 "$run/read" &&
        "$python" "$scripts/check_history.py" "$run/read" "$run"/writer*.log
}

# Reads `orders` as a member of a group, until `end_reading`.
read_along() {
    (exec ip netns exec "$net" "$python" "$scripts/keep_consuming.py" "$bootstrap" orders readers \
        "$run/reader.log" >"$run/reader.out" 2>&1) &
    reader=$!
    wait_for 30 "grep -q '^C' '$run/reader.log' 2>/dev/null"
}
end_reading() {
    kill "$reader"
    wait "$reader"
    local status=$?
    reader=
    ok "a group of readers: $(tail -n 1 "$run/reader.out")" "$status"
    eq "of its commits, refused" "$(grep -c '^#' "$run/reader.log")" 0
}

# Feeds kcat with 100 lines a second for `lines`, until `end_feeding`.
feed() {
    touch "$run/feeding"
    : >"$run/fed"
    {
        line=0
        while [[ -e $run/feeding ]]; do
            echo "line $((line += 1))"
            sleep 0.01
        done | tee "$run/fed" |
            outside kcat -P -b "$bootstrap" -t lines -X acks=all -X socket.timeout.ms=3000 \
                2>"$run/kcat.log"
        echo "${PIPESTATUS[*]}" >"$run/kcat.status"
    } &
    feeder=$!
    wait_for 10 "[[ -s '$run/fed' ]]"
}
end_feeding() {
    rm -f "$run/feeding"
    wait "$feeder"
    feeder=
    eq "kcat ends with" "$(cat "$run/kcat.status")" "0 0 0"
    eq "messages that it could not deliver" "$(grep -c 'Delivery failed' "$run/kcat.log")" 0
    eq "of $(wc -l <"$run/fed") lines, missing" "$(missing_lines)" 0
}
missing_lines() {
    outside timeout 30 kcat -C -b "$bootstrap" -t lines -o beginning -e -q 2>"$run/kcat.read" |
        sort -u | comm -13 - <(sort -u "$run/fed") | wc -l
}

# Ends those that still run, when the run itself ends.
end_loads() {
    rm -f "$run/feeding"
    local process
    for process in $loader $reader $feeder; do kill "$process" 2>/dev/null; done
    for process in $loader $reader $feeder; do wait "$process" 2>/dev/null; done
}
