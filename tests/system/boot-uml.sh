#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# boot-uml.sh [-t SECONDS] [-m MIB] [-b SOURCE:TARGET]... [-n MODULE]... [-a WORDS] KERNEL ROOT --
#     COMMAND [ARGUMENT...]
#
# As boot-vm.sh, with a kernel that is built to run as a process (user-mode Linux): the same code of
# networks, firewalls and processes, but one processor, and clock ticks of 10 ms. What computes is as fast as
# outside, a system call or a new process about ten times slower. As root.
#
#   KERNEL  what make-uml.sh has made, or an unpacked package user-mode-linux
#   ROOT    a folder with what the command needs (boot-vm.sh); the kernel runs with its libc, too.
#           Nothing of it is changed: what is written is in the machine's memory
#   -t      limit for all of it (default 300)
#   -m      memory (default 2048)
#   -b      a folder that is shown as well, likewise never changed
#   -n      a module that this kernel is not to have (ip_tables)
#   -a      more words on the kernel's command line
#
# Exit code: the command's; 124 out of time; 125 it never ran.
set -u -o pipefail
limit=300 memory=2048 binds=() hidden=() words=()
while getopts t:m:b:n:a: option; do
    case $option in
    t) limit=$OPTARG ;;
    m) memory=$OPTARG ;;
    b) binds+=("$OPTARG") ;;
    n) hidden+=("$OPTARG") ;;
    a) read -ra words <<<"$OPTARG" ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
if [ $# -lt 4 ] || [ "$3" != -- ]; then
    sed -n 3,19p "$0" >&2
    exit 2
fi
kernel=$1 root=$2
shift 3

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 125
}

[ -x "$kernel/usr/bin/linux.uml" ] || die "no usr/bin/linux.uml in $kernel"
modules=$(find "$kernel/usr/lib/uml/modules" -mindepth 1 -maxdepth 1 | head -n 1)
work=$(mktemp -d /tmp/netshared-uml.XXXXXX) || exit 125
machine=''
clean() {
    [ -z "$machine" ] || kill -KILL "$machine" 2>/dev/null # unshare(1) ends by nothing less, and all with it
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

# What goes on top of the root: the kernel and its modules, folders to show, the first process.
top=$work/top
mkdir -p "$top"/{usr/lib/modules,uml} &&
    cp -a "$modules" "$top/usr/lib/modules" && cp "$kernel/usr/bin/linux.uml" "$top/uml" || exit 125
for module in ${hidden[@]+"${hidden[@]}"}; do
    find "$top/usr/lib/modules" -name "$module.ko*" -delete
done
depmod -b "$top/usr" "${modules##*/}" 2>/dev/null || depmod -b "$top" "${modules##*/}" || die "depmod failed"
for bind in ${binds[@]+"${binds[@]}"}; do
    mkdir -p "$top${bind#*:}"
    cp -a "${bind%%:*}/." "$top${bind#*:}" || exit 125
done
{
    echo '#!/bin/bash'
    printf 'exec'
    printf ' %q' "$@"
    echo
} >"$top/uml/command"
# The root is a file system of the host and slow at what is new; so the machine's own goes over it.
cat >"$top/uml/first" <<'EOF'
#!/bin/bash
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
mount -t proc proc /proc
[ -e /lib/modules ] || ln -s /usr/lib/modules /lib/modules # where / and /usr are not one
/sbin/modprobe overlay
mount -t tmpfs tmpfs /mnt
mkdir /mnt/{upper,work,root}
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
chroot /mnt/root /bin/true || mount --bind / /mnt/root # 5.10 has no working overlay of a hostfs
# A / of its own, not chroot alone: tests enter the mount namespaces of what they start.
cd /mnt/root && mount --move . / || exit
exec chroot . /uml/init
EOF
cat >"$top/uml/init" <<'EOF'
#!/bin/bash
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
[ -e /dev/stdout ] || { ln -s fd/0 /dev/stdin; ln -s fd/1 /dev/stdout; ln -s fd/2 /dev/stderr; }
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
echo /sbin/modprobe >/proc/sys/kernel/modprobe
ip link set lo up
stty -F /dev/ttyS0 raw -echo
stty -F /dev/ttyS1 raw -echo
cd /
setsid bash /uml/command </dev/null >/dev/ttyS0 2>&1
echo "$?" >/dev/ttyS1
sleep 0.2
echo o >/proc/sysrq-trigger
sleep 60
EOF
chmod 755 "$top"/uml/{first,init,command}

# A / of its own, under which the release's libc is the libc.
script='root=$1 top=$2; shift 2
    mount -t tmpfs tmpfs "$top.mnt" && mkdir "$top.mnt"/{upper,work,root} &&
        mount -t overlay -o "lowerdir=$top:$root,upperdir=$top.mnt/upper,workdir=$top.mnt/work" overlay \
            "$top.mnt/root" && cd "$top.mnt/root" || exit 125
    mkdir -p proc dev tmp run mnt sys
    mount -t proc proc proc && mount --rbind /dev dev && mount -t tmpfs tmpfs tmp && pivot_root . mnt &&
        umount -l /mnt || exit 125
    export TMPDIR=/tmp HOME=/tmp
    exec 4> >(cat >&9) 5> >(cat >&8)
    chroot . /uml/linux.uml "$@" 4>&4 5>&5 </dev/null >&7 2>&1 & wait $!'
mkdir "$work/top.mnt"
: >"$work/code"
unshare --mount --pid --fork --kill-child --propagation private --net -- timeout -k 5 "$limit" \
    bash -c "$script" uml "$root" "$top" "mem=${memory}M" rootfstype=hostfs root=/dev/root rw \
    init=/uml/first con=null con0=null,fd:1 ssl=null ssl0=null,fd:4 ssl1=null,fd:5 seccomp=auto rcupdate.rcu_expedited=1 \
    ${words[@]+"${words[@]}"} 9>&1 8>"$work/code" 7>"$work/console" &
machine=$!
wait "$machine"
result=$?
machine=
code=$(tr -dc 0-9 <"$work/code")
if [ -z "$code" ]; then
    if [ "$result" = 124 ]; then
        code=124
        printf '%s: not within %s seconds\n' "${0##*/}" "$limit" >&2
    else
        code=125
        printf '%s: the command never ran\n' "${0##*/}" >&2
    fi
    tail -n 30 "$work/console" >&2
fi
exit "$code"
