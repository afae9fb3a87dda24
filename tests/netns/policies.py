# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies of every kind, with packets."""

import concurrent.futures
import contextlib
import itertools
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import firewall
from daemon import Daemon
from tap import case, check, diag, equal, main
from topology import CLIENT4, CLIENT6, SERVER4, SERVER6, WAN4, WAN6, Lan
from traffic import (PORT, TcpEcho, UdpEcho, UdpWho, family_of, tcp_peer, udp_peer, udp_who,
                     within)

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
            equal(d.status()["state"], "running", "the state of all")
            equal((udp_peer(w.client, SERVER4), tcp_peer(w.client, SERVER4)), (WAN4, WAN4), "IPv4")
            equal((udp_peer(w.client, SERVER6), tcp_peer(w.client, SERVER6)),
                  (CLIENT6, CLIENT6), "IPv6")
            equal((tcp_peer(w.server, CLIENT4, timeout=0.5),
                   tcp_peer(w.server, CLIENT6, timeout=0.5)), (None, None), "from outside")
            d.stop()


@case("a share of one family, one that waits for an address, and one that is not enabled")
def _():
    with Lan() as w:
        w.serve()
        d = Daemon(w.router, "version: 1\n").start()
        for keys, seen in (("family: ipv4", (WAN4, None)),
                           ("family: ipv6", (None, CLIENT6)),
                           ("when: {address: 192.0.2.77}", (None, None)),
                           ("when: {address: 192.0.2.1, dev-up: eth1}", (WAN4, CLIENT6)),
                           ("enabled: false", (None, None))):
            d.reload((SHARE % "forward").replace("ipv6: forward", keys))
            equal((tcp_peer(w.client, SERVER4, timeout=within(seen[0])),
                   tcp_peer(w.client, SERVER6, timeout=within(seen[1]))), seen, keys)
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


ADDRESSES = {
    4: {"family": 4, "client": CLIENT4, "router": WAN4, "server": SERVER4,
        "lan": "10.0.0.0/24", "other": "10.9.0.0/16", "near": "192.0.2.0/24",
        "first": "192.0.2.8", "last": "192.0.2.11", "mapped": ("10.99.0.0/24", "10.99.0.2"),
        "prefix": "%d.%d.%d.0/25"},
    6: {"family": 6, "client": CLIENT6, "router": WAN6, "server": SERVER6,
        "lan": "2001:db8:a::/64", "other": "2001:db8:a9::/64", "near": "2001:db8:b::/64",
        "first": "2001:db8:b::8", "last": "2001:db8:b::b",
        "mapped": ("2001:db8:99::/64", "2001:db8:99::2"), "prefix": "2001:%x:%x:%x::/64"},
}
WHO = PORT + 5
# A flow keeps what an earlier policy made of it, so none may have the port of one before.
NUMBERS = itertools.count(4444)
HEAD = "version: 1\nsettings: {forwarding: leave}\n"

# What a policy says; what TCP and UDP are seen from: the router or the client.
KEYS = (
    ('out: eth1', "router", "router"),
    ('out: eth+', "router", "router"),
    ('out: eth7', "client", "client"),
    ('out: [eth7, eth1]', "router", "router"),
    ('out: any, except-out: [eth1]', "client", "client"),
    ('out: eth1, from: "{lan}"', "router", "router"),
    ('out: eth1, from: ["{other}", "{lan}"]', "router", "router"),
    ('out: eth1, from: "{other}"', "client", "client"),
    ('out: eth1, except-from: "{lan}"', "client", "client"),
    ('out: eth1, to: "{near}"', "router", "router"),
    ('out: eth1, to: "{other}"', "client", "client"),
    ('out: eth1, except-to: "{near}"', "client", "client"),
    ('out: eth1, from: "{lan}", except-to: "{other}"', "router", "router"),
    ('out: eth1, protocol: tcp', "router", "client"),
    ('out: eth1, protocol: udp', "client", "router"),
    ('out: eth1, protocol: [tcp, udp]', "router", "router"),
    ('out: eth1, protocol: [tcp, udp], destination-port: [1-9, 5000]', "router", "router"),
    ('out: eth1, protocol: tcp, destination-port: 4000-4999', "client", "client"),
    ('out: eth1, protocol: udp, source-port: 1-1023', "client", "client"),
    ('out: eth1, protocol: udp, source-port: 1024-65535', "client", "router"),
    ('out: eth1, mark: 0x1/0xff', "router", "router"),
    ('out: eth1, mark: 0x2', "client", "client"),
    ('out: eth1, to-source: "{first}"', "first", "first"),
    ('out: eth1, position: first', "router", "router"),
    ('out: eth1, position: last', "router", "router"),
    ('out: eth1, ipsec: include', "router", "router"),
    ('out: eth1, enabled: false', "client", "client"),
    ('out: eth1, when: {{address: "{router}"}}', "router", "router"),
    ('out: eth1, when: {{address: "{client}"}}', "client", "client"),
    ('out: eth1, when: {{dev-up: eth1}}', "router", "router"),
    ('out: eth1, when: {{dev-up: eth7}}', "client", "client"),
)


@contextlib.contextmanager
def masquerading(family):
    """(world, addresses, what takes a policy's keys into force)."""
    a = ADDRESSES[family]
    with Lan() as w:
        w.router.sysctl("net.ipv4.ip_forward", 1)
        w.router.sysctl("net.ipv6.conf.all.forwarding", 1)
        for n in range(8, 12):
            w.router.ip("addr add 192.0.2.%d/24 dev eth1" % n if family == 4 else
                        "addr add 2001:db8:b::%x/64 dev eth1 nodad preferred_lft 0" % n)
        w.serve()
        UdpWho(w.server, a["server"], WHO)
        d = Daemon(w.router, HEAD).start()

        def say(keys):
            d.reload(HEAD + "masquerade:\n  - {name: p, family: ipv%d, %s}\n" % (
                family, keys.format(**a)))
            return d

        yield w, a, say
        d.stop()


def peer(w, a):
    return udp_peer(w.client, a["server"], source_port=next(NUMBERS))


def every_key(family):
    with masquerading(family) as (w, a, say):
        w.router.iptables("-t mangle -A PREROUTING -i eth0 -j MARK --set-mark 1", family)
        for keys, tcp, udp in KEYS:
            say(keys)
            equal((tcp_peer(w.client, a["server"]), peer(w, a)), (a[tcp], a[udp]), keys)


def position(family):
    """Another program translates the same packets, ahead of what is not first."""
    with masquerading(family) as (w, a, say):
        w.router.firewall.foreign_source(a["last"], family)
        for keys, seen in (("position: last", a["last"]), ("position: first", a["router"]),
                           ("position: last", a["last"])):
            say("out: eth1, " + keys)
            equal(peer(w, a), seen, keys)


def ports(family):
    with masquerading(family) as (w, a, say):
        def who():
            return udp_who(w.client, a["server"], WHO, next(NUMBERS))

        say("out: eth1, random: none")
        own, address, seen = who()
        equal((address, seen), (a["router"], own), "none")
        for how in ("ports", "fully"):
            say("out: eth1, random: " + how)
            check(any(own != seen for own, _, seen in (who() for _ in range(3))), how)
        say("out: eth1, protocol: udp, to-ports: 20000-20009")
        for _ in range(3):
            own, address, seen = who()
            check(address == a["router"] and 20000 <= seen <= 20009,
                  "port %d is seen as %s:%d" % (own, address, seen))
        say('out: eth1, to-source: "{first}-{last}", persistent: true')
        seen = {who()[1] for _ in range(6)}
        equal(len(seen), 1, "addresses of one client: %s" % seen)
        check(seen <= {a["first"][:-1] + last for last in "89ab"} | {"192.0.2.10", "192.0.2.11"},
              "in the range: %s" % seen)
        d = say("out: eth1, log: true")
        equal(who()[1], a["router"], "logged")
        counted = [count for count, rule in w.router.nat_packets(family)
                   if "log prefix" in rule or "-j LOG" in rule]
        equal(counted, [1], "packets logged, in %s" % w.router.nat_packets(family))
        equal(d.object("p", "masquerade")["state"], "held", "state")


def by_lists(family):
    """Thousands of prefixes are one rule, and the one that matters is found."""
    a = ADDRESSES[family]
    many = "".join(a["prefix"] % (11 + n // 65536,
                                  n // 256 % 256, n % 256) + "\n" for n in range(5000))
    with masquerading(family) as (w, a, say):
        files = os.path.join(w.daemons[0].base, "lists")
        os.makedirs(files)
        for name, text in (("with", many + a["lan"] + "\n"), ("without", many)):
            with open(os.path.join(files, name), "w") as f:
                f.write(text)
        say('out: eth1, from: {{file: lists/without}}')
        equal(peer(w, a), a["client"], "not among them")
        say('out: eth1, from: {{file: lists/with}}')
        equal(peer(w, a), a["router"], "among them")
        check(len(w.router.nat_packets(family)) < 8, "rules: %s" % w.router.nat_packets(family))
        say('out: eth1, except-from: {{file: lists/with}}')
        equal(peer(w, a), a["client"], "among the exempted")


def ipsec(family):
    """What a policy of IPsec will transform is not masqueraded before; or is, if that is said."""
    with masquerading(family) as (w, a, say):
        ends = "src %s dst %s" % (a["router"], a["server"])
        if not (w.router.ip_try("xfrm state add %s proto esp spi 1 mode tunnel auth "
                                "'hmac(sha256)' 0x%s enc 'ecb(cipher_null)' ''" % (ends, "11" * 32))
                and w.router.ip_try("xfrm policy add dir out src %s dst %s tmpl %s proto esp "
                                    "mode tunnel" % (a["lan"], a["near"], ends))):
            return diag("not tried: this kernel can't send ESP, which the policy would match")
        counts = {}
        for how in ("exclude", "include"):
            # What carries it comes by, too, but not from there.
            say('out: eth1, from: "%s", ipsec: %s' % (a["lan"], how))
            udp_peer(w.client, a["server"], timeout=0.3)  # the server understands nothing
            counts[how] = sum(count for count, rule in w.router.nat_packets(family)
                               if "masquerade" in rule.lower() and "jump" not in rule)
        equal((counts["exclude"], counts["include"] > 0), (0, True), "masqueraded")


for number in (4, 6):
    for what, function in (("every key of masquerade", every_key),
                           ("ports, ranges and the log of masquerade", ports),
                           ("position of masquerade, beside others", position),
                           ("masquerade by thousands of prefixes", by_lists),
                           ("masquerade and IPsec", ipsec)):
        def _(number=number, function=function):
            function(number)
        case("IPv%d: %s" % (number, what), timeout=120)(_)


def neighbour(w, name, device, net4, net6):
    """Another host with its servers, at that device of the router."""
    other = w.ns(name)
    w.veth(other, "eth0", w.router, device)
    for ns, end, at in ((w.router, 1, device), (other, 2, "eth0")):
        ns.ip_batch(["addr add %s.%d/24 dev %s" % (net4, end, at),
                     "addr add %s::%d/64 dev %s nodad" % (net6, end, at)])
    other.ip_batch(["route add default via %s.1" % net4, "route add default via %s::1" % net6])
    for address in (net4 + ".2", net6 + "::2"):
        TcpEcho(other, address)
    return other


def second_lan(w, device="eth2"):
    """Another client, at eth2."""
    return neighbour(w, "other", device, "10.1.0", "2001:db8:a1")


def second_wan(w, device):
    """Another server; and the first one knows the way to the second LAN too."""
    w.server.ip_batch(["route add 10.1.0.0/24 via " + WAN4,
                       "route add 2001:db8:a1::/64 via " + WAN6])
    return neighbour(w, "beyond", device, "203.0.113", "2001:db8:b1")


@case("LANs of a share reach each other, unless they are isolated")
def _():
    with Lan() as w:
        second_lan(w)
        text = "version: 1\nshare:\n  - {name: home, lan: [eth0, eth2], wan: eth1, isolate: %s}\n"
        d = Daemon(w.router, text % "false").start()
        equal((tcp_peer(w.client, "10.1.0.2"), tcp_peer(w.client, "2001:db8:a1::2")),
              (CLIENT4, CLIENT6), "not isolated")
        d.reload(text % "true")
        equal((tcp_peer(w.client, "10.1.0.2", timeout=0.5),
               tcp_peer(w.client, "2001:db8:a1::2", timeout=0.5)), (None, None), "isolated")
        d.stop()


# The sides of a share, as the file has them and as the devices that they are.
SIDES = (
    ("eth0", "[eth1, eth12]", ("eth0",), ("eth1", "eth12")),
    ("[eth0, eth02]", "eth1", ("eth0", "eth02"), ("eth1",)),
    ("eth0+", "eth1", ("eth0", "eth02"), ("eth1",)),
    ("eth02", "eth1+", ("eth02",), ("eth1", "eth12")),
    ("eth0+", "eth1+", ("eth0", "eth02"), ("eth1", "eth12")),
    ("[eth7, eth0+]", "[eth12, eth8+]", ("eth0", "eth02"), ("eth12",)),
)
# A host at the end of each device, and the router there.
LANS = {4: {"eth0": CLIENT4, "eth02": "10.1.0.2"}, 6: {"eth0": CLIENT6, "eth02": "2001:db8:a1::2"}}
WANS = {4: {"eth1": (SERVER4, WAN4), "eth12": ("203.0.113.2", "203.0.113.1")},
        6: {"eth1": (SERVER6, WAN6), "eth12": ("2001:db8:b1::2", "2001:db8:b1::1")}}


def one_way(hosts, way, seen):
    """(what the server sees, what the client sees if the server asks)"""
    family, lan, wan = way
    client, (server, _) = LANS[family][lan], WANS[family][wan]
    return (tcp_peer(hosts[lan], server, timeout=within(seen[0])),
            tcp_peer(hosts[wan], client, timeout=within(seen[1])))


def expected(policy, family, from_lan, to_wan, lan, wan):
    """The same, where others' FORWARD has that policy; what is a WAN's is so for all."""
    client, (server, router) = LANS[family][lan], WANS[family][wan]
    if from_lan and to_wan:
        return router, None
    return (router if to_wan else client, server) if policy == "ACCEPT" else (None, None)


def sides(policy):
    ways = [(family, lan, wan) for family in (4, 6) for lan in LANS[4] for wan in WANS[4]]
    with Lan() as w, concurrent.futures.ThreadPoolExecutor(len(ways)) as pool:
        w.serve()
        for family in (4, 6):
            TcpEcho(w.client, LANS[family]["eth0"])
            w.router.iptables("-P FORWARD " + policy, family)
        hosts = {"eth0": w.client, "eth02": second_lan(w, "eth02"),
                 "eth1": w.server, "eth12": second_wan(w, "eth12")}
        text = "version: 1\nshare:\n  - {name: home, ipv6: masquerade, lan: %s, wan: %s}\n"
        d = Daemon(w.router, "version: 1\n").start()
        for lan, wan, lans, wans in SIDES:
            d.reload(text % (lan, wan))
            seen = {(family, a, b): expected(policy, family, a in lans, b in wans, a, b)
                    for family, a, b in ways}
            equal(dict(zip(ways, pool.map(lambda way: one_way(hosts, way, seen[way]), ways))), seen,
                  "lan: %s, wan: %s" % (lan, wan))
        for isolate, seen in (("false", CLIENT4), ("true", None)):
            d.reload(text % ("eth0+, isolate: " + isolate, "eth1+"))
            equal(tcp_peer(w.client, "10.1.0.2", timeout=within(seen)), seen, "isolate: " + isolate)
        d.stop()


for word in ("ACCEPT", "DROP"):
    def _(word=word):
        sides(word)
    case("the sides of a share are lists of devices and wildcards, FORWARD being " + word)(_)


def segment(w, address):
    """The segment size that the server may send, as the client's SYN came to it."""
    with w.server.socket(family_of(address), socket.SOCK_STREAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, PORT + 7))
        s.listen(1)
        with w.client.socket(family_of(address), socket.SOCK_STREAM) as client:
            client.settimeout(5)
            client.connect((address, PORT + 7))
            connection = s.accept()[0]
            with connection:
                return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)


@case("a share clamps the segment size of TCP to the path, unless told not to")
def _():
    with Lan() as w:
        text = "version: 1\nshare:\n  - {name: home, lan: eth0, wan: eth1, clamp-mss: %s}\n"
        w.router.ip("link set eth1 mtu 1300")
        d = Daemon(w.router, text % "true").start()
        for family in (4, 6):
            size = segment(w, ADDRESSES[family]["server"])
            check(size <= (1260 if family == 4 else 1240), "clamped: %d" % size)
        d.reload(text % "false")
        for family in (4, 6):
            size = segment(w, ADDRESSES[family]["server"])
            check(size > 1300, "not clamped: %d" % size)
        d.stop()


def port_forward(family):
    a = ADDRESSES[family]
    with Lan() as w:
        for number in (PORT, PORT + 1):
            TcpEcho(w.client, a["client"], number)
            UdpEcho(w.client, a["client"], number)
        text = "version: 1\nport-forwards:\n  - {name: web, in: eth1, to: \"%s\", %%s}\n" \
            % a["client"]
        d = Daemon(w.router, text % ("protocol: both, port: 7000-7001, to-port: %d-%d"
                                     % (PORT, PORT + 1))).start()
        for number in (7000, 7001):
            equal((tcp_peer(w.server, a["router"], number),
                   udp_peer(w.server, a["router"], number)),
                  (a["server"], a["server"]), "port %d" % number)
        d.reload(text % "protocol: udp, port: %d" % PORT)
        equal((tcp_peer(w.server, a["router"], timeout=0.5), udp_peer(w.server, a["router"])),
              (None, a["server"]), "UDP alone")
        for who, seen in ((a["near"], a["server"]), (a["other"], None)):
            d.reload(text % 'protocol: tcp, port: %d, from: "%s"' % (PORT, who))
            equal(tcp_peer(w.server, a["router"], timeout=within(seen)), seen, "from " + who)
        for keys, seen in (("enabled: false", None), ("when: {dev-up: eth7}", None),
                           ("when: {dev-up: eth1}", a["server"])):
            d.reload(text % "protocol: tcp, port: %d, %s" % (PORT, keys))
            equal(tcp_peer(w.server, a["router"], timeout=within(seen)), seen, keys)
        for ends, seen in (("[eth7, eth1]", a["server"]), ("eth+", a["server"]), ("eth7", None)):
            d.reload((text % "protocol: tcp, port: %d" % PORT).replace("in: eth1", "in: " + ends))
            equal(tcp_peer(w.server, a["router"], timeout=within(seen)), seen, "in: " + ends)
        d.stop()


def network_map(family):
    a = ADDRESSES[family]
    outside, mapped = a["mapped"]
    with Lan() as w:
        w.serve()
        TcpEcho(w.client, a["client"])
        w.server.ip("-%d route add %s via %s" % (family, outside, a["router"]))
        text = "version: 1\nnetwork-map:\n  - {name: office, dev: %%s, inside: \"%s\", " \
            "outside: \"%s\"}\n" % (a["lan"], outside)
        d = Daemon(w.router, text % "eth1").start()
        for dev in ("eth1", "[eth7, eth1]", "eth+", "eth1, when: {dev-up: eth1}"):
            d.reload(text % dev)
            equal(tcp_peer(w.client, a["server"]), mapped, "from inside, " + dev)
            equal(tcp_peer(w.server, mapped), a["server"], "from outside, " + dev)
        w.router.sysctl("net.ipv4.ip_forward", 1)
        for dev in ("eth7", "eth1, enabled: false", "eth1, when: {dev-up: eth7}"):
            d.reload(text % dev)
            equal(tcp_peer(w.server, mapped, timeout=0.5), None, "from outside, " + dev)
        d.stop()


for number in (4, 6):
    for what, function in (("the keys of a port-forward", port_forward),
                           ("a network-map, both ways", network_map)):
        def _(number=number, function=function):
            function(number)
        case("IPv%d: %s" % (number, what))(_)


@case("masquerade of both families by one policy")
def _():
    with Lan() as w:
        w.serve()
        d = Daemon(w.router, "version: 1\nmasquerade:\n"
                   "  - {name: p, family: [ipv4, ipv6], out: eth1}\n").start()
        equal((udp_peer(w.client, SERVER4), udp_peer(w.client, SERVER6)), (WAN4, WAN6), "seen from")
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
