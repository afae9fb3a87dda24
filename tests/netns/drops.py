# SPDX-License-Identifier: GPL-2.0-or-later
"""Shares on hosts where rules of others drop what is forwarded."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from netns import wait_until
from tap import case, check, equal, main
from topology import SERVER4, SERVER6, WAN4, Lan
from traffic import tcp_peer, udp_peer

SHARE = """version: 1
settings: {firewall: %s}
share:
  - {name: home, lan: eth0, wan: eth1, family: ipv4}
"""
# What a container engine writes (its chains as iptables-save shows them), and its host's policy.
ENGINE = """*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
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
)


def nft(w, text):
    w.router.run("nft", "-f", "-", stdin=text.replace("} }", "}\n}"))


def reason(d):
    return d.object("home", "share").get("reason") or ""


def fix(d):
    return reason(d).split("; run: ", 1)[1]


def shared(w):
    return udp_peer(w.client, SERVER4, timeout=0.5), tcp_peer(w.client, SERVER4, timeout=0.5)


def foreign(w):
    """The others' rules, without counters."""
    return [line for line in w.router.run("iptables-nft-save").stdout.splitlines()
            if line.startswith("-A")]


for firewall in BOTH:
    def _(firewall=firewall):
        with Lan() as w:
            w.serve()
            w.router.run("iptables-nft-restore", stdin=ENGINE)
            before = foreign(w)
            d = Daemon(w.router, SHARE % firewall).start()
            d.wait_state("home", "pending", "share")
            check("nftables chain ip filter FORWARD drops forwarded packets; run: iptables-nft"
                  in reason(d), "the reason: %s" % reason(d))
            d.wait_log(r"share home \(ipv4\) .*pending.*ip filter FORWARD")
            equal(foreign(w), before, "the engine's rules")
            equal(shared(w), (None, None), "what comes through")
            w.router.run("sh", "-c", fix(d))
            d.wait_state("home", "held", "share")
            equal(shared(w), (WAN4, WAN4), "seen from, after what was said")
            w.router.run("iptables-nft", "-S", "FORWARD")
            mark = d.mark()
            w.router.run("iptables-nft-restore", stdin=ENGINE)
            d.wait_log(r"share home \(ipv4\) .*pending", since=mark)
            d.wait_state("home", "pending", "share")
            d.stop()
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
            # What that command makes of it.
            nft(w, "insert rule inet firewalld filter_FORWARD_ZONES iifname \"eth0\" "
                "goto filter_FWD_trusted")
            d.wait_state("home", "held", "share")
            equal(shared(w), (WAN4, WAN4), "seen from, after that")
            w.router.run("nft", "delete table inet firewalld")
            d.stop()
    case("firewalld's table while a share is held, netshared on %s" % firewall)(_)


@case("what drops is found, however it is written, and what is said helps")
def _():
    with Lan() as w:
        w.serve()
        d = Daemon(w.router, SHARE % "nftables").start()
        equal(shared(w), (WAN4, WAN4), "seen from")
        for name, text, chain in DROPPERS:
            nft(w, text)
            d.wait_state("home", "pending", "share")
            check("chain %s drops" % chain in reason(d), "%s: %s" % (name, reason(d)))
            equal(tcp_peer(w.client, SERVER4, timeout=0.5), None, name + ": what comes through")
            w.router.run("sh", "-c", fix(d))
            d.wait_state("home", "held", "share")
            equal(shared(w), (WAN4, WAN4), name + ": seen from")
            w.router.run("nft", "delete table " + " ".join(chain.split()[:2]))
        d.stop()


@case("what lets a share through is not complained of")
def _():
    with Lan() as w:
        w.serve()
        d = Daemon(w.router, SHARE % "nftables")
        for text in PASSERS:
            nft(w, text)
            d.start()
            equal((d.object("home", "share")["state"], reason(d)), ("held", ""), text)
            equal(tcp_peer(w.client, SERVER4), WAN4, "seen from")
            d.stop()
            for family in ("inet", "ip", "ip6"):
                w.router.run("nft", "delete table %s mine" % family, check=False)


@case("a family is judged by what drops its own packets")
def _():
    with Lan() as w:
        w.serve()
        nft(w, "table ip6 mine { chain passing { type filter hook forward priority 0; policy drop; } }")
        d = Daemon(w.router, (SHARE % "iptables").replace(", family: ipv4", "")).start()
        d.wait_state("home (ipv6)", "pending", "share")
        equal(d.object("home (ipv4)", "share")["state"], "held", "IPv4")
        equal(tcp_peer(w.client, SERVER6, timeout=0.5), None, "IPv6")
        w.router.run("sh", "-c", d.object("home (ipv6)", "share")["reason"].split("; run: ", 1)[1])
        d.wait_state("home (ipv6)", "held", "share")
        check(tcp_peer(w.client, SERVER6), "IPv6 goes through")
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
