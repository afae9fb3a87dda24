# SPDX-License-Identifier: GPL-2.0-or-later
"""One connection, with data both ways, through all that becomes of netshared and its rules."""

import os
import shutil
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import firewall
from daemon import Daemon
from netns import HOLDS, wait_until
from tap import case, check, contains, equal, main
from topology import BASIC, BASIC6, FAR4, FAR6, SERVER4, SERVER6, WAN4, WAN6, Lan
from traffic import NewFlows, TcpExchange, udp_peer

FAMILIES = ((4, BASIC, FAR4, WAN4, "10.9.0.0/16"), (6, BASIC6, FAR6, WAN6, '"2001:db8:a9::/64"'))
BOTH = ("iptables", "nftables")


class Transfer:
    """A LAN whose client exchanges data with the far server, by a policy that netshared holds."""

    def __init__(self, w, family):
        self.world = w
        self.family, self.text, self.far, self.wan, self.more = FAMILIES[family == 6]
        # Whatever netshared does, packets get there: one that is not translated is refused.
        w.router.ip("-%d route add default via %s" % (family, SERVER4 if family == 4 else SERVER6))
        w.router.sysctl("net.ipv4.ip_forward", 1)
        w.router.sysctl("net.ipv6.conf.all.forwarding", 1)
        w.serve(self.far)
        self.daemon = Daemon(w.router, self.text)
        self.firewall = firewall.NAME
        self.say_firewall()
        self.daemon.start()
        self.exchange = TcpExchange(w.client, w.server, self.far)

    def say_firewall(self):
        self.daemon.write("settings: {firewall: %s}\n" % self.firewall, "netshared.d/firewall.yaml")

    def goes_on(self, what):
        """After a step, new connections are translated and the one that runs has noticed nothing.
        """
        d = self.daemon
        equal((d.object("lan-out", "masquerade")["state"], d.status()["firewall"]),
              ("held", self.firewall), "the policy, the firewall, " + what)
        equal(udp_peer(self.world.client, self.far), self.wan, "a new flow is seen from, " + what)
        self.moves(what)

    def moves(self, what):
        exchange, before = self.exchange, self.exchange.totals()
        wait_until(lambda: exchange.errors or all(
            now > then + (1 << 17) for now, then in zip(exchange.totals(), before)),
            "data comes both ways, " + what)
        equal((exchange.errors, exchange.peers), ([], [self.wan]), "errors, seen from, " + what)

    # -- the steps

    def another_policy(self):
        other = "  - {name: other, from: [%s], out: [eth1]}\n" % self.more
        self.text = self.text.replace("masquerade:\n", "masquerade:\n" + other)
        self.daemon.reload(self.text)

    def changed_policy(self):
        self.text = self.text.replace("    from: [", "    from: [%s, " % self.more)
        self.daemon.reload(self.text)

    def restart(self):
        self.daemon.stop()
        self.daemon.start()

    def crash(self):
        self.daemon.kill9()
        self.daemon.start()

    def upgrade(self):
        self.daemon.stop()
        path = os.path.join(self.world.directory, "netshared-next")
        self.daemon.binary = shutil.copy(self.daemon.binary, path)
        self.daemon.start()
        equal(os.readlink("/proc/%d/exe" % self.daemon.pid), path, "what runs")

    def older(self):
        """An older version's base chain has the priority of iptables; nothing slips by as it moves.
        """
        if self.firewall == "iptables":
            return
        table = "%s netshared" % ("ip" if self.family == 4 else "ip6")
        self.daemon.stop()
        text = self.world.router.run("nft", "-s", "list", "table", *table.split()).stdout
        contains(text, "priority srcnat + 1;", "what stands")
        self.world.router.run("nft", "-f", "-", stdin="delete table %s\n%s" % (
            table, text.replace("srcnat + 1;", "srcnat;")))
        with NewFlows(self.world.client, self.far) as flows:
            self.daemon.start()
            flows.wait(20)
        equal(flows.peers, {self.wan}, "new connections are seen from")
        now = self.world.router.run("nft", "-s", "list", "table", *table.split()).stdout
        equal(sorted(now.splitlines()), sorted(text.splitlines()), "the table, but for its order")

    def move(self):
        self.firewall = BOTH[self.firewall == BOTH[0]]
        self.say_firewall()
        self.daemon.reload()

    def flush(self, *command, where):
        """Of that firewall, and for a while nobody repairs it; elsewhere nothing is lost."""
        mark = self.daemon.mark()
        self.daemon.signal(signal.SIGSTOP)
        try:
            self.world.router.run(*command)
            self.moves("in the gap after " + " ".join(command))
        finally:
            self.daemon.signal(signal.SIGCONT)
        if self.firewall == where:
            self.daemon.wait_log(r"masquerade lan-out .*restored", mark)

    def flush_iptables(self):
        program = "iptables-legacy" if self.family == 4 else "ip6tables-legacy"
        self.flush(program, "-t", "nat", "-F", where="iptables")

    def flush_nftables(self):
        if self.firewall == "nftables" and not HOLDS:
            return
        self.flush("nft", "flush", "ruleset", where="nftables")


STEPS = (
    ("after another policy has come", Transfer.another_policy),
    ("after the policy has changed", Transfer.changed_policy),
    ("after a restart", Transfer.restart),
    ("after kill -9 and a start", Transfer.crash),
    ("after an upgrade", Transfer.upgrade),
    ("after an upgrade from another priority", Transfer.older),
    ("after a flush of iptables", Transfer.flush_iptables),
    ("after a flush of nftables", Transfer.flush_nftables),
    ("after a move to the other firewall", Transfer.move),
    ("after a flush of iptables there", Transfer.flush_iptables),
    ("after a flush of nftables there", Transfer.flush_nftables),
    ("after kill -9 and a start there", Transfer.crash),
    ("after an upgrade from another priority there", Transfer.older),
    ("after the move back", Transfer.move),
)

for number in (4, 6):
    def _(number=number):
        with Lan() as w:
            t = Transfer(w, number)
            t.goes_on("at first")
            for what, step in STEPS:
                step(t)
                t.goes_on(what)
            check(t.exchange.finish(), "all came both ways: %s" % t.exchange.errors)
            equal(t.exchange.peers, [t.wan], "connections that the server saw")
            t.daemon.stop()
    case("IPv%d: a transfer both ways goes through all that may happen" % number)(_)


main()
