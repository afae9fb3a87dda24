# SPDX-License-Identifier: GPL-2.0-or-later
"""How quick and how quiet netshared is. No test: it prints, and judges nothing.

    sudo NETSHARED=build/daemon/netshared python3 tests/bench/bench.py [--quick]

One table and, as the last line, the same as JSON.
"""

import ctypes
import json
import os
import socket
import statistics
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import rtnl
from daemon import Daemon
from netns import wait_until
from topology import Router

QUICK = "--quick" in sys.argv
PREFIXES = ["10.%d.0.0/16" % (100 + n) for n in range(10)]
ROUTES = "version: 1\nroutes:\n" + "".join(
    "  - {to: %s, via: 192.0.2.2, dev: eth1}\n" % prefix for prefix in PREFIXES)
POLICIES = """masquerade:
  - {name: lan-out, from: [10.0.0.0/24], out: [eth1]}
  - {name: guests, from: [10.1.0.0/24], out: [eth1]}
"""
libc = ctypes.CDLL(None, use_errno=True)
results = []  # what, measured, unit, target


def note(what, value, unit, target=None):
    results.append((what, value, unit, target))
    print("  %-44s %10.3f %-4s %s" % (
        what, value, unit, "" if target is None else "(target: at most %g) %s" % (
            target, "ok" if value <= target else "MISSED")), flush=True)


def route_repair(count):
    """From the kernel's word that the route is gone to its word that it is back."""
    times = []
    with Router() as w:
        d = Daemon(w.router, ROUTES + POLICIES).start()
        monitor, deleter = rtnl.Monitor(w.router, ("route",)), rtnl.Deleter(w.router)
        for n in range(count):
            prefix = PREFIXES[n % len(PREFIXES)]
            # No fight: each route lasts a second and a half before it is deleted again.
            time.sleep(1.6 / len(PREFIXES))
            monitor.take()
            begun = time.perf_counter()
            assert deleter.delete(prefix)
            while True:
                events = monitor.next(5)
                assert events, "not repaired"
                if any(e.verb == "new" and e.prefix == prefix for e in events):
                    break
            times.append((time.perf_counter() - begun) * 1000)
        d.stop()
    times.sort()
    note("deleted route, median of %d" % count, statistics.median(times), "ms", 1)
    note("deleted route, 99th percentile", times[min(len(times) - 1, int(len(times) * 0.99))], "ms",
         10)
    note("deleted route, worst", times[-1], "ms")


def nat_entries(s):
    """How many rules the NAT table has: IPT_SO_GET_INFO, ip_tables.h. Takes no lock."""
    info = ctypes.create_string_buffer(b"nat", 32 + 13 * 4)  # the name goes in as well
    size = ctypes.c_uint(len(info))
    if libc.getsockopt(s.fileno(), socket.IPPROTO_IP, 64, info, ctypes.byref(size)) != 0:
        raise OSError(ctypes.get_errno(), "IPT_SO_GET_INFO")
    return struct.unpack_from("I", info, 32 + 11 * 4)[0]


def nat_repair(count):
    """From the end of `iptables -F` to the rules being back, at all phases of a poll in turn."""
    times = []
    with Router() as w:
        d = Daemon(w.router, ROUTES + POLICIES).start()
        table = w.router.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        complete = nat_entries(table)
        for n in range(count):
            time.sleep(1.55 + (n * 7 % count + 0.5) / count)  # longer than what counts as a fight
            w.router.iptables("-t nat -F")
            begun = time.perf_counter()
            wait_until(lambda: nat_entries(table) == complete, "repaired", 10, 0.001)
            times.append(time.perf_counter() - begun)
        table.close()
        d.stop()
    note("flushed NAT table, median of %d" % count, statistics.median(times), "s", 0.01)
    note("flushed NAT table, worst", max(times), "s", 1.1)


def wake_ups(d):
    return d.proc_status("voluntary_ctxt_switches")


def idle(text, seconds, what, target):
    with Router() as w:
        d = Daemon(w.router, text).start()
        time.sleep(3)  # what follows a start is over
        before, cpu = wake_ups(d), d.cpu_seconds()
        time.sleep(seconds)
        rate = (wake_ups(d) - before) / seconds
        note("idle with %s: wake-ups" % what, rate, "/s", target)
        note("idle with %s: processor" % what, (d.cpu_seconds() - cpu) / seconds * 100, "%")
        note("idle with %s: RssAnon" % what, d.proc_status("RssAnon") / 1024, "MB", 1)
        note("idle with %s: VmRSS" % what, d.proc_status("VmRSS") / 1024, "MB")
        d.stop()


def main():
    print("netshared, on Linux %s" % os.uname().release)
    seconds = 5 if QUICK else 20
    route_repair(50 if QUICK else 500)
    nat_repair(5 if QUICK else 30)
    idle(ROUTES + POLICIES, seconds, "10 routes, 2 policies", 1)
    idle(ROUTES, seconds, "10 routes", 0)
    print(json.dumps({what: {"value": round(value, 4), "unit": unit, "target": target}
                      for what, value, unit, target in results}))


main()
