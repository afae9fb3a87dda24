# SPDX-License-Identifier: GPL-2.0-or-later
"""Run by the unit in place of the daemon: tries what must be refused, and what must work.

sandbox.py RIGHTS (the capabilities that it is to have, as in /proc/PID/status). Each try is
harmless where it is not refused, and in a process of its own. A line for each that went the other
way; the exit code is 1 if there is one.

What is not there was refused only if it is there for others: `sandbox.py outside`, run by root
outside of the unit, tells what is, and makes what anyone could write to but for the sandbox. Of the
rest it is said that it was not tried, and only some may be missing.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import socket
import sys

REFUSED = (errno.EPERM, errno.EACCES, errno.EROFS, errno.EAFNOSUPPORT)
OUTSIDE = "/run/sandbox.outside"
NEW_USER = 0x10000000
TRUNCATE_NOTHING = os.O_WRONLY | os.O_NOCTTY
CALLS = {  # numbers on x86_64 and aarch64, and arguments that do nothing
    "ptrace": (101, 117, 1, 1, 0, 0), "process_vm_readv": (310, 270, 1, 0, 0, 0, 0, 0),
    "process_vm_writev": (311, 271, 1, 0, 0, 0, 0, 0),
    "pidfd_getfd": (438, 438, -1, 0, 0), "kcmp": (312, 272, 1, 1, 0, 0, 0),
    "mount": (165, 40, 0, 0, 0, 0, 0), "pivot_root": (155, 41, 0, 0), "chroot": (161, 51, 0),
    "unshare": (272, 97, NEW_USER), "setns": (308, 268, -1, NEW_USER),
    "kexec_load": (246, 104, 0, 0, 0, 0), "reboot": (169, 142, 0, 0, 0, 0),
    "init_module": (175, 105, 0, 0, 0), "finit_module": (313, 273, -1, 0, 0),
    "bpf": (321, 280, 0, 0, 0), "perf_event_open": (298, 241, 0, 0, 0, -1, 0),
    "keyctl": (250, 219, 0, -3, 0), "add_key": (248, 217, 0, 0, 0, 0, 0),
    "swapon": (167, 224, 0, 0), "settimeofday": (164, 170, 0, 0), "acct": (163, 89, 0),
    "open_by_handle_at": (304, 265, -1, 0, 0), "personality": (135, 92, 8)}
FOR_ALL = tuple(d + "/sandbox-open" for d in ("/etc", "/usr", "/run", "/var", "/home"))
DEVICE = "/dev/sandbox-probe"  # a file that stands for all devices that there are
WRITTEN = FOR_ALL + ("/etc", "/usr", "/run", "/var", "/home", "/root", "/boot", "/sys/kernel",
           "/proc/1/root/etc", "/proc/1/root/run")
OPENED = ("/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/1/mem", "/proc/self/mem",
          "/etc/netshared.yaml", "/run/xtables.lock", "/dev/mem", "/dev/kmsg", "/dev/sda",
          "/dev/vda", "/dev/net/tun", "/sys/kernel/uevent_helper",
          DEVICE)
LISTED = ("/home", "/root", "/proc/1/root/root")
MAY_BE_MISSING = ("/proc/sysrq-trigger", "/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda",
                  "/dev/net/tun", "/sys/kernel/uevent_helper", "/boot")

libc = ctypes.CDLL(None, use_errno=True)


def system_call(x86_64, aarch64, *arguments):
    number = {"x86_64": x86_64, "aarch64": aarch64}[platform.machine()]
    if libc.syscall(number, *(ctypes.c_long(a) for a in arguments)) < 0:
        raise OSError(ctypes.get_errno(), "syscall")


def make_file(directory):
    path = os.path.join(directory, "sandbox-probe")
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.unlink(path)


def open_file(path, flags=TRUNCATE_NOTHING):
    os.close(os.open(path, flags))


def make_socket(*how):
    socket.socket(*how).close()


def more_rights():
    """CAP_SYS_ADMIN, as capset(2) is asked for it."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    if libc.capget(header, data) < 0:
        raise OSError(ctypes.get_errno(), "capget")
    data[0] |= 1 << 21
    data[1] |= 1 << 21
    if libc.capset(header, data) < 0:
        raise OSError(ctypes.get_errno(), "capset")


def write_same(path):
    with open(path, encoding="ascii") as f:
        text = f.read()
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def take_lock(path):
    fd = os.open(path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(fd)


def refused():
    own = os.path.join(os.environ["STATE_DIRECTORY"], "probe")
    os.close(os.open(own, os.O_WRONLY | os.O_CREAT, 0o600))
    for name, (*call,) in CALLS.items():
        yield name, lambda call=call: system_call(*call)
    for path in WRITTEN:
        yield "a file in " + path, lambda path=path: make_file(path)
    for path in OPENED:
        yield "to write " + path, lambda path=path: open_file(path)
    for path in LISTED:
        yield "to list " + path, lambda path=path: os.listdir(path)
    yield "to read /etc/shadow", lambda: open_file("/etc/shadow", os.O_RDONLY)
    for family in ("AF_PACKET", "AF_VSOCK", "AF_ALG", "AF_KEY"):
        number = getattr(socket, family, 15)
        yield family, lambda number=number: make_socket(number, socket.SOCK_RAW)
    yield "chown", lambda: os.chown(own, 0, 0)
    yield "a set-user-id file", lambda: os.chmod(own, 0o4755)
    yield "to be root", lambda: os.setuid(0)
    yield "more rights", more_rights
    yield "to be real-time", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    yield "memory to write and execute", lambda: mmap.mmap(-1, 4096, prot=7)
    yield "a signal to the first process", lambda: os.kill(1, 0)


def allowed():
    for name, protocol in (("route", 0), ("netfilter", 12), ("xfrm", 6)):
        yield "netlink " + name, lambda protocol=protocol: make_socket(
            socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    yield "ICMP", lambda: make_socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    yield "ICMPv6", lambda: make_socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    yield "forwarding", lambda: write_same("/proc/sys/net/ipv4/ip_forward")
    yield "the lock of iptables", lambda: take_lock("/run/xtables.lock")
    for variable in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY"):
        yield variable, lambda variable=variable: make_file(os.environ[variable])


def error_of(attempt):
    """What a process of its own meets: what is let through may change it."""
    child = os.fork()
    if child == 0:
        try:
            attempt()
        except OSError as e:
            os._exit(e.errno)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def rights(pid):
    """{set: capabilities}: CapInh, CapPrm, CapEff, CapBnd, CapAmb."""
    with open("/proc/%s/status" % pid, encoding="ascii") as f:
        return {line.split()[0]: int(line.split()[1], 16) for line in f if line.startswith("Cap")}


def wrong_rights(wanted):
    """A container may have fewer to give."""
    expected = int(wanted, 16) & rights(1)["CapBnd:"]
    for name, has in rights("self").items():
        if has != expected:
            yield "other rights than %s: %s %x" % (wanted, name, has)


def not_refused():
    with open(OUTSIDE, encoding="ascii") as f:
        outside = f.read().split()
    for name, attempt in refused():
        error, path = error_of(attempt), name.split()[-1]
        if error == errno.ENOENT and path not in outside and path in MAY_BE_MISSING:
            print("not tried, as it is not there: " + name)
        elif error not in REFUSED and not (error == errno.ENOENT and path in outside):
            yield "not refused: %s (%s)" % (name, os.strerror(error))


def outside():
    for path in FOR_ALL:
        os.makedirs(path, exist_ok=True)
        os.chmod(path, 0o1777)
    with open(DEVICE, "w", encoding="ascii"):
        os.chmod(DEVICE, 0o666)
    with open(OUTSIDE, "w", encoding="ascii") as f:
        f.writelines(p + "\n" for p in WRITTEN + OPENED + LISTED if os.path.exists(p))


def main():
    wrong = list(wrong_rights(sys.argv[1])) + list(not_refused())
    for name, attempt in allowed():
        error = error_of(attempt)
        if error != 0:
            wrong.append("refused: %s (%s)" % (name, os.strerror(error)))
    os.unlink(os.path.join(os.environ["STATE_DIRECTORY"], "probe"))
    print("\n".join(wrong) or "as it should be", flush=True)
    return 1 if wrong else 0


sys.exit(outside() if sys.argv[1] == "outside" else main())
