# SPDX-License-Identifier: GPL-2.0-or-later
"""Nothing foreign is touched: routes, rules, iptables and their counters stay as they were, over
start, drift, reload, stop and remove. And what is already right is not touched either."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import rtnl
from daemon import Daemon
from netns import differences, wait_until
from tap import case, check, contains, equal, main
from topology import BASIC, FAR4, SERVER4, WAN4, Lan, Router
from traffic import udp_peer

TEXT = BASIC + """  - name: lan-out6
    from: ["2001:db8:a::/64"]
    out: [eth1]
"""


def furnish(w):
    """A machine with a life of its own."""
    w.router.ip_batch([
        "route add 203.0.113.0/24 via 192.0.2.2 metric 5",
        "route add 203.0.113.0/24 via 192.0.2.3 metric 7 proto static",
        "route add default via 192.0.2.2 proto dhcp",
        "route add blackhole 10.99.0.0/16 proto bird",
        "route add 10.98.0.0/16 via 192.0.2.2 table 77",
        "route add 10.97.0.0/16 nexthop via 192.0.2.2 weight 2 nexthop via 192.0.2.3",
        "route add unreachable 198.51.100.0/24 metric 999",
        "route add 198.51.100.0/24 via 192.0.2.9 tos 0x10",
        "-6 route add 2001:db8:f::/48 via 2001:db8:b::2 metric 5",
        "-6 route add 2001:db8:f::/48 via 2001:db8:b::3 metric 7 proto static",
        "-6 route add default via 2001:db8:b::2 proto ra",
        "rule add from 10.98.0.0/16 table 77 priority 500",
        "rule add fwmark 7 table 77 priority 501 protocol static",
        "-6 rule add from 2001:db8:98::/48 table 77 priority 500"])
    for family in (4, 6):
        for rule in ("-t nat -N DOCKER", "-t nat -A POSTROUTING -p udp --dport 9 -j ACCEPT",
                     "-t nat -A PREROUTING -j DOCKER", "-t nat -N NETSHAREDNOT",
                     "-t nat -A POSTROUTING -o eth7 -j MASQUERADE",
                     "-t filter -A FORWARD -p udp --dport 5000 -m comment --comment hello",
                     "-t filter -A FORWARD -m mark --mark 4 -j DROP",
                     "-t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN "
                     "-j TCPMSS --clamp-mss-to-pmtu",
                     "-t raw -A PREROUTING -p udp --dport 5000 -m comment --comment raw"):
            w.router.iptables(rule, family)
        word = "ip" if family == 4 else "ip6"
        for words in ("table {t}", "set {t} few {{ type mark; elements = {{ 1, 2 }}; }}",
                      "chain {t} forward {{ type filter hook forward priority 0; }}",
                      'rule {t} forward udp dport 5000 counter comment "hello"',
                      "rule {t} forward mark @few counter drop",
                      "chain {t} netshared-not", "table {w} netshared2",
                      "chain {w} netshared2 nat-lan-out"):
            w.router.run("nft", "add " + words.format(w=word, t=word + " others"))


def foreign(w):
    """All of it, counters included, without what is netshared's."""
    state = w.router.snapshot(counters=True)
    for family in (4, 6):
        state["routes%d" % family] = [line for line in state["routes%d" % family]
                                      if " proto 110 " not in line + " "]
        state["iptables%d" % family] = [line for line in state["iptables%d" % family]
                                        if "NETSHARED-" not in line]
    state["nftables"] = [line for line in state["nftables"]
                         if line.split()[2] != "netshared"]
    for key in [k for k in state if "forward" in k or "accept_ra" in k]:
        del state[key]
    return state


def packets(w):
    """Some, so that there are counters to lose."""
    w.router.sysctl("net.ipv4.ip_forward", 1)
    for _ in range(5):
        check(udp_peer(w.client, SERVER4), "no answer")
    w.router.sysctl("net.ipv4.ip_forward", 0)


@case("foreign routes, rules and iptables rules stay byte for byte, counters included")
def _():
    with Lan() as w:
        furnish(w)
        w.serve(SERVER4)
        packets(w)
        complete = w.router.snapshot()
        before = foreign(w)
        check(any("[0:0]" not in line and "hello" in line for line in before["iptables4"]),
              "the counters are not even moving")

        def same(when):
            difference = differences(before, foreign(w))
            check(not difference, "touched %s:\n%s" % (when, difference))

        d = Daemon(w.router, TEXT).start()
        same("by the start")
        w.router.ip("route del 198.51.100.0/24 via 192.0.2.2")
        wait_until(lambda: w.router.has_route("198.51.100.0/24 via 192.0.2.2 dev eth1"), "repaired")
        same("by the repair of a route")
        ours = w.router.nat_ours(4), w.router.nat_ours(6)
        for family in (4, 6):
            w.router.firewall.delete_jump("lan-out" + ("6" if family == 6 else ""), family)
            w.router.firewall.flush_conntrack(family)
        wait_until(lambda: (w.router.nat_ours(4), w.router.nat_ours(6)) == ours, "repaired")
        same("by the repair of rules")
        d.reload(TEXT.replace("lan-out", "another").replace("198.51.100.0", "198.51.101.0"))
        same("by a reload")
        d.reload(TEXT)
        d.kill9()
        d.start()
        same("by a restart")
        d.stop()
        same("by a stop")
        d.cli("remove", check=True)
        same("by remove")
        difference = differences(complete, w.router.snapshot())
        check(not difference, "not all is as before netshared:\n" + difference)


def rules(w):
    """All of them, counters included."""
    return [*w.router.iptables_save(4, True), *w.router.iptables_save(6, True),
            *w.router.nft_ruleset(True)]


def changes_nothing(w, action, what):
    before = rules(w)
    monitor = rtnl.Monitor(w.router)
    action()
    equal(monitor.take(), [], "what %s changed" % what)
    equal(rules(w), before, "rules, counters included, over " + what)


@case("a second run makes no change at all: no netlink event, NAT counters survive")
def _():
    with Lan() as w:
        w.serve(FAR4)
        text = TEXT + '  - {name: more, out: [eth1], family: [ipv4, ipv6], position: first}\n'
        text = text.replace("routes:\n", """routes:
  - {to: "2001:db8:c::/48", via: "2001:db8:b::2", dev: eth1}
  - {to: "2001:db8:c1::/48", via: "2001:db8:b::2", metric: 5, mtu: 1400}
  - {to: [10.30.0.0/16, 10.31.0.0/16], via: 192.0.2.2, metric: 7, table: 100, mtu: 1400}
  - {to: 10.32.0.0/16, type: unreachable}
  - {to: "2001:db8:c2::/48", type: blackhole}
  - {to: 10.33.0.0/16, via: 172.31.0.1, dev: eth1, on-link: true}
  - {to: 10.34.0.0/16, dev: eth1, scope: link}
  - {to: 10.35.0.0/16, via: 192.0.2.2, source: 10.0.0.1}
  - {to: "2001:db8:c3::/48", via: "fe80::1", dev: eth1}
""")
        d = Daemon(w.router, text)
        w.router.ip("addr add fe80::99/64 dev eth1 nodad")
        d.start()
        equal([d.status()["counts"][k] for k in ("pending", "conflicting", "wrong")], [0, 0, 0],
              "counts in %s" % d.objects())
        for _ in range(5):
            equal(udp_peer(w.client, FAR4), WAN4, "seen from")
        packets_before = w.router.nat_packets()
        check(any(count for count, _ in packets_before), "NAT counters are moving")
        d.stop()
        plan = d.plan()
        equal((plan.returncode, plan.stderr), (0, ""), "plan, which said\n" + plan.stdout)
        changes_nothing(w, d.start, "a second run")
        plan = d.plan()
        equal(plan.returncode, 0, "plan while it runs, which said\n" + plan.stdout)
        changes_nothing(w, lambda: d.reload(text), "a reload of the same")
        d.kill9()
        changes_nothing(w, d.start, "a start after kill -9")
        d.stop()
        changes_nothing(w, lambda: d.cli("apply", check=True), "apply")
        equal(w.router.nat_packets(), packets_before, "NAT counters")


@case("the poll and the resync of a settled daemon change nothing")
def _():
    with Lan() as w:
        d = Daemon(w.router, TEXT.replace("resync: 1h", "resync: 1s")).start()
        changes_nothing(w, lambda: time.sleep(2.5), "two and a half seconds of polls and resyncs")
        d.stop()


@case("a change of one policy leaves the counters of the others alone")
def _():
    with Lan() as w:
        w.serve(FAR4)
        d = Daemon(w.router, TEXT).start()
        for _ in range(3):
            equal(udp_peer(w.client, FAR4), WAN4, "seen from")
        before = [c for c in w.router.nat_packets() if "lan-out" in c[1]]
        check(any(c[0] for c in before), "NAT counters are moving")
        d.reload(TEXT + "  - {name: more, family: ipv4, out: [eth7]}\n")
        equal([c for c in w.router.nat_packets() if "lan-out" in c[1]], before, "counters")
        d.reload(TEXT)
        equal([c for c in w.router.nat_packets() if "lan-out" in c[1]], before, "counters")
        d.stop()


@case("plan and status look without touching: no table comes into being")
def _():
    with Lan() as w:
        d = Daemon(w.router, TEXT)
        equal(w.router.firewall.in_use(), [], "tables before")
        monitor = rtnl.Monitor(w.router)
        equal(d.plan().returncode, 3, "plan")
        equal(d.cli("check").returncode, 0, "check")
        equal(d.cli("status").returncode, 1, "status without a daemon")
        equal(monitor.take(), [], "changes")
        equal(w.router.firewall.in_use(), [], "tables after")


for family, net, gateway, other in ((4, "198.51.100.0/24", "192.0.2.2", "192.0.2.3"),
                                    (6, "2001:db8:c::/48", "2001:db8:b::2", "2001:db8:b::3")):
    def _(family=family, net=net, gateway=gateway, other=other):
        with Router() as w:
            text = "version: 1\nsettings: {resync: 1s}\nroutes:\n" \
                "  - {to: \"%s\", via: \"%s\", metric: 50}\n" % (net, gateway)
            w.router.ip("-%d route add %s via %s metric 20 proto static" % (family, net, other))
            before = w.router.routes(family, proto=None, prefix=net)
            d = Daemon(w.router, text).start()
            line = d.wait_log(r"is held, but another comes before it")
            contains(line, "via %s dev eth1 metric 20 proto static" % other, "who it is")
            o = d.object(net)
            equal(o["state"], "held", "state")
            contains(o["reason"], "behind ", "reason")
            d.reload()
            check(before[0] in w.router.routes(family, proto=None, prefix=net), "it was touched")
            w.router.ip("-%d route del %s metric 20" % (family, net))
            wait_until(lambda: not d.object(net).get("reason"), "status forgets it")
            equal(d.count_log("comes before it"), 1, "times it was said")
            d.stop()
    case("IPv%d: a foreign route with a lower metric is told once, and left alone" % family)(_)


@case("IPv4: a foreign route with a tos of its own is told, and left alone")
def _():
    with Router() as w:
        w.router.ip("route add 198.51.100.0/24 via 192.0.2.3 tos 0x10 metric 90")
        d = Daemon(w.router, BASIC).start()
        contains(d.wait_log(r"comes before it"), "tos 0x10", "who it is")
        equal(len(w.router.routes(4, proto=None, prefix="198.51.100.0/24")), 2, "routes")
        d.stop()


@case("where default routes are listened to: one that came before ours and is gone is forgotten")
def _():
    with Router() as w:
        text = "version: 1\nsettings: {resync: 1h}\nroutes:\n" \
            "  - {to: default, via: 192.0.2.2, metric: 50}\n" \
            "  - {to: default, via: \"2001:db8:b::2\", metric: 50}\n" \
            "  - {to: default, via: {learned-on: eth0}, family: [ipv4, ipv6], table: 100}\n"
        d = Daemon(w.router, text).start()
        for family, more, via in ((4, "metric 20", "192.0.2.2"), (4, "tos 0x10", "192.0.2.2"),
                                  (6, "metric 20", "2001:db8:b::2")):
            name = "default via %s metric 50" % via
            w.router.ip("-%d route add default dev eth1 %s" % (family, more))
            wait_until(lambda: d.object(name).get("reason"), "status says it")
            w.router.ip("-%d route del default dev eth1 %s" % (family, more))
            wait_until(lambda: not d.object(name).get("reason"), "status forgets it")
        equal(d.count_log("comes before it"), 3, "times it was said")
        equal(d.count_log("restored"), 0, "no drift")
        d.stop()


main()
