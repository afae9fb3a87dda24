# SPDX-License-Identifier: GPL-2.0-or-later
"""netshared with a million routes, beside a raw netlink writer and BIRD 2. No test: it measures.

    sudo NETSHARED=build/daemon/netshared NSH_RAW=build/tests/raw \\
        python3 tests/bench/scale.py [--routes N] [--rounds N] [--only ROW,...] [--no-bird]

or `sudo meson test -C build --benchmark scale`. It works in network namespaces of its own. What is
compared is measured in turn, round after round; the table has the medians, and the last line is the
same as JSON. The exit code is 1 if a target is missed. BIRD is Debian's bird2; without it its
column stays empty.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import rtnl
from daemon import Daemon
from netns import wait_until
from topology import Router

FIRST, FOREIGN, GATEWAY, OTHER, PROTO = "20.0.0.0", "60.0.0.0", "10.0.0.2", "10.0.0.3", "110"
RAW = os.environ.get("NSH_RAW") or sys.exit("NSH_RAW: where is the program made of raw.c?")
HELD, MEANWHILE = 50, 100  # ms: the event loop at the most, a repair while much is going on
results = []


def prefix(n):
    return "%d.%d.%d.0/24" % (20 + (n >> 16), n >> 8 & 255, n & 255)


def note(what, value, unit, target=None, floor=None, peer=None):
    def show(x):
        return "%10.3f" % x if x is not None else "%10s" % "-"

    missed = target is not None and value > target
    results.append({"what": what, "measured": value, "unit": unit, "target": target,
                    "floor": floor, "peer": peer, "missed": missed})
    print("%-54s %s %s %s %s %-3s %s" % (
        what, show(target), show(value), show(floor), show(peer), unit,
        "" if target is None else "MISSED" if missed else "ok"), flush=True)


# ---- programs and processes


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


class Meanwhile:
    """Something else that goes on in a thread."""

    def __init__(self, work):
        self.value = None
        self.thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self.thread.start()

    def _run(self, work):
        self.value = work()

    def take(self):
        self.thread.join()
        return self.value


class Memory:
    """The highest RssAnon of a process, in MB."""

    def __init__(self, pid):
        self.pid, self.peak, self.going = pid, 0, True
        self.watch = Meanwhile(self._watch)

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

    def stop(self):
        self.going = False
        self.watch.take()
        return self.peak


# ---- beside it


def empty(w):
    """Without a device there are no routes: quicker than to delete them."""
    w.router.ip("link set eth0 down")
    w.router.ip("link set eth0 up")
    assert raw(w, "dump", PROTO)[0] == 0


def floor_write():
    """Seconds for all routes, and the longest of one batch."""
    with Router() as w:
        seconds, _, longest = raw(w, "add", FIRST, COUNT, GATEWAY, PROTO)
        empty(w)
    return seconds, longest


def bird():
    """Start to all routes in the kernel, with the same static routes; and its memory."""
    if options.no_bird or not shutil.which("bird", path="/usr/sbin:/usr/bin"):
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
        while raw(w, "dump", 12)[0] < COUNT:
            assert process.poll() is None, "BIRD has ended"
            done = wait_idle(process.pid)
        peak = memory.stop()
        process.kill()
        process.wait()
        w.router.ip("link set eth0 down")
    return done - begun, peak


# ---- netshared


def yaml_of_all(w, changed=None):
    """`via` of one of them changed, if asked."""
    path = os.path.join(w.directory, "large.yaml")
    with open(path, "w") as f:
        f.write("version: 1\nsettings:\n  resync: 1h\nroutes:\n")
        f.writelines("  - to: %s\n    via: %s\n" % (prefix(n), OTHER if n == changed else GATEWAY)
                     for n in range(COUNT))
    return path


def yaml_with_list(w):
    path = os.path.join(w.directory, "list.yaml")
    with open(os.path.join(w.directory, "list.txt"), "w") as f:
        f.writelines(prefix(n) + "\n" for n in range(COUNT))
    with open(path, "w") as f:
        f.write("version: 1\nroutes:\n  - {to: {file: list.txt}, via: %s}\n" % GATEWAY)
    return path


class Bench:
    """One router; its daemon runs or not, its routes stand or not, as each row needs it."""

    def __init__(self, w):
        self.w = w
        self.d = Daemon(w.router, path=yaml_of_all(w), name="yaml")
        self.list = Daemon(w.router, path=yaml_with_list(w), name="list")
        self.longest_message = None  # of the kernel, in ms

    # -- states

    def launch(self, d, meanwhile=None):
        """Seconds from its start to READY."""
        seen = len(d.notified)
        begun = time.monotonic()
        d.start(wait=False)
        if meanwhile:
            meanwhile()
        d.wait_notified("READY=1", since=seen, timeout=180)
        return next(t for t, text in d.notified[seen:] if "READY=1" in text) - begun

    def away(self):
        """No daemon, no routes."""
        for d in (self.d, self.list):
            if d.running():
                d.stop(60)
        empty(self.w)

    def stand(self):
        """A daemon that has just found all routes in place."""
        if not self.d.running():
            self.launch(self.d)
        wait_idle(self.d.pid)
        self.d.stop(60)
        self.launch(self.d)
        wait_idle(self.d.pid)

    def standing(self):
        return raw(self.w, "dump", PROTO)[0]

    def work(self):
        return self.d.status()["work"]

    def floor_message(self):
        return self.longest_message * 1000 if self.longest_message else None

    def held(self, what):
        """How long the event loop was at the most since the daemon began: a start and this row."""
        note("%s: event loop held" % what, self.work()["longest_dispatch_usec"] / 1000, "ms", HELD,
             self.floor_message())

    # -- rows

    def beside_floor(self, d, what, factor, peer=None):
        """Rounds of the raw writer, and of a start with nothing in place."""
        floors, ours = [], []
        for _ in range(options.rounds):
            seconds, longest = floor_write()
            floors.append(seconds)
            self.longest_message = max(longest, self.longest_message or 0)
            self.away()
            ours.append(self.launch(d))
            assert self.standing() == COUNT
        floor = statistics.median(floors)
        note("%s to READY" % what, statistics.median(ours), "s", factor * floor, floor, peer)

    def start(self):
        seconds, _ = bird()
        self.beside_floor(self.d, "start, YAML", 1.25, seconds)
        if seconds:
            note("start, YAML: of BIRD 2's time", results[-1]["measured"] / seconds, "", 1)
        self.held("start")

    def prefix_file(self):
        self.beside_floor(self.list, "start, prefix file", 1.15)

    def memory(self):
        _, peak = bird()
        self.away()
        yaml_of_all(self.w)
        memory = None

        def watch():
            nonlocal memory
            memory = Memory(self.d.pid)

        self.launch(self.d, watch)
        yaml_of_all(self.w, COUNT // 2)
        self.d.cli("reload", check=True)
        wait_idle(self.d.pid)
        self.w.router.ip("addr add 198.18.0.1/32 dev lo")  # everything is compared
        wait_idle(self.d.pid)
        note("memory: peak over start, reload, resync", memory.stop(), "MB", 160, None, peak)
        note("memory: at rest", memory.now(), "MB", 96)
        self.w.router.ip("addr del 198.18.0.1/32 dev lo")
        yaml_of_all(self.w)

    def reload(self):
        self.stand()
        parses, ours, messages = [], [], []
        monitor = rtnl.Monitor(self.w.router, ("route",))
        for n in range(options.rounds):
            # It is changed, and the next time back again.
            yaml_of_all(self.w, COUNT // 2 if n % 2 == 0 else None)
            parses.append(raw(self.w, "parse", self.d.config)[0])
            written = self.work()["route_messages"]
            begun = time.monotonic()
            self.d.cli("reload", check=True)
            ours.append(time.monotonic() - begun)
            wait_idle(self.d.pid)
            messages.append(max(self.work()["route_messages"] - written,
                                len(monitor.take("route"))))
        parse = statistics.median(parses)
        yaml_of_all(self.w)
        note("reload, 1 changed", statistics.median(ours), "s", 2 * parse, parse)
        note("reload, 1 changed: route messages", max(messages), "", 1)
        self.held("reload")

    def repair(self):
        self.stand()
        times = sorted(raw(self.w, "repair", FIRST, COUNT, PROTO, REPAIRS, 20))
        note("1 deleted: median of %d" % len(times), statistics.median(times), "ms", 1)
        note("1 deleted: 99th percentile", times[int(len(times) * 0.99)], "ms", 5)
        self.held("1 deleted")

    def meanwhile(self):
        """One route at a time is deleted while much else goes on."""
        def floor():
            with Router() as w:
                # Somebody else who adds a route while the raw writer adds all.
                touches = Meanwhile(lambda: raw(w, "touch", FOREIGN, GATEWAY, 4, REPAIRS, 20))
                raw(w, "add", FIRST, COUNT, GATEWAY, PROTO)
                worst = max(touches.take())
                empty(w)
            return worst

        def repair():
            nonlocal times
            wait_until(lambda: self.standing() > 0, "the first routes", 180, 0.01)
            times = raw(self.w, "repair", FIRST, COUNT, PROTO, REPAIRS, 20)

        times = []
        worst = floor()
        self.away()
        self.launch(self.d, repair)
        note("1 deleted while all are written: worst of %d" % len(times), max(times), "ms",
             MEANWHILE, worst)
        wait_idle(self.d.pid)

        def disturb():
            for n in range(4):
                self.w.router.ip("addr add 198.18.1.%d/32 dev lo" % n)
                time.sleep(0.5)

        disturber = Meanwhile(disturb)
        times = raw(self.w, "repair", FIRST, COUNT, PROTO, REPAIRS, 5)
        disturber.take()
        note("1 deleted while all are compared: worst of %d" % len(times), max(times), "ms",
             MEANWHILE)
        wait_idle(self.d.pid)
        self.held("all compared")

    def flush(self):
        floor = floor_write()[0]
        self.stand()
        before = self.work()
        begun = time.monotonic()
        self.w.router.run("ip", "route", "flush", "proto", PROTO, check=False, timeout=300)
        end = time.monotonic()
        done = wait_idle(self.d.pid)
        note("flush of all, itself", end - begun, "s")
        note("flush of all: back once it is over", done - end, "s", 1.25 * floor, floor)
        note("flush of all: routes missing", COUNT - self.standing(), "", 0)
        note("flush of all: events were lost, and noticed",
             self.work()["overruns"] - before["overruns"], "")
        self.held("flush of all")

    def churn(self):
        self.stand()
        before, cpu = self.work(), processor(self.d.pid)
        add = raw(self.w, "add", FOREIGN, COUNT, GATEWAY, 4)
        delete = raw(self.w, "delete", FOREIGN, COUNT, 4)
        wait_idle(self.d.pid)
        share = (processor(self.d.pid) - cpu) / (add[1] + delete[1]) * 100
        after = self.work()
        note("foreign routes come and go: of their processor time", share, "%", 1)
        for key in ("route_messages", "full_comparisons", "overruns"):
            note("foreign routes come and go: " + key, after[key] - before[key], "", 0)
        self.held("foreign routes come and go")

    def restart(self):
        self.stand()
        floors, ours, written = [], [], 0
        for _ in range(options.rounds):
            floors.append(raw(self.w, "parse", self.d.config)[0] + raw(self.w, "dump", PROTO)[1])
            self.d.stop(60)
            ours.append(self.launch(self.d))
            written += self.work()["route_messages"]
        floor = statistics.median(floors)
        note("restart with all in place", statistics.median(ours), "s", 2 * floor, floor)
        note("restart: route messages", written, "", 0)
        self.held("restart")

    def done(self):
        self.away()


ROWS = ("start", "prefix_file", "memory", "reload", "repair", "meanwhile", "flush", "churn",
        "restart")


def main():
    print("netshared with %d routes, on Linux %s" % (COUNT, os.uname().release))
    print("%-54s %10s %10s %10s %10s" % ("", "target", "measured", "floor", "BIRD 2"))
    with Router() as w:
        bench = Bench(w)
        for row in options.only:
            getattr(bench, row)()
        bench.done()
    print(json.dumps(results))
    return 1 if any(r["missed"] for r in results) else 0


def rows(text):
    chosen = text.split(",")
    for row in chosen:
        if row not in ROWS:
            raise argparse.ArgumentTypeError("%s: one of %s" % (row, ", ".join(ROWS)))
    return chosen


parser = argparse.ArgumentParser(description="netshared with many routes")
parser.add_argument("--routes", type=int, default=1000000, metavar="N")
parser.add_argument("--rounds", type=int, default=3, metavar="N")
parser.add_argument("--only", type=rows, default=ROWS, metavar="ROW,...", help=", ".join(ROWS))
parser.add_argument("--no-bird", action="store_true")
options = parser.parse_args()
COUNT = options.routes
REPAIRS = min(200, COUNT)

if __name__ == "__main__":
    sys.exit(main())
