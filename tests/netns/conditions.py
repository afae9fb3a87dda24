# SPDX-License-Identifier: GPL-2.0-or-later
"""What depends on this machine's addresses and links, and gateways that others learn."""

import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from netns import differences, wait_until
from tap import case, check, contains, equal, main
from topology import Router

HOUR = "version: 1\nsettings: {resync: 1h}\n"
VIP = "10.0.0.254"
CONDITION = "when: {address: %s}" % VIP
ALL = HOUR + """
routes:
  - {to: 198.51.100.0/24, via: 192.0.2.2, dev: eth1, table: 100, %s}
rules:
  - {from: 10.0.0.0/24, table: 100, priority: 1000, %s}
masquerade:
  - {name: lan-out, from: [10.0.0.0/24], out: [eth1], %s}
""" % (CONDITION, CONDITION, CONDITION)
ROUTE = "198.51.100.0/24 via 192.0.2.2 dev eth1 table 100"
RULE = "from 10.0.0.0/24 lookup 100"
NAMES = ("198.51.100.0/24", "from 10.0.0.0/24", "lan-out")


def rules(ns, family=4):
    return [line for line in ns.ip("-N -%d rule show" % family).splitlines() if "proto 110" in line]


def in_force(ns):
    """Of route, rule, policy and forwarding, which are there."""
    return [ns.has_route(ROUTE), any(RULE in line for line in rules(ns)), bool(ns.nat_ours()),
            ns.sysctl("net.ipv4.ip_forward") == "1"]


def wait_all(ns, there):
    wait_until(lambda: in_force(ns) == [there] * 4,
               "all of it is %s" % ("there" if there else "gone"))


@case("an address moves here and away: route, rule, policy and forwarding with it")
def _():
    with Router() as w:
        before = w.router.snapshot()
        d = Daemon(w.router, ALL).start()
        equal(in_force(w.router), [False] * 4, "before the address is here")
        equal(differences(before, w.router.snapshot()), "", "nothing is touched")
        for name in NAMES:
            o = d.object(name)
            equal(o["state"], "standby", name)
            equal(o["reason"], VIP + " is not an address of this machine", name)
        equal(d.status()["state"], "running", "a router on standby is as it should be")
        contains(d.status_text(), "3 standby", "STATUS=")
        plan = d.plan()
        equal(plan.returncode, 0, "plan on standby: " + plan.stdout)
        contains(plan.stdout, "# masquerade lan-out is on standby: %s is not" % VIP, "plan")
        for _ in range(3):
            mark = d.mark()
            w.router.ip("addr add %s/24 dev eth0" % VIP)
            wait_all(w.router, True)
            line = d.wait_log("condition address " + VIP, since=mark)
            contains(line, "holds; 1 route, 1 rule, 1 policy back", "journal")
            for name in NAMES:
                d.wait_state(name, "held")
            mark = d.mark()
            w.router.ip("addr del %s/24 dev eth0" % VIP)
            wait_all(w.router, False)
            line = d.wait_log("condition address " + VIP, since=mark)
            contains(line, "1 route, 1 rule, 1 policy withdrawn", "journal")
        equal(differences(before, w.router.snapshot()), "", "nothing is left")
        equal(d.count_log("restored|(route|rule|masquerade) .* removed"), 0, "no drift is told")
        d.stop()


@case("kill -9 and a restart touch nothing; what moved meanwhile is seen")
def _():
    with Router() as w:
        w.router.ip("addr add %s/24 dev eth0" % VIP)
        d = Daemon(w.router, ALL).start()
        wait_all(w.router, True)
        before = w.router.snapshot(counters=True)
        d.kill9()
        equal(differences(before, w.router.snapshot(counters=True)), "", "after kill -9")
        mark = d.mark()
        d.start()
        equal(differences(before, w.router.snapshot(counters=True)), "", "after the restart")
        equal(d.status()["work"]["route_messages"], 0, "route messages")
        equal(d.count_log("added|restored|condition", mark), 0, "nothing to tell")
        d.kill9()
        w.router.ip("addr del %s/24 dev eth0" % VIP)
        d.start()
        equal(in_force(w.router), [False] * 4, "at READY")
        d.stop()


@case("a device that is up: switched off, unplugged, gone, back; a reload keeps what holds")
def _():
    text = HOUR + ("routes:\n  - {to: 198.51.100.0/24, via: 192.0.2.2, dev: eth1, "
                   "when: {dev-up: lan0}}\n")
    route = "198.51.100.0/24 via 192.0.2.2 dev eth1"
    with Router() as w:
        d = Daemon(w.router, text).start()
        equal(d.object(route)["reason"], "interface lan0 does not exist", "reason")
        check(not w.router.has_route(route), "not there")

        def wait(there, reason=None):
            wait_until(lambda: w.router.has_route(route) == there, "route there: %s" % there)
            if reason:
                wait_until(lambda: d.object(route).get("reason") == reason, reason)

        w.router.stub("lan0")
        wait(True)
        w.router.ip("link set lan0x down")
        wait(False, "lan0 has no carrier")
        w.router.ip("link set lan0x up")
        wait(True)
        w.router.ip("link set lan0 down")
        wait(False, "lan0 is down")
        w.router.ip("link set lan0 up")
        wait(True)
        wait_until(lambda: d.object(route)["state"] == "held", "told")
        mark = d.mark()
        d.reload(text + "  - {to: 203.0.113.0/24, via: 192.0.2.2, dev: eth1, "
                 "when: {dev-up: lan0, address: %s}}\n" % VIP)
        wait(True)
        equal(d.object("203.0.113.0/24")["state"], "standby", "the other route")
        equal(d.count_log("condition device", mark), 0, "nothing is told of the first")
        w.router.ip("link del lan0")
        wait(False, "interface lan0 does not exist")
        w.router.stub("other")
        w.router.ip("link property add dev other altname lan0")
        w.router.ip("link set other down")
        w.router.ip("link set other up")
        wait(True)
        d.stop()


@case("an IPv6 address counts only when duplicate address detection let it through")
def _():
    route = "198.51.100.0/24 via 192.0.2.2 dev eth1"
    with Router() as w:
        d = Daemon(w.router, HOUR + "routes:\n  - {to: 198.51.100.0/24, via: 192.0.2.2, "
                   "dev: eth1, when: {address: \"2001:db8:a::fe\"}}\n").start()
        # Somebody else has it: detection fails.
        w.peer.ip("addr add 2001:db8:a::fe/64 dev eth0 nodad")
        for key in ("all", "eth0"):
            w.router.sysctl("net.ipv6.conf.%s.accept_dad" % key, 1)
        w.router.sysctl("net.ipv6.conf.eth0.dad_transmits", 1)
        w.router.ip("addr add 2001:db8:a::fe/64 dev eth0")
        wait_until(lambda: "dadfailed" in w.router.ip("-6 addr show dev eth0"), "DAD has failed")
        wait_until(lambda: "duplicate address detection" in d.object(route)["reason"], "the reason")
        equal(d.object(route)["state"], "standby", "state")
        w.router.ip("addr del 2001:db8:a::fe/64 dev eth0")
        w.peer.ip("addr del 2001:db8:a::fe/64 dev eth0")
        w.router.ip("addr add 2001:db8:a::fe/64 dev eth0 nodad")
        wait_until(lambda: w.router.has_route(route), "it is there")
        d.stop()


# ---- learned gateways

UPLINKS = HOUR + """
routes:
  - {to: default, via: {learned-on: eth0}, family: ipv4, table: 100}
  - {to: default, via: {learned-on: eth1}, family: ipv4, table: 101}
rules:
  - {from: 10.1.0.0/24, table: 100, priority: 1000}
  - {from: 10.2.0.0/24, table: 101, priority: 1001}
"""


def learned(ns, family=4):
    """Our default routes: table to "via X dev Y"."""
    found = {}
    for line in ns.routes(family):
        words = line.split(" table ")
        if words[0].startswith("default "):
            found[int(words[1].split()[0])] = words[0][len("default "):]
    return found


def wait_learned(ns, want, family=4):
    try:
        wait_until(lambda: learned(ns, family) == want, "learned")
    except Exception:
        check(False, "the tables have %s, not %s" % (learned(ns, family), want))


@case("two uplinks of DHCP into two tables, followed as they change")
def _():
    one, two, other = "via 10.0.0.2 dev eth0", "via 192.0.2.2 dev eth1", "via 10.0.0.9 dev eth0"
    with Router() as w:
        d = Daemon(w.router, UPLINKS).start()
        equal(len(rules(w.router)), 2, "rules")
        for device in ("eth0", "eth1"):
            o = d.object("default via learned-on " + device)
            equal(o["state"], "pending", device)
            contains(o["reason"], "over %s tells its gateway" % device, "reason")
        w.router.ip("route replace default %s proto dhcp metric 100" % one)
        w.router.ip("route replace default %s proto dhcp metric 200" % two)
        wait_learned(w.router, {100: one, 101: two})
        d.wait_state("default via 10.0.0.2 dev eth0 table 100", "held")
        before = d.status()["work"]

        mark = d.mark()
        w.router.ip("route replace default %s proto dhcp metric 100" % other)
        wait_learned(w.router, {100: other, 101: two})
        line = d.wait_log("gateway on eth0", since=mark)
        contains(line, "is 10.0.0.9; 1 route follows", "journal")
        w.router.ip("route del default metric 100")
        wait_learned(w.router, {101: two})
        d.wait_state("default via learned-on eth0", "pending")
        # A worse one serves, too; in another table as well.
        w.router.ip("route add default %s proto static metric 500 table 7" % one)
        wait_learned(w.router, {100: one, 101: two})
        after = d.status()["work"]
        equal(after["full_comparisons"], before["full_comparisons"], "looks at all routes")
        equal(d.count_log("restored"), 0, "no drift")

        # What else happens with routes neither wakes it nor counts.
        passes = after["passes"]
        w.router.ip_batch(["route add 10.99.%d.0/24 dev eth1 proto bird" % i for i in range(200)])
        w.router.ip_batch(["route del 10.99.%d.0/24" % i for i in range(200)])
        equal(d.status()["work"]["passes"], passes, "passes")

        d.kill9()
        before = w.router.snapshot()
        d.start()
        equal(differences(before, w.router.snapshot()), "", "after kill -9 and a restart")
        equal(d.status()["work"]["route_messages"], 0, "route messages")
        w.router.ip("route del default table 101")
        d.wait_log("route default via 192.0.2.2 dev eth1 table 101 was removed by .*restored")
        d.stop()


@case("what goes without a word: link down, the last address, the link itself")
def _():
    one = "via 10.0.0.2 dev eth0"
    with Router() as w:
        d = Daemon(w.router, UPLINKS).start()

        def lease():
            w.router.ip("addr replace 10.0.0.1/24 dev eth0")
            w.router.ip("route replace default %s proto dhcp metric 100" % one)
            wait_learned(w.router, {100: one})

        lease()
        w.router.ip("link set eth0 down")
        wait_learned(w.router, {})
        d.wait_state("default via learned-on eth0", "pending")
        w.router.ip("link set eth0 up")
        lease()
        w.router.ip("-4 addr flush dev eth0")
        wait_learned(w.router, {})
        d.wait_state("default via learned-on eth0", "pending")
        lease()
        # With another address the default route stays, and so does ours.
        w.router.ip("addr add 10.3.0.1/24 dev eth0")
        w.router.ip("addr del 10.3.0.1/24 dev eth0")
        wait_learned(w.router, {100: one})
        w.router.ip("link del eth0")
        wait_learned(w.router, {})
        equal(d.object("default via learned-on eth0")["reason"], "interface eth0 does not exist",
              "reason")
        equal(d.count_log("restored"), 0, "no drift is told")
        w.router.stub("eth0")
        lease()
        d.stop()


def advertise(ns, device, lifetime):
    """A router advertisement (RFC 4861 4.2) from the device's link-local address."""
    with ns.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        with ns.inside():
            index = socket.if_nametoindex(device)
        s.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, lifetime, 0, 0), ("ff02::1", 0, 0, index))


def link_local(ns, device):
    for line in ns.ip("-6 -o addr show dev %s scope link" % device).splitlines():
        return line.split()[3].split("/")[0]
    return None


@case("router advertisements and withdrawals; and ppp, which has no gateway")
def _():
    text = HOUR + """
routes:
  - {to: default, via: {learned-on: eth1}, family: ipv6, table: 100}
  - {to: 198.51.100.0/24, via: {learned-on: ppp0}}
"""
    with Router() as w:
        d = Daemon(w.router, text).start()
        gateway = link_local(w.peer, "eth1")
        for _ in range(2):
            advertise(w.peer, "eth1", 1800)
            wait_learned(w.router, {100: "via %s dev eth1" % gateway}, 6)
            check(w.router.has_route("default via %s dev eth1" % gateway, 6, proto="9"),
                  "the kernel's own is there: %s" % w.router.routes(6, proto=None, table="main"))
            advertise(w.peer, "eth1", 0)
            wait_learned(w.router, {}, 6)
        w.router.ip("-6 route add default via fe80::7 dev eth1 proto ra metric 1024")
        wait_learned(w.router, {100: "via fe80::7 dev eth1"}, 6)

        equal(d.object("198.51.100.0/24")["state"], "pending", "without ppp0")
        w.router.stub("ppp0")
        w.router.ip("route add default dev ppp0 metric 50")
        wait_until(lambda: w.router.has_route("198.51.100.0/24 dev ppp0"), "by the device alone")
        plan = d.plan()
        equal(plan.stdout, "", "plan")
        w.router.ip("link del ppp0")
        d.wait_state("198.51.100.0/24", "pending")
        d.stop()


main()
