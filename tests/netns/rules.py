# SPDX-License-Identifier: GPL-2.0-or-later
"""Policy routing: rules kept, every way of losing one repaired, foreign ones left alone, packets."""

import base64
import os
import re
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import rtnl
from daemon import Daemon
from netns import World, differences, wait_until
from tap import case, check, contains, equal, main
from topology import Router
from traffic import UdpEcho, udp_peer

MAN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../man/netshared.yaml.5")
HOUR = "version: 1\nsettings: {resync: 1h}\n"
RULES = HOUR + """
rules:
  - {from: 10.1.0.0/24, table: 100, priority: 1000}
  - {iif: gone0, action: prohibit, priority: 1001, family: [ipv4, ipv6]}
  - {from: "2001:db8:1::/48", table: 100, priority: 1000}
"""
LINES = {4: "from 10.1.0.0/24 lookup 100", 6: "from 2001:db8:1::/48 lookup 100"}
PREFIX = {4: "10.1.0.0/24", 6: "2001:db8:1::/48"}
OURS = 110
FRA_PRIORITY, FRA_PROTOCOL = 6, 21
NLM_F_CREATE = 0x400


def rules(ns, family=4, proto="110"):
    """Lines of `ip -N rule` with this protocol, without it."""
    lines = [" ".join(line.split()) for line in ns.ip("-N -%d rule show" % family).splitlines()]
    return [re.sub(r" proto \d+", "", line) for line in lines
            if proto is None or " proto %s" % proto in line + " "]


def saved(ns, family, ours=False):
    """The messages of `ip rule save`, but for what their headers say of the request."""
    text = ns.run("sh", "-c", "ip -%d rule save | base64" % family).stdout
    data, bodies = base64.b64decode(text)[4:], []
    while len(data) >= 16:
        length, kind = struct.unpack_from("IH", data)
        body = data[16:length]
        data = data[(length + 3) & ~3:]
        if kind == 32 and (attribute(body, FRA_PROTOCOL) == bytes([OURS])) == ours:
            bodies.append(body)
    return bodies


def attribute(body, wanted):
    at = 12
    while at + 4 <= len(body):
        length, kind = struct.unpack_from("HH", body, at)
        if length < 4:
            break
        if kind & 0x3fff == wanted:
            return body[at + 4:at + length]
        at += (length + 3) & ~3
    return None


def add_again(ns, family, priority):
    """Our rule once more, which `ip rule add` would refuse to do."""
    body = next(b for b in saved(ns, family, ours=True)
                if attribute(b, FRA_PRIORITY) == struct.pack("I", priority))
    with ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as s:
        s.bind((0, 0))
        s.send(struct.pack("IHHII", 16 + len(body), 32,
                           rtnl.NLM_F_REQUEST | rtnl.NLM_F_ACK | NLM_F_CREATE, 1, 0) + body)
        equal(struct.unpack_from("i", s.recv(65536), 16)[0], 0, "the kernel's answer")


class Kept:
    """A router whose daemon keeps rules; says when they are back as they were."""

    def __init__(self, text=RULES, prepare=None):
        self.world = Router()
        try:
            self.router = self.world.router
            if prepare:
                prepare(self.router)
            self.daemon = Daemon(self.router, text).start()
            self.ours = self.now()
        except BaseException:
            self.world.diagnose()
            self.world.close()
            raise
        self.mark = self.daemon.mark()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if error[0] is None:
            try:
                self.daemon.stop()
            except BaseException:
                self.world.close()
                raise
        self.world.__exit__(*error)

    def now(self):
        return [sorted(rules(self.router, family)) for family in (4, 6)]

    def wait_back(self):
        try:
            wait_until(lambda: self.now() == self.ours, "the rules are as before")
        except Exception:
            check(False, "rules are %s, were %s" % (self.now(), self.ours))


@case("rules of both families go in, with our protocol; a detached interface is no hindrance")
def _():
    with Kept() as k:
        equal(rules(k.router, 4), ["1000: from 10.1.0.0/24 lookup 100",
                                   "1001: from all iif gone0 [detached] 8"], "IPv4 rules")
        equal(rules(k.router, 6), ["1000: from 2001:db8:1::/48 lookup 100",
                                   "1001: from all iif gone0 [detached] 8"], "IPv6 rules")
        for name in ("from 10.1.0.0/24 lookup 100 priority 1000",
                     "from all iif gone0 prohibit priority 1001 (ipv6)"):
            equal(k.daemon.object(name)["state"], "held", name)
            equal(k.daemon.object(name)["kind"], "rule", "its kind")
        contains(k.daemon.status_text(), "4 rules", "the status")
        k.router.stub("gone0")
        k.router.ip("link del gone0")
        k.wait_back()


for family in (4, 6):
    def _(family=family):
        with Kept() as k:
            k.router.ip("-%d rule del %s priority 1000" % (family, LINES[family]))
            k.wait_back()
            k.daemon.wait_log(r"rule from %s lookup 100 priority 1000 was removed by "
                              r"(ip\[\d+\]|an unknown process \(netlink port \d+\)); restored in" % PREFIX[family], k.mark)
    case("IPv%d: ip rule del" % family)(_)

    def _(family=family):
        with Kept() as k:
            k.daemon.signal(19)  # SIGSTOP: both before it looks
            k.router.ip("-%d rule del %s priority 1000" % (family, LINES[family]))
            k.router.ip("-%d rule add from %s lookup 200 priority 1000 protocol 110" % (
                family, PREFIX[family]))
            k.daemon.signal(18)
            k.wait_back()
            k.daemon.wait_log(r"rule from %s lookup 200 priority 1000 removed" % PREFIX[family],
                              k.mark)
    case("IPv%d: replaced by one with our mark" % family)(_)

    def _(family=family):
        with Kept() as k:
            add_again(k.router, family, 1000)
            k.wait_back()
            k.daemon.wait_log(r"removed .*it stood there twice", k.mark)
    case("IPv%d: doubled" % family)(_)

    def _(family=family):
        with Kept() as k:
            k.router.ip("-%d rule flush" % family)
            k.wait_back()
            k.router.ip("-%d rule flush protocol 110" % family)
            k.wait_back()
    case("IPv%d: ip rule flush" % family)(_)

    def _(family=family):
        def prepare(router):
            for command in ("add from %s lookup 100 priority 1000" % PREFIX[family],
                            "add lookup 100 priority 1000 protocol 4",
                            "add not from %s blackhole priority 7 protocol static" % PREFIX[family],
                            "add iif eth0 oif eth1 fwmark 0x1/0xf tos 0x10 lookup 5 priority 1000"):
                router.ip("-%d rule %s" % (family, command))

        with Kept(prepare=prepare) as k:
            before = saved(k.router, family)
            equal(len(before), 7 if family == 4 else 6, "foreign rules")
            k.router.ip("-%d rule del %s priority 1000 protocol 110" % (family, LINES[family]))
            k.wait_back()
            add_again(k.router, family, 1000)
            k.wait_back()
            k.daemon.reload(RULES.replace("table: 100", "table: 200"))
            k.daemon.reload(HOUR + "rules: []\n")
            equal(rules(k.router, family), [], "our rules")
            equal(saved(k.router, family), before, "foreign rules, byte for byte")
    case("IPv%d: foreign rules stay byte for byte, those that say the same too" % family)(_)


@case("a foreign rule that comes and goes wakes nobody")
def _():
    with Kept() as k:
        before = k.daemon.status()["work"]["passes"]
        for _ in range(20):
            k.router.ip("rule add from 10.9.0.0/16 lookup 5 priority 9")
            k.router.ip("rule del from 10.9.0.0/16 lookup 5 priority 9")
        k.router.ip("rule del %s priority 1000" % LINES[4])
        k.wait_back()
        equal(k.daemon.status()["work"]["passes"], before + 1, "passes")


@case("a wider rule of ours goes without the narrower one that stands before it")
def _():
    narrow = HOUR + "rules:\n  - {from: 10.1.0.0/24, table: 100, priority: 1000}\n"
    with Kept(narrow) as k:
        k.daemon.reload(narrow + "  - {table: 100, priority: 1000, family: ipv4}\n")
        equal(rules(k.router), ["1000: from 10.1.0.0/24 lookup 100", "1000: from all lookup 100"],
              "rules")
        monitor = rtnl.Monitor(k.router, ("rule",))
        k.daemon.reload(narrow)
        equal(rules(k.router), ["1000: from 10.1.0.0/24 lookup 100"], "rules")
        equal([e.verb for e in monitor.take()], ["new", "del", "del"], "never without it")


@case("a reload writes what differs, new before old")
def _():
    with Kept() as k:
        monitor = rtnl.Monitor(k.router, ("rule",))
        k.daemon.reload(RULES.replace("10.1.0.0/24, table: 100", "10.1.0.0/24, table: 200"))
        equal([e.verb for e in monitor.take()], ["new", "del"], "messages")
        k.daemon.reload()
        equal(monitor.take(), [], "messages of a reload that changes nothing")


@case("another route-protocol marks the rules anew; restart and kill leave them as they are")
def _():
    with Kept() as k:
        k.daemon.reload(RULES.replace("{resync: 1h}", "{resync: 1h, route-protocol: 111}"))
        wait_until(lambda: rules(k.router, 4) == [] and len(rules(k.router, 4, "111")) == 2,
                   "all rules bear 111")
        monitor = rtnl.Monitor(k.router, ("rule",))
        k.daemon.kill9()
        k.daemon.start()
        equal(monitor.take(), [], "messages")


@case("plan, apply, remove")
def _():
    with Router() as w:
        d = Daemon(w.router, RULES)
        before = w.router.snapshot()
        result = d.plan()
        equal(result.returncode, 3, "exit code, with\n" + result.stderr)
        for line in ("+ rule from 10.1.0.0/24 lookup 100 priority 1000",
                     "+ rule from all iif gone0 prohibit priority 1001 (ipv6)"):
            check(line in result.stdout.splitlines(), "no %r in\n%s" % (line, result.stdout))
        equal(differences(before, w.router.snapshot()), "", "what plan changed")
        contains(d.cli("apply", check=True).stdout, "4 rules", "what apply says")
        equal(d.plan().returncode, 0, "plan then")
        w.router.ip("rule add from 10.9.0.0/24 lookup 9 priority 9 protocol 110")
        w.router.ip("-6 rule del %s priority 1000" % LINES[6])
        add_again(w.router, 4, 1000)
        equal(sorted(d.plan().stdout.splitlines()),
              ["+ rule from 2001:db8:1::/48 lookup 100 priority 1000",
               "- rule from 10.1.0.0/24 lookup 100 priority 1000 (it stands twice)",
               "- rule from 10.9.0.0/24 lookup 9 priority 9"], "plan after changes")
        d.cli("remove", check=True)
        equal(differences(before, w.router.snapshot()), "", "what differs from before netshared")


@case("on-stop: remove takes the rules away")
def _():
    with Kept(RULES.replace("{resync: 1h}", "{resync: 1h, on-stop: remove}")) as k:
        k.daemon.stop()
        equal(k.now(), [[], []], "rules")
        k.daemon.start()
        k.wait_back()


@case("a rule that stands already is taken over without a word")
def _():
    with Router() as w:
        w.router.ip("rule add from 10.1.0.0/24 lookup 100 priority 1000 protocol 110")
        d = Daemon(w.router, RULES).start()
        equal(d.count_log(r"rule from 10\.1\.0\.0/24 .*added"), 0, "said to be added")
        equal(d.count_log(r"rule from 2001:db8:1::/48 .*added"), 1, "said to be added")
        d.stop()


def man_example(title):
    """The file under a heading of the manual page."""
    with open(MAN) as f:
        text = f.read().split(".SS " + title)[1]
    return text.split(".nf\n")[1].split(".fi\n")[0].replace("\\-", "-")


class Uplinks(World):
    """Two LANs, two providers; what is beyond each of them has the same address."""

    def __init__(self):
        super().__init__()
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self):
        self.router = self.ns("router")
        self.lans = [self.ns("lana"), self.ns("lanb")]
        self.isps = [self.ns("ispa"), self.ns("ispb")]
        for i, lan in enumerate(self.lans):
            self.veth(lan, "eth0", self.router, "eth%d" % i)
            lan.ip_batch(["addr add 10.%d.0.2/24 dev eth0" % (i + 1),
                          "addr add 2001:db8:%d::2/64 dev eth0 nodad" % (i + 1),
                          "route add default via 10.%d.0.1" % (i + 1),
                          "route add default via 2001:db8:%d::1" % (i + 1)])
            self.router.ip_batch(["addr add 10.%d.0.1/24 dev eth%d" % (i + 1, i),
                                  "addr add 2001:db8:%d::1/64 dev eth%d nodad" % (i + 1, i)])
        for i, (isp, net, net6) in enumerate(zip(self.isps, ("192.0.2", "203.0.113"),
                                                 ("2001:db8:a::", "2001:db8:b::"))):
            self.veth(isp, "eth0", self.router, "eth%d" % (i + 2))
            isp.ip_batch(["addr add %s.2/24 dev eth0" % net,
                          "addr add %s2/64 dev eth0 nodad" % net6,
                          "addr add 198.51.100.1/32 dev lo",
                          "addr add 2001:db8:ffff::1/128 dev lo nodad"])
            self.router.ip_batch(["addr add %s.1/24 dev eth%d" % (net, i + 2),
                                  "addr add %s1/64 dev eth%d nodad" % (net6, i + 2)])
            UdpEcho(isp, "198.51.100.1")
            UdpEcho(isp, "2001:db8:ffff::1")
        for i, lan in enumerate(self.lans):
            UdpEcho(lan, "10.%d.0.2" % (i + 1))

    def seen_as(self, far):
        return [udp_peer(lan, far) for lan in self.lans]


@case("two uplinks, as in the manual: one network leaves by the second")
def _():
    with Uplinks() as w:
        d = Daemon(w.router, man_example("Two uplinks")).start()
        equal(w.seen_as("198.51.100.1"), ["192.0.2.1", "203.0.113.1"], "who the far end sees")
        equal([udp_peer(w.lans[0], "10.2.0.2"), udp_peer(w.lans[1], "10.1.0.2")],
              ["10.1.0.2", "10.2.0.2"], "who sees whom between the networks")
        w.router.ip("rule flush")  # main and default too, which are not ours
        wait_until(lambda: len(rules(w.router)) == 2, "our rules are back")
        w.router.ip("rule add lookup main priority 32766")
        equal(w.seen_as("198.51.100.1"), ["192.0.2.1", "203.0.113.1"], "after a flush")
        d.stop()


@case("two uplinks in IPv6, by the mark of a firewall rule")
def _():
    text = """
version: 1
routes:
  - {to: "::/0", via: "2001:db8:a::2", dev: eth2}
  - {to: "::/0", via: "2001:db8:b::2", dev: eth3, table: 100}
rules:
  - {mark: 0x2/0xff, table: 100, priority: 1000, family: ipv6}
masquerade:
  - {name: uplinks, out: [eth2, eth3], family: ipv6}
"""
    with Uplinks() as w:
        w.router.iptables("-t mangle -A PREROUTING -i eth1 -j MARK --set-mark 0x102", 6)
        d = Daemon(w.router, text).start()
        equal(w.seen_as("2001:db8:ffff::1"), ["2001:db8:a::1", "2001:db8:b::1"],
              "who the far end sees")
        d.stop()


main()
