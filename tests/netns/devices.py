# SPDX-License-Identifier: GPL-2.0-or-later
"""Routes and masquerading over devices that not every kernel has: dummy, VRF, macvlan, ipvlan."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from netns import wait_until
from tap import Skip, case, equal, main
from topology import CLIENT4, CLIENT6, FAR4, FAR6, Lan
from traffic import tcp_peer

ROUTES = """version: 1
settings: {{resync: 1h}}
routes:
  - {{to: 198.51.100.0/24, via: 192.0.2.2, dev: {dev}{more}}}
  - {{to: "2001:db8:c::/48", via: "2001:db8:b::2", dev: {dev}{more}}}
masquerade:
  - {{name: lan-out, from: [10.0.0.0/24], out: [{dev}]}}
  - {{name: lan-out6, from: ["2001:db8:a::/64"], out: [{dev}]}}
"""


def make(ns, kind, words):
    if not ns.ip_try("link add " + words):
        raise Skip("no %s in this kernel" % kind)


def addresses(ns, dev):
    ns.ip("link set %s up" % dev)
    ns.ip("addr replace 192.0.2.1/24 dev " + dev)
    ns.ip("addr replace 2001:db8:b::1/64 dev %s nodad" % dev)


def seen(w):
    return tcp_peer(w.client, FAR4), tcp_peer(w.client, FAR6)


def over(kind, words, again):
    """The WAN is a device on eth1; it goes and comes back."""
    with Lan() as w:
        w.serve(FAR4, FAR6)
        w.router.ip("addr flush dev eth1 scope global")
        make(w.router, kind, words)
        addresses(w.router, "wan0")
        d = Daemon(w.router, ROUTES.format(dev="wan0", more="")).start()
        equal(seen(w), ("192.0.2.1", "2001:db8:b::1"), "seen from")
        for _ in range(2):
            w.router.ip("link del wan0")
            d.wait_state("198.51.100.0/24", "pending", "route")
            d.wait_state("2001:db8:c::/48", "pending", "route")
            w.router.ip("link add " + again)
            addresses(w.router, "wan0")
            d.wait_state("198.51.100.0/24", "held", "route")
            d.wait_state("2001:db8:c::/48", "held", "route")
            wait_until(lambda: seen(w) == ("192.0.2.1", "2001:db8:b::1"), "seen from there again")
        equal(d.plan().stdout, "", "plan")
        d.stop()


@case("macvlan: routes and masquerading over it; it is deleted and made again", timeout=120)
def _():
    # It comes back with the same address: for 45 s neighbours may go on sending to the one they know.
    words = "wan0 link eth1 address 02:00:00:00:00:01 type macvlan mode bridge"
    over("macvlan", words, words)


@case("ipvlan: routes and masquerading over it; it is deleted and made again, in another mode",
      timeout=120)
def _():
    over("ipvlan", "wan0 link eth1 type ipvlan mode l2", "wan0 link eth1 type ipvlan mode l2 bridge")


@case("dummy: routes and policies on it are held, pending while it is away")
def _():
    with Lan() as w:
        w.router.ip("addr flush dev eth1 scope global")
        make(w.router, "dummy", "wan0 type dummy")
        addresses(w.router, "wan0")
        d = Daemon(w.router, ROUTES.format(dev="wan0", more="")).start()
        for _ in range(2):
            d.wait_state("198.51.100.0/24", "held", "route")
            d.wait_state("2001:db8:c::/48", "held", "route")
            d.wait_state("lan-out", "held", "masquerade")
            equal(w.router.has_route("198.51.100.0/24 via 192.0.2.2 dev wan0"), True, "it is there")
            w.router.ip("link del wan0")
            d.wait_state("198.51.100.0/24", "pending", "route")
            w.router.ip("link add wan0 type dummy")
            addresses(w.router, "wan0")
        d.wait_state("198.51.100.0/24", "held", "route")
        equal(d.plan().stdout, "", "plan")
        d.stop()


@case("VRF: a LAN and a WAN in one; what leaves its port is masqueraded")
def _():
    with Lan() as w:
        w.serve(FAR4, FAR6)
        make(w.router, "VRF", "blue type vrf table 10")
        w.router.ip("link set blue up")
        for dev in ("eth0", "eth1"):
            w.router.ip("link set %s master blue" % dev)
        addresses(w.router, "eth1")
        w.router.ip("addr replace 2001:db8:a::1/64 dev eth0 nodad")
        d = Daemon(w.router, ROUTES.format(dev="eth1", more=", vrf: blue")).start()
        wait_until(lambda: seen(w) == ("192.0.2.1", "2001:db8:b::1"), "seen from the router's")
        w.router.firewall.flush(4)
        wait_until(lambda: seen(w) == ("192.0.2.1", "2001:db8:b::1"), "and again after a flush")
        equal(d.plan().stdout, "", "plan")
        d.stop()
        equal(seen(w), ("192.0.2.1", "2001:db8:b::1"), "it stays; not %s, %s" % (CLIENT4, CLIENT6))


main()
