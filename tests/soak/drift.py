#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Ten times a second something of ours is damaged, for hours, with connections running.

Routes, rules, policies of every kind, sets, forwarding, a link: all kinds take their turn, on
one firewall and then on the other. Each minute the damage rests: everything must stand again, and
each connection must have gone on. Said of each minute: memory, descriptors, processor time. Said
at the end: how long repairs took, and whether anything grew.

    NETSHARED=build/daemon/netshared python3 tests/soak/drift.py [--minutes 60] [--seed 1]

Exit code 1: a drift was not repaired, a connection noticed, or something grew.
"""

import argparse
import os
import random
import re
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import damage
from daemon import Daemon
from netns import NotYet, wait_until
from topology import FAR4, FAR6, SERVER4, SERVER6, WAN4, WAN6, Lan
from traffic import TcpExchange

PER_SECOND = 10
N_ROUTES = 200
N_RULES = 20
# So many that no policy is hit again and again within a moment: that would be a fight.
N_MASQUERADES = 50
PREFIXES = {4: ["10.%d.0.0/16" % n for n in range(100, 120)],
            6: ["fd00:%d::/32" % n for n in range(100, 120)]}
DAMAGE = {"iptables": damage.Iptables, "nftables": damage.Nftables}
# Of what was at rest in the first and in the last quarter.
MAY_GROW_KB = 512


def wanted_routes():
    """(family, prefix, the rest as `ip route` has it); the last ones go with their link."""
    for n in range(N_ROUTES):
        if n % 4 == 3:
            yield 6, "2001:db8:%x::/48" % (0x1000 + n), "via %s dev eth1" % SERVER6
        elif n % 4 == 2:
            yield 4, "10.50.%d.0/24" % n, "dev spare0"
        else:
            yield 4, "10.40.%d.0/24" % n, "via %s dev eth1%s" % (SERVER4, " table 100" * (n % 4))


def file(firewall, routes):
    lines = ["version: 1", "settings: {firewall: %s}" % firewall, "routes:"]
    for _, prefix, rest in routes:
        words = rest.split()
        keys = ", ".join("%s: \"%s\"" % pair for pair in zip(words[::2], words[1::2]))
        lines.append("  - {to: \"%s\", %s}" % (prefix, keys.replace('"100"', "100")))
    lines.append("rules:")
    lines += ["  - {from: 10.7.%d.0/24, table: 100, priority: %d}" % (n, 1000 + n)
              for n in range(N_RULES)]
    lines.append("masquerade:")
    for n in range(N_MASQUERADES):
        family = 6 if n % 3 == 2 else 4
        some = PREFIXES[family][:20 if n % 5 == 4 else 3]
        lines.append("  - {name: lan-%d, family: ipv%d, out: [eth1], from: [%s], except-to: [%s]}" % (
            n, family, "10.%d.0.0/16" % n if family == 4 else '"fd00:%d::/32"' % n,
            ", ".join('"%s"' % p for p in some)))
    lines += ['  - {name: six, family: ipv6, out: [eth1], from: ["2001:db8:a::/64"]}',
              "share:", "  - {name: home, lan: eth0, wan: eth1, family: ipv4}", "port-forwards:"]
    lines += ["  - {name: web-%d, in: eth1, protocol: tcp, port: %d, to: 10.0.0.%d}" % (
        n, 8000 + n, 10 + n) for n in range(12)]
    lines += ["network-map:",
              "  - {name: map, dev: spare0, inside: 10.5.0.0/24, outside: 10.6.0.0/24}"]
    return "\n".join(lines) + "\n"


class Connection:
    """Data both ways; how long it once stood still at most."""

    def __init__(self, w, address):
        self.exchange = TcpExchange(w.client, w.server, address, interval=0.02)
        wait_until(lambda: len(self.exchange.ends) == 2, "both ends")
        for end in self.exchange.ends:
            end.socket.settimeout(600)
        self.longest, self.seen, self.at = 0.0, [0, 0], time.monotonic()

    def look(self):
        now, seen = time.monotonic(), self.exchange.totals()
        self.longest = max(self.longest, now - self.at)
        if all(n > before for n, before in zip(seen, self.seen)):
            self.seen, self.at = seen, now

    def goes_on(self, peer):
        before = self.exchange.totals()
        wait_until(lambda: self.exchange.errors or all(
            now > was + (1 << 15) for now, was in zip(self.exchange.totals(), before)),
            "data both ways", 60)
        self.look()
        if self.exchange.errors or self.exchange.peers != [peer]:
            raise NotYet("a connection noticed: %s, seen from %s" % (
                self.exchange.errors, self.exchange.peers))


class Soak(Lan):
    def __init__(self, seed):
        super().__init__()
        self.rng = random.Random(seed)
        self.routes = list(wanted_routes())
        self.said, self.n_done = [], 0
        self.here = self.router
        self.veth(self.router, "spare0", self.server, "spare1")
        damage.use_tables(self.router)
        # Whatever netshared does, packets get there: one that is not translated would be refused.
        for family, gateway in ((4, SERVER4), (6, SERVER6)):
            self.router.ip("-%d route add default via %s" % (family, gateway))
        self.daemon = Daemon(self.router, file("iptables", self.routes)).start()
        self.turn_to("iptables")
        self.connections = [Connection(self, far) for far in (FAR4, FAR6)]

    def turn_to(self, firewall):
        self.daemon.reload(file(firewall, self.routes))
        self.settle(60)
        ours, _ = damage.look(self.router)
        self.firewall = DAMAGE[firewall](self.rng, self.router, self.said.append, ours)
        self.name = firewall

    # -- damage

    def command(self, text):
        self.router.run(*text.split(), check=False)
        self.said.append(text)

    def damage_route(self):
        family, prefix, rest = self.rng.choice(self.routes)
        table = " table 100" if rest.endswith("table 100") else ""
        self.command(self.rng.choice((
            "ip -{f} route del {p}{t}", "ip -{f} route del {p}{t}",
            "ip -{f} route replace blackhole {p}{t} proto 110",
            "ip -{f} route replace {p}{t} dev eth0 proto 110",
            "ip -{f} route append {p}{t} dev eth0 proto 110",
            "ip -{f} route add unreachable {p}{t} metric 77 proto 110",
        )).format(f=family, p=prefix, t=table))

    def damage_rule(self):
        n = self.rng.randrange(N_RULES)
        self.command(self.rng.choice((
            "ip rule del from 10.7.{n}.0/24 priority {p}",
            "ip rule del from 10.7.{n}.0/24 priority {p}",
            "ip rule add from 10.8.{n}.0/24 lookup 100 priority {p} protocol 110",
        )).format(n=n, p=1000 + n))

    def damage_forwarding(self):
        self.router.sysctl(self.rng.choice(("net.ipv4.ip_forward",
                                            "net.ipv6.conf.all.forwarding")), 0)

    def damage_link(self):
        self.command("ip link set spare0 down")
        self.command("ip link set spare0 up")

    def flush(self):
        self.command(self.rng.choice((
            "ip route flush proto 110", "ip -6 route flush proto 110",
            "ip route flush table 100", "ip rule flush protocol 110")))

    def damage_firewall(self):
        self.rng.choice(self.firewall.acts(False))()

    def act(self):
        self.rng.choices((self.damage_route, self.damage_firewall, self.damage_rule,
                          self.damage_forwarding, self.damage_link, self.flush),
                         (50, 35, 12, 1, 1, 1))[0]()
        self.n_done += 1

    def for_a_minute(self, seconds):
        end = due = time.monotonic()
        end += seconds
        while due < end:
            time.sleep(max(0.0, due - time.monotonic()))
            self.act()
            for connection in self.connections:
                connection.look()
            due += 1 / PER_SECOND
        # What could not be done in time is not made up for.

    # -- rest

    def settled(self):
        plan = self.daemon.plan()
        self.left = plan.stdout + plan.stderr
        return plan.returncode == 0 and all(o["state"] == "held" for o in self.daemon.objects())

    def settle(self, timeout):
        start = time.monotonic()
        try:
            wait_until(self.settled, "nothing to do", timeout, 0.2)
        except NotYet as e:
            raise NotYet("%s:\n%s%s\nlast done:\n%s" % (
                e, self.left, [o for o in self.daemon.objects() if o["state"] != "held"],
                "\n".join(self.said[-200:]))) from None
        return time.monotonic() - start

    def connections_go_on(self):
        for connection, seen in zip(self.connections, (WAN4, WAN6)):
            connection.goes_on(seen)

    def measure(self):
        pid = self.daemon.pid
        return {"rss": self.daemon.proc_status("RssAnon"),
                "fds": len(os.listdir("/proc/%d/fd" % pid)),
                "cpu": self.daemon.cpu_seconds()}


def repair_times(daemon):
    """[(upper bound in seconds, how many up to it)]."""
    return [(float(bound), int(n)) for bound, n in re.findall(
        r'^netshared_repair_duration_seconds_bucket\{le="([^"]+)"\} (\d+)$',
        daemon.cli("metrics", check=True).stdout, re.M)]


def growth(values):
    """Of the median of the last quarter over that of the first."""
    quarter = max(1, len(values) // 4)
    return statistics.median(values[-quarter:]) - statistics.median(values[:quarter])


def keep_log(w, path):
    if path:
        with open(path, "w", encoding="utf-8") as f:
            f.write(w.daemon.log_text())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--turn", type=int, default=10, help="minutes on each firewall")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", help="a file for what netshared said")
    args = parser.parse_args()
    seen, bad = {"iptables": [], "nftables": []}, []
    with Soak(args.seed) as w:
        print("minute firewall damaged settled_s rss_kB fds cpu_s", flush=True)
        for minute in range(args.minutes):
            wanted = ("iptables", "nftables")[minute // args.turn % 2]
            if wanted != w.name:
                w.turn_to(wanted)
            w.said.clear()
            w.for_a_minute(55)
            took = w.settle(320)
            keep_log(w, args.log)
            w.connections_go_on()
            now = w.measure()
            seen[w.name].append(now)
            print("%6d %8s %7d %9.1f %6d %3d %5.1f" % (
                minute + 1, w.name, w.n_done, took, now["rss"], now["fds"], now["cpu"]), flush=True)
        print("repairs, by how long they took:")
        below = 0
        for bound, n in repair_times(w.daemon):
            print("  up to %-6g s: %d" % (bound, n - below))
            below = n
        # Data under way is acknowledged by what comes back: each side has all that was sent.
        print("longest pause of a connection: %.1f s" % max(c.longest for c in w.connections))
        for c in w.connections:
            if not c.exchange.finish():
                bad.append("a connection lost data")
        w.daemon.stop()
    for name, samples in seen.items():
        later = samples[args.turn:] or samples  # once it has seen everything
        for what, limit in (("rss", MAY_GROW_KB), ("fds", 0)):
            if later and growth([s[what] for s in later]) > limit:
                bad.append("%s grew on %s: %s" % (what, name, [s[what] for s in samples]))
    for what in bad:
        print(what)
    print("%d damaged in %d minutes, seed %d: %s" % (
        w.n_done, args.minutes, args.seed, "BAD" if bad else "all repaired, nothing grew"))
    return bool(bad)


sys.exit(main())
