# SPDX-License-Identifier: GPL-2.0-or-later
"""flush-conntrack: changed: of the flows that run, those of a policy that changed begin anew."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import firewall
import flowtable
from daemon import Daemon
from netns import wait_until
from tap import case, check, equal, main
from topology import CLIENT4, CLIENT6, FAR4, FAR6, WAN4, WAN6, Lan
from traffic import TcpTransfer, UdpEcho, UdpStream

# The other client has the address after the first's, and its own policy.
FAMILIES = ((4, CLIENT4, "10.0.0.3", FAR4, WAN4, "192.0.2.%d"),
            (6, CLIENT6, "2001:db8:a::3", FAR6, WAN6, "2001:db8:b::%d"))
CHANGED = "flush-conntrack: changed"
MANY = int(os.environ.get("NETSHARED_TEST_FLOWS", "10000"))


def policy(name, source, more):
    return "  - {name: %s, from: [\"%s\"], out: [eth1], %s}\n" % (name, source, more)


def to(address):
    return "to-source: \"%s\"" % address


class Flows:
    """Two clients, each with its policy and a UDP flow; the second has a transfer under way, too."""

    def __init__(self, family, settings=CHANGED):
        (self.family, self.client, self.other, self.far, self.wan,
         pattern) = FAMILIES[family == 6]
        self.at = [pattern % n for n in range(10, 15)]
        self.settings = settings
        self.w = Lan()

    def __enter__(self):
        w = self.w
        w.client.ip("addr add %s dev eth0%s" % (
            (self.other + "/24", "") if self.family == 4 else (self.other + "/64", " nodad")))
        for address in self.at:
            w.router.ip("addr add %s dev eth1%s" % (
                (address + "/24", "") if self.family == 4 else (address + "/64", " nodad")))
        w.serve(self.far)
        return self

    def __exit__(self, *unused):
        self.w.close()

    def text(self, first, second=None, more=""):
        route = ("198.51.100.0/24", "192.0.2.2") if self.family == 4 else \
            ("2001:db8:c::/48", "2001:db8:b::2")
        return ("version: 1\nsettings:\n  resync: 1h\n  %s\nroutes:\n"
                "  - {to: \"%s\", via: \"%s\", dev: eth1}\nmasquerade:\n%s%s%s") % (
            self.settings, *route, policy("first", self.client, first) if first else "",
            policy("second", self.other, second or to(self.at[1])), more)

    def begin(self, first):
        self.d = Daemon(self.w.router, self.text(first)).start()
        self.flow = UdpStream(self.w.client, self.far, source=self.client)
        self.others = UdpStream(self.w.client, self.far, source=self.other)
        self.transfer = TcpTransfer(self.w.client, self.far, source=self.other)
        wait_until(lambda: self.flow.last_peer and self.others.last_peer, "both flow")

    def wait_seen(self, address):
        wait_until(lambda: self.flow.last_peer == address, "the flow is seen from " + address)

    def goes_on(self):
        """The flow of the first is not ended by what comes."""
        peer, so_far = self.flow.last_peer, len(self.flow.answers)
        wait_until(lambda: len(self.flow.answers) > so_far + 50, "the flow goes on")
        equal(self.flow.last_peer, peer, "seen from")

    def end(self, seen=None):
        """The others have noticed nothing."""
        self.flow.stop()
        self.others.stop()
        equal((self.others.lost, self.others.peers), ([], {seen or self.at[1]}),
              "the other's flow: lost, seen from")
        check(self.transfer.finish(), "the other's transfer: %s" % self.transfer.error)
        self.d.stop()


for family in (4, 6):
    def _(family=family):
        with Flows(family) as f:
            f.begin(to(f.at[0]))
            f.wait_seen(f.at[0])
            mark = f.d.mark()
            f.d.reload(f.text(to(f.at[2])))
            f.wait_seen(f.at[2])
            f.d.wait_log("1 flow of masquerade first dropped from conntrack, to be "
                         "translated otherwise from now on", mark)
            f.d.reload(f.text(None))
            f.wait_seen(f.client)
            f.d.reload(f.text("enabled: false"))
            f.goes_on()
            mark = f.d.mark()
            f.d.reload(f.text("ipsec: exclude"))
            wait_until(lambda: f.flow.last_peer in [f.wan] + f.at, "it is masqueraded")
            f.d.wait_log("1 flow of masquerade first dropped from conntrack", mark)  # said behind it
            masked = f.flow.last_peer  # for IPv6 the kernel takes any of the device's
            # The same in other words, and what concerns another port.
            mark = f.d.mark()
            f.d.reload(f.text("%s, persistent: true" % to(masked)))
            f.goes_on()
            f.d.reload(f.text("%s, protocol: udp, destination-port: 99" % to(f.at[0]),
                              more=policy("third", f.client, to(masked))))
            f.goes_on()
            equal(f.d.count_log("dropped from conntrack", mark), 0, "lines of dropped flows")
            f.end()
            equal(f.flow.peers, {f.at[0], f.at[2], f.client, masked}, "all that was seen")
    case("IPv%d: a flow of a policy that changed is translated anew, another's goes on" % family)(_)

    def _(family=family):
        with Flows(family, "flush-conntrack: never") as f:
            f.begin(to(f.at[0]))
            f.d.reload(f.text(to(f.at[2])))
            f.goes_on()
            f.d.reload(f.text(None))
            f.goes_on()
            f.end()
            equal(f.flow.peers, {f.at[0]}, "seen from")
    case("IPv%d: never: what runs is left as it is" % family)(_)

    def _(family=family):
        with Flows(family) as f:
            f.begin(to(f.at[0]))
            f.wait_seen(f.at[0])
            torn = TcpTransfer(f.w.client, f.far, source=f.client)
            f.d.reload(f.text(to(f.at[2])))
            f.wait_seen(f.at[2])
            wait_until(lambda: torn.error, "the connection is broken")
            f.end()
    case("IPv%d: a TCP connection of a policy that changed is broken, another's is not" % family)(_)

    def _(family=family):
        with Flows(family) as f:
            f.w.router.ip("link add up0 type veth peer name up1")
            f.w.router.ip("link set up1 up")
            f.begin(to(f.at[0]) + ", when: {dev-up: up0}")
            f.wait_seen(f.client)
            f.w.router.ip("link set up0 up")
            f.wait_seen(f.at[0])
            f.w.router.ip("link set up0 down")
            f.wait_seen(f.client)
            f.end()
    case("IPv%d: a condition turns" % family)(_)

    def _(family=family):
        with Flows(family) as f:
            f.begin(to(f.at[0]))
            f.wait_seen(f.at[0])
            mark = f.d.mark()
            other = "nftables" if firewall.NAME == "iptables" else "iptables"
            f.d.write("settings: {firewall: %s}\n" % other, "netshared.d/firewall.yaml")
            f.d.reload(f.text(to(f.at[0])))
            equal(f.d.status()["firewall"], other, "the firewall in use")
            f.goes_on()
            equal(f.d.count_log("dropped from conntrack", mark), 0, "lines of dropped flows")
            f.end()
            equal(f.flow.peers, {f.at[0]}, "seen from")
    case("IPv%d: a move to the other firewall ends nothing" % family)(_)

    def _(family=family):
        with Flows(family) as f:
            f.begin(to(f.at[0]))
            f.wait_seen(f.at[0])
            UdpEcho(f.w.client, f.client, port=8000)
            UdpEcho(f.w.client, f.other, port=8000)
            forward = ("port-forwards:\n  - {name: in, in: eth1, protocol: udp, port: 7000, "
                       "to: \"%s\", to-port: 8000}\n")
            f.d.reload(f.text(to(f.at[0]), more=forward % f.client))
            into = UdpStream(f.w.server, f.wan, port=7000, source=f.far)
            wait_until(lambda: into.last_peer, "the port is forwarded")
            mark = f.d.mark()
            f.d.reload(f.text(to(f.at[0]), more=forward % f.other))
            f.d.wait_log("1 flow of port-forward in dropped", mark)
            number = into.sent
            wait_until(lambda: max(into.answers) > number, "it goes on to the other")
            listed = f.w.router.run("conntrack", "-L", "-f", "ipv%d" % family, "-p", "udp",
                                    "--orig-port-dst", "7000").stdout
            check("src=%s dst=" % f.other in listed, "where it leads: " + listed)
            into.stop()
            f.end()
    case("IPv%d: a port-forward leads elsewhere" % family)(_)


@case("IPv4: of %d flows half belong to the policy that changed" % (2 * MANY))
def _():
    with Flows(4) as f:
        f.begin(to(f.at[0]))
        f.wait_seen(f.at[0])
        flowtable.fill(f.w.router, MANY, f.client, f.at[0])
        flowtable.fill(f.w.router, MANY, f.other, f.at[1])
        check(flowtable.count(f.w.router) >= 2 * MANY, "all of them are tracked")
        passes = f.d.status()["work"]["passes"]
        mark = f.d.mark()
        f.d.reload(f.text(to(f.at[2])))
        f.wait_seen(f.at[2])
        f.d.wait_log(r"%d flows of masquerade first dropped" % (MANY + 1), mark)
        check(MANY <= flowtable.count(f.w.router) < MANY + 50, "the others stay")
        work = f.d.status()["work"]
        check(work["passes"] - passes > MANY // 100, "in so many slices: %r" % work)
        f.end()


main()
