# SPDX-License-Identifier: GPL-2.0-or-later
"""Something keeps undoing a repair: said once, met with patience, and won when it stops."""

import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import rtnl
from daemon import Daemon
from netns import wait_until
from tap import case, check, diag, equal, main, patience
from topology import BASIC, BASIC_ROUTE, Lan, Router

FIGHT = r"keeps being undone"
KEY = "198.51.100.0/24"
SHARE = """version: 1
share:
  - {name: home, lan: eth0, wan: eth1, family: ipv4}
"""


@case("a route deleted as often as it is restored", timeout=120)
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC.replace("routes:\n", "routes:\n  - {to: 203.0.113.0/24, "
                                           "via: 192.0.2.2}\n")).start()
        mark, cpu, begun = d.mark(), d.cpu_seconds(), time.monotonic()
        fighter = rtnl.Fighter(w.router, KEY)
        line = d.wait_log(FIGHT, mark)
        check(KEY in line, "who is meant: " + line)
        # Others are repaired at once meanwhile; and the fight goes on for a few more rounds.
        while time.monotonic() - begun < 6:
            w.router.ip("route del 203.0.113.0/24")
            wait_until(lambda: w.router.has_route("203.0.113.0/24"), "another is repaired at once",
                       2)
            time.sleep(1.6)  # so that this is no fight
        d.wait_state(KEY, "wrong")
        fighter.stop()
        cpu, seconds = d.cpu_seconds() - cpu, time.monotonic() - begun
        diag("%d repairs undone in %.1f s, %.2f s of processor" % (fighter.count, seconds, cpu))
        check(8 <= fighter.count <= 16, "%d repairs in %.1f s" % (fighter.count, seconds))
        check(cpu < 0.1 * seconds, "%.2f s of processor time in %.1f s" % (cpu, seconds))
        equal(d.count_log(FIGHT, mark), 1, "times it was said")
        check(d.count_log(".", mark) < 60, "the log is flooded")
        wait_until(lambda: w.router.has_route(BASIC_ROUTE), "it ends with a repair", 40, 0.05)
        d.wait_state(KEY, "held")
        d.stop()


@case("the flush of the NAT table as often as it is repaired", timeout=120)
def _():
    with Lan() as w:
        d = Daemon(w.router, BASIC).start()
        ours = w.router.nat_ours()
        mark, end = d.mark(), time.monotonic() + patience(40)
        while not d.count_log(FIGHT, mark):
            check(time.monotonic() < end, "no fight was noticed")
            w.router.firewall.flush()
            time.sleep(0.02)
        wait_until(lambda: w.router.nat_ours() == ours, "it ends with a repair", 40, 0.05)
        equal(d.count_log("lan-out .*" + FIGHT, mark), 1, "times it was said")
        d.stop()


@case("forwarding switched off as often as it is switched on", timeout=120)
def _():
    with Lan() as w:
        d = Daemon(w.router, BASIC).start()
        mark, end, undone = d.mark(), time.monotonic() + patience(20), 0
        while not d.count_log(FIGHT, mark):
            check(time.monotonic() < end, "no fight was noticed after %d rounds" % undone)
            if w.router.sysctl("net.ipv4.ip_forward") == "1":
                w.router.sysctl("net.ipv4.ip_forward", 0)
                undone += 1
        check(undone <= 16, "%d repairs" % undone)
        wait_until(lambda: w.router.sysctl("net.ipv4.ip_forward") == "1", "it ends well", 40, 0.05)
        equal(d.count_log(FIGHT, mark), 1, "times it was said")
        d.stop()


@case("watch shows a fight in one line: who, what, how often, what to do", timeout=120)
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        watch = w.router.popen([d.binary, "watch", *d.options()], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        check("watching" in watch.stderr.readline(), "it has begun")
        fighter = rtnl.Fighter(w.router, KEY)
        d.wait_log(FIGHT, 0, timeout=30)
        fighter.stop()
        d.stop()
        lines = watch.communicate(timeout=20)[0].splitlines()
        told = [line for line in lines if FIGHT in line]
        equal(len(told), 1, "lines of the fight in\n" + "\n".join(lines))
        check(re.match(r"\d\d:\d\d:\d\d route %s \S.* keeps being undone by (an unknown process \(netlink port \d+\)|\S+\[\d+\]): "
                       r"\d+ times in [\d.]+ s; next try in \d+ s; .*; what to do: let that program "
                       r"leave it alone, or take the object out of the file$" % KEY, told[0]), told[0])


@case("our jump in a chain of others, taken out as often as it is put in", timeout=120)
def _():
    with Lan() as w:
        w.router.run("nft", "-f", "-", stdin="table ip mine { chain passing { type filter hook "
                     "forward priority 0; policy drop; }\n}\n"
                     "table ip other { chain passing { type filter hook forward priority 1; "
                     "policy drop; }\n}\n")
        d = Daemon(w.router, SHARE).start()
        equal(d.object("home", "share")["state"], "held", "at first")
        mark, end = d.mark(), time.monotonic() + patience(40)
        while not d.count_log(FIGHT, mark):
            check(time.monotonic() < end, "no fight was noticed")
            w.router.run("nft", "flush chain ip mine passing")
            time.sleep(0.02)
        line = d.wait_log("jump in .*" + FIGHT, mark)
        check(re.search(r"jump in nftables chain ip mine passing keeps being undone( by nft\[\d+\])?: "
                        r"\d+ times in", line), line)

        def repairs():
            return d.count_log("jump in nftables chain ip mine passing .*restored", mark)

        # Undone twice more, each time at once, it is given 4 s.
        last = repairs() + 2
        while repairs() < last:
            w.router.run("nft", "flush chain ip mine passing")
            time.sleep(0.02)
        w.router.run("nft", "flush chain ip mine passing")
        shown = d.wait_state("home", "wrong", "share")
        check(re.match(r"not in force: nftables chain ip mine passing drops what it forwards, and "
                       r"something keeps removing our jump there; backing off until "
                       r"\d\d:\d\d:\d\d$", shown["reason"]), shown["reason"])
        # What is done to another chain is mended at once, and takes that along.
        w.router.run("nft", "flush chain ip other passing")
        d.wait_log("jump in nftables chain ip other passing .*restored", mark)
        d.wait_state("home", "held", "share", timeout=40)
        check("NETSHARED-forward" in w.router.run("nft", "list chain ip mine passing").stdout,
              "it ends with a repair")
        equal(d.count_log(FIGHT, mark), 1, "times it was said")
        d.stop()


@case("two that fight over a key with replace", timeout=120)
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        mark, monitor = d.mark(), rtnl.Monitor(w.router, ("route",))
        w.router.ip("route replace 198.51.100.0/24 via 192.0.2.3 dev eth1")
        end = time.monotonic() + patience(20)
        while not d.count_log(FIGHT, mark):
            check(time.monotonic() < end, "no fight was noticed")
            for event in monitor.next(0.1):
                if event.proto == 110 and event.verb == "new":
                    w.router.ip("route replace 198.51.100.0/24 via 192.0.2.3 dev eth1")
        wait_until(lambda: w.router.has_route(BASIC_ROUTE), "it ends with a repair", 40, 0.05)
        d.stop()


main()
