# SPDX-License-Identifier: GPL-2.0-or-later
"""Routes with several nexthops: every way they get lost, shrink or grow, and that they come back.

The kernel merges IPv6 nexthops of one prefix into one route, whoever's they are, and its messages
then name one owner for all of them. IPv4 keeps whole routes side by side.
"""

import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import rtnl
from kept import HOUR, Kept
from netns import wait_until
from tap import case, check, contains, equal, main

NETS = ((4, "198.51.100.0/24", "10.0.0.2", "192.0.2.2", "192.0.2.3"),
        (6, "2001:db8:c::/48", "2001:db8:a::2", "2001:db8:b::2", "2001:db8:b::3"))


def text_of(net, first, second, weight=2):
    return HOUR + """
  - to: "%s"
    nexthops:
      - {via: "%s", dev: eth0, weight: %d}
      - {via: "%s", dev: eth1}
""" % (net, first, weight, second)


class Multi(Kept):
    """Compares nexthops as they are configured, not whether their devices are up just now."""

    def __init__(self, family, net, first, second):
        self.family, self.net = family, net
        super().__init__(text_of(net, first, second))

    def routes(self, family):
        lines = self.router.routes(family, proto=None, prefix=self.net) \
            if family == self.family else []
        return [re.sub(r"( dead| linkdown)", "", line) for line in lines]

    def here(self):
        """The text of what stands on the key."""
        return " | ".join(self.routes(self.family))


for family, net, first, second, other in NETS:
    key = dict(family=family, net=net, first=first, second=second, other=other)

    def _(family, net, first, second, other):
        with Multi(family, net, first, second) as k:
            equal(len(k.routes(family)), 1, "routes on the key")
            contains(k.here(), "nexthop via %s dev eth0 weight 2" % first, "first nexthop")
            contains(k.here(), "nexthop via %s dev eth1 weight 1" % second, "second nexthop")
            k.router.ip("-%d route del %s" % (family, net))
            k.wait_back()
    case("IPv%d: deleted as a whole" % family)(lambda key=key, f=_: f(**key))

    def _(family, net, first, second, other):
        with Multi(family, net, first, second) as k:
            k.router.ip("-%d route replace %s via %s dev eth1" % (family, net, other))
            k.wait_restored(net)
            k.wait_back()
            k.router.ip("-%d route replace %s proto 110 nexthop via %s nexthop via %s weight 9" % (
                family, net, first, other))
            k.wait_back()
    case("IPv%d: replaced by a single path, and by another multipath" % family)(
        lambda key=key, f=_: f(**key))

    def _(family, net, first, second, other):
        with Multi(family, net, first, second) as k:
            k.router.ip_try("-%d route prepend %s via %s dev eth1" % (family, net, other))
            wait_until(lambda: k.routes(family)[:1] == k.ours[family == 6], "ours is first")
            if family == 6:
                k.wait_back()
            equal(k.daemon.object(net)["state"], "held", "status")
    case("IPv%d: a foreign route prepended" % family)(lambda key=key, f=_: f(**key))

    def _(family, net, first, second, other):
        with Multi(family, net, first, second) as k:
            k.daemon.signal(signal.SIGSTOP)
            k.router.ip("-%d route del %s proto 110" % (family, net))
            k.router.ip("-%d route add %s nexthop via %s nexthop via %s" % (
                family, net, first, other))
            k.daemon.signal(signal.SIGCONT)
            k.wait_back()
    case("IPv%d: deleted and another multipath put in its place at once" % family)(
        lambda key=key, f=_: f(**key))

    def _(family, net, first, second, other):
        with Multi(family, net, first, second) as k:
            mark = k.daemon.mark()
            k.router.ip("link set eth1 down")
            k.router.ip("link set eth1 up")
            k.world.addresses()
            k.wait_back()
            wait_until(lambda: k.router.settled("eth1"), "eth1 is up")
            k.router.ip("link set eth0 down")
            contains(k.here(), "nexthop via %s dev eth1" % second, "the other nexthop stays")
            k.router.ip("link set eth0 up")
            k.world.addresses()
            k.wait_back()
            k.daemon.wait_state(net, "held")
            equal(k.daemon.count_log(r"pending", mark), 0, "times it was pending")
    case("IPv%d: one device goes down and up" % family)(lambda key=key, f=_: f(**key))

    def _(family, net, first, second, other):
        with Multi(family, net, first, second) as k:
            k.router.ip("link del eth1")
            wait_until(lambda: "via %s dev eth0" % first in k.here() and "eth1" not in k.here(),
                       "the route with the nexthop that is left")
            k.daemon.wait_state(net, "held")
            k.world.veth(k.router, "eth1", k.world.peer, "eth1")
            k.world.addresses()
            k.wait_back("both nexthops")
            k.daemon.wait_state(net, "held")
    case("IPv%d: one device is deleted and made anew" % family)(lambda key=key, f=_: f(**key))

    def _(family, net, first, second, other):
        with Multi(family, net, first, second) as k:
            k.router.ip("link del eth1")
            k.router.ip("link del eth0")
            k.daemon.wait_state(net, "pending")
            equal(k.here(), "", "routes on the key")
            k.world.veth(k.router, "eth0", k.world.peer, "eth0")
            k.world.veth(k.router, "eth1", k.world.peer, "eth1")
            k.world.addresses()
            k.wait_back("both nexthops")
    case("IPv%d: all its devices are deleted" % family)(lambda key=key, f=_: f(**key))

    def _(family, net, first, second, other):
        with Multi(family, net, first, second) as k:
            monitor = rtnl.Monitor(k.router, ("route",))
            k.daemon.reload(text_of(net, first, second, weight=5))
            contains(k.here(), "nexthop via %s dev eth0 weight 5" % first, "the new weight")
            events = [e for e in monitor.take("route") if e.prefix == net]
            equal([e.verb for e in events], ["new"], "what happened: %s" % events)
            k.daemon.reload(text_of(net, first, second))
            k.wait_back()
    case("IPv%d: a reload changes a weight in place" % family)(lambda key=key, f=_: f(**key))


@case("IPv4: a foreign route appended stays behind ours")
def _():
    with Multi(4, *NETS[0][1:4]) as k:
        k.router.ip("route append 198.51.100.0/24 via 192.0.2.3 dev eth1 proto 4")
        k.router.ip("route del 198.51.100.0/24 via 192.0.2.3 proto 4")
        k.router.ip("route append 198.51.100.0/24 via 192.0.2.3 dev eth1 proto 4")
        mark = k.daemon.mark()
        k.daemon.reload(text_of("198.51.100.0/24", "10.0.0.2", "192.0.2.2", weight=3))
        contains(k.routes(4)[0], "dev eth0 weight 3", "ours, the first")
        contains(k.routes(4)[1], "proto 4", "the foreign one behind it")
        equal(k.daemon.count_log("restored", mark), 0, "repairs")
        k.router.ip("route del 198.51.100.0/24 proto 110")
        wait_until(lambda: "dev eth0 weight 3" in k.here(), "ours again: the key was held")


@case("IPv6: a foreign append merges into ours and is taken out again")
def _():
    with Multi(6, *NETS[1][1:4]) as k:
        k.router.ip("-6 route append 2001:db8:c::/48 via 2001:db8:b::3 dev eth1 proto 4")
        k.wait_restored("2001:db8:c::/48")
        k.wait_back()


@case("IPv6: a foreign deletion by prefix and protocol takes all siblings, ours too")
def _():
    with Multi(6, *NETS[1][1:4]) as k:
        k.daemon.signal(signal.SIGSTOP)
        k.router.ip("-6 route append 2001:db8:c::/48 via 2001:db8:b::3 dev eth1 proto 4")
        k.router.ip("-6 route del 2001:db8:c::/48 proto 4")
        equal(k.here(), "", "what the deletion leaves")
        k.daemon.signal(signal.SIGCONT)
        k.wait_back()
        k.daemon.wait_state("2001:db8:c::/48", "held")


@case("IPv6: one nexthop of ours is deleted")
def _():
    with Multi(6, *NETS[1][1:4]) as k:
        k.router.ip("-6 route del 2001:db8:c::/48 via 2001:db8:a::2 dev eth0")
        k.wait_back()
        k.daemon.wait_state("2001:db8:c::/48", "held")


@case("somebody else's multipath on our key is a conflict, and status says whose it is")
def _():
    def prepare(router):
        for family, net, first, second, other in NETS:
            router.ip("-%d route add %s proto static nexthop via %s nexthop via %s" % (
                family, net, first, other))

    text = HOUR + "  - {to: 10.77.0.0/16, dev: eth1}\n"
    for family, net, first, second, other in NETS:
        text += text_of(net, first, second)[len(HOUR):]
    with Kept(text, prepare) as k:
        for family, net, first, second, other in NETS:
            o = k.daemon.object(net)
            equal(o["state"], "conflicting", "state of %s" % o)
            contains(o["reason"], "via %s dev eth1" % other, "reason")
            contains(o["reason"], "proto static", "reason")
            k.router.ip("-%d route del %s proto static" % (family, net))
            k.daemon.wait_state(net, "held")


main()
