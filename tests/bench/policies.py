# SPDX-License-Identifier: GPL-2.0-or-later
"""netshared with ten thousand policies, and large sets, on both firewalls. No test: it measures.

    sudo NETSHARED=build/daemon/netshared NSH_PACKETS=build/tests/packets \\
        python3 tests/bench/policies.py [--policies N] [--prefixes N] [--rounds N] [--only ROW,...]
        [--firewall NAME]

or `sudo meson test -C build --benchmark policies`. It works in network namespaces of its own. The
floor is the firewall's own program with the very same rules, as its listing shows them:
`iptables-legacy-restore`, `nft -f`. What is compared is measured in turn, round after round; a
ratio is the median of those of the rounds. The last line is the table as JSON; the exit code is 1
if a target is missed. Besides the packages of the tests it needs strace, which tells how long the
event loop was held and what went to the kernel.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from topology import CLIENT4, CLIENT6, SERVER4, SERVER6, Lan, Router

PACKETS = os.environ.get("NSH_PACKETS") or sys.exit(
    "NSH_PACKETS: where is the program made of packets.c?")
FIREWALLS = ("iptables", "nftables")
HELD, COMMIT, FORWARD = 50, 1.5, 0.9  # ms of the event loop; times the floor; of one prefix's rate
IDLE = 30  # seconds: looks that cost something come seldom
results = []


def note(what, value, unit, target=None, least=False, floor=None):
    missed = target is not None and (value < target if least else value > target)
    results.append({"what": what, "measured": round(value, 4), "unit": unit, "target": target,
                    "floor": floor, "missed": missed})
    print("%-62s %10.3f %-4s %s%s" % (
        what, value, unit, "" if floor is None else "(floor %.3f) " % floor,
        "" if target is None else "%s %s %g" % (
            "MISSED" if missed else "ok:", ">=" if least else "<=", target)), flush=True)


# ---- configurations


def head(firewall, lists="masquerade"):
    return "version: 1\nsettings: {firewall: %s, resync: 1h}\n%s:\n" % (firewall, lists)


def prefix28(n):
    return "10.%d.%d.%d/28" % (n >> 12, n >> 4 & 255, (n & 15) * 16)


def masquerades(count, changed=None):
    return "".join("  - {name: lan-%d, from: [%s], out: [%s]}\n" % (
        n, prefix28(n), "eth0" if n == changed else "eth1") for n in range(count))


def plain(firewall, changed=None):
    return head(firewall) + masquerades(COUNT, changed)


def mixed(firewall, changed=None):
    """Nine parts masquerade, one part port-forwards, and one share."""
    forwards = COUNT // 10
    return (head(firewall) + masquerades(COUNT - forwards - 1, changed) +
            "share:\n  - {name: home, lan: eth0, wan: eth1, family: ipv4}\nport-forwards:\n" +
            "".join("  - {name: web-%d, in: eth1, protocol: tcp, port: %d, to: 10.200.%d.%d,"
                    " to-port: 443}\n" % (n, 10000 + n, n >> 8, n & 255)
                    for n in range(forwards)))


VARIANTS = {"masquerade": plain, "mixed": mixed}


def prefixes4(count):
    """Of four lengths, none in another; the client's own network is one."""
    return ["10.0.0.0/24"] + ["%d.%d.%d.%d/%d" % (
        20 + (n >> 16), n >> 8 & 255, n & 255, 64 * (n % 4), (24, 26, 28, 32)[n % 4])
        if n % 4 else "%d.%d.%d.0/24" % (20 + (n >> 16), n >> 8 & 255, n & 255)
        for n in range(count - 1)]


def prefixes6(count):
    return ["2001:db8:a::/64"] + ["2001:db8:%x:%x::/%d" % (
        0x100 + (n >> 16), n & 0xffff, (64, 72, 80, 128)[n % 4]) for n in range(count - 1)]


def from_lists(world, name, firewall, lists):
    """A file with a policy of each family, from so many prefixes."""
    text = head(firewall)
    for family, prefixes in sorted(lists.items()):
        file = "%s-%d.txt" % (name, family)
        with open(os.path.join(world.directory, file), "w") as f:
            f.writelines(prefix + "\n" for prefix in prefixes)
        text += "  - {name: lan-%d, from: {file: %s}, out: [eth1]}\n" % (family, file)
    path = os.path.join(world.directory, name + ".yaml")
    with open(path, "w") as f:
        f.write(text)
    return path


# ---- the firewalls themselves

EMPTY = "".join("*%s\n%sCOMMIT\n" % (table, "".join(":%s ACCEPT [0:0]\n" % c for c in chains))
                for table, chains in (
    ("raw", ("PREROUTING", "OUTPUT")),
    ("mangle", ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")),
    ("nat", ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")),
    ("filter", ("INPUT", "FORWARD", "OUTPUT"))))


class Iptables:
    SAVE, RESTORE = ["iptables-legacy-save"], ["iptables-legacy-restore"]

    @staticmethod
    def empty(ns):
        ns.run("iptables-legacy-restore", stdin=EMPTY)

    @staticmethod
    def remove_chain(ns, policy):
        ns.iptables("-t nat -D POSTROUTING -j NETSHARED-" + policy)
        ns.iptables("-t nat -F NETSHARED-" + policy)
        ns.iptables("-t nat -X NETSHARED-" + policy)


class Nftables:
    SAVE, RESTORE = ["nft", "list", "ruleset"], ["nft", "-f", "-"]

    @staticmethod
    def empty(ns):
        ns.run("nft", "flush", "ruleset")

    @staticmethod
    def remove_chain(ns, policy):
        """In one transaction: to the last chain but one leads the last jump but one."""
        listing = ns.run("nft", "-a", "list", "chain", "ip", "netshared", "nat_postrouting").stdout
        handle = re.search(r"jump nat-%s .*# handle (\d+)" % policy, listing).group(1)
        ns.run("nft", "delete rule ip netshared nat_postrouting handle %s;"
               " delete chain ip netshared nat-%s" % (handle, policy))


PROGRAMS = {"iptables": Iptables, "nftables": Nftables}


def timed(ns, argv, stdin=None, env=None):
    """(seconds, of those of the processor) of a whole command."""
    with ns.inside():
        with open(stdin or "/dev/null") as given:
            begun = time.monotonic()
            process = subprocess.Popen(argv, stdin=given, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, env=env or ns.world.env)
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError("%s: exit code %d" % (" ".join(argv), process.returncode))
    return seconds, usage.ru_utime + usage.ru_stime


# ---- the daemon, looked at from outside


class Traced:
    """A daemon under strace, which notes only a few of its system calls."""

    WAITS = "epoll_wait,epoll_pwait,epoll_pwait2"

    def __init__(self, daemon, also=""):
        self.daemon = daemon
        self.file = os.path.join(daemon.base, "strace")
        self.wrap = ["strace", "-D", "-f", "--seccomp-bpf", "-ttt", "-T", "-v", "-s", "64",
                     "-o", self.file, "-e", "trace=" + self.WAITS + also]

    def start(self):
        """Seconds from its start to READY, and when that was."""
        seen = len(self.daemon.notified)
        begun = time.monotonic()
        self.daemon.start(wait=False, wrap=self.wrap)
        self.daemon.wait_notified("READY=1", since=seen, timeout=170)
        return next(t for t, text in self.daemon.notified[seen:] if "READY=1" in text) - begun

    def settle(self, quiet=0.5):
        """Until it has done nothing for a while."""
        last, since = self.daemon.cpu_seconds(), time.monotonic()
        while time.monotonic() - since < quiet:
            time.sleep(0.02)
            now = self.daemon.cpu_seconds()
            if now != last:
                last, since = now, time.monotonic()

    def lines(self, since, threads=False):
        """(time, the call's text, its duration) since that time: of the main thread, or of all."""
        with open(self.file) as f:
            for line in f:
                match = re.match(r"(\d+)\s+(\d+\.\d+) (.*?)(?: <(\d+\.\d+)>)?$", line)
                if match and float(match.group(2)) >= since and (
                        threads or int(match.group(1)) == self.daemon.pid):
                    yield float(match.group(2)), match.group(3), float(match.group(4) or 0)

    def held(self, since):
        """The longest that the event loop was held since that time (of time.time), in ms."""
        longest, woke = 0.0, None
        for at, text, took in self.lines(since):
            if not re.match(r"(<\.\.\. )?epoll_", text):
                continue
            if woke is not None and not text.startswith("<"):
                longest = max(longest, at - woke)
            if "unfinished" in text:
                woke = None
            else:
                woke = at if text.startswith("<") else at + took
        return longest * 1000


# ---- rows


def commits(firewall, variant):
    """All of them brought into force, by the daemon and once, beside the firewall's own program."""
    program = PROGRAMS[firewall]
    rows = {"floor": [], "apply": [], "daemon": []}
    with Router() as w:
        d = Daemon(w.router, VARIANTS[variant](firewall))
        rules = os.path.join(w.directory, "rules")
        apply = [d.binary, "apply", *d.options()]
        timed(w.router, apply)
        with open(rules, "w") as f:
            f.write(w.router.run(*program.SAVE).stdout)
        for _ in range(options.rounds):
            program.empty(w.router)
            rows["floor"].append(timed(w.router, program.RESTORE, rules))
            program.empty(w.router)
            rows["apply"].append(timed(w.router, apply))
            program.empty(w.router)
            begun = time.monotonic()
            d.start(timeout=170)
            rows["daemon"].append((time.monotonic() - begun, d.cpu_seconds()))
            d.stop(60)
    for what in ("apply", "daemon"):
        for i, kind in enumerate(("time", "processor")):
            ratios = [a[i] / b[i] for a, b in zip(rows[what], rows["floor"])]
            note("%s, %d %s: %s, %s" % (
                firewall, COUNT, variant, {"apply": "apply", "daemon": "start to READY"}[what],
                kind), statistics.median(a[i] for a in rows[what]), "s",
                floor=statistics.median(b[i] for b in rows["floor"]))
            note("    times the floor", statistics.median(ratios), "", COMMIT)


def row_commit(firewall):
    commits(firewall, "masquerade")


def row_mixed(firewall):
    commits(firewall, "mixed")


def row_changes(firewall):
    """Start, reload with one changed, restart, one chain removed: how long, and the loop held."""
    times = {"reload, 1 changed": [], "restart, all there": [], "1 chain removed: back after": []}
    held = {what: [] for what in ["start", *times]}
    with Router() as w:
        d = Daemon(w.router, plain(firewall))
        traced = Traced(d)

        def measured(what, work):
            since = time.time()
            took = work()
            traced.settle()
            held[what].append(traced.held(since))
            if what in times:
                times[what].append(took)

        def reload(n):
            d.write(plain(firewall, COUNT // 2 if n % 2 == 0 else None))
            begun = time.monotonic()
            d.cli("reload", check=True, timeout=170)
            return time.monotonic() - begun

        def repair(n):
            mark = d.mark()
            PROGRAMS[firewall].remove_chain(w.router, "lan-%d" % (COUNT // 3 + n))
            begun = time.monotonic()
            d.wait_log("lan-%d .*restored" % (COUNT // 3 + n), mark, 60)
            return time.monotonic() - begun

        measured("start", traced.start)
        for n in range(options.rounds):
            measured("reload, 1 changed", lambda n=n: reload(n))
            measured("1 chain removed: back after", lambda n=n: repair(n))
            d.stop(60)
            measured("restart, all there", traced.start)
        idle = traced.daemon.cpu_seconds()
        time.sleep(IDLE)
        idle = (traced.daemon.cpu_seconds() - idle) / IDLE
        d.stop(60)
    for what, values in held.items():
        if what in times:
            note("%s, %d policies: %s" % (firewall, COUNT, what),
                 statistics.median(times[what]), "s")
        note("%s, %d policies: %s: loop held" % (firewall, COUNT, what.partition(":")[0]),
             max(values), "ms", HELD)
    note("%s, %d policies: processor while idle" % (firewall, COUNT), idle * 100, "%")


def elements_sent(traced, since):
    """The sizes of the messages with elements of sets that it sent to the kernel."""
    return [int(size) for _, text, _ in traced.lines(since, threads=True) for size in re.findall(
        r"nlmsg_len=(\d+), nlmsg_type=NFNL_SUBSYS_(?:IPSET<<8\|IPSET_CMD_(?:ADD|DEL)"
        r"|NFTABLES<<8\|NFT_MSG_(?:NEW|DEL)SETELEM)\b", text)]


def row_set(firewall):
    """One element of many is another one: what is written for it."""
    with Router() as w:
        lists = {4: prefixes4(PREFIXES)}
        d = Daemon(w.router, path=from_lists(w, "set", firewall, lists))
        traced = Traced(d, ",sendto,sendmsg,write,setsockopt")
        note("%s, set of %d: start to READY" % (firewall, PREFIXES), traced.start(), "s")
        traced.settle()
        took, sent, held = [], [], []
        for n in range(options.rounds):
            changed = list(lists[4])
            changed[PREFIXES // 2] = "172.16.%d.0/24" % n
            from_lists(w, "set", firewall, {4: changed})
            since, begun = time.time(), time.monotonic()
            d.cli("reload", check=True, timeout=170)
            took.append(time.monotonic() - begun)
            traced.settle()
            sent.append(elements_sent(traced, since))
            held.append(traced.held(since))
        note("%s, set of %d: reload, 1 changed" % (firewall, PREFIXES), statistics.median(took),
             "s")
        note("    messages with elements (the one that goes, the one that comes)",
             max(map(len, sent)), "", 2)
        if not all(sent):  # then it was not seen, and the figure says nothing
            raise RuntimeError("no message with elements was seen: %s" % sent)
        note("    bytes in them", max(map(sum, sent)), "")
        note("    loop held", max(held), "ms", HELD)
        d.stop(60)


class Path:
    """A client, a router under a daemon, a server that is out of the way."""

    def __init__(self, firewall, name, lists):
        self.w = Lan()
        self.d = Daemon(self.w.router, path=from_lists(self.w, name, firewall, lists))
        self.d.start(timeout=170)
        # To the router's other processor, and no further: what comes to the server is for nobody.
        self.w.host("ip", "netns", "exec", self.w.router.name, "sh", "-c",
                    "echo %x >/sys/class/net/eth0/queues/rx-0/rps_cpus" % (1 << CPUS[-1]))
        for address in (SERVER4, SERVER6):
            self.w.router.ip("neigh replace %s lladdr 02:00:00:00:00:99 dev eth1 nud permanent" %
                             address)
        self.mac = self.w.router.ip("-o link show eth0").rpartition("link/ether ")[2].split()[0]

    def forwarded(self):
        text = self.w.router.run("cat", "/proc/thread-self/net/dev").stdout
        return int(re.search(r"eth1:(.*)", text).group(1).split()[9])

    def rate(self, family, flows):
        """Packets a second that get through."""
        source, target = (CLIENT4, SERVER4) if family == 4 else (CLIENT6, SERVER6)
        before = self.forwarded()
        out = self.w.client.run("taskset", "-c", str(CPUS[0]), PACKETS, "eth0", self.mac, source,
                                target, str(options.milliseconds), flows).stdout.split()
        through = self.forwarded() - before
        self.w.router.run("conntrack", "-F", "-f", "ipv%d" % family, check=False)
        return through / float(out[0]), through / max(1, int(out[1]))

    def close(self):
        self.d.stop(60)
        self.w.close()


def row_forward(firewall):
    """Throughput with one prefix and with many, in turn."""
    one = Path(firewall, "one", {4: prefixes4(1), 6: prefixes6(1)})
    many = Path(firewall, "many", {4: prefixes4(PREFIXES), 6: prefixes6(PREFIXES)})
    try:
        for family in (4, 6):
            for flows in ("new", "one"):
                rates = {one: [], many: []}
                for n in range(2 * options.rounds + 1):
                    for path in (one, many) if n % 2 else (many, one):
                        rates[path].append(path.rate(family, flows)[0])
                ratio = statistics.median(b / a for a, b in zip(rates[one], rates[many]))
                note("%s, IPv%d, %s: packets/s, %d prefixes" % (
                    firewall, family, "all new flows" if flows == "new" else "one flow", PREFIXES),
                    statistics.median(rates[many]) / 1000, "k/s",
                    floor=statistics.median(rates[one]) / 1000)
                note("    of the rate with one prefix", ratio, "", FORWARD, least=True)
    finally:
        many.close()
        one.close()


ROWS = {"commit": row_commit, "mixed": row_mixed, "changes": row_changes, "set": row_set,
        "forward": row_forward}


def main():
    missing = [p for p in ("strace", "conntrack", "nft") if not shutil.which(p, path=os.defpath +
               ":/usr/sbin:/sbin")]
    if missing:
        sys.exit("install " + ", ".join(missing))
    print("netshared with %d policies, on Linux %s" % (COUNT, os.uname().release))
    for firewall in options.firewall:
        for row in options.only:
            ROWS[row](firewall)
    print(json.dumps(results))
    return 1 if any(r["missed"] for r in results) else 0


def chosen(names):
    def read(text):
        for name in text.split(","):
            if name not in names:
                raise argparse.ArgumentTypeError("%s: one of %s" % (name, ", ".join(names)))
        return text.split(",")
    return read


parser = argparse.ArgumentParser(description="netshared with many policies")
parser.add_argument("--policies", type=int, default=10000, metavar="N")
parser.add_argument("--prefixes", type=int, default=100000, metavar="N")
parser.add_argument("--rounds", type=int, default=5, metavar="N")
parser.add_argument("--milliseconds", type=int, default=300, metavar="N", help="of sending at once")
parser.add_argument("--only", type=chosen(ROWS), default=list(ROWS), metavar="ROW,...",
                    help=", ".join(ROWS))
parser.add_argument("--firewall", type=chosen(FIREWALLS), default=FIREWALLS, metavar="NAME")
options = parser.parse_args()
COUNT, PREFIXES = options.policies, options.prefixes
CPUS = sorted(os.sched_getaffinity(0))

if __name__ == "__main__":
    sys.exit(main())
