#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# make-uml.sh TO
#
# Builds the kernel of this Debian release, from its own sources (the package linux-source-*), as one
# that runs as a process (user-mode Linux): what is of networks, firewalls and namespaces is chosen for
# its packaged kernel (linux-config-*), the rest is little. Run in the release, as root (matrix.sh does).
# Debian's own package user-mode-linux is without nftables for IPv4 and IPv6.
set -eu
to=$1
mkdir -p "$to"
work=$(mktemp -d) && cd "$work"
trap 'rm -rf "$work"' EXIT

version=$(apt-cache depends linux-source | sed -n 's/.*Depends: linux-source-//p')
apt-get -q -o APT::Sandbox::User=root download "linux-source-$version" "linux-config-$version"
dpkg-deb --fsys-tarfile linux-config-*.deb | tar -xO --wildcards '*/config.amd64_none_amd64.xz' | xz -d >packaged
dpkg-deb --fsys-tarfile linux-source-*.deb | tar -xO --wildcards '*/linux-source-*.tar.xz' | tar -xJ \
    --strip-components=1 --exclude='*/drivers/gpu/drm/amd/include/*'
rm linux-*.deb

# Options whose names begin so, as modules where they are modules there; and what would only take long.
chosen='NET|NETFILTER|NF|NFT|IP|IP6|IPV6|INET|INET6|TCP|UDP|XFRM|BRIDGE|VETH|DUMMY|MACVLAN|MACVTAP|IPVLAN|TUN|'
chosen=$chosen'VLAN_8021Q|VXLAN|PACKET|UNIX|FIB|LWTUNNEL|AUDIT|AUDITSYSCALL|CGROUP|CGROUPS|NAMESPACES|USER_NS|'
chosen=$chosen'PID_NS|UTS_NS|IPC_NS|BPF|SECCOMP|OVERLAY_FS|TMPFS|FANOTIFY|INOTIFY_USER|EPOLL|SIGNALFD|TIMERFD|'
chosen=$chosen'EVENTFD|MEMCG|SYSCTL|PROC_EVENTS|CONNECTOR|PREEMPT_NONE|PSI|MODULES|MODULE_UNLOAD|CRYPTO_(AES|CBC|GCM|'
chosen=$chosen'HMAC|SHA1|SHA256|SHA512|ECHAINIV|SEQIV|AUTHENC|CHACHA20POLY1305)'
left_out='NET_(SCH|CLS|ACT|EMATCH|DSA|VENDOR|9P|SWITCHDEV|IFE|MPLS|NCSI|NSH|FC|SB1000|TEAM)|NETCONSOLE|NETDEVSIM|'
left_out=$left_out'NETFS|NETROM|NETLABEL|NETWORK_FILESYSTEMS|NETXEN|IP_(VS|SET_HASH_IPMAC|DCCP|SCTP|NF_ARP)|INET_DCCP|BPF_PRELOAD'
make -s ARCH=um defconfig
{
    grep -E "^CONFIG_($chosen)(_[A-Z0-9_]+)?=" packaged | grep -vE "^CONFIG_($left_out)"
    printf 'CONFIG_%s=y\n' HOSTFS DEVTMPFS MAGIC_SYSRQ POSIX_MQUEUE DEBUG_INFO_NONE
    printf '# CONFIG_%s is not set\n' DEBUG_INFO WERROR STATIC_LINK MODVERSIONS MODULE_SIG SOUND BLOCK VT HID INPUT \
        IO_URING FUSE_FS AUTOFS_FS QUOTA UML_SOUND GCOV UML_NET_VECTOR VMAP_STACK
} >wanted
scripts/kconfig/merge_config.sh -m .config wanted >/dev/null
make -s ARCH=um olddefconfig
make -s ARCH=um -j "$(nproc)" linux modules
make -s ARCH=um INSTALL_MOD_PATH="$to/mod" modules_install
mkdir -p "$to/usr/bin" "$to/usr/lib/uml"
strip -o "$to/usr/bin/linux.uml" linux
mv "$to/mod/lib/modules" "$to/usr/lib/uml/modules" && rmdir "$to/mod/lib" "$to/mod"
cp .config "$to/config"
