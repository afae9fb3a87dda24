#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# matrix.sh [-c CACHE] [-s STEP]... [-t TEST]... [-l SECONDS] [RELEASE[:KERNEL]]...
#
# Builds netshared in other Debian releases, with their compilers and libraries, and tests it there, on
# their kernels. Nothing is installed on this machine, and of its network only the download is seen. As
# root; it needs mmdebstrap, qemu-system-x86, cpio and kmod.
#
#   RELEASE  bullseye, bookworm, trixie, sid: what is built in and run in
#   KERNEL   a release: its kernel, in an emulated machine; `own`: this machine's, at full speed.
#            By default the release's. Without any: each release with its own, and with `own`
#   -c       where releases, kernels, builds and results are kept (default /var/tmp/netshared-matrix)
#   -s       only this: unit (with the build), netns; without it, both
#   -t       only this test of the suite netns (policies, policies-nft)
#   -l       limit for a machine (default 3600)
#
# An emulated machine is 10 to 20 times slower: all of the suite netns takes hours there. Results are
# kept per test, those of a test that runs again are replaced; the table at the end is of all there are.
set -u -o pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/setup.sh
. "$top/tests/support/setup.sh"

RELEASES=(bullseye bookworm trixie sid)
PACKAGES=("${BUILD_PACKAGES[@]}" libcmocka-dev iproute2 iptables ipset nftables conntrack keepalived kmod procps
    iputils-ping util-linux python3-yaml python3-jsonschema systemd-sysv dbus)
# What an emulated machine can do without.
LEFT_OUT=(/usr/include /usr/lib/gcc /usr/share/man /usr/share/locale /usr/share/perl /var/lib/apt
    /usr/lib/x86_64-linux-gnu/perl)
SLOW=8

usage() {
    sed -n 3,19p "$0" >&2
    exit 2
}

cache=/var/tmp/netshared-matrix steps=() tests=() limit=3600
while getopts c:s:t:l: option; do
    case $option in
    c) cache=$OPTARG ;;
    s) steps+=("$OPTARG") ;;
    t) tests+=("$OPTARG") ;;
    l) limit=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ ${#steps[@]} -gt 0 ] || steps=(unit netns)
[ $# -gt 0 ] || set -- "${RELEASES[@]}" "${RELEASES[@]/%/:own}"
need_root
for tool in mmdebstrap qemu-system-x86_64 cpio depmod; do
    command -v "$tool" >/dev/null ||
        die "needs $tool (packages mmdebstrap, qemu-system-x86, cpio, kmod)"
done
mkdir -p "$cache"/{root,kernel,build,result,log} && cache=$(cd "$cache" && pwd) || exit 1
# The sources as they are now: an edit may not change what a long run is about.
rm -rf "$cache/source" && mkdir "$cache/source" && (cd "$top" && git ls-files -z |
    tar --null --files-from=- -cf - | tar -C "$cache/source" -xf -) || exit 1

step() {
    printf '%4ds  %s\n' "$SECONDS" "$*"
}

# quietly LOG COMMAND...: its output is shown only when it fails.
quietly() {
    local log=$cache/log/$1
    shift
    "$@" </dev/null >"$log" 2>&1 && return
    tail -n 40 "$log" >&2
    return 1
}

# inside RELEASE COMMAND...: in the release's files, with the sources and its build beside them.
inside() {
    local script
    # shellcheck disable=SC2016
    script='root=$1 source=$2 build=$3; shift 3
        mkdir -p "$root/source" "$root/build"
        # A / of its own, not chroot alone: tests enter the mount namespaces of what they start.
        mount --bind "$root" "$root" &&
            mount -t proc proc "$root/proc" && mount --rbind /sys "$root/sys" && mount --rbind /dev "$root/dev" &&
            mount -t tmpfs -o mode=755 tmpfs "$root/run" && mount -t tmpfs tmpfs "$root/tmp" &&
            mount --bind "$source" "$root/source" && mount --bind "$build" "$root/build" || exit 125
        cd "$root" && pivot_root . mnt && umount -l /mnt || exit 125
        chroot . "$@" & wait $!'
    mkdir -p "$cache/build/$1"
    unshare --mount --pid --fork --kill-child --propagation private ${lonely:+--net} -- \
        bash -c "$script" inside "$cache/root/$1" "$cache/source" "$cache/build/$1" "${@:2}"
}

# That from which this machine's packages come.
mirror() {
    # shellcheck disable=SC2016 # apt expands it
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1
}

make_root() {
    local release=$1 root=$cache/root/$1 include
    [ -d "$root" ] && return
    step "$release: its packages"
    include=$(IFS=,; echo "${PACKAGES[*]}")
    rm -rf "$root.new"
    quietly "root-$release" mmdebstrap --variant=minbase --include="$include" \
        --aptopt='Acquire::Check-Valid-Until "false"' "$release" "$root.new" \
        "$(mirror)" && mv "$root.new" "$root" || return
}

# bullseye's meson is older than the sources want; meson is nothing but Python.
make_meson() {
    local to=$cache/root/$1/usr/local/lib/python3.9/dist-packages from
    [ "$1" = bullseye ] && [ ! -d "$to/mesonbuild" ] || return 0
    from=$(/usr/bin/python3 -c 'import os, mesonbuild; print(os.path.dirname(mesonbuild.__file__))') || return
    cp -a "$from" "$to"
}

# The newest kernel of a release, from within it: this machine's apt knows nothing of that.
make_kernel() {
    local kernel=$cache/kernel/$1 script
    [ -d "$kernel" ] && return
    step "$1: its kernel"
    # shellcheck disable=SC2016
    script='cp /build/resolv.conf /etc/resolv.conf; apt-get -q update && cd /tmp || exit
        packages=$(apt-cache depends --recurse --important linux-image-amd64 |
            grep -oE "^linux-(image|binary|modules)-[0-9].*" | sort -u)
        echo "$packages"
        apt-get -q -o APT::Sandbox::User=root download $packages || exit
        for package in linux-*.deb; do dpkg-deb -x "$package" /build/kernel || exit; done'
    mkdir -p "$cache/build/$1" && cp -L /etc/resolv.conf "$cache/build/$1/resolv.conf"
    rm -rf "$cache/build/$1/kernel"
    quietly "kernel-$1" inside "$1" sh -c "$script" && mv "$cache/build/$1/kernel" "$kernel"
}

make_build() {
    step "$1: building with $(inside "$1" gcc -dumpfullversion)"
    # shellcheck disable=SC2016
    quietly "build-$1" inside "$1" sh -c '[ -f /build/tree/build.ninja ] ||
        meson setup /build/tree /source --werror -Dtests=enabled -Ddebug=false -Doptimization=2 || exit
        ninja -C /build/tree' || return
    grep -h 'warning:' "$cache/log/build-$1"
    return 0
}

# keep NAME SUITE: takes meson's log from stdin; each test's line becomes its result.
keep() {
    mkdir -p "$cache/result/$1"
    python3 -c 'import json, os, re, sys
for line in sys.stdin:
    if line.startswith("{"):
        name = re.split("[/:]", json.loads(line)["name"])[-1].strip()
        with open(os.path.join(sys.argv[1], sys.argv[2] + "." + name + ".json"), "w") as f:
            f.write(line)' "$cache/result/$1" "$2"
}

unit() {
    step "$1: unit tests"
    lonely=yes quietly "unit-$1" inside "$1" meson test -C /build/tree --no-rebuild --suite unit
    rm -f "$cache/result/$2/unit."*
    keep "$2" unit <"$cache/build/$1/tree/meson-logs/testlog.json"
}

# Said by the release itself: what the row of the table is about.
facts() {
    # shellcheck disable=SC2016
    inside "$1" sh -c 'version() { dpkg-query -W -f "\${Version}" "$1" | sed -E "s/^[0-9]+://;s/[-~+].*//"; }
        echo "gcc $(gcc -dumpfullversion) systemd $(version systemd) libnl $(version libnl-3-200)" \
            "iptables $(version iptables) nft $(version nftables)"'
}

netns_own() {
    lonely=yes inside "$1" sh -c 'ip link set lo up
        mkdir -p /run/lock; meson test -C /build/tree --no-rebuild --suite netns --num-processes '"$((2 * $(nproc)))"' "$@"
        ' sh ${tests[@]+"${tests[@]}"} >"$cache/log/netns-$1:own" 2>&1 </dev/null
    keep "$1:own" netns <"$cache/build/$1/tree/meson-logs/testlog.json"
}

# The log comes out line by line: a machine that ends early loses only what had not ended.
netns_vm() {
    local release=$1 kernel=$2 copy log=$cache/log/netns-$1:$2 args=() path script
    copy=$(mktemp -d "$cache/copy.XXXXXX") || return
    tar -C "$cache/build/$release/tree" --exclude='*.p' --exclude='*.a' --exclude='unit' -cf - . |
        tar -C "$copy" -xf -
    for path in "${LEFT_OUT[@]}"; do args+=(-x "$path"); done
    # shellcheck disable=SC2016 # it is the machine that expands this
    script='for module in veth bridge vrf dummy ip_tables iptable_nat iptable_filter iptable_raw \
            iptable_mangle ip6table_nat ip6table_filter ip6table_raw ip6table_mangle; do
            modprobe -q "$module"
        done
        uname -r
        mkdir -p /run/lock
        export NETSHARED_TEST_SLOW=$1
        shift
        cd /build/tree && : >meson-logs/testlog.json
        meson test --no-rebuild --suite netns --num-processes 3 --timeout-multiplier 4 "$@" >/run/said 2>&1 &
        tail -F -n +1 --pid=$! meson-logs/testlog.json 2>/dev/null
        tail -n 20 /run/said'
    "$top/tests/system/boot-vm.sh" -t "$limit" -m 4096 -b "$cache/source:/source" -b "$copy:/build/tree" \
        "${args[@]}" "$cache/kernel/$kernel" "$cache/root/$release" -- \
        bash -c "$script" inside "$SLOW" ${tests[@]+"${tests[@]}"} >"$log" 2>&1 </dev/null &
    machine=$!
    wait "$machine"
    machine=
    rm -rf "$copy"
    keep "$release:$kernel" netns <"$log"
}

one() {
    local release=${1%%:*} kernel=${1##*:} version what=() name
    name=$release:$kernel
    make_root "$release" && make_meson "$release" || return
    if [ "$kernel" = own ]; then
        version=$(uname -r)
    else
        make_kernel "$kernel" || return
        version=$(find "$cache/kernel/$kernel" -path '*lib/modules/*' -prune -printf '%f\n' | head -n 1)
    fi
    [ -f "$cache/build/$release/tree/daemon/netshared" ] && [ " ${steps[*]} " = " netns " ] ||
        make_build "$release" || return
    mkdir -p "$cache/result/$name"
    echo "kernel ${version%%-*} $(facts "$release")" >"$cache/result/$name/facts"
    for what in "${steps[@]}"; do
        case $what in
        unit) unit "$release" "$name" ;;
        netns)
            step "$name: tests in namespaces"
            if [ "$kernel" = own ]; then netns_own "$release"; else netns_vm "$release" "$kernel"; fi
            ;;
        *) usage ;;
        esac
    done
}

# counted NAME SUITE: "N passed, N failed, N skipped" of what is kept.
counted() {
    local logs
    shopt -s nullglob
    logs=("$cache/result/$1/$2".*.json)
    if [ ${#logs[@]} -eq 0 ]; then
        echo "not run"
        return
    fi
    python3 "$top/tests/support/count.py" "${logs[@]}" | tail -n 1
}

table() {
    local result name facts
    shopt -s nullglob
    echo "| release, kernel | versions | unit | netns |"
    echo "|---|---|---|---|"
    for result in "$cache"/result/*/facts; do
        name=$(basename "${result%/facts}")
        facts=$(cat "$result")
        echo "| $name | $facts | $(counted "$name" unit) | $(counted "$name" netns) |"
    done
}

failed=0 machine=
trap '[ -z "$machine" ] || kill "$machine" 2>/dev/null' EXIT
trap 'exit 130' INT TERM HUP
for pair; do
    one "$pair" || { failed=1; say "$pair: could not be set up"; }
done
table
shopt -s nullglob
python3 "$top/tests/support/count.py" "$cache"/result/*/*.json || failed=1
exit $failed
