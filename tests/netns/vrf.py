# SPDX-License-Identifier: GPL-2.0-or-later
"""Routes in VRFs, which not every kernel has: the device comes, goes, and is another."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from netns import differences, wait_until
from tap import Skip, case, contains, equal, main
from topology import Router

HOUR = "version: 1\nsettings: {resync: 1h}\n"
BLUE = HOUR + """
routes:
  - {to: 198.51.100.0/24, via: 192.0.2.2, vrf: blue}
  - {to: "2001:db8:c::/48", via: "2001:db8:b::2", dev: eth1, vrf: blue}
  - {to: default, type: unreachable, metric: 4278198272, vrf: blue, family: [ipv4, ipv6]}
"""
ROUTES = ("198.51.100.0/24 via 192.0.2.2 dev eth1", "unreachable default",
          "2001:db8:c::/48 via 2001:db8:b::2 dev eth1")


class Routers(Router):
    """A router with eth1 in a VRF, if there is one."""

    def vrf(self, table):
        if not self.router.ip_try("link add blue type vrf table %d" % table):
            raise Skip("no VRFs in this kernel")
        self.router.ip("link set blue up")
        self.router.ip("link set eth1 master blue")
        # What was on it is gone with that, as far as it was IPv6.
        self.router.ip("addr replace 2001:db8:b::1/64 dev eth1 nodad")

    def tables(self):
        """The tables in which there are routes of ours, with how many there are."""
        found = {}
        for family in (4, 6):
            for line in self.router.routes(family):
                table = line.split(" table ")[1].split()[0] if " table " in line else "main"
                found[table] = found.get(table, 0) + 1
        return found

    def wait(self, tables):
        try:
            wait_until(lambda: self.tables() == tables, "tables")
        except Exception:
            equal(self.tables(), tables, "tables with routes of ours")


@case("the VRF is made, deleted, made with another table; nothing is left in the one before")
def _():
    with Routers() as w:
        d = Daemon(w.router, BLUE).start()
        equal(w.tables(), {}, "before there is one")
        o = d.object("198.51.100.0/24")
        equal((o["state"], o["reason"]), ("pending", "VRF blue does not exist"), "state")
        for table in (10, 4000000000, 10):
            w.vrf(table)
            w.wait({str(table): 4})
            d.wait_state("198.51.100.0/24 via 192.0.2.2 vrf blue", "held")
            contains(w.router.ip("route show vrf blue"), "198.51.100.0/24 via 192.0.2.2 dev eth1",
                     "as `ip` shows it")
            equal(d.plan().stdout, "", "plan")
            w.router.ip("link del blue")
            w.wait({})
            d.wait_state("198.51.100.0/24", "pending")
        equal(d.count_log("failed|conflict"), 0, "nobody is in the way")
        d.stop()


@case("a restart touches nothing; drift in a VRF is repaired; the way of a packet")
def _():
    with Routers() as w:
        w.vrf(10)
        d = Daemon(w.router, BLUE).start()
        w.wait({"10": 4})
        contains(w.router.ip("route get 198.51.100.1 vrf blue"), "via 192.0.2.2 dev eth1", "IPv4")
        contains(w.router.ip("route get 2001:db8:c::1 vrf blue"), "via 2001:db8:b::2 dev eth1",
                 "IPv6")
        d.kill9()
        before = w.router.snapshot()
        mark = d.mark()
        d.start()
        equal(differences(before, w.router.snapshot()), "", "after the restart")
        equal(d.status()["work"]["route_messages"], 0, "route messages")
        equal(d.count_log("added|restored", mark), 0, "nothing to tell")
        w.router.ip("route del 198.51.100.0/24 table 10")
        d.wait_log("route 198.51.100.0/24 via 192.0.2.2 vrf blue was removed by .*restored", mark)
        w.router.ip("-6 route flush table 10 proto 110")
        w.wait({"10": 4})
        w.router.ip("link set eth1 nomaster")
        w.addresses()
        w.wait({"10": 4})
        d.stop()


@case("two entries on one key are told, and change places")
def _():
    text = BLUE + "  - {to: 198.51.100.0/24, via: 192.0.2.9, dev: eth1, table: 10}\n"
    with Routers() as w:
        w.vrf(11)
        d = Daemon(w.router, text).start()
        w.wait({"11": 4, "10": 1})
        w.router.ip("link del blue")
        w.vrf(10)
        w.wait({"10": 4})
        o = d.wait_state("198.51.100.0/24 via 192.0.2.2 vrf blue", "pending")
        contains(o["reason"], "VRF blue is table 10, and the route at", "reason")
        contains(o["reason"], ":8 has its place there", "reason")
        contains(d.plan().stdout, "vrf blue is pending: VRF blue is table 10", "plan")
        d.reload(BLUE)
        d.wait_state("198.51.100.0/24 via 192.0.2.2 vrf blue", "held")
        w.router.ip("link set blue down")
        w.router.ip("link set blue name red")
        w.wait({})
        d.stop()


main()
