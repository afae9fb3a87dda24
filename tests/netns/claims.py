# SPDX-License-Identifier: GPL-2.0-or-later
"""A route key written in the file is claimed: adopted, left in conflict, or taken."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import rtnl
from daemon import Daemon
from netns import holds_for, wait_until
from tap import case, check, contains, equal, main
from topology import BASIC, BASIC6, BASIC6_ROUTE, BASIC_ROUTE, Router

FAMILIES = ((4, "198.51.100.0/24", "192.0.2.2", "192.0.2.3", BASIC_ROUTE, BASIC),
            (6, "2001:db8:c::/48", "2001:db8:b::2", "2001:db8:b::3", BASIC6_ROUTE, BASIC6))

for family, net, gateway, other, line, text in FAMILIES:
    def _(family=family, net=net, gateway=gateway, line=line, text=text):
        with Router() as w:
            w.router.ip("-%d route add %s via %s dev eth1 proto static" % (family, net, gateway))
            monitor = rtnl.Monitor(w.router, ("route",))
            d = Daemon(w.router, text).start()
            check(w.router.has_route(line + " proto 110", family), w.router.routes(family))
            equal(len(w.router.routes(family, proto=None, prefix=net)), 1, "routes on the key")
            events = [e for e in monitor.take("route") if e.prefix == net]
            equal([e.verb for e in events if e.verb == "del"], [], "gaps in %s" % events)
            equal(d.object(net)["state"], "held", "status")
            d.wait_log(r"%s.*adopted" % net.replace(".", r"\."), timeout=2)
            d.stop()
    case("IPv%d: a foreign route that is otherwise equal is adopted in place" % family)(_)

    def _(family=family, net=net, other=other, line=line, text=text):
        with Router() as w:
            w.router.ip("-%d route add %s via %s dev eth1 proto static" % (family, net, other))
            before = w.router.routes_but_local(family)
            d = Daemon(w.router, text).start()
            equal(w.router.routes_but_local(family), before, "routes")
            o = d.object(net)
            equal(o["state"], "conflicting", "status")
            contains(o["reason"], other, "with whom")
            equal(d.status()["counts"]["conflicting"], 1, "counts")
            check("onflict" in d.status_text(), "STATUS= says %r" % d.status_text())
            d.wait_log(r"(?i)%s.*held by another.*%s" % (net.replace(".", r"\."),
                                                 other.replace(".", r"\.")), timeout=2)
            plan = d.plan()
            check("+ route " + net not in plan.stdout, "plan would take it:\n" + plan.stdout)
            d.reload()
            equal(w.router.routes_but_local(family), before, "routes after a reload")
            # When it goes, the key is free.
            w.router.ip("-%d route del %s" % (family, net))
            wait_until(lambda: w.router.has_route(line, family), "ours takes its place")
            d.wait_state(net, "held")
            d.stop()
    case("IPv%d: a different foreign route is left alone, and said with whom" % family)(_)

    def _(family=family, net=net, other=other, line=line, text=text):
        with Router() as w:
            w.router.ip("-%d route add %s via %s dev eth1 proto static" % (family, net, other))
            d = Daemon(w.router, text.replace("dev: eth1}", "dev: eth1, on-conflict: replace}"))
            d.start()
            check(w.router.has_route(line + " proto 110", family), w.router.routes(family))
            equal(len(w.router.routes(family, proto=None, prefix=net)), 1, "routes on the key")
            d.stop()
    case("IPv%d: on-conflict: replace takes the key" % family)(_)

    def _(family=family, net=net, other=other, line=line, text=text):
        with Router() as w:
            w.router.ip("-%d route add %s via %s dev eth1 proto static" % (family, net, other))
            d = Daemon(w.router, text).start()
            equal(d.object(net)["state"], "conflicting", "status")
            d.reload(text.replace("dev: eth1}", "dev: eth1, on-conflict: replace}"))
            check(w.router.has_route(line + " proto 110", family), w.router.routes(family))
            w.router.ip("-%d route replace %s via %s dev eth1 proto static" % (family, net, other))
            wait_until(lambda: w.router.has_route(line + " proto 110", family), "repaired")
            d.stop()
    case("IPv%d: taken by a reload; once held, a replacement is drift" % family)(_)

    def _(family=family, net=net, other=other, line=line, text=text):
        with Router() as w:
            metric = 2000
            w.router.ip("-%d route add %s via %s dev eth1 proto static metric %d" % (
                family, net, other, metric))
            before = w.router.routes_but_local(family)
            d = Daemon(w.router, text).start()
            check(w.router.has_route(line, family), "ours is in")
            check(set(before) <= set(w.router.routes(family, proto=None)), "theirs is there")
            d.stop()
            d.cli("remove", check=True)
            equal(w.router.routes_but_local(family), before, "routes after remove")
    case("IPv%d: a foreign route of the same prefix and another metric is no conflict" % family)(_)


@case("IPv4: a foreign route that appears while ours is pending is a conflict, not drift")
def _():
    text = BASIC.replace("192.0.2.2, dev: eth1", "192.0.2.66, dev: eth9")
    with Router() as w:
        d = Daemon(w.router, text).start()
        equal(d.object("198.51.100.0/24")["state"], "pending", "status at start")
        w.router.ip("route add 198.51.100.0/24 via 192.0.2.3 dev eth1")
        w.router.stub("eth9")
        w.router.ip("addr add 192.0.2.65/26 dev eth9")
        d.wait_state("198.51.100.0/24", "conflicting")
        holds_for(lambda: w.router.has_route("198.51.100.0/24 via 192.0.2.3 dev eth1", proto="3"),
                  "the foreign route is left alone", 0.5)
        d.stop()


main()
