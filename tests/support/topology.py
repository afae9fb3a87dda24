# SPDX-License-Identifier: GPL-2.0-or-later
"""The network most tests use:

    client eth0 ------- eth0 router eth1 ------- eth0 server
      10.0.0.2    LAN   10.0.0.1   192.0.2.1  WAN  192.0.2.2, beyond it 198.51.100.1
      2001:db8:a::2   ::1      2001:db8:b::1       ::2,       beyond it 2001:db8:c::1

The server knows the way back to the LAN. So without masquerading it sees the client's own address,
and with it the router's: two answers to tell apart, and no time-out to wait for.
"""

from netns import World, wait_until
from traffic import TcpEcho, UdpEcho

CLIENT4, CLIENT6 = "10.0.0.2", "2001:db8:a::2"
LAN4, LAN6 = "10.0.0.1", "2001:db8:a::1"
WAN4, WAN6 = "192.0.2.1", "2001:db8:b::1"
SERVER4, SERVER6 = "192.0.2.2", "2001:db8:b::2"
FAR4, FAR6 = "198.51.100.1", "2001:db8:c::1"
FAR_NET4, FAR_NET6 = "198.51.100.0/24", "2001:db8:c::/48"

MASQUERADE4 = """
masquerade:
  - name: lan-out
    from: [10.0.0.0/24]
    out: [eth1]
"""
MASQUERADE6 = """
masquerade:
  - name: lan-out
    from: ["2001:db8:a::/64"]
    out: [eth1]
"""
# One route and one policy: what most tests break.
BASIC = """
version: 1
settings:
  resync: 1h
routes:
  - {to: 198.51.100.0/24, via: 192.0.2.2, dev: eth1}
masquerade:
  - name: lan-out
    from: [10.0.0.0/24]
    out: [eth1]
"""
BASIC_ROUTE = "198.51.100.0/24 via 192.0.2.2 dev eth1"
BASIC6 = """
version: 1
settings:
  resync: 1h
routes:
  - {to: "2001:db8:c::/48", via: "2001:db8:b::2", dev: eth1}
masquerade:
  - name: lan-out
    from: ["2001:db8:a::/64"]
    out: [eth1]
"""
BASIC6_ROUTE = "2001:db8:c::/48 via 2001:db8:b::2 dev eth1"


class Lan(World):
    def __init__(self, client_default=True):
        super().__init__()
        try:
            self._build(client_default)
        except BaseException:
            self.close()
            raise

    def _build(self, client_default):
        self.client, self.router, self.server = (self.ns(n) for n in ("client", "router", "server"))
        self.veth(self.client, "eth0", self.router, "eth0")
        self.veth(self.router, "eth1", self.server, "eth0")
        self.client.ip_batch(["addr add 10.0.0.2/24 dev eth0",
                              "addr add 2001:db8:a::2/64 dev eth0 nodad"] + (
            ["route add default via 10.0.0.1", "route add default via 2001:db8:a::1"]
            if client_default else []))
        self.router.ip_batch(["addr add 10.0.0.1/24 dev eth0",
                              "addr add 2001:db8:a::1/64 dev eth0 nodad",
                              "addr add 192.0.2.1/24 dev eth1",
                              "addr add 2001:db8:b::1/64 dev eth1 nodad"])
        self.server.ip_batch(["addr add 192.0.2.2/24 dev eth0",
                              "addr add 2001:db8:b::2/64 dev eth0 nodad",
                              "addr add 198.51.100.1/32 dev lo",
                              "addr add 2001:db8:c::1/128 dev lo nodad",
                              "route add 10.0.0.0/24 via 192.0.2.1",
                              "route add 2001:db8:a::/64 via 2001:db8:b::1"])
        wait_until(lambda: all(map(self.router.settled, ("eth0", "eth1"))), "all has settled")

    def serve(self, *addresses):
        """UDP and TCP servers at these addresses of the server; at the near ones if none."""
        for address in addresses or (SERVER4, SERVER6):
            UdpEcho(self.server, address)
            TcpEcho(self.server, address)

    def no_way_back(self, family=4):
        """From now on the far server can't answer a private address, as on the Internet.

        Before, it can: the control.
        """
        far, lan = (FAR4, "10.0.0.0/24") if family == 4 else (FAR6, "2001:db8:a::/64")
        self.server.ip("-%d rule add from %s to %s priority 10 unreachable" % (family, far, lan))


class Router(World):
    """A router and its WAN alone, for what needs no packets."""

    def __init__(self):
        super().__init__()
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self):
        self.router, self.peer = self.ns("router"), self.ns("peer")
        self.veth(self.router, "eth0", self.peer, "eth0")
        self.veth(self.router, "eth1", self.peer, "eth1")
        self.addresses()
        wait_until(lambda: all(map(self.router.settled, ("eth0", "eth1"))), "all has settled")

    def addresses(self):
        self.router.ip_batch(["addr replace 10.0.0.1/24 dev eth0",
                              "addr replace 2001:db8:a::1/64 dev eth0 nodad",
                              "addr replace 192.0.2.1/24 dev eth1",
                              "addr replace 2001:db8:b::1/64 dev eth1 nodad"])


class Uplinks(World):
    """Two ways to one server, which sees by which one it is asked:

        client ---- eth0 router eth1 ---- gw1 ---- far1 ---- server
                                eth2 ---- gw2 ---- far2 ----
           10.0.0.2        192.0.2.1, .2 at gw1              198.51.100.1
                         203.0.113.1, .2 at gw2              2001:db8:c::1
           2001:db8:a::2    2001:db8:1::1, 2001:db8:2::1, each with ::2 at its gw

    A way dies at far1 or far2, with all links and the gateway's answers as they were.
    """

    UPLINKS = {1: ("192.0.2.1", "2001:db8:1::1"), 2: ("203.0.113.1", "2001:db8:2::1")}

    def __init__(self):
        super().__init__()
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self):
        self.client, self.router, self.server = (self.ns(n) for n in ("client", "router", "server"))
        self.gw, self.far = {}, {}
        self.veth(self.client, "eth0", self.router, "eth0")
        self.client.ip_batch(["addr add 10.0.0.2/24 dev eth0",
                              "addr add 2001:db8:a::2/64 dev eth0 nodad",
                              "route add default via 10.0.0.1",
                              "route add default via 2001:db8:a::1"])
        self.router.ip_batch(["addr add 10.0.0.1/24 dev eth0",
                              "addr add 2001:db8:a::1/64 dev eth0 nodad"])
        self.server.ip_batch(["addr add 198.51.100.1/32 dev lo",
                              "addr add 2001:db8:c::1/128 dev lo nodad"])
        for number, net in ((1, "192.0.2"), (2, "203.0.113")):
            self._uplink(number, net)
        wait_until(lambda: all(map(self.router.settled, ("eth0", "eth1", "eth2"))), "all settled")

    def _uplink(self, n, net):
        gw, far = self.gw[n], self.far[n] = self.ns("gw%d" % n), self.ns("far%d" % n)
        for ns in (gw, far):
            self.pass_packets(ns, True)
        self.veth(self.router, "eth%d" % n, gw, "eth0")
        self.veth(gw, "eth1", far, "eth0")
        self.veth(far, "eth1", self.server, "eth%d" % n)
        self.router.ip_batch(["addr add %s.1/24 dev eth%d" % (net, n),
                              "addr add 2001:db8:%d::1/64 dev eth%d nodad" % (n, n)])
        gw.ip_batch(["addr add %s.2/24 dev eth0" % net,
                     "addr add 2001:db8:%d::2/64 dev eth0 nodad" % n,
                     "addr add 172.16.%d.1/24 dev eth1" % n,
                     "addr add 2001:db8:10%d::1/64 dev eth1 nodad" % n,
                     "route add default via 172.16.%d.2" % n,
                     "route add default via 2001:db8:10%d::2" % n])
        far.ip_batch(["addr add 172.16.%d.2/24 dev eth0" % n,
                      "addr add 2001:db8:10%d::2/64 dev eth0 nodad" % n,
                      "addr add 172.16.1%d.1/24 dev eth1" % n,
                      "addr add 2001:db8:11%d::1/64 dev eth1 nodad" % n,
                      "route add %s.0/24 via 172.16.%d.1" % (net, n),
                      "route add 2001:db8:%d::/64 via 2001:db8:10%d::1" % (n, n),
                      "route add default via 172.16.1%d.2" % n,
                      "route add default via 2001:db8:11%d::2" % n])
        self.server.ip_batch(["addr add 172.16.1%d.2/24 dev eth%d" % (n, n),
                              "addr add 2001:db8:11%d::2/64 dev eth%d nodad" % (n, n),
                              "route add %s.0/24 via 172.16.1%d.1" % (net, n),
                              "route add 2001:db8:%d::/64 via 2001:db8:11%d::1" % (n, n)])

    @staticmethod
    def pass_packets(ns, value):
        """A host that is no router drops what is not for it without a word."""
        ns.sysctl("net.ipv4.ip_forward", int(value))
        ns.sysctl("net.ipv6.conf.all.forwarding", int(value))

    def dies(self, number):
        self.pass_packets(self.far[number], False)

    def lives(self, number):
        self.pass_packets(self.far[number], True)

    def serve(self):
        for address in (FAR4, FAR6):
            TcpEcho(self.server, address)
