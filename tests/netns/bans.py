# SPDX-License-Identifier: GPL-2.0-or-later
"""What an administrator keeps out of what a share or a port-forward lets through.

The same commands with either program, whichever firewall holds the policies: iptables-legacy where
these stand in iptables or lead to it, iptables-nft where a FORWARD that drops has a jump of ours.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from netns import wait_until
from tap import case, check, equal, main
from topology import CLIENT4, CLIENT6, SERVER4, SERVER6, WAN4, Lan
from traffic import PORT, TcpEcho, tcp_peer, udp_peer

SHARE = """version: 1
settings: {firewall: %s}
share:
  - {name: home, lan: eth0, wan: eth1, family: %s}
"""
WEB = """version: 1
settings: {firewall: %s, forwarding: auto}
port-forwards:
  - {name: web, in: eth1, protocol: tcp, port: 7000, to: 10.0.0.2, to-port: %d}
"""
WAYS = (("iptables", "legacy"), ("nftables", "legacy"), ("iptables", "nft"), ("nftables", "nft"))
CLIENTS, SERVERS = {4: CLIENT4, 6: CLIENT6}, {4: SERVER4, 6: SERVER6}


class Way:
    """A share on one firewall, and the program that an administrator uses."""

    def __init__(self, w, firewall, kind, family=4, text=None):
        self.w, self.family = w, family
        self.program = "ip%stables-%s" % ("" if family == 4 else "6", kind)
        self("-A FORWARD -i eth7 -j ACCEPT")
        self("-P FORWARD DROP")
        self.d = Daemon(w.router, text or SHARE % (firewall, "ipv%d" % family))

    def __call__(self, words):
        self.w.router.run(self.program, "-w", "5", *words.replace(
            "{client}", CLIENTS[self.family]).replace("{server}", SERVERS[self.family]).split())

    def forward(self):
        """The rules of FORWARD, in short: what is ours is "*"."""
        lines = [line[len("-A FORWARD "):] for line in
                 self.w.router.run(self.program, "-w", "5", "-S", "FORWARD").stdout.splitlines()
                 if line.startswith("-A ")]
        return ["*" if "NETSHARED-" in line else line.partition("-j ")[2].split()[0]
                for line in lines]

    def expect(self, goes, rules, what):
        """Whether TCP and UDP go through; what is kept out is not waited for long."""
        server = SERVERS[self.family]
        went = [peer(self.w.client, server, timeout=2 if through else 0.1) is not None
                for peer, through in zip((tcp_peer, udp_peer), goes)]
        equal((tuple(went), self.forward()), (goes, rules), what)

    def restored_after(self, words):
        mark = self.d.mark()
        self(words)
        self.d.wait_log(r"restored", since=mark)

    def delete_jump(self):
        number = self.forward().index("*") + 1
        self.restored_after("-D FORWARD %d" % number)


ALL, NONE = (True, True), (False, False)


def ways(*families):
    """A case for each; of the second family where the program is the firewall's own."""
    def declare(function, name):
        for family in families:
            for firewall, kind in WAYS if family == families[0] else (WAYS[0], WAYS[3]):
                def _(firewall=firewall, kind=kind, family=family):
                    with Lan() as w:
                        w.serve()
                        function(Way(w, firewall, kind, family))
                case("%s, IPv%d, netshared on %s, with iptables-%s" %
                     (name, family, firewall, kind))(_)
    return declare


def one_address(way):
    way.d.start()
    way.expect(ALL, ["*", "ACCEPT"], "without a ban")
    way("-I FORWARD 1 -s {client} -j DROP")
    way.expect(NONE, ["DROP", "*", "ACCEPT"], "banned")
    way.d.reload()
    way.expect(NONE, ["DROP", "*", "ACCEPT"], "after a reload")
    way.delete_jump()
    way.expect(NONE, ["DROP", "*", "ACCEPT"], "after a repair")
    mark = way.d.mark()
    way.d.kill9()
    way.d.start()
    way.expect(NONE, ["DROP", "*", "ACCEPT"], "after a crash")
    equal(way.d.count_log("restored|jump in", since=mark), 0, "repairs")
    way("-D FORWARD -s {client} -j DROP")
    way.expect(ALL, ["*", "ACCEPT"], "without it")
    way.d.stop()
    way.d.cli("remove", check=True)
    equal(way.forward(), ["ACCEPT"], "after remove")


def before_the_first_run(way):
    way("-I FORWARD -p tcp -m tcp --dport %d -j REJECT" % PORT)
    way("-I FORWARD -s {client} -p tcp -j LOG")
    way.d.start()
    way.expect((False, True), ["LOG", "REJECT", "*", "ACCEPT"], "the ban and what belongs to it")
    way.d.stop()


def fail2ban(way):
    """As it does: a chain with a RETURN and the way to it, and a rule for each address later."""
    way.d.start()
    way("-N f2b-x")
    way("-A f2b-x -j RETURN")
    way("-I FORWARD -p tcp -j f2b-x")
    way.d.reload()
    way.expect(ALL, ["f2b-x", "*", "ACCEPT"], "nobody is banned")
    way("-I f2b-x 1 -s {client} -j REJECT")
    way.expect((False, True), ["f2b-x", "*", "ACCEPT"], "banned")
    way.delete_jump()
    way.expect((False, True), ["f2b-x", "*", "ACCEPT"], "after a repair")
    way("-D f2b-x -s {client} -j REJECT")
    way.expect(ALL, ["f2b-x", "*", "ACCEPT"], "unbanned")
    # One that lets something through is no ban any more where it could take the share's packets.
    way("-I f2b-x 1 -j DROP")
    wait_until(lambda: way.forward() == ["*", "f2b-x", "ACCEPT"], "what drops all goes behind")
    way.expect(ALL, ["*", "f2b-x", "ACCEPT"], "seen from")
    way.d.stop()


def no_ban(way):
    way("-I FORWARD -s {client} -d 198.51.100.9 -j DROP" if way.family == 4 else
        "-I FORWARD -s {client} -d 2001:db8:9::9 -j DROP")
    way.d.start()
    # Of nftables a judge of packets decides, which does not know who the client is.
    but = ["FORWARD ! -s 198.51.100.9 -j DROP"] if "legacy" in way.program else []
    for words in ["FORWARD -j DROP", "FORWARD -i eth0 -j DROP",
                  "FORWARD -i eth0 -o eth1 -j REJECT"] + but:
        way.restored_after("-I " + words.replace("FORWARD", "FORWARD 2"))
        way.expect(ALL, ["DROP", "*", words.split()[-1], "ACCEPT"], words)
        way("-D " + words)
    way.restored_after("-I FORWARD 1 -i eth0 -j DROP")
    way.expect(ALL, ["*", "DROP", "DROP", "ACCEPT"], "before the ban")
    way.d.stop()


ways(4, 6)(one_address, "one address is banned by hand")
ways(4)(before_the_first_run, "a port was banned before the first run")
ways(4)(fail2ban, "as fail2ban bans")
ways(4)(no_ban, "a rule that drops all, or an interface's, is overtaken")


for firewall, kind in WAYS:
    def _(firewall=firewall, kind=kind):
        with Lan() as w:
            TcpEcho(w.client, CLIENT4)
            way = Way(w, firewall, kind, text=WEB % (firewall, PORT))
            way.d.start()

            equal(tcp_peer(w.server, WAN4, 7000), SERVER4, "seen from")
            way("-I FORWARD -s {server} -j DROP")
            equal(tcp_peer(w.server, WAN4, 7000, timeout=0.1), None, "banned")
            way.d.reload()
            equal((tcp_peer(w.server, WAN4, 7000, timeout=0.1), way.forward()),
                  (None, ["DROP", "*", "ACCEPT"]), "after a reload")
            way("-R FORWARD 1 -d {client} -j DROP")
            equal(tcp_peer(w.server, WAN4, 7000, timeout=0.1), None, "nobody gets there")
            way.delete_jump()
            equal((tcp_peer(w.server, WAN4, 7000, timeout=0.1), way.forward()),
                  (None, ["DROP", "*", "ACCEPT"]), "after a repair")
            way.d.stop()
    case("who may not use a port-forward, netshared on %s, with iptables-%s" % (firewall, kind))(_)


@case("a set of addresses, and several shares beside it")
def _():
    with Lan() as w:
        w.serve()
        way = Way(w, "iptables", "legacy")
        w.router.run("ipset", "create", "banned", "hash:ip")
        way("-I FORWARD -m set --match-set banned src -j DROP")
        way.d.start()
        way.expect(ALL, ["DROP", "*", "ACCEPT"], "nobody is banned")
        w.router.run("ipset", "add", "banned", CLIENT4)
        way.expect(NONE, ["DROP", "*", "ACCEPT"], "banned")
        way("-I FORWARD -m mark --mark 7 -j DROP")
        way.d.reload(SHARE % ("iptables", "ipv4") +
                     "  - {name: office, lan: eth2, wan: eth1, family: ipv4}\n")
        way.expect(NONE, ["DROP", "DROP", "*", "*", "ACCEPT"], "their places")
        way.d.stop()


for firewall in ("iptables", "nftables"):
    def _(firewall=firewall):
        with Lan() as w:
            w.serve()
            d = Daemon(w.router, SHARE % (firewall, "ipv4")).start()
            w.router.run("nft", "-f", "-", stdin="""table inet bans {
  chain passing {
    type filter hook forward priority filter; policy accept;
    ip saddr %s drop
  }
}
""" % CLIENT4)
            d.reload()
            equal(tcp_peer(w.client, SERVER4, timeout=0.1), None, "banned")
            check("NETSHARED-forward" not in w.router.run("nft", "list", "ruleset").stdout,
                  "no jump of ours")
            equal(d.object("home", "share")["state"], "held", "the share")
            w.router.run("nft", "delete table inet bans")
            equal(tcp_peer(w.client, SERVER4), WAN4, "seen from, without it")
            d.stop()
    case("a table of nftables' own keeps out what it drops, netshared on %s" % firewall)(_)


@case("the jump in nftables goes behind bans, before what drops all, and is left where it is")
def _():
    with Lan() as w:
        w.serve()
        w.router.run("nft", "-f", "-", stdin="""table inet mine {
  set banned { type ipv4_addr; elements = { 198.51.100.7 } }
  set seen { type ipv4_addr; size 9; flags dynamic,timeout; timeout 1h; }
  chain banned-ports { tcp dport 25 drop; return; }
  chain passing {
    type filter hook forward priority 0; policy drop;
    ip saddr @banned counter drop
    jump banned-ports
    meta mark 7 reject
    iifname eth7 accept
    tcp dport 26 drop
  }
}
""")
        d = Daemon(w.router, SHARE % ("nftables", "ipv4")).start()

        def rules():
            lines = w.router.run("nft", "-s", "list chain inet mine passing").stdout.splitlines()
            return [line.split()[-1] if "comment" not in line else "*" for line in lines[3:-2]]

        equal(rules(), ["drop", "banned-ports", "reject", "*", "accept", "drop"], "its place")
        equal(tcp_peer(w.client, SERVER4), WAN4, "seen from")
        w.router.run("nft", "add element inet mine banned { %s }" % CLIENT4)
        equal(tcp_peer(w.client, SERVER4, timeout=0.1), None, "banned")
        mark = d.mark()
        w.router.run("nft", "insert rule inet mine passing iifname eth0 drop")
        d.wait_log("jump in nftables chain inet mine passing .*restored", since=mark)
        equal(rules(), ["*", "drop", "drop", "banned-ports", "reject", "accept", "drop"], "then")

        # What a rule writes names nothing, and neither does what it writes that from.
        for words in ("meta mark set 1", "ct mark set 1", "ip ttl set 64", "meta mark set ct mark",
                      "update @seen { ip saddr }", "add @seen { ip saddr counter }"):
            mark = d.mark()
            w.router.run("nft", "insert rule inet mine passing %s iifname eth0 drop" % words)
            d.wait_log("jump in nftables chain inet mine passing .*restored", since=mark)
            equal((rules()[0], tcp_peer(w.client, SERVER4)), ("*", WAN4), words)

        # More often than that it drops: it may be what is meant, and stays where it is. (What a late
        # packet left there meanwhile has no limit.)
        w.router.run("nft", "flush set inet mine seen")
        w.router.run("nft", "insert rule inet mine passing update @seen { ip saddr limit rate over "
                     "100/second } iifname eth0 drop")
        d.reload()
        equal((rules()[1], tcp_peer(w.client, SERVER4)), ("*", WAN4), "with a limit")
        d.stop()


@case("chains that can't be looked at as a whole are not taken for bans")
def _():
    with Lan() as w:
        w.serve()
        jump = "    iifname eth7 jump %s\n"
        # Millions of rules on the way; before each change the kernel goes all these ways itself.
        ways = {
            "many ways": "  chain d {\n%s  }\n" % ("    ip saddr 198.51.100.7 drop\n" * 40) + "".join(
                "  chain %s {\n%s  }\n" % (one, jump % behind * 40) for one, behind in ("cd", "bc", "ab")),
            "many rules": "  chain a {\n%s    accept\n  }\n" % ("    ip saddr 198.51.100.7 drop\n" * 2100),
            "few rules": "  chain a {\n    ip saddr 198.51.100.7 drop\n  }\n",
        }
        d = Daemon(w.router, SHARE % ("nftables", "ipv4")).start()
        for what, text in ways.items():
            w.router.run("nft", "-f", "-", stdin="table ip mine {\n" + text +
                         "  chain passing {\n    type filter hook forward priority 0; policy drop;\n" +
                         jump % "a" + "  }\n}\n")

            def rules():
                lines = w.router.run("nft", "-s", "list chain ip mine passing").stdout.splitlines()
                return [line.split()[-1] if "comment" not in line else "*" for line in lines[3:-2]]

            wait_until(lambda: "*" in rules(), "the jump, with " + what)
            equal(rules(), ["a", "*"] if what == "few rules" else ["*", "a"], what)
            equal(tcp_peer(w.client, SERVER4), WAN4, "seen from, with " + what)
            w.router.run("nft", "delete table ip mine")
        d.stop()


main()
