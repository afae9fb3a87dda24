# SPDX-License-Identifier: GPL-2.0-or-later
"""Who did it: named when that is certain, and nobody is blamed for what another did.

What the kernel itself tells of the pid is of the initial pid namespace: those cases want to run
there. What it tells of iptables, by its audit records, is told in the initial network namespace
alone: that case is for a machine of its own (NETSHARED_TEST_MACHINE, see tests/system/run-vm.sh).
"""

import os
import re
import socket
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import firewall
import netns
from daemon import Daemon
from netns import wait_until
from tap import case, check, equal, main
from topology import Router

ROUTE = "198.51.100.0/24"
ROUTES = """
version: 1
settings: {resync: 1h}
routes:
  - {to: 198.51.100.0/24, via: 192.0.2.2, dev: eth1}
"""
POLICY = """
version: 1
settings: {resync: 1h}
masquerade:
  - {name: home, from: [10.0.0.0/24], out: [eth1]}
"""
SHARE = """version: 1
settings: {resync: 1h}
share:
  - {name: home, lan: eth0, wan: eth1, family: ipv4}
"""
PASSING = """table ip mine {
  chain passing {
    type filter hook forward priority 0; policy drop;
  }
}
"""
# Deletes the route and waits to be ended, with its socket open: there is time to look at it.
DELETE = """
import socket, struct, sys
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
s.bind((0, 0))
body = struct.pack("=BBBBBBBBI", socket.AF_INET, 24, 0, 0, 254, 0, 255, 0, 0)
body += struct.pack("=HH4s", 8, 1, socket.inet_aton("198.51.100.0"))
s.send(struct.pack("=IHHII", 16 + len(body), 25, 5, 1, 0) + body)
error = struct.unpack_from("=i", s.recv(4096), 16)[0]
print(error, s.getsockname()[0], flush=True)
sys.stdin.read()
"""
IN_CONTAINER = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
ON_MACHINE = os.environ.get("NETSHARED_TEST_MACHINE") == "1"


def initial_pids():
    return os.stat("/proc/self/ns/pid").st_ino == 0xeffffffc


def delete_route(w, *wrap, program=DELETE):
    """(process, port id) of one that has deleted it."""
    p = w.router.popen([*wrap, sys.executable, "-c", program], stdin=subprocess.PIPE,
                       stdout=subprocess.PIPE, text=True)
    error, port = p.stdout.readline().split()
    equal(error, "0", "the error")
    return p, int(port)


@case("a route's culprit is named by name and pid")
def _():
    with Router() as w:
        d = Daemon(w.router, ROUTES).start()
        mark = d.mark()
        p, port = delete_route(w)
        with open("/proc/%d/comm" % p.pid) as f:
            name = f.read().strip()
        equal(port, p.pid, "the port id")
        d.wait_log(r"route %s \S.* was removed by %s\[%d\]; restored in" % (
            ROUTE, name, p.pid), mark)
        p.stdin.close()
        who = "%s[%d]" % (name, p.pid)
        equal(d.object(ROUTE + " via 192.0.2.2 dev eth1")["culprit"], who, "in status")
        p.wait(20)
        # Of one that is not certain, what is known stays.
        mark = d.mark()
        w.router.ip("route del " + ROUTE)
        d.wait_log(r"route %s \S.* was removed .*restored in" % ROUTE, mark)
        check(d.object(ROUTE + " via 192.0.2.2 dev eth1")["culprit"], "it was forgotten")
        d.stop()


@case("what a container does is not blamed on who has its number here")
def _():
    with Router() as w:
        d = Daemon(w.router, ROUTES).start()
        mark = d.mark()
        p, port = delete_route(w, *IN_CONTAINER)
        equal(port, 1, "the port id, as the container counts")
        line = d.wait_log(r"route %s .*; restored in" % ROUTE, mark)
        check(" was removed by an unknown process (netlink port 1);" in line, line)
        p.stdin.close()
        # Nor on one of ours whose number it takes for itself.
        mark = d.mark()
        p, port = delete_route(w, *IN_CONTAINER, program=DELETE.replace(
            "bind((0, 0))", "bind((%d, 0))" % os.getpid()))
        equal(port, os.getpid(), "the port id")
        line = d.wait_log(r"route %s .*; restored in" % ROUTE, mark)
        check(" was removed by an unknown process (netlink port %d);" % port in line, line)
        p.stdin.close()
        d.stop()


NFT = ("nftables", "iptables tells of its changes by audit records alone")


if initial_pids():
    @case("what nf_tables tells: name and pid of the process, from the event", only=NFT)
    def _():
        with Router() as w:
            d = Daemon(w.router, POLICY).start()
            for words, happened in (("delete table ip netshared", "removed"),
                                    ("flush chain ip netshared nat-home", "flushed")):
                for wrap in ((), IN_CONTAINER):
                    mark = d.mark()
                    p = w.router.popen([*wrap, "nft", words])
                    equal(p.wait(20), 0, "exit code of nft")
                    line = d.wait_log(r"masquerade home .*; restored in", mark)
                    found = re.search(r"masquerade home was %s by nft\[(\d+)\]; "
                                      r"restored in [\d.]+ ms$" % happened, line)
                    check(found, line)
                    if not wrap:
                        equal(int(found.group(1)), p.pid, "the pid")
                    check(int(found.group(1)) > 2, line)
            d.stop()
    @case("who took our jump out of a chain of others in nftables")
    def _():
        with Router() as w:
            w.router.run("nft", "-f", "-", stdin=PASSING)
            d = Daemon(w.router, SHARE).start()
            equal(d.object("home", "share")["state"], "held", "at first")
            for words in ("flush chain ip mine passing",
                          "flush chain ip mine passing; delete chain ip mine NETSHARED-forward"):
                mark = d.mark()
                p = w.router.popen(["nft", words])
                equal(p.wait(20), 0, "exit code of nft")
                line = d.wait_log("jump in nftables chain ip mine passing .*; restored", mark)
                check(re.search(r" was removed by nft\[%d\]; restored in [\d.]+ ms$" % p.pid, line),
                      line)
            # Who did something else in that table is not taken for it.
            mark, passes = d.mark(), d.status()["work"]["passes"]
            w.router.run("nft", "add rule ip mine passing iifname eth7 drop")
            wait_until(lambda: d.status()["work"]["passes"] > passes, "it has looked at that")
            p = w.router.popen(["nft", "flush chain ip mine passing"])
            equal(p.wait(20), 0, "exit code of nft")
            line = d.wait_log("jump in nftables chain ip mine passing .*; restored", mark)
            check(" by nft[%d];" % p.pid in line, line)
            d.stop()
else:
    @case("what nf_tables tells, in another pid namespace: nobody is named", only=NFT)
    def _():
        with Router() as w:
            d = Daemon(w.router, POLICY).start()
            mark = d.mark()
            w.router.run("nft", "delete table ip netshared")
            line = d.wait_log(r"masquerade home .*; restored in", mark)
            check(" was missing; restored in" in line, line)
            d.stop()


# ---- on a machine of its own ----

AUDIT_SET, AUDIT_STATUS_ENABLED = 1001, 1


class Machine(netns.World):
    """The initial network namespace, of a machine that is there for this test."""

    class Itself(netns.Namespace):
        def __init__(self, world):  # pylint: disable=super-init-not-called
            self.world, self.short = world, "machine"
            self.fd = os.open("/proc/1/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            self.firewall = firewall.of(self)

        def delete(self):
            """As it was: other tests make their interfaces from here, and older kernels mind."""
            self.ip_try("link del eth1")
            for command in ("-P FORWARD ACCEPT", "-F", "-X", "-t nat -F", "-t nat -X", "-t raw -F",
                            "-t raw -X"):
                self.iptables(command, check=False)
            self.run("nft", "flush", "ruleset", check=False)
            os.close(self.fd)

    def __init__(self):
        super().__init__()
        self.router = self.Itself(self)
        self.namespaces.append(self.router)
        self.router.stub("eth1")
        self.router.ip("addr add 192.0.2.1/24 dev eth1")


def switch_auditing_on():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9) as s:
        body = struct.pack("=II", AUDIT_STATUS_ENABLED, 1) + bytes(40)
        s.send(struct.pack("=IHHII", 16 + len(body), AUDIT_SET, 5, 1, 0) + body)
        equal(struct.unpack_from("=i", s.recv(4096), 16)[0], 0, "the answer of audit")


if ON_MACHINE:
    @case("what the audit records tell of iptables", timeout=240,
          only=("iptables", "nf_tables tells by itself"))
    def _():
        with Machine() as w:
            switch_auditing_on()
            d = Daemon(w.router, POLICY).start(timeout=60)
            mark = d.mark()
            p = w.router.popen(["iptables-legacy", "-t", "nat", "-F"])
            equal(p.wait(60), 0, "exit code of iptables")
            line = d.wait_log(r"masquerade home .*; restored in", mark, timeout=30)
            print("# " + line)
            check(re.search(r"masquerade home was flushed by iptables-legacy\[%d\]; "
                            r"restored in [\d.]+ ms$" % p.pid, line), line)
            mark = d.mark()
            p = w.router.popen(["iptables-legacy-restore"], stdin=subprocess.PIPE, text=True)
            p.communicate("*nat\nCOMMIT\n", timeout=60)
            equal(p.returncode, 0, "exit code of iptables-legacy-restore")
            line = d.wait_log(r"masquerade home .*; restored in", mark, timeout=30)
            print("# " + line)
            check(re.search(r"masquerade home was removed by iptables-legacy\[%d\]; "
                            r"restored in [\d.]+ ms$" % p.pid, line), line)
            d.stop()

    @case("what they tell of our jump in FORWARD, netshared on nftables", timeout=240,
          only=("iptables", "one is enough"))
    def _():
        with Machine() as w:
            switch_auditing_on()
            w.router.run("iptables-legacy", "-P", "FORWARD", "DROP")
            d = Daemon(w.router, SHARE.replace("{resync", "{firewall: nftables, resync")).start(
                timeout=60)
            mark = d.mark()
            p = w.router.popen(["iptables-legacy", "-F", "FORWARD"])
            equal(p.wait(60), 0, "exit code of iptables")
            line = d.wait_log("jump in the legacy iptables chain FORWARD .*; restored", mark,
                              timeout=30)
            print("# " + line)
            check(re.search(r" was removed by iptables-legacy\[%d\]; restored in [\d.]+ ms$" % p.pid,
                            line), line)
            d.stop()


main()
