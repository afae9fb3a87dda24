#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# demo.sh - netshared at work: a client, a router and "the Internet" in throw-away network
# namespaces. The router's netshared.yaml gives it its default route and masquerades its LAN; then
# things are broken by hand and the log shows how each is put back. Nothing is left behind but the build.
set -u -o pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
# shellcheck source=tests/support/setup.sh
. tests/support/setup.sh

if [ "${1:-}" != --inside ]; then
    need_root
    install_packages "${BUILD_PACKAGES[@]}" iproute2 iptables iputils-ping procps util-linux
    say "Building into build-demo ..."
    build build-demo -Dbuildtype=release -Dtests=disabled || die "the build failed"
    isolated "$top/tests/demo.sh" --inside
    exit
fi

# /run is a tmpfs of our own here, and goes with us.
here=/run/demo
config=$here/netshared.yaml log=$here/log
broken=0 mended=0 shown=0
mkdir -p "$here/bin"
: >"$log"
# `netshared` as it would be when installed: its file and directories are the demo's.
cat >"$here/bin/netshared" <<WRAPPER
#!/bin/sh
exec "$top/build-demo/daemon/netshared" "\$@" --config "$config" \\
    --runtime-directory "$here/run" --state-directory "$here/state"
WRAPPER
chmod 755 "$here/bin/netshared"
PATH=$here/bin:$PATH

bold='' dim='' plain=''
if [ -t 1 ]; then
    bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
fi

heading() {
    printf '\n%s== %s%s\n' "$bold" "$*" "$plain"
}

on() {
    local host=$1
    shift
    ip netns exec "$host" "$@"
}

# Shows a command as typed on a host, runs it, shows what it says.
typed() {
    local host=$1
    shift
    local shown_as=$*
    printf '  %s%s #%s %s\n' "$dim" "$host" "$plain" "${shown_as#sh -c }"
    on "$host" "$@" 2>&1 | sed 's/^/      /'
}

# What the server answers to a TCP connection from the client: the address that it sees.
ask_server() {
    on client timeout 3 bash -c 'exec 3<>/dev/tcp/198.51.100.7/80 && cat <&3' 2>/dev/null
}
asked() {
    local answer
    answer=$(ask_server)
    printf '  %sclient #%s connect to 198.51.100.7 port 80\n      %s\n' "$dim" "$plain" \
        "${answer:-no answer}"
    [[ $answer == *"$1"* ]]
}
ping_server() {
    on client ping -n -q -c 1 -W 1 198.51.100.7 >/dev/null 2>&1
}
reaches() {
    if ping_server; then
        printf '  %sclient #%s ping 198.51.100.7\n      answered\n' "$dim" "$plain"
    else
        printf '  %sclient #%s ping 198.51.100.7\n      no answer\n' "$dim" "$plain"
        return 1
    fi
}

log_says() {
    tail -n "+$((shown + 1))" "$log" | grep -q -- "$1"
}
# show_log WORD: waits until the daemon says it, and shows its new lines.
show_log() {
    local code=0
    until_true 5 log_says "$1" || code=1
    tail -n "+$((shown + 1))" "$log" | sed "s/^/  ${bold}log:${plain} /"
    shown=$(wc -l <"$log")
    return $code
}

default_route() { ip -n router route show default proto 110 | grep -q 'via 203.0.113.1 dev eth1'; }
nat_rule() {
    on router iptables-legacy -w -t nat -S | grep -q -- '-s 10.0.0.0/24 -o eth1 -j MASQUERADE' &&
        on router iptables-legacy -w -t nat -S POSTROUTING | grep -q -- '-j NETSHARED-'
}
forwarding() { [ "$(on router cat /proc/sys/net/ipv4/ip_forward)" = 1 ]; }

# breaks CONDITION WORD -- COMMAND...: does harm on the router; netshared has to make CONDITION
# true again, by itself, and to say so with WORD.
breaks() {
    local condition=$1 word=$2
    shift 3
    broken=$((broken + 1))
    printf '\n'
    typed router "$@"
    if until_true 5 "$condition" && until_true 5 ping_server && show_log "$word"; then
        reaches && mended=$((mended + 1))
    else
        show_log .
        printf '  NOT MENDED: %s\n' "$condition"
    fi
}

heading "Three machines: client -- router -- the Internet"
say
cat <<'TEXT'
  client            router                        server, "the Internet"
  10.0.0.2  ------  eth0 10.0.0.1
                    eth1 203.0.113.2  ----------  203.0.113.1, 198.51.100.7
TEXT

for host in client router server; do
    ip netns add $host && ip -n $host link set lo up || die "cannot make a network namespace"
done
ip link add eth0 netns client type veth peer name eth0 netns router
ip link add eth1 netns router type veth peer name eth0 netns server
ip -n client addr add 10.0.0.2/24 dev eth0
ip -n router addr add 10.0.0.1/24 dev eth0
ip -n router addr add 203.0.113.2/24 dev eth1
ip -n server addr add 203.0.113.1/24 dev eth0
ip -n server addr add 198.51.100.7/32 dev lo
for end in client:eth0 router:eth0 router:eth1 server:eth0; do
    ip -n "${end%:*}" link set "${end#*:}" up
done
ip -n client route add default via 10.0.0.1 dev eth0
# The server has no route back to 10.0.0.0/24, as nobody on the Internet has.

on server python3 -c '
import socket
server = socket.create_server(("198.51.100.7", 80))
while True:
    connection, (address, port) = server.accept()
    connection.sendall(f"the server sees {address}".encode())
    connection.close()' &
until_true 5 bash -c 'ip netns exec server ss -Hltn "sport = :80" | grep -q .' ||
    die "the server does not listen"

say
say "  Without netshared:"
if reaches; then die "the client reaches the server before there is a route"; fi

heading "The router's netshared.yaml"
say
cat >"$config" <<'YAML'
version: 1
routes:
  - to: default
    via: 203.0.113.1
    dev: eth1
masquerade:
  - name: lan-out
    from: [10.0.0.0/24]
    out: [eth1]
YAML
sed 's/^/  /' "$config"

heading "netshared starts"
say
ip netns exec router netshared run >>"$log" 2>&1 &
daemon=$!
answers() { on router netshared status >/dev/null 2>&1; }
if ! until_true 10 answers; then
    cat "$log" >&2
    die "netshared did not start"
fi
good=true
show_log started || good=false
say
reaches || good=false
asked 203.0.113.2 || good=false

heading "Break it"
breaks default_route restored -- ip route del default
breaks nat_rule restored -- iptables-legacy -t nat -F
breaks forwarding restored -- sysctl -w net.ipv4.ip_forward=0
breaks default_route restored -- ip route replace default via 10.0.0.2
link_flap='ip link set eth1 down; ip link set eth1 up'
breaks default_route restored -- sh -c "$link_flap"

heading "Change it: two more networks behind the client, then reload"
say
sed -i '/^masquerade:/i\  - to: [10.20.0.0/16, 10.30.0.0/16]\n    via: 10.0.0.2' "$config"
sed 's/^/  /' "$config"
say
typed router netshared plan
typed router netshared reload || good=false
show_log reloaded || good=false
typed router ip route show proto 110
on router ip route show proto 110 | grep -q '^10.30.0.0/16 via 10.0.0.2' || good=false

heading "And a mistake: nothing changes"
say
sed -i 's/10.30.0.0/10.30.0.1/; s/masquerade/mascarade/' "$config"
if typed router netshared reload; then good=false; fi
asked 203.0.113.2 || good=false

heading "What holds now"
say
typed router netshared status || good=false

kill "$daemon"
wait "$daemon" || good=false

if $good && [ $mended = $broken ]; then
    printf '\n%sdemo: good: %d things broken, %d mended%s\n' "$bold" $broken $mended "$plain"
else
    printf '\n%sdemo: FAILED: %d things broken, %d mended%s\n' "$bold" $broken $mended "$plain"
    exit 1
fi
