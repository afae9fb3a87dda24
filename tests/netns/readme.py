# SPDX-License-Identifier: GPL-2.0-or-later
"""The two examples every user starts from, with packets, IPv4 and IPv6."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from tap import Skip, case, check, equal, main
from topology import (CLIENT4, CLIENT6, FAR4, FAR6, FAR_NET4, FAR_NET6, SERVER4, SERVER6, WAN4,
                      WAN6, Lan)
from traffic import ping, tcp_peer, udp_peer

README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../README.md")

# Sharing the Internet over Ethernet: the router has two cards, the client the router.
SHARE4 = """
version: 1
masquerade:
  - name: share
    out: [eth1]
"""
SHARE6 = """
version: 1
masquerade:
  - name: share
    family: ipv6
    out: [eth1]
"""
CLIENT_SIDE4 = "version: 1\nroutes:\n  - {to: default, via: 10.0.0.1, dev: eth0}\n"
CLIENT_SIDE6 = 'version: 1\nroutes:\n  - {to: default, via: "2001:db8:a::1", dev: eth0}\n'

# A home router behind a provider's box.
HOME4 = """
version: 1
routes:
  - to: default
    via: 192.168.1.1
share:
  - {name: home, lan: eth0, wan: eth1}
"""
HOME6 = """
version: 1
routes:
  - to: default
    family: ipv6
    via: fe80::1
    dev: eth1
share:
  - {name: home, lan: eth0, wan: eth1, ipv6: masquerade}
"""


def forward(ns, family, value):
    ns.sysctl("net.ipv4.ip_forward" if family == 4 else "net.ipv6.conf.all.forwarding", value)


def seen_from(w, address):
    check(ping(w.client, address), "no ping from the client to " + address)
    return udp_peer(w.client, address), tcp_peer(w.client, address)


def share(family, router_text, client_text, near, client, gateway, router):
    with Lan(client_default=False) as w:
        w.serve(near)
        check(not ping_at_once(w, near), "the client has a way without netshared")
        # The control: forwarding and the client's route by hand, and no masquerading.
        forward(w.router, family, 1)
        w.client.ip("-%d route add default via %s" % (family, gateway))
        equal(seen_from(w, near), (client, client), "without netshared the server sees")
        w.client.ip("-%d route del default via %s" % (family, gateway))
        forward(w.router, family, 0)
        on_router = Daemon(w.router, router_text).start()
        on_client = Daemon(w.client, client_text).start()
        equal(seen_from(w, near), (router, router), "the server sees")
        on_client.stop()
        on_router.stop()


def ping_at_once(w, address):
    return w.client.run("ping", "-n", "-q", "-c", "1", "-W", "1", address,
                        check=False).returncode == 0


@case("sharing the Internet over Ethernet, IPv4")
def _():
    share(4, SHARE4, CLIENT_SIDE4, SERVER4, CLIENT4, "10.0.0.1", WAN4)


@case("sharing the Internet over Ethernet, IPv6")
def _():
    share(6, SHARE6, CLIENT_SIDE6, SERVER6, CLIENT6, "2001:db8:a::1", WAN6)


def home(family, text, far, far_net, gateway, client, router):
    with Lan() as w:
        w.serve(far)
        w.router.ip("addr add 192.168.1.2/24 dev eth1")
        w.server.ip("addr add 192.168.1.1/24 dev eth0")
        w.server.ip("addr add fe80::1/64 dev eth0 nodad")
        forward(w.router, family, 1)
        w.router.ip("-%d route add %s via %s dev eth1" % (family, far_net, gateway))
        equal(seen_from(w, far), (client, client), "without netshared the server sees")
        w.router.ip("-%d route del %s via %s dev eth1" % (family, far_net, gateway))
        forward(w.router, family, 0)
        d = Daemon(w.router, text).start()
        equal(seen_from(w, far), (router, router), "the server sees")
        check(ping(w.router, far), "the router itself has no way")
        d.stop()


@case("a home router, IPv4")
def _():
    home(4, HOME4, FAR4, FAR_NET4, "192.168.1.1", CLIENT4, "192.168.1.2")


@case("a home router, IPv6")
def _():
    home(6, HOME6, FAR6, FAR_NET6, "fe80::1", CLIENT6, WAN6)


@case("every configuration shown in the README passes check")
def _():
    if not os.path.exists(README):
        raise Skip("there is no README.md")
    with open(README) as f:
        blocks = re.findall(r"^```yaml\n(.*?)^```", f.read(), re.M | re.S)
    check(blocks, "no yaml in the README")
    with Lan() as w:
        for block in blocks:
            d = Daemon(w.router, block)
            result = d.cli("check")
            equal(result.returncode, 0, "check of\n%s\nwhich said %s" % (block, result.stderr))


main()
