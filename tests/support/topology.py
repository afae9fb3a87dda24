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
