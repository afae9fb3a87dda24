# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154
# What the cases of both kinds of packages share: a router with a client and a server, a connection
# through it, an upgrade under that. Sourced in the container, with old and new the versions, and a
# function `installed VERSION`.
exec </dev/null
export PYTHONDONTWRITEBYTECODE=1
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

# upgrade COMMAND...: not felt by what runs.
upgrade() {
    local before pid seen
    pid=$(systemctl show --value -p MainPID $unit) seen=$(cut -d' ' -f2 $flow)
    before=$(ip route show table all && iptables-legacy-save -c -t nat | grep MASQUERADE)
    ip -o monitor route >/run/events &
    local monitor=$!
    until_true sh -c "ip route replace blackhole 192.0.2.9; ip route del blackhole 192.0.2.9
        grep -q 192.0.2.9 /run/events"
    "$@" && installed "$new" && is active state || return
    ip route add blackhole 192.0.2.10
    until_true grep -q 192.0.2.10 /run/events
    kill $monitor
    ip route del blackhole 192.0.2.10
    [ "$pid" != "$(systemctl show --value -p MainPID $unit)" ] || { echo "not restarted" && return 1; }
    is "netshared $new" netshared --version && goes_on && is "$seen" cut -d' ' -f2 $flow &&
        is "$before" eval 'ip route show table all && iptables-legacy-save -c -t nat | grep MASQUERADE' &&
        ! grep 198.51.100 /run/events && grep -q lan-out $config
}

# run_cases FUNCTION...: TAP without numbers.
run_cases() {
    local case log
    log=$(mktemp)
    for case; do
        if $case >"$log" 2>&1; then
            echo "ok - ${case//_/ }"
            continue
        fi
        echo "not ok - ${case//_/ }"
        { tail -n 30 "$log" && journalctl --no-pager -u $unit -o cat | tail -n 15; } | sed 's/^/#   /'
    done
}
