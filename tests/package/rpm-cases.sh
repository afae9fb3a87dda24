#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# rpm-cases.sh VERSION NEXT - in the container, as root: /packages/old.rpm and /packages/new.rpm. TAP
# without numbers; each case goes on from where the last one left off.
set -u
old=$1 new=$2
# shellcheck source=tests/package/router.sh
. "$(dirname "$0")/router.sh"

# What it needs is there, but not as RPMs.
change() { rpm --nodeps --dbpath /run/rpmdb "$@"; }
installed() { is "$1" rpm --dbpath /run/rpmdb -q --qf '%{version}' netshared; }

# Unlike Debian's it starts nothing: that is for the distribution's presets and for the administrator.
installs_and_runs() {
    change -i /packages/old.rpm && installed "$old" && is "netshared $old" netshared --version &&
        is "netshared /var/lib/netshared" eval "getent passwd netshared | cut -d: -f1,6 | tr : ' '" &&
        systemctl daemon-reload && systemctl enable --now $unit && is active state &&
        is netshared stat -c %U "/proc/$(systemctl show --value -p MainPID $unit)"
}

upgrade_is_not_felt() { upgrade change -U /packages/new.rpm; }

bad_file_stops_no_upgrade() {
    echo 'routes: 7' >>$config
    change -U --oldpackage /packages/old.rpm && installed "$old" && is active state && goes_on &&
        sed -i '$d' $config && systemctl reload $unit && goes_on
}

# The file was changed: it is put aside. What is held in the kernel stays.
erase_stops_it() {
    change -e netshared && is inactive state && not_there /usr/bin/netshared /var/lib/netshared \
        $config /etc/systemd/system/multi-user.target.wants/$unit && grep -q lan-out $config.rpmsave &&
        goes_on
}

rm -rf /var/lib/netshared /etc/netshared.d $config
userdel netshared 2>/dev/null
run_cases make_network installs_and_runs connection_through_it upgrade_is_not_felt \
    bad_file_stops_no_upgrade erase_stops_it
