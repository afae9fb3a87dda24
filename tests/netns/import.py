# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine set up by hand, what import makes of it, and the way over to netshared.

Each machine is imported; the file is right, and plan has nothing but marks and what stands beside;
the daemon starts while flows run; the old rules go by the commands in the file, and all goes on.
"""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import nftrule
import rtnl
from daemon import Daemon
from netns import LINUX, differences
from tap import case, check, contains, equal, main
from topology import CLIENT4, FAR4, SERVER4, SERVER6, WAN4, WAN6, Lan, Router
from traffic import PORT, TcpEcho, TcpTransfer, UdpStream, tcp_peer

EMPTY = "version: 1\n"
ROUTES = ["route add 198.51.100.0/24 via 192.0.2.2",
          "route add 203.0.113.0/24 via 192.0.2.2 metric 50 mtu lock 1400",
          "-6 route add 2001:db8:c::/48 via 2001:db8:b::2"]
# A router as scripts make one, in the words of three programs.
IPTABLES = [
    "-A POSTROUTING -d 10.0.0.0/8 -j ACCEPT",
    "-A POSTROUTING -s 10.0.0.0/24 -o eth1 -m comment --comment lan -j MASQUERADE",
    "-A POSTROUTING -s 10.8.0.0/24 ! -d 192.0.2.0/24 -o eth1 -p udp "
    "-m multiport --dports 53,5000:5010 -j SNAT --to-source 192.0.2.1",
    "-A PREROUTING -i eth1 -p tcp --dport 7000 -j DNAT --to-destination 10.0.0.2:%d" % (PORT + 1)]
IP6TABLES = ["-A POSTROUTING -s 2001:db8:a::/64 -o eth1 -j MASQUERADE"]
NFT = """
table ip router {
    chain post {
        type nat hook postrouting priority srcnat;
        ip daddr 10.0.0.0/8 accept
        ip saddr { 10.0.0.0/24, 10.7.0.0/16 } oifname "eth1" counter masquerade comment "lan"
        ip saddr 10.8.0.0/24 ip daddr != 192.0.2.0/24 oif "eth1" udp dport { 53, 5000-5010 } \
snat to 192.0.2.1
    }
    chain pre {
        type nat hook prerouting priority dstnat;
        iifname "eth1" tcp dport 7000 dnat to 10.0.0.2:%d
    }
}
table ip6 router {
    chain post {
        type nat hook postrouting priority srcnat;
        ip6 saddr 2001:db8:a::/64 oifname "eth1" masquerade
    }
}
""" % (PORT + 1)


def with_iptables(kind):
    def make(ns):
        for program, lines in (("iptables", IPTABLES), ("ip6tables", IP6TABLES)):
            for line in lines:
                ns.run("bash", "-c", "%s-%s -w -t nat %s" % (program, kind, line))
    return make


def with_nft(ns):
    ns.run("nft", "-f", "-", stdin=NFT)


def foreign_nat(ns):
    """The rules of others that translate, whoever made them."""
    lines = []
    for family, program in ((4, "iptables-legacy"), (6, "ip6tables-legacy")):
        if "nat" in ns.tables_in_use(family):
            lines += [line for line in ns.run(program, "-w", "-t", "nat", "-S").stdout.splitlines()
                      if line.startswith("-A") and "NETSHARED" not in line]
    mine = False
    for line in ns.run("nft", "-s", "list", "ruleset").stdout.splitlines():
        if line.startswith("table"):
            mine = line.split()[2].startswith("netshared")
        elif not mine and re.search("masquerade|snat|dnat|accept|xt target", line) \
                and "policy" not in line:
            lines.append(line.strip())
    return lines


def imported(w, d):
    """The machine's file, which changes nothing by being made; d has it now."""
    monitor, tables = rtnl.Monitor(w.router), [w.router.tables_in_use(f) for f in (4, 6)]
    w.router.run(d.binary, "import", "--state-directory", d.state)
    equal([w.router.tables_in_use(f) for f in (4, 6)], tables, "tables in use")
    before = w.router.snapshot()
    result = w.router.run(d.binary, "import", "--state-directory", d.state)
    equal(result.stderr, "", "stderr of import")
    equal(monitor.take(), [], "changes by import")
    equal(differences(before, w.router.snapshot()), "", "what import changed")
    check(result.stdout.startswith("# yaml-language-server: $schema="), result.stdout[:200])
    d.write(result.stdout)
    equal(d.cli("check").returncode, 0, "check of\n" + result.stdout)
    return result.stdout


def plan_lines(d):
    return [line for line in d.plan().stdout.splitlines() if not line.startswith("#")]


def adopts_only(d, more=()):
    """Marks, and what stands beside what is there."""
    for line in plan_lines(d):
        check(re.match(r"~ route .* \(adopted: |\+ (masquerade|port-forward|network-map|conntrack|"
                       r"rule) ", line) or line in more, "plan: " + line)


def removals(text):
    """To be run while netshared runs, which takes the lock of iptables-legacy now and then: -w."""
    return re.findall(r"^#   ((?:ip6?tables-legacy -w|nft delete|ip -[46] rule del) .*)$", text, re.M)


def remove_old(ns, text):
    for command in removals(text):
        ns.run("bash", "-c", command)


class Home(Lan):
    """The LAN and its router, made by hand and tried."""

    def __init__(self, make):
        super().__init__()
        self.router.sysctl("net.ipv4.ip_forward", 1)
        self.router.sysctl("net.ipv6.conf.all.forwarding", 1)
        self.router.ip_batch(ROUTES)
        make(self.router)
        self.serve(SERVER4, SERVER6, FAR4)
        TcpEcho(self.client, CLIENT4, PORT + 1)
        self.works("by hand")

    def works(self, when):
        equal((tcp_peer(self.client, SERVER4), tcp_peer(self.client, FAR4),
               tcp_peer(self.client, SERVER6), tcp_peer(self.server, WAN4, 7000)),
              (WAN4, WAN4, WAN6, SERVER4), "who is seen, " + when)


def comes_over(make, firewall):
    with Home(make) as w:
        d = Daemon(w.router, EMPTY)
        text = imported(w, d)
        equal(len(re.findall("^  - name: ", text, re.M)), 4, "policies in\n" + text)
        equal(len(removals(text)), 5, "commands in\n" + text)
        contains(text, "# to know: netshared accepts in FORWARD what its port-forwards", text)
        check("not taken" not in text.partition("version: 1")[2], text)
        adopts_only(d)
        udp, tcp = UdpStream(w.client, FAR4), TcpTransfer(w.client, FAR4)
        back = TcpTransfer(w.server, WAN4, 7000)
        d.start()
        equal(d.plan().returncode, 0, "plan then: " + d.plan().stdout)
        w.works("with both")
        remove_old(w.router, text)
        equal(foreign_nat(w.router), [], "rules of others that are left")
        w.works("without the old rules")
        udp.stop()
        equal((udp.lost, udp.peers), ([], {WAN4}), "datagrams lost, and who was seen")
        check(tcp.finish() and back.finish(), "transfers go on: %s %s" % (tcp.error, back.error))
        equal(d.plan().returncode, 0, "plan at the end: " + d.plan().stdout)
        check(firewall in d.log_text(), "no %s in the log" % firewall)
        again = w.router.run(d.binary, "import", "--state-directory", d.state).stdout
        check("\nroutes:" not in again and "\nmasquerade:" not in again, again)
        contains(again, "# left out: what netshared holds already (3 of the routes)", "again")
        d.stop()


@case("a router made with iptables-legacy")
def _():
    comes_over(with_iptables("legacy"), "iptables")


@case("a router made with nft")
def _():
    comes_over(with_nft, "nftables")


@case("a router made with iptables-nft")
def _():
    comes_over(with_iptables("nft"), "nftables")


@case("policy routing, several ways, what leads nowhere, and what others keep")
def _():
    with Router() as w:
        w.router.ip_batch([
            "route add default via 192.0.2.2",
            "route add default via 10.0.0.2 table 100",
            "route add 10.1.0.0/16 via 192.0.2.2 metric 5",
            "route add 10.2.0.0/16 via 192.0.2.2 metric 5",
            "route add 10.3.0.0/16 nexthop via 192.0.2.2 weight 2 nexthop via 10.0.0.2 weight 1",
            "route add blackhole 192.168.0.0/16",
            "route add prohibit 192.168.7.0/24 table 100",
            "route add 10.4.0.0/16 dev eth1 src 10.0.0.1 initcwnd 20 congctl reno rto_min 250ms",
            "route add 10.5.0.0/16 via inet6 fe80::2 dev eth1 onlink",
            "route add 10.6.0.0/16 via 192.0.2.2 proto bird",
            "route add 10.9.0.0/16 via 192.0.2.2 tos 0x10",
            "route add default via 192.0.2.3 metric 900 proto dhcp",
            "-6 route add default via fe80::2 dev eth1",
            "-6 route add 2001:db8:c::/48 nexthop via 2001:db8:b::2 nexthop via 2001:db8:a::2",
            "-6 route add unreachable 2001:db8:d::/48 metric 7",
            "-6 route add 2001:db8:e::/48 via 2001:db8:b::2 expires 3600",
            "rule add from 10.0.0.0/24 table 100",
            "rule add fwmark 0x10/0xff table 100 priority 500",
            "rule add to 10.1.0.0/16 ipproto tcp dport 80-90 table 100 priority 501 protocol static",
            "rule add from 10.2.0.0/24 prohibit iif a;$(b)'c priority 502",
            "rule add from all goto 32766 iif eth0 priority 503",
            "rule add from all table main suppress_prefixlength 0 priority 504",
            "-6 rule add from 2001:db8:a::/64 table 100 priority 500",
            "-6 rule add not from 2001:db8:a::/64 uidrange 0-1000 table 100 priority 501"])
        d = Daemon(w.router, EMPTY)
        text = imported(w, d)
        rest = text.partition("version: 1")[2]
        equal(sorted(re.findall("^# not taken: (.*?)(?: via| proto)", rest, re.M)),
              ["10.6.0.0/16", "2001:db8:e::/48", "default"], "not taken in\n" + text)
        contains(text, "  - to: [10.1.0.0/16, 10.2.0.0/16]\n    via: 192.0.2.2\n    dev: eth1\n"
                 "    metric: 5\n", "routes with all else in common")
        adopts_only(d)
        before = [re.sub(" proto [a-z0-9]+", "", line) for line in w.router.routes(proto="all")]
        d.start()
        equal(d.plan().returncode, 0, "plan then: " + d.plan().stdout)
        equal([re.sub(" proto [a-z0-9]+", "", line) for line in w.router.routes(proto="all")],
              before, "routes but for their marks")
        equal(len(removals(text)), 8, "commands in\n" + text)
        remove_old(w.router, text)
        equal(d.plan().returncode, 0, "plan without the old rules: " + d.plan().stdout)
        for family, many in ((4, 6), (6, 2)):
            rules = w.router.run("ip", "-%d" % family, "rule").stdout.splitlines()
            own = [line for line in rules if "proto netshared" in line or "proto 110" in line]
            equal((len(own), len(rules) - len(own)), (many, 3 if family == 4 else 2), str(rules))
        d.stop()


# The same in the words of iptables and of nft, and what is to come of both.
EACH = [
    ("-A POSTROUTING -o eth1 -s 10.0.1.64/26 -j NETMAP --to 192.0.2.64/26", None,
     "  - name: map-eth1\n    dev: eth1\n    inside: 10.0.1.64/26\n    outside: 192.0.2.64/26\n"),
    ("-A POSTROUTING -s 10.1.0.0/16 -o eth1 -j SNAT --to-source 192.0.2.10-192.0.2.12 --random "
     "--persistent",
     'post ip saddr 10.1.0.0/16 oifname "eth1" snat to 192.0.2.10-192.0.2.12 random,persistent',
     "  - name: snat-eth1\n    from: 10.1.0.0/16\n    out: eth1\n"
     "    to-source: 192.0.2.10-192.0.2.12\n    persistent: true\n    random: ports\n"),
    ("-A POSTROUTING -s 10.2.0.0/16 -o ppp+ -p tcp -j MASQUERADE --to-ports 1024-2000 "
     "--random-fully",
     'post ip saddr 10.2.0.0/16 oifname "ppp*" meta l4proto tcp masquerade to :1024-2000 '
     'fully-random',
     "  - name: out-ppp\n    from: 10.2.0.0/16\n    out: ppp+\n    protocol: tcp\n"
     "    to-ports: 1024-2000\n    random: fully\n"),
    ("-A POSTROUTING -s 10.3.0.1 -m mark --mark 0x10/0xf0 -p udp --sport 53 -j MASQUERADE",
     "post ip saddr 10.3.0.1 meta mark & 0xf0 == 0x10 udp sport 53 masquerade",
     "  - name: out-any\n    from: 10.3.0.1\n    out: any\n    protocol: udp\n"
     "    source-port: 53\n    mark: 0x10/0xf0\n"),
    ("-A POSTROUTING ! -s 10.4.0.0/16 ! -o eth0 -d 192.0.2.0/24 -j MASQUERADE",
     'post ip saddr != 10.4.0.0/16 oifname != "eth0" ip daddr 192.0.2.0/24 masquerade',
     "  - name: out-any-2\n    to: 192.0.2.0/24\n    out: any\n    except-from: 10.4.0.0/16\n"
     "    except-out: eth0\n"),
    ("-A PREROUTING -s 192.0.2.0/24 -i eth1 -p udp --dport 1000:1010 -j DNAT --to 10.0.0.2",
     'pre ip saddr 192.0.2.0/24 iifname "eth1" udp dport 1000-1010 dnat to 10.0.0.2',
     "  - name: udp-1000\n    in: eth1\n    from: 192.0.2.0/24\n    protocol: udp\n"
     "    port: 1000-1010\n    to: 10.0.0.2\n"),
    ("-A PREROUTING -i eth1 -p tcp -m multiport --dports 80,443 -j DNAT --to 10.0.0.2:8080",
     'pre iifname "eth1" tcp dport { 80, 443 } dnat to 10.0.0.2:8080',
     "  - name: tcp-80\n    in: eth1\n    protocol: tcp\n    port: 80\n    to: 10.0.0.2\n"
     "    to-port: 8080\n  - name: tcp-443\n"),
    ("-A PREROUTING -i eth1 -d 192.0.2.64/26 -j NETMAP --to 10.0.1.64/26", None, None)]

LOOKS_INTO_TUNNELS = LINUX >= (6, 2)  # nf_tables' inner expressions

# What nft alone can say; as in its own list, in which a star with a backslash is one of the name.
NFT_ALONE = [
    ('post ip saddr 10.5.0.0/16 oifname { "eth3", "wg*" } masquerade',
     '  # nft chain ip mine post: ip saddr 10.5.0.0/16 oifname { "eth3", "wg*" } masquerade\n'
     "  - name: out-eth3\n    from: 10.5.0.0/16\n    out: [eth3, wg+]\n"),
    (r'post ip saddr 10.6.0.0/16 oifname "odd\*" masquerade',
     r'  # nft chain ip mine post: ip saddr 10.6.0.0/16 oifname "odd\*" masquerade' + "\n"
     '  - name: out-odd\n    from: 10.6.0.0/16\n    out: "odd*"\n')]


def is_taken(ns, rule):
    """nft before 1.0 has no sets of names that end in a star."""
    result = ns.run("nft", "add rule ip mine " + rule, check=False)
    if result.returncode == 0:
        return True
    contains(result.stderr, "Byteorder mismatch", "what nft says to " + rule)
    return False


def each_comes(program):
    with Router() as w:
        w.router.sysctl("net.ipv4.ip_forward", 1)
        if program == "nft":
            for chain, hook in (("pre", "prerouting priority -100"),
                                ("post", "postrouting priority 100")):
                w.router.run("nft", "add table ip mine; add chain ip mine %s { type nat hook %s; }"
                             % (chain, hook))
        for iptables, nft, _ in EACH:
            if program != "nft":
                # A comment that only a shell's quotes bring through.
                w.router.run(program, "-w", "-t", "nat", *iptables.split(), "-m", "comment",
                             "--comment", "it's\n\\ \"\x01\"")
            elif nft:
                w.router.run("nft", "add rule ip mine " + nft)
        alone = [pair for pair in NFT_ALONE if program == "nft" and is_taken(w.router, pair[0])]
        d = Daemon(w.router, EMPTY)
        text = imported(w, d)
        for rule, yaml in alone:
            contains(text, yaml, rule)
        for iptables, nft, yaml in EACH:
            if yaml and (nft or program != "nft"):
                contains(text, yaml, iptables)
        check("not taken" not in text.partition("version: 1")[2] and '"eth1*"' not in text, text)
        adopts_only(d)
        d.start()
        equal(d.plan().returncode, 0, "plan then: " + d.plan().stdout)
        remove_old(w.router, text)
        equal(foreign_nat(w.router), [], "rules of others that are left")
        equal(d.plan().returncode, 0, "plan at the end: " + d.plan().stdout)
        d.stop()


for _program in ("iptables-legacy", "iptables-nft", "nft"):
    case("each kind of translation, in the words of " + _program)(
        lambda program=_program: each_comes(program))


@case("odd names, comments with control characters, what is not understood, what programs keep")
def _():
    with Router() as w:
        w.router.run("ip", "link", "set", "eth0", "down")
        w.router.run("ip", "link", "set", "eth0", "name", 'ev"il\\#')
        w.router.run("ip", "link", "set", 'ev"il\\#', "up")
        w.router.run("ip", "route", "add", "10.1.0.0/16", "dev", 'ev"il\\#')
        nat = ("iptables-legacy", "-w", "-t", "nat")
        evil = "it's\n  - evil: [\x1b[31m"
        for words in (
                ("-N", "DOCKER"), ("-A", "PREROUTING", "-j", "DOCKER"), ("-N", "mine"),
                ("-A", "POSTROUTING", "-s", "172.17.0.0/16", "!", "-o", "docker0", "-j",
                 "MASQUERADE"),
                ("-A", "POSTROUTING", "-o", 'ev"il\\#', "-m", "comment", "--comment", evil, "-j",
                 "MASQUERADE"),
                ("-A", "POSTROUTING", "-s", "10.9.0.0/24", "-m", "conntrack", "--ctstate", "NEW",
                 "-j", "MASQUERADE"),
                ("-A", "POSTROUTING", "-j", "mine"),
                ("-A", "OUTPUT", "-d", "192.0.2.9", "-j", "DNAT", "--to-destination", "10.0.0.2"),
                ("-A", "PREROUTING", "-d", "192.0.2.1", "-i", "eth1", "-p", "tcp", "--dport", "80",
                 "-j", "DNAT", "--to-destination", "10.0.0.2")):
            w.router.run(*nat, *words)
        d = Daemon(w.router, EMPTY)
        text = imported(w, d)
        check("\x1b" not in text and "\n  - evil" not in text, text)
        contains(text, '\n    out: "ev\\"il\\\\#"\n    ipsec: include\n'
                 if "ipsec: include" in text else '\n    out: "ev\\"il\\\\#"\n', text)
        for part in ("# left out: 2 rules of Docker, ", "conntrack --ctstate NEW -j MASQUERADE: no "
                     "policy asks for the state", "-j mine: the chain that it leads to is not",
                     "-A OUTPUT -d 192.0.2.9/32 -j DNAT --to-destination 10.0.0.2: no policy says",
                     "#     - name: tcp-80\n#       in: eth1\n#       protocol: tcp\n"
                     "#       port: 80\n#       to: 10.0.0.2\n",
                     "settings:\n  # Forwarding is off here"):
            contains(text, part, "in\n" + text)
        adopts_only(d)
        # What would take the packets of the one that is taken stays behind it.
        contains(text, "# to stay for now: iptables-legacy -t nat: -A POSTROUTING -o", text)
        equal(removals(text), [], "commands")
        d.start()
        equal(w.router.sysctl("net.ipv4.ip_forward"), "0", "forwarding")
        d.stop()


@case("rules of nft that say more than a policy can are left, and hold up what is behind them")
def _():
    with Router() as w:
        w.router.run("nft", "-f", "-", stdin="""
table ip mine {
    chain pre { type nat hook prerouting priority dstnat; }
    chain post {
        type nat hook postrouting priority srcnat;
        tcp dport >= 1024 masquerade
        udp sport >= 1024 udp dport 53 masquerade
        oifname "eth1" ct mark set 0x10 masquerade
        oifname "eth1" ip dscp set cs1 masquerade
    }
}
""")
        if LOOKS_INTO_TUNNELS:
            equal(nftrule.append_inner(w.router, "mine", "pre"), 0, "errno of a rule for a tunnel")
            w.router.run("nft", "add rule ip mine pre iifname eth1 tcp dport 7000 dnat to 10.0.0.2")
        d = Daemon(w.router, EMPTY)
        text = imported(w, d)
        # libnftnl 1.2.4 does not even know that name.
        said = text.replace("'inner' is not", "all of it is not")
        pre = [("pre", "all of it is not understood"),
               ("pre", "what stands before it and is not taken (...) would come too late")]
        equal(re.findall("^# not taken: nft chain ip mine (.*?): .*: (.*?)$", said, re.M), [
            *(pre if LOOKS_INTO_TUNNELS else []),
            ("post", "its ports is not understood"),
            ("post", "its ports is not understood"),
            ("post", "the statement 'ct ... set' is not understood"),
            ("post", "what it writes into the packet is not understood")], "left in\n" + text)
        equal(removals(text), [], "commands")


@case("nothing there: nothing comes into use; and a file is written whole")
def _():
    with Router() as w:
        d = Daemon(w.router, EMPTY)
        text = imported(w, d)
        equal([line for line in text.splitlines() if line and not line.startswith("#")],
              ["version: 1"], "what is in it")
        equal(plan_lines(d), [], "plan")
        path = os.path.join(d.base, "out.yaml")
        result = w.router.run(d.binary, "import", "--output", path)
        equal((result.stdout, result.stderr), ("", ""), "said")
        with open(path) as f:
            equal(f.read(), text, "the file")
        result = w.router.run(d.binary, "import", "-o", d.base + "/none/x.yaml", check=False)
        equal(result.returncode, 1, "exit code")
        contains(result.stderr, "/none/x.yaml: No such file", "why")


main()
