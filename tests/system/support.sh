# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154
# What the cases are made of. Sourced by cases.sh, which sets config and unit.

# wait_for COMMAND...: polls a condition for ten seconds.
wait_for() {
    local end=$((SECONDS + 11))
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge $end ]; then
            echo "never came true: $*"
            return 1
        fi
        sleep 0.05
    done
}

# expect WANTED COMMAND...: runs it and compares the exit code.
expect() {
    local want=$1 got out
    shift
    out=$("$@" 2>&1)
    got=$?
    [ "$got" = "$want" ] && return
    echo "exit code $got instead of $want: $*"
    printf '%s\n' "$out"
    return 1
}

# has PATTERN COMMAND...: its output has a line like that.
has() {
    local pattern=$1 out
    shift
    out=$("$@" 2>&1)
    grep -qE -- "$pattern" <<<"$out" && return
    echo "no line like \"$pattern\" from: $*"
    printf '%s\n' "$out"
    return 1
}

lacks() {
    local pattern=$1 out
    shift
    out=$("$@" 2>&1)
    grep -qE -- "$pattern" <<<"$out" || return 0
    echo "a line like \"$pattern\" from: $*"
    printf '%s\n' "$out"
    return 1
}

property() {
    systemctl show --value -p "$1" $unit
}

# exposed_at_most TENTHS: as systemd-analyze judges the unit; it has --threshold from 250 on only.
exposed_at_most() {
    local says exposure
    says=$(systemd-analyze security --no-pager $unit 2>&1)
    exposure=$(sed -nE 's/.*Overall exposure level for .*: ([0-9]+)\.([0-9]).*/\1\2/p' <<<"$says")
    [ "${exposure:-100}" -le "$1" ] && return
    printf '%s\n' "$says"
    return 1
}

# The journal since mark(), as JSON.
mark() {
    cursor=$(journalctl -n 0 --show-cursor --no-pager | sed -n 's/^-- cursor: //p')
}
journal() {
    journalctl --no-pager -u $unit ${cursor:+--after-cursor="$cursor"} -o json
}

# entry FIELD=PATTERN...: an entry since mark() has all of these.
entry() {
    journal | python3 -c '
import json, re, sys
wanted = [w.split("=", 1) for w in sys.argv[1:]]
for line in sys.stdin:
    found = json.loads(line)
    if all(re.search(p, str(found.get(f, ""))) for f, p in wanted):
        sys.exit(0)
sys.exit(1)' "$@"
}

write_config() {
    printf 'version: 1\n' >$config
    cat >>$config
}

usual_config() {
    write_config <<'YAML'
routes:
  - to: 10.20.0.0/16
    via: 203.0.113.1
    dev: wan0
  - to: "2001:db8:20::/48"
    via: "2001:db8:1::1"
    dev: wan0
masquerade:
  - name: lan-out
    from: [10.0.0.0/24, "2001:db8:2::/64"]
    out: [wan0]
YAML
}

route4() { ip -4 route show 10.20.0.0/16 proto 110; }
route6() { ip -6 route show 2001:db8:20::/48 proto 110; }
nat4() { iptables-legacy -w -t nat -S; }
nat6() { ip6tables-legacy -w -t nat -S; }
forwarding() { cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding | tr -d '\n'; }

# All that the usual configuration wants is there.
holds() {
    has 'via 203.0.113.1 dev wan0' route4 && has 'via 2001:db8:1::1 dev wan0' route6 &&
        has '-s 10.0.0.0/24 -o wan0 -j MASQUERADE' nat4 &&
        has '-A POSTROUTING -j NETSHARED-' nat4 &&
        has '-s 2001:db8:2::/64 -o wan0 -j MASQUERADE' nat6 && has '^11$' forwarding
}

# None of it is.
clean() {
    lacks . route4 && lacks . route6 && lacks NETSHARED nat4 && lacks NETSHARED nat6 &&
        has '^00$' forwarding
}

# Routes and rules, and the counters of those that only the client's packets meet.
snapshot() {
    local save
    ip route show table all
    ip -6 route show table all
    for save in iptables-legacy-save ip6tables-legacy-save; do
        $save | sed 's/^\(:[^ ]* [^ ]*\).*/\1/' | grep -v '^#'
        $save -c | grep MASQUERADE
    done
}

# unchanged SNAPSHOT: nothing changed since.
unchanged() {
    local now
    now=$(snapshot)
    [ "$1" = "$now" ] && return
    echo "the kernel changed:"
    diff <(printf '%s\n' "$1") <(printf '%s\n' "$now")
    return 1
}

fresh() {
    systemctl stop $unit
    systemctl reset-failed $unit 2>/dev/null
    netshared remove >/dev/null 2>&1
    rm -rf /var/lib/netshared /etc/netshared.d
    rm -rf /etc/systemd/system/netshared.service.d /run/systemd/system/netshared.service.d
    systemctl daemon-reload
    sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
    mark
}

running() {
    fresh && usual_config && expect 0 systemctl start $unit && holds
}

# For cases that ask more than they change: what ran before goes on with the usual configuration.
still_running() {
    usual_config && mark && netshared reload && holds || running
}

drop_in() {
    mkdir -p /run/systemd/system/netshared.service.d
    printf '[Service]\n%s\n' "$1" >/run/systemd/system/netshared.service.d/test.conf
    systemctl daemon-reload
}
