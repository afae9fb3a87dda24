#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run-vm.sh KERNEL ROOT BUILD-DIR [TEST]... - netns tests on another kernel, by hand: for what
# this machine's own does not have, or what concerns a whole machine: culprits, whom the kernel
# tells of in its initial namespaces. Without a name those that need VRFs, and culprits. As root.
#
#   apt-get download linux-image-6.1.0-...-cloud-amd64 && dpkg -x linux-image-*.deb kernel
#   mmdebstrap --variant=minbase --include=iproute2,iptables,conntrack,kmod,python3,procps,\
#   iputils-ping,libnl-3-200,libnl-route-3-200,libip4tc2,libip6tc2,libmnl0,libnftnl11,\
#   libyaml-0-2,libsystemd0,libjansson4 bookworm root
#   tests/system/run-vm.sh kernel root build-gcc
#
# It takes a minute or two: the machine is emulated.
set -u
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 3 ]; then
    sed -n 3,13p "$0" >&2
    exit 2
fi
kernel=$1 root=$2 build=$3
shift 3
[ $# -gt 0 ] || set -- vrf culprits

# shellcheck disable=SC2016 # it is the machine that expands this
inside='for module in veth bridge vrf ip_tables iptable_nat iptable_raw ip6table_nat ip6table_raw; do
    modprobe "$module"
done
export NETSHARED=/netshared/daemon/netshared PYTHONDONTWRITEBYTECODE=1 NETSHARED_TEST_MACHINE=1
code=0
uname -r
for name; do
    python3 "/netshared/tests/netns/$name.py" || code=1
done
exit "$code"'
exec "$here/boot-vm.sh" -t 600 -b "$build/daemon:/netshared/daemon" \
    -b "$here/../netns:/netshared/tests/netns" -b "$here/../support:/netshared/tests/support" \
    "$kernel" "$root" -- bash -c "$inside" inside "$@"
