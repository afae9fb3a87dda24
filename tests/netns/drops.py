# SPDX-License-Identifier: GPL-2.0-or-later
"""Shares on hosts where rules of others drop what is forwarded."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from engine import ENGINE
from netns import wait_until
from tap import Skip, case, check, contains, equal, main
from topology import CLIENT4, SERVER4, SERVER6, WAN4, Lan
from traffic import PORT, TcpEcho, tcp_peer, udp_peer, within

SHARE = """version: 1
settings: {firewall: %s}
share:
  - {name: home, lan: eth0, wan: eth1, family: ipv4}
"""
# Its forward chain as firewalld writes it, with the LAN in no zone of its own.
FIREWALLD = """table inet firewalld {
  chain filter_FORWARD {
    type filter hook forward priority filter + 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    ip6 daddr { ::/96, ::ffff:0.0.0.0/96 } reject with icmpv6 type addr-unreachable
    jump filter_FORWARD_ZONES
    reject with icmpx type admin-prohibited
  }
  chain filter_FORWARD_ZONES {
    goto filter_FWD_public
  }
  chain filter_FWD_public {
    jump filter_FORWARD_POLICIES_pre
    reject with icmpx type admin-prohibited
  }
  chain filter_FWD_trusted {
    accept
  }
  chain filter_FORWARD_POLICIES_pre {
  }
}
"""
BOTH = ("iptables", "nftables")
# How an administrator or a program drops what is forwarded on nftables.
DROPPERS = (
    ("a policy", "table inet mine { chain passing { type filter hook forward priority 5; "
     "policy drop; } }", "inet mine passing"),
    ("a verdict map", "table inet mine { chain passing { type filter hook forward priority 0; "
     "policy drop; ct state vmap { established : accept, related : accept, invalid : drop }; "
     "iifname { \"eth7\", \"eth8\" } accept; tcp dport { 22, 80 } accept; } }", "inet mine passing"),
    ("a last rule", "table ip mine { chain passing { type filter hook forward priority -5; "
     "iifname \"eth7\" accept; tcp dport 22 accept; counter drop; } }", "ip mine passing"),
    ("a chain of its own", "table ip mine { chain end { log; reject; }; chain passing { type filter "
     "hook forward priority 0; meta l4proto udp accept; jump end; } }", "ip mine passing"),
    ("a set", "table ip mine { set wans { type ifname; elements = { eth1, eth9 }; }; chain passing { "
     "type filter hook forward priority 0; oifname @wans drop; } }", "ip mine passing"),
)
# And what lets a share's packets through.
PASSERS = (
    "table inet mine { chain passing { type filter hook forward priority 0; policy drop; "
    "ct state established,related accept; iifname \"eth0\" oifname \"eth1\" accept; } }",
    "table inet mine { chain passing { type filter hook forward priority 0; policy drop; "
    "ct state vmap { established : accept }; iifname vmap { \"eth0\" : goto lan }; }; "
    "chain lan { oifname != \"eth7\" accept; } }",
    "table ip mine { chain passing { type filter hook forward priority 0; policy drop; "
    "ip saddr 10.0.0.0/8 accept; ip daddr 10.0.0.0/8 accept; } }",
    "table ip mine { flags dormant; chain passing { type filter hook forward priority 0; "
    "policy drop; } }",
    "table ip6 mine { chain passing { type filter hook forward priority 0; policy drop; } }",
    "table ip mine { chain passing { type filter hook forward priority 0; iifname \"eth7\" drop; "
    "tcp dport 25 drop; } }",
    "table ip mine { set wans { type ifname; elements = { eth8, eth9 }; }; chain passing { "
    "type filter hook forward priority 0; oifname @wans drop; } }",
)


def nft(w, text):
    w.router.run("nft", "-f", "-", stdin=text.replace("} }", "}\n}"))


def reason(d, name="home", kind="share"):
    return d.object(name, kind).get("reason") or ""


def fix(d):
    return reason(d).split("run: ", 1)[1]


def shared(w, timeout=within(WAN4)):
    return udp_peer(w.client, SERVER4, timeout=timeout), tcp_peer(w.client, SERVER4, timeout=timeout)


def forwarded(w, seen):
    return tcp_peer(w.server, WAN4, 7000, timeout=within(seen))


def foreign(w, *counters):
    """All nftables rules of others, as nft lists them, without the parts that are ours."""
    kept, chain, mine = [], [], False
    for line in w.router.run("nft", *(counters or ("-s",)), "list", "ruleset").stdout.splitlines():
        if line.startswith("table"):
            mine = line.split()[2] in ("netshared", "netshared-hold")
        if mine or "jump NETSHARED-forward" in line:
            continue
        chain.append(line)
        if line in ("\t}", "", "}") or line.startswith("table"):
            if "chain NETSHARED-forward" not in chain[0]:
                kept += [text for text in chain if text]
            chain = []
    return kept


def guests(w):
    """What of ours stands in tables of others: the jumps, and the rules they lead to."""
    jumps, rules, table, chain = [], [], "", ""
    for line in w.router.run("nft", "-s", "list", "ruleset").stdout.splitlines():
        words = line.split()
        if words[:1] == ["table"]:
            table = " ".join(words[1:3])
        elif words[:1] == ["chain"]:
            chain = words[1]
        elif "jump NETSHARED-forward" in line:
            jumps.append("%s %s: %s" % (table, chain, line.strip()))
        elif chain == "NETSHARED-forward" and "accept" in line:
            rules.append("%s: %s" % (table, line.strip()))
    return jumps, rules


JUMP = "counter jump NETSHARED-forward comment \"netshared\""
ACCEPTS = ["iifname \"eth0\" oifname \"eth0\" counter accept comment \"share home\"",
           "iifname \"eth0\" oifname \"eth1\" counter accept comment \"share home\"",
           "iifname \"eth1\" oifname \"eth0\" ct state established,related counter accept "
           "comment \"share home\"",
           "iifname \"eth1\" oifname \"eth0\" ct status dnat counter accept comment \"share home\""]


for firewall in BOTH:
    def _(firewall=firewall):
        with Lan() as w:
            w.serve()
            w.router.run("iptables-nft-restore", stdin=ENGINE)
            before = foreign(w)
            d = Daemon(w.router, SHARE % firewall).start()
            equal(d.object("home", "share")["state"], "held", "the share")
            d.wait_log(r"jump in nftables chain ip filter FORWARD added")
            equal(shared(w), (WAN4, WAN4), "seen from")
            equal(tcp_peer(w.server, CLIENT4, timeout=0.5), None, "new from outside")
            equal(foreign(w), before, "the engine's rules")
            equal(guests(w)[0], ["ip filter FORWARD: " + JUMP], "the jump")
            # What iptables-nft says of it, and that it can take it away and bring it back.
            said = w.router.run("iptables-nft", "-S").stdout.splitlines()
            equal([line for line in said if line.startswith("-A FORWARD")][:4],
                  ["-A FORWARD -j DOCKER-USER", "-A FORWARD -j DOCKER-ISOLATION-STAGE-1",
                   "-A FORWARD -m comment --comment netshared -j NETSHARED-forward",
                   "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"],
                  "it stands behind what can only drop, and before all else")
            contains("\n".join(said), "-A NETSHARED-forward -i eth1 -o eth0 -m conntrack --ctstate "
                     "RELATED,ESTABLISHED -m comment --comment \"share home\" -j ACCEPT", "the rules")
            saved = w.router.run("iptables-nft-save").stdout
            mark = d.mark()
            w.router.run("iptables-nft-restore", stdin=saved)
            equal(shared(w), (WAN4, WAN4), "seen from, after what was saved was restored")
            # That may have been repaired too: so not "restored", but what it leads to.
            w.router.run("iptables-nft", "-F", "FORWARD")
            wait_until(lambda: shared(w, 0.5) == (WAN4, WAN4), "seen from, after a flush")
            d.wait_log(r"jump in nftables chain ip filter FORWARD .*restored", since=mark)
            d.status()  # its line may be about to be written
            mark = d.mark()
            w.router.run("iptables-nft-restore", stdin=ENGINE)
            d.wait_log(r"jump in nftables chain ip filter FORWARD .*restored", since=mark)
            equal(shared(w), (WAN4, WAN4), "seen from, after the engine wrote anew")
            equal(foreign(w), before, "its rules")
            d.stop()
            equal(guests(w)[0], ["ip filter FORWARD: " + JUMP], "kept at stop")
            d.cli("remove", check=True)
            equal((guests(w), foreign(w)), (([], []), before), "after remove")
    case("a container engine's FORWARD with policy DROP, netshared on %s" % firewall)(_)


for firewall in BOTH:
    def _(firewall=firewall):
        with Lan() as w:
            w.serve()
            d = Daemon(w.router, SHARE % firewall).start()
            equal(shared(w), (WAN4, WAN4), "seen from")
            nft(w, FIREWALLD)
            d.wait_state("home", "pending", "share")
            equal(reason(d), "nftables chain inet firewalld filter_FORWARD drops forwarded packets; "
                  "run: firewall-cmd --permanent --zone=trusted --add-interface=eth0 && "
                  "firewall-cmd --reload", "the reason")
            equal(guests(w), ([], []), "jumps in it")
            # What that command makes of it.
            nft(w, "insert rule inet firewalld filter_FORWARD_ZONES iifname \"eth0\" "
                "goto filter_FWD_trusted")
            d.wait_state("home", "held", "share")
            equal(shared(w), (WAN4, WAN4), "seen from, after that")
            w.router.run("nft", "delete table inet firewalld")
            d.stop()
    case("firewalld's table while a share is held, netshared on %s" % firewall)(_)


for firewall in BOTH:
    def _(firewall=firewall):
        with Lan() as w:
            w.serve()
            nft(w, FIREWALLD)
            d = Daemon(w.router, SHARE % firewall)
            plan = d.plan()
            contains(plan.stdout, "# share home is pending: nftables chain inet firewalld "
                     "filter_FORWARD drops forwarded packets; run: firewall-cmd", "the plan")
            equal([line for line in plan.stdout.splitlines() if line.startswith("+")],
                  ["+ what share home drops"], "and nothing else")
            d.start()
            d.wait_log(r"share home .*pending.*filter_FORWARD")
            equal(d.object("home", "share")["state"], "pending", "the share")
            rules = (w.router.run("iptables-legacy-save").stdout +
                     w.router.run("nft", "list", "ruleset").stdout).lower()
            check("masquerade" not in rules and "mss" not in rules, "none of it is there")
            equal(w.router.sysctl("net/ipv4/ip_forward"), "0", "forwarding")
            check("drop" in rules, "but what it drops: %s" % rules)
            # Another run finds that, and is no other than this one.
            d.kill9()
            d.start()
            equal(d.object("home", "share")["state"], "pending", "the share in another run")
            nft(w, "insert rule inet firewalld filter_FORWARD_ZONES iifname \"eth0\" "
                "goto filter_FWD_trusted")
            d.wait_state("home", "held", "share")
            equal(shared(w), (WAN4, WAN4), "seen from, after that")
            # Another run does not take away what stands.
            nft(w, "flush chain inet firewalld filter_FORWARD_ZONES; "
                "add rule inet firewalld filter_FORWARD_ZONES goto filter_FWD_public")
            d.wait_state("home", "pending", "share")
            d.stop()
            d.start()
            equal(d.object("home", "share")["state"], "pending", "in another run")
            check("masquerade" in (w.router.run("iptables-legacy-save").stdout +
                                   w.router.run("nft", "list", "ruleset").stdout).lower(),
                  "it stands as it did")
            d.stop()
    case("all of a share or none of it behind firewalld, netshared on %s" % firewall)(_)


for firewall in BOTH:
    def _(firewall=firewall):
        with Lan() as w:
            w.serve()
            d = Daemon(w.router, SHARE % firewall).start()
            equal(shared(w), (WAN4, WAN4), "seen from")
            for name, text, chain in DROPPERS:
                family, table = chain.split()[:2]
                prefix = "meta nfproto ipv4 " if family == "inet" else ""
                nft(w, text)
                before = foreign(w)
                wait_until(lambda: guests(w)[0], name + ": the jump")
                equal(guests(w), (["%s: %s" % (chain, JUMP)],
                                  ["%s %s: %s%s" % (family, table, prefix, line)
                                   for line in ACCEPTS]), name)
                equal((shared(w), foreign(w)), ((WAN4, WAN4), before), name + ": seen from")
                d.wait_state("home", "held", "share")
                w.router.run("nft", "delete table %s %s" % (family, table))
                equal(d.object("home", "share")["state"], "held", name + ": when it is gone")
            d.stop()
    case("what drops is found, however it is written, and passed, netshared on %s" % firewall)(_)


@case("of many rules so many are looked at: no jump comes, and none goes, by what is behind them")
def _():
    with Lan() as w:
        w.serve()
        d = Daemon(w.router, SHARE % "nftables").start()
        many = "add rule ip mine passing iifname eth7 counter accept\n" * 2100
        nft(w, "table ip mine { chain passing { type filter hook forward priority 0; policy drop; } }")
        wait_until(lambda: guests(w)[0], "the jump")
        nft(w, many)
        told = r"the nftables chain ip mine passing: whether it drops what policies let through is " \
            "not all judged: too many rules"
        d.wait_log(told)
        equal((guests(w)[0], tcp_peer(w.client, SERVER4)), (["ip mine passing: " + JUMP], WAN4),
              "the jump that stands, and seen from")
        nft(w, "flush chain ip mine passing\n" + many)
        nft(w, "add rule ip mine passing iifname eth6 counter accept")
        contains(d.plan().stdout, "# nftables chain ip mine passing is not all judged",
                 "the plan")
        equal((guests(w)[0], d.count_log(told)), ([], 1), "no jump comes, and it is told once")
        sets = 'add rule ip mine passing iifname { "eth6", "eth7" } counter accept\n'
        nft(w, "flush chain ip mine passing\n" + sets * 200)
        wait_until(lambda: guests(w)[0], "the jump, behind what 200 sets accept")
        nft(w, sets * 400)
        contains(d.plan().stdout, "# nftables chain ip mine passing is not all judged",
                 "the plan, with 600 sets")
        equal((guests(w)[0], tcp_peer(w.client, SERVER4)), (["ip mine passing: " + JUMP], WAN4),
              "the jump that stands, and seen from, with 600 sets")
        d.stop()


@case("what lets a share through is left alone")
def _():
    with Lan() as w:
        w.serve()
        d = Daemon(w.router, SHARE % "nftables")
        for text in PASSERS:
            nft(w, text)
            d.start()
            equal((d.object("home", "share")["state"], reason(d), guests(w)[0]),
                  ("held", "", []), text)
            equal(tcp_peer(w.client, SERVER4), WAN4, "seen from")
            d.stop()
            for family in ("inet", "ip", "ip6"):
                w.router.run("nft", "delete table %s mine" % family, check=False)


@case("a jump is kept as all else is: gone, altered, doubled, behind a drop, unwanted")
def _():
    with Lan() as w:
        w.serve()
        nft(w, "table inet mine { chain passing { type filter hook forward priority 0; policy drop; "
            "counter packets 5 bytes 400; } }")
        before = foreign(w, "-a")
        d = Daemon(w.router, SHARE % "nftables")
        equal(d.plan().returncode, 3, "plan's verdict")
        contains(d.plan().stdout, "+ jump in nftables chain inet mine passing", "plan")
        d.start()
        equal(shared(w), (WAN4, WAN4), "seen from")
        equal(foreign(w, "-a"), before, "the others' rules, with counters and handles")
        want = guests(w)

        def handle(chain, part):
            lines = w.router.run("nft", "-a", "list chain inet mine " + chain).stdout.splitlines()
            return [line.split()[-1] for line in lines if part in line][0]

        for what, command in (
                ("gone", lambda: "delete rule inet mine passing handle "
                 + handle("passing", "NETSHARED")),
                ("altered", lambda: "replace rule inet mine passing handle %s tcp dport 7 jump "
                 "NETSHARED-forward" % handle("passing", "NETSHARED")),
                ("doubled", lambda: "add rule inet mine passing jump NETSHARED-forward"),
                ("behind a drop", lambda: "insert rule inet mine passing iifname eth0 drop"),
                ("flushed", lambda: "flush chain inet mine NETSHARED-forward"),
                ("more", lambda: "add rule inet mine NETSHARED-forward accept"),
                ("all", lambda: "flush chain inet mine passing; delete chain inet mine "
                 "NETSHARED-forward")):
            mark = d.mark()
            w.router.run("nft", command())
            d.wait_log(r"jump in nftables chain inet mine passing .*restored", since=mark)
            equal(guests(w), want, what)
            equal(shared(w), (WAN4, WAN4), what + ": seen from")
        # What others put before it and what does no harm stays there.
        w.router.run("nft", "insert rule inet mine passing tcp dport 25 drop")
        before = w.router.run("nft", "-s", "-a", "list chain inet mine passing").stdout
        d.reload()
        equal(w.router.run("nft", "-s", "-a", "list chain inet mine passing").stdout, before,
              "after a reload")
        # Another run finds it, and writes nothing.
        d.kill9()
        d.start()
        equal(w.router.run("nft", "-s", "-a", "list chain inet mine passing").stdout, before,
              "after a crash")
        mark = d.mark()
        d.reload("version: 1\nsettings: {firewall: nftables}\n")
        d.wait_log("jump in nftables chain inet mine passing removed", since=mark)
        equal(guests(w), ([], []), "when no share is wanted")
        # A map that leads to our chain keeps that, and nothing else: what is in it goes.
        d.reload(SHARE % "nftables")
        w.router.run("nft", "add map inet mine ways { type ipv4_addr : verdict; elements = { "
                     "198.51.100.7 : jump NETSHARED-forward }; }")
        mark = d.mark()
        d.reload("version: 1\nsettings: {firewall: nftables}\n")
        d.wait_log("jump in nftables chain inet mine passing removed", since=mark)
        text = w.router.run("nft", "list table inet mine").stdout
        equal((text.count("NETSHARED-forward"), text.count("eth0")), (2, 0), "the chain and the map")
        d.stop()
        d.cli("remove", check=True)
        w.router.run("nft", "delete map inet mine ways")
        d.cli("remove", check=True)
        equal(guests(w), ([], []), "without the map")


@case("the table comes, goes and comes again; and nobody waits for the next look")
def _():
    with Lan() as w:
        w.serve()
        d = Daemon(w.router, SHARE % "iptables").start()
        text = "table inet mine { chain passing { type filter hook forward priority 0; policy drop; } }"
        for _ in range(2):
            nft(w, text)
            wait_until(lambda: guests(w)[0], "the jump")
            equal(shared(w), (WAN4, WAN4), "seen from")
            w.router.run("nft", "flush ruleset")
        equal(d.object("home", "share")["state"], "held", "the share")
        equal(shared(w), (WAN4, WAN4), "seen from, without it")
        d.stop()


@case("a table that one program owns is not touched")
def _():
    with Lan() as w:
        if w.router.run("nft", "-c", "add table inet own { flags owner; }", check=False).returncode:
            raise Skip("this nft knows of no owners")
        w.serve()
        owner = w.router.popen(["nft", "-i"], stdin=-1, stdout=-1, stderr=-1, text=True)
        owner.stdin.write("add table inet own { flags owner; }\nadd chain inet own passing "
                          "{ type filter hook forward priority 0; policy drop; }\n")
        owner.stdin.flush()
        wait_until(lambda: "passing" in w.router.run("nft", "list", "ruleset").stdout, "the table")
        d = Daemon(w.router, SHARE % "nftables").start()
        d.wait_state("home", "pending", "share")
        contains(reason(d), "nftables chain inet own passing drops forwarded packets; only the "
                 "program that owns the table, with the port id ", "the reason")
        contains(reason(d), "has to add 'iifname \"eth0\" oifname \"eth1\" accept'", "what helps")
        equal(guests(w), ([], []), "jumps")
        owner.stdin.close()
        owner.wait(timeout=10)
        d.wait_state("home", "held", "share")
        equal(shared(w), (WAN4, WAN4), "seen from, when it is gone")
        d.stop()


@case("the drop is in legacy FORWARD, netshared on nftables")
def _():
    with Lan() as w:
        w.serve()
        w.router.run("iptables-legacy", "-w", "-P", "FORWARD", "DROP")
        w.router.run("iptables-legacy", "-w", "-A", "FORWARD", "!", "-i", "eth7", "-o", "eth7", "-j",
                     "ACCEPT")
        before = w.router.run("iptables-legacy", "-w", "-S").stdout
        d = Daemon(w.router, SHARE % "nftables")
        contains(d.plan().stdout, "+ jump in the legacy iptables chain FORWARD", "plan")
        d.start()
        equal(d.object("home", "share")["state"], "held", "the share")
        d.wait_log("jump in the legacy iptables chain FORWARD added")
        equal(shared(w), (WAN4, WAN4), "seen from")
        said = w.router.run("iptables-legacy", "-w", "-S").stdout
        equal(said.splitlines()[4:6], ["-A FORWARD -j NETSHARED-forward",
                                       "-A FORWARD ! -i eth7 -o eth7 -j ACCEPT"], "FORWARD")
        equal([line for line in said.splitlines() if "NETSHARED" not in line],
              before.splitlines(), "the others' rules")
        check("+" not in d.plan().stdout, "plan, then")
        mark = d.mark()
        w.router.run("iptables-legacy", "-w", "-D", "FORWARD", "-j", "NETSHARED-forward")
        d.wait_log("jump in the legacy iptables chain FORWARD was (missing|removed by \\S+); restored",
                   since=mark)
        equal(shared(w), (WAN4, WAN4), "seen from, after that")
        d.kill9()
        d.start()
        equal(w.router.run("iptables-legacy", "-w", "-S").stdout, said, "after a crash")
        w.router.run("iptables-legacy", "-w", "-P", "FORWARD", "ACCEPT")
        wait_until(lambda: "NETSHARED" not in w.router.run("iptables-legacy", "-w", "-S").stdout,
                   "it goes when nothing drops any more")
        w.router.run("iptables-legacy", "-w", "-P", "FORWARD", "DROP")
        wait_until(lambda: "NETSHARED" in w.router.run("iptables-legacy", "-w", "-S").stdout, "and back")
        d.stop()
        d.cli("remove", check=True)
        equal(w.router.run("iptables-legacy", "-w", "-S").stdout, before, "after remove")


@case("a drop of legacy FORWARD behind a jump to another chain")
def _():
    with Lan() as w:
        w.serve()
        for words in ("-N THEIRS", "-A THEIRS -j RETURN", "-A THEIRS -j RETURN",
                      "-A FORWARD -j THEIRS", "-A FORWARD -j DROP"):
            w.router.run("iptables-legacy", "-w", *words.split())
        d = Daemon(w.router, SHARE % "nftables").start()
        equal((d.object("home", "share")["state"], shared(w)), ("held", (WAN4, WAN4)), "it")
        d.stop()


@case("no legacy table comes into being by looking")
def _():
    with Lan() as w:
        d = Daemon(w.router, SHARE % "nftables").start()
        d.stop()
        equal(w.router.tables_in_use(), [], "tables")


for firewall in BOTH:
    def _(firewall=firewall):
        with Lan() as w:
            w.serve()
            TcpEcho(w.client, CLIENT4)
            # It lets in what comes from outside, and keeps the share from being.
            nft(w, "table inet firewalld { chain filter_FORWARD { type filter hook forward "
                "priority 10; iifname \"eth0\" reject; } }")
            w.router.sysctl("net/ipv4/ip_forward", 1)
            equal(tcp_peer(w.server, CLIENT4, timeout=0.5), None, "answers are rejected as well")
            d = Daemon(w.router, SHARE % firewall).start()
            equal(d.object("home", "share")["state"], "pending", "the share")
            w.router.run("nft", "insert rule inet firewalld filter_FORWARD ct state established accept")
            d.reload()
            equal(d.object("home", "share")["state"], "pending", "the share")
            equal(tcp_peer(w.server, CLIENT4, timeout=0.3), None, "from outside, while it is pending")
            mark = d.mark()
            w.router.run(*{"iptables": ("iptables-legacy", "-w", "-F", "NETSHARED-home"), "nftables": (
                "nft", "flush", "chain", "ip", "netshared", "filter-home")}[firewall])
            d.wait_log(r"the drops of share home, which is pending, were flushed.*; restored",
                       since=mark)
            equal(tcp_peer(w.server, CLIENT4, timeout=0.3), None, "from outside, restored")
            mark = d.mark()
            w.router.run("nft", "delete table inet firewalld")
            d.wait_state("home", "held", "share")
            d.wait_log(r"share home \(ipv4\) added|share home added", since=mark)
            equal((shared(w), tcp_peer(w.server, CLIENT4, timeout=0.3)), ((WAN4, WAN4), None), "then")
            d.reload("version: 1\nsettings: {firewall: %s}\n" % firewall)
            w.router.sysctl("net/ipv4/ip_forward", 1)
            equal(tcp_peer(w.server, CLIENT4), SERVER4, "from outside, without it")
            d.stop()
    case("a pending share keeps the world out, netshared on %s" % firewall)(_)


@case("long names that only end differently")
def _():
    with Lan() as w:
        w.serve()
        table = "t" * 90
        names = ["c" * 90 + end for end in ("one", "two")]
        nft(w, "table ip %s { chain %s { type filter hook forward priority 0; policy drop; }\n"
            "chain %s { type filter hook forward priority 1; policy drop; } }" % (table, *names))
        d = Daemon(w.router, SHARE % "nftables").start()
        equal((d.object("home", "share")["state"], shared(w)), ("held", (WAN4, WAN4)), "the share")
        for name in names:
            d.wait_log("jump in nftables chain ip %s %s added" % (table, name))
            mark = d.mark()
            w.router.run("nft", "flush", "chain", "ip", table, name)
            d.wait_log("jump in nftables chain ip %s %s .*restored" % (table, name), since=mark)
            equal(shared(w), (WAN4, WAN4), "seen from, after that")
        d.stop()


@case("a family is judged by what drops its own packets")
def _():
    with Lan() as w:
        w.serve()
        nft(w, "table ip6 mine { chain passing { type filter hook forward priority 0; policy drop; } }")
        d = Daemon(w.router, (SHARE % "iptables").replace(", family: ipv4", "")).start()
        equal(d.object("home (ipv6)", "share")["state"], "held", "IPv6")
        equal(d.object("home (ipv4)", "share")["state"], "held", "IPv4")
        check(tcp_peer(w.client, SERVER6), "IPv6 goes through")
        equal(guests(w)[0], ["ip6 mine passing: " + JUMP], "the jump")
        w.router.run("ip6tables-nft", "-P", "FORWARD", "DROP")
        wait_until(lambda: len(guests(w)[0]) == 2, "a second one")
        check(tcp_peer(w.client, SERVER6), "IPv6 goes through")
        contains(w.router.run("ip6tables-nft", "-S").stdout, "-A NETSHARED-forward -i eth1 -o eth0 "
                 "-m conntrack --ctstate RELATED,ESTABLISHED", "what ip6tables-nft says")
        w.router.run("nft", "delete table ip6 mine")
        nft(w, "table inet mine { chain passing { type filter hook forward priority 0; policy drop; } }")
        wait_until(lambda: "inet mine passing: " + JUMP in guests(w)[0], "one for both families")
        equal(shared(w), (WAN4, WAN4), "IPv4 goes through")
        check(tcp_peer(w.client, SERVER6), "IPv6 goes through")
        d.stop()


WEB = """version: 1
settings: {firewall: %s, forwarding: auto}
port-forwards:
  - {name: web, in: eth1, protocol: tcp, port: 7000, to: 10.0.0.2, to-port: %d}
"""


for firewall in BOTH:
    def _(firewall=firewall):
        with Lan() as w:
            TcpEcho(w.client, CLIENT4)
            w.router.run("iptables-nft-restore", stdin=ENGINE)
            before = foreign(w)
            d = Daemon(w.router, WEB % (firewall, PORT)).start()
            equal(d.object("web", "port-forward")["state"], "held", "the port-forward")
            equal(forwarded(w, SERVER4), SERVER4, "seen from")
            equal(tcp_peer(w.server, CLIENT4, timeout=0.5), None, "without it")
            equal(foreign(w), before, "the engine's rules")
            # iptables-nft 1.8.7 does not show ports that nf_tables has in words of its own.
            rule = ("-A NETSHARED-forward -d 10.0.0.2/32 -p tcp %s-m conntrack --ctstate DNAT "
                    "-m comment --comment \"port-forward web\" -j ACCEPT")
            said = w.router.run("iptables-nft", "-S").stdout
            check(any(rule % port in said for port in ("-m tcp --dport %d " % PORT, "")), "in:\n" + said)
            contains(w.router.run("nft", "-n", "list", "chain", "ip", "filter", "NETSHARED-forward").stdout,
                     "tcp dport %d " % PORT, "rules")
            w.router.run("nft", "delete table ip filter")
            nft(w, "table inet firewalld { chain filter_FORWARD { type filter hook forward priority 10; "
                "ct state established,related accept; iifname \"eth0\" accept; "
                "reject with icmpx type admin-prohibited; } }")
            d.wait_state("web", "pending", "port-forward")
            equal(forwarded(w, None), None, "seen from, behind firewalld")
            contains(reason(d, "web", "port-forward"), "--add-rich-rule 'rule family=ipv4 destination "
                     "address=10.0.0.2 port port=%d protocol=tcp accept'" % PORT, "the reason")
            nft(w, "insert rule inet firewalld filter_FORWARD ct status dnat accept")
            d.wait_state("web", "held", "port-forward")
            equal(forwarded(w, SERVER4), SERVER4, "seen from, when it lets it through")
            d.stop()
    case("a port-forward through rules of others, netshared on %s" % firewall)(_)


@case("a port-forward through a legacy FORWARD that drops")
def _():
    with Lan() as w:
        TcpEcho(w.client, CLIENT4)
        w.router.run("iptables-legacy", "-w", "-P", "FORWARD", "DROP")
        w.router.run("iptables-legacy", "-w", "-A", "FORWARD", "-p", "tcp", "--dport", "22", "-j",
                     "ACCEPT")
        d = Daemon(w.router, WEB % ("nftables", PORT)).start()
        equal((d.object("web", "port-forward")["state"], forwarded(w, SERVER4)), ("held", SERVER4), "it")
        d.stop()


@case("connections that the others let through outlive it")
def _():
    with Lan() as w:
        w.serve()
        nft(w, FIREWALLD)
        nft(w, "insert rule inet firewalld filter_FORWARD_ZONES iifname \"eth0\" "
            "goto filter_FWD_trusted")
        d = Daemon(w.router, SHARE % "iptables").start()
        equal(d.object("home", "share")["state"], "held", "at first")
        nft(w, "flush chain inet firewalld filter_FORWARD_ZONES; "
            "add rule inet firewalld filter_FORWARD_ZONES goto filter_FWD_public")
        d.wait_state("home", "pending", "share")
        rules = w.router.run("iptables-legacy-save").stdout
        check("NETSHARED-home" in rules and "MASQUERADE" in rules, "its rules stand: %s" % rules)
        d.reload()
        d.wait_state("home", "pending", "share")
        d.stop()
        wait_until(lambda: not d.running(), "it ends")
        d.cli("remove", check=True)
        check("NETSHARED" not in w.router.run("iptables-legacy-save").stdout, "all is gone")


main()
