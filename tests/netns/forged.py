# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages to the daemon's netlink sockets that are not the kernel's.

Root in the namespace may send to any of them, by its port id or to a group it is in, and may write
into the message whatever the kernel could. To a port id nothing comes through; what comes to a
group is passed over: no look at the kernel, no line, no repair, and no request is answered by it.
"""

import contextlib
import os
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from netns import wait_until
from tap import case, check, equal, main
from topology import BASIC, BASIC_ROUTE, Router

NAMES = {0: "route", 6: "xfrm", 9: "audit", 12: "netfilter"}
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NETLINK_LISTS = 270, 1, 9
NLM_MULTI, NLM_CREATE_EXCL = 2, 0x600
ERROR, DONE, OVERRUN = 2, 3, 4
NEWLINK, DELLINK, NEWADDR, DELADDR, NEWROUTE, DELROUTE, DELRULE, NETCONF = (
    16, 17, 20, 21, 24, 25, 33, 80)
NFT, NFT_DELTABLE, NFT_NEWGEN = 10 << 8, 2, 15
AUDIT_NETFILTER_CFG = 1325
RTNLGRP_LINK = 1


def attribute(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def message(kind, body, flags=0, seq=0, port=0):
    return struct.pack("=IHHII", 16 + len(body), kind, flags, seq, port) + body


def route(kind, index, flags=0):
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, 24, 0, 0, 254, 110, 0, 1, 0)
    body += attribute(1, socket.inet_aton("198.51.100.0")) + attribute(4, struct.pack("=I", index))
    return message(kind, body, flags)


def link(kind, index, flags):
    body = struct.pack("=BxHiII", 0, 1, index, flags, 0xffffffff)
    return message(kind, body + attribute(3, b"eth1\0"))


def address(kind, index):
    body = struct.pack("=BBBBI", socket.AF_INET, 24, 0, 0, index)
    return message(kind, body + attribute(2, socket.inet_aton("192.0.2.1")))


def forgeries(protocol, index):
    """What would make a difference if the kernel said it; and what is no message at all."""
    both = [message(ERROR, struct.pack("=iIHHII", error, 16, 24, 5, seq, 0), seq=seq)
            for error in (0, -1, -105) for seq in range(1, 6)]
    both += [message(DONE, struct.pack("=i", 0), NLM_MULTI, seq) for seq in range(1, 6)]
    both += [message(OVERRUN, b""), b"\0" * 15, b"\xff" * 64, message(NEWROUTE, b"\0" * 3)]
    if protocol == 0:
        rule = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 254, 0, 0, 1, 0)
        forwarding = attribute(1, struct.pack("=i", -1)) + attribute(2, struct.pack("=i", 0))
        return both + [
            route(DELROUTE, index), route(NEWROUTE, index, NLM_CREATE_EXCL),
            link(DELLINK, index, 0), link(NEWLINK, index, 0), address(DELADDR, index),
            address(NEWADDR, index), message(DELRULE, rule + attribute(21, b"\x6e")),
            message(NETCONF, struct.pack("=Bxxx", socket.AF_INET) + forwarding)]
    if protocol == 12:
        head = struct.pack("=BBH", socket.AF_INET, 0, 0)
        return both + [
            message(NFT | NFT_DELTABLE, head + attribute(1, b"netshared\0")),
            message(NFT | NFT_NEWGEN, head + attribute(1, struct.pack(">I", 1 << 30)))]
    return both + [message(AUDIT_NETFILTER_CFG, b"audit(1.000:1): table=nat family=2 entries=1 "
                                                b"op=xt_replace pid=1 subj=x comm=\"init\"\0")]


class Sockets:
    """Those of the daemon, as the namespace's root sees them."""

    def __init__(self, d):
        self.d = d

    def all(self):
        """(protocol, port id, bytes that wait in it) of each."""
        inodes = set()
        for name in os.listdir("/proc/%d/fd" % self.d.pid):
            with contextlib.suppress(OSError):
                inodes.add(os.readlink("/proc/%d/fd/%s" % (self.d.pid, name)))
        with open("/proc/%d/net/netlink" % self.d.pid) as table:
            rows = [line.split() for line in table.readlines()[1:]]
        return [(int(r[1]), int(r[2]), int(r[4])) for r in rows if "socket:[%s]" % r[9] in inodes]

    def settle(self):
        """All that was sent has been read, and what came of it is over."""
        wait_until(lambda: not any(waiting for _, _, waiting in self.all()), "all is read")
        return self.counters()

    def counters(self):
        text = self.d.cli("metrics", check=True).stdout
        return [line for line in text.splitlines() if line.startswith("netshared_full")
                or line.startswith("netshared_netlink_overruns")
                or line.startswith("netshared_repairs")]


def index_of(ns, device):
    with ns.inside():
        return socket.if_nametoindex(device)


def is_sent(s, data, port, groups):
    try:
        s.sendto(data, (port, groups))
        return True
    except ConnectionRefusedError:
        return False


def send_all(w, sockets):
    """To each port and to the groups; how many were taken at ports."""
    index, taken = index_of(w.router, "eth1"), 0
    for protocol, port, _ in sockets.all():
        with w.router.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as s:
            for data in forgeries(protocol, index):
                taken += is_sent(s, data, port, 0)
    return taken


class Listener:
    """Hears what comes to a group, as the daemon does that is in it."""

    def __init__(self, w, protocol, group):
        self.socket = w.router.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self.socket.bind((0, 0))  # port 0 is the one that a message to a group passes by
        self.socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        self.socket.setblocking(False)

    def take(self):
        """What has come that is not the kernel's."""
        heard = []
        with contextlib.suppress(BlockingIOError):
            while True:
                data, (port, _) = self.socket.recvfrom(1 << 16)
                heard += [data] if port else []
        return heard


def groups_of(d):
    """(protocol, group) of all that the daemon is in."""
    found = set()
    with d.netlink_sockets() as sockets:
        for taken in sockets:
            lists = taken.getsockopt(SOL_NETLINK, NETLINK_LISTS, 64)
            bits = int.from_bytes(lists, sys.byteorder)
            found |= {(taken.proto, bit + 1) for bit in range(8 * len(lists)) if bits >> bit & 1}
    return found


def send_groups(w, groups):
    """To all there could be; those the daemon is in are shown to have been reached."""
    index = index_of(w.router, "eth1")
    for protocol in NAMES:
        sent = forgeries(protocol, index)
        for group in range(1, 33):
            listener = Listener(w, protocol, group) if (protocol, group) in groups else None
            with w.router.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as s:
                for data in sent:
                    with contextlib.suppress(OSError):
                        s.sendto(data, (0, 1 << group - 1))
            if listener:
                equal(listener.take(), sent, "heard in group %d of %s" % (group, NAMES[protocol]))
                listener.socket.close()


def drift(w, d):
    """A change that is really made is repaired as ever."""
    mark = d.mark()
    w.router.ip("route del 198.51.100.0/24")
    d.wait_log("restored", mark)
    wait_until(lambda: w.router.has_route(BASIC_ROUTE), "the route is back")
    w.router.firewall.flush()
    d.wait_log("restored.*lan-out|lan-out.*restored", mark)


@case("what others send to its sockets is refused, what they send to its groups passed over")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        sockets = Sockets(d)
        drift(w, d)
        before, mark = sockets.settle(), d.mark()
        equal(send_all(w, sockets), 0, "taken at a port")
        groups = groups_of(d)
        check((0, RTNLGRP_LINK) in groups, "the groups it is in: %s" % groups)
        send_groups(w, groups)
        equal(sockets.settle(), before, "what it did")
        equal(d.log_lines(mark), [], "what it said")
        drift(w, d)
        d.stop()


class Flood:
    """Sends the same without a pause, to one group, from threads of its own."""

    def __init__(self, w, protocol, group, data):
        self.socket = w.router.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self.target, self.data, self.sent, self.over = (0, 1 << group - 1), data, 0, False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.over:
            with contextlib.suppress(OSError):
                self.socket.sendto(self.data, self.target)
            self.sent += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()
        self.socket.close()


def flooded(w, d):
    mark = d.mark()
    index = index_of(w.router, "eth1")
    generation = forgeries(12, index)[-1]
    with Flood(w, 0, 7, route(DELROUTE, index)) as one, Flood(w, 12, 7, generation) as two:
        wait_until(lambda: one.sent > 2000 and two.sent > 2000, "a flood")
        for _ in range(2):
            drift(w, d)
            equal(d.status()["counts"]["held"], 3, "held")
    check(d.count_log("lost", mark) <= 5, "it goes on about it:\n" + d.log_text(mark))


@case("a flood of them holds up no repair, nor an answer")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        flooded(w, d)
        d.stop()


@case("nor does one that comes sooner than it can be read")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        # A sixth of one processor, beside those who send.
        cpus = os.sched_getaffinity(0)
        for pid in (0, d.process.pid):
            os.sched_setaffinity(pid, {min(cpus)})
        os.setpriority(os.PRIO_PROCESS, d.process.pid, 5)
        try:
            flooded(w, d)
        finally:
            os.sched_setaffinity(0, cpus)
        d.stop()


main()
