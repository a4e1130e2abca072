#!/bin/bash
# Runs inside the container: clients connect all the time, while brokerd is restarted and killed.
# shellcheck source=checks.sh
. /usr/lib/lab-checks.sh

# Connects, asks for the versions of Kafka's protocol and reads the answer's first bytes, again and
# again until the file $1.end exists; then writes what became of it to $1. For every 50 answers there
# is a byte more in $1.answers.
cat >/tmp/connect.pl <<'PERL'
use strict;
use Socket;
my ($result, $port) = @ARGV;
my %count = (connects => 0, refused => 0, answered => 0, broken => 0);
open(my $answers, ">", "$result.answers") or die;
until (-e "$result.end") {
    socket(my $s, PF_INET, SOCK_STREAM, 0) or die;
    $count{connects}++;
    unless (connect($s, sockaddr_in($port, INADDR_LOOPBACK))) {
        $count{refused}++;
        next;
    }
    syswrite($s, pack("N n n N n", 10, 18, 0, 7, 0xffff));
    my $answer = "";
    my $got = sysread($s, $answer, 8);
    $count{$got && $got == 8 ? "answered" : "broken"}++;
    syswrite($answers, ".") if $count{answered} && $count{answered} % 50 == 0;
    close($s);
}
open(my $out, ">", $result) or die;
print $out "$_=$count{$_}\n" for sort keys %count;
close($out);
PERL
begin() {
    rm -f /tmp/result /tmp/result.end /tmp/result.answers
    perl /tmp/connect.pl /tmp/result 9092 &
    client=$!
}
end() {
    touch /tmp/result.end
    for _ in $(seq 100); do
        [ -s /tmp/result ] && break
        sleep 0.1
    done
    kill -9 "$client" 2>/dev/null
    connects=0 refused=none answered=0 broken=none
    # shellcheck disable=SC1091
    . /tmp/result
    echo "# $(xargs </tmp/result)"
}
# How far the clients have come.
answers() { stat -c %s /tmp/result.answers 2>/dev/null || echo 0; }
# Lets the clients connect until the broker has served some more of them.
serve() {
    served=$(answers)
    wait_for 10 '[ "$(answers)" -gt "$((served + 1))" ]'
}
inode() { ss -Hltne 'sport = :9092' 2>/dev/null | grep -o 'ino:[0-9]*' | sort -u | xargs; }
three_restarts_and_a_kill() {
    begin
    serve
    for n in 1 2 3; do
        t "restart $n" systemctl restart brokerd
        serve
    done
    local before
    before=$(p MainPID brokerd)
    kill -9 "$before"
    wait_for 10 '[ "$(p NRestarts brokerd)" = 1 ] && [ "$(p SubState brokerd)" = running ]'
    eq "after SIGKILL it is started again" "$(p NRestarts brokerd)" 1
    serve
    end
}

ip link set lo up
systemd-sysusers martlet.conf
systemd-tmpfiles --create martlet.conf
systemctl daemon-reload

section "$(systemctl --version | head -1): a socket that systemd keeps"
t "the units are verified" systemd-analyze verify --man=no brokerd.service \
    brokerd-clients.socket brokerd-peers.socket
t "controllerd and brokerd start" systemctl start controllerd brokerd
eq "the sockets' units do not run by themselves" \
    "$(systemctl is-enabled brokerd-{clients,peers}.socket | xargs)" "disabled disabled"
eq "systemd keeps one socket" "$(p NFileDescriptorStore brokerd)" 1
first=$(inode)
three_restarts_and_a_kill
eq "no connect was refused" "$refused" 0
[ "$answered" -gt 100 ]
ok "clients were answered: $answered of $connects" $?
eq "it is the same socket all the time" "$(inode)" "$first"
eq "and kept once" "$(p NFileDescriptorStore brokerd)" 1
systemctl stop brokerd
wait_for 5 '[ -z "$(inode)" ]'
eq "after a stop nobody listens" "$(inode)" ""

section "settings that change meanwhile"
systemctl start brokerd
sed -i 's/^  client: 127.0.0.1:9092/  client: 127.0.0.1:9093/' /etc/martlet/brokerd.yaml
t "a restart takes another port" systemctl restart brokerd
eq "it listens there" "$(ss -Hltn 'sport = :9093' | wc -l)" 1
wait_for 5 '[ -z "$(inode)" ]'
eq "and no more at the old one" "$(inode)" ""
# The kept socket would be in the way of the same port on every address.
sed -i '0,/^  client: 127.0.0.1:9093/s//  client: 0.0.0.0:9093/' /etc/martlet/brokerd.yaml
restarts=$(p NRestarts brokerd)
t "a restart takes the same port on every address" systemctl restart brokerd
eq "at the first try" "$(p NRestarts brokerd)" "$restarts"
sed -i 's/^  client: 0.0.0.0:9093/  client: 127.0.0.1:9093/' /etc/martlet/brokerd.yaml
t "and back" systemctl restart brokerd
eq "at the first try" "$(p NRestarts brokerd)" "$restarts"
sed -i 's/^  client: 127.0.0.1:9093/  client: 127.0.0.1:9092/' /etc/martlet/brokerd.yaml
systemctl stop brokerd
systemctl reset-failed

section "socket units"
t "the sockets' units start" systemctl start brokerd-clients.socket brokerd-peers.socket
first=$(inode)
t "brokerd starts" systemctl start brokerd
eq "it has taken the clients' socket" "$(inode)" "$first"
eq "which it did not give away again" "$(p NFileDescriptorStore brokerd)" 0
eq "no other socket listens for clients or peers" \
    "$(ss -Hltn '( sport = :9092 or sport = :9192 )' | wc -l)" 2
three_restarts_and_a_kill
eq "no connect was refused" "$refused" 0
[ "$answered" -gt 100 ]
ok "clients were answered: $answered of $connects" $?
eq "it is the same socket all the time" "$(inode)" "$first"
t "a message goes in" bash -c 'martlet topic create orders --partitions 1 --replication-factor 1 &&
    echo hello | timeout 20 kcat -P -b 127.0.0.1:9092 -t orders -p 0'
eq "and comes out" "$(timeout 20 kcat -C -b 127.0.0.1:9092 -t orders -o beginning -e -q)" hello
systemctl stop brokerd 2>/dev/null
perl /tmp/connect.pl /tmp/started 9092 &
wait_for 10 '[ "$(p ActiveState brokerd)" = active ]'
eq "a client's connect starts a stopped brokerd" "$(p ActiveState brokerd)" active
touch /tmp/started.end
systemctl stop brokerd brokerd-clients.socket brokerd-peers.socket controllerd
eq "no unit failed" "$(systemctl --failed --no-legend | wc -l)" 0

finish
