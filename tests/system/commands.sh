# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
# The commands, by what they print under a real systemd. Sourced by cases.sh.

status_is_answered() {
    still_running && has 'lan-out' netshared status && expect 0 netshared plan &&
        expect 0 sh -c 'netshared status --json | python3 -m json.tool'
}

# The timer as it is delivered, but sooner.
metrics_become_a_file() {
    local file=/var/lib/prometheus/node-exporter/netshared.prom sooner=netshared-metrics.timer.d
    mkdir -p "${file%/*}" "/run/systemd/system/$sooner" && rm -f "$file" || return 1
    printf '[Timer]\nOnActiveSec=100ms\nAccuracySec=10ms\n' >"/run/systemd/system/$sooner/test.conf"
    systemctl daemon-reload
    expect 0 systemctl start netshared-metrics.service && has '^netshared_build_info' cat "$file" &&
        rm "$file" && expect 0 systemctl start netshared-metrics.timer &&
        wait_for test -s "$file"
    local code=$?
    systemctl stop netshared-metrics.timer
    rm -r "/run/systemd/system/$sooner"
    [ $code = 0 ] || systemctl status netshared-metrics.service
    return $code
}

commands_of_root_go_with_it() {
    running && expect 0 netshared apply && expect 0 systemctl stop $unit &&
        expect 0 netshared remove && clean && expect 0 netshared apply && holds &&
        lacks '^root' stat -c '%U' /var/lib/netshared/* && expect 0 systemctl start $unit &&
        expect 0 systemctl reload $unit && holds
}

# The sandbox as delivered is enough, and what it says is what helps.
doctor_finds_nothing() {
    systemctl disable $unit
    running && has 'nothing starts it at the next boot' netshared doctor &&
        has 'run: systemctl enable netshared$' netshared doctor && expect 3 netshared doctor &&
        expect 0 systemctl enable netshared && expect 0 netshared doctor &&
        expect 0 systemctl stop $unit &&
        has 'run: systemctl enable --now netshared$' netshared doctor &&
        expect 0 systemctl enable --now netshared && expect 0 netshared doctor
}

doctor_sees_the_sandbox() {
    running && expect 0 systemctl enable $unit && expect 0 netshared doctor &&
        drop_in $'CapabilityBoundingSet=~CAP_NET_RAW\nProtectKernelTunables=yes\nReadWritePaths=' &&
        expect 0 systemctl restart $unit &&
        has 'the daemon lacks CAP_NET_RAW' netshared doctor &&
        has '/proc/sys/net is read-only for the daemon' netshared doctor &&
        rm -r /run/systemd/system/netshared.service.d && expect 0 systemctl daemon-reload &&
        expect 0 systemctl restart $unit && expect 0 netshared doctor
}

check_says_where() {
    still_running && has "^$config: ok, 2 routes, 1 policy$" netshared check || return
    echo 'mascarade: []' >>$config
    expect 1 netshared check && has "^$config:13:1: error: " netshared check &&
        has "^  hint: .*'masquerade'" netshared check &&
        has '"line": *13' netshared check --json && usual_config
}

# What it shows is what a reload does then; nothing is done by it.
plan_says_what_a_reload_does() {
    still_running || return
    local before
    sed -i 's,10.20.0.0/16,[10.20.0.0/16\, 10.21.0.0/16],' $config
    before=$(snapshot)
    expect 3 netshared plan && has '^\+ route 10.21.0.0/16 via 203.0.113.1 dev wan0' netshared plan &&
        lacks 10.20.0.0 netshared plan && unchanged "$before" && expect 0 netshared reload &&
        expect 0 netshared plan && lacks . netshared plan
}

reload_shows_the_errors() {
    still_running && lacks . netshared reload || return
    echo 'routes: 7' >>$config
    expect 1 netshared reload && has "^$config:13:1: error: " netshared reload &&
        has '^netshared: reload refused; the configuration from before stays in force$' \
            netshared reload && holds
}

# tried FILE: it is on trial, and status tells until when.
tried() {
    expect 0 netshared try --timeout 1min "$1" && has '^on trial: .*netshared confirm' netshared status &&
        has 'via 203.0.113.1 dev wan0' ip route show 10.24.0.0/16 proto 110
}

try_confirm_and_revert() {
    local file=/etc/netshared-tried.yaml
    still_running && expect 1 netshared confirm && expect 1 netshared revert || return
    sed 's,10.20.0.0/16,[10.20.0.0/16\, 10.24.0.0/16],' $config >$file
    tried $file && expect 0 netshared revert && lacks . ip route show 10.24.0.0/16 proto 110 &&
        lacks '^on trial' netshared status && holds && tried $file && expect 0 netshared confirm &&
        lacks '^on trial' netshared status && has . ip route show 10.24.0.0/16 proto 110
}

trial_ends_by_itself() {
    local file=/etc/netshared-tried.yaml
    still_running || return
    sed 's,10.20.0.0/16,[10.20.0.0/16\, 10.24.0.0/16],' $config >$file
    mark
    expect 0 netshared try --timeout 1s $file &&
        wait_for entry 'NETSHARED_ACTION=^reverted$' 'PRIORITY=^3$' &&
        wait_for lacks . ip route show 10.24.0.0/16 proto 110 && holds
}

status_of_one() {
    still_running && has '^held +masquerade +lan-out' netshared status lan-out &&
        lacks '10\.20\.' netshared status lan-out && has '10\.20\.' netshared status &&
        expect 1 netshared status no-such-policy
}

explain_goes_step_by_step() {
    still_running && expect 0 netshared explain 10.0.0.2 203.0.113.1 --protocol tcp --port 443 &&
        has '^ 5\. masquerade lan-out .*: it appears as 203\.0\.113\.2\.$' \
            netshared explain 10.0.0.2 203.0.113.1 &&
        has '^It passes, and so do the answers, as far as can be seen on this machine\.$' \
            netshared explain 10.0.0.2 203.0.113.1 || return
    ip route add prohibit 10.9.9.0/24
    expect 3 netshared explain 10.0.0.2 10.9.9.9 &&
        has '^It is stopped at step 3' netshared explain 10.0.0.2 10.9.9.9
    local code=$?
    ip route del prohibit 10.9.9.0/24
    return $code
}

# What watch shows is what the journal has.
watch_shows_repairs() {
    still_running || return
    local out code
    out=$(mktemp)
    netshared watch >"$out" 2>&1 &
    local watch=$!
    wait_for grep -q '^watching' "$out" && ip route del 10.20.0.0/16 && wait_for holds &&
        wait_for grep -qE '^[0-9:]+ route 10\.20\.0\.0/16 .* was removed by .*; restored in ' "$out"
    code=$?
    kill $watch
    wait $watch 2>/dev/null
    [ $code = 0 ] || cat "$out"
    return $code
}

# The file that import writes says what is there by hand: the route stays as it is, and is held.
import_is_adopted() {
    local before file=/etc/netshared-imported.yaml
    by_hand() { ip route show 10.25.0.0/16 | sed 's/ proto [^ ]*//; s/ *$//'; }
    fresh && ip route add 10.25.0.0/16 via 203.0.113.1 dev wan0 &&
        iptables-legacy -t nat -A POSTROUTING -s 10.0.0.0/24 -o wan0 -j MASQUERADE || return
    before=$(by_hand)
    expect 0 netshared import --output $file && has '^ +- to: 10\.25\.0\.0/16$' cat $file &&
        has '^masquerade:$' cat $file && expect 0 netshared check $file && cp $file $config &&
        expect 0 systemctl start $unit && has "^$before$" by_hand &&
        has '^held +route +10\.25\.0\.0/16' netshared status &&
        has '^held +masquerade ' netshared status
    local code=$?
    iptables-legacy -t nat -D POSTROUTING -s 10.0.0.0/24 -o wan0 -j MASQUERADE
    return $code
}

metrics_are_told() {
    still_running && has '^netshared_objects\{kind="route",state="held"\} 2$' netshared metrics &&
        has '^# EOF$' netshared metrics --openmetrics &&
        has '^netshared_configuration_in_force 1$' python3 -c '
import socket
s = socket.socket(socket.AF_UNIX)
s.connect("/run/netshared/metrics")
s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
print(s.makefile().read())'
}

# A member of the group asks by it, and no more.
busctl_is_a_client() {
    still_running || return
    local group call=(busctl "--address=unix:path=/run/netshared/control" call io.netshared
        /io/netshared/Control io.netshared.Control)
    group=$(getent group netshared | cut -d: -f3)
    asks() { setpriv --reuid 65534 --regid "$group" --clear-groups "${call[@]}" "$1"; }
    has '\.Reload +method +- +bs' busctl "--address=unix:path=/run/netshared/control" introspect \
        io.netshared /io/netshared/Control && has '^s ".*lan-out' "${call[@]}" Status &&
        has '^bs true' "${call[@]}" Reload && has '^s ".*lan-out' asks Status &&
        expect 1 asks Reload && expect 1 asks Confirm
}

journal_of_one_policy() {
    fresh && usual_config && expect 0 systemctl start $unit || return
    systemctl reload $unit && iptables-legacy -w -t nat -F NETSHARED-lan-out && wait_for holds
    wait_for entry 'NETSHARED_ACTION=^restored$' NETSHARED_POLICY=lan-out || return
    one() { journalctl --no-pager -u $unit NETSHARED_POLICY=lan-out -o cat; }
    has '^masquerade lan-out added$' one && has '^masquerade lan-out (\(ipv4\) )?was .*; restored in ' one &&
        lacks 'route|started' one
}

journal_explains() {
    fresh && write_config <<<'routes: 7' && cp /tree$config $config && expect 0 systemctl start $unit ||
        return
    echo 'routes: 7' >>$config
    explained() { journalctl --no-pager -x -u $unit --after-cursor="$cursor"; }
    journalctl --update-catalog && expect 1 systemctl reload $unit &&
        wait_for has 'Subject: A reload was refused$' explained &&
        has 'look at it with "netshared check", and reload again' explained
}

# completes WORD...: what bash proposes for the last of these.
completes() {
    bash -c '. /usr/share/bash-completion/completions/netshared
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _netshared "$1" && printf "%s\n" "${COMPREPLY[@]}"' complete "$@"
}

completions_are_there() {
    still_running && has '^doctor$' completes netshared doc && has '^lan-out$' completes netshared status l &&
        has '^--timeout' completes netshared try --t &&
        expect 0 test -s /usr/share/fish/vendor_completions.d/netshared.fish &&
        expect 0 sh -c 'ls /usr/share/zsh/*/_netshared'
}

command_cases=(check_says_where plan_says_what_a_reload_does reload_shows_the_errors
    status_is_answered status_of_one try_confirm_and_revert trial_ends_by_itself
    explain_goes_step_by_step watch_shows_repairs import_is_adopted metrics_are_told
    metrics_become_a_file busctl_is_a_client journal_of_one_policy journal_explains
    completions_are_there commands_of_root_go_with_it doctor_finds_nothing doctor_sees_the_sandbox)
