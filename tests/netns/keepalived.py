# SPDX-License-Identifier: GPL-2.0-or-later
"""Two routers, one of which works: keepalived moves an address, and the policies go with it.

                    10.0.0.254, wherever it is
    client ---+--- eth0 one eth1 ---+--- server
     10.0.0.2 |   10.0.0.1 192.0.2.1 | 192.0.2.2, beyond it 198.51.100.1
              +--- eth0 two eth1 ---+
                  10.0.0.3 192.0.2.3

The server does not know the LAN: an answer comes only to what a router has masqueraded.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from netns import PATH, World, wait_until
from tap import Skip, case, check, equal, main, patience
from traffic import TcpEcho, UdpEcho, UdpStream, tcp_peer

VIP4, VIP6 = "10.0.0.254", "2001:db8:a::fe"
FAR4, FAR6 = "198.51.100.1", "2001:db8:c::1"
CONFIG = """
version: 1
settings: {resync: 1h}
routes:
  - {to: 198.51.100.0/24, via: 192.0.2.2, dev: eth1, table: 100, when: {address: 10.0.0.254}}
  - {to: "2001:db8:c::/48", via: "2001:db8:b::2", dev: eth1, when: {address: "2001:db8:a::fe"}}
rules:
  - {from: 10.0.0.0/24, table: 100, priority: 1000, when: {address: 10.0.0.254}}
masquerade:
  - {name: lan-out, from: 10.0.0.0/24, out: eth1, when: {address: 10.0.0.254}}
  - {name: lan-out6, from: "2001:db8:a::/64", out: eth1, when: {address: "2001:db8:a::fe"}}
"""
OBJECTS = ("198.51.100.0/24", "2001:db8:c::/48", "from 10.0.0.0/24", "lan-out", "lan-out6")
VRRP = """
global_defs {
    router_id %(name)s
    vrrp_version 3
}
vrrp_instance four {
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority %(priority)d
    advert_int %(advert)g
    virtual_ipaddress { 10.0.0.254/24 dev eth0 }
}
vrrp_instance six {
    state BACKUP
    interface eth0
    virtual_router_id 52
    priority %(priority)d
    advert_int %(advert)g
    virtual_ipaddress {
        fe80::fe/64
        2001:db8:a::fe/64 preferred_lft 0
    }
}
vrrp_sync_group both { group { four six } }
"""


class Vrrp:
    """keepalived in a namespace."""

    def __init__(self, ns, priority):
        self.ns = ns
        self.base = os.path.join(ns.world.directory, "vrrp-" + ns.short)
        self.lines = []
        os.mkdir(self.base)
        with open(os.path.join(self.base, "keepalived.conf"), "w") as f:
            f.write(VRRP % {"name": ns.short, "priority": priority,
                            "advert": min(patience(0.3), 2.0)})

    def start(self):
        def path(name):
            return os.path.join(self.base, name)

        self.process = self.ns.popen(
            ["keepalived", "--dont-fork", "--vrrp", "--log-console", "--log-detail",
             "--use-file", path("keepalived.conf"), "--pid", path("pid"), "--vrrp_pid",
             path("vrrp.pid"), "--bfd_pid", path("bfd.pid")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True).start()
        return self

    def stop(self):
        """It gives the address up and says so."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)

    def crash(self):
        """Nobody gives anything up: the address stays here, and is elsewhere as well soon."""
        with open(os.path.join(self.base, "vrrp.pid")) as f:
            child = os.pidfd_open(int(f.read()))
        # The one that is left would begin another, or end in good order.
        self.process.send_signal(signal.SIGSTOP)
        signal.pidfd_send_signal(child, signal.SIGKILL)
        os.close(child)
        self.process.kill()
        self.process.wait(10)


class Pair(World):
    def __init__(self):
        super().__init__()
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _switch(self, name, *ends):
        ns = self.ns(name)
        ns.ip("link add br0 type bridge mcast_snooping 0")
        ns.ip("link set br0 up")
        for end, device in ends:
            self.veth(end, device, ns, end.short)
            ns.ip("link set %s master br0" % end.short)

    def _build(self):
        self.client, self.server, self.one, self.two = (
            self.ns(n) for n in ("client", "server", "one", "two"))
        self._switch("lan", (self.client, "eth0"), (self.one, "eth0"), (self.two, "eth0"))
        self._switch("wan", (self.server, "eth0"), (self.one, "eth1"), (self.two, "eth1"))
        for number, router in ((1, self.one), (3, self.two)):
            router.ip_batch(["addr add 10.0.0.%d/24 dev eth0" % number,
                             "addr add 2001:db8:a::%d/64 dev eth0 nodad" % number,
                             "addr add 192.0.2.%d/24 dev eth1" % number,
                             "addr add 2001:db8:b::%d/64 dev eth1 nodad" % number])
        self.client.ip_batch(["addr add 10.0.0.2/24 dev eth0",
                              "addr add 2001:db8:a::2/64 dev eth0 nodad",
                              "route add default via " + VIP4, "route add default via " + VIP6])
        self.server.ip_batch(["addr add 192.0.2.2/24 dev eth0",
                              "addr add 2001:db8:b::2/64 dev eth0 nodad",
                              "addr add %s/32 dev lo" % FAR4,
                              "addr add %s/128 dev lo nodad" % FAR6])
        for address in (FAR4, FAR6):
            UdpEcho(self.server, address)
            TcpEcho(self.server, address)


def in_force(d, there):
    """All of it is there, or nothing, in status and in the kernel."""
    states = {name: o["state"] for o in d.objects() for name in OBJECTS
              if (o["name"] + " ").startswith(name + " ")}
    return (states == dict.fromkeys(OBJECTS, "held" if there else "standby") and
            bool(d.ns.routes(4)) == bool(d.ns.routes(6)) == bool(d.ns.nat_ours(4)) ==
            bool(d.ns.nat_ours(6)) == ("lookup 100" in d.ns.ip("rule")) == there)


def wait_moved(to, away):
    wait_until(lambda: in_force(to, True), "policies are in force in " + to.ns.short)
    if away:
        wait_until(lambda: in_force(away, False), "and not in " + away.ns.short)


def wait_flows(streams, peers):
    wait_until(lambda: [s.last_peer for s in streams] == list(peers), "flows by " + peers[0])


ONE, TWO = ("192.0.2.1", "2001:db8:b::1"), ("192.0.2.3", "2001:db8:b::3")


@case("the master is stopped, and started: the policies move with the address, packets flow on")
def _():
    if not shutil.which("keepalived", path=PATH):
        raise Skip("no keepalived here")
    with Pair() as w:
        first, second = (Daemon(ns, CONFIG).start() for ns in (w.one, w.two))
        check(in_force(first, False) and in_force(second, False), "nothing before the address is")
        master, backup = Vrrp(w.one, 150).start(), Vrrp(w.two, 100).start()
        wait_moved(first, second)
        streams = [UdpStream(w.client, address, interval=0.01) for address in (FAR4, FAR6)]
        wait_flows(streams, ONE)
        for _ in range(2):
            master.stop()
            wait_moved(second, first)
            wait_flows(streams, TWO)
            equal((tcp_peer(w.client, FAR4), tcp_peer(w.client, FAR6)), TWO, "new connections")
            master.start()
            wait_moved(first, second)
            wait_flows(streams, ONE)
            equal((tcp_peer(w.client, FAR4), tcp_peer(w.client, FAR6)), ONE, "new connections")
        for d in (first, second):
            equal(d.count_log("restored|conflict|failed"), 0, "no drift in " + d.ns.short)
        for s in streams:
            s.stop()
            equal(s.peers <= {*ONE, *TWO}, True, "nothing left untranslated: %s" % s.peers)
        backup.stop()
        first.stop()
        second.stop()


@case("the master dies without a word: the other takes over, and the first is back after a restart")
def _():
    if not shutil.which("keepalived", path=PATH):
        raise Skip("no keepalived here")
    with Pair() as w:
        first, second = (Daemon(ns, CONFIG).start() for ns in (w.one, w.two))
        master, backup = Vrrp(w.one, 150).start(), Vrrp(w.two, 100).start()
        wait_moved(first, second)
        streams = [UdpStream(w.client, address, interval=0.01) for address in (FAR4, FAR6)]
        wait_flows(streams, ONE)
        master.crash()
        # Its address stays where it was, and what depends on that.
        wait_moved(second, None)
        wait_flows(streams, TWO)
        check(in_force(first, True), "the first still has its address")
        master.start()
        wait_moved(first, second)
        wait_flows(streams, ONE)
        backup.stop()
        first.stop()
        second.stop()


main()
