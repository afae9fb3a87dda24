# SPDX-License-Identifier: GPL-2.0-or-later
"""Every way a route gets lost, and each time it comes back: on the event, for resync is an hour."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import rtnl
from kept import BOTH, HOUR, Kept
from netns import wait_until
from tap import Skip, case, check, equal, main
from topology import BASIC6_ROUTE, BASIC_ROUTE

NETS = ((4, "198.51.100.0/24", "192.0.2.2", "192.0.2.3", BASIC_ROUTE),
        (6, "2001:db8:c::/48", "2001:db8:b::2", "2001:db8:b::3", BASIC6_ROUTE))


for family, net, gateway, other, line in NETS:
    def _(family=family, net=net):
        with Kept() as k:
            k.router.ip("-%d route del %s" % (family, net))
            k.wait_restored(net)
            k.wait_back()
    case("IPv%d: ip route del" % family)(_)

    def _(family=family, net=net, other=other):
        with Kept() as k:
            k.router.ip("-%d route replace %s via %s dev eth1" % (family, net, other))
            k.wait_restored(net)
            k.wait_back()
            equal(len(k.router.routes(family, proto=None, prefix=net)), 1, "routes on the key")
    case("IPv%d: ip route replace by somebody else" % family)(_)

    def _(family=family, net=net, gateway=gateway):
        with Kept() as k:
            k.router.ip("-%d route replace %s via %s dev eth1 proto 110 mtu 1300" % (
                family, net, gateway))
            k.wait_restored(net)
            k.wait_back()
    case("IPv%d: replaced by one that even carries our mark" % family)(_)

    def _(family=family, net=net):
        with Kept() as k:
            k.daemon.signal(signal.SIGSTOP)
            k.router.ip("-%d route del %s" % (family, net))
            k.router.ip("-%d route add blackhole %s" % (family, net))
            k.daemon.signal(signal.SIGCONT)
            k.wait_back()
            equal(len(k.router.routes(family, proto=None, prefix=net)), 1, "routes on the key")
    case("IPv%d: deleted and another put in its place at once" % family)(_)

    def _(family=family, net=net):
        with Kept() as k:
            for _ in range(5):
                k.router.ip("link set eth1 down")
                k.router.ip("link set eth1 up")
                k.world.addresses()
                k.wait_back()
    case("IPv%d: link down and up" % family)(_)

    def _(family=family, net=net):
        with Kept() as k:
            k.router.ip("link set eth1 down")
            k.daemon.wait_state(net, "pending")
            k.router.ip("link set eth1 up")
            k.world.addresses()
            k.wait_back()
            k.daemon.wait_state(net, "held")
    case("IPv%d: link down for a while: pending, then held" % family)(_)

    def _(family=family):
        with Kept() as k:
            k.router.ip("-%d addr flush dev eth1 scope global" % family)
            k.world.addresses()
            k.wait_back()
    case("IPv%d: all addresses removed and added" % family)(_)

    def _(family=family, net=net):
        with Kept() as k:
            k.router.ip("link del eth1")
            k.daemon.wait_state(net, "pending")
            k.world.veth(k.router, "eth1", k.world.peer, "eth1")
            k.world.addresses()
            k.wait_back()
    case("IPv%d: interface deleted and re-created" % family)(_)

    def _(family=family, net=net):
        with Kept() as k:
            index = k.router.ip("-o link show eth1").split(":")[0]
            k.daemon.signal(signal.SIGSTOP)
            k.router.ip("link del eth1")
            k.router.stub("eth1", index)
            k.world.addresses()
            check(not k.router.has_route(net, family), "nothing was lost")
            k.daemon.signal(signal.SIGCONT)
            k.wait_back()
    case("IPv%d: interface deleted and re-created at once, with the same index" % family)(_)

    def _(family=family, net=net, gateway=gateway):
        with Kept() as k:
            k.router.ip("link set eth1 down")
            k.router.ip("link set eth1 name wan0")
            k.router.ip("link set wan0 up")
            k.daemon.wait_state(net, "pending")
            k.router.ip("link set wan0 down")
            k.router.ip("link set wan0 name eth1")
            k.router.ip("link set eth1 up")
            k.world.addresses()
            k.wait_back()
    case("IPv%d: interface renamed, and back" % family)(_)

    def _(family=family, net=net):
        with Kept() as k:
            if not k.router.ip_try("link set eth1 name wan0"):
                # The case before is of what can be done there.
                raise Skip("this kernel renames only what is down")
            k.daemon.wait_state(net, "pending")
            k.router.stub("eth1")
            k.router.ip("addr flush dev wan0")
            k.world.addresses()
            k.wait_back("the routes go where the name is now")
    case("IPv%d: interface renamed while up, another takes its name" % family)(_)

    def _(family=family, net=net):
        with Kept() as k:
            k.router.ip("-%d route flush proto 110" % family)
            k.wait_back()
    case("IPv%d: ip route flush" % family)(_)

    def _(family=family, gateway=gateway, net=net):
        to = "default" if family == 4 else '"::/0"'
        text = HOUR + "  - {to: %s, via: \"%s\", metric: 50}\n" % (to, gateway)
        text += "  - {to: \"%s\", via: \"%s\", dev: eth1, table: 100}\n" % (net, gateway)
        text += "  - {to: \"%s\", type: blackhole, metric: 7}\n" % net
        with Kept(text) as k:
            equal(len(k.routes(family)), 3, "routes in %s" % k.now())
            k.router.ip("-%d route del default metric 50" % family)
            k.router.ip("-%d route flush table 100" % family)
            k.router.ip("-%d route del blackhole %s metric 7" % (family, net))
            k.wait_back()
    case("IPv%d: a default route, one in another table, a blackhole" % family)(_)


@case("IPv6: lo down takes a blackhole away, lo up gives it back")
def _():
    with Kept(HOUR + '  - {to: "2001:db8:c::/48", type: blackhole}\n') as k:
        k.router.ip("link set lo down")
        k.router.ip("link set lo up")
        k.wait_back()


@case("IPv6: a foreign nexthop appended to ours, then both deleted")
def _():
    with Kept() as k:
        k.router.ip("-6 route append 2001:db8:c::/48 via 2001:db8:b::3 dev eth1 proto 4")
        k.wait_back()
        equal(len(k.router.routes(6, proto=None, prefix="2001:db8:c::/48")), 1, "nexthops")
        k.router.ip_try("-6 route append 2001:db8:c::/48 via 2001:db8:b::3 dev eth1 proto 4")
        k.router.ip_try("-6 route del 2001:db8:c::/48 proto 4")
        k.wait_back()


@case("IPv4: a foreign route put before ours on its key does not take the traffic")
def _():
    with Kept() as k:
        k.router.ip("route prepend 198.51.100.0/24 via 192.0.2.3 dev eth1")
        wait_until(lambda: "via 192.0.2.2 " in k.router.ip("route get 198.51.100.1"),
                   "traffic goes by our route")
        k.wait_back()


@case("IPv6: skip_notify_on_dev_down: a loss without any route event is repaired")
def _():
    def quiet(router):
        router.sysctl("net.ipv6.route.skip_notify_on_dev_down", 1)

    with Kept(prepare=quiet) as k:
        k.router.ip("link set eth1 down")
        k.router.ip("link set eth1 up")
        k.world.addresses()
        k.wait_back()


@case("IPv6: disable_ipv6 and back")
def _():
    with Kept() as k:
        k.router.sysctl("net.ipv6.conf.eth1.disable_ipv6", 1)
        k.daemon.wait_state("2001:db8:c::/48", "pending")
        k.router.sysctl("net.ipv6.conf.eth1.disable_ipv6", 0)
        k.world.addresses()
        k.wait_back()


for family, net, gateway, other, line in NETS:
    source = "192.0.2.9" if family == 4 else "2001:db8:b::9"
    size = "/24" if family == 4 else "/64 nodad"

    def _(family=family, net=net, gateway=gateway, source=source, size=size):
        def prepare(router):
            router.ip("addr add %s%s dev eth1" % (source, size))

        text = HOUR + "  - {to: \"%s\", via: \"%s\", source: \"%s\"}\n" % (net, gateway, source)
        with Kept(text, prepare) as k:
            check("src %s" % source in k.routes(family)[0], "no src in %s" % k.routes(family))
            k.router.ip("addr del %s%s dev eth1" % (source, size.split()[0]))
            k.router.ip("addr add %s%s dev eth1" % (source, size))
            k.wait_back()
            wait_until(lambda: "src %s" % source in k.routes(family)[0], "the source is there")
    case("IPv%d: preferred source address removed and added" % family)(_)


@case("a port that leaves a bridge is not an interface deleted")
def _():
    with Kept() as k:
        k.router.ip("link add br0 type bridge")
        k.router.ip("link set eth1 master br0")
        monitor = rtnl.Monitor(k.router, ("route",))
        k.router.ip("link set eth1 nomaster")
        k.router.ip("route del 198.51.100.0/24")  # its repair shows that the events are done with
        k.wait_restored("198.51.100.0/24")
        gone = [e for e in monitor.take() if e.verb == "del" and e.prefix == "2001:db8:c::/48"]
        equal(gone, [], "removed")
        k.wait_back()


@case("an unrelated interface that comes and goes changes nothing")
def _():
    with Kept() as k:
        monitor = rtnl.Monitor(k.router, ("route",))
        k.router.stub("other0")
        k.router.ip("link del other0")
        k.router.ip("route del 198.51.100.0/24")
        k.wait_restored("198.51.100.0/24")
        ours = [e for e in monitor.take("route") if e.proto == 110]
        equal([e.verb for e in ours], ["del", "new"], "what happened to our routes: %s" % ours)


@case("routes that others resolve through come back with them")
def _():
    text = HOUR + """
  - {to: 203.0.113.0/24, via: 198.51.100.1}
  - {to: 198.51.100.0/24, dev: eth1, scope: link}
"""
    with Kept(text) as k:
        equal(len(k.routes(4)), 2, "routes in %s" % k.now())
        k.router.ip_batch(["route del 203.0.113.0/24", "route del 198.51.100.0/24"])
        k.wait_back()


@case("overrun: the loss of our routes is among the events that got lost", timeout=120)
def _():
    with Kept() as k:
        k.daemon.signal(signal.SIGSTOP)
        # Foreign replacements, which pass the filter and mean nothing, until the buffer is full.
        k.router.ip_batch(["route replace 10.200.0.0/16 via 192.0.2.%d" % (2 + n % 2)
                           for n in range(60000)])
        k.router.ip("route del 198.51.100.0/24")
        k.router.ip("-6 route del 2001:db8:c::/48")
        k.daemon.signal(signal.SIGCONT)
        k.wait_back()
        k.daemon.wait_log(r"events were lost", k.mark)
        check(k.daemon.count_log(r"events were lost", k.mark) < 20, "said for every event")
        k.router.ip("route del 198.51.100.0/24")
        k.wait_back("events are heard after an overrun")


@case("a storm of foreign route changes does not hide the loss of ours", timeout=120)
def _():
    with Kept() as k:
        k.router.ip_batch(["route add 10.%d.%d.0/24 via 192.0.2.2" % (100 + n // 256, n % 256)
                           for n in range(5000)])
        k.router.ip("route del 198.51.100.0/24")
        k.wait_restored("198.51.100.0/24")
        k.router.ip_batch(["route %s 10.%d.%d.0/24 via 192.0.2.%d" % (
            verb, 100 + n // 256, n % 256, gateway)
            for verb, gateway in (("replace", 3), ("replace", 2), ("del", 2))
            for n in range(5000)] + ["-6 route del 2001:db8:c::/48"])
        k.wait_back()


@case("IPv4: a foreign route put before ours while netshared was down")
def _():
    with Kept() as k:
        k.daemon.stop()
        k.router.ip("route prepend 198.51.100.0/24 via 192.0.2.3 dev eth1")
        check("via 192.0.2.3 " in k.router.ip("route get 198.51.100.1"), "it took the traffic")
        k.daemon.start()
        wait_until(lambda: "via 192.0.2.2 " in k.router.ip("route get 198.51.100.1"),
                   "traffic goes by our route")
        k.wait_back()


@case("IPv4: a foreign route put before ours, of which no event tells, is found by the resync")
def _():
    with Kept(BOTH.replace("1h", "1s")) as k:
        k.daemon.signal(signal.SIGSTOP)
        k.router.ip("route prepend 198.51.100.0/24 via 192.0.2.3 dev eth1")
        check(k.daemon.steal_events() > 0, "there was no event to lose")
        k.daemon.signal(signal.SIGCONT)
        wait_until(lambda: "via 192.0.2.2 " in k.router.ip("route get 198.51.100.1"),
                   "traffic goes by our route")
        k.wait_back()


@case("IPv6: preferred source address of another interface removed and added")
def _():
    source = "2001:db8:f::1"
    text = HOUR + """
  - {to: "2001:db8:c::/48", via: "2001:db8:b::2", dev: eth1, source: "%s"}
""" % source

    def prepare(router):
        router.ip("addr add %s/128 dev lo" % source)

    with Kept(text, prepare) as k:
        check("src " + source in k.routes(6)[0], "no src in %s" % k.routes(6))
        k.router.ip("addr del %s/128 dev lo" % source)
        k.router.ip("addr add %s/128 dev lo" % source)
        k.wait_back()
        k.daemon.signal(signal.SIGSTOP)
        k.router.ip("addr del %s/128 dev lo" % source)
        lost = k.now() != k.ours
        k.router.ip("addr add %s/128 dev lo" % source)
        k.daemon.signal(signal.SIGCONT)
        k.wait_back()
        if not lost and os.uname().release.startswith(("5.", "6.1.")):
            raise Skip("this kernel (6.1) leaves the source, whose address is another interface's")
        check(lost, "the source was not lost")


main()
