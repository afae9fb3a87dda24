# SPDX-License-Identifier: GPL-2.0-or-later
"""The walking skeleton: one route, one policy, one drift, a good reload and a bad one."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from netns import wait_until
from tap import case, check, contains, equal, main
from topology import BASIC, BASIC_ROUTE, CLIENT4, FAR4, WAN4, Lan
from traffic import tcp_peer, udp_peer

SECOND = BASIC.replace("routes:\n", "routes:\n  - {to: 203.0.113.0/24, via: 192.0.2.2}\n")


@case("a route and a policy hold when READY is said, and packets take the router's address")
def _():
    with Lan() as w:
        w.serve(FAR4)
        w.router.ip("route add 198.51.100.0/24 via 192.0.2.2")
        w.router.sysctl("net.ipv4.ip_forward", 1)
        equal(udp_peer(w.client, FAR4), CLIENT4, "before")
        w.router.sysctl("net.ipv4.ip_forward", 0)
        w.router.ip("route del 198.51.100.0/24 via 192.0.2.2")
        w.router.run("conntrack", "-F", check=False)
        d = Daemon(w.router, BASIC).start()
        check(w.router.has_route(BASIC_ROUTE + " proto 110"), "no route at READY")
        equal(w.router.sysctl("net.ipv4.ip_forward"), "1", "forwarding at READY")
        equal(udp_peer(w.client, FAR4), WAN4, "UDP is seen from")
        equal(tcp_peer(w.client, FAR4), WAN4, "TCP is seen from")
        equal(w.router.firewall.jumps(), ["lan-out"], "jumps")
        ours = "\n".join(w.router.nat_ours())
        contains(ours, w.router.firewall.MASQUERADE, "the rule")
        contains(ours, "conntrack", "the rule that keeps conntrack in use")
        equal(d.object("198.51.100.0/24", "route")["state"], "held", "the route in status")
        equal(d.object("lan-out", "masquerade")["state"], "held", "the policy in status")
        counts = d.status()["counts"]
        equal([counts[k] for k in ("pending", "conflicting", "wrong")], [0, 0, 0], "counts")
        d.stop()


@case("a deleted route comes back, and the log says so")
def _():
    with Lan() as w:
        d = Daemon(w.router, BASIC).start()
        mark = d.mark()
        w.router.ip("route del 198.51.100.0/24")
        d.wait_log(r"route 198\.51\.100\.0/24 via 192\.0\.2\.2 .*restored", mark)
        check(w.router.has_route(BASIC_ROUTE + " proto 110"), "said to be restored, but is not")
        check(d.object("198.51.100.0/24")["repairs"] == 1, "repairs in status")
        d.stop()


@case("a flushed NAT table comes back, and the log says so")
def _():
    with Lan() as w:
        d = Daemon(w.router, BASIC).start()
        ours = w.router.nat_ours()
        mark = d.mark()
        w.router.firewall.flush()
        d.wait_log(r"masquerade lan-out .*restored", mark)
        equal(w.router.nat_ours(), ours, "rules after the repair")
        d.stop()


@case("a good reload: exit 0, in force when it returns, told to systemd")
def _():
    with Lan() as w:
        d = Daemon(w.router, BASIC).start()
        seen = len(d.notified)
        d.reload(SECOND)
        check(w.router.has_route("203.0.113.0/24 via 192.0.2.2 dev eth1 proto 110"), "no new route")
        check(w.router.has_route(BASIC_ROUTE), "the old route is gone")
        d.wait_notified("RELOADING=1", seen)
        d.wait_notified("READY=1", seen)
        reloading = d.wait_notified("RELOADING=1", seen)
        contains(reloading, "MONOTONIC_USEC=", "systemd wants the time of the reload")
        d.stop()


@case("a bad reload: exit 1, the error with its place, the old configuration in force")
def _():
    with Lan() as w:
        d = Daemon(w.router, BASIC).start()
        seen, mark = len(d.notified), d.mark()
        before = w.router.snapshot()
        result = d.reload(BASIC.replace("via: 192.0.2.2", "via: 192.0.2.999"), check=False)
        equal(result.returncode, 1, "exit code")
        contains(result.stderr, d.config + ":6:32:", "place of the error")
        contains(result.stderr, "^", "caret under the place")
        contains(result.stderr, "{to: 198.51.100.0/24, via: 192.0.2.999, dev: eth1}", "its line")
        equal(w.router.snapshot(), before, "the kernel")
        d.wait_log(r"192\.0\.2\.999", mark)
        d.wait_notified("READY=1", seen)
        w.router.ip("route del 198.51.100.0/24")
        wait_until(lambda: w.router.has_route(BASIC_ROUTE), "the route is still kept")
        d.reload(BASIC)
        d.stop()


main()
