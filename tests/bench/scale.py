# SPDX-License-Identifier: GPL-2.0-or-later
"""netshared with a million routes, beside a raw netlink writer and BIRD 2. No test: it prints.

    sudo NETSHARED=build/daemon/netshared NSH_RAW=build/tests/raw \\
        python3 tests/bench/scale.py [--small N] [--no-bird]

or `sudo meson test -C build --benchmark scale`. It works in network namespaces of its own. One
table and, as the last line, the same as JSON. BIRD is Debian's bird2, run by hand; without it the
column stays empty.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from netns import wait_until
from topology import Router

COUNT = int(sys.argv[sys.argv.index("--small") + 1]) if "--small" in sys.argv else 1000000
REPAIRS = min(200, COUNT)
FIRST, FOREIGN, GATEWAY, PROTO = "20.0.0.0", "60.0.0.0", "10.0.0.2", "110"
RAW = os.environ.get("NSH_RAW") or sys.exit("NSH_RAW: where is the program made of raw.c?")
results = []


def prefix(n):
    return "%d.%d.%d.0/24" % (20 + (n >> 16), n >> 8 & 255, n & 255)


def note(what, value, unit, target=None, floor=None, peer=None):
    def show(x):
        return "%10.3f" % x if x is not None else "%10s" % "-"

    results.append({"what": what, "measured": value, "unit": unit, "target": target,
                    "floor": floor, "peer": peer})
    verdict = "" if target is None else "ok" if value <= target else "MISSED"
    print("%-52s %s %s %s %s %-5s %s" % (what, show(target), show(value), show(floor), show(peer),
                                         unit, verdict), flush=True)


def raw(w, *argv):
    """The numbers it prints: seconds of the clock and of the processor, mostly."""
    out = w.router.run(RAW, *[str(a) for a in argv], timeout=300).stdout
    return [float(x) for x in out.split()]


def processor(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_idle(pid, quiet=0.4):
    """When the process last did something."""
    last, since = processor(pid), time.monotonic()
    while time.monotonic() - since < quiet:
        time.sleep(0.02)
        now = processor(pid)
        if now != last:
            last, since = now, time.monotonic()
    return since


class Memory:
    """The highest RssAnon between two looks."""

    def __init__(self, pid):
        self.pid, self.peak, self.going = pid, 0, True
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def now(self):
        with open("/proc/%d/status" % self.pid) as f:
            for line in f:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) / 1024
        return 0

    def _watch(self):
        while self.going:
            try:
                self.peak = max(self.peak, self.now())
            except OSError:
                return
            time.sleep(0.004)

    def take(self):
        peak, self.peak = self.peak, 0
        return peak

    def stop(self):
        self.going = False
        self.thread.join()


def empty(w):
    """Without a device there are no routes: quicker than to delete them."""
    w.router.ip("link set eth0 down")
    w.router.ip("link set eth0 up")
    assert raw(w, "dump", PROTO)[0] == 0


def floor_write():
    with Router() as w:
        seconds, _, longest = raw(w, "add", FIRST, COUNT, GATEWAY, PROTO)
        dump = raw(w, "dump", PROTO)[1]
        empty(w)
    return seconds, dump, longest * 1000


def bird():
    """Start to all routes in the kernel, with the same static routes; and its memory."""
    if "--no-bird" in sys.argv or not shutil.which("bird", path="/usr/sbin:/usr/bin"):
        return None, None
    with Router() as w:
        config = os.path.join(w.directory, "bird.conf")
        with open(config, "w") as f:
            f.write("router id 1.1.1.1;\nlog stderr { error, fatal };\nprotocol device {}\n"
                    "protocol kernel { ipv4 { export all; }; }\nprotocol static {\n ipv4;\n")
            f.writelines(" route %s via %s;\n" % (prefix(n), GATEWAY) for n in range(COUNT))
            f.write("}\n")
        begun = time.monotonic()
        process = w.router.popen(["bird", "-f", "-c", config, "-s", config + ".ctl",
                                  "-P", config + ".pid"])
        memory = Memory(process.pid)
        time.sleep(0.1)
        done = wait_idle(process.pid)
        assert raw(w, "dump", 12)[0] == COUNT, "BIRD has not written them all"
        memory.stop()
        process.kill()
        process.wait()
        w.router.ip("link set eth0 down")
    return done - begun, memory.take()


def config(w, changed=None):
    """`via` of one of them changed, if asked."""
    def routes():
        for n in range(COUNT):
            yield "  - to: %s\n    via: %s\n" % (prefix(n),
                                                 "10.0.0.3" if n == changed else GATEWAY)

    path = os.path.join(w.directory, "large.yaml")
    with open(path, "w") as f:
        f.write("version: 1\nsettings:\n  resync: 1h\nroutes:\n")
        f.writelines(routes())
    return path


class Bench:
    def __init__(self, w, floor, peer):
        self.w = w
        self.floor, self.dump, self.longest = floor
        self.peer, self.peer_memory = peer
        self.d = Daemon(w.router, path=config(w))
        self.parse = raw(w, "parse", self.d.config)[0]
        self.memory = None

    def work(self, key):
        return self.d.status()["work"].get(key, -1)

    def launch(self, what):
        """Start to READY."""
        seen = len(self.d.notified)
        begun = time.monotonic()
        self.d.start(wait=False)
        self.memory = Memory(self.d.pid)
        self.d.wait_notified("READY=1", since=seen, timeout=180)
        ready = next(t for t, text in self.d.notified[seen:] if "READY=1" in text)
        wait_idle(self.d.pid)
        note("%s: RssAnon, peak" % what, self.memory.take(), "MB", 160, None, self.peer_memory)
        note("%s: RssAnon, at rest" % what, self.memory.now(), "MB", 96)
        return ready - begun

    def held(self, what):
        """The longest time that the event loop was held since the start, as the daemon says."""
        work = self.d.status()["work"]
        if "longest_dispatch_usec" in work:
            note("event loop held longest, up to here: " + what,
                 work["longest_dispatch_usec"] / 1000, "ms", 50, self.longest)
            note("of the processor's time", work["longest_dispatch_cpu_usec"] / 1000, "ms", 50)

    def start(self):
        seconds = self.launch("start")
        note("start to READY", seconds, "s", 1.25 * self.floor, self.floor, self.peer)
        assert raw(self.w, "dump", PROTO)[0] == COUNT
        self.held("start")

    def reload(self):
        before, full = self.work("route_messages"), self.work("full_comparisons")
        config(self.w, COUNT // 2)
        self.memory.take()
        begun = time.monotonic()
        self.d.cli("reload", check=True)
        seconds = time.monotonic() - begun
        note("reload, 1 changed", seconds, "s", 2 * self.parse, self.parse)
        note("reload, 1 changed: route messages", self.work("route_messages") - before, "", 1)
        begun = wait_idle(self.d.pid)
        note("reload: full comparisons behind it", self.work("full_comparisons") - full, "")
        note("reload: RssAnon, peak", self.memory.take(), "MB", 160)
        note("reload: RssAnon, at rest", self.memory.now(), "MB", 96)
        self.held("reload")

    def repairs(self, what, pause, targets, meanwhile=None):
        thread = threading.Thread(target=meanwhile) if meanwhile else None
        if thread:
            thread.start()
        times = sorted(raw(self.w, "repair", FIRST, COUNT, PROTO, REPAIRS, pause))
        if thread:
            thread.join()
        note("%s: median of %d" % (what, len(times)), statistics.median(times), "ms", targets[0])
        note("%s: 99th percentile" % what, times[int(len(times) * 0.99)], "ms", targets[1])
        note("%s: worst" % what, times[-1], "ms", targets[2])

    def comparison(self):
        """What a new address has netshared do."""
        cpu = processor(self.d.pid)
        self.memory.take()
        begun = time.monotonic()
        self.w.router.ip("addr add 198.18.0.1/32 dev lo")
        note("full comparison", max(0, wait_idle(self.d.pid) - begun), "s", None, self.dump)
        note("full comparison: processor", processor(self.d.pid) - cpu, "s")
        note("full comparison: RssAnon, peak", self.memory.take(), "MB", 160)
        self.held("comparison")

    def repairs_meanwhile(self):
        def disturb():
            for n in range(4):
                self.w.router.ip("addr add 198.18.1.%d/32 dev lo" % n)
                time.sleep(0.5)

        self.repairs("1 deleted during comparisons", 5, (None, None, 100), disturb)

    def flush(self):
        before = self.work("overruns")
        begun = time.monotonic()
        self.w.router.run("ip", "route", "flush", "proto", PROTO, check=False, timeout=300)
        end = time.monotonic()
        done = wait_idle(self.d.pid)
        note("flush of all, itself", end - begun, "s")
        note("flush of all: back once it is over", done - end, "s", 1.25 * self.floor, self.floor)
        note("flush of all: routes missing", COUNT - raw(self.w, "dump", PROTO)[0], "", 0)
        note("flush of all: times events were lost", self.work("overruns") - before, "")
        note("flush of all: RssAnon, peak", self.memory.take(), "MB", 160)
        self.held("flush")

    def churn(self):
        before, cpu = self.d.status()["work"], processor(self.d.pid)
        add = raw(self.w, "add", FOREIGN, COUNT, GATEWAY, 4)
        delete = raw(self.w, "delete", FOREIGN, COUNT, 4)
        wait_idle(self.d.pid)
        share = (processor(self.d.pid) - cpu) / (add[1] + delete[1]) * 100
        after = self.d.status()["work"]
        note("foreign routes added and removed: processor", share, "%", 1)
        for key in ("route_messages", "full_comparisons", "overruns"):
            note("foreign routes: " + key, after[key] - before[key], "", 0)

    def restart(self):
        self.d.stop(60)
        self.memory.stop()
        seconds = self.launch("restart")
        note("restart with all in place", seconds, "s", 2 * (self.parse + self.dump),
             self.parse + self.dump)
        note("restart: route messages", self.work("route_messages"), "", 0)
        self.held("restart")

    def run(self):
        self.start()
        self.reload()
        self.comparison()
        self.repairs("1 deleted", 20, (1, 5, None))
        self.repairs_meanwhile()
        wait_idle(self.d.pid)
        self.restart()
        self.churn()
        self.flush()
        self.d.stop(60)
        self.memory.stop()
        empty(self.w)


def main():
    print("netshared with %d routes, on Linux %s" % (COUNT, os.uname().release))
    print("%-52s %10s %10s %10s %10s" % ("", "target", "measured", "floor", "BIRD 2"))
    peer = bird()
    with Router() as w:
        Bench(w, floor_write(), peer).run()
    print(json.dumps(results))


main()
