# SPDX-License-Identifier: GPL-2.0-or-later
"""What others do to legacy iptables, which tells nobody: found by the poll and put back."""

import fcntl
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from netns import holds_for, wait_until
from tap import case, check, equal, main
from topology import Router

TEXT = {4: """
version: 1
settings: {resync: 1h}
masquerade:
  - name: lan-out
    from: [10.0.0.0/24, 10.1.0.0/24]
    except-to: [10.0.0.0/8]
    out: [eth1]
  - {name: guests, from: [10.2.0.0/16], out: [wan+]}
""", 6: """
version: 1
settings: {resync: 1h}
masquerade:
  - name: lan-out
    from: ["2001:db8:a::/64", "2001:db8:a1::/64"]
    except-to: ["2001:db8::/32"]
    out: [eth1]
  - {name: guests, from: ["2001:db8:a2::/64"], out: [wan+]}
"""}
NET = {4: "10.0.0.0/24", 6: "2001:db8:a::/64"}


def broken(family, *commands):
    """Runs the iptables commands and waits until all is as it was; the rest is unharmed."""
    with Router() as w:
        foreign = "-t nat -A POSTROUTING -p tcp -j ACCEPT"
        w.router.iptables(foreign, family)
        d = Daemon(w.router, TEXT[family]).start()
        ours = w.router.nat_ours(family)
        check(len(ours) >= 8, "rules of ours: %s" % ours)
        mark = d.mark()
        for command in commands:
            w.router.iptables(command, family)
        check(w.router.nat_ours(family) != ours, "nothing was broken")
        try:
            wait_until(lambda: w.router.nat_ours(family) == ours, "as before")
        except Exception:
            check(False, "not repaired:\n%s\nwas:\n%s" % (
                "\n".join(w.router.nat_ours(family)), "\n".join(ours)))
        d.wait_log(r"restored|removed", mark)
        flushed = any(c.endswith("nat -F") or "-F POSTROUTING" in c for c in commands)
        equal(foreign.split(" ", 2)[2] in w.router.nat(family), not flushed, "the foreign rule")
        d.stop()


NAT = "-t nat "
DRIFTS = (
    ("iptables -t nat -F", [NAT + "-F"]),
    ("iptables -t nat -F and -X", [NAT + "-F", NAT + "-X"]),
    ("our chain flushed", [NAT + "-F NETSHARED-lan-out"]),
    ("a rule of ours deleted", [NAT + "-D NETSHARED-lan-out 2"]),
    ("a rule of ours replaced, same size", [NAT + "-R NETSHARED-guests 1 -s {other} -o wan+ "
                                            "-j MASQUERADE"]),
    ("a rule of ours reordered", [NAT + "-D NETSHARED-lan-out 1",
                                  NAT + "-A NETSHARED-lan-out -d {except} -j RETURN"]),
    ("a rule added to our chain", [NAT + "-I NETSHARED-lan-out -s {other} -j ACCEPT"]),
    ("our jump missing", [NAT + "-D POSTROUTING -j NETSHARED-lan-out"]),
    ("our jump doubled", [NAT + "-A POSTROUTING -j NETSHARED-lan-out"]),
    ("our jump altered", [NAT + "-R POSTROUTING {jump} -o eth9 -j NETSHARED-lan-out"]),
    ("our jumps in another order", [NAT + "-D POSTROUTING -j NETSHARED-lan-out",
                                    NAT + "-A POSTROUTING -j NETSHARED-lan-out"]),
    ("our chain renamed", [NAT + "-E NETSHARED-guests NETSHARED-gone"]),
    ("a chain of our name that nobody wants", [NAT + "-N NETSHARED-what",
                                               NAT + "-A POSTROUTING -j NETSHARED-what"]),
    ("the conntrack chain flushed", ["-t raw -F"]),
    ("the conntrack chain removed", ["-t raw -F", "-t raw -X"]),
)
WORDS = {4: {"other": "10.9.0.0/24", "except": "10.0.0.0/8", "jump": "2"},
         6: {"other": "2001:db8:a9::/64", "except": "2001:db8::/32", "jump": "2"}}

for family in (4, 6):
    for name, commands in DRIFTS:
        def _(family=family, commands=commands):
            broken(family, *[c.format(**WORDS[family]) for c in commands])
        case("IPv%d: %s" % (family, name))(_)


@case("both families flushed at once")
def _():
    with Router() as w:
        d = Daemon(w.router, TEXT[4] + TEXT[6].partition("masquerade:\n")[2]
                   .replace("lan-out", "lan-out6").replace("guests", "guests6")).start()
        ours = w.router.nat_ours(4), w.router.nat_ours(6)
        for family in (4, 6):
            w.router.iptables("-t nat -F", family)
        wait_until(lambda: (w.router.nat_ours(4), w.router.nat_ours(6)) == ours, "as before")
        d.stop()


@case("flushed again and again, each time repaired")
def _():
    with Router() as w:
        d = Daemon(w.router, TEXT[4]).start()
        ours = w.router.nat_ours()
        for _ in range(5):
            w.router.iptables("-t nat -F")
            w.router.iptables("-t nat -X", check=False)
            wait_until(lambda: w.router.nat_ours() == ours, "as before")
        d.stop()


@case("position first: the jump goes before foreign rules, also ones that come later")
def _():
    with Router() as w:
        w.router.iptables("-t nat -A POSTROUTING -o eth1 -j ACCEPT")
        d = Daemon(w.router, TEXT[4].replace("  - name: lan-out",
                                             "  - name: lan-out\n    position: first")).start()

        def jumps():
            return [line for line in w.router.nat() if line.startswith("-A POSTROUTING")]

        wanted = ["-A POSTROUTING -j NETSHARED-lan-out", "-A POSTROUTING -o eth1 -j ACCEPT",
                  "-A POSTROUTING -j NETSHARED-guests"]
        equal(jumps(), wanted, "POSTROUTING")
        w.router.iptables("-t nat -I POSTROUTING -o eth0 -j ACCEPT")
        wanted.insert(1, "-A POSTROUTING -o eth0 -j ACCEPT")
        wait_until(lambda: jumps() == wanted, "the jump is first again")
        d.stop()


@case("the xtables lock held by another: routes are repaired meanwhile, rules after it")
def _():
    text = TEXT[4] + "routes:\n  - {to: 198.51.100.0/24, via: 192.0.2.2}\n"
    with Router() as w:
        d = Daemon(w.router, text).start()
        ours = w.router.nat_ours()
        w.router.iptables("-t nat -F")
        with open(w.env["XTABLES_LOCKFILE"], "r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Reading needs no lock: iptables -S would wait for it, so look another way.
            w.router.ip("route del 198.51.100.0/24")
            wait_until(lambda: w.router.has_route("198.51.100.0/24"), "the route is back")
            equal(d.cli("status").returncode, 0, "status answers")
            w.router.ip("route del 198.51.100.0/24")
            wait_until(lambda: w.router.has_route("198.51.100.0/24"), "the route is back again")
        wait_until(lambda: w.router.nat_ours() == ours, "the rules are back")
        d.stop()


@case("the xtables lock held at start: READY does not wait for it for ever")
def _():
    with Router() as w:
        with open(w.env["XTABLES_LOCKFILE"], "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            d = Daemon(w.router, TEXT[4]).start(wait=False)
            holds_for(d.running, "the daemon runs", 0.3)
        d.wait_notified("READY=1")
        wait_until(lambda: len(w.router.nat_ours()) >= 8, "the rules go in")
        d.stop()


main()
