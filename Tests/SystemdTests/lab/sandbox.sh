#!/bin/bash
# Runs inside the container: what a daemon that was taken over could do, tried from inside of each
# unit's sandbox; who reaches it through the documented IP filter; credentials.
# shellcheck source=checks.sh
. /usr/lib/lab-checks.sh

# One line for each thing that a service must not be able to do: what it is, and what came of it.
cat >/usr/bin/lab-probe <<'PERL'
#!/usr/bin/perl
use strict;
use Socket;
use POSIX ();
my ($out) = @ARGV;
# Outside of a service much of this would succeed.
die "not as root, and only in a service" if $> == 0 || !$ENV{INVOCATION_ID};
open(my $log, ">", "$out/probe") or die "$out: $!";
sub tells { print $log "$_[0]: $_[1]\n" }
sub tries { my ($what, $done) = @_; $! = 0; tells($what, $done->() ? "DONE" : $! . "") }
sub status { my ($key) = @_; open(my $f, "<", "/proc/self/status"); (grep { /^$key:/ } <$f>)[0] =~ s/^\S+\s+|\n//gr }
sub others { my ($path) = @_; opendir(my $d, $path) or return 0; return scalar grep { !/^\./ } readdir($d) }
sub opens { my ($path) = @_; open(my $f, ">", $path) or return 0; return 1 }
sub sets_id { my ($path) = @_; opens($path); my $done = chmod(04755, $path); my $why = $!; unlink($path); $! = $why; return $done }
sub makes { my ($family) = @_; return socket(my $r, $family, SOCK_RAW, 0) || socket(my $d, $family, SOCK_DGRAM, 0) }
sub writes { my ($path) = @_; tries("write $path", sub { opens($path) && unlink($path) }) }
writes("$_/probe") for qw(/usr /etc /etc/martlet /var/lib /var/log /home /root /boot /run /dev);
tries("write the state directory", sub { opens("$out/x") && unlink("$out/x") });
tries("read /home", sub { others("/home") });
tries("read /root", sub { others("/root") });
opendir(my $tmp, "/tmp");
tells("files of others in /tmp", join(" ", grep { !/^\./ } readdir($tmp)) || "none");
opendir(my $dev, "/dev");
tells("devices", join(" ", sort grep { -b "/dev/$_" || (-c "/dev/$_" && !/^(null|zero|full|random|urandom|tty|console|ptmx|std(in|out|err))$/) } readdir($dev)) || "none");
opendir(my $proc, "/proc");
tells("other users' processes", join(" ", grep { /^\d+$/ && (stat("/proc/$_"))[4] != $> } readdir($proc)) || "none");
tells("/proc/sys", -e "/proc/sys/kernel" ? "there" : "hidden");
tries("change /sys", sub { opens("/sys/kernel/mm/ksm/run") });
tries("change a control group", sub { mkdir("/sys/fs/cgroup/probe") });
tries("make a file that runs as its owner", sub { sets_id("$out/s") });
for (["netlink", 16], ["packet", 17], ["bluetooth", 31], ["vsock", 40], ["alg", 38]) {
    my ($name, $family) = @$_;
    tries("socket $name", sub { makes($family) });
}
if (`uname -m` =~ /x86_64/) {
    my $set = "\0" x 128;
    my @calls = (
        ["memory that is written and executed", 9, 0, 4096, 7, 0x22, -1, 0],
        ["a user namespace", 272, 0x10000000], ["a mount namespace", 272, 0x20000],
        ["mount", 165, "none", "/tmp", "tmpfs", 0, 0], ["ptrace", 101, 16, 1, 0, 0],
        ["load a module", 175, 0, 0, ""], ["the kernel's log", 103, 3, $set, 100],
        ["reboot", 169, 0, 0, 0], ["swap", 167, "/x", 0], ["set the clock", 227, 0, $set],
        ["set the host's name", 170, "probe", 5], ["real time", 144, 0, 1, pack("i", 1)],
        ["another personality", 135, 0x0008], ["bpf", 321, 0, $set, 128],
        ["perf", 298, $set, 0, -1, -1, 0], ["keys", 250, 0, -3, 1], ["chroot", 161, "/tmp"],
        ["a device", 133, "$out/d", 0060644, 0x800], ["another user", 105, 0],
        ["open by handle", 304, -100, $set, 0],
    );
    for my $call (@calls) {
        my ($what, $number, @args) = @$call;
        tries($what, sub { my $r = syscall($number, @args); $r != -1 });
    }
}
# It is answered with success, and nothing is done.
tries("higher priority", sub { setpriority(0, 0, -5); return getpriority(0, 0) < 0 });
tells("no new privileges", status("NoNewPrivs"));
tells("seccomp", status("Seccomp"));
tells("capabilities", status("CapBnd") . status("CapEff") . status("CapAmb"));
tells("user", scalar getpwuid($>));
tells("mask", sprintf("%04o", umask));
my $folder = $ENV{CREDENTIALS_DIRECTORY};
if ($folder) {
    opendir(my $d, $folder) or die;
    for my $name (sort grep { !/^\./ } readdir($d)) {
        open(my $f, "<", "$folder/$name") or die "$name: $!";
        my $text = <$f>;
        chomp($text);
        tells("credential $name", sprintf("%04o %s", (stat($f))[2] & 07777, $text));
        tries("change $name", sub { opens("$folder/$name") });
    }
}
PERL
chmod 755 /usr/bin/lab-probe
# fetch FROM TO PORT: what a client with that address gets.
cat >/tmp/fetch.pl <<'PERL'
use strict;
use IO::Socket::INET;
my ($from, $to, $port) = @ARGV;
my $s = IO::Socket::INET->new(LocalAddr => $from, PeerAddr => $to, PeerPort => $port, Timeout => 3)
    or do { print "nothing\n"; exit };
print $s pack("N n n N n", 10, 18, 0, 7, 0xffff);
my $in = "";
vec($in, fileno($s), 1) = 1;
my $ready = select($in, undef, undef, 3);
my $got = $ready ? sysread($s, my $answer, 8) : 0;
print $got == 8 ? "an answer\n" : "nothing\n";
PERL
fetch() { perl /tmp/fetch.pl "$@"; }
# Whether this container lets systemd filter at all, tried with a service that has nothing of ours.
bpf_works() {
    systemd-run -q --wait -p IPAddressDeny=any -p User=martlet perl -MIO::Socket::INET -e \
        'exit(IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => 9092, Timeout => 2) ? 1 : 0)'
}
score() {
    systemd-analyze security --no-pager "$1" |
        sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p'
}
at_most() {
    awk -v s="$2" -v m="$3" 'BEGIN { exit !(s != "" && s <= m) }'
    ok "$1: $2, at most $3" $?
}

installed
touch /home/somebody /root/secret /tmp/of-another
sed -e 's/:9092/:9093/; s/:9192/:9193/; s/:9644/:9646/; s/^broker_id:.*/broker_id: 2/' \
    /etc/martlet/brokerd.yaml >/etc/martlet/brokerd-2.yaml
declare -A folder=([brokerd]=broker [brokerd@2]=broker-2 [controllerd]=controller)
# A data directory must be empty at the first start, so the probe is let in at the second.
systemctl start controllerd brokerd brokerd@2
for unit in brokerd brokerd@2 controllerd; do
    section "$(systemctl --version | head -1): the sandbox of $unit"
    at_most "exposed by" "$(score $unit.service)" 1.1
    drop_in $unit lab "ExecStartPre=/usr/bin/lab-probe /var/lib/martlet/${folder[$unit]}"
    t "it starts" systemctl restart $unit
    probe=/var/lib/martlet/${folder[$unit]}/probe
    while read -r want; do
        has "inside" "$(cat "$probe")" "$want"
    done <<'WANTED'
write the state directory: DONE
no new privileges: 1
seccomp: 2
capabilities: 000000000000000000000000000000000000000000000000
user: martlet
mask: 0077
files of others in /tmp: none
devices: none
other users' processes: none
/proc/sys: hidden
WANTED
    eq "of $(wc -l <"$probe") things tried, done beyond the state directory" \
        "$(grep -v 'state directory' "$probe" | grep DONE)" ""
    eq "and each was refused by the sandbox, not for another reason" "$(grep -v DONE "$probe" |
        grep -vE '^(no new|seccomp|cap|higher|user|mask|files|devices|other users|/proc/sys)' |
        grep -vE ': (Read-only file system|Permission denied|Operation not permitted|No such file or directory|Address family not supported by protocol)$')" ""
    rm "$probe"
    no_drop_in $unit lab
done
systemctl stop brokerd@2

section "the documented IP filter"
# The examples' networks stand for the cluster's and the clients'; the third one is a stranger's.
for address in 192.0.2.1 198.51.100.1 203.0.113.1; do ip addr add $address/32 dev lo; done
sed -i '0,/^  client: 127.0.0.1:9092/s//  client: 0.0.0.0:9092/' /etc/martlet/brokerd.yaml
systemctl stop brokerd
t "brokerd starts without it" systemctl start brokerd
eq "a stranger gets" "$(fetch 203.0.113.1 192.0.2.1 9092)" "an answer"
for unit in brokerd controllerd brokerd@; do
    mkdir -p /etc/systemd/system/$unit.service.d
    cp /usr/share/doc/martlet/optional/$unit.service.d/20-ip-filter.conf \
        /etc/systemd/system/$unit.service.d/
done
systemctl daemon-reload
for unit in brokerd controllerd brokerd@2; do
    at_most "$unit with it is exposed by" "$(score $unit.service)" 1.0
done
systemctl stop brokerd
t "brokerd starts behind it" systemctl start brokerd
if ! bpf_works; then
    echo "skip - the filter bites (no BPF for control groups in this container)"
else
    eq "a client of the list gets" "$(fetch 198.51.100.1 192.0.2.1 9092)" "an answer"
    eq "a machine of the cluster gets" "$(fetch 192.0.2.1 192.0.2.1 9092)" "an answer"
    eq "this machine itself gets" "$(fetch 127.0.0.1 127.0.0.1 9092)" "an answer"
    eq "anybody else gets" "$(fetch 203.0.113.1 192.0.2.1 9092)" nothing
    eq "by any address" "$(fetch 203.0.113.1 127.0.0.1 9092)" nothing
    t "it is restarted" systemctl restart brokerd
    eq "then a client gets" "$(fetch 198.51.100.1 192.0.2.1 9092)" "an answer"
    eq "and anybody else" "$(fetch 203.0.113.1 192.0.2.1 9092)" nothing
    t "the cluster works" martlet topic create filtered --partitions 1 --replication-factor 1
fi
rm -r /etc/systemd/system/{brokerd,controllerd,brokerd@}.service.d
systemctl daemon-reload
systemctl stop brokerd
t "brokerd starts without it again" systemctl start brokerd
eq "a stranger gets" "$(fetch 203.0.113.1 192.0.2.1 9092)" "an answer"
systemctl stop brokerd controllerd

section "credentials"
mkdir -m 700 /etc/martlet/tls
for unit in brokerd controllerd brokerd@2; do
    name=${unit/@/-}
    echo "certificate of $unit" >"/etc/martlet/tls/$name.crt"
    echo "key of $unit" >"/etc/martlet/tls/$name.key"
done
echo "authority" >/etc/martlet/tls/ca.pem
chmod 600 /etc/martlet/tls/*
for unit in brokerd controllerd brokerd@2; do
    section "credentials of $unit"
    shipped=/usr/lib/systemd/system/${unit/@2/@}.service.d/credentials.conf
    own=/etc/systemd/system/$unit.service.d
    mkdir -p "$own"
    sed 's/^#\(\[Unit\]\|Assert\|Load\)/\1/' "$shipped" >"$own/credentials.conf"
    drop_in $unit lab "ExecStartPre=/usr/bin/lab-probe /var/lib/martlet/${folder[$unit]}"
    # As a package does it; systemd forgets what it knows of a unit that nothing wants.
    systemctl enable $unit 2>/dev/null
    t "it starts" systemctl start $unit
    probe=$(cat "/var/lib/martlet/${folder[$unit]}/probe")
    # With an access control list for the user, which shows as the group's right to read (257).
    probe=${probe//: 0440/: 0400}
    for want in "ca.pem: 0400 authority" "tls.crt: 0400 certificate of $unit" \
        "tls.key: 0400 key of $unit"; do
        has "the daemon can read it" "$probe" "credential $want"
    done
    eq "and nobody can change it" "$(grep -cE '^change (ca.pem|tls.crt|tls.key): (Read-only|Perm)' <<<"$probe")" 3
    refuses "another user cannot read it" setpriv --reuid=nobody --clear-groups \
        cat "/run/credentials/$unit.service/tls.key"
    refuses "nor the file it comes from, not even as martlet" setpriv --reuid=martlet \
        --clear-groups cat "/etc/martlet/tls/${unit/@/-}.key"
    systemctl stop $unit
    mv "/etc/martlet/tls/${unit/@/-}.key" /tmp/
    refuses "without the file it does not start" systemctl start $unit
    has "and systemctl status names it" "$(systemctl status --no-pager $unit 2>&1)" \
        "AssertPathExists=/etc/martlet/tls/${unit/@/-}.key was not met"
    systemctl stop $unit
    systemctl reset-failed $unit
    rm -r "$own"
    no_drop_in $unit lab
done
section "no secret in the settings"
for key in tls_key password tls_key_password sasl_password; do
    cp /etc/martlet/brokerd.yaml /tmp/secret.yaml
    echo "$key: secret" >>/tmp/secret.yaml
    refuses "$key is no setting" brokerd --config /tmp/secret.yaml --check-config
done
eq "failed units" "$(systemctl --failed --no-legend --plain '*brokerd*' '*controllerd*' | cut -d' ' -f1 | xargs)" ""
finish
