#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# ansible-cases.sh - in the container, as root: /tree is what `meson install` made, /deploy the role.
# It is run as for a fleet, with this machine as the only one of it. TAP without numbers; each case
# goes on from where the last one left off.
set -u
export ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_NOCOLOR=1 ANSIBLE_STDOUT_CALLBACK=default
# shellcheck source=tests/package/router.sh
. "$(dirname "$0")/router.sh"
wanted=/run/wanted.yaml

run() {
    ansible-playbook -i localhost, -c local /deploy/ansible/site.yml \
        -e ansible_python_interpreter=/usr/bin/python3 "$@"
}
role() { run -e netshared_config_file=$wanted; }
# changes N COMMAND...: its last line tells so.
changes() {
    local n=$1
    shift
    "$@" >/run/said 2>&1 && grep -q "changed=$n .*failed=0" /run/said && return
    cat /run/said
    return 1
}
pid() { systemctl show --value -p MainPID $unit; }
told() { journalctl --no-pager -u $unit -o cat NETSHARED_ACTION="$1" | wc -l; }

tree_is_installed() {
    tar -C /tree -c . | tar -C / -x --keep-directory-symlink --no-same-owner &&
        systemd-sysusers && systemctl daemon-reload && is inactive state
}

starts_it_with_the_file() {
    printf 'version: 1\nroutes:\n  - {to: 10.1.0.0/16, via: 203.0.113.1, dev: wan0}\n' >$wanted
    role && cmp $wanted $config && is active state && is enabled systemctl is-enabled $unit &&
        ip route show 10.1.0.0/16 | grep -q 'via 203.0.113.1'
}

the_second_run_changes_nothing() {
    local reloads
    reloads=$(told reloaded)
    changes 0 role && is "$reloads" told reloaded
}

a_change_is_a_reload() {
    local before
    before=$(pid)
    sed -i 's,10.1.0.0/16,[10.1.0.0/16\, 10.2.0.0/16],' $wanted
    changes 2 role && cmp $wanted $config && is "$before" pid &&
        ip route show 10.2.0.0/16 | grep -q 'via 203.0.113.1'
}

a_bad_file_never_lies_there() {
    local refused
    cp $config /run/before && refused=$(told reload-bad)
    echo 'routes: 7' >>$wanted
    role >/run/said 2>&1 && return 1
    grep -q "routes.*twice\|error:" /run/said && cmp /run/before $config &&
        is "$refused" told reload-bad && is active state || { cat /run/said && return 1; }
    sed -i '$d' $wanted
    changes 0 role
}

variables_are_a_file_too() {
    local variables='{"netshared_config": {"version": 1, "routes": [
        {"to": "10.3.0.0/16", "via": "203.0.113.1", "dev": "wan0"}]}}'
    changes 2 run -e "$variables" && ip route show 10.3.0.0/16 | grep -q 'via 203.0.113.1' &&
        is "" ip route show 10.1.0.0/16 && changes 0 run -e "$variables"
}

rm -rf /var/lib/netshared /etc/netshared.d $config
run_cases make_network tree_is_installed starts_it_with_the_file the_second_run_changes_nothing \
    a_change_is_a_reload a_bad_file_never_lies_there variables_are_a_file_too
