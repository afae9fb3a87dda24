# SPDX-License-Identifier: GPL-2.0-or-later
"""What is odd but allowed: names, numbers, tables, nexthops by the dozen, devices that move."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from netns import wait_until
from tap import Skip, case, contains, equal, main
from topology import Router

HOUR = "version: 1\nsettings: {resync: 1h}\n"
NAMES = ("a.b", "fifteen-letters", "-x", "a@b", "~", "null", "1", "all", "é", "dev")


@case("devices with odd names")
def _():
    text = HOUR + "routes:\n"
    for number, name in enumerate(NAMES, 1):
        text += '  - {to: [10.%d.0.0/16, "2001:db8:%d::/48"], dev: "%s"}\n' % (number, number, name)
        text += '  - {to: 172.16.%d.0/24, via: 192.168.%d.2, dev: "%s"}\n' % (number, number, name)
    with Router() as w:
        d = Daemon(w.router, text).start()
        equal(d.status()["counts"]["pending"], 3 * len(NAMES), "pending")
        for number, name in enumerate(NAMES, 1):
            if name not in ("all",):
                w.router.run("ip", "link", "add", "name", name, "type", "veth", "peer", "name",
                             "p%d" % number)
                w.router.ip("link set p%d up" % number)
                w.router.run("ip", "addr", "add", "192.168.%d.1/24" % number, "dev", name)
                w.router.run("ip", "link", "set", "dev", name, "up")
        there = len(NAMES) - 1
        wait_until(lambda: d.status()["counts"]["held"] == 3 * there, "all are held")
        equal(d.plan().stdout.count("pending"), 3, "plan: %s" % d.plan().stdout)
        for number, name in enumerate(NAMES, 1):
            if name != "all":
                w.router.run("ip", "link", "set", "dev", name, "down")
                w.router.run("ip", "link", "set", "dev", name, "up")
        wait_until(lambda: d.status()["counts"]["held"] == 3 * there, "and again")
        wait_until(lambda: len(w.router.routes(4)) == 2 * there and
                   len(w.router.routes(6)) == there, "in the kernel")
        d.stop()


class Movable(Router):
    def addresses_on(self, device):
        self.router.ip("addr replace 192.0.2.1/24 dev " + device)
        self.router.ip("addr replace 2001:db8:b::1/64 dev %s nodad" % device)


@case("a device in use is renamed, gets another name beside, moves to another namespace and back")
def _():
    text = HOUR + """
routes:
  - {to: 198.51.100.0/24, via: 192.0.2.2, dev: eth1}
  - {to: "2001:db8:c::/48", via: "2001:db8:b::2", dev: eth1}
"""
    four, six = "198.51.100.0/24 via 192.0.2.2 dev ", "2001:db8:c::/48 via 2001:db8:b::2 dev "
    with Movable() as w:
        d = Daemon(w.router, text).start()

        def wait(name):
            wait_until(lambda: w.router.has_route(four + name) and
                       w.router.has_route(six + name, 6), "routes over " + name)

        def wait_none():
            wait_until(lambda: not w.router.routes(4) and not w.router.routes(6), "no routes")
            d.wait_state("198.51.100.0/24", "pending")
            equal(d.object("198.51.100.0/24")["reason"].split(";")[0],
                  "interface eth1 does not exist", "reason")

        def rename(old, new):
            w.router.ip("link set %s down" % old)
            w.router.ip("link set %s name %s" % (old, new))
            w.router.ip("link set %s up" % new)
            w.addresses_on(new)

        wait("eth1")
        rename("eth1", "wan")
        wait_none()
        w.router.ip("link property add dev wan altname eth1")
        w.router.ip("link set wan down")
        w.router.ip("link set wan up")
        w.addresses_on("wan")
        wait("wan")
        equal(d.plan().stdout, "", "plan with the other name")
        w.router.ip("link property del dev wan altname eth1")
        rename("wan", "eth1")
        wait("eth1")
        other = w.ns("other")
        w.router.ip("link set eth1 netns " + other.name)
        wait_none()
        equal(other.routes(4) + other.routes(6), [], "nothing went with it")
        other.ip("link set eth1 netns " + w.router.name)
        w.router.ip("link set eth1 up")
        w.addresses_on("eth1")
        wait("eth1")
        d.stop()


@case("a device is renamed while it is up, and another takes its name")
def _():
    with Router() as w:
        if not w.router.ip_try("link set eth0 name eth9"):
            raise Skip("this kernel renames only what is down")
        d = Daemon(w.router, HOUR + """
routes:
  - {to: 198.51.100.0/24, via: 192.0.2.2, dev: eth1}
  - {to: 203.0.113.0/24, via: 10.0.0.2, dev: eth9}
""").start()
        w.router.ip("link set eth1 name eth5")
        wait_until(lambda: d.object("198.51.100.0/24")["state"] == "pending", "it is missed")
        w.router.stub("eth1")
        w.router.ip("addr add 192.0.2.9/24 dev eth1")
        wait_until(lambda: w.router.has_route("198.51.100.0/24 via 192.0.2.2 dev eth1"), "moved")
        equal(len(w.router.routes(4)), 2, "routes")
        d.stop()


@case("the largest numbers; default routes in many tables; both kinds of nowhere")
def _():
    text = HOUR + """
routes:
  - {to: 0.0.0.0/0, via: 192.0.2.2, table: 4294967295, metric: 4294967295}
  - {to: "::/0", via: "2001:db8:b::2", table: 4294967295, metric: 4294967295}
  - {to: default, via: 192.0.2.2, table: 1}
  - {to: default, via: 192.0.2.2, table: 252}
  - {to: default, via: 192.0.2.2, table: 253}
  - {to: default, via: 192.0.2.2, table: 256}
  - {to: default, via: "2001:db8:b::2", table: 252}
  - {to: 192.0.2.77, type: local, dev: lo, table: 255}
  - {to: 0.0.0.0/0, type: throw, table: 4294967294}
  - {to: "::", type: blackhole, table: 4294967294}
rules:
  - {from: 10.1.0.0/24, table: 4294967295, priority: 4294967295}
  - {from: "2001:db8:1::/48", table: 4294967295, priority: 4294967295}
"""
    with Router() as w:
        d = Daemon(w.router, text).start()
        equal([d.status()["counts"][k] for k in ("pending", "conflicting", "wrong")], [0, 0, 0],
              "counts in %s" % d.objects())
        equal(d.plan().stdout, "", "plan")
        equal(len(w.router.routes(4)) + len(w.router.routes(6)), 10, "routes")
        before = w.router.snapshot()
        d.kill9()
        d.start()
        equal(d.status()["work"]["route_messages"], 0, "route messages")
        equal(w.router.snapshot(), before, "after a restart")
        w.router.ip("route flush table 4294967295")
        w.router.ip("-6 route flush table 4294967295")
        wait_until(lambda: len(w.router.routes(4)) + len(w.router.routes(6)) == 10, "back")
        d.reload(HOUR)
        equal(w.router.routes(4) + w.router.routes(6), [], "all gone")
        d.stop()


for family, gateway in ((4, "192.0.2.%d"), (6, "2001:db8:b::%x")):
    def _(family=family, gateway=gateway):
        hops = "[%s]" % ", ".join('{via: "%s", dev: eth1, weight: %d}' % (gateway % n, n)
                                  for n in range(2, 66))
        text = HOUR + 'routes:\n  - {to: default, nexthops: %s, family: ipv%d}\n' % (hops, family)
        with Router() as w:
            d = Daemon(w.router, text).start()
            equal(d.object("default")["state"], "held", "state")
            line, = w.router.routes(family)
            equal(line.count("nexthop "), 64, "nexthops")
            equal(d.plan().stdout, "", "plan")
            w.router.ip("-%d route del default proto 110" % family)
            wait_until(lambda: w.router.routes(family) == [line], "back")
            bad = d.reload(text.replace("[{", '[{via: "%s", dev: eth1}, {' % (gateway % 99), 1),
                           check=False)
            equal(bad.returncode != 0, True, "one more is refused")
            contains(bad.stdout + bad.stderr, "more than 64 nexthops", "why")
            # Somebody else's has more than we can write.
            many = " ".join("nexthop via %s dev eth1" % (gateway % n) for n in range(2, 90))
            w.router.ip("-%d route replace default %s" % (family, many))
            wait_until(lambda: w.router.routes(family) == [line], "ours again")
            d.stop()
    case("IPv%d: sixty-four nexthops, and no more" % family)(_)


@case("a gateway that the route's own table reaches otherwise than main: no fight")
def _():
    with Router() as w:
        w.router.ip_batch(["route add 192.0.2.0/24 dev eth0 table 100",
                           "-6 route add 2001:db8:b::/64 dev eth0 table 100"])
        d = Daemon(w.router, HOUR.replace("1h", "1s") + """
routes:
  - {to: 198.51.100.0/24, via: 192.0.2.2, table: 100}
  - {to: "2001:db8:c::/48", via: "2001:db8:b::2", table: 100}
""").start()
        for name in ("198.51.100.0/24", "2001:db8:c::/48"):
            equal(d.object(name)["state"], "held", name)
        messages = d.status()["work"]["route_messages"]
        full = d.status()["work"]["full_comparisons"]
        wait_until(lambda: d.status()["work"]["full_comparisons"] > full + 2, "resyncs")
        equal(d.status()["work"]["route_messages"], messages, "route messages")
        equal(d.plan().stdout, "", "plan")
        d.stop()


main()
