#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# boot-vm.sh [-t SECONDS] [-m MIB] [-p CPUS] [-b SOURCE:TARGET]... [-x PATH]... [-n MODULE]...
#     [-a WORDS] KERNEL ROOT -- COMMAND [ARGUMENT...]
#
# Boots another kernel in a throw-away machine (qemu, plain emulation: no KVM is needed), runs one
# command in it, streams its output, and leaves nothing behind. For what this machine's own kernel
# does not have; by hand, it is no part of the tests.
#
#   KERNEL  an unpacked linux-image package
#   ROOT    a folder with what the command needs: bash, kmod, util-linux, a libc (mmdebstrap makes
#           one); it is copied into the machine's memory
#   -t      limit for all of it (default 300)
#   -m      memory (default 3072)
#   -p      processors (default 2)
#   -b      a folder that is copied, too
#   -x      what is left out of the root (/usr/include)
#   -n      a module that this kernel is not to have (ip_tables)
#   -a      more words on the kernel's command line
#
# Exit code: the command's; 124 out of time; 125 it never ran.
set -u -o pipefail
limit=300 memory=3072 processors=2 binds=() left_out=() hidden=() words=
while getopts t:m:p:b:x:n:a: option; do
    case $option in
    t) limit=$OPTARG ;;
    m) memory=$OPTARG ;;
    p) processors=$OPTARG ;;
    b) binds+=("$OPTARG") ;;
    x) left_out+=(-path ".$OPTARG" -prune -o) ;;
    n) hidden+=("$OPTARG") ;;
    a) words=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
if [ $# -lt 4 ] || [ "$3" != -- ]; then
    sed -n 3,22p "$0" >&2
    exit 2
fi
kernel=$1 root=$2
shift 3

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 125
}

for tool in qemu-system-x86_64 cpio depmod; do
    command -v "$tool" >/dev/null || die "needs $tool (packages qemu-system-x86, cpio, kmod)"
done
image=$(find "$kernel"/boot "$kernel"/usr/lib/modules -name 'vmlinuz*' 2>/dev/null | head -n 1)
modules=$(find "$kernel"/lib/modules "$kernel"/usr/lib/modules -mindepth 1 -maxdepth 1 2>/dev/null |
    head -n 1)
if [ -z "$image" ] || [ -z "$modules" ]; then
    die "no kernel and modules in $kernel"
fi

work=$(mktemp -d /tmp/netshared-vm.XXXXXX) || exit 125
machine='' tail=''
clean() {
    [ -z "$machine" ] || kill -KILL "$machine" 2>/dev/null
    [ -z "$tail" ] || kill "$tail" 2>/dev/null
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

# What goes on top of the root: modules of networks alone, folders to show, the first process.
top=$work/top version=${modules##*/}
mkdir -p "$top/usr/lib/modules/$version/kernel" "$top/proc" "$top/sys" "$top/dev"
for part in net lib crypto drivers/net fs/overlayfs; do
    [ -d "$modules/kernel/$part" ] || continue
    mkdir -p "$top/usr/lib/modules/$version/kernel/$part"
    cp -a "$modules/kernel/$part/." "$top/usr/lib/modules/$version/kernel/$part"
done
rm -rf "$top/usr/lib/modules/$version"/kernel/drivers/net/{ethernet,wireless,usb,can,phy} # cards
for module in ${hidden[@]+"${hidden[@]}"}; do
    find "$top/usr/lib/modules" -name "$module.ko*" -delete
done
cp "$modules"/modules.{order,builtin,builtin.modinfo} "$top/usr/lib/modules/$version" 2>/dev/null
depmod -b "$top/usr" "$version" 2>/dev/null || depmod -b "$top" "$version" || die "depmod failed"
for bind in ${binds[@]+"${binds[@]}"}; do
    mkdir -p "$top${bind#*:}"
    cp -a "${bind%%:*}/." "$top${bind#*:}" || exit 125
done
{
    echo '#!/bin/bash'
    printf 'exec'
    printf ' %q' "$@"
    echo
} >"$top/command"
cat >"$top/init" <<'EOF'
#!/bin/bash
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mkdir -p /dev/pts /run /tmp
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
[ -e /lib/modules ] || ln -s /usr/lib/modules /lib/modules # where / and /usr are not one
echo /sbin/modprobe >/proc/sys/kernel/modprobe
ip link set lo up
stty -F /dev/ttyS1 raw -echo
cd /
setsid bash /command </dev/null >/dev/ttyS1 2>&1
echo "$?" >/dev/ttyS2
sleep 0.2
echo o >/proc/sysrq-trigger
sleep 60
EOF
chmod 755 "$top/init" "$top/command"
# A later archive is unpacked over an earlier one.
{
    (cd "$root" && find . -xdev -path ./proc -prune -o -path ./sys -prune -o -path ./dev -prune \
        -o -path ./var/cache -prune -o -path ./usr/share/doc -prune -o \
        ${left_out[@]+"${left_out[@]}"} -print | cpio -o -H newc --quiet)
    (cd "$top" && find . | cpio -o -H newc --quiet)
} >"$work/initrd" || die "cpio failed"

: >"$work/out"
# norandmaps: what was translated for one process serves the next. rcu_expedited: a namespace ends at once.
qemu-system-x86_64 -M pc,usb=off,hpet=off -accel tcg,thread=multi -cpu max,-la57 -smp "$processors" \
    -m "$memory" -display none -vga none -nodefaults -no-reboot -nic none \
    -kernel "$image" -initrd "$work/initrd" -append \
    "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable no_timer_check random.trust_cpu=on norandmaps rcupdate.rcu_expedited=1 rdinit=/init $words" \
    -serial "file:$work/console" -serial "file:$work/out" -serial "file:$work/code" \
    </dev/null >"$work/qemu.log" 2>&1 &
machine=$!
tail -n +1 -s 0.2 -F --pid="$machine" "$work/out" 2>/dev/null &
tail=$!
code=
while kill -0 "$machine" 2>/dev/null; do
    if [ "$SECONDS" -ge "$limit" ]; then
        printf '%s: not within %s seconds\n' "${0##*/}" "$limit" >&2
        code=124
        kill -KILL "$machine"
        break
    fi
    sleep 0.2
done
wait "$machine" 2>/dev/null
machine=''
wait "$tail" 2>/dev/null
tail=''
[ -n "$code" ] || code=$(tr -dc 0-9 <"$work/code")
[ -n "$code" ] || { code=125; printf '%s: the command never ran\n' "${0##*/}" >&2; }
case $code in 124 | 125) tail -n 30 "$work/console" "$work/qemu.log" >&2 ;; esac
exit "$code"
