# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies that are held though rules of others drop what they are for, which is told."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from engine import ENGINE
from netns import wait_until
from tap import case, check, contains, equal, main
from topology import SERVER4, SERVER6, WAN4, WAN6, Lan
from traffic import tcp_peer

LAN_OUT = """version: 1
settings: {firewall: %s}
masquerade:
  - {name: lan-out, from: [10.0.0.0/24], out: eth1}
"""
LAN_OUT6 = """version: 1
settings: {firewall: %s}
masquerade:
  - {name: lan-out, from: ["2001:db8:a::/64"], out: eth1}
"""
SHARE = """share:
  - {name: home, lan: eth0, wan: eth1, family: ipv4}
"""
# ufw's, as far as it concerns FORWARD.
UFW = """*filter
:FORWARD DROP [0:0]
:ufw-before-forward - [0:0]
:ufw-user-forward - [0:0]
:ufw-reject-forward - [0:0]
-A FORWARD -j ufw-before-forward
-A FORWARD -j ufw-reject-forward
-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-forward -p icmp -m icmp --icmp-type 3 -j ACCEPT
-A ufw-before-forward -p icmp -m icmp --icmp-type 8 -j ACCEPT
-A ufw-before-forward -j ufw-user-forward
COMMIT
"""
FIREWALLD = """table inet firewalld {
  chain filter_FORWARD {
    type filter hook forward priority filter + 10; policy accept;
    ct state { established, related } accept
    iifname "lo" accept
    jump filter_FORWARD_ZONES
    reject with icmpx type admin-prohibited
  }
  chain filter_FORWARD_ZONES { iifname "eth7" accept; }
}
"""
# What may let it through, each as rules of legacy FORWARD before the policy DROP.
MAY_PASS = (
    "-i eth0 -o eth1 -j ACCEPT; -m conntrack --ctstate ESTABLISHED -j ACCEPT",
    "-p tcp -m tcp --dport 443 -j ACCEPT; -m conntrack --ctstate ESTABLISHED -j ACCEPT",
    "-p udp -m udp --dport 53 -j ACCEPT; -m conntrack --ctstate ESTABLISHED -j ACCEPT",
    "-s 10.0.0.7/32 -j ACCEPT; -m conntrack --ctstate ESTABLISHED -j ACCEPT",
    "-m mark --mark 1 -j ACCEPT; -m conntrack --ctstate ESTABLISHED -j ACCEPT",
    "-p tcp -m multiport --dports 80,443 -j ACCEPT; -m conntrack --ctstate ESTABLISHED -j ACCEPT",
)
# And what is certain not to.
NEVER_PASS = (
    "-i eth7 -j ACCEPT; -m conntrack --ctstate ESTABLISHED -j ACCEPT",
    "-i eth0 -o eth1 -j ACCEPT",  # and nothing lets the answers in
    "-p icmp -j ACCEPT; -m conntrack --ctstate ESTABLISHED -j ACCEPT",
    "-o eth1 -j REJECT; -j ACCEPT",
)
BOTH = ("iptables", "nftables")
TOLD = r"warning: masquerade lan-out.* drops what is to be masqueraded"


def reason(d):
    return d.object("lan-out", "masquerade").get("reason") or ""


def told(d, what):
    wait_until(lambda: reason(d).startswith(what), "it is told: " + what)
    equal(d.object("lan-out", "masquerade")["state"], "held", "its state")
    d.wait_log(TOLD)


def run_fix(w, d):
    """What it says that helps."""
    w.router.run("sh", "-c", reason(d).split("run: ", 1)[1])
    wait_until(lambda: reason(d) == "", "no more is told")
    d.wait_log(r"masquerade lan-out .*changed \(nothing drops what it masquerades any more\)")


for firewall in BOTH:
    for program, command, where in (
            ("iptables-nft", "iptables-nft", "nftables chain ip filter FORWARD"),
            ("iptables-legacy", "iptables-legacy -w", "the legacy iptables chain FORWARD")):
        def _(firewall=firewall, program=program, command=command, where=where):
            with Lan() as w:
                w.serve()
                w.router.run(program + "-restore", "-w", stdin=ENGINE)
                d = Daemon(w.router, LAN_OUT % firewall)
                contains(d.plan().stdout, "# masquerade lan-out: %s drops what" % where, "plan")
                d.start()
                told(d, where)
                equal(reason(d), "%s drops what is to be masqueraded; make it a share, or run: "
                      "%s -I FORWARD -s 10.0.0.0/24 -i eth0 -o eth1 -j ACCEPT && %s -I FORWARD "
                      "-d 10.0.0.0/24 -i eth1 -o eth0 -m conntrack --ctstate RELATED,ESTABLISHED "
                      "-j ACCEPT" % (where, command, command), "the reason")
                equal(tcp_peer(w.client, SERVER4, timeout=0.1), None, "and so it is")
                d.reload()
                d.reload(LAN_OUT % firewall + "routes:\n  - {to: 198.51.100.0/24, via: 192.0.2.2}\n")
                equal(d.count_log(TOLD), 1, "times it was told")
                told(d, where)
                run_fix(w, d)
                equal(tcp_peer(w.client, SERVER4), WAN4, "seen from")
                w.router.run(program, "-w", "-F", "FORWARD")
                told(d, where)
                # A share does get through, and then nothing needs to be said of the other.
                d.reload(LAN_OUT % firewall + SHARE)
                wait_until(lambda: reason(d) == "", "no more is told")
                equal(tcp_peer(w.client, SERVER4), WAN4, "seen from, with a share")
                d.stop()
        case("a container engine's FORWARD by %s, netshared on %s" % (program, firewall))(_)


@case("ufw's FORWARD, which lets pings through")
def _():
    with Lan() as w:
        for program in ("iptables-nft", "iptables-legacy"):
            w.router.run(program + "-restore", "-w", stdin=UFW)
            d = Daemon(w.router, LAN_OUT % "iptables", name=program).start()
            told(d, "nftables" if program == "iptables-nft" else "the legacy")
            run_fix(w, d)
            d.stop()
            w.router.run(program, "-w", "-P", "FORWARD", "ACCEPT")
            w.router.run(program, "-w", "-F")


@case("firewalld, by the interface that the policy's packets come in by")
def _():
    with Lan() as w:
        w.router.run("nft", "-f", "-", stdin=FIREWALLD)
        d = Daemon(w.router, LAN_OUT % "nftables").start()
        told(d, "nftables chain inet firewalld filter_FORWARD")
        equal(reason(d).partition("; ")[2], "run: firewall-cmd --permanent --zone=trusted "
              "--add-interface=eth0 && firewall-cmd --reload", "what helps")
        w.router.run("nft", "insert rule inet firewalld filter_FORWARD_ZONES iifname eth0 accept")
        wait_until(lambda: reason(d) == "", "no more is told")
        d.stop()


@case("only what is certain is told")
def _():
    with Lan() as w:
        d = Daemon(w.router, LAN_OUT % "nftables").start()
        w.router.run("iptables-legacy", "-w", "-P", "FORWARD", "DROP")
        for rules, is_told in [(r, True) for r in NEVER_PASS] + [(r, False) for r in MAY_PASS]:
            for program in ("iptables-legacy", "iptables-nft"):
                w.router.run(program, "-w", "-P", "FORWARD", "DROP")
                for rule in rules.split("; "):
                    w.router.run(program, "-w", "-A", "FORWARD", *rule.split())
                d.reload()
                equal(bool(reason(d)), is_told, "%s by %s is told" % (rules, program))
                w.router.run(program, "-w", "-P", "FORWARD", "ACCEPT")
                w.router.run(program, "-w", "-F", "FORWARD")
                wait_until(lambda: reason(d) == "", "nothing without it")
        d.stop()


@case("the same with IPv6")
def _():
    with Lan() as w:
        w.serve()
        w.router.run("ip6tables-legacy", "-w", "-P", "FORWARD", "DROP")
        d = Daemon(w.router, LAN_OUT6 % "iptables").start()
        told(d, "the legacy ip6tables chain FORWARD")
        run_fix(w, d)
        equal(tcp_peer(w.client, SERVER6), WAN6, "seen from")
        d.stop()


@case("a policy without sources may be let through by whatever lets something through")
def _():
    with Lan() as w:
        w.router.run("iptables-nft-restore", stdin=ENGINE)
        d = Daemon(w.router, (LAN_OUT % "nftables").replace("from: [10.0.0.0/24], ", "")).start()
        d.reload()
        equal(reason(d), "", "what is told")
        w.router.run("iptables-nft", "-F", "FORWARD")
        told(d, "nftables chain ip filter FORWARD")
        check("-I FORWARD -o eth1 -j ACCEPT" in reason(d), "what helps: " + reason(d))
        d.stop()


NFT_BAN = """table inet mine {
  chain passing {
    type filter hook forward priority 0; policy %s;
    ip saddr %s drop
    iifname eth7 accept
  }
}
"""
LEGACY = "the legacy iptables chain FORWARD"
MINE = "nftables chain inet mine passing"
# Who holds the share, what keeps all of its LAN out, and what is told.
BANS = (
    ("iptables", "iptables-legacy -w -I FORWARD -s 10.0.0.0/24 -j DROP", LEGACY +
     " drops all of a LAN (-A FORWARD -s 10.0.0.0/24 -j DROP); delete that rule, or run: "
     "iptables-legacy -w -I FORWARD -s 10.0.0.0/24 -i eth0 -o eth1 -j ACCEPT"),
    ("iptables", "iptables-legacy -w -I FORWARD -d 10.0.0.0/16 -j DROP", LEGACY + " drops all of a LAN"),
    ("nftables", "iptables-legacy -w -A FORWARD -s 10.0.0.0/20 -j DROP", LEGACY + " drops all of a LAN"),
    ("iptables", NFT_BAN % ("accept", "10.0.0.0/24"), MINE + " drops all of a LAN; delete that rule "
     "('netshared explain' names it), or run: nft 'insert rule inet mine passing"),
    ("nftables", NFT_BAN % ("accept", "10.0.0.0/20"), MINE + " drops all of a LAN"),
    ("nftables", NFT_BAN % ("drop", "10.0.0.0/24"), MINE + " drops all of a LAN"),
)
SPARED = ("-I FORWARD -s 10.0.0.0/25 -j DROP", "-I FORWARD -p tcp -s 10.0.0.0/24 -j DROP",
          "-I FORWARD -s 10.0.1.0/24 -j DROP", "-A FORWARD -s 10.0.0.0/24 -j DROP")
HOME = "version: 1\nsettings: {firewall: %s}\n" + SHARE


@case("a share is held though a ban takes all of its LAN, and that is told")
def _():
    with Lan() as w:
        w.serve()
        for n, (firewall, ban, what) in enumerate(BANS):
            def reason():
                return d.object("home", "share").get("reason") or ""

            if ban.startswith("table"):
                w.router.run("nft", "-f", "-", stdin=ban)
            else:
                w.router.run(*ban.split())
            d = Daemon(w.router, HOME % firewall, name="bans%d" % n)
            contains(d.plan().stdout, "# share home: " + what, "plan")
            d.start()
            wait_until(lambda: reason().startswith(what), "it is told: " + what)
            equal(d.object("home", "share")["state"], "held", "its state")
            contains(d.cli("status", check=True).stdout, what[:50], "status")
            equal(tcp_peer(w.client, SERVER4, timeout=0.1), None, "and so it is")
            d.reload()
            equal(d.count_log(r"warning: share home.* drops all of a LAN"), 1, "times it was told")
            w.router.run("sh", "-c", reason().split("run: ", 1)[1])
            wait_until(lambda: reason() == "", "no more is told")
            d.wait_log("share home .*nothing drops all of a LAN any more")
            equal(tcp_peer(w.client, SERVER4), WAN4, "seen from")
            d.stop()
            d.cli("remove", check=True)
            w.router.run("iptables-legacy", "-w", "-F", "FORWARD")
            if ban.startswith("table"):
                w.router.run("nft", "delete table inet mine")
        d = Daemon(w.router, HOME % "iptables").start()
        for words in SPARED:
            w.router.run("iptables-legacy", "-w", *words.split())
            d.reload()
            equal(d.object("home", "share").get("reason"), None, words)
            w.router.run("iptables-legacy", "-w", *words.replace("-I", "-D").replace("-A", "-D").split())
        # What comes behind our jump takes nothing of it.
        w.router.run("nft", "-f", "-", stdin="table inet mine { chain passing {\n type filter hook "
                     "forward priority 0; policy drop;\n}; }\n")
        d.reload()
        w.router.run("nft", "add rule inet mine passing ip saddr 10.0.0.0/24 drop")
        d.reload()
        equal(d.object("home", "share").get("reason"), None, "behind our jump in nftables")
        equal(tcp_peer(w.client, SERVER4), WAN4, "seen from")
        d.stop()


SETS = """table inet mine {
  set lans { type ifname; elements = { eth0 }; }
  chain passing {
    type filter hook forward priority 0; policy accept;
    %s drop
    iifname eth7 accept
  }
}
"""
V6_HOME = HOME.replace("family: ipv4", "family: ipv6")
# Other ways to ban all of a LAN: the file, and the rule.
OTHER_BANS = (
    (HOME, "iptables-legacy -w -I FORWARD -i eth+ -s 10.0.0.0/24 -j DROP"),
    (HOME.replace("lan: eth0", 'lan: "eth0+"'), "iptables-legacy -w -I FORWARD -s 10.0.0.0/24 -j DROP"),
    (HOME, "iptables-legacy -w -I FORWARD -m iprange --src-range 10.0.0.0-10.0.0.255 -j DROP"),
    (HOME, "iptables-nft -I FORWARD -m iprange --dst-range 10.0.0.0-10.0.1.255 -j DROP"),
    (HOME, SETS % 'iifname "eth*" ip saddr 10.0.0.0/24'),
    (HOME, SETS % "iifname @lans ip saddr { 10.0.0.0/24 }"),
    (HOME, SETS % "ip saddr 10.0.0.0-10.0.1.3"),
    (V6_HOME, SETS % "ip6 saddr 2001:db8:a::/64"),
    (V6_HOME, "ip6tables-legacy -w -I FORWARD -d 2001:db8:a::/64 -j DROP"),
)
OTHER_SPARED = ("iptables-legacy -w -I FORWARD -m iprange --src-range 10.0.0.0-10.0.0.254 -j DROP",
                "iptables-nft -I FORWARD -m iprange ! --src-range 10.0.0.0-10.0.0.255 -j DROP",
                SETS % "ip saddr 10.0.0.1-10.0.1.3", SETS % "ip saddr != 10.0.0.0-10.0.1.3",
                SETS % "ip saddr < 10.0.0.255")


def banned(w, d, text, ban):
    """What is told of the share meanwhile."""
    if ban.startswith("table"):
        w.router.run("nft", "-f", "-", stdin=ban)
    else:
        w.router.run(*ban.split())
    d.reload(text)
    found = d.object("home", "share").get("reason")
    for words in ("iptables-legacy -w -F FORWARD", "ip6tables-legacy -w -F FORWARD",
                  "iptables-nft -F FORWARD", "nft delete table inet mine"):
        w.router.run(*words.split(), check=False)
    return found or ""


def older_nft(ns):
    """Before 1.0: a set of one prefix is not written as that prefix."""
    return ns.run("nft", "--version").stdout.startswith("nftables v0.")


@case("whatever words a ban of all of a LAN has")
def _():
    with Lan() as w:
        for firewall in BOTH:
            d = Daemon(w.router, HOME % firewall, name=firewall).start()
            for text, ban in OTHER_BANS:
                if "{ 10." in ban and older_nft(w.router):
                    continue  # which leaves it a set; netshared looks into named ones alone
                contains(banned(w, d, text % firewall, ban), "drops all of a LAN", ban)
            for ban in OTHER_SPARED:
                equal(banned(w, d, HOME % firewall, ban), "", ban)
            d.stop()
            d.cli("remove", check=True)


@case("of several bans the one that takes all of a LAN is to be deleted")
def _():
    with Lan() as w:
        w.router.run("ip", "address", "add", "10.0.9.1/24", "dev", "eth0")
        for words in ("-s 10.0.0.0/24", "-s 10.0.9.0/24 -p udp", "-s 10.0.9.0/24 -p udp --dport 53"):
            w.router.run("iptables-legacy", "-w", "-A", "FORWARD", *words.split(), "-j", "DROP")
        d = Daemon(w.router, HOME % "iptables").start()
        wait_until(lambda: d.object("home", "share").get("reason"), "it is told")
        contains(d.object("home", "share")["reason"],
                 "(-A FORWARD -s 10.0.0.0/24 -j DROP); delete that rule", "the rule")
        d.stop()


@case("commands have names as they are, however long")
def _():
    with Lan() as w:
        w.serve()
        table, name = "t" * 100, "c" * 100
        w.router.run("nft", "-f", "-", stdin="table ip %s {\n  chain %s {\n    type filter hook "
                     "forward priority 0; policy drop;\n  }\n}\n" % (table, name))
        d = Daemon(w.router, LAN_OUT % "nftables").start()
        told(d, "nftables chain ip " + table[:60])
        run_fix(w, d)
        equal(tcp_peer(w.client, SERVER4), WAN4, "seen from")
        d.stop()


main()
