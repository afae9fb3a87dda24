#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# boot-systemd.sh [-t SECONDS] [-r ROOT] [-b SOURCE:TARGET]... -- COMMAND [ARGUMENT...]
#
# Boots a throw-away container with a real systemd as PID 1, runs one command in it as a service,
# streams its output, and leaves nothing behind. The container's root is this machine's own /, or
# another, under an overlay on a tmpfs: never written. It has a network of its own, and no way out.
#
#   -t    limit for boot, command and shutdown together (default 120)
#   -r    a folder with another release (default /)
#   -b    a folder to show inside, read-only
#
# Exit code: the command's (128+N when a signal ended it); 124 out of time; 125 it never ran.
set -u
limit=120 lower=/ binds=()
while getopts t:r:b: option; do
    case $option in
    t) limit=$OPTARG ;;
    r) lower=$OPTARG ;;
    b) binds+=("$OPTARG") ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || exit 2

# A mount namespace of our own: overlay and binds vanish with it, however this ends.
if [ -z "${NSH_BOOT_INNER:-}" ]; then
    arguments=(-t "$limit" -r "$lower")
    for bind in ${binds[@]+"${binds[@]}"}; do
        arguments+=(-b "$bind")
    done
    NSH_BOOT_INNER=1 exec unshare --mount --propagation private -- \
        "$0" "${arguments[@]}" -- "$@"
fi
unset NSH_BOOT_INNER

name=netshared-test-$$
scratch=$(mktemp -d /tmp/netshared-boot.XXXXXX) || exit 125
container='' tail=''

# The container's cgroups: version 1 hosts with systemd's own hierarchy, mixed ones, version 2.
if [ -d /sys/fs/cgroup/unified ]; then
    cgroups=("/sys/fs/cgroup/systemd/$name" "/sys/fs/cgroup/unified/$name")
elif [ -f /sys/fs/cgroup/cgroup.procs ]; then
    cgroups=("/sys/fs/cgroup/$name")
else
    cgroups=("/sys/fs/cgroup/systemd/$name")
fi

# The container and what is left in its cgroups; nothing else can be there.
kill_inside() {
    local group process
    [ -z "$container" ] || kill -KILL "$container" 2>/dev/null
    for group in "${cgroups[@]}"; do
        [ -d "$group" ] || continue
        while read -r process; do
            kill -KILL "$process" 2>/dev/null
        done < <(find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null)
    done
}

remove_cgroups() {
    local group
    for group in "${cgroups[@]}"; do
        [ -d "$group" ] || continue
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
        [ ! -d "$group" ] || return 1
    done
}

cleanup() {
    trap - EXIT INT TERM HUP
    local try
    kill_inside
    [ -z "$tail" ] || kill "$tail" 2>/dev/null
    for try in {1..50}; do
        remove_cgroups && break
        kill_inside
        sleep 0.1
    done
    [ "$try" -lt 50 ] || echo "boot-systemd: cgroups left behind: ${cgroups[*]}" >&2
    umount -l "$scratch/root" "$scratch/upper" 2>/dev/null
    rm -rf --one-file-system "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

fail() {
    echo "boot-systemd: $*" >&2
    exit 125
}

# The root: what is written goes to a tmpfs.
mkdir -p "$scratch"/{upper,root,io}
mount -t tmpfs -o size=1g,mode=755 tmpfs "$scratch/upper" || fail "cannot mount a tmpfs"
mkdir -m 755 "$scratch"/upper/{files,work}
mount -t overlay -o "lowerdir=$lower,upperdir=$scratch/upper/files,workdir=$scratch/upper/work" \
    overlay "$scratch/root" || fail "cannot mount an overlay"
root=$scratch/root units=$scratch/root/etc/systemd/system
mkdir -p "$root/boot-io" "$root/run" "$root/tmp" "$units" "$root/etc/systemd/journald.conf.d"
: >"$root/etc/machine-id"
: >"$root/etc/fstab"
rm -rf "$root/var/log/journal"
printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n' \
    >"$root/etc/systemd/journald.conf.d/netshared-test.conf"

# The command, its service, and a target that starts little else.
{
    printf '#!/bin/bash\nexport HOME=/root PATH=%q\ncd /\nexec' "$PATH"
    printf ' %q' "$@"
    echo
} >"$scratch/io/command"
chmod 755 "$scratch/io/command"
: >"$scratch/io/out"
cat >"$units/netshared-test.service" <<'UNIT'
[Unit]
Requires=dbus.socket
After=basic.target dbus.socket
[Service]
# exec: as a oneshot the start job would stay, and the boot never be over.
Type=exec
StandardInput=null
StandardOutput=append:/boot-io/out
StandardError=append:/boot-io/out
ExecStart=/boot-io/command
# EXIT_STATUS: the command's code, or a signal's name
ExecStopPost=/bin/sh -c 'echo "$EXIT_STATUS" >/boot-io/code; systemctl --no-block --force exit'
UNIT
printf '[Unit]\nRequires=basic.target\nWants=netshared-test.service\n' >"$units/netshared-test.target"
# They need hardware, a console or the network, or are slow; none is under test.
for unit in systemd-{udevd,udev-trigger,networkd,networkd-wait-online,resolved,firstboot}.service \
    systemd-{logind,journal-flush,update-utmp,update-done,hwdb-update}.service \
    systemd-journal-catalog-update.service systemd-udevd-{control,kernel}.socket \
    ldconfig.service getty.target console-getty.service tmp.mount; do
    ln -sfn /dev/null "$units/$unit"
done

for group in "${cgroups[@]}"; do
    mkdir "$group" || fail "cannot make the cgroup $group"
done
mkdir -p /run/systemd/nspawn
mount -t tmpfs -o mode=755 tmpfs /run/systemd/nspawn || fail "cannot mount a tmpfs"
(
    for group in "${cgroups[@]}"; do
        echo 0 >"$group/cgroup.procs"
    done
    bind_arguments=(--bind="$scratch/io:/boot-io")
    for bind in ${binds[@]+"${binds[@]}"}; do
        bind_arguments+=(--bind-ro="$bind")
    done
    export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_LOCK=0
    exec setpriv --pdeathsig KILL systemd-nspawn --quiet --register=no --keep-unit \
        --private-network --machine="$name" --directory="$root" --link-journal=no \
        --resolv-conf=off --timezone=off --console=pipe "${bind_arguments[@]}" \
        --boot -- --unit=netshared-test.target --show-status=no
) </dev/null >"$scratch/nspawn.log" 2>&1 &
container=$!
tail -n +1 -s 0.1 -F --pid=$container "$scratch/io/out" 2>/dev/null &
tail=$!

end=$((SECONDS + limit)) code=''
while kill -0 $container 2>/dev/null; do
    if [ $SECONDS -ge $end ]; then
        code=124
        echo "boot-systemd: not over after ${limit}s" >&2
        kill_inside
        break
    fi
    sleep 0.1
done
wait $container 2>/dev/null
container=''
wait $tail 2>/dev/null
tail=''
[ -n "$code" ] || code=$(cat "$scratch/io/code" 2>/dev/null)
case $code in
'') code=125 && echo "boot-systemd: the container ended before the command ran" >&2 ;;
*[!0-9]*) code=$((128 + $(kill -l "$code"))) ;;
esac
case $code in
124 | 125) tail -n 20 "$scratch/nspawn.log" >&2 ;;
esac
exit "$code"
