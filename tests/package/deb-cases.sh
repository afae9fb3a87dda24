#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# deb-cases.sh VERSION NEXT - in the container, as root: /debs/old.deb and /debs/new.deb. TAP without
# numbers; each case goes on from where the last one left off.
set -u
export DEBIAN_FRONTEND=noninteractive
old=$1 new=$2
# shellcheck source=tests/package/router.sh
. "$(dirname "$0")/router.sh"

installed() { is "$1" dpkg-query -W -f '${Version}' netshared; }
installs_and_runs() {
    dpkg -i /debs/old.deb && installed "$old" && is active state &&
        is enabled systemctl is-enabled $unit &&
        is netshared stat -c %U "/proc/$(systemctl show --value -p MainPID $unit)" &&
        is "netshared $old" netshared --version &&
        journalctl --list-catalog | grep -q netshared
}

upgrade_is_not_felt() { upgrade dpkg -i /debs/new.deb; }

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
run_cases make_network installs_and_runs connection_through_it upgrade_is_not_felt \
    bad_file_stops_no_upgrade removal_keeps_the_file no_start_with_a_bad_file purge_removes_all
