# SPDX-License-Identifier: GPL-2.0-or-later
"""Just enough rtnetlink: to hear every change the moment the kernel makes it, and to undo one.

The kernel queues a notification before the change's own system call returns. So what Monitor.take()
gives is all that has happened until now, without waiting.
"""

import errno
import os
import select
import socket
import struct
import threading

import tap

NETLINK_ROUTE = 0
SO_RCVBUFFORCE = 33
RTM_NEWROUTE, RTM_DELROUTE = 24, 25
NAMES = {16: ("link", "new"), 17: ("link", "del"), 20: ("address", "new"), 21: ("address", "del"),
         24: ("route", "new"), 25: ("route", "del"), 32: ("rule", "new"), 33: ("rule", "del"),
         80: ("netconf", "new"), 81: ("netconf", "del")}
# RTNLGRP_*: link, v4 address/route/rule, v6 address/route, v6 rule, netconf of both
GROUPS = {"link": (1,), "address": (5, 9), "route": (7, 11), "rule": (8, 19), "netconf": (24, 25)}
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_TABLE = 1, 4, 5, 6, 15
NLM_F_REQUEST, NLM_F_ACK = 1, 4
NETLINK_ADD_MEMBERSHIP, SOL_NETLINK = 1, 270


def attribute_list(data):
    found = []
    while len(data) >= 4:
        length, kind = struct.unpack_from("HH", data)
        if length < 4:
            break
        found.append((kind & 0x3fff, data[4:length]))
        data = data[(length + 3) & ~3:]
    return found


class Event:
    """One notification. For routes: family, prefix, via, oif, metric, table, proto."""

    def __init__(self, kind, flags, body):
        self.what, self.verb = NAMES.get(kind, ("message %d" % kind, "?"))
        self.flags = flags
        self.prefix = self.via = self.oif = self.metric = self.table = self.proto = None
        if self.what == "route" and len(body) >= 12:
            self._route(body)

    def _route(self, body):
        self.family, length, _, self.tos, table, self.proto, _, self.type = \
            struct.unpack_from("8B", body)
        attributes = dict(attribute_list(body[12:]))
        size = 4 if self.family == socket.AF_INET else 16
        address = attributes.get(RTA_DST, bytes(size))
        self.prefix = "%s/%d" % (socket.inet_ntop(self.family, address), length)
        if RTA_GATEWAY in attributes:
            self.via = socket.inet_ntop(self.family, attributes[RTA_GATEWAY])

        def number(kind, default=None):
            return struct.unpack("I", attributes[kind])[0] if kind in attributes else default

        self.oif = number(RTA_OIF)
        self.metric = number(RTA_PRIORITY, 0)
        self.table = number(RTA_TABLE, table)

    def __repr__(self):
        if self.what != "route":
            return "%s %s" % (self.verb, self.what)
        return "%s route %s via %s metric %s table %s proto %s" % (
            self.verb, self.prefix, self.via, self.metric, self.table, self.proto)


def parse(data):
    events = []
    while len(data) >= 16:
        length, kind, flags = struct.unpack_from("IHH", data)
        if length < 16:
            break
        if kind >= 16:
            events.append(Event(kind, flags, data[16:length]))
        data = data[(length + 3) & ~3:]
    return events


class Monitor:
    """Hears what changes in a namespace from now on."""

    def __init__(self, ns, what=("route", "rule", "address", "link", "netconf")):
        self.socket = ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        self.socket.bind((0, 0))
        for name in what:
            for group in GROUPS[name]:
                self.socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        self.socket.setblocking(False)
        ns.world.closing.append(self.socket.close)

    def take(self, what=None):
        """All events since the last take, oldest first."""
        events = []
        while True:
            try:
                events += parse(self.socket.recv(1 << 20))
            except BlockingIOError:
                break
        return [e for e in events if what is None or e.what == what]

    def next(self, timeout):
        """The events of one message, or [] when none comes in time."""
        if not select.select([self.socket], [], [], tap.patience(timeout))[0]:
            return []
        return parse(self.socket.recv(1 << 20))


class Deleter:
    """Deletes IPv4 routes without starting a program."""

    def __init__(self, ns):
        self.socket = ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE)
        self.socket.bind((0, 0))
        ns.world.closing.append(self.socket.close)
        self.sequence = 0

    def delete(self, prefix):
        """True if there was one to delete."""
        address, _, length = prefix.partition("/")
        body = struct.pack("8BI", socket.AF_INET, int(length), 0, 0, 254, 0, 255, 0, 0)
        body += struct.pack("HH", 8, RTA_DST) + socket.inet_aton(address)
        self.sequence += 1
        self.socket.send(struct.pack("IHHII", 16 + len(body), RTM_DELROUTE,
                                     NLM_F_REQUEST | NLM_F_ACK, self.sequence, 0) + body)
        answer = self.socket.recv(65536)
        code = -struct.unpack_from("i", answer, 16)[0]
        if code not in (0, errno.ESRCH):
            raise OSError(code, os.strerror(code))
        return code == 0


class Fighter:
    """Undoes every appearance of a route, at once, until stopped; counts how often."""

    def __init__(self, ns, prefix):
        self.count = 0
        self.prefix = prefix
        self.monitor = Monitor(ns, ("route",))
        self.deleter = Deleter(ns)
        self.going = True
        self.thread = threading.Thread(target=self._fight, daemon=True)
        self.thread.start()
        ns.world.closing.insert(0, self.stop)

    def _fight(self):
        self.deleter.delete(self.prefix)
        while self.going:
            for event in self.monitor.next(0.05):
                if event.verb == "new" and event.prefix == self.prefix and self.going:
                    self.count += self.deleter.delete(self.prefix)

    def stop(self):
        self.going = False
        self.thread.join(5)
