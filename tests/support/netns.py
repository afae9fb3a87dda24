# SPDX-License-Identifier: GPL-2.0-or-later
"""Network namespaces for tests: a World makes them, and takes all of it away again.

A thread can be in a network namespace of its own (setns(2) works per thread), and a child process
inherits the namespace of the thread that starts it. So nothing here needs `ip netns exec`: a
command, a socket or a read of /proc/sys/net happens `with ns.inside():`.

Names are nsh-PID-N-NAME, PID being the test's; what a killed test has left is swept by the next.
"""

import atexit
import contextlib
import ctypes
import fcntl
import itertools
import os
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

import firewall
import rtnl
import tap

CLONE_NEWNET = 0x40000000
MS_BIND, MNT_DETACH = 0x1000, 2
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
RTM_GETLINK, NLM_F_REQUEST, IFLA_OPERSTATE, IF_OPER_UP = 18, 1, 16, 6
NETNS_DIR = "/run/netns"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
IPV6 = os.path.isdir("/proc/sys/net/ipv6")  # else this kernel has none (ipv6.disable=1)
LINUX = tuple(int(n) for n in re.findall(r"\d+", os.uname().release)[:2])
HOLDS = LINUX >= (5, 12)  # else nobody can own a table, which keeps connections over a flush of nftables

os.umask(0o022)  # netshared refuses files that others may write
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count(1)
_worlds = []


class CommandFailed(Exception):
    pass


class NotYet(Exception):
    """wait_until ran out of time."""


def wait_until(predicate, what, timeout=10.0, interval=0.008):
    """Polls until predicate() is true and returns that; a bounded wait, not a pause."""
    end = time.monotonic() + tap.patience(timeout)
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise NotYet("not within %g s: %s" % (timeout, what))
        time.sleep(interval)


def holds_for(predicate, what, seconds):
    """The opposite: fails as soon as predicate() is false within that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        tap.check(predicate(), "did not stay so: " + what)
        time.sleep(0.02)


def _call(name, *args):
    """A function of libc that gives 0 or sets errno."""
    if getattr(_libc, name)(*args) != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, "%s: %s" % (name, os.strerror(errno)))


@contextlib.contextmanager
def _and_back():
    """In the network namespace of before, when all is done."""
    back = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        _call("setns", back, CLONE_NEWNET)
        os.close(back)


def _command(argv, **kwargs):
    result = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            **kwargs)
    return result


class Namespace:
    def __init__(self, world, short):
        self.world = world
        self.short = short
        self.name = "nsh-%d-%d-%s" % (os.getpid(), world.number, short)
        self.path = os.path.join(NETNS_DIR, self.name)
        self._add()
        self.fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        self.firewall = firewall.of(self)
        self._settle_defaults()

    def _add(self):
        """As `ip netns add`; processes are what takes long on a slow machine."""
        if not os.path.ismount(NETNS_DIR):  # one that propagates, which it makes of it
            self.world.host("ip", "netns", "add", self.name)
            return
        os.close(os.open(self.path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0))
        with _and_back():
            _call("unshare", CLONE_NEWNET)
            _call("mount", b"/proc/thread-self/ns/net", self.path.encode(), b"none", MS_BIND, None)

    def _settle_defaults(self):
        """The same start on every machine; and addresses that can be used at once."""
        for key in ("all", "default"):
            self.sysctl("net.ipv4.conf.%s.rp_filter" % key, 0)
        self.sysctl("net.ipv4.ip_forward", 0)
        self.up("lo")
        if not IPV6:
            return
        for key in ("all", "default"):
            self.sysctl("net.ipv6.conf.%s.disable_ipv6" % key, 0)
            self.sysctl("net.ipv6.conf.%s.accept_dad" % key, 0)
        self.sysctl("net.ipv6.conf.default.dad_transmits", 0)
        self.sysctl("net.ipv6.conf.all.forwarding", 0)

    @contextlib.contextmanager
    def inside(self):
        with _and_back():
            _call("setns", self.fd, CLONE_NEWNET)
            yield self

    @property
    def inode(self):
        return os.fstat(self.fd).st_ino

    # -- commands

    def run(self, *argv, check=True, timeout=60, stdin=None, env=None):
        with self.inside():
            result = _command(argv, env=env or self.world.env, timeout=tap.patience(timeout), input=stdin)
        if check and result.returncode != 0:
            raise CommandFailed("%s in %s: exit %d\n%s%s" % (
                " ".join(argv), self.short, result.returncode, result.stdout, result.stderr))
        return result

    def popen(self, argv, env=None, **kwargs):
        """A process that the world ends, at the latest when the test does."""
        guarded = ["setpriv", "--pdeathsig", "KILL"] + list(argv)
        with self.inside():
            process = subprocess.Popen(guarded, env=env or self.world.env, **kwargs)
        self.world.processes.append(process)
        return process

    def ip(self, command, check=True):
        return self.run("ip", *shlex.split(command), check=check).stdout

    def ip_try(self, command):
        """True if it worked."""
        return self.run("ip", *shlex.split(command), check=False).returncode == 0

    def ip_batch(self, lines):
        """Many at once; `ip -batch` takes no -6 in a line, so runs of them get a process each.

        What is of IPv6 is left out where the kernel has none.
        """
        lines = [line for line in lines if IPV6 or "::" not in line]
        for six, run in itertools.groupby(lines, lambda line: line.startswith("-6 ")):
            text = "\n".join(line[3:] if six else line for line in run)
            self.run("ip", *(["-6"] if six else []), "-batch", "-", stdin=text + "\n")

    def flags(self, device, request=SIOCGIFFLAGS, value=0):
        """Of an interface (netdevice(7))."""
        with self.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            answer = fcntl.ioctl(s, request, struct.pack("16sH14x", device.encode(), value))
        return struct.unpack_from("16xH", answer)[0]

    def up(self, device):
        """As `ip link set DEVICE up`."""
        self.flags(device, SIOCSIFFLAGS, self.flags(device) | IFF_UP)

    def operstate(self, device):
        """As the kernel has told it: some time after the peer is up (rtnetlink(7))."""
        with self.inside():
            index = socket.if_nametoindex(device)
        with self.socket(socket.AF_NETLINK, socket.SOCK_RAW) as s:
            s.sendto(struct.pack("=IHHIIBxHiII", 32, RTM_GETLINK, NLM_F_REQUEST, 1, 0, 0, 0, index, 0, 0), (0, 0))
            link = s.recv(1 << 16)
        return dict(rtnl.attribute_list(link[32:]))[IFLA_OPERSTATE][0]

    def stub(self, device, index=None, up=True):
        """An interface that leads nowhere (a veth to itself: not every kernel has dummies)."""
        peer = device[:14] + "x"
        self.ip("link add %s %s type veth peer name %s" % (
            device, "index %s" % index if index else "", peer))
        self.up(peer)
        if up:
            self.up(device)

    def settled(self, device):
        """It is up, and its IPv6 addresses, one link-local at least, can be used.

        Until then the kernel announces changes that nobody asks for.
        """
        if not IPV6:
            return True
        if self.operstate(device) != IF_OPER_UP:
            return False
        with self.inside():
            with open("/proc/thread-self/net/if_inet6") as f:
                addresses = {words[0] for words in map(str.split, f) if words[-1] == device}
            with open("/proc/thread-self/net/ipv6_route") as f:
                local = {words[0] for words in map(str.split, f) if words[1] == "80"}
        return any(a.startswith("fe80") for a in addresses) and addresses <= local

    def iptables(self, command, family=4, check=True):
        program = "iptables-legacy" if family == 4 else "ip6tables-legacy"
        return self.run(program, "-w", "5", *shlex.split(command), check=check).stdout

    def iptables_save(self, family=4, counters=False):
        """Without the counters of chain policies: the kernel's own packets move those."""
        program = "iptables-legacy-save" if family == 4 else "ip6tables-legacy-save"
        text = self.run(program, *(["-c"] if counters else [])).stdout
        return [re.sub(r"^(:.*) \[\d+:\d+\]$", r"\1", line) for line in text.splitlines()
                if not line.startswith("#")]

    def nft_ruleset(self, counters=False):
        """Each line with its table and chain before it.

        Without the table that comes and goes with a daemon.
        """
        lines, table, chain = [], "", ""
        for line in self.run("nft", *([] if counters else ["-s"]), "list",
                             "ruleset").stdout.splitlines():
            if line.startswith("table "):
                table, chain = line.rstrip(" {"), ""
            elif line.startswith("\t") and line[1] not in "\t}":
                chain = line.strip(" {\t")
            if " netshared-hold" not in table:
                lines.append(" ".join([table, chain, line.strip()]))
        return lines

    def nat_ours(self, family=4):
        """Every line that has to do with netshared, in the firewall the script runs on."""
        return self.firewall.ours(family)

    def nat_packets(self, family=4):
        """Packets counted by each rule in our chains for NAT."""
        return self.firewall.packets(family)

    def tables_in_use(self, family=4):
        """The legacy tables that exist here; asking does not bring one into being."""
        name = "ip_tables_names" if family == 4 else "ip6_tables_names"
        return self.run("cat", "/proc/self/net/" + name, check=False).stdout.split()

    # -- what is

    def routes(self, family=4, proto="110", table="all", prefix=None):
        """Lines of `ip -N route`, numbers where there could be names.

        The protocol is not given to `ip`, which then would not print it; 3 it never prints.
        """
        argv = ["ip", "-N", "-o", "-%d" % family, "route", "show"]
        argv += [prefix] if prefix else []
        text = self.run(*argv, "table", table, check=False).stdout  # an empty table is no error
        text = re.sub(r" expires \d+sec", "", text.replace("\\", " "))
        lines = [" ".join(line.split()) for line in text.splitlines()]
        if proto is None:
            return lines
        return [line for line in lines
                if (re.search(r" proto (\d+)", line) or [0, "3"])[1] == str(proto)]

    def routes_but_local(self, family=4):
        return [line for line in self.routes(family, proto=None) if " table 255 " not in line]

    def has_route(self, start, family=4, proto="110", table="all"):
        """`start` is how the line begins: "10.20.0.0/16 via 192.0.2.2 dev eth1"."""
        return any((line + " ").startswith(start + " ")
                   for line in self.routes(family, proto, table))

    def nat(self, family=4, table="nat"):
        return self.iptables("-t %s -S" % table, family).splitlines()

    def sysctl(self, key, value=None):
        path = "/proc/sys/" + key.replace(".", "/")
        with self.inside():
            if value is None:
                with open(path) as f:
                    return f.read().strip()
            with open(path, "w") as f:
                f.write(str(value))
        return None

    def socket(self, family, kind, proto=0):
        """A socket that lives in this namespace, whoever uses it."""
        with self.inside():
            return socket.socket(family, kind | socket.SOCK_CLOEXEC, proto)

    def snapshot(self, counters=False):
        """All that an administrator could have put here, as text to compare."""
        state = {}
        for family in (4, 6):
            # Without the local table: the kernel keeps that by itself.
            state["routes%d" % family] = self.routes_but_local(family)
            state["rules%d" % family] = self.ip("-N -%d rule show" % family).splitlines()
            for table in ("nat", "raw", "filter", "mangle"):  # else a first look makes it differ
                self.iptables("-t %s -S" % table, family)
            state["iptables%d" % family] = self.iptables_save(family, counters)
        state["nftables"] = self.nft_ruleset(counters)
        state["ip_forward"] = self.sysctl("net.ipv4.ip_forward")
        state["forwarding6"] = self.sysctl("net.ipv6.conf.all.forwarding")
        with self.inside():
            devices = sorted(name for _, name in socket.if_nameindex())
        for device in devices:
            state["accept_ra " + device] = self.sysctl("net.ipv6.conf.%s.accept_ra" % device)
        return state

    def delete(self):
        os.close(self.fd)
        with contextlib.suppress(OSError):
            _call("umount2", self.path.encode(), MNT_DETACH)
            os.unlink(self.path)


def differences(before, after):
    """What differs between two snapshots, in words; empty when nothing does."""
    lines = []
    for key in sorted(set(before) | set(after)):
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if not isinstance(old, list) or not isinstance(new, list):
            lines.append("%s: %r became %r" % (key, old, new))
            continue
        lines += ["%s: - %s" % (key, line) for line in old if line not in new]
        lines += ["%s: + %s" % (key, line) for line in new if line not in old]
        if not any(line.startswith(key + ":") for line in lines):
            lines.append(key + ": another order or number of the same lines")
    return "\n".join(lines)


class World:
    """Namespaces, processes and a private directory, gone at the end whatever happens.

    The xtables lock is private too: worlds never wait for each other.
    """

    def __init__(self):
        sweep()
        self.number = next(_numbers)
        self.directory = tempfile.mkdtemp(prefix="nsh-", dir="/run")
        self.env = {"PATH": PATH, "LC_ALL": "C.UTF-8",
                    "XTABLES_LOCKFILE": os.path.join(self.directory, "xtables.lock")}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.namespaces = []
        self.processes = []
        self.daemons = []
        self.closing = []  # called at the end
        self.open = True
        _worlds.append(self)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None and not issubclass(kind, (tap.Skip, SystemExit)):
            self.diagnose()
        self.close()
        if kind is None:
            for daemon in self.daemons:
                daemon.check_sanitizers()

    def host(self, *argv):
        result = _command(argv, env=self.env)
        if result.returncode != 0:
            raise CommandFailed("%s: %s" % (" ".join(argv), result.stderr))
        return result.stdout

    def ns(self, short):
        namespace = Namespace(self, short)
        self.namespaces.append(namespace)
        return namespace

    def veth(self, a, a_dev, b, b_dev):
        a.ip("link add %s type veth peer name %s netns %s" % (a_dev, b_dev, b.name))
        for ns, dev in ((a, a_dev), (b, b_dev)):
            ns.up(dev)
        for ns, dev in ((a, a_dev), (b, b_dev)):
            wait_until(lambda ns=ns, dev=dev: ns.settled(dev), dev + " has settled")

    def diagnose(self):
        for daemon in self.daemons:
            tap.diag("---- log of netshared in " + daemon.ns.short)
            lines = daemon.log_lines()
            if len(lines) > 120:
                lines = lines[:60] + ["... %d more ..." % (len(lines) - 120)] + lines[-60:]
            tap.diag("\n".join(lines))
            tap.diag("---- what is in " + daemon.ns.short)
            with contextlib.suppress(Exception):
                tap.diag("\n".join(daemon.ns.ip("-br addr").splitlines()))
                for family in (4, 6):
                    lines = daemon.ns.routes(family, proto=None, table="main")
                    tap.diag("\n".join(lines[:30]))
                    tap.diag("\n".join(daemon.ns.nat(family)[:40]))

    def close(self):
        if not self.open:
            return
        self.open = False
        for function in reversed(self.closing):
            with contextlib.suppress(Exception):
                function()
        for process in self.processes:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGCONT)
                    process.kill()
                process.wait()
        for namespace in self.namespaces:
            namespace.delete()
        shutil.rmtree(self.directory, ignore_errors=True)


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def sweep():
    """Takes away namespaces of tests that were killed."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(NETNS_DIR):
            match = re.fullmatch(r"nsh-(\d+)-\d+-[a-z0-9]+", name)
            if match and not _alive(int(match.group(1))):
                subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL,
                               check=False)


@atexit.register
def _close_all():
    for world in _worlds:
        world.close()


def netshared_binary():
    default = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                           "../../build/daemon/netshared")
    path = os.path.abspath(os.environ.get("NETSHARED", default))
    if not os.access(path, os.X_OK):
        print("Bail out! no netshared at %s (set NETSHARED)" % path)
        sys.exit(1)
    return path
