# SPDX-License-Identifier: GPL-2.0-or-later
"""Every key of routes and rules, in both families: in the kernel as `ip` shows it, found right
again, repaired when it goes, and gone when it is no longer wanted."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from netns import wait_until
from tap import case, check, equal, main
from topology import Router

HOUR = "version: 1\nsettings: {resync: 1h}\n"
GATEWAY = {4: "192.0.2.2", 6: "2001:db8:b::2"}
NET = {4: "198.51.100.0/24", 6: "2001:db8:c::/48"}
ADDRESS = {4: "192.0.2.1", 6: "2001:db8:b::1"}
DEFAULT = {4: "", 6: " metric 1024"}
# The keys of a route; what `ip` shows of them; families.
ROUTES = [
    ("metric: 77", "metric 77", (4, 6)),
    ("metric: 4294967295", "metric 4294967295", (4, 6)),
    ("table: 1234", "table 1234", (4, 6)),
    ("source: ADDRESS", "src ADDRESS", (4, 6)),
    ("from: ADDRESS", "src ADDRESS", (4, 6)),
    ("scope: site", "scope 200", (4,)),
    ("scope: 100", "scope 100", (4,)),
    ("tos: 0x10", "tos 0x10", (4,)),
    ("tos: AF21", "tos 0x48", (4,)),
    ("preference: high", "pref high", (6,)),
    ("preference: low", "pref low", (6,)),
    ("on-link: true", "onlink", (4, 6)),
    ("mtu: 1400", "mtu 1400", (4, 6)),
    ("mtu: 1400, mtu-lock: true", "mtu lock 1400", (4, 6)),
    ("advertised-mss: 1200", "advmss 1200", (4, 6)),
    ("congestion-window: 20", "initcwnd 20", (4, 6)),
    ("advertised-receive-window: 30", "initrwnd 30", (4, 6)),
    ("hoplimit: 9", "hoplimit 9", (4, 6)),
    ("rto-min: 20ms", "rto_min lock 20ms", (4, 6)),
    ("quick-ack: true", "quickack 1", (4, 6)),
    ("features: [ecn]", "features ecn", (4, 6)),
    ("congestion-control: reno", "congctl reno", (4, 6)),
]
TYPES = {"blackhole": 6, "unreachable": 7, "prohibit": 8, "throw": 9}
NOWHERE = {str(number): name for name, number in TYPES.items()}
FROM = {4: "10.1.0.0/24", 6: "2001:db8:1::/48"}
# The keys of a rule; what `ip` shows of them.
RULES = [
    ("from: FROM, table: 100", "from FROM lookup 100"),
    ("to: FROM, table: 100", "from all to FROM lookup 100"),
    ("not: true, from: FROM, table: 100", "not from FROM lookup 100"),
    ("iif: eth0, table: 100", "from all iif eth0 lookup 100"),
    ("oif: eth0, table: 100", "from all oif eth0 lookup 100"),
    ("mark: 7, table: 100", "from all fwmark 0x7 lookup 100"),
    ("mark: 0x1/0xff, table: 100", "from all fwmark 0x1/0xff lookup 100"),
    ("tos: 0x10, table: 100", "from all tos 0x10 lookup 100"),
    ("tos: 8, table: 100", "from all tos 0x08 lookup 100"),
    ("protocol: tcp, table: 100", "from all ipproto 6 lookup 100"),
    ("source-port: 80, table: 100", "from all sport 80 lookup 100"),
    ("destination-port: 1000-2000, table: 100", "from all dport 1000-2000 lookup 100"),
    ("uid-range: 1000-1999, table: 100", "from all uidrange 1000-1999 lookup 100"),
    ("suppress-prefix-length: 0, table: 254", "from all lookup 254 suppress_prefixlength 0"),
    ("suppress-interface-group: 70, table: 254", "from all lookup 254 suppress_ifgroup 70"),
    ("l3mdev: true", "from all lookup [l3mdev-table]"),
    ("action: goto, target: 32766, from: FROM", "from FROM goto 32766"),
    ("action: blackhole, from: FROM", "from FROM blackhole"),
    ("action: unreachable, from: FROM", "from FROM unreachable"),
    ("action: prohibit, from: FROM", "from FROM prohibit"),
]


def rules(ns, family):
    """Ours: priority to text."""
    found = {}
    for line in ns.ip("-N -%d rule show" % family).splitlines():
        number, _, text = line.partition(":")
        if text.endswith(" proto 110"):
            check(int(number) not in found, "a double of " + line)
            words = text[:-len(" proto 110")].replace("ipproto-", "").split()
            words[-1] = NOWHERE.get(words[-1], words[-1])
            found[int(number)] = " ".join(words)
    return found


def settled(d, expected, look):
    """It is held, found right by plan and by a restart, and comes back."""
    counts = d.status()["counts"]
    equal([counts[k] for k in ("pending", "conflicting", "wrong")], [0, 0, 0],
          "counts in %s" % d.objects())
    equal(look(), expected, "what stands there")
    equal(d.plan().stdout, "", "plan")
    d.kill9()
    d.start()
    work = d.status()["work"]
    equal((work["route_messages"], work["rule_messages"]), (0, 0), "messages at a restart")
    equal(look(), expected, "after a restart")


for family in (4, 6):
    def _(family=family):
        text = HOUR + "routes:\n"
        net = "10.%d.0.0/16" if family == 4 else "2001:db8:%x::/48"
        mine = [r for r in ROUTES if family in r[2]]
        for number, (keys, _, _) in enumerate(mine, 1):
            text += '  - {to: "%s", via: "%s", dev: eth1, %s}\n' % (
                net % number, GATEWAY[family], keys.replace("ADDRESS", '"%s"' % ADDRESS[family]))
        for number, kind in enumerate(TYPES, 100):
            text += '  - {to: "%s", type: %s}\n' % (net % number, kind)
        text += '  - {to: "%s", type: local, dev: lo}\n' % (net % 110)
        text += '  - {to: "%s", dev: lo}\n' % (net % 111)

        def look():
            return sorted(w.router.routes(family))

        with Router() as w:
            d = Daemon(w.router, text).start()
            lines = look()
            equal(len(lines), len(mine) + len(TYPES) + 2, "routes: %s" % "\n".join(lines))
            for number, (keys, shown, _) in enumerate(mine, 1):
                shown = shown.replace("ADDRESS", ADDRESS[family])
                line, = [line for line in lines if line.startswith(net % number + " ")]
                check(" %s " % shown in line + " ", "%s: %s is not in\n%s" % (keys, shown, line))
            for number, kind in enumerate(TYPES, 100):
                check(any(line.startswith("%d %s " % (TYPES[kind], net % number))
                          or line.startswith("%s %s " % (kind, net % number)) for line in lines),
                      "%s in %s" % (kind, "\n".join(lines)))
            settled(d, lines, look)
            for table in (254, 255, 1234):
                w.router.ip("-%d route flush table %d proto 110" % (family, table))
            wait_until(lambda: look() == lines, "all is back")
            d.reload(HOUR)
            equal(look(), [], "nothing is left")
            d.stop()
    case("IPv%d: every key of a route" % family)(_)

    def _(family=family):
        text, expected = HOUR + "rules:\n", {}
        for priority, (keys, shown) in enumerate(RULES, 1000):
            quoted = keys.replace("FROM", '"%s"' % FROM[family])
            text += "  - {%s, priority: %d, family: ipv%d}\n" % (quoted, priority, family)
            expected[priority] = shown.replace("FROM", FROM[family])

        def look():
            return rules(w.router, family)

        with Router() as w:
            before = w.router.ip("-N -%d rule show" % family)
            d = Daemon(w.router, text).start()
            settled(d, expected, look)
            for _ in range(2):
                w.router.ip("-%d rule flush protocol 110" % family)
                wait_until(lambda: look() == expected, "all is back")
            d.reload(HOUR)
            equal(w.router.ip("-N -%d rule show" % family), before, "as before")
            d.stop()
    case("IPv%d: every key of a rule" % family)(_)


@case("an IPv6 gateway for IPv4: written, found right, repaired; a packet goes that way")
def _():
    text = HOUR + "routes:\n  - {to: 198.51.100.0/24, via: \"fe80::2\", dev: eth1}\n" \
        "  - {to: 203.0.113.0/24, nexthops: [{via: \"fe80::2\", dev: eth1}, {via: 10.0.0.2}]}\n"
    line = "198.51.100.0/24 via inet6 fe80::2 dev eth1"
    with Router() as w:
        d = Daemon(w.router, text).start()
        equal(len(w.router.routes(4)), 2, "routes")
        settled(d, sorted(w.router.routes(4)), lambda: sorted(w.router.routes(4)))
        check(w.router.has_route(line), w.router.routes(4))
        for damage in ("route del 198.51.100.0/24",
                       "route replace 198.51.100.0/24 via inet6 fe80::3 dev eth1",
                       "route replace 198.51.100.0/24 via 192.0.2.2 dev eth1"):
            mark = d.mark()
            w.router.ip(damage)
            d.wait_log("198.51.100.0/24 .*restored", mark)
            check(w.router.has_route(line), w.router.routes(4))
        w.peer.ip("addr add fe80::2/64 dev eth1 nodad")
        w.peer.ip("addr add 198.51.100.1/32 dev lo")
        w.peer.ip("route add 192.0.2.1/32 dev eth1")
        equal(w.router.run("ping", "-n", "-c", "1", "-W", "3", "-I", "192.0.2.1", "198.51.100.1",
                           check=False).returncode, 0, "ping")
        d.stop()


main()
