#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# deb-cases.sh VERSION NEXT - in the container, as root: /debs/old.deb and /debs/new.deb. TAP without
# numbers; each case goes on from where the last one left off.
set -u
exec </dev/null
export DEBIAN_FRONTEND=noninteractive PYTHONDONTWRITEBYTECODE=1
old=$1 new=$2
config=/etc/netshared.yaml unit=netshared.service flow=/run/flow

until_true() {
    local end=$((SECONDS + 11))
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || { echo "never came true: $*" && return 1; }
        sleep 0.05
    done
}

is() {
    local want=$1 got
    shift
    got=$("$@" 2>&1)
    [ "$got" = "$want" ] && return
    echo "\"$got\" instead of \"$want\": $*"
    return 1
}

installed() { is "$1" dpkg-query -W -f '${Version}' netshared; }
state() { systemctl is-active $unit; }
answers() { cut -d' ' -f1 $flow; }
goes_on() {
    local n
    n=$(answers)
    until_true eval "[ \$(answers) -gt $((n + 3)) ]"
}
not_there() {
    local path
    for path; do
        [ ! -e "$path" ] || { echo "still there: $path" && return 1; }
    done
}

make_network() {
    ip netns add client && ip netns add server &&
        ip link add lan0 type veth peer name eth0 netns client &&
        ip link add wan0 type veth peer name eth0 netns server &&
        ip addr add 10.0.0.1/24 dev lan0 && ip addr add 203.0.113.2/24 dev wan0 &&
        ip link set lan0 up && ip link set wan0 up &&
        ip -n client addr add 10.0.0.2/24 dev eth0 && ip -n client link set eth0 up &&
        ip -n client route add default via 10.0.0.1 &&
        ip -n server addr add 203.0.113.1/24 dev eth0 && ip -n server link set eth0 up &&
        ip -n server addr add 198.51.100.7/32 dev eth0
}

installs_and_runs() {
    dpkg -i /debs/old.deb && installed "$old" && is active state &&
        is enabled systemctl is-enabled $unit &&
        is netshared stat -c %U "/proc/$(systemctl show --value -p MainPID $unit)" &&
        is "netshared $old" netshared --version &&
        journalctl --list-catalog | grep -q netshared
}

connection_through_it() {
    cat >$config <<'YAML'
version: 1
routes:
  - {to: 198.51.100.0/24, via: 203.0.113.1, dev: wan0}
masquerade:
  - {name: lan-out, from: [10.0.0.0/24], out: [wan0]}
YAML
    systemctl reload $unit || return
    ip netns exec server /package/flow.py serve 198.51.100.7 80 &
    until_true ip netns exec server grep -q ':0050 00000000:0000 0A' /proc/net/tcp || return
    ip netns exec client /package/flow.py ask 198.51.100.7 80 $flow &
    until_true test -s $flow && grep -q ' 203.0.113.2:' $flow && goes_on
}

upgrade_is_not_felt() {
    local before pid seen
    pid=$(systemctl show --value -p MainPID $unit) seen=$(cut -d' ' -f2 $flow)
    before=$(ip route show table all && iptables-legacy-save -c -t nat | grep MASQUERADE)
    ip -o monitor route >/run/events &
    local monitor=$!
    until_true sh -c "ip route replace blackhole 192.0.2.9; ip route del blackhole 192.0.2.9
        grep -q 192.0.2.9 /run/events"
    dpkg -i /debs/new.deb && installed "$new" && is active state || return
    ip route add blackhole 192.0.2.10
    until_true grep -q 192.0.2.10 /run/events
    kill $monitor
    ip route del blackhole 192.0.2.10
    [ "$pid" != "$(systemctl show --value -p MainPID $unit)" ] || { echo "not restarted" && return 1; }
    is "netshared $new" netshared --version && goes_on && is "$seen" cut -d' ' -f2 $flow &&
        is "$before" eval 'ip route show table all && iptables-legacy-save -c -t nat | grep MASQUERADE' &&
        ! grep 198.51.100 /run/events && grep -q lan-out $config
}

bad_file_stops_no_upgrade() {
    echo 'routes: 7' >>$config
    dpkg -i --force-downgrade /debs/old.deb && installed "$old" && is active state && goes_on &&
        sed -i '$d' $config && systemctl reload $unit && goes_on
}

removal_keeps_the_file() {
    dpkg -r netshared && is inactive state && test -s $config && not_there /usr/bin/netshared &&
        goes_on
}

no_start_with_a_bad_file() {
    echo 'routes: 7' >>$config
    dpkg -i /debs/new.deb >/run/said 2>&1 && installed "$new" && is inactive state &&
        grep -q 'netshared.yaml:[0-9]*:[0-9]*: error' /run/said && grep -q 'not started' /run/said &&
        sed -i '$d' $config && systemctl start $unit && goes_on
}

purge_removes_all() {
    dpkg -P netshared && not_there $config /var/lib/netshared /run/netshared /usr/share/netshared \
        /etc/iproute2/rt_protos.d/netshared.conf /etc/systemd/system/multi-user.target.wants/$unit
}

# A machine on which packages are built may forbid them to start anything.
rm -f /usr/sbin/policy-rc.d
rm -rf /var/lib/netshared /etc/netshared.d $config
log=$(mktemp)
for case in make_network installs_and_runs connection_through_it upgrade_is_not_felt \
    bad_file_stops_no_upgrade removal_keeps_the_file no_start_with_a_bad_file purge_removes_all; do
    if $case >"$log" 2>&1; then
        echo "ok - ${case//_/ }"
        continue
    fi
    echo "not ok - ${case//_/ }"
    { tail -n 30 "$log" && journalctl --no-pager -u $unit -o cat | tail -n 15; } | sed 's/^/#   /'
done
