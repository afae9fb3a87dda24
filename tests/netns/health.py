# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks: routes and nexthops that are wanted only while something answers by them."""

import os
import re
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from netns import differences, holds_for, wait_until
from tap import case, check, contains, equal, main
from topology import FAR4, FAR6, Uplinks
from traffic import PORT, TcpEcho, tcp_peer

# So short that a test need not wait, and so patient that a busy machine fails nothing.
TIMES = "interval: 200ms, fail: 4, recover: 2"
GATEWAYS = {4: ("192.0.2.2", "203.0.113.2"), 6: ("2001:db8:1::2", "2001:db8:2::2")}
TARGET = {4: FAR4, 6: FAR6}
HEAD = "version: 1\nsettings: {resync: 1h}\n"


def ping(family, more=TIMES):
    return 'check: {ping: "%s", %s}' % (TARGET[family], more)


def masquerade(family):
    return "masquerade:\n  - {name: out, out: [eth1, eth2], family: ipv%d}\n" % family


def failover(family, first=None, second=None):
    lines = ['  - {to: default, via: "%s", dev: eth%d, metric: %d, %s}\n' % (
        GATEWAYS[family][i], i + 1, 100 * (i + 1), what or ping(family))
        for i, what in enumerate((first, second))]
    return HEAD + "routes:\n" + "".join(lines) + masquerade(family)


def default(family, uplink):
    return "default via %s dev eth%d table 254" % (GATEWAYS[family][uplink - 1], uplink)


def in_main(ns, family):
    """The uplinks by which our default routes of the table main lead."""
    found = []
    for line in ns.routes(family):
        if " table 254 " in line + " " or " table " not in line:
            found += re.findall(r"dev eth(\d)", line) if line.startswith("default") else []
    return found


def seen_from(w, family):
    return tcp_peer(w.client, TARGET[family], timeout=1.0)


def wait_uplink(w, family, number):
    want = w.UPLINKS[number][family == 6]
    wait_until(lambda: seen_from(w, family) == want, "traffic by uplink %d" % number, timeout=20)


def wait_main(w, family, *uplinks):
    want = [str(n) for n in uplinks]
    try:
        wait_until(lambda: in_main(w.router, family) == want, "default routes", timeout=20)
    except Exception:
        check(False, "default routes by %s, not %s" % (in_main(w.router, family), want))


def fail_over(family):
    with Uplinks() as w:
        w.serve()
        d = Daemon(w.router, failover(family)).start()
        wait_uplink(w, family, 1)
        name = "ping %s via %s dev eth1" % (TARGET[family], GATEWAYS[family][0])
        for _ in range(2):
            mark = d.mark()
            w.dies(1)
            wait_uplink(w, family, 2)
            line = d.wait_log("check " + re.escape(name), since=mark)
            contains(line, "fails: no answer 4 times; 1 route withdrawn", "journal")
            o = d.wait_state("default via %s dev eth1 metric 100" % GATEWAYS[family][0], "standby")
            contains(o["reason"], "check %s fails: no answer 4 times" % name, "reason")
            equal(d.status()["state"], "running", "it does what it is to do")
            wait_until(lambda: "1 standby" in d.status_text(), "STATUS=")
            mark = d.mark()
            w.lives(1)
            wait_uplink(w, family, 1)
            line = d.wait_log("check " + re.escape(name), since=mark)
            check(re.search(r"works again after [\d.]+ m?s; 1 route back", line), line)
        equal(d.count_log("restored|check .* dev eth2"), 0, "neither drift nor the other uplink")
        d.stop()


@case("two uplinks: the far end of the first dies with its carrier up; traffic moves, and back")
def _():
    fail_over(4)


@case("the same with IPv6")
def _():
    fail_over(6)


def multipath(family):
    text = HEAD + "routes:\n  - to: default\n    nexthops:\n" + "".join(
        '      - {via: "%s", dev: eth%d, %s}\n' % (GATEWAYS[family][i], i + 1, ping(family))
        for i in range(2)) + masquerade(family)
    with Uplinks() as w:
        w.serve()
        d = Daemon(w.router, text).start()
        equal(sorted(in_main(w.router, family)), ["1", "2"], "nexthops")
        for dead, left in ((1, 2), (2, 1)):
            mark = d.mark()
            w.dies(dead)
            wait_main(w, family, left)
            line = d.wait_log("check ping .* dev eth%d" % dead, since=mark)
            contains(line, "1 route goes on by other nexthops", "journal")
            wait_uplink(w, family, left)
            d.wait_state("default nexthop", "held")
            w.lives(dead)
            wait_until(lambda: sorted(in_main(w.router, family)) == ["1", "2"], "both", timeout=20)
        w.dies(1)
        w.dies(2)
        wait_main(w, family)
        d.wait_state("default nexthop", "standby")
        w.lives(2)
        wait_main(w, family, 2)
        equal(d.count_log("restored"), 0, "no drift")
        d.stop()


@case("a multipath route: a nexthop leaves and returns; both; IPv4")
def _():
    multipath(4)


@case("a multipath route: a nexthop leaves and returns; both; IPv6")
def _():
    multipath(6)


@case("tcp: a service that is down, a way that is down, IPv4 and IPv6")
def _():
    with Uplinks() as w:
        text = HEAD + "routes:\n" + "".join(
            '  - {to: default, via: "%s", dev: eth1, check: {tcp: "%s", port: %d, %s}}\n' % (
                GATEWAYS[family][0], TARGET[family], PORT, TIMES) for family in (4, 6))
        servers = [TcpEcho(w.server, TARGET[family]) for family in (4, 6)]
        d = Daemon(w.router, text).start()
        for server in servers:
            server.stop()
        for family in (4, 6):
            wait_main(w, family)
            line = d.wait_log("check tcp %s port %d .* fails" % (TARGET[family], PORT))
            contains(line, "connection refused 4 times", "journal")
        servers = [TcpEcho(w.server, TARGET[family]) for family in (4, 6)]
        for family in (4, 6):
            wait_main(w, family, 1)
        mark = d.mark()
        w.dies(1)
        for family in (4, 6):
            wait_main(w, family)
            line = d.wait_log("check tcp %s .* fails" % TARGET[family], since=mark)
            contains(line, "no answer 4 times", "journal")
        w.lives(1)
        for family in (4, 6):
            wait_main(w, family, 1)
        d.stop()


@case("somebody on the way says that it can't be reached: a miss at once")
def _():
    # An interval so long that no time-out could have been waited for.
    times = "interval: 1s, timeout: 1s, fail: 2, recover: 1"
    with Uplinks() as w:
        text = HEAD + "routes:\n" + "".join(
            '  - {to: default, via: "%s", dev: eth1, %s}\n' % (
                GATEWAYS[family][0], ping(family, times)) for family in (4, 6))
        d = Daemon(w.router, text).start()
        w.far[1].ip_batch(["route add unreachable %s" % FAR4, "-6 route add unreachable %s" % FAR6])
        for family in (4, 6):
            wait_main(w, family)
            contains(d.wait_log("check ping " + TARGET[family]), "fails: unreachable 2 times", "log")
        w.far[1].ip_batch(["route del unreachable %s" % FAR4, "-6 route del unreachable %s" % FAR6])
        for family in (4, 6):
            wait_main(w, family, 1)
        d.stop()


# ---- the way of the probes


def ping_sockets(ns):
    """Raw ones of ICMP; iptables has some of its own for a moment."""
    with ns.inside():
        with open("/proc/thread-self/net/raw") as f:
            return sum(line.split()[1].endswith(":0001") for line in f)


@case("how probes leave: tables and rules of their own, named, repaired, gone with the check")
def _():
    with Uplinks() as w:
        before = w.router.snapshot()
        text = HEAD + "routes:\n" + "".join(
            '  - {to: default, via: "%s", dev: eth1, %s}\n' % (GATEWAYS[family][0], ping(family))
            for family in (4, 6))
        d = Daemon(w.router, text)
        plan = d.plan()
        contains(plan.stdout, "+ probe route default via 192.0.2.2 dev eth1 table 11000", "plan")
        contains(plan.stdout, "+ probe rule from all fwmark 0x6e000000 lookup 11000", "plan")
        contains(plan.stdout, "# check ping %s via 192.0.2.2 dev eth1 counts as working" % FAR4,
                 "plan")
        d.start()
        for kind, name in (("probe route", "default via 192.0.2.2 dev eth1 table 11000"),
                           ("probe route", "unreachable default table 11000"),
                           ("probe rule", "from all fwmark 0x6e000001 lookup 11001")):
            equal(d.object(name, kind)["state"], "held", name)
        contains(d.wait_notified("READY=1"), "STATUS=2 routes and 0 policies held", "what is counted")
        mark = d.mark()
        w.router.ip("rule del fwmark 0x6e000000 lookup 11000")
        d.wait_log("probe rule from all fwmark 0x6e000000 .*was removed.*restored", since=mark)
        w.router.ip("-6 route del default table 11001 metric 1024")
        d.wait_log("probe route default via 2001:db8:1::2 .*restored", since=mark)
        equal(d.plan().stdout.count("\n"), 2, "what is left to do, but for the remarks")
        equal(ping_sockets(w.router), 1, "sockets for pings")
        d.kill9()
        held = w.router.snapshot()
        d.start()
        equal(differences(held, w.router.snapshot()), "", "after kill -9 and a restart")
        equal(d.status()["work"]["route_messages"], 0, "route messages")
        equal(d.status()["work"]["rule_messages"], 0, "rule messages")
        mark = d.mark()
        d.reload(HEAD)
        wait_until(lambda: d.count_log("probe (route|rule) .* removed", mark) == 6, "told as what they were")
        equal(differences(before, w.router.snapshot()), "", "nothing is left")
        equal(ping_sockets(w.router), 0, "sockets for pings, without a check")
        d.stop()


@case("a reload while a check fails: nothing flaps, and nobody hears of it again")
def _():
    with Uplinks() as w:
        d = Daemon(w.router, failover(4)).start()
        w.dies(1)
        wait_main(w, 4, 2)
        mark = d.mark()
        messages = d.status()["work"]["route_messages"]
        d.reload(failover(4) + "# the same\n")
        d.reload(failover(4) + "rules:\n  - {from: 10.9.0.0/24, table: 100, priority: 1000}\n")
        equal(in_main(w.router, 4), ["2"], "default routes")
        # Asked in another rhythm it is the same that is asked.
        d.reload(failover(4, ping(4, "interval: 100ms, fail: 5, recover: 3")))
        equal(in_main(w.router, 4), ["2"], "default routes")
        equal(d.status()["work"]["route_messages"], messages, "route messages")
        equal(d.count_log("check ", mark), 0, "what is told of checks")
        contains(d.object("default via 192.0.2.2 dev eth1 metric")["reason"], "no answer 4 times",
                 "reason")
        # A check of another target is another one: it works until it fails.
        d.reload(failover(4, 'check: {ping: 172.16.1.2, %s}' % TIMES))
        wait_main(w, 4, 1, 2)
        d.reload(failover(4))
        wait_main(w, 4, 2)
        w.lives(1)
        wait_main(w, 4, 1, 2)
        d.stop()


@case("the same nexthop checked by many routes is asked once")
def _():
    text = HEAD + "routes:\n" + "".join(
        "  - {to: 10.%d.0.0/16, via: 192.0.2.2, dev: eth1, %s}\n" % (n, ping(4))
        for n in range(50, 80))
    with Uplinks() as w:
        d = Daemon(w.router, text).start()
        equal(len(d.objects("probe rule")), 1, "rules")
        w.dies(1)
        contains(d.wait_log("check ping"), "30 routes withdrawn", "journal")
        # It is said when it is decided, and done right after.
        wait_until(lambda: len(w.router.routes()) == 2, "two routes are left")
        w.lives(1)
        contains(d.wait_log("check ping .* works again"), "30 routes back", "journal")
        equal(d.count_log("check ping"), 2, "lines")
        d.stop()


@case("many gateways that are not there do not keep others from being asked about")
def _():
    many = range(10, 90)
    text = HEAD + "routes:\n" + "".join(
        "  - {to: 10.50.%d.0/24, via: 192.0.2.%d, dev: eth1, check: {ping: %s, interval: 100ms}}\n"
        % (n, n, FAR4) for n in many)
    with Uplinks() as w:
        d = Daemon(w.router, text).start()
        # What was sent to one waits until the kernel gives it up.
        wait_until(lambda: "FAILED" in w.router.ip("neigh show dev eth1"), "given up", timeout=30)
        wait_until(lambda: d.count_log("check ping .* fails: no answer 3 times") == len(many),
                   "all fail", timeout=30)
        equal(d.count_log("can't ask"), 0, "complaints")
        d.stop()


@case("without its device a check fails quietly and says why; then it is back")
def _():
    with Uplinks() as w:
        w.router.ip("link set eth1 down")
        w.router.ip("link set eth1 name other")
        d = Daemon(w.router, failover(4)).start()
        line = d.wait_log("check ping .* dev eth1")
        contains(line, "fails: interface eth1 does not exist", "journal")
        contains(d.object("default via 192.0.2.2 dev eth1 metric")["reason"],
                 "interface eth1 does not exist", "reason")
        w.router.ip("link set other name eth1")
        w.router.ip("link set eth1 up")
        wait_main(w, 4, 1, 2)
        mark = d.mark()
        w.router.ip("link set eth1 down")
        line = d.wait_log("check ping .* dev eth1", since=mark)
        contains(line, "fails: its nexthop can't be used", "journal")
        w.router.ip("link set eth1 up")
        wait_main(w, 4, 1, 2)
        d.stop()


@case("a strict rp_filter, which would drop the answers, is told")
def _():
    with Uplinks() as w:
        w.router.sysctl("net.ipv4.conf.eth1.rp_filter", 1)
        d = Daemon(w.router, failover(4)).start()
        w.dies(1)
        line = d.wait_log("check ping .* dev eth1")
        contains(line, "set net.ipv4.conf.eth1.rp_filter=2", "journal")
        wait_main(w, 4, 2)
        w.lives(1)
        holds_for(lambda: in_main(w.router, 4) == ["2"], "its answers are dropped", 1.0)
        w.router.sysctl("net.ipv4.conf.eth1.rp_filter", 2)
        wait_main(w, 4, 1, 2)
        d.stop()


@case("a gateway that is learned: the probes follow it")
def _():
    text = HEAD + ("routes:\n  - {to: default, via: {learned-on: eth1}, table: 100, %s}\n" % ping(4))
    route = "default via 192.0.2.2 dev eth1 table 100"
    with Uplinks() as w:
        d = Daemon(w.router, text).start()
        contains(d.wait_log("check ping .*learned-on eth1"), "no gateway is learned on eth1", "log")
        w.router.ip("route add default via 192.0.2.2 dev eth1 proto dhcp metric 50")
        wait_until(lambda: w.router.has_route(route), "the route", timeout=20)
        # Another gateway, behind which nobody answers; and the right one again.
        w.router.ip("route replace default via 192.0.2.9 dev eth1 proto dhcp metric 50")
        d.wait_state("default via 192.0.2.9 dev eth1 table 100", "standby", "route", timeout=20)
        w.router.ip("route replace default via 192.0.2.2 dev eth1 proto dhcp metric 50")
        wait_until(lambda: w.router.has_route(route), "the route", timeout=20)
        d.stop()


# ---- forged answers


class Forger:
    """Answers each echo request that passes a device, as `forge` changes the answer."""

    def __init__(self, ns, device):
        self.socket = ns.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        self.socket.bind((device, 0x0800))
        self.socket.settimeout(0.1)
        self.forge = None
        self.sent = 0
        self.going = True
        ns.world.closing.insert(0, self.stop)
        self.thread = threading.Thread(target=self._answer, daemon=True)
        self.thread.start()

    def _answer(self):
        while self.going:
            try:
                frame, address = self.socket.recvfrom(2048)
            except socket.timeout:
                continue
            if address[2] == socket.PACKET_OUTGOING or frame[23] != 1 or frame[34] != 8:
                continue
            forge = self.forge
            if forge:
                self.socket.send(forge(frame))
                self.sent += 1

    def stop(self):
        self.going = False
        self.thread.join(2)
        self.socket.close()


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def answer(frame, source=None, identity=0, sequence=0, cookie=0, length=None, bad=0):
    """The answer to a request, wrong in what is not left out."""
    ip, icmp = bytearray(frame[14:34]), bytearray(frame[34:14 + struct.unpack("!H", frame[16:18])[0]])
    ip[12:16], ip[16:20] = source or ip[16:20], ip[12:16]
    icmp[0] = 0
    icmp[4:6] = struct.pack("!H", struct.unpack("!H", icmp[4:6])[0] ^ identity)
    icmp[6:8] = struct.pack("!H", struct.unpack("!H", icmp[6:8])[0] ^ sequence)
    icmp[-1] ^= cookie
    icmp = icmp[:length]
    icmp[2:4] = b"\0\0"
    icmp[2:4] = struct.pack("!H", checksum(bytes(icmp)) ^ bad)
    ip[2:4] = struct.pack("!H", 20 + len(icmp))
    ip[10:12] = b"\0\0"
    ip[10:12] = struct.pack("!H", checksum(bytes(ip)))
    return frame[6:12] + frame[:6] + frame[12:14] + bytes(ip) + bytes(icmp)


@case("forged answers do not count, whatever one of their parts is wrong")
def _():
    wrong = {"source": {"source": socket.inet_aton("198.51.100.2")}, "id": {"identity": 1},
             "sequence": {"sequence": 1}, "cookie": {"cookie": 1}, "checksum": {"bad": 1},
             "length": {"length": 16}, "no more than a header": {"length": 8}}
    with Uplinks() as w:
        d = Daemon(w.router, failover(4)).start()
        w.dies(1)
        wait_main(w, 4, 2)
        forger = Forger(w.gw[1], "eth0")
        for what, change in wrong.items():
            forger.forge = lambda frame, change=change: answer(frame, **change)
            sent = forger.sent
            wait_until(lambda sent=sent: forger.sent >= sent + 4, "forged answers: " + what)
            equal(in_main(w.router, 4), ["2"], "default routes after answers with a wrong " + what)
        forger.forge = answer
        wait_main(w, 4, 1, 2)
        d.stop()


# ---- what is written about it


def example(title):
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../man/netshared.yaml.5")
    with open(path) as f:
        text = f.read()
    block = text[text.index(".SS " + title + "\n"):]
    block = block[block.index(".nf\n") + 4:block.index(".fi\n")]
    return block.replace("\\-", "-").replace("\\(dq", '"')


@case("the example of the manual page: two uplinks with failover")
def _():
    text = example("Two uplinks with failover")
    for target in ("1.1.1.1", "9.9.9.9"):
        contains(text, target, "the example")
        text = text.replace(target, FAR4)
    with Uplinks() as w:
        w.serve()
        d = Daemon(w.router, text).start()
        wait_uplink(w, 4, 1)
        w.dies(1)
        wait_uplink(w, 4, 2)
        w.lives(1)
        wait_uplink(w, 4, 1)
        d.stop()


main()
