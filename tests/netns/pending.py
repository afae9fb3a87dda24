# SPDX-License-Identifier: GPL-2.0-or-later
"""What can't be yet: said with the kernel's words, and in as soon as it can be."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from netns import wait_until
from tap import case, check, contains, equal, main
from topology import BASIC, MASQUERADE4, Router

HOUR = "version: 1\nsettings: {resync: 1h}\nroutes:\n"
FAMILIES = ((4, "198.51.100.0/24", "/24"), (6, "2001:db8:c::/48", "/64 nodad"))


for family, net, size in FAMILIES:
    gateway = "172.16.0.2" if family == 4 else "2001:db8:d::2"
    own = "172.16.0.1/24" if family == 4 else "2001:db8:d::1/64 nodad"
    text = HOUR + "  - {to: \"%s\", via: \"%s\"" % (net, gateway)

    def _(family=family, net=net, gateway=gateway, own=own, text=text):
        with Router() as w:
            d = Daemon(w.router, text + ", dev: eth9}\n").start()
            o = d.object(net)
            equal(o["state"], "pending", "state at READY")
            contains(o["reason"], "eth9", "reason")
            equal(d.status()["counts"]["pending"], 1, "counts")
            contains(d.status_text(), "pending", "STATUS=")
            w.router.stub("eth9")
            w.router.ip("addr add %s dev eth9" % own)
            wait_until(lambda: w.router.has_route("%s via %s dev eth9 proto 110" % (net, gateway),
                                                  family), "the route goes in")
            d.wait_state(net, "held")
            wait_until(lambda: "pending" not in d.status_text() or "0 pending" in d.status_text(),
                       "STATUS= says so")
            d.stop()
    case("IPv%d: a device that is not there yet" % family)(_)

    def _(family=family, net=net, gateway=gateway, own=own, text=text):
        with Router() as w:
            d = Daemon(w.router, text + "}\n").start()
            o = d.object(net)
            equal(o["state"], "pending", "state at READY")
            words = "Nexthop has invalid gateway" if family == 4 else "gateway"
            contains(o["reason"], words, "the kernel's words")
            contains(d.plan().stdout, "is pending: no way to the gateway %s now" % gateway, "plan")
            w.router.ip("addr add %s dev eth0" % own)
            wait_until(lambda: w.router.has_route("%s via %s dev eth0" % (net, gateway), family),
                       "the route goes in")
            d.wait_state(net, "held")
            w.router.ip("-%d addr del %s dev eth0" % (family, own.split()[0]))
            w.router.ip("-%d route flush %s" % (family, net))
            d.wait_state(net, "pending")
            w.router.ip("addr add %s dev eth0" % own)
            d.wait_state(net, "held")
            d.stop()
    case("IPv%d: a gateway that no address reaches yet" % family)(_)

    def _(family=family, net=net, gateway=gateway, text=text):
        with Router() as w:
            d = Daemon(w.router, text + "}\n").start()
            equal(d.object(net)["state"], "pending", "state at READY")
            host = gateway + ("/32" if family == 4 else "/128")
            w.router.ip("-%d route add %s dev eth1 scope link" % (family, host))
            wait_until(lambda: w.router.has_route("%s via %s dev eth1" % (net, gateway), family),
                       "the route goes in")
            d.stop()
    case("IPv%d: made possible by a foreign on-link route" % family)(_)

    def _(family=family, net=net, gateway=gateway, own=own, text=text):
        with Router() as w:
            w.router.stub("eth9", up=False)
            w.router.ip("addr add %s dev eth9" % own)
            d = Daemon(w.router, text + ", dev: eth9}\n").start()
            equal(d.object(net)["state"], "pending", "state at READY, the link being down")
            w.router.ip("link set eth9 up")
            if family == 6:
                w.router.ip("addr replace %s dev eth9" % own)
            wait_until(lambda: w.router.has_route("%s via %s dev eth9" % (net, gateway), family),
                       "the route goes in")
            d.stop()
    case("IPv%d: a link that is not up yet" % family)(_)

    def _(family=family, net=net, size=size):
        gateway, own = (("192.0.2.2", "192.0.2.1") if family == 4 else
                        ("2001:db8:b::2", "2001:db8:b::1"))
        text = HOUR + "  - {to: \"%s\", via: \"%s\"}\n" % (net, gateway)
        with Router() as w:
            w.veth(w.router, "eth2", w.peer, "eth2")
            d = Daemon(w.router, text).start()
            line = "%s via %s dev %%s proto 110" % (net, gateway)
            check(w.router.has_route(line % "eth1", family), w.router.routes(family))
            w.router.ip("addr del %s%s dev eth1" % (own, size.split()[0]))
            w.router.ip("addr add %s%s dev eth2" % (own, size))
            wait_until(lambda: w.router.has_route(line % "eth2", family)
                       and not w.router.has_route(line % "eth1", family),
                       "the route follows the address")
            w.router.ip("addr add %s%s dev eth1" % (own, size))
            w.router.ip("addr del %s%s dev eth2" % (own, size.split()[0]))
            wait_until(lambda: w.router.has_route(line % "eth1", family), "and back")
            equal(len(w.router.routes(family, proto=None, prefix=net)), 1, "routes on the key")
            d.stop()
    case("IPv%d: a route without dev follows its gateway to another interface" % family)(_)


@case("IPv4: what is pending delays neither READY nor what can be")
def _():
    routes = "".join("  - {to: 10.%d.0.0/16, via: 172.16.0.2, dev: nic%d}\n" % (n, n)
                     for n in range(100, 150))
    with Router() as w:
        d = Daemon(w.router, HOUR + routes + "  - {to: 198.51.100.0/24, via: 192.0.2.2}\n"
                   + MASQUERADE4).start()
        check(w.router.has_route("198.51.100.0/24 via 192.0.2.2 dev eth1"), "the good route")
        check(w.router.nat_ours(), "the policy")
        counts = d.status()["counts"]
        equal(counts["pending"], 50, "pending")
        w.router.ip("route del 198.51.100.0/24")
        wait_until(lambda: w.router.has_route("198.51.100.0/24 via 192.0.2.2 dev eth1"),
                   "the good route is kept meanwhile")
        d.stop()


@case("IPv4: a new route by a reload whose gateway is another new route")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        d.write(BASIC.replace("routes:\n", "routes:\n"
                              "  - {to: 203.0.113.0/24, via: 172.16.0.2}\n"
                              "  - {to: 172.16.0.0/24, dev: eth1, scope: link}\n"))
        plan = d.plan().stdout
        contains(plan, "+ route 203.0.113.0/24 via 172.16.0.2", "plan")
        check("is pending" not in plan, "a way that is to be is one:\n" + plan)
        d.reload()
        wait_until(lambda: w.router.has_route("203.0.113.0/24 via 172.16.0.2 dev eth1"), "both in")
        d.write(HOUR + "  - {to: 203.0.113.0/24, via: {learned-on: eth1}, table: 100}\n")
        contains(d.plan().stdout, "is pending: no default route of others over eth1 tells its "
                 "gateway", "plan of a gateway that nobody tells")
        d.stop()


@case("a masquerade policy for an interface that is not there is held, and works when it comes")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC.replace("out: [eth1]", "out: [ppp0]")).start()
        check("-A NETSHARED-lan-out -s 10.0.0.0/24 -o ppp0 -j MASQUERADE" in w.router.nat(),
              w.router.nat())
        d.stop()


@case("pending at a stop: nothing is left behind, and remove finds nothing to do")
def _():
    with Router() as w:
        before = w.router.snapshot()
        d = Daemon(w.router, HOUR + "  - {to: 10.9.0.0/16, via: 172.16.0.2, dev: eth9}\n").start()
        d.stop()
        equal(w.router.snapshot(), before, "the kernel")
        equal(d.cli("remove").returncode, 0, "remove")


@case("IPv4: the route it waits for comes soon after others, and is the last")
def _():
    with Router() as w:
        d = Daemon(w.router, HOUR + "  - {to: 10.8.0.0/16, via: 172.16.0.2}\n").start()
        looks = d.status()["work"]["full_comparisons"]
        w.router.ip("route add 10.9.0.0/16 dev eth1")
        wait_until(lambda: d.status()["work"]["full_comparisons"] > looks, "it looks at once")
        w.router.ip("route add 172.16.0.0/24 dev eth1 scope link")
        wait_until(lambda: w.router.has_route("10.8.0.0/16 via 172.16.0.2 dev eth1"),
                   "the route goes in")
        d.stop()


@case("fifty thousand foreign routes while something waits: few comparisons", timeout=120)
def _():
    with Router() as w:
        d = Daemon(w.router, HOUR + "  - {to: 10.8.0.0/16, via: 172.16.0.2}\n").start()
        equal(d.object("10.8.0.0/16")["state"], "pending", "state at READY")
        before = d.status()["work"]["full_comparisons"]
        w.router.ip_batch(["route add 100.%d.%d.%d/32 dev eth1" % (
            64 + (n >> 16), n >> 8 & 255, n & 255) for n in range(50000)])
        w.router.ip("route add 172.16.0.0/24 dev eth1 scope link")
        d.wait_state("10.8.0.0/16", "held", timeout=30)
        after = d.status()["work"]["full_comparisons"]
        check(after - before < 60, "%d comparisons" % (after - before))
        d.stop()


@case("an interface that the file does not name has no other name that it could have had")
def _():
    with Router() as w:
        d = Daemon(w.router, "version: 1\nroutes:\n  - {to: 198.51.100.0/24, via: 192.0.2.2}\n").start()
        w.router.ip("link set eth1 down")
        d.wait_log(r"198.51.100.0/24 via 192.0.2.2 is pending: .*\(link eth1 went down\)")
        d.stop()


main()
