# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies by lists that are kept as sets: filled, changed by a reload, and damaged by others."""

import ipaddress
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import firewall
from daemon import Daemon
from netns import wait_until
from tap import case, contains, equal, main
from topology import Router

MANY = 3000
TEXT = """
version: 1
settings: {resync: 1h, forwarding: leave}
masquerade:
  - {name: many, family: ipv%d, from: {file: list}, out: eth1}
"""
PREFIX = {4: "10.%d.%d.0/24", 6: "2001:db8:%x:%x::/64"}
OTHER = {4: "192.0.2.0/24", 6: "2001:db8:ffff::/64"}
SET = "netshared-many_f%d"
OF = "set %s of masquerade many "


def prefixes(family, first=0):
    return [str(ipaddress.ip_network(PREFIX[family] % (n // 256 + 1, n % 256)))
            for n in range(first, first + MANY)]


def filled(w, family):
    d = Daemon(w.router, TEXT % family)
    d.write("\n".join(prefixes(family)) + "\n", "list")
    d.start()
    equal(w.router.firewall.elements(SET % family, family), sorted(prefixes(family)), "elements")
    return d


FILL = "restore"  # of a set named other: one prefix another than wanted

# What is done to the set, and how it is found then: {p} is a prefix of it, {q} another one of it.
IPSET = (
    ("ipset flush", ["flush {s}"], "lacked 3000 of 3000 prefixes"),
    ("ipset del", ["del {s} {p}"], "lacked 1 of 3000 prefixes"),
    ("ipset add", ["add {s} {o}"], "held 1 prefix too many"),
    ("ipset swap", ["create other hash:net family {f}", "add other {o}", "swap {s} other"],
     "lacked 3000 of 3000 prefixes and held 1 too many"),
    ("ipset swap with one of the same size",
     ["create other hash:net family {f} maxelem 4000", FILL, "swap {s} other"],
     "lacked 1 of 3000 prefixes and held 1 too many"),
)
NFT = (
    ("nft flush set", ["flush set {t} {s}"], "lacked 3000 of 3000 prefixes"),
    ("nft delete element", ["delete element {t} {s} {{ {p} }}"], "lacked 1 of 3000 prefixes"),
    ("nft add element", ["add element {t} {s} {{ {o} }}"], "held 1 prefix too many"),
    ("nft delete and add element", ["delete element {t} {s} {{ {p} }}; "
                                    "add element {t} {s} {{ {o} }}"],
     "lacked 1 of 3000 prefixes and held 1 too many"),
    ("nft delete of many elements", ["delete element {t} {s} {{ {p}, {q} }}"],
     "lacked 2 of 3000 prefixes"),
)


def damaged(family, commands, cause):
    with Router() as w:
        d = filled(w, family)
        mark = d.mark()
        words = {"s": SET % family, "p": prefixes(family)[7], "q": prefixes(family)[8],
                 "o": OTHER[family], "f": "inet" if family == 4 else "inet6", "t": "{t}"}
        for command in commands:
            if command == FILL:
                w.router.run("ipset", FILL, stdin="".join(
                    "add other %s\n" % prefix for prefix in prefixes(family, 1)))
                continue
            w.router.firewall.break_set(command.format(**words), family)
        line = d.wait_log("restored", mark)
        contains(line, OF % (SET % family) + cause, "what is said")
        wait_until(lambda: w.router.firewall.elements(SET % family, family) ==
                   sorted(prefixes(family)), "as before")
        equal(len(d.log_lines(mark)), 1, "lines: %s" % d.log_lines(mark))
        equal(d.object(SET % family, "set")["state"], "held", "its state")
        d.stop()


for number in (4, 6):
    for name, given, expected in IPSET if firewall.NAME == "iptables" else NFT:
        def _(number=number, given=given, expected=expected):
            damaged(number, given, expected)
        case("IPv%d: %s is repaired, with a line" % (number, name))(_)


@case("as many taken out as put in are found by the resync", only=firewall.NO_SET_EVENTS)
def _():
    for family in (4, 6):
        with Router() as w:
            d = filled(w, family)
            mark = d.mark()
            d.signal(signal.SIGSTOP)  # its size is looked at each second
            w.router.firewall.break_set("del %s %s" % (SET % family, prefixes(family)[7]), family)
            w.router.firewall.break_set("add %s %s" % (SET % family, OTHER[family]), family)
            d.signal(signal.SIGCONT)
            d.reload((TEXT % family).replace("1h", "1s"))
            line = d.wait_log("restored", mark)
            contains(line, "lacked 1 of 3000 prefixes and held 1 too many", "what is said")
            equal(w.router.firewall.elements(SET % family, family), sorted(prefixes(family)),
                  "elements")
            d.stop()


for number in (4, 6):
    def _(family=number):
        with Router() as w:
            d = filled(w, family)
            changes = w.router.firewall.set_changes()
            d.write("\n".join(prefixes(family, 1)) + "\n", "list")
            mark = d.mark()
            d.reload()
            contains(d.wait_log("changed", mark), OF % (SET % family) + "changed (1 in, 1 out)",
                     "what is said")
            equal(w.router.firewall.elements(SET % family, family), sorted(prefixes(family, 1)),
                  "elements")
            if changes:
                equal(changes(), [("del", 2), ("new", 2)], "messages, and ends of intervals in them")
            d.stop()
    case("IPv%d: a reload changes the one prefix that is another, and no more" % number)(_)


main()
