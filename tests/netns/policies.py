# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies of every kind, with packets."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import firewall
from daemon import Daemon
from tap import case, equal, main
from topology import CLIENT4, CLIENT6, SERVER4, SERVER6, WAN4, WAN6, Lan
from traffic import PORT, TcpEcho, tcp_peer, udp_peer

SHARE = "version: 1\nshare:\n  - {name: home, lan: eth0, wan: eth1, ipv6: %s}\n"


# Where forwarding is dropped by others. In nf_tables each chain decides for itself, and an accept
# of ours does not hold in theirs.
POLICIES = ("ACCEPT", "DROP") if firewall.NAME == "iptables" else ("ACCEPT",)


@case("a share lets the LAN out and nobody in, where FORWARD drops and where it does not")
def _():
    for policy in POLICIES:
        with Lan() as w:
            w.serve()
            TcpEcho(w.client, CLIENT4)
            TcpEcho(w.client, CLIENT6)
            w.router.iptables("-P FORWARD " + policy)
            w.router.iptables("-P FORWARD " + policy, family=6)
            d = Daemon(w.router, SHARE % "forward").start()
            equal((udp_peer(w.client, SERVER4), tcp_peer(w.client, SERVER4)), (WAN4, WAN4), "IPv4")
            equal((udp_peer(w.client, SERVER6), tcp_peer(w.client, SERVER6)),
                  (CLIENT6, CLIENT6), "IPv6")
            equal((tcp_peer(w.server, CLIENT4, timeout=0.5),
                   tcp_peer(w.server, CLIENT6, timeout=0.5)), (None, None), "from outside")
            d.stop()


@case("a share with allow-inbound and masqueraded IPv6")
def _():
    with Lan() as w:
        w.serve()
        TcpEcho(w.client, CLIENT4)
        d = Daemon(w.router, (SHARE % "masquerade").replace("ipv6", "allow-inbound: true, ipv6"))
        d.start()
        equal(tcp_peer(w.client, SERVER6), WAN6, "IPv6")
        equal(tcp_peer(w.server, CLIENT4), SERVER4, "from outside")
        d.stop()


def forward(to, public, inside, near, outside):
    with Lan() as w:
        TcpEcho(w.client, to, PORT + 1)
        w.router.iptables("-P FORWARD " + POLICIES[-1])
        w.router.iptables("-P FORWARD " + POLICIES[-1], family=6)
        d = Daemon(w.router, "version: 1\nport-forwards:\n"
                   "  - {name: web, in: eth1, protocol: tcp, port: 7000, to: \"%s\", to-port: %d,\n"
                   "     hairpin: true, hairpin-from: \"%s\"}\n" % (to, PORT + 1, inside)).start()
        equal(tcp_peer(w.server, public, 7000), outside, "from outside")
        equal(tcp_peer(w.client, public, 7000), near, "from inside")
        d.stop()


@case("a port-forward, from outside and from inside, IPv4")
def _():
    forward(CLIENT4, WAN4, "10.0.0.0/24", "10.0.0.1", SERVER4)


@case("a port-forward, from outside and from inside, IPv6")
def _():
    forward(CLIENT6, WAN6, "2001:db8:a::/64", "2001:db8:a::1", SERVER6)


@case("a network-map, both ways")
def _():
    with Lan() as w:
        w.serve()
        TcpEcho(w.client, CLIENT4)
        w.server.ip("route add 10.99.0.0/24 via 192.0.2.1")
        d = Daemon(w.router, "version: 1\nnetwork-map:\n  - {name: office, dev: eth1, "
                   "inside: 10.0.0.0/24, outside: 10.99.0.0/24}\n").start()
        equal(tcp_peer(w.client, SERVER4), "10.99.0.2", "from inside")
        equal(tcp_peer(w.server, "10.99.0.2"), SERVER4, "from outside")
        d.stop()


@case("masquerade by a set of prefixes, to a fixed address, for some ports only")
def _():
    with Lan() as w:
        w.serve()
        w.router.ip("addr add 192.0.2.9/24 dev eth1")
        prefixes = ", ".join(["10.0.0.0/24"] + ["10.%d.0.0/16" % n for n in range(1, 20)])
        d = Daemon(w.router, "version: 1\nmasquerade:\n  - {name: many, from: [%s], out: eth1,\n"
                   "     protocol: tcp, destination-port: [%d, 1-9], to-source: 192.0.2.9}\n"
                   % (prefixes, PORT)).start()
        equal(tcp_peer(w.client, SERVER4), "192.0.2.9", "what the policy is for")
        equal(udp_peer(w.client, SERVER4), CLIENT4, "another protocol")
        d.stop()


main()
