#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# cases.sh [CASE...] - runs inside the container as root: /tree is what `meson install` made. Each
# case is a function; it fails when one of its commands does, and says what it found. TAP.
set -u
exec </dev/null

config=/etc/netshared.yaml
unit=netshared.service
two_rights='CapabilityBoundingSet=
AmbientCapabilities=
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW
AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW'

here=$(cd "$(dirname "$0")" && pwd)
for part in support commands newcomer sandbox; do
    # shellcheck source=/dev/null
    . "$here/$part.sh"
done

#### the cases

install_tree() {
    # /lib may be a link to /usr/lib: what is in it goes there.
    tar -C /tree -c . | tar -C / -x --keep-directory-symlink --no-same-owner &&
        expect 0 systemd-sysusers && systemctl daemon-reload && expect 0 netshared --version &&
        expect 0 test -f /etc/iproute2/rt_protos.d/netshared.conf &&
        expect 0 netshared check &&
        expect 0 test -f "$(sed -n 's|^# yaml-language-server: $schema=file://||p' $config)"
}

# Its link-local address is there and in use: no route comes by itself any more.
settled() {
    has 'scope link' ip -6 addr show dev "$1" -tentative
}

make_network() {
    sysctl -qw net.ipv6.conf.default.accept_dad=0 && ip netns add client && ip netns add server &&
        ip link add lan0 type veth peer name eth0 netns client &&
        ip link add wan0 type veth peer name eth0 netns server &&
        ip addr add 10.0.0.1/24 dev lan0 && ip addr add 2001:db8:2::1/64 dev lan0 nodad &&
        ip addr add 203.0.113.2/24 dev wan0 && ip addr add 2001:db8:1::2/64 dev wan0 nodad &&
        ip link set lan0 up && ip link set wan0 up &&
        ip -n client addr add 10.0.0.2/24 dev eth0 && ip -n client link set eth0 up &&
        ip -n client route add default via 10.0.0.1 &&
        ip -n server addr add 203.0.113.1/24 dev eth0 &&
        ip -n server addr add 2001:db8:1::1/64 dev eth0 nodad && ip -n server link set eth0 up &&
        wait_for settled lan0 && wait_for settled wan0
}

unit_is_sound() {
    expect 0 systemd-analyze verify --man=no $unit &&
        exposed_at_most 22
}

starts_with_what_is_delivered() {
    cp /tree/etc/netshared.yaml $config && mark && expect 0 systemctl start $unit &&
        has '^active$' property ActiveState && clean && expect 0 systemctl stop $unit &&
        has '^success$' property Result
}

starts_and_holds() {
    running && has '^active$' property ActiveState && has '^notify$' property Type &&
        has '[0-9]' property StatusText &&
        has 'Status: ".*[0-9].*"' systemctl status --no-pager -n 0 $unit
}

packets_are_masqueraded() {
    running && expect 0 ip netns exec client ping -c 1 -W 2 203.0.113.1
}

journal_has_fields() {
    running &&
        wait_for entry 'MESSAGE_ID=^[0-9a-f]{32}$' 'PRIORITY=^[0-7]$' 'NETSHARED_ACTION=^started$' &&
        wait_for entry 'SYSLOG_IDENTIFIER=^netshared$' '_SYSTEMD_UNIT=^netshared.service$'
}

messages_are_in_the_catalog() {
    local id bad=0
    journalctl --update-catalog || return
    for id in $(journalctl --no-pager -u $unit -o json | python3 -c '
import json, sys
print(*sorted({e["MESSAGE_ID"] for e in map(json.loads, sys.stdin) if "NETSHARED_ACTION" in e}))'); do
        journalctl --list-catalog "$id" | grep -q . || { echo "not in the catalog: $id" && bad=1; }
    done
    [ -n "${id:-}" ] && [ $bad = 0 ]
}

reload_takes_a_good_file() {
    running || return
    cat >>$config <<'YAML'
  - name: second
    from: [10.0.5.0/24]
    out: [wan0]
YAML
    sed -i 's,10.20.0.0/16,[10.20.0.0/16\, 10.21.0.0/16],' $config
    mark
    expect 0 systemctl reload $unit && holds && has '^active$' property ActiveState &&
        has 'via 203.0.113.1 dev wan0' ip route show 10.21.0.0/16 proto 110 &&
        has '-s 10.0.5.0/24 -o wan0 -j MASQUERADE' nat4 && entry 'NETSHARED_ACTION=^reloaded$'
}

reload_refuses_a_bad_file() {
    running || return
    local before
    before=$(snapshot)
    write_config <<'YAML'
routes:
  - to: 10.0.0.1/24
    via: 203.0.113.1
mascarade: []
YAML
    mark
    expect 1 systemctl reload $unit && has '^active$' property ActiveState &&
        has '^running$' property SubState && wait_for entry 'MESSAGE=netshared.yaml:3:9' &&
        wait_for entry 'MESSAGE=netshared.yaml:5:1' && entry 'PRIORITY=^3$' && unchanged "$before"
}

reload_by_signal() {
    running || return
    sed -i 's,10.20.0.0/16,[10.20.0.0/16\, 10.22.0.0/16],' $config
    mark
    kill -s HUP "$(property MainPID)"
    wait_for entry 'NETSHARED_ACTION=^reloaded$' &&
        has 'via 203.0.113.1 dev wan0' ip route show 10.22.0.0/16 proto 110
}

repairs_a_route() {
    running || return
    mark
    ip route del 10.20.0.0/16 && ip -6 route del 2001:db8:20::/48 &&
        wait_for holds &&
        wait_for entry 'NETSHARED_ACTION=^restored$' 'NETSHARED_OBJECT=^route$' \
            'NETSHARED_NAME=10.20.0.0/16' 'NETSHARED_CAUSE=.' 'NETSHARED_CONFIG_LINE=^[0-9]+$' \
            'NETSHARED_CONFIG_FILE=^/etc/netshared.yaml$' 'MESSAGE_ID=^[0-9a-f]{32}$'
}

repairs_after_link_down() {
    running || return
    ip link set wan0 down && ip link set wan0 up &&
        wait_for has 'via 203.0.113.1 dev wan0' route4
    local code=$?
    ip addr replace 2001:db8:1::2/64 dev wan0 nodad
    [ $code = 0 ] && wait_for holds
}

repairs_the_nat_table() {
    running || return
    mark
    iptables-legacy -w -t nat -F && ip6tables-legacy -w -t nat -F && wait_for holds &&
        wait_for entry 'NETSHARED_ACTION=^restored$' 'NETSHARED_OBJECT=^masquerade$' \
            'NETSHARED_POLICY=^lan-out$'
}

# It can watch the lock file from within its sandbox, also one that is new.
sees_iptables_used() {
    running || return
    watched() {
        cat "/proc/$(property MainPID)/fdinfo/"* |
            grep -q "^inotify .* ino:$(printf %x "$(stat -c %i /run/xtables.lock)") "
    }
    watched && ln /run/xtables.lock /run/xtables.lock.old && rm /run/xtables.lock &&
        iptables-legacy -w -t nat -F && wait_for watched && wait_for holds
    local code=$?
    rm -f /run/xtables.lock.old
    return $code
}

repairs_forwarding() {
    running || return
    mark
    sysctl -qw net.ipv4.ip_forward=0 && wait_for holds &&
        sysctl -qw net.ipv6.conf.all.forwarding=0 && wait_for holds &&
        wait_for entry 'NETSHARED_ACTION=^restored$' 'NETSHARED_OBJECT=^forwarding$'
}

restart_has_no_gap() {
    running && ip netns exec client ping -q -c 3 -i 0.2 203.0.113.1 || return
    local before events
    before=$(snapshot)
    grep -qE '^\[[1-9][0-9]*:[0-9]+\].*MASQUERADE' <<<"$before" ||
        { echo "no counter to keep" && return 1; }
    events=$(mktemp)
    ip -o monitor route >"$events" &
    local monitor=$!
    # It listens when a change of our own is in its output.
    wait_for sh -c "ip route replace blackhole 192.0.2.9; ip route del blackhole 192.0.2.9
        grep -q 192.0.2.9 $events"
    expect 0 systemctl restart $unit
    local code=$?
    ip route add blackhole 192.0.2.10
    wait_for grep -q 192.0.2.10 "$events"
    kill $monitor
    wait $monitor 2>/dev/null
    ip route del blackhole 192.0.2.10
    [ $code = 0 ] && lacks '10\.20\.|2001:db8:20:' cat "$events" && unchanged "$before"
}

survives_kill() {
    running || return
    local before
    before=$(snapshot)
    drop_in RestartSec=0
    kill -s KILL "$(property MainPID)"
    wait_for has '^1$' property NRestarts && wait_for has '^active$' property ActiveState &&
        unchanged "$before"
}

watchdog_restarts_it() {
    fresh && usual_config && drop_in $'WatchdogSec=2s\nRestartSec=0' &&
        expect 0 systemctl start $unit && has '^0$' property NRestarts || return
    kill -s STOP "$(property MainPID)"
    wait_for has '^1$' property NRestarts && wait_for has '^active$' property ActiveState && holds
}

stop_keeps() {
    running && mark && expect 0 systemctl stop $unit && has '^success$' property Result && holds &&
        entry 'NETSHARED_ACTION=^stopped$'
}

stop_removes() {
    fresh && usual_config && printf 'settings:\n  on-stop: remove\n' >>$config &&
        expect 0 systemctl start $unit && holds && expect 0 systemctl stop $unit && clean
}

bad_start_runs_the_accepted() {
    running && expect 0 systemctl stop $unit && netshared remove >/dev/null && clean || return
    echo 'routes: 7' >>$config
    mark
    expect 0 systemctl start $unit && holds && has '^active$' property ActiveState &&
        wait_for entry 'PRIORITY=^3$' 'MESSAGE=netshared.yaml' &&
        has 'accepted|error' property StatusText
}

bad_start_with_nothing_accepted() {
    fresh && drop_in Restart=no && write_config <<<'routes: 7' || return
    mark
    expect 1 systemctl start $unit && has '^1$' property ExecMainStatus &&
        has '^exit-code$' property Result && clean && wait_for entry 'MESSAGE=netshared.yaml:2:9'
}

needs_no_lock_file() {
    fresh && usual_config && rm -f /run/xtables.lock && expect 0 systemctl start $unit && holds
}

a_second_one_is_refused() {
    running && expect 1 netshared run && has '^active$' property ActiveState && holds
}

# The sandbox lets probes out and their answers in.
checks_ask() {
    fresh && write_config <<'YAML' && expect 0 systemctl start $unit || return
routes:
  - to: 10.20.0.0/16
    via: 203.0.113.1
    dev: wan0
    check: {ping: 203.0.113.1, interval: 200ms}
  - to: "2001:db8:20::/48"
    via: "2001:db8:1::1"
    dev: wan0
    check: {tcp: "2001:db8:1::1", port: 9, interval: 200ms}
YAML
    wait_for entry 'NETSHARED_ACTION=^closed$' 'NETSHARED_DETAIL=^connection refused' &&
        wait_for lacks . route6 && has via route4 || return
    ip netns exec server python3 -c '
import socket, time
s = socket.create_server(("2001:db8:1::1", 9), family=socket.AF_INET6)
time.sleep(60)' &
    local server=$!
    wait_for has via route6 && ip -n server addr del 203.0.113.1/24 dev eth0 &&
        wait_for entry 'NETSHARED_ACTION=^closed$' 'NETSHARED_NAME=^ping ' && lacks . route4
    local code=$?
    kill $server
    ip -n server addr replace 203.0.113.1/24 dev eth0
    [ $code = 0 ] && wait_for has via route4
}

# Also from within the sandbox, and what it learns that way is the same as by a reload.
follows_its_file() {
    running && printf 'settings: {watch: true}\n' >>$config && expect 0 systemctl reload $unit || return
    mark
    sed -i 's,10.20.0.0/16,[10.20.0.0/16\, 10.23.0.0/16],' $config
    wait_for has 'via 203.0.113.1 dev wan0' ip route show 10.23.0.0/16 proto 110 &&
        entry 'NETSHARED_ACTION=^changed$' 'NETSHARED_OBJECT=^file$' "NETSHARED_NAME=^$config$"
}

# Root's commands use the same folders as the daemon, which is not root.
as_anyone() { setpriv --reuid 65534 --regid "$1" --clear-groups netshared "${@:2}"; }

runs_as_its_user() {
    running || return
    local pid group
    pid=$(property MainPID) group=$(getent group netshared | cut -d: -f3)
    has '^netshared netshared$' stat -c '%U %G' "/proc/$pid" "/var/lib/netshared" \
        "/var/lib/netshared/accepted" && has '^CapEff:.000000[02]000083000$' cat "/proc/$pid/status" &&
        has '^NoNewPrivs:.1$' cat "/proc/$pid/status" &&
        has '^netshared netshared 660$' sh -c 'stat -c "%U %G %a" /run/netshared/*.sock' &&
        has lan-out as_anyone "$group" status && expect 1 as_anyone "$group" reload &&
        expect 1 as_anyone 65534 status
}

# It may look into every process, and change none.
changes_no_process() {
    running && has ' /proc ro[, ]' cat "/proc/$(property MainPID)/mountinfo" &&
        has '(^| )ptrace( |$)' sh -c 'systemd-analyze syscall-filter @debug | tr "\n" " "' &&
        lacks '(^| )(ptrace|process_vm_writev|pidfd_getfd)( |$)' property SystemCallFilter
}

# Removes the route and waits, its socket open.
remove_route() {
    python3 -c '
import socket, struct, sys
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
s.bind((0, 0))
body = struct.pack("=BBBBBBBBI", socket.AF_INET, 16, 0, 0, 254, 0, 255, 0, 0)
body += struct.pack("=HH4s", 8, 1, socket.inet_aton("10.20.0.0"))
s.send(struct.pack("=IHHII", 16 + len(body), 25, 5, 1, 0) + body)
sys.stdin.read()' < <(sleep 60) &
}

names_who_did_it() {
    running || return
    mark
    remove_route
    local who=$!
    wait_for entry 'NETSHARED_ACTION=^restored$' "MESSAGE=was removed by python3\[$who\]"
    local code=$?
    kill $who
    return $code
}

# With the two rights that it needs, it works all the same and names nobody.
works_with_two_rights() {
    fresh && usual_config && drop_in "$two_rights" &&
        expect 0 systemctl start $unit && holds &&
        exposed_at_most 18 || return
    mark
    remove_route
    local who=$!
    wait_for entry 'NETSHARED_ACTION=^restored$' "MESSAGE=was removed by an unknown process .netlink port $who.; restored"
    local code=$?
    kill $who
    iptables-legacy -w -t nat -F && wait_for holds &&
        sysctl -qw net.ipv6.conf.all.forwarding=0 && wait_for holds && return $code
}

# Those of its group only ask: the lock of iptables is not for them.
lock_is_its_alone() {
    running && expect 0 setpriv --reuid netshared --regid netshared --clear-groups \
        flock -n /run/xtables.lock true &&
        expect 66 setpriv --reuid 65534 --regid netshared --clear-groups \
            flock -n /run/xtables.lock true
}

# Else it could not look at the tables that there are without making those that nobody uses.
lists_the_tables() {
    running && has '^nat$' setpriv --reuid netshared --regid netshared --clear-groups \
        cat /proc/net/ip_tables_names
}

takes_over_from_root() {
    running && expect 0 systemctl stop $unit || return
    chown -R root:root /var/lib/netshared /run/netshared
    local before
    before=$(snapshot)
    mark
    expect 0 systemctl start $unit && holds && unchanged "$before" &&
        has '^netshared netshared$' stat -c '%U %G' /var/lib/netshared/accepted /run/netshared/*.lock
}

says_who_may_not_read() {
    running || return
    chmod 600 $config
    mark
    expect 1 systemctl reload $unit && wait_for entry 'MESSAGE=chgrp .* && chmod g.r' && holds
    local code=$?
    chgrp netshared $config && chmod 640 $config && [ $code = 0 ] && expect 0 systemctl reload $unit
    code=$?
    chown root:root $config && chmod 644 $config
    return $code
}

is_enabled() {
    expect 0 systemctl enable $unit && expect 0 systemctl is-enabled $unit
}

cases=(install_tree make_network unit_is_sound starts_with_what_is_delivered "${newcomer_cases[@]}"
    starts_and_holds packets_are_masqueraded journal_has_fields reload_takes_a_good_file
    reload_refuses_a_bad_file reload_by_signal follows_its_file repairs_a_route repairs_after_link_down
    repairs_the_nat_table sees_iptables_used repairs_forwarding restart_has_no_gap survives_kill
    watchdog_restarts_it stop_keeps stop_removes bad_start_runs_the_accepted
    bad_start_with_nothing_accepted needs_no_lock_file a_second_one_is_refused
    checks_ask runs_as_its_user changes_no_process names_who_did_it works_with_two_rights
    lock_is_its_alone lists_the_tables takes_over_from_root says_who_may_not_read
    "${sandbox_cases[@]}" "${command_cases[@]}" messages_are_in_the_catalog is_enabled)
[ $# = 0 ] || cases=(install_tree make_network "$@")

rm -rf /var/lib/netshared /etc/netshared.d $config
echo "1..${#cases[@]}"
n=0 failed=0 cursor='' log=$(mktemp)
for case in "${cases[@]}"; do
    n=$((n + 1))
    # Not in a subshell: mark() is to last.
    if $case >"$log" 2>&1; then
        echo "ok $n - ${case//_/ }"
        continue
    fi
    failed=1
    echo "not ok $n - ${case//_/ }"
    {
        tail -n 40 "$log"
        echo "journal:"
        journalctl --no-pager -u $unit ${cursor:+--after-cursor="$cursor"} -o cat | tail -n 25
    } | sed 's/^/#   /'
done
exit $failed
