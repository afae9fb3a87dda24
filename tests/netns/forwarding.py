# SPDX-License-Identifier: GPL-2.0-or-later
"""Forwarding: only what the policies use, kept on, given back; and the IPv6 default route that a
router advertisement brought survives it."""

import fcntl
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import rtnl
from daemon import Daemon
from firewall import XTABLES_LOCK
from netns import wait_until
from tap import case, check, contains, equal, main
from topology import BASIC, BASIC6, CLIENT4, CLIENT6, SERVER4, WAN4, Lan, Router
from traffic import TcpEcho, router_advertisement, tcp_peer

KEY = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}
NOTHING = "version: 1\n"


for family, text in ((4, BASIC), (6, BASIC6)):
    other = 10 - family

    def _(family=family, text=text, other=other):
        with Router() as w:
            d = Daemon(w.router, text).start()
            equal(w.router.sysctl(KEY[family]), "1", "forwarding of the policy's family")
            equal(w.router.sysctl(KEY[other]), "0", "forwarding of the other family")
            mark = d.mark()
            w.router.sysctl(KEY[family], 0)
            wait_until(lambda: w.router.sysctl(KEY[family]) == "1", "forwarding is on again")
            d.wait_log(r"forwarding.*restored", mark)
            equal(d.object("ipv%d" % family, "forwarding")["state"], "held", "status")
            d.stop()
            equal(w.router.sysctl(KEY[family]), "1", "forwarding after a stop that keeps")
    case("IPv%d: switched on for a policy, and on again when switched off" % family)(_)

    def _(family=family, text=text):
        with Router() as w:
            d = Daemon(w.router, text).start()
            d.reload(NOTHING)
            wait_until(lambda: w.router.sysctl(KEY[family]) == "0", "forwarding is given back")
            d.reload(text)
            equal(w.router.sysctl(KEY[family]), "1", "forwarding after the policy came back")
            d.stop()
            d.cli("remove", check=True)
            equal(w.router.sysctl(KEY[family]), "0", "forwarding after remove")
    case("IPv%d: given back when no policy needs it, and by remove" % family)(_)

    def _(family=family, text=text):
        with Router() as w:
            d = Daemon(w.router, text).start()
            d.kill9()
            d.start()
            d.stop()
            d.cli("remove", check=True)
            equal(w.router.sysctl(KEY[family]), "0", "forwarding after remove")
    case("IPv%d: what it was before is remembered over kill -9 and restart" % family)(_)

    def _(family=family, text=text):
        with Router() as w:
            w.router.sysctl(KEY[family], 1)
            d = Daemon(w.router, text).start()
            d.stop()
            d.cli("remove", check=True)
            equal(w.router.sysctl(KEY[family]), "1", "forwarding, which was on before")
    case("IPv%d: what was on before netshared stays on after remove" % family)(_)

    def _(family=family, text=text):
        with Router() as w:
            d = Daemon(w.router, text.replace("resync: 1h", "resync: 1h\n  on-stop: remove"))
            d.start()
            equal(w.router.sysctl(KEY[family]), "1", "forwarding")
            d.stop()
            equal(w.router.sysctl(KEY[family]), "0", "forwarding after on-stop: remove")
            equal(w.router.routes(family), [], "routes after on-stop: remove")
            equal(w.router.nat_ours(family), [], "rules after on-stop: remove")
    case("IPv%d: on-stop: remove gives all back" % family)(_)

    def _(family=family, text=text):
        with Router() as w:
            d = Daemon(w.router,
                       text.replace("resync: 1h", "resync: 1h\n  forwarding: leave")).start()
            equal(w.router.sysctl(KEY[family]), "0", "forwarding, which was to be left")
            check(w.router.nat_ours(family), "the policy is there all the same")
            d.stop()
    case("IPv%d: forwarding: leave" % family)(_)


def ra_default(router):
    return [line for line in router.routes(6, proto="9", table="main")
            if line.startswith("default ")]


@case("a default route learned from a router advertisement survives a start")
def _():
    with Lan() as w:
        equal(w.router.sysctl("net.ipv6.conf.eth1.accept_ra"), "1", "accept_ra before")
        router_advertisement(w.server, "eth0")
        learned = wait_until(lambda: ra_default(w.router), "the route is learned")
        before = w.router.snapshot()
        monitor = rtnl.Monitor(w.router, ("route",))
        d = Daemon(w.router, BASIC6).start()
        equal(w.router.sysctl(KEY[6]), "1", "IPv6 forwarding")
        equal(w.router.sysctl("net.ipv6.conf.eth1.accept_ra"), "2", "accept_ra")
        equal(ra_default(w.router), learned, "the learned route")
        gone = [e for e in monitor.take("route") if e.verb == "del" and e.prefix == "::/0"]
        equal(gone, [], "removed for a moment")
        # It is still learned while forwarding is on: withdrawn by one, given by the next.
        router_advertisement(w.server, "eth0", lifetime=0)
        wait_until(lambda: not ra_default(w.router), "the router withdrew it")
        router_advertisement(w.server, "eth0")
        wait_until(lambda: ra_default(w.router), "it is learned anew")
        d.stop()
        d.cli("remove", check=True)
        equal(w.router.sysctl("net.ipv6.conf.eth1.accept_ra"), "1", "accept_ra given back")
        equal(w.router.sysctl(KEY[6]), "0", "forwarding given back")
        equal(before["accept_ra eth0"], w.router.sysctl("net.ipv6.conf.eth0.accept_ra"), "eth0")


@case("an interface deleted and re-created listens to router advertisements again")
def _():
    with Lan() as w:
        d = Daemon(w.router, BASIC6).start()
        equal(w.router.sysctl("net.ipv6.conf.eth1.accept_ra"), "2", "accept_ra")
        w.router.ip("link del eth1")
        w.veth(w.router, "eth1", w.server, "eth0")

        def learned():
            router_advertisement(w.server, "eth0")
            return ra_default(w.router)

        wait_until(learned, "a default route is learned on it", interval=0.05)
        d.stop()


@case("accept_ra that the administrator set otherwise is left alone")
def _():
    with Lan() as w:
        w.router.sysctl("net.ipv6.conf.eth0.accept_ra", 0)
        d = Daemon(w.router, BASIC6).start()
        equal(w.router.sysctl("net.ipv6.conf.eth0.accept_ra"), "0", "accept_ra with netshared")
        w.router.sysctl("net.ipv6.conf.eth1.accept_ra", 0)  # after netshared made it 2
        d.stop()
        d.cli("remove", check=True)
        equal(w.router.sysctl("net.ipv6.conf.eth0.accept_ra"), "0", "accept_ra of eth0 after it")
        equal(w.router.sysctl("net.ipv6.conf.eth1.accept_ra"), "0", "accept_ra of eth1 after it")


@case("what was switched in another boot is not given back")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        d.stop()
        path = os.path.join(d.state, "sysctls")
        with open(path) as f:
            head, *lines = f.read().splitlines(True)
        check("net/ipv4/ip_forward 0 1\n" in lines, "what is remembered: %s" % lines)
        match = re.fullmatch(r"boot [0-9a-f-]+ at (\d+) (netns \d+\n)", head)
        check(match, "the first line: " + head)
        with open(path, "w") as f:
            f.write("boot 00000000-0000-4000-8000-000000000000 at %d %s" % (
                int(match.group(1)) - 86400, match.group(2)) + "".join(lines))
        d.cli("remove", check=True)
        equal(w.router.sysctl(KEY[4]), "1", "forwarding")
        equal(w.router.nat_ours(), [], "rules")


for family, text in ((4, BASIC), (6, BASIC6)):
    def _(family=family, text=text):
        with Router() as w:
            d = Daemon(w.router, text).start()
            d.reload(NOTHING + "settings: {resync: 1h}\n")
            equal(w.router.sysctl(KEY[family]), "0", "forwarding without a policy")
            w.router.sysctl(KEY[family], 1)
            d.reload(text)
            mark = d.mark()
            w.router.sysctl(KEY[family], 0)
            wait_until(lambda: w.router.sysctl(KEY[family]) == "1", "forwarding is on again")
            d.wait_log(r"forwarding.*restored", mark)
            d.stop()
            d.cli("remove", check=True)
            equal(w.router.sysctl(KEY[family]), "1", "forwarding, which somebody had switched on")
    case("IPv%d: given back, switched on by somebody, wanted again: kept on" % family)(_)


@case("an interface that comes later listens to router advertisements too; who was told "
      "otherwise meanwhile is left alone")
def _():
    accept_ra = "net.ipv6.conf.%s.accept_ra"
    with Router() as w:
        d = Daemon(w.router, BASIC6).start()
        equal(w.router.sysctl(accept_ra % "eth0"), "2", "accept_ra of eth0")
        w.router.stub("new0")
        wait_until(lambda: w.router.sysctl(accept_ra % "new0") == "2", "accept_ra of new0")
        w.router.sysctl(accept_ra % "eth0", 1)
        w.router.ip("link set new0 down")
        w.router.ip("link set eth0 down")
        w.router.ip("link set eth0 up")
        w.router.stub("new1")
        wait_until(lambda: w.router.sysctl(accept_ra % "new1") == "2", "accept_ra of new1")
        equal(w.router.sysctl(accept_ra % "eth0"), "1", "accept_ra of eth0, set by somebody")
        d.stop()
        d.cli("remove", check=True)
        for device in ("eth0", "eth1", "new0", "new1"):
            equal(w.router.sysctl(accept_ra % device), "1", "accept_ra of %s at the end" % device)


@case("an interface that loses its IPv6, or is renamed as soon as it is there, is listened on too")
def _():
    accept_ra = "net.ipv6.conf.%s.accept_ra"
    with Router() as w:
        d = Daemon(w.router, BASIC6).start()
        equal(w.router.sysctl(accept_ra % "eth0"), "2", "accept_ra of eth0")
        w.router.ip("link set eth0 mtu 1200")
        w.router.ip("link set eth0 mtu 1500")
        wait_until(lambda: w.router.sysctl(accept_ra % "eth0") == "2", "it listens again")
        w.router.stub("usb0")
        wait_until(lambda: w.router.sysctl(accept_ra % "usb0") == "2", "accept_ra of usb0")
        w.router.ip("link set usb0 down")
        w.router.ip("link set usb0 name lan7")
        d.signal(signal.SIGSTOP)
        w.router.stub("usb1")
        w.router.ip("link set usb1 down")
        w.router.ip("link set usb1 name lan8")
        d.signal(signal.SIGCONT)
        wait_until(lambda: w.router.sysctl(accept_ra % "lan8") == "2", "accept_ra of lan8")
        d.stop()
        d.cli("remove", check=True)
        for device in ("eth0", "eth1", "lan7", "lan8"):
            equal(w.router.sysctl(accept_ra % device), "1", "accept_ra of %s at the end" % device)


@case("a control character in an interface's name: a warning, and forwarding goes on")
def _():
    with Router() as w:
        w.router.stub("w\x01x")
        d = Daemon(w.router, BASIC6).start()
        equal(w.router.sysctl(KEY[6]), "1", "IPv6 forwarding")
        equal(w.router.sysctl("net.ipv6.conf.eth1.accept_ra"), "2", "accept_ra of another")
        d.wait_log(r"accept-ra.*w\\x01x")
        equal(d.object("ipv6", "forwarding")["state"], "held", "status")
        check("\x01" not in d.log_text(), "the log shows the bare character:\n" + d.log_text())
        d.stop()
        d.cli("remove", check=True)
        equal(w.router.sysctl(KEY[6]), "0", "IPv6 forwarding given back")


SHARE = "version: 1\nsettings: {resync: 1h}\nshare: [{name: home, lan: %s, wan: eth1}]\n"


def from_outside(w):
    return tcp_peer(w.server, CLIENT4, timeout=0.3), tcp_peer(w.server, CLIENT6, timeout=0.3)


def both(w):
    return w.router.sysctl(KEY[4]), w.router.sysctl(KEY[6])


def rename(w, d, name, new):
    w.router.ip("link set %s down" % name)
    d.status()  # it has seen that, so that what comes is of the new name
    w.router.ip("link set %s name %s" % (name, new))
    w.router.ip("link set %s up" % new)


@case("a share with a name that is nobody's opens the real LAN to nobody, and is held once it is "
      "somebody's")
def _():
    with Lan() as w:
        w.serve()
        TcpEcho(w.client, CLIENT4)
        TcpEcho(w.client, CLIENT6)
        d = Daemon(w.router, SHARE % "eth00").start()
        for family in ("ipv4", "ipv6"):
            share = d.object("home (%s)" % family, "share")
            equal((share["state"], share["reason"]), ("pending", "no interface eth00"), family)
        d.wait_log(r"share home is pending: no interface eth00")
        equal((both(w), from_outside(w)), (("0", "0"), (None, None)), "the real LAN")
        plan = d.plan()
        equal(plan.returncode, 0, "nothing to do, says plan:\n" + plan.stdout)
        contains(plan.stdout, "# share home (ipv4) is pending: no interface eth00", "plan")
        contains(d.cli("check").stderr, "there is no interface 'eth00' now", "check")
        rename(w, d, "eth0", "eth00")
        for family in ("ipv4", "ipv6"):
            d.wait_state("home (%s)" % family, "held", "share")
        equal(both(w), ("1", "1"), "forwarding")
        for family in 4, 6:
            d.wait_log(r"forwarding ipv%d switched on \(link eth0 was renamed to eth00\)" % family)
        equal((tcp_peer(w.client, SERVER4), from_outside(w)), (WAN4, (None, None)), "held")

        # Of several the one that is not there is told of, and no policy is pending for it.
        remark = ("no interface eth9 now: what it would cover is not yet; forwarding is on: what is there "
                  "under another name has no filter")
        d.reload(SHARE % "[eth00, eth9]")
        share = d.object("home (ipv4)", "share")
        equal((share["state"], share["reason"]), ("held", remark), "status in JSON")
        equal(d.cli("status").stdout.count("  %s\n" % remark), 2, "times in status")
        mark = d.mark()
        w.router.ip("link add eth9 type veth peer name peer9")
        wait_until(lambda: not d.object("home (ipv4)", "share").get("reason"), "it has come")
        d.wait_log(r"share home changed.* \(all that it names is there now\)", since=mark)
        mark = d.mark()
        w.router.ip("link del eth9")
        d.wait_log("warning: share home: " + remark, since=mark)
        d.reload(SHARE % "eth00")

        # It has another name: it is there, and nothing filters what is forwarded to it.
        mark = d.mark()
        rename(w, d, "eth00", "eth0")
        for family in ("ipv4", "ipv6"):
            d.wait_state("home (%s)" % family, "pending", "share")
        wait_until(lambda: both(w) == ("0", "0"), "forwarding is given back")
        equal(from_outside(w), (None, None), "the LAN under its new name")
        d.wait_log(r"share home is pending: no interface eth00 \(link eth00 was renamed to eth0\)",
                   since=mark)
        rename(w, d, "eth0", "eth00")
        for family in ("ipv4", "ipv6"):
            d.wait_state("home (%s)" % family, "held", "share")
        wait_until(lambda: both(w) == ("1", "1"), "forwarding is on again")

        # It goes: nothing flaps, for that is what lines do.
        w.router.ip("link del eth00")
        d.wait_state("home (ipv4)", "pending", "share")
        told = "; forwarding is on: what is there under another name has no filter"
        wait_until(lambda: d.object("home (ipv4)", "share")["reason"] == "no interface eth00" + told,
                   "it is said")
        contains(d.cli("check").stderr, "there is no interface 'eth00' now" + told, "check")
        equal(both(w), ("1", "1"), "forwarding while it is away")
        plan = d.plan()
        equal(plan.returncode, 0, "nothing to do, says plan:\n" + plan.stdout)
        contains(plan.stdout, "# forwarding ipv4 stays on if what home lacks was there since", "plan")
        d.stop()
        mark = d.mark()
        d.start()
        equal(both(w), ("1", "1"), "forwarding after a restart")
        check("switched" not in d.log_text(mark), "it was switched:\n" + d.log_text(mark))
        # But what another file says has never been there.
        d.write(SHARE % "eth77")
        plan = d.plan().stdout
        check("- forwarding ipv4" in plan and "- forwarding ipv6" in plan, "what plan says:\n" + plan)
        d.reload(SHARE % "eth77")
        equal((both(w), from_outside(w)), (("0", "0"), (None, None)), "after a slip in a reload")
        d.stop()


@case("IPv6 that is switched off: its part of a share is pending in status and plan, IPv4 is held")
def _():
    with Lan() as w:
        w.serve()
        w.router.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
        d = Daemon(w.router, SHARE % "eth0").start()
        why = "IPv6 is switched off on eth0"
        share = d.object("home (ipv6)", "share")
        equal((share["state"], share["reason"]), ("pending", why), "status")
        plan = d.plan()
        equal((plan.returncode, plan.stdout.strip()),
              (0, "# share home (ipv6) is pending: " + why), "plan")
        equal((d.object("home (ipv4)", "share")["state"], tcp_peer(w.client, SERVER4), both(w)),
              ("held", WAN4, ("1", "0")), "IPv4")
        w.router.sysctl("net.ipv6.conf.all.disable_ipv6", 0)
        d.wait_state("home (ipv6)", "held", "share")
        equal(both(w), ("1", "1"), "forwarding")
        d.stop()


@case("switched off while another holds the xtables lock: on again at once, for the filter stands",
      only=XTABLES_LOCK)
def _():
    with Lan() as w:
        d = Daemon(w.router, SHARE % "eth0").start()
        mark = d.mark()
        with open(w.env["XTABLES_LOCKFILE"], "r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            w.router.sysctl(KEY[4], 0)
            wait_until(lambda: w.router.sysctl(KEY[4]) == "1", "forwarding is on again")
        check("is pending" not in d.log_text(mark), d.log_text(mark))
        d.stop()


@case("switched off just when a chain left over came into the filter: that is seen, too",
      only=XTABLES_LOCK)
def _():
    with Lan() as w:
        d = Daemon(w.router, SHARE % "eth0").start()
        for _ in range(4):
            d.signal(signal.SIGSTOP)
            w.router.run("iptables-legacy-restore", "--noflush", stdin="*filter\n"
                         ":NETSHARED-stray - [0:0]\n-I FORWARD 1 -j NETSHARED-stray\nCOMMIT\n")
            w.router.sysctl(KEY[4], 0)
            d.signal(signal.SIGCONT)
            wait_until(lambda: w.router.sysctl(KEY[4]) == "1", "forwarding is on again")
            wait_until(lambda: "stray" not in w.router.iptables("-S"), "the chain is gone")
        d.stop()


main()
