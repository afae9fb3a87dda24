#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# matrix.sh [-f] [-n] [-c CACHE] [-s STEP]... [-t TEST]... [-l SECONDS] [RELEASE[:KERNEL]]...
#
# Builds netshared in other Debian releases, with their compilers and libraries, and tests it there, on
# their kernels. Nothing is installed on this machine, and of its network only the download is seen. As
# root; it needs mmdebstrap, qemu-system-x86, cpio and kmod.
#
#   RELEASE  bullseye, bookworm, trixie, sid: what is built in and run in
#   KERNEL   a release: its kernel, in an emulated machine; `uml`: its kernel's sources, built to run as a
#            process (make-uml.sh), several times as fast; `own`: this machine's, at full speed.
#            By default the release's. Without any: each release with each of the three
#   -c       where releases, kernels, builds and results are kept (default /var/tmp/netshared-matrix)
#   -s       only this: unit, netns, system (`own` alone: installed, and run by the release's systemd in a
#            container), without (the kernel without something: legacy tables, nf_tables, both, IPv6,
#            audit; not `own`); without it, all
#   -t       only this test of the suite netns (policies, policies-nft)
#   -f       of the suite netns only what says most about a kernel
#   -n       of the suite netns only what has not passed yet: goes on where an earlier run ended
#   -l       limit for a machine (default 3600)
#
# An emulated machine is about 10 times slower: all of the suite netns takes an hour there and more, so what says
# most about a kernel comes first. Results are kept per test, as each ends; what was to run and did not end
# has failed. The table at the end is of all there are, and says how many are of sources before those
# of its row.
set -u -o pipefail
shopt -s nullglob extglob
top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/support/setup.sh
. "$top/tests/support/setup.sh"

RELEASES=(bullseye bookworm trixie sid)
PACKAGES=("${BUILD_PACKAGES[@]}" libcmocka-dev iproute2 iptables ipset nftables conntrack keepalived kmod procps
    iputils-ping util-linux python3-yaml python3-jsonschema python3-prometheus-client systemd-sysv dbus
    bc bison flex)
# What an emulated machine can do without.
LEFT_OUT=(/usr/include /usr/lib/gcc /usr/share/man /usr/share/locale /usr/share/perl /var/lib/apt
    /usr/lib/x86_64-linux-gnu/perl '/usr/lib/x86_64-linux-gnu/lib*san.so*' /usr/lib/x86_64-linux-gnu/gconv
    '/usr/bin/x86_64-linux-gnu-*' '/usr/*.a')
SLOW=16
# What says most about a kernel.
FIRST=(skeleton policies drops drift_routes drift_nat rules forwarding reload crash firewalls vrf devices
    skeleton-nft policies-nft drift_nat-nft forwarding-nft reload-nft crash-nft devices-nft
    test-fib test-fib-events test-fib-links test-fib-requests test-rules test-firewall-iptc
    test-firewall-iptc-changes test-firewall-nft test-firewall-nft-changes test-scenarios-kernel test-scenarios-nft)

# What a kernel can be without, and boot-vm.sh's words for that.
WITHOUT=("legacy -n ip_tables" "nftables -n nf_tables" "firewalls -n ip_tables -n nf_tables"
    "ipv6 -a ipv6.disable=1" "audit -a audit=0")

usage() {
    sed -n 3,25p "$0" >&2
    exit 2
}

cache=/var/tmp/netshared-matrix steps=() tests=() limit=3600 only_first='' only_new=
while getopts fnc:s:t:l: option; do
    case $option in
    f) only_first=yes ;;
    c) cache=$OPTARG ;;
    s) steps+=("$OPTARG") ;;
    t) tests+=("$OPTARG") ;;
    l) limit=$OPTARG ;;
    n) only_new=yes ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ ${#steps[@]} -gt 0 ] || steps=(unit netns system without)
[ $# -gt 0 ] || set -- "${RELEASES[@]}" "${RELEASES[@]/%/:uml}" "${RELEASES[@]/%/:own}"
KNOWN=" ${RELEASES[*]} "
for word in "$@"; do
    [[ $KNOWN == *" ${word%%:*} "* && "$KNOWN uml own " == *" ${word#*:} "* ]] || usage
done
for word in "${steps[@]}"; do [[ " unit netns system without " == *" $word "* ]] || usage; done
need_root
for tool in mmdebstrap qemu-system-x86_64 cpio depmod; do
    command -v "$tool" >/dev/null ||
        die "needs $tool (packages mmdebstrap, qemu-system-x86, cpio, kmod)"
done
mkdir -p "$cache"/{root,kernel,build,result,log} && cache=$(cd "$cache" && pwd) || exit 1
# The sources as they are now: an edit may not change what a long run is about.
source=$(mktemp -d "$cache/source.XXXXXX") && (cd "$top" && git ls-files -z |
    tar --null --files-from=- -cf - | tar -C "$source" -xf -) || exit 1
# What they are: all of it, since what is not committed counts.
revision=$(cd "$source" && find . -type f -print0 | sort -z | xargs -0 sha1sum | sha1sum | cut -c 1-10)
export revision

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
        bash -c "$script" inside "$cache/root/$1" "$source" "$cache/build/$1" "${@:2}"
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

# make_kernel RELEASE NAME: the release's newest kernel, from within it: this machine's apt knows nothing of
# that. NAME ends in .uml: one that runs as a process.
make_kernel() {
    local kernel=$cache/kernel/$2 script
    [ -d "$kernel" ] && return
    step "$1: its kernel, $2"
    # shellcheck disable=SC2016
    script='cp /build/resolv.conf /etc/resolv.conf; apt-get -q update && cd /tmp || exit
        case $1 in *.uml) exec /source/tests/system/make-uml.sh /build/kernel ;; esac
        packages=$(apt-cache depends --recurse --important linux-image-amd64 |
            grep -oE "^linux-(image|binary|modules)-[0-9].*" | sort -u)
        echo "$packages"
        apt-get -q -o APT::Sandbox::User=root download $packages || exit
        for package in linux-*.deb; do dpkg-deb -x "$package" /build/kernel || exit; done'
    mkdir -p "$cache/build/$1" && cp -L /etc/resolv.conf "$cache/build/$1/resolv.conf"
    rm -rf "$cache/build/$1/kernel"
    quietly "kernel-$2" inside "$1" sh -c "$script" sh "$2" && mv "$cache/build/$1/kernel" "$kernel"
}

# Anew where the sources are not those of the build: file times tell nothing of a copy.
make_build() {
    local build=$cache/build/$1
    [ "$(cat "$build/revision" 2>/dev/null)" != "$revision" ] || return 0
    step "$1: building with $(inside "$1" gcc -dumpfullversion)"
    rm -f "$build/revision"
    # shellcheck disable=SC2016
    quietly "build-$1" inside "$1" sh -c 'rm -rf /build/tree
        meson setup /build/tree /source --werror -Dtests=enabled -Ddebug=false -Doptimization=2 &&
        ninja -C /build/tree' || return
    grep -h 'warning:' "$cache/log/build-$1"
    echo "$revision" >"$build/revision"
}

# ended NAME TEST...: what was to run and has no result has none.
ended() {
    local name=$1 test
    for test in "${@:2}"; do
        [ -f "$cache/result/$name/netns.$test.json" ] ||
            printf '{"name": "netns / %s", "stdout": "", "result": "TIMEOUT", "returncode": 124, "revision": "%s"}\n' \
                "$test" "$revision" >"$cache/result/$name/netns.$test.json"
    done
}

# keep NAME SUITE RELEASE: each test's line in meson's log becomes its result. Without a log, none.
keep() {
    local log=$cache/build/$3/tree/meson-logs/testlog.json
    [ -f "$log" ] || return
    python3 -c 'import json, os, re, sys
for line in sys.stdin:
    if line.startswith("{"):
        result = json.loads(line)
        name = re.split("[/:]", result["name"])[-1].strip()
        result["revision"] = os.environ["revision"]
        with open(os.path.join(sys.argv[1], sys.argv[2] + "." + name + ".json"), "w") as f:
            f.write(json.dumps(result) + "\n")' "$cache/result/$1" "$2" <"$log"
    rm "$log"
}

unit() {
    step "$1: unit tests"
    lonely=yes quietly "unit-$1" inside "$1" meson test -C /build/tree --no-rebuild --suite unit
    rm -f "$cache/result/$2/unit."*
    keep "$2" unit "$1"
}

# Said by the release itself: what the row of the table is about.
facts() {
    # shellcheck disable=SC2016
    inside "$1" sh -c 'version() { dpkg-query -W -f "\${Version}" "$1" | sed -E "s/^[0-9]+://;s/[-~+].*//"; }
        echo "gcc $(gcc -dumpfullversion) systemd $(version systemd) libnl $(version libnl-3-200)" \
            "iptables $(version iptables) nft $(version nftables)"'
}

# listed RELEASE: the tests of the suite netns, those that say most first.
listed() {
    local all test
    mapfile -t all < <(inside "$1" meson test -C /build/tree --no-rebuild --suite netns --list |
        sed -E 's,.*[/:] *,,')
    for test in "${FIRST[@]}"; do
        [[ " ${all[*]} " != *" $test "* ]] || printf '%s\n' "$test"
    done
    [ -z "$only_first" ] || return 0
    for test in "${all[@]}"; do
        [[ " ${FIRST[*]} " = *" $test "* ]] || printf '%s\n' "$test"
    done
}

# chosen NAME RELEASE: which of them are to run.
chosen() {
    local all test
    if [ ${#tests[@]} -gt 0 ]; then all=("${tests[@]}"); else mapfile -t all < <(listed "$2"); fi
    for test in "${all[@]}"; do
        [ -n "$only_new" ] && grep -qs '"result": "OK"' "$cache/result/$1/netns.$test.json" || printf '%s\n' "$test"
    done
}

netns_own() {
    lonely=yes inside "$1" sh -c 'ip link set lo up
        mkdir -p /run/lock; meson test -C /build/tree --no-rebuild --timeout-multiplier 4 --num-processes '"$((2 * $(nproc)))"' "$@"
        ' sh "${chosen[@]}" >"$cache/log/netns-$1:own" 2>&1 </dev/null
    keep "$1:own" netns "$1"
}

# scripts RELEASE TO: each test of the suite netns as a script, for where meson itself takes too long.
scripts() {
    mkdir "$2" && inside "$1" meson introspect --tests /build/tree | python3 -c 'import json, os, shlex, sys
for test in json.load(sys.stdin):
    path = os.path.join(sys.argv[1], test["name"])
    with open(path, "w") as f:
        f.write("#!/bin/bash\n")
        for item in test["env"].items():
            f.write("export %s=%s\n" % (item[0], shlex.quote(item[1])))
        f.write("exec timeout -k 9 %d %s\n" % (8 * test["timeout"], shlex.join(test["cmd"])))
    os.chmod(path, 0o755)' "$2"
}

# keep_one NAME SUITE TEST CODE: the output of one test from stdin.
keep_one() {
    python3 -c 'import json, os, sys
suite, test, code = sys.argv[1], sys.argv[2], int(sys.argv[3])
print(json.dumps({"name": suite + " / " + test, "stdout": sys.stdin.read(), "returncode": code,
    "result": "ERROR" if code else "OK", "revision": os.environ["revision"]}))' "${@:2}" >"$cache/result/$1/$2.$3.json"
}

# keep_said NAME: "TEST WORDS..." of tests that run at once, from stdin; with "TEST =CODE" one ends.
keep_said() {
    python3 -c 'import json, os, sys
said = {}
for line in sys.stdin:
    name, _, words = line.rstrip("\r\n").partition(" ")
    if not words.startswith("="):
        said.setdefault(name, []).append(words)
        continue
    code = int(words[1:])
    result = "OK" if code == 0 else "TIMEOUT" if code == 124 else "ERROR"
    with open(os.path.join(sys.argv[1], "netns.%s.json" % name), "w") as f:
        f.write(json.dumps({"name": "netns / " + name, "stdout": "\n".join(said.pop(name, [])) + "\n",
            "result": result, "returncode": code, "revision": os.environ["revision"]}) + "\n")
    ' "$cache/result/$1"
}

# boot KERNEL ARGUMENT...: in what machine that kernel runs.
boot() {
    local kernel=$1 args=() path
    shift
    case $kernel in
    *.uml) exec "$top/tests/system/boot-uml.sh" -t "$limit" "$@" </dev/null ;;
    esac
    for path in "${LEFT_OUT[@]}"; do args+=(-x "$path"); done
    exec "$top/tests/system/boot-vm.sh" -t "$limit" -p "$(nproc)" "${args[@]}" "$@" </dev/null
}

# How many times slower than this machine a test may be there, and how many are to run at once.
slow() {
    case $1 in *.uml) echo 8 6 ;; *) echo "$SLOW" 3 ;; esac
}

# netns_vm NAME RELEASE KERNEL: what tests say comes out line by line, so that a machine that ends early
# loses only those that had not ended.
netns_vm() {
    local name=$1 release=$2 kernel=$3 log=$cache/log/netns-$1 script slow
    copy=$(mktemp -d "$cache/copy.XXXXXX") || return
    tar -C "$cache/build/$release/tree" --exclude='*.p' --exclude='*.a' --exclude='unit' -cf - . |
        tar -C "$copy" -xf -
    scripts "$release" "$copy/scripts"
    inside "$release" python3 -m compileall -q /source/tests # once here, not in each test there
    # shellcheck disable=SC2016 # it is the machine that expands this
    script='for module in veth bridge vrf dummy ip_tables iptable_nat iptable_filter iptable_raw \
            iptable_mangle ip6table_nat ip6table_filter ip6table_raw ip6table_mangle; do
            modprobe -q "$module"
        done
        mkdir -p /run/lock
        export NETSHARED_TEST_MACHINE=1 NETSHARED_TEST_SLOW=$1 SYSTEMD_BUS_TIMEOUT=$((25 * $1))
        at_once=$2
        shift 2
        cd /build/tree || exit
        run() {
            { "scripts/$1" 2>&1; echo "=$?"; } | sed -u "s/^/$1 /"
        }
        export -f run
        beside() {
            [[ $1 != culprits* ]] # counts on the records of audit, of the whole machine
        }
        for test; do ! beside "$test" || echo "$test"; done | xargs -P "$at_once" -n 1 bash -c "run \$0"
        for test; do beside "$test" || run "$test"; done'
    : >"$log" # what is there of an earlier run is not of this one
    read -ra slow < <(slow "$kernel")
    boot "$kernel" -m 4096 -b "$source:/source" -b "$copy:/build/tree" "$cache/kernel/$kernel" \
        "$cache/root/$release" -- bash -c "$script" inside "${slow[@]}" "${chosen[@]}" >>"$log" 2>&1 &
    machine=$!
    tail -F -n +1 --pid="$machine" "$log" 2>/dev/null | keep_said "$name" &
    wait "$machine"
    machine=
    wait
    rm -rf "$copy"
}

# without NAME RELEASE KERNEL: tests/system/without.py, in a machine for each thing to be without.
without() {
    local what words log result slow
    read -ra slow < <(slow "$3")
    copy=$(mktemp -d "$cache/copy.XXXXXX") && mkdir "$copy"/{bin,tests} &&
        cp "$cache/build/$2/tree/daemon/netshared" "$copy/bin" &&
        cp -r "$source"/tests/{support,system} "$copy/tests" || return
    for what in "${WITHOUT[@]}"; do
        read -ra words <<<"$what"
        what=${words[0]} log=$cache/log/without-$what-$1
        step "$1: without $what"
        boot "$3" -m 2048 "${words[@]:1}" -b "$copy:/netshared" "$cache/kernel/$3" "$cache/root/$2" -- \
            env NETSHARED=/netshared/bin/netshared NETSHARED_TEST_SLOW="${slow[0]}" PYTHONDONTWRITEBYTECODE=1 \
            python3 /netshared/tests/system/without.py "$what" >"$log" 2>&1 &
        machine=$!
        wait "$machine"
        result=$?
        machine=
        keep_one "$1" without "$what" "$result" <"$log"
    done
    rm -rf "$copy"
}

# system RELEASE NAME: tests/system/cases.sh on what is installed in the release, with its systemd.
system() {
    local installed=$cache/build/$1/installed log=$cache/log/system-$1
    step "$1: installed, under its systemd"
    rm -rf "$installed"
    quietly "install-$1" inside "$1" env DESTDIR=/build/installed meson install -C /build/tree --no-rebuild || return
    "$top/tests/system/boot-systemd.sh" -t 600 -r "$cache/root/$1" -b "$installed:/tree" -b "$source:/source" -- \
        /source/tests/system/cases.sh >"$log" 2>&1 </dev/null
    keep_one "$2" system cases $? <"$log"
}

one() {
    local release=${1%%:*} kernel=${1##*:} version what name test
    name=$release:$kernel
    make_root "$release" && make_meson "$release" || return
    [ "$kernel" != uml ] || kernel=$release.uml
    if [ "$kernel" = own ]; then
        version=$(uname -r)
    else
        make_kernel "${kernel%.uml}" "$kernel" || return
        version=$(find "$cache/kernel/$kernel" -path '*lib*/modules/*' -prune -printf '%f\n' | head -n 1)
    fi
    make_build "$release" || return
    mkdir -p "$cache/result/$name"
    echo "kernel ${version%%[-+]*} $(facts "$release") sources $revision" >"$cache/result/$name/facts"
    for what in "${steps[@]}"; do
        case $what in
        unit) unit "$release" "$name" || return ;;
        netns)
            mapfile -t chosen < <(chosen "$name" "$release")
            step "$name: ${#chosen[@]} tests in namespaces"
            [ ${#chosen[@]} -gt 0 ] || continue
            for test in "${chosen[@]}"; do rm -f "$cache/result/$name/netns.$test.json"; done
            if [ "$kernel" = own ]; then netns_own "$release"; else netns_vm "$name" "$release" "$kernel"; fi
            ended "$name" "${chosen[@]}"
            ;;
        system) [ "$kernel" != own ] || system "$release" "$name" || return ;;
        without) [ "$kernel" = own ] || without "$name" "$release" "$kernel" ;;
        *) usage ;;
        esac
    done
}

# counted LOG...: "N passed, N failed, N skipped" of what is kept, and of how many tests that is.
counted() {
    local sum before
    if [ $# -eq 0 ]; then
        echo "not run"
        return
    fi
    sum="$#: $(python3 "$top/tests/support/count.py" "$@" | tail -n 1)"
    before=$(grep -L "\"revision\": \"${facts##* }\"" "$@" | wc -l)
    [ "$before" = 0 ] || sum+="; $before of earlier sources"
    echo "$sum"
}

# What is of both firewalls (drops, firewalls) or of none counts with iptables.
table() {
    local result name facts
    echo "| release, kernel | versions | unit | netns | netns, nftables | system, or without something |"
    echo "|---|---|---|---|---|---|"
    for result in "$cache"/result/*/facts; do
        name=$(basename "${result%/facts}") result=${result%/facts}
        facts=$(cat "$result/facts")
        echo "| $name | $facts | $(counted "$result"/unit.*.json)" \
            "| $(counted "$result"/netns.!(*-nft).json) | $(counted "$result"/netns.*-nft.json)" \
            "| $(counted "$result"/@(system|without).*.json) |"
    done
}

failed=0 machine='' copy=''
trap '[ -z "$machine" ] || kill "$machine" 2>/dev/null; rm -rf "$source" ${copy:+"$copy"}' EXIT
trap 'exit 130' INT TERM HUP
{ # read as a whole: this file, too, may change meanwhile
    for pair; do
        one "$pair" || { failed=1; say "$pair: could not be set up"; }
    done
    table
    python3 "$top/tests/support/count.py" "$cache"/result/*/*.json || failed=1
    exit "$failed"
}
