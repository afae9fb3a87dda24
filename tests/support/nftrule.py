# SPDX-License-Identifier: GPL-2.0-or-later
"""A rule of nftables that older programs have no words for: what stands inside of a tunnel."""

import socket
import struct

NETLINK_NETFILTER = 12
BATCH_BEGIN, BATCH_END, NEWRULE = 16, 17, 10 << 8 | 6  # NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWRULE
REQUEST, ACK, CREATE, APPEND = 0x1, 0x4, 0x400, 0x800
NESTED = 0x8000
ERROR = 2


def _attribute(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _numbers(*values):
    return b"".join(_attribute(i, struct.pack("!I", v)) for i, v in values)


def _expression(name, data):
    return _attribute(1, name + b"\0") + _attribute(2 | NESTED, data)


def _message(kind, flags, family, resource, body=b""):
    body = struct.pack("!BBH", family, 0, resource) + body
    return struct.pack("=IHHII", 16 + len(body), kind, REQUEST | flags, 1, 0) + body


def append_inner(ns, table, chain):
    """Appends to a chain of IPv4 a rule that loads VXLAN's inner source address. Returns errno."""
    payload = _expression(b"payload", _numbers((1, 1), (2, 1), (3, 12), (4, 4)))
    inner = _expression(b"inner", _numbers((1, 0), (2, 1), (3, 15), (4, 8)) +
                        _attribute(5 | NESTED, payload))
    body = (_attribute(1, table.encode() + b"\0") + _attribute(2, chain.encode() + b"\0") +
            _attribute(4 | NESTED, _attribute(1 | NESTED, inner)))
    with ns.inside():
        s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    with s:
        s.send(_message(BATCH_BEGIN, 0, 0, 10) +
               _message(NEWRULE, ACK | CREATE | APPEND, socket.AF_INET, 0, body) +
               _message(BATCH_END, 0, 0, 10))
        length, kind, _, _, _, code = struct.unpack_from("=IHHIIi", s.recv(4096))
        assert kind == ERROR and length >= 20
        return -code
