# SPDX-License-Identifier: GPL-2.0-or-later
"""explain: its verdict must be what a packet meets that is really sent."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import firewall
import rtnl
from daemon import Daemon
from explained import agree, doubted, said, step, stops, words
from netns import differences, wait_until
from tap import case, check, contains, equal, main
from topology import (BASIC, CLIENT4, CLIENT6, FAR4, FAR6, LAN4, MASQUERADE4, MASQUERADE6, SERVER4,
                      SERVER6, WAN4, WAN6, Lan)
from traffic import PORT, TcpEcho, UdpEcho, tcp_peer, udp_peer

SHARE = """version: 1
share:
  - {name: home, lan: eth0, wan: eth1%s}
"""
LEAVE = "version: 1\nsettings: {forwarding: leave}\n"


@case("a home router: the packet passes, and appears as the router")
def _():
    with Lan() as w:
        w.serve(FAR4, SERVER4)
        d = Daemon(w.router, BASIC).start()
        answer = agree(d, w.client, CLIENT4, FAR4)
        route = step(answer, "route")
        equal((route["file"], route["line"], route["table"], route["rule_priority"], route["out"],
               route["gateway"]), (d.config, 6, 254, 32766, "eth1", SERVER4), "the route")
        equal((step(answer, "source")["policy"], step(answer, "source")["line"]), ("lan-out", 8),
              "the policy")
        equal((step(answer, "arrival")["interface"], step(answer, "arrival")["assumed"]),
              ("eth0", True), "where it comes in")
        agree(d, w.client, CLIENT4, SERVER4, argv=("--in", "eth0"))
        contains(d.cli("explain", CLIENT4, FAR4).stdout, "It passes", "the text")
        # The server's own way to the LAN is not translated.
        UdpEcho(w.client, CLIENT4)
        answer = agree(d, w.server, SERVER4, CLIENT4)
        contains(words(answer), "No policy of the file changes its source", "the steps")


@case("forwarding is off")
def _():
    with Lan() as w:
        w.serve(SERVER4, SERVER6)
        w.router.sysctl("net.ipv4.ip_forward", 0)
        w.router.sysctl("net.ipv6.conf.all.forwarding", 0)
        d = Daemon(w.router, LEAVE + MASQUERADE4 + MASQUERADE6.replace("masquerade:\n", "").replace(
            "lan-out", "six")).start()
        for ns, source, target in ((w.client, CLIENT4, SERVER4), (w.client, CLIENT6, SERVER6)):
            answer = agree(d, ns, source, target, where="forwarding")
            contains(answer["fix"], "sysctl -w net.ipv", "what helps")
            for key in ("ip_forward" if ":" not in source else "conf.all.forwarding",):
                contains(answer["fix"], key, "what helps")
        w.router.sysctl("net.ipv4.ip_forward", 1)
        w.router.sysctl("net.ipv6.conf.all.forwarding", 1)
        agree(d, w.client, CLIENT4, SERVER4)
        agree(d, w.client, CLIENT6, SERVER6)
        w.router.sysctl("net.ipv4.conf.eth1.forwarding", 0)
        agree(d, w.client, CLIENT4, SERVER4, where="return")


@case("FORWARD of others drops it; with a share it passes")
def _():
    for drop in (("iptables-legacy", "-w", "-P", "FORWARD", "DROP"),
                 ("iptables-nft", "-P", "FORWARD", "DROP"),
                 ("nft", "table inet mine { chain passing { type filter hook forward priority 0; "
                  "iifname eth0 drop; }; }")):
        with Lan() as w:
            w.serve(SERVER4)
            w.router.run(*drop)
            d = Daemon(w.router, BASIC).start()
            answer = agree(d, w.client, CLIENT4, SERVER4, where="forwarding")
            contains(answer["reason"], "passing" if drop[0] == "nft" else "FORWARD", "the reason")
            contains(answer["fix"], "share", "what helps")
            # Only for those whom the policy is for, with the words of doctor.
            command = answer["fix"].split("run: ", 1)[1]
            contains(command, "10.0.0.0/24", "for whom")
            checks = json.loads(d.cli("doctor", "--json").stdout)["checks"]
            for finding in next(c for c in checks if c["name"] == "forward")["findings"]:
                contains(command, finding["command"], "what doctor says")
            d.reload(SHARE % "")
            agree(d, w.client, CLIENT4, SERVER4)
            # What helps does, if nobody keeps it so.
            d.reload(BASIC)
            agree(d, w.client, CLIENT4, SERVER4, where="forwarding")
            w.router.run("sh", "-c", answer["fix"].split("run: ", 1)[1])
            agree(d, w.client, CLIENT4, SERVER4)


@case("a rule of others about this very packet")
def _():
    with Lan() as w:
        w.serve(SERVER4)
        UdpEcho(w.server, SERVER4, PORT + 1)
        d = Daemon(w.router, BASIC).start()
        for rule in (("iptables-legacy", "-w", "-A", "FORWARD", "-s", CLIENT4, "-p", "udp", "--dport",
                      str(PORT), "-j", "DROP"),
                     ("nft", "table inet mine { chain passing { type filter hook forward priority "
                      "0; ip saddr %s udp dport %d drop; }; }" % (CLIENT4, PORT))):
            w.router.run(*rule)
            answer = agree(d, w.client, CLIENT4, SERVER4, where="forwarding")
            contains(answer["reason"], "-A FORWARD -s 10.0.0.2/32 -p udp" if rule[0] != "nft" else
                     "nftables chain inet mine passing drops what is forwarded so, by the rule "
                     "ip saddr 10.0.0.2 udp dport %d drop (chain passing" % PORT, "the reason")
            check("share" not in answer["fix"] and "run:" not in answer["fix"], answer["fix"])
            contains(answer["fix"], "if that is meant", "what helps")
            agree(d, w.client, CLIENT4, SERVER4, port=PORT + 1)
            w.router.iptables("-F FORWARD")


@case("our chain among others' is followed, not believed")
def _():
    for program in ("iptables-legacy", "iptables-nft"):
        with Lan() as w:
            w.serve(SERVER4)
            w.router.run(program, "-P", "FORWARD", "DROP")
            d = Daemon(w.router, SHARE % "").start()
            agree(d, w.client, CLIENT4, SERVER4)
            # What it does not accept is dropped behind it.
            UdpEcho(w.client, CLIENT4)
            d.reload("version: 1\nport-forwards:\n  - {name: web, in: eth1, protocol: udp, "
                     "port: 7000, to: %s, to-port: %d}\n" % (CLIENT4, PORT))
            agree(d, w.server, SERVER4, WAN4, port=7000)
            agree(d, w.server, SERVER4, CLIENT4, where="forwarding")
            d.stop()
            chain = "web" if (firewall.NAME, program) == ("iptables", "iptables-legacy") else "forward"
            w.router.run(program, "-F", "NETSHARED-" + chain)
            answer = agree(d, w.server, SERVER4, WAN4, port=7000, where="forwarding")
            contains(answer["reason"], "by its policy", "the reason")


@case("only the answers are dropped")
def _():
    with Lan() as w:
        w.serve(SERVER4)
        w.router.iptables("-A FORWARD -i eth0 -j ACCEPT")
        w.router.iptables("-P FORWARD DROP")
        d = Daemon(w.router, BASIC).start()
        agree(d, w.client, CLIENT4, SERVER4, where="return")


@case("a share drops what comes in; isolate and allow-inbound")
def _():
    with Lan() as w:
        UdpEcho(w.client, CLIENT4)
        d = Daemon(w.router, SHARE % "").start()
        answer = agree(d, w.server, SERVER4, CLIENT4, where="forwarding")
        contains(answer["reason"], "share home", "the reason")
        contains(answer["fix"], "'allow-inbound: true' in share home (%s:3)" % d.config, "the fix")
        d.reload(SHARE % ", allow-inbound: true")
        agree(d, w.server, SERVER4, CLIENT4)
        # LAN and WAN are the wrong way round, by the addresses, or by the default route.
        w.serve(SERVER4)
        d.reload((SHARE % "").replace("eth0", "eth2").replace("eth1", "eth0").replace("eth2", "eth1"))
        for _ in range(2):
            answer = agree(d, w.client, CLIENT4, SERVER4, where="forwarding")
            contains(answer["fix"], "'lan' and 'wan' the other way round in share home (%s:3): it "
                     "calls eth0 its WAN and eth1 a LAN" % d.config, "the fix")
            w.router.ip("route replace default via 192.0.2.2 dev eth1")


@case("an exception of a policy, and the policy behind it")
def _():
    with Lan() as w:
        w.serve(SERVER4, FAR4)
        d = Daemon(w.router, BASIC + "    except-to: [192.0.2.0/24]\n").start()
        answer = agree(d, w.client, CLIENT4, SERVER4)
        contains(words(answer), "exempts it (except-to: 192.0.2.0/24)", "the steps")
        agree(d, w.client, CLIENT4, FAR4)
        d.reload(BASIC + "    except-to: [192.0.2.0/24]\n"
                 "  - {name: other, out: [eth1], to-source: 192.0.2.77}\n")
        w.router.ip("addr add 192.0.2.77/32 dev eth1")
        answer = agree(d, w.client, CLIENT4, SERVER4)
        equal(step(answer, "source")["policy"], "other", "who takes it")


@case("a source that nobody on the link is told of, or that must be routed here")
def _():
    with Lan() as w:
        w.serve(SERVER4, SERVER6)
        text = "version: 1\nmasquerade:\n  - {name: own, out: [eth1], to-source: '%s'}\n"
        d = Daemon(w.router, text % "192.0.2.77").start()
        answer = agree(d, w.client, CLIENT4, SERVER4, where="return")
        contains(answer["reason"], "nobody on the link of eth1 is told that 192.0.2.77 is here",
                 "the reason")
        command = answer["fix"].split("run: ", 1)[1].split(";")[0]
        equal(command, "ip addr add 192.0.2.77/32 dev eth1", "what helps")
        w.router.run("sh", "-c", command)
        equal(agree(d, w.client, CLIENT4, SERVER4)["notes"], [], "what is noted")
        w.router.ip("addr del 192.0.2.77/32 dev eth1")
        d.reload(text % "192.0.2.77" + "routes:\n  - {to: 192.0.2.77, type: local, dev: lo}\n")
        agree(d, w.client, CLIENT4, SERVER4)
        # That it is routed here nobody can see from here.
        w.server.ip("route add 203.0.113.5/32 via 192.0.2.1")
        d.reload(text % "203.0.113.5")
        answer = agree(d, w.client, CLIENT4, SERVER4)
        contains(answer["notes"][0], "203.0.113.5 is in no subnet of eth1: answers come back only "
                 "if whoever gives them has a route to it by this machine", "what is noted")
        d.reload(text % "2001:db8:b::77")
        answer = agree(d, w.client, CLIENT6, SERVER6, where="return")
        w.router.run("sh", "-c", answer["fix"].split("or: ", 1)[1].split(";")[0])
        agree(d, w.client, CLIENT6, SERVER6)
        # The same of what is to be reached from outside.
        UdpEcho(w.client, CLIENT4)
        text = ("version: 1\nnetwork-map:\n  - {name: map, dev: eth1, inside: 10.0.0.0/28, "
                "outside: 192.0.2.128/28}\n")
        d.reload(text)
        answer = agree(d, w.server, SERVER4, "192.0.2.130", where="arrival")
        contains(answer["reason"], "the packet does not come here", "the reason")
        agree(d, w.client, CLIENT4, SERVER4, where="return")
        d.reload(text + "routes:\n  - {to: 192.0.2.128/28, type: local, dev: lo}\n")
        agree(d, w.server, SERVER4, "192.0.2.130")
        agree(d, w.client, CLIENT4, SERVER4)


@case("a rule of others that translates before the file's policy")
def _():
    with Lan() as w:
        w.serve(SERVER4)
        w.server.ip("route add 192.0.2.88/32 via 192.0.2.1 dev eth0")
        d = Daemon(w.router, BASIC).start()
        firewall.of(w.router).foreign_source("192.0.2.88")
        seen = udp_peer(w.client, SERVER4)
        equal(seen, "192.0.2.88", "who takes it")
        source = step(said(d, CLIENT4, SERVER4, "--protocol", "udp", "--port", str(PORT)), "source")
        contains(source["ahead"], "192.0.2.88", "the rule of others")
        check(source["source"] in (seen, None), "what it appears as: %s" % source)
        # Packets that it is not about are the policy's.
        w.router.ip("addr add 203.0.113.1/24 dev eth0")
        check("ahead" not in step(said(d, CLIENT4, "10.0.0.77"), "source"), "another interface")


@case("lists that are sets, protocols and ports")
def _():
    with Lan() as w:
        w.serve(SERVER4)
        TcpEcho(w.server, SERVER4, PORT + 1)
        UdpEcho(w.server, SERVER4, PORT + 2)
        others = ", ".join("10.%d.0.0/16" % i for i in range(1, 20))
        d = Daemon(w.router, """version: 1
masquerade:
  - {name: set, from: [%s, 10.0.0.2/31], out: [eth1], protocol: udp, destination-port: [%d]}
  - {name: rest, from: [%s], out: [eth1]}
""" % (others, PORT, others)).start()
        equal(step(agree(d, w.client, CLIENT4, SERVER4), "source")["policy"], "set", "who takes it")
        answer = agree(d, w.client, CLIENT4, SERVER4, port=PORT + 2)
        check("policy" not in step(answer, "source"), "another port is not taken")
        equal(tcp_peer(w.client, SERVER4, PORT + 1), CLIENT4, "another protocol")
        answer = said(d, CLIENT4, SERVER4, "--protocol", "tcp", "--port", str(PORT + 1))
        equal(step(answer, "source")["source"], CLIENT4, "another protocol, as explained")


@case("a port-forward, from outside and from inside")
def _():
    with Lan() as w:
        UdpEcho(w.client, CLIENT4)
        w.router.run("iptables-legacy", "-w", "-P", "FORWARD", "DROP")
        d = Daemon(w.router, """version: 1
port-forwards:
  - {name: web, in: eth1, protocol: udp, port: 7000, to: %s, to-port: %d}
""" % (CLIENT4, PORT)).start()
        answer = agree(d, w.server, SERVER4, WAN4, port=7000)
        there = step(answer, "destination")
        equal((there["policy"], there["destination"], there["destination_port"], there["line"]),
              ("web", CLIENT4, PORT, 3), "where it is led")
        # Another port ends at the router itself, where nobody listens, or somebody does.
        answer = agree(d, w.server, SERVER4, WAN4, port=7001, where="forwarding")
        contains(words(answer), "is this machine itself", "another port")
        contains(answer["reason"], "nobody listens on UDP port 7001", "the reason")
        for address in (WAN4, "0.0.0.0"):
            heard = UdpEcho(w.router, address, 7001)
            agree(d, w.server, SERVER4, WAN4, port=7001)
            heard.stop()


def second_host(w):
    """One more machine on the LAN, 10.0.0.3; the client's link to it and to the router is br0."""
    web = w.ns("web")
    w.veth(w.client, "eth9", web, "eth0")
    w.client.ip_batch(["link add br0 type bridge", "link set br0 up", "addr flush dev eth0 scope global",
                       "link set eth0 master br0", "link set eth9 master br0",
                       "addr add 10.0.0.2/24 dev br0", "route add default via 10.0.0.1"])
    web.ip_batch(["addr add 10.0.0.3/24 dev eth0", "route add default via 10.0.0.1"])
    UdpEcho(web, "10.0.0.3")


@case("a port-forward, asked by who stands beside the server")
def _():
    with Lan() as w:
        second_host(w)
        text = ("version: 1\nport-forwards:\n  - {name: web, in: %%s, protocol: udp, port: 7000, "
                "to: 10.0.0.3, to-port: %d%%s}\n" % PORT)
        d = Daemon(w.router, text % ("eth1", "")).start()
        place = "port-forward web (%s:3)" % d.config
        # It is not for what comes in there.
        answer = agree(d, w.client, CLIENT4, WAN4, port=7000, where="forwarding")
        contains(words(answer), place + " does not apply: it is for what comes in by eth1, and this "
                 "comes in by eth0.", "the steps")
        equal(answer["fix"], "'hairpin: true' in " + place, "what helps")
        answer = agree(d, w.client, CLIENT4, LAN4, port=7000, where="forwarding")
        contains(answer["fix"], "ask 10.0.0.3 port %d itself" % PORT, "what helps")
        agree(d, w.server, SERVER4, WAN4, port=7000)
        # It is, but the server answers past the router.
        d.reload(text % ("[eth0, eth1]", ""))
        answer = agree(d, w.client, CLIENT4, WAN4, port=7000, where="return")
        contains(answer["reason"], "10.0.0.3 answers 10.0.0.2 directly", "the reason")
        equal(answer["fix"], "'hairpin: true' in " + place, "what helps")
        d.reload(text % ("eth1", ", hairpin: true, hairpin-from: 10.0.0.128/25"))
        answer = agree(d, w.client, CLIENT4, WAN4, port=7000, where="forwarding")
        equal(answer["fix"], "10.0.0.2 among 'hairpin-from' in " + place, "what helps")
        d.reload(text % ("eth1", ", hairpin: true"))
        agree(d, w.client, CLIENT4, WAN4, port=7000)
        # Or it is not for the asker.
        d.reload(text % ("eth1", ", from: 203.0.113.0/24"))
        answer = agree(d, w.server, SERVER4, WAN4, port=7000, where="forwarding")
        contains(words(answer), place + " does not apply: it is not for what comes from 192.0.2.2",
                 "the steps")
        # Neither comes it in there, nor is the asker one of those; 'from' does not bind a hairpin.
        answer = agree(d, w.client, CLIENT4, WAN4, port=7000, where="forwarding")
        contains(words(answer), place + " does not apply: it is for what comes in by eth1, and this "
                 "comes in by eth0.", "the steps")
        equal(answer["fix"], "'hairpin: true' in " + place, "what helps")
        d.reload(text % ("eth1", ", from: 203.0.113.0/24, hairpin: true"))
        agree(d, w.client, CLIENT4, WAN4, port=7000)


@case("no route, and routes that lead nowhere")
def _():
    with Lan() as w:
        w.serve(FAR4, FAR6)
        w.router.sysctl("net.ipv4.ip_forward", 1)
        w.router.sysctl("net.ipv6.conf.all.forwarding", 1)
        d = Daemon(w.router, "version: 1\n").start()
        answer = agree(d, w.client, CLIENT4, FAR4, where="route")
        contains(answer["reason"], "no route", "the reason")
        contains(answer["fix"], "a default route, by DHCP or in the file: {to: default, via: GATEWAY}",
                 "what helps, more than one address")
        contains(agree(d, w.client, CLIENT4, "172.16.9.9", where="route")["fix"],
                 "a route to 172.16.9.9 in the file", "what helps to a private one")
        agree(d, w.client, CLIENT6, FAR6, where="route")
        # Its link was switched off, and the gateway is nobody.
        w.router.ip("link set eth1 down")
        answer = agree(d, w.client, CLIENT4, SERVER4, where="route")
        equal(answer["fix"], "run: ip link set eth1 up", "what helps")
        w.router.run("sh", "-c", answer["fix"].split("run: ", 1)[1])
        w.router.ip("route add 198.51.100.0/24 via 192.0.2.99 dev eth1")
        answer = agree(d, w.client, CLIENT4, FAR4, where="route")
        contains(answer["reason"], "the gateway 192.0.2.99 does not answer on the link of eth1",
                 "the reason")
        w.router.ip("route del 198.51.100.0/24")
        # What is for all of a link, or for who joined it, is not forwarded.
        for target, what in (("10.0.0.255", "a broadcast address"), ("224.0.0.251", "multicast")):
            contains(words(said(d, CLIENT4, target)), what, "the steps")
        w.router.sysctl("net.ipv6.icmp.echo_ignore_all", 1)
        contains(said(d, CLIENT6, "2001:db8:a::", "--in", "eth0")["reason"],
                 "does not answer ping (net/ipv6/icmp/echo_ignore_all)", "the reason")
        w.router.sysctl("net.ipv6.icmp.echo_ignore_all", 0)
        equal(stops(said(d, "127.0.0.1", SERVER4, "--in", "eth0")), "arrival", "a loopback source")
        for kind in ("blackhole", "unreachable", "prohibit"):
            d.reload("version: 1\nroutes:\n  - {to: 198.51.100.0/24, type: %s}\n"
                     "  - {to: '2001:db8:c::/48', type: %s}\n" % (kind, kind))
            answer = agree(d, w.client, CLIENT4, FAR4, where="route")
            contains(answer["reason"], "%s 198.51.100.0/24" % kind, "the reason")
            contains(answer["reason"], d.config + ":3", "the reason")
            agree(d, w.client, CLIENT6, FAR6, where="route")


@case("a route of the file that is not there is told of, with the reason")
def _():
    with Lan() as w:
        w.serve(FAR4)
        w.router.sysctl("net.ipv4.ip_forward", 1)
        d = Daemon(w.router, "version: 1\nroutes:\n"
                   "  - {to: 198.51.100.0/24, via: 172.16.9.9}\n").start()
        answer = agree(d, w.client, CLIENT4, FAR4, where="route")
        contains(words(answer), "The file's route 198.51.100.0/24 via 172.16.9.9 (%s:3) would "
                 "decide, but is not there: " % d.config, "the steps")
        contains(answer["fix"], "the file's route 198.51.100.0/24 (%s:3), which leads there: "
                 "netshared status" % d.config, "what helps")
        w.router.ip("route add 198.51.0.0/16 via 192.0.2.2 dev eth1 proto static")
        answer = agree(d, w.client, CLIENT4, FAR4)
        contains(words(answer), "would decide", "the steps, with a worse one of others")
        contains(words(answer), "198.51.0.0/16 via 192.0.2.2 dev eth1 (static)", "who wrote it")
        # One of others that has its very key.
        w.router.ip("route add 198.51.100.0/24 via 192.0.2.2 dev eth1")
        d.reload("version: 1\nroutes:\n  - {to: 198.51.100.0/24, via: 192.0.2.77}\n")
        answer = agree(d, w.client, CLIENT4, FAR4)
        contains(words(answer), "The file's route 198.51.100.0/24 via 192.0.2.77 (%s:3) would "
                 "decide, but is not there: another's stands in its place: 198.51.100.0/24 via "
                 "192.0.2.2 dev eth1" % d.config, "the steps, with its place taken")
        d.stop()
        contains(words(said(d, CLIENT4, FAR4)), "is not there: another's stands in its place: "
                 "198.51.100.0/24 via 192.0.2.2 dev eth1", "the steps, without a daemon")


@case("a strict reverse-path filter, on the way there and back")
def _():
    with Lan() as w:
        w.serve(SERVER4)
        d = Daemon(w.router, BASIC).start()
        stub = w.router.stub("eth7")
        w.router.ip_batch(["addr add 172.16.7.1/24 dev eth7",
                           "route add 10.0.0.2/32 via 172.16.7.2 dev eth7"])
        for all_, device, where in ((0, 1, "arrival"), (1, 0, "arrival"), (0, 0, "return"),
                                    (2, 0, "return"), (1, 2, "return")):
            w.router.sysctl("net.ipv4.conf.all.rp_filter", all_)
            w.router.sysctl("net.ipv4.conf.eth0.rp_filter", device)
            w.router.sysctl("net.ipv4.conf.eth1.rp_filter", 0)
            seen = udp_peer(w.client, SERVER4, timeout=0.4)
            equal(seen, None, "no answer comes back")
            argv = (CLIENT4, SERVER4, "--in", "eth0", "--protocol", "udp", "--port", str(PORT))
            if where == "arrival":
                answer = said(d, *argv)
                equal(stops(answer), "arrival", "where it stops: " + words(answer))
                contains(answer["fix"], "net/ipv4/conf/eth0/rp_filter=2", "what helps")
            else:
                answer = doubted(d, *argv)
                equal(step(answer, "return").get("out"), "eth7", "where the answer goes")
                contains(answer["reason"], "the answers leave by eth7", "what is not certain")
        del stub


@case("policy routing: the rule that decides, and a mark")
def _():
    with Lan() as w:
        w.serve(SERVER4, FAR4)
        d = Daemon(w.router, """version: 1
routes:
  - {to: default, via: 192.0.2.2, dev: eth1, table: 100}
rules:
  - {from: 10.0.0.0/24, table: 100, priority: 1000}
  - {mark: 7, action: prohibit, priority: 900, family: ipv4}
""" + MASQUERADE4).start()
        answer = agree(d, w.client, CLIENT4, FAR4)
        route = step(answer, "route")
        equal((route["rule_priority"], route["table"], route["line"]), (1000, 100, 3), "the rule")
        contains(words(answer), "%s:5" % d.config, "its place")
        answer = said(d, CLIENT4, FAR4, "--mark", "0x7")
        equal(stops(answer), "route", "a mark")
        contains(answer["reason"], "%s:6" % d.config, "the reason")
        w.router.iptables("-t mangle -A PREROUTING -j MARK --set-mark 7")
        equal(udp_peer(w.client, FAR4, timeout=0.4), None, "a marked packet")
        w.router.iptables("-t mangle -F PREROUTING")
        d.reload("version: 1\n" + MASQUERADE4)
        agree(d, w.client, CLIENT4, FAR4, where="route")


@case("IPv6: masqueraded, and not")
def _():
    with Lan() as w:
        w.serve(SERVER6, FAR6)
        d = Daemon(w.router, "version: 1\nroutes:\n"
                   "  - {to: '2001:db8:c::/48', via: '2001:db8:b::2'}\n" + MASQUERADE6).start()
        answer = agree(d, w.client, CLIENT6, FAR6)
        equal(step(answer, "source")["source"], WAN6, "what it appears as")
        d.reload(SHARE % "")
        answer = agree(d, w.client, CLIENT6, SERVER6)
        equal(step(answer, "source")["source"], CLIENT6, "what it appears as")


@case("a policy that is not in force is told of")
def _():
    with Lan() as w:
        w.serve(SERVER4)
        d = Daemon(w.router, BASIC).start()
        d.stop()
        answer = agree(d, w.client, CLIENT4, SERVER4)
        equal(step(answer, "source")["source"], WAN4, "without a daemon")
        w.router.ip("route del 198.51.100.0/24")
        answer = agree(d, w.client, CLIENT4, FAR4, where="route")
        equal(answer["fix"], "the file's route 198.51.100.0/24 (%s:6), which leads there: systemctl "
              "start netshared" % d.config, "what helps")
        if firewall.NAME == "iptables":
            w.router.iptables("-t nat -F")
        else:
            w.router.run("nft", "flush table ip netshared")
        answer = agree(d, w.client, CLIENT4, SERVER4)
        contains(words(answer), "lan-out (%s:8) would take it, but is not in force: " % d.config,
                 "the steps")


@case("while a daemon runs it is about what is in force, whatever became of the file")
def _():
    with Lan() as w:
        w.serve(SERVER4, FAR4)
        d = Daemon(w.router, BASIC).start()
        equal(said(d, CLIENT4, FAR4)["notes"], [], "what is noted of an unchanged file")
        d.write("version: 1\n")
        answer = agree(d, w.client, CLIENT4, FAR4)
        equal(step(answer, "source")["policy"], "lan-out", "what is in force")
        contains(answer["notes"], d.config + " says something else: this is about what is in "
                 "force; 'netshared reload' puts the file in force", "what is noted")
        d.write("version: 1\nroutes:\n  - {too: default}\n")
        answer = agree(d, w.client, CLIENT4, FAR4)
        contains(answer["notes"][0], "has an error and is not in force (%s:3: " % d.config,
                 "what is noted of a bad one")
        contains(d.cli("explain", CLIENT4, FAR4).stdout, "\n  note: " + d.config, "the text")
        # By another name it is the same file.
        link = os.path.join(d.base, "link.yaml")
        os.symlink(d.config, link)
        result = w.router.run(d.binary, "explain", "--runtime-directory", d.runtime, "--config",
                              link, "--state-directory", d.state, CLIENT4, FAR4)
        contains(result.stdout, "lan-out", "what is in force, by another name")
        check("this is about %s;" % link not in result.stdout, "it is another: " + result.stdout)
        # A file that no daemon has is judged by itself.
        other = d.write("version: 1\n" + MASQUERADE4.replace("lan-out", "next"), "other.yaml")
        result = w.router.run(d.binary, "explain", "--runtime-directory", d.runtime, "--config",
                              other, CLIENT4, SERVER4)
        contains(result.stdout, "next (%s:" % other, "which one it is about")
        contains(result.stdout, "note: this is about %s; the daemon that runs has %s" %
                 (other, d.config), "what is noted of another")
        # What is on trial is in force.
        tried = d.write(BASIC.replace("lan-out", "tried"), "tried.yaml")
        d.cli("try", tried, "--timeout", "1h", check=True)
        answer = agree(d, w.client, CLIENT4, FAR4)
        equal(step(answer, "source")["policy"], "tried", "what is on trial")
        d.stop()
        equal(d.cli("explain", CLIENT4, FAR4).returncode, 1, "a bad file and no daemon")


@case("this machine's own packets, and those for it")
def _():
    with Lan() as w:
        w.serve(SERVER4, FAR4)
        d = Daemon(w.router, BASIC.replace("from: [10.0.0.0/24]\n    ", "")).start()
        answer = agree(d, w.router, WAN4, SERVER4)
        contains(words(answer), "this machine's own", "the steps")
        UdpEcho(w.router, LAN4)
        answer = agree(d, w.client, CLIENT4, LAN4)
        contains(words(answer), "is this machine itself", "the steps")


@case("a policy whose condition is not met is not in force, and what helps says so")
def _():
    with Lan() as w:
        w.serve(SERVER4)
        when = "10.0.0.254 is not an address of this machine"
        d = Daemon(w.router, "version: 1\nshare:\n  - {name: home, lan: eth0, wan: eth1, when: "
                   "{address: 10.0.0.254}}\n").start()
        place = "share home (%s:3)" % d.config
        answer = agree(d, w.client, CLIENT4, SERVER4, where="forwarding")
        contains(words(answer), place + " would switch it on, but is not in force: " + when,
                 "the steps")
        contains(answer["reason"], "as %s is on standby: %s" % (place, when), "the reason")
        equal(answer["fix"], "the condition of %s, which is not met: %s" % (place, when),
              "what helps, which is no switch")
        w.router.sysctl("net.ipv4.ip_forward", 1)
        w.router.run("iptables-legacy", "-w", "-P", "FORWARD", "DROP")
        answer = agree(d, w.client, CLIENT4, SERVER4, where="forwarding")
        contains(words(answer), place + " would let it through, but is not in force: " + when,
                 "the steps")
        contains(answer["fix"], "would let it through: it waits for its condition: " + when,
                 "what helps")
        d.stop()
        # A share leaves IPv6 as it is but where it says otherwise.
        d.write(SHARE % "")
        w.router.ip("-6 addr add fd00:1::1/64 dev eth0 nodad")
        w.router.run("iptables-legacy", "-w", "-P", "FORWARD", "ACCEPT")
        d.start()
        contains(said(d, "fd00:1::2", SERVER6)["notes"][0], "'ipv6: masquerade' in share home", "the note")
        d.reload(SHARE % ", ipv6: masquerade")
        equal(said(d, "fd00:1::2", SERVER6)["notes"], [], "what is noted then")


@case("it writes nothing, and needs no root")
def _():
    with Lan() as w:
        d = Daemon(w.router, BASIC)
        monitor = rtnl.Monitor(w.router)
        before = w.router.snapshot()
        tables = w.router.tables_in_use()
        for argv in ((CLIENT4, FAR4), (CLIENT6, SERVER6), (CLIENT4, SERVER4, "--port", "443")):
            said(d, *argv)
        equal(w.router.tables_in_use(), tables, "tables that exist")
        equal(differences(before, w.router.snapshot()), "", "what has changed")
        equal(monitor.take(), [], "what was told of")
        os.chmod(d.base, 0o755)
        os.chmod(w.directory, 0o755)
        w.router.sysctl("net.ipv4.ip_forward", 1)
        w.router.run("nft", "add table ip mine")
        result = w.router.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                              d.binary, "explain", *d.options(), CLIENT4, SERVER4, check=False)
        equal(result.returncode, 1, "without root: " + result.stderr)
        contains(result.stdout, "It leaves by eth1", "without root")
        contains(result.stdout, "can't be seen", "without root")
        contains(result.stdout, "rules of others can't be read, and may drop it", "without root")
        contains(result.stdout, "they are told of as if all were", "without root")
        # A member of the daemon's group hears from it which policies are in force.
        d.write("version: 1\nmasquerade:\n  - {name: lan-out, out: [eth1], when: {dev-up: eth9}}\n")
        os.makedirs(d.runtime, exist_ok=True)
        os.chown(d.runtime, 0, 65534)
        os.chmod(d.runtime, 0o750)
        daemon = w.router.popen(["setpriv", "--regid=65534", "--clear-groups", d.binary, "run",
                                 *d.options()])
        wait_until(lambda: d.cli("status").returncode == 0, "the daemon runs")
        result = w.router.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                              d.binary, "explain", *d.options(), CLIENT4, SERVER4, check=False)
        daemon.terminate()
        daemon.wait(20)
        contains(result.stdout, "what the daemon says of them is believed", "in the group")
        contains(result.stdout, "lan-out (%s:3) would take it, but is not in force: " % d.config,
                 "in the group")


@case("words that make no packet")
def _():
    with Lan() as w:
        d = Daemon(w.router, BASIC)
        for argv in ((CLIENT4,), (CLIENT4, SERVER6), (CLIENT4, "host"),
                     (CLIENT4, SERVER4, "--protocol", "sctp"), (CLIENT4, SERVER4, "--port", "0"),
                     (CLIENT4, SERVER4, "--protocol", "icmp", "--port", "1"),
                     (CLIENT4, SERVER4, "--mark", "x")):
            equal(d.cli("explain", *argv).returncode, 2, "exit code of " + " ".join(argv))
        equal(d.cli("explain", CLIENT4, SERVER4, "--in", "eth9").returncode, 1, "no such interface")
        equal(d.cli("explain", "203.0.113.9", SERVER4).returncode, 1, "from where?")


main()
