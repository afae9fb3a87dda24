# SPDX-License-Identifier: GPL-2.0-or-later
"""Many entries in a namespace's table of flows, written as if so many connections were running."""

import socket
import struct

NETLINK_NETFILTER = 12
NEW = 1 << 8  # of the subsystem of conntrack
REQUEST, CREATE, EXCL, ACK = 0x1, 0x400, 0x200, 0x4
NESTED = 0x8000
TUPLE_ORIG, TUPLE_REPLY, STATUS, TIMEOUT = 1, 2, 3, 7
CONFIRMED_AND_SEEN = 0x2 | 0x4 | 0x8  # SEEN_REPLY, ASSURED, CONFIRMED


def _attribute(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _tuple(kind, source, source_port, destination, destination_port):
    ip = _attribute(1, socket.inet_aton(source)) + _attribute(2, socket.inet_aton(destination))
    protocol = (_attribute(1, bytes([socket.IPPROTO_UDP])) +
                _attribute(2, struct.pack("!H", source_port)) +
                _attribute(3, struct.pack("!H", destination_port)))
    return _attribute(kind | NESTED, _attribute(1 | NESTED, ip) + _attribute(2 | NESTED, protocol))


def _entry(number, source, seen_as, net):
    """UDP from one of the source's ports to one of 250 hosts of the net."""
    port, to, destination = 1024 + number % 60000, 1 + number // 60000, net % (2 + number % 250)
    body = (struct.pack("!BBH", socket.AF_INET, 0, 0) +
            _tuple(TUPLE_ORIG, source, port, destination, to) +
            _tuple(TUPLE_REPLY, destination, to, seen_as, port) +
            _attribute(STATUS, struct.pack("!I", CONFIRMED_AND_SEEN)) +
            _attribute(TIMEOUT, struct.pack("!I", 3600)))
    return struct.pack("=IHHII", 16 + len(body), NEW, REQUEST | CREATE | EXCL, number, 0) + body


def fill(ns, n, source, seen_as, net="198.51.100.%d"):
    """n flows from `source`, translated to `seen_as`."""
    with ns.inside():
        s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    with s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        for first in range(0, n, 200):
            s.send(b"".join(_entry(i, source, seen_as, net)
                            for i in range(first, min(n, first + 200))))


def count(ns):
    with ns.inside():
        with open("/proc/thread-self/net/stat/nf_conntrack") as f:
            return int(f.read().splitlines()[1].split()[0], 16)
