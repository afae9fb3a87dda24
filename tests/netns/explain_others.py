# SPDX-License-Identifier: GPL-2.0-or-later
"""explain: it never says that a packet passes which does not, whoever stops it, and wherever."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from explained import agree, doubted, said, step, stops, words
from netns import wait_until
from tap import case, check, contains, equal, main
from topology import (BASIC, CLIENT4, CLIENT6, FAR4, LAN4, LAN6, SERVER4, SERVER6, WAN4, Lan)
from traffic import PORT, UdpEcho, udp_peer

OPEN = "version: 1\nsettings: {forwarding: leave}\n"
SHARE = "version: 1\nshare:\n  - {name: home, lan: eth0, wan: eth1%s}\n"


def base(family, hook, priority, rule):
    return "table %s mine { chain c { type filter hook %s priority %d; %s; }; }" % (
        family, hook, priority, rule)


# (the rule, the step at which it stops, what the reason has)
DROPS = (
    (("-t", "raw", "-A", "PREROUTING", "-s", CLIENT4, "-j", "DROP"), "arrival", "PREROUTING"),
    (("-t", "raw", "-A", "PREROUTING", "-i", "eth0", "-m", "conntrack", "--ctstate", "INVALID",
      "-j", "DROP"), "arrival", "PREROUTING"),
    (("-t", "mangle", "-A", "PREROUTING", "-i", "eth0", "-m", "conntrack", "--ctstate", "NEW",
      "-j", "DROP"), "arrival", "PREROUTING"),
    (("-t", "mangle", "-A", "FORWARD", "-i", "eth0", "-j", "DROP"), "forwarding", "FORWARD"),
    (("-t", "security", "-A", "FORWARD", "-o", "eth1", "-j", "DROP"), "forwarding", "FORWARD"),
    (("-t", "mangle", "-A", "POSTROUTING", "-s", CLIENT4, "-j", "DROP"), "source", "POSTROUTING"),
    (("-t", "raw", "-A", "PREROUTING", "-s", SERVER4, "-d", WAN4, "-j", "DROP"), "return",
     "PREROUTING"),
    (("-t", "mangle", "-A", "POSTROUTING", "-d", CLIENT4, "-j", "DROP"), "return", "POSTROUTING"),
    (base("ip", "prerouting", -310, "ip saddr %s udp dport %d drop" % (CLIENT4, PORT)), "arrival",
     "ip mine c"),
    (base("inet", "prerouting", -150, "iifname eth0 ct state new drop"), "arrival", "inet mine c"),
    (base("inet", "prerouting", -250, "iifname eth0 ct state invalid drop"), "arrival", "inet mine c"),
    (base("ip", "forward", 300, "iifname eth0 drop"), "forwarding", "ip mine c"),
    (base("ip", "forward", -300, "policy drop"), "forwarding", "ip mine c"),
    (base("ip", "postrouting", 0, "ip saddr %s drop" % CLIENT4), "source", "ip mine c"),
    (base("ip", "postrouting", 200, "ip saddr %s drop" % WAN4), "source", "ip mine c"),
    (base("ip", "prerouting", -160, "ip daddr %s drop" % WAN4), "return", "ip mine c"),
    (base("ip", "prerouting", 0, "ip daddr %s drop" % CLIENT4), "return", "ip mine c"),
    (base("netdev", "ingress device eth0", 0, "ip saddr %s drop" % CLIENT4), "arrival",
     "netdev mine c"),
)


def programs(rule):
    return ("nft",) if isinstance(rule, str) else ("iptables-legacy", "iptables-nft")


def undo(rule):
    if isinstance(rule, str):
        return (("delete table %s mine" % rule.split()[1]),)
    return tuple("-D" if word == "-A" else word for word in rule)


@case("rules of others that drop it, at any hook and in any table")
def _():
    with Lan() as w:
        w.serve(SERVER4)
        d = Daemon(w.router, BASIC).start()
        for rule, where, what in DROPS:
            for program in programs(rule):
                argv = (rule,) if isinstance(rule, str) else rule
                result = w.router.run(program, *argv, check=False)
                if result.returncode != 0 and "security" in argv:
                    continue  # a kernel without that table
                equal(result.returncode, 0, "%s: %s" % (rule, result.stderr))
                answer = agree(d, w.client, CLIENT4, SERVER4, where=where)
                contains(answer["reason"], what, "the reason")
                hosts = where == "forwarding" and (program != "iptables-legacy" or "filter" in argv)
                check(hosts or "share between" not in answer["fix"], answer["fix"])
                w.router.run(program, *undo(rule))
        agree(d, w.client, CLIENT4, SERVER4)


@case("what helps against a rule at another hook helps")
def _():
    with Lan() as w:
        w.serve(SERVER4)
        d = Daemon(w.router, BASIC).start()
        for program, argv in (("iptables-legacy", ("-t", "mangle", "-A", "PREROUTING", "-i", "eth0",
                                                   "-j", "DROP")),
                              ("iptables-nft", ("-t", "mangle", "-A", "POSTROUTING", "-o", "eth1",
                                                "-j", "DROP")),
                              ("nft", (base("ip", "prerouting", -200, "iifname eth0 drop"),))):
            w.router.run(program, *argv)
            where = "source" if "POSTROUTING" in argv else "arrival"
            answer = agree(d, w.client, CLIENT4, SERVER4, where=where)
            w.router.run("sh", "-c", answer["fix"].split("run: ", 1)[1])
            agree(d, w.client, CLIENT4, SERVER4)


@case("a rule of others that can't be judged is no pass")
def _():
    argv = (CLIENT4, SERVER4, "--protocol", "udp", "--port", str(PORT))
    with Lan() as w:
        w.serve(SERVER4)
        d = Daemon(w.router, BASIC).start()
        length = ("-m", "length", "--length", "1:65000")
        for program, rules in (
                ("iptables-legacy", (("-t", "mangle", "-A", "FORWARD", *length, "-j", "DROP"),)),
                ("iptables-nft", (("-t", "mangle", "-A", "PREROUTING", *length, "-j", "DROP"),)),
                ("iptables-legacy", (("-A", "FORWARD", "-m", "length", "--length", "1", "-j",
                                      "ACCEPT"), ("-A", "FORWARD", "-j", "DROP"))),
                ("nft", (("add table ip mine",), ("add chain ip mine c { type filter hook forward "
                         "priority 5; }",), ("add rule ip mine c meta length > 20 drop",)))):
            for rule in rules:
                w.router.run(program, *rule)
            equal(udp_peer(w.client, SERVER4, timeout=0.4), None, "what comes of it")
            answer = doubted(d, *argv)
            contains(answer["reason"], "may drop it: the rule ", "the reason")
            contains(d.cli("explain", *argv).stdout, "Nothing stops it for certain, but ", "the text")
            w.router.run(program, *(("delete table ip mine",) if program == "nft" else
                                    ("-t", "mangle", "-F")))
            if program == "iptables-legacy":
                w.router.run(program, "-F", "FORWARD")
        # What it would be if it matched does not matter where what is behind it does the same.
        w.router.run("iptables-legacy", "-w", "-A", "FORWARD", *length, "-j", "ACCEPT")
        d.reload(BASIC)
        agree(d, w.client, CLIENT4, SERVER4)


@case("what is for this machine, and its own: INPUT and OUTPUT")
def _():
    with Lan() as w:
        w.serve(SERVER4)
        UdpEcho(w.router, LAN4, 53)
        d = Daemon(w.router, BASIC).start()
        agree(d, w.client, CLIENT4, LAN4, port=53)
        for argv, where in ((("-A", "INPUT", "-p", "udp", "--dport", "53", "-j", "DROP"), "forwarding"),
                            (("-P", "INPUT", "DROP"), "forwarding"),
                            (("-A", "OUTPUT", "-p", "udp", "--sport", "53", "-j", "DROP"), "return")):
            for program in ("iptables-legacy", "iptables-nft"):
                w.router.run(program, *argv)
                agree(d, w.client, CLIENT4, LAN4, port=53, where=where)
                undone = (("-P", "INPUT", "ACCEPT") if argv[0] == "-P" else
                          tuple("-D" if word == "-A" else word for word in argv))
                w.router.run(program, *undone)
        w.router.run("nft", base("inet", "output", 0, "udp dport %d reject" % PORT))
        answer = said(d, WAN4, SERVER4, "--protocol", "udp", "--port", str(PORT))
        equal(stops(answer), "forwarding", "what it sends itself")
        w.router.run("nft", "delete table inet mine")
        equal(stops(said(d, CLIENT4, LAN4)), None, "a ping")
        w.router.sysctl("net.ipv4.icmp_echo_ignore_all", 1)
        contains(said(d, CLIENT4, LAN4)["fix"], "icmp_echo_ignore_all=0", "what helps")


@case("pings, and a reverse-path filter made of rules")
def _():
    with Lan() as w:
        w.serve(SERVER4, SERVER6)
        d = Daemon(w.router, "version: 1\nshare:\n  - {name: home, lan: eth0, wan: eth1}\n").start()
        for rule in (("iptables-legacy", "-w", "-A", "FORWARD", "-p", "icmp", "--icmp-type",
                      "destination-unreachable", "-j", "DROP"),
                     ("iptables-legacy", "-w", "-t", "raw", "-A", "PREROUTING", "-m", "rpfilter",
                      "--invert", "-j", "DROP"),
                     ("nft", base("inet", "prerouting", -160,
                                  "fib saddr . mark . iif oif missing drop")),
                     ("nft", "add rule inet mine c icmp type destination-unreachable drop"),
                     ("nft", "add rule inet mine c tcp flags & (fin | syn | rst | ack) != syn "
                      "ct state new drop"),
                     ("iptables-legacy", "-w", "-A", "FORWARD", "-p", "tcp", "!", "--syn", "-m",
                      "conntrack", "--ctstate", "NEW", "-j", "DROP")):
            w.router.run(*rule)
        equal(stops(said(d, CLIENT4, SERVER4, "--port", str(PORT))), None, "TCP")
        equal(w.client.run("ping", "-c", "1", "-W", "3", SERVER4, check=False).returncode, 0, "a ping")
        equal(stops(said(d, CLIENT4, SERVER4)), None, "a ping")
        agree(d, w.client, CLIENT4, SERVER4)
        agree(d, w.client, CLIENT6, SERVER6)
        w.router.run("iptables-legacy", "-w", "-I", "FORWARD", "-p", "icmp", "--icmp-type", "echo-reply",
                     "-j", "DROP")
        equal(w.client.run("ping", "-c", "1", "-W", "1", SERVER4, check=False).returncode, 1, "a ping")
        equal(stops(said(d, CLIENT4, SERVER4)), "return", "a ping")


@case("a mark that a rule of others gives decides on the way")
def _():
    with Lan() as w:
        w.serve(SERVER4)
        d = Daemon(w.router, BASIC + "rules:\n  - {mark: 7, action: prohibit, priority: 900, "
                   "family: ipv4}\n").start()
        argv = (CLIENT4, SERVER4, "--protocol", "udp", "--port", str(PORT))
        w.router.run("ipset", "create", "seen", "hash:ip")
        for program in ("iptables-legacy", "iptables-nft"):  # what only puts it into a set
            w.router.run(program, "-t", "mangle", "-A", "PREROUTING", "-j", "SET", "--add-set", "seen",
                         "src")
            agree(d, w.client, CLIENT4, SERVER4)
            w.router.run(program, "-t", "mangle", "-F", "PREROUTING")
        for program, rule in (("iptables-legacy", ("-t", "mangle", "-A", "PREROUTING", "-j", "MARK",
                                                   "--set-mark", "7")),
                              ("nft", (base("ip", "prerouting", -150, "meta mark set 7"),))):
            w.router.run(program, *rule)
            equal(udp_peer(w.client, SERVER4, timeout=0.4), None, "a packet")
            contains(doubted(d, *argv)["reason"], "may give it a mark", "the reason")
            equal(stops(said(d, *argv, "--mark", "7")), "route", "with the mark")
            if program != "nft":
                w.router.run(program, "-t", "mangle", "-F", "PREROUTING")


@case("rules of others that lead it elsewhere, or take it off connection tracking")
def _():
    with Lan() as w:
        w.serve(SERVER4)
        # Whoever is not translated gets no answer.
        w.server.ip("rule add from %s to %s priority 10 unreachable" % (SERVER4, CLIENT4))
        d = Daemon(w.router, BASIC).start()
        argv = (CLIENT4, SERVER4, "--protocol", "udp", "--port", str(PORT))
        for program in ("iptables-legacy", "iptables-nft"):
            for rule, what in (
                    (("-t", "raw", "-A", "PREROUTING", "-p", "udp", "-j", "CT", "--notrack"),
                     "off connection tracking"),
                    (("-t", "nat", "-A", "PREROUTING", "-p", "udp", "-j", "REDIRECT", "--to-ports",
                      "9"), "lead it elsewhere")):
                w.router.run(program, *rule)
                equal(udp_peer(w.client, SERVER4, timeout=0.4), None, "a packet")
                contains(doubted(d, *argv)["reason"], what, "the reason")
                w.router.run(program, *undo(rule))
        for rule, what in ((base("ip", "prerouting", -300, "udp dport %d notrack" % PORT),
                            "off connection tracking"),
                           ("table ip mine { chain c { type nat hook prerouting priority -100; "
                            "udp dport %d redirect to :9; }; }" % PORT, "lead it elsewhere")):
            w.router.run("nft", rule)
            equal(udp_peer(w.client, SERVER4, timeout=0.4), None, "a packet")
            contains(doubted(d, *argv)["reason"], what, "the reason")
            w.router.run("nft", "delete table ip mine")
        agree(d, w.client, CLIENT4, SERVER4)


@case("a link that nothing passes by")
def _():
    with Lan() as w:
        w.serve(SERVER4)
        d = Daemon(w.router, SHARE % "").start()
        w.server.ip("link set eth0 down")
        wait_until(lambda: " state UP " not in w.router.run("ip", "link", "show", "dev", "eth1").stdout, "it is down")
        answer = agree(d, w.client, CLIENT4, SERVER4, where="route", argv=("--in", "eth0"))
        contains(answer["reason"], "eth1 has no carrier", "the reason")
        contains(answer["fix"], "what eth1 is connected to", "what helps")
        # What the kernel tells up to a second later.
        w.server.ip("link set eth0 up")
        wait_until(lambda: " state UP " in w.router.run("ip", "link", "show", "dev", "eth1").stdout, "it is up")
        w.client.ip("link set eth0 down")
        wait_until(lambda: " state UP " not in w.router.run("ip", "link", "show", "dev", "eth0").stdout, "no more")
        answer = said(d, CLIENT4, SERVER4)
        equal((stops(answer), "no carrier" in answer["reason"]), ("arrival", True), "the step")
        w.router.ip("link set eth0 down")
        answer = said(d, CLIENT4, SERVER4, "--in", "eth0")
        equal((stops(answer), answer["fix"]), ("arrival", "run: ip link set eth0 up"), "what helps")


@case("an end that no network of this machine has, or one that is switched off")
def _():
    with Lan() as w:
        w.router.ip_batch(["route add default via 192.0.2.2", "-6 route add default via " + SERVER6])
        d = Daemon(w.router, SHARE % "").start()
        for source, world in ((CLIENT4, FAR4), (CLIENT6, "2001:db8:c::1")):
            equal(stops(said(d, source, world)), None, "as it should be")
        for stray in "10.0.1.10", "fd00:9::10":
            answer = said(d, stray, FAR4 if "." in stray else "2001:db8:c::1")
            equal((stops(answer), answer["reason"]),
                  ("arrival", "no network of this machine has " + stray), "mistyped")
            contains(answer["fix"], "if it is behind eth1 indeed: --in eth1", "what helps")
            equal(stops(said(d, stray, "198.51.100.7" if "." in stray else "2001:db8:c::1",
                             "--in", "eth1")) == "arrival", False, "said to be behind it")
        # A port-forward to somebody who is nowhere.
        forward = "port-forwards:\n  - {name: web, in: eth1, protocol: udp, port: 7000, to: %s}\n"
        d.reload(SHARE % "" + forward % "192.168.7.10")
        answer = said(d, "203.0.113.9", WAN4, "--protocol", "udp", "--port", "7000")
        equal((stops(answer), answer["reason"]), ("route", "no network of this machine has "
              "192.168.7.10, to which port-forward web (%s:5) leads it" % d.config), "astray")
        d.reload(SHARE % "" + forward % CLIENT4)
        equal(stops(said(d, "203.0.113.9", WAN4, "--protocol", "udp", "--port", "7000")), None,
              "as it should be")
        # The LAN is switched off, and its route gone with it.
        w.router.ip("link set eth0 down")
        answer = said(d, CLIENT4, FAR4)
        equal((stops(answer), answer["fix"]), ("arrival", "run: ip link set eth0 up"), "from there")
        contains(words(answer), "It comes in by eth0, as is assumed: %s is in its network." % CLIENT4,
                 "the steps")
        answer = said(d, "198.51.100.99", CLIENT4)
        equal((stops(answer), answer["fix"]), ("arrival", "run: ip link set eth0 up"), "to there")
        w.router.ip("route del default")
        equal(said(d, CLIENT4, FAR4)["fix"], "run: ip link set eth0 up", "with no way at all")
        w.router.ip_batch(["link set eth0 up", "route add default via 192.0.2.2",
                           "addr del %s/24 dev eth0" % LAN4])
        equal(said(d, CLIENT4, FAR4)["reason"], "no network of this machine has " + CLIENT4,
              "without its address")


@case("packets that nobody forwards, or that never come here")
def _():
    with Lan() as w:
        d = Daemon(w.router, SHARE % "").start()
        for source, target, what in (
                ("0.0.0.0", SERVER4, "nobody's address"), ("::", SERVER6, "nobody's address"),
                ("224.0.0.5", SERVER4, "a multicast address"), ("ff02::5", SERVER6, "multicast"),
                ("255.255.255.255", SERVER4, "a broadcast"), ("10.0.0.255", SERVER4, "a broadcast"),
                (CLIENT4, "0.0.0.0", "nothing is sent to it"),
                ("fe80::2", SERVER6, "link-local"), (CLIENT6, "fe80::99", "link-local"),
                (CLIENT4, "127.0.0.1", "a loopback address"),
                (CLIENT4, "10.0.0.77", "are on one link: the packet does not come here"),
                (CLIENT6, "2001:db8:a::77", "are on one link: the packet does not come here")):
            for argv in ((), ("--in", "eth0")):
                if argv and "one link" in what:
                    continue
                answer = said(d, source, target, *argv)
                equal(stops(answer), "arrival", "%s to %s" % (source, target))
                contains(answer["reason"], what, "the reason")
                check("is assumed" not in words(answer) or "one link" in what, words(answer))
        for target in ("10.0.0.255", "255.255.255.255", "192.0.2.255"):
            check(not said(d, CLIENT4, target, "--in", "eth0")["passes"], "a broadcast to " + target)
        # An address of this machine as the source: a forgery, or one that two have.
        answer = said(d, WAN4, SERVER4, "--in", "eth0")
        equal(stops(answer), "arrival", "a forged source")
        check("accept_local" not in answer["fix"], answer["fix"])
        # The router itself is asked directly.
        equal(stops(said(d, CLIENT6, LAN6)), None, "the router")


@case("what comes from outside needs no share")
def _():
    with Lan() as w:
        UdpEcho(w.client, CLIENT4)
        w.router.sysctl("net.ipv4.ip_forward", 1)
        w.router.ip("route add default via 192.0.2.2")
        d = Daemon(w.router, OPEN).start()
        w.router.run("iptables-legacy", "-w", "-P", "FORWARD", "DROP")
        answer = agree(d, w.server, SERVER4, CLIENT4, where="forwarding")
        check("share between" not in answer["fix"] and "run:" not in answer["fix"], answer["fix"])
        contains(answer["fix"], "a port-forward", "what helps")
        # By the link it came in it leaves again.
        answer = said(d, "203.0.113.9", "203.0.113.77")
        check("between eth1 and eth1" not in str(answer["fix"]), answer["fix"])


@case("an address of the link's own subnet, to which the router of that link has a route")
def _():
    with Lan() as w:
        w.serve(FAR4)
        d = Daemon(w.router, BASIC.replace("    out: [eth1]", "    out: [eth1]\n    "
                                           "to-source: 192.0.2.77")).start()
        argv = (CLIENT4, FAR4, "--protocol", "udp", "--port", str(PORT))
        for routed in (False, True):
            if routed:
                w.server.ip("route add 192.0.2.77/32 via 192.0.2.1")
            seen = udp_peer(w.client, FAR4, timeout=3.0 if routed else 0.4)
            equal(seen, "192.0.2.77" if routed else None, "what comes of it")
            answer = doubted(d, *argv)
            contains(answer["reason"], "unless the router on the link of eth1 has a route to "
                     "192.0.2.77", "the reason")
            equal(step(answer, "source")["source"], "192.0.2.77", "what it appears as")


@case("errors, and an answer that can't be written")
def _():
    with Lan() as w:
        d = Daemon(w.router, BASIC).start()
        for argv, code in (((CLIENT4, SERVER6), 2),
                           ((CLIENT4, SERVER4, "--in", "eth9"), 1)):
            result = d.cli("explain", *argv, "--json")
            equal(result.returncode, code, "exit code")
            equal(list(json.loads(result.stdout)), ["error"], "what is on standard output")
        for more in ((), ("--json",)):
            command = " ".join((d.binary, "explain", *d.options(), CLIENT4, SERVER4, *more))
            equal(w.router.run("sh", "-c", command + " > /dev/full", check=False).returncode, 1,
                  "exit code")


@case("a route of the file that is not there would decide where no rule is asked before, and only there")
def _():
    with Lan() as w:
        w.serve(FAR4)
        w.router.sysctl("net.ipv4.ip_forward", 1)
        d = Daemon(w.router, "version: 1\nroutes:\n"
                   "  - {to: 198.51.100.0/24, via: 172.16.9.9}\n").start()

        def is_asked(where=None):
            answer = agree(d, w.client, CLIENT4, FAR4, where=where)
            return answer, "would decide" in words(answer)

        check(is_asked("route")[1], "with no other")
        w.router.ip_batch(["route add 198.51.100.0/24 via 192.0.2.2 dev eth1 table 77",
                           "rule add to 198.51.0.0/16 lookup 77 priority 100"])
        check(not is_asked()[1], "with a rule of others before it")
        w.router.ip("route replace unreachable 198.51.100.0/24 table 77")
        answer, asked = is_asked("route")
        check(not asked, "with one that leads nowhere")
        contains(answer["fix"], "or with a smaller metric in the file, with 'table: 77'", "what helps")
        w.router.ip_batch(["rule del priority 100", "rule add to 198.51.0.0/16 prohibit priority 100"])
        answer, asked = is_asked("route")
        check(not asked, "with one that prohibits")
        contains(answer["fix"], "a rule in the file with a 'priority' below 100 that leads it "
                 "elsewhere, or this one taken away: ip -4 rule del from all to 198.51.0.0/16 prohibit "
                 "priority 100",
                 "what helps")
        w.router.ip("rule del priority 100")
        # The file's own rule leads to its route, though neither is there.
        d.stop()
        d.write("version: 1\nroutes:\n  - {to: 198.51.100.0/24, via: 192.0.2.2, table: 100}\n"
                "rules:\n  - {from: 10.0.0.0/24, table: 100, priority: 1000}\n"
                "  - {from: 10.9.0.0/24, table: 101, priority: 1001}\n")
        answer = is_asked("route")[0]
        contains(words(answer), "The file's rule from 10.0.0.0/24 lookup 100 priority 1000 (%s:5) "
                 "would be asked before, but is not there." % d.config, "the rule")
        contains(words(answer), "198.51.100.0/24 via 192.0.2.2 table 100 (%s:3) would decide, but "
                 "is not there: the kernel does not have it, and no daemon runs" % d.config,
                 "the route")
        contains(answer["fix"], "which leads there: systemctl start netshared", "what helps")


main()
