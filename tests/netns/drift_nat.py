# SPDX-License-Identifier: GPL-2.0-or-later
"""What others do to ours in the firewall: heard of, or found by a look, and put back."""

import fcntl
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import firewall
import rtnl
from daemon import Daemon
from firewall import XTABLES_LOCK
from netns import holds_for, wait_until
from tap import case, check, contains, diag, equal, main, patience
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
        w.router.firewall.foreign(family)
        d = Daemon(w.router, TEXT[family]).start()
        ours = w.router.nat_ours(family)
        check(len(ours) >= 8, "rules of ours: %s" % ours)
        mark = d.mark()
        d.signal(signal.SIGSTOP)  # nf_tables tells: else it is repaired between two commands
        for command in commands:
            w.router.firewall.break_it(command, family)
        check(w.router.nat_ours(family) != ours, "nothing was broken")
        d.signal(signal.SIGCONT)
        try:
            wait_until(lambda: w.router.nat_ours(family) == ours, "as before")
        except Exception:
            check(False, "not repaired:\n%s\nwas:\n%s" % (
                "\n".join(w.router.nat_ours(family)), "\n".join(ours)))
        d.wait_log(r"restored|removed", mark)
        flushed = any(c.endswith(("nat -F", "flush ruleset")) for c in commands)
        equal(w.router.firewall.has_foreign(family), not flushed, "the foreign rule")
        d.stop()


ONE_CHAIN = ("iptables", "in nf_tables ours and others' are in chains of their own")
NAT = "-t nat "
IPTABLES = (
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
WORDS = {4: {"other": "10.9.0.0/24", "except": "10.0.0.0/8", "jump": "2", "t": "{t}", "word": "ip",
             "guests": "10.2.0.0/16"},
         6: {"other": "2001:db8:a9::/64", "except": "2001:db8::/32", "jump": "2",
             "t": "{t}", "word": "ip6", "guests": "2001:db8:a2::/64"}}

NFTABLES = (
    ("nft flush ruleset", ["flush ruleset"]),
    ("our table deleted", ["delete table {t}"]),
    ("our table flushed", ["flush table {t}"]),
    ("our chain flushed", ["flush chain {t} nat-lan-out"]),
    ("a rule of ours deleted", ["delete rule {t} nat-lan-out handle @nat-lan-out:2"]),
    ("a rule of ours replaced", ["replace rule {t} nat-guests handle @nat-guests:2 "
                                 "{word} saddr {other} counter masquerade"]),
    ("a rule of ours without its counter", ["replace rule {t} nat-guests handle @nat-guests:2 "
                                            "oifname wan* {word} saddr {guests} masquerade"]),
    ("a rule of ours reordered", ["delete rule {t} nat-lan-out handle @nat-lan-out:2",
                                  "add rule {t} nat-lan-out {word} daddr {except} counter return"]),
    ("a rule added to our chain", ["insert rule {t} nat-lan-out {word} saddr {other} accept"]),
    ("our jump missing", ["delete rule {t} nat_postrouting handle @nat_postrouting:1"]),
    ("our jump doubled", ["add rule {t} nat_postrouting counter jump nat-lan-out"]),
    ("our jump altered", ["replace rule {t} nat_postrouting handle @nat_postrouting:2 "
                          "oifname eth9 counter jump nat-lan-out"]),
    ("our jump without its comment", ["delete rule {t} nat_postrouting handle @nat_postrouting:2",
                                      "add rule {t} nat_postrouting counter jump nat-guests"]),
    ("our jumps in another order", ["delete rule {t} nat_postrouting handle @nat_postrouting:1",
                                    "add rule {t} nat_postrouting counter jump nat-lan-out "
                                    "comment \"masquerade lan-out\""]),
    ("a foreign rule in our base chain", ["insert rule {t} nat_postrouting accept"]),
    ("our base chain emptied and deleted", ["flush chain {t} nat_postrouting",
                                            "delete chain {t} nat_postrouting"]),
    ("our base chain at another priority", [
        "flush chain {t} nat_postrouting", "delete chain {t} nat_postrouting",
        "add chain {t} nat_postrouting {{ type nat hook postrouting priority 100; }}",
        "add rule {t} nat_postrouting counter jump nat-lan-out comment \"masquerade lan-out\"",
        "add rule {t} nat_postrouting counter jump nat-guests comment \"masquerade guests\""]),
    ("our base chain drops", ["chain {t} nat_postrouting {{ policy drop; }}"]),
    ("our chain renamed", ["rename chain {t} nat-guests nat-gone"]),
    ("a chain of our name that nobody wants", ["add chain {t} nat-what",
                                               "add rule {t} nat_postrouting jump nat-what"]),
    ("a chain of another name", ["add chain {t} lefty", "add rule {t} lefty jump nat-guests"]),
    ("a base chain of another name that drops", ["add chain {t} lefty {{ type filter hook forward "
                                                 "priority 0; policy drop; }}"]),
    ("a set, a map and a counter of others", [
        "add set {t} banned {{ type ipv4_addr; }}", "add counter {t} seen",
        "add map {t} where {{ type mark : verdict; elements = {{ 7 : drop }}; }}",
        "insert rule {t} nat-guests mark vmap @where"]),
    ("our base chain renamed to nothing of ours", ["rename chain {t} nat_postrouting lefty"]),
    ("our table dormant", ["add table {t} {{ flags dormant; }}"]),
    ("the conntrack chain flushed", ["flush chain {t} raw-conntrack"]),
    ("the conntrack chain removed", ["delete chain {t} raw-conntrack"]),
)
DRIFTS = IPTABLES if firewall.NAME == "iptables" else NFTABLES

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
            w.router.firewall.flush(family)
        wait_until(lambda: (w.router.nat_ours(4), w.router.nat_ours(6)) == ours, "as before")
        d.stop()


@case("flushed again and again, each time repaired")
def _():
    with Router() as w:
        d = Daemon(w.router, TEXT[4]).start()
        ours = w.router.nat_ours()
        for _ in range(5):
            w.router.firewall.flush()
            wait_until(lambda: w.router.nat_ours() == ours, "as before")
        d.stop()


def listened_to(d):
    """Inodes of the files that can wake the daemon up: watches of an inotify it waits for."""
    texts = {}
    for fd in os.listdir("/proc/%d/fdinfo" % d.process.pid):
        try:
            with open("/proc/%d/fdinfo/%s" % (d.process.pid, fd)) as f:
                texts[int(fd)] = f.read()
        except FileNotFoundError:
            pass  # closed meanwhile
    targets = {fd: {int(t) for t in re.findall(r"^tfd: *(\d+)", text, re.M)}
               for fd, text in texts.items()}
    # The event loop waits for the most; the hints have an epoll of their own, which it may hold.
    loop = max(targets, key=lambda fd: len(targets[fd]))
    polled = set(targets[loop])
    for fd in targets[loop]:
        polled |= targets.get(fd, set())
    return {int(inode, 16) for fd in polled
            for inode in re.findall(r"^inotify .*ino:([0-9a-f]+)", texts.get(fd, ""), re.M)}


@case("who uses the xtables lock wakes netshared up, while there is a policy",
      only=XTABLES_LOCK)
def _():
    with Router() as w:
        lock = w.env["XTABLES_LOCKFILE"]
        d = Daemon(w.router, TEXT[4]).start()
        equal(listened_to(d), {os.stat(lock).st_ino}, "listened to")
        for replace in (os.unlink, lambda lock: os.replace(d.write("", "another"), lock)):
            with open(lock) as old:  # so that its inode is not used again
                replace(lock)
                wait_until(lambda: os.path.exists(lock) and listened_to(d) == {
                    os.stat(lock).st_ino}, "the new file is listened to")
                check(os.fstat(old.fileno()).st_ino != os.stat(lock).st_ino, "a new file")
        ours = w.router.nat_ours()
        w.router.iptables("-t nat -F")
        wait_until(lambda: w.router.nat_ours() == ours, "as before")
        d.write("version: 1\nroutes:\n  - {to: 198.51.100.0/24, via: 192.0.2.2}\n")
        equal(d.cli("reload").returncode, 0, "reload")
        equal(listened_to(d), set(), "listened to without a policy")
        d.write(TEXT[4])
        equal(d.cli("reload").returncode, 0, "reload")
        equal(listened_to(d), {os.stat(lock).st_ino}, "listened to again")
        d.stop()


@case("a flush under the lock is repaired sooner than one that goes round it",
      only=XTABLES_LOCK)
def _():
    with Router() as w:
        d = Daemon(w.router, TEXT[4]).start()
        aside = dict(w.env, XTABLES_LOCKFILE=os.path.join(w.directory, "another.lock"))

        def iptables(command, env):
            return w.router.run("iptables-legacy", "-t", "nat", command, env=env).stdout

        ours, spent = iptables("-S", aside), {}
        for env in (aside, w.env, aside, w.env):
            # Looks come a second after the one before. Now the last one was not long ago.
            time.sleep(1.15)
            mark = d.mark()
            iptables("-F", env)
            begun = time.monotonic()
            d.wait_log("masquerade guests was flushed; restored", since=mark)
            spent[id(env)] = spent.get(id(env), 0) + time.monotonic() - begun
            equal(iptables("-S", aside), ours, "as before")
        by_look, by_hint = spent[id(aside)], spent[id(w.env)]
        diag("%.3f s with the lock, %.3f s without" % (by_hint / 2, by_look / 2))
        check(by_hint < by_look / 2, "no sooner: %.3f s, %.3f s" % (by_hint, by_look))
        d.stop()


@case("a script that empties the table and deletes its chains can do both", only=XTABLES_LOCK)
def _():
    with Router() as w:
        d = Daemon(w.router, TEXT[4]).start()
        ours, tries = w.router.nat_ours(), 0
        both = "iptables-legacy -t nat -F && iptables-legacy -t nat -X"
        # On a busy machine the second may come late.
        while w.router.run("sh", "-c", both, check=False).returncode != 0:
            tries += 1
            check(tries < 20, "-X has never met an empty chain")
            wait_until(lambda: w.router.nat_ours() == ours, "as before")
        diag("tries that failed: %d" % tries)
        wait_until(lambda: w.router.nat_ours() == ours, "as before")
        d.stop()


@case("position first: the jump goes before foreign rules, also ones that come later",
      only=ONE_CHAIN)
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


@case("the xtables lock held by another: routes are repaired meanwhile, rules after it",
      only=XTABLES_LOCK)
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


@case("the xtables lock held at start: READY does not wait for it for ever",
      only=XTABLES_LOCK)
def _():
    with Router() as w:
        with open(w.env["XTABLES_LOCKFILE"], "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            d = Daemon(w.router, TEXT[4]).start(wait=False)
            holds_for(d.running, "the daemon runs", 0.3)
        d.wait_notified("READY=1")
        wait_until(lambda: len(w.router.nat_ours()) >= 8, "the rules go in")
        d.stop()


@case("flushed in the middle of a long reload: found by the poll after it", timeout=120)
def _():
    many = "routes:\n" + "".join("  - {to: 10.%d.%d.0/24, type: blackhole}\n" % (
        128 + n // 256, n % 256) for n in range(20000))
    with Router() as w:
        d = Daemon(w.router, TEXT[4]).start()
        ours = w.router.nat_ours()
        d.write(TEXT[4] + many)
        monitor = rtnl.Monitor(w.router, ("route",))
        reload = w.router.popen([d.binary, "reload"] + d.options())
        while not any(e.prefix and e.prefix.startswith("10.") for e in monitor.next(30)):
            check(reload.poll() is None, "the first routes")
        d.signal(signal.SIGSTOP)
        w.router.firewall.flush()
        check(reload.poll() is None, "the reload was over before the flush")
        check(not w.router.has_route("blackhole 10.206.31.0/24"), "its last route")
        d.signal(signal.SIGCONT)
        equal(reload.wait(60), 0, "exit code of the reload")
        wait_until(lambda: w.router.nat_ours() == ours, "the rules are back")
        d.stop()


@case("a lock file that can't be opened at start: the rules go in when it can",
      only=XTABLES_LOCK)
def _():
    with Router() as w:
        directory = os.path.join(w.directory, "later")
        d = Daemon(w.router, TEXT[4] + "routes:\n  - {to: 198.51.100.0/24, via: 192.0.2.2}\n")
        d.start(env={"XTABLES_LOCKFILE": os.path.join(directory, "xtables.lock")})
        check(w.router.has_route("198.51.100.0/24"), "the route does not wait for it")
        equal(w.router.nat_ours(), [], "rules without the lock")
        o = d.object("lan-out", "masquerade")
        equal(o["state"], "wrong", "state meanwhile")
        contains(o["reason"], "lock", "the reason")
        os.mkdir(directory)
        wait_until(lambda: len(w.router.nat_ours()) >= 8, "the rules go in")
        wait_until(lambda: w.router.sysctl("net.ipv4.ip_forward") == "1", "forwarding goes on")
        d.wait_state("lan-out", "held")
        d.stop()


@case("fights over both families while the lock is held cost next to nothing", timeout=120,
      only=XTABLES_LOCK)
def _():
    with Router() as w:
        d = Daemon(w.router, TEXT[4] + TEXT[6].partition("masquerade:\n")[2]
                   .replace("lan-out", "lan-out6").replace("guests", "guests6")).start()

        end = time.monotonic() + patience(60)
        while not all(d.count_log("masquerade %s keeps being undone" % name)
                      for name in ("lan-out", "guests", "lan-out6", "guests6")):
            check(time.monotonic() < end, "no fight was noticed:\n" + d.log_text())
            # Both at once, and nothing else: what stands for 1.5 s ends a fight.
            for flush in [w.router.popen([program, "-w", "5", "-t", "nat", "-F"])
                          for program in ("iptables-legacy", "ip6tables-legacy")]:
                equal(flush.wait(patience(20)), 0, "exit code of a flush")
        with open(w.env["XTABLES_LOCKFILE"]) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = d.cpu_seconds()
            holds_for(d.running, "it runs", 3)
            used = d.cpu_seconds() - before
        diag("%.2f s of processor time in 3 s" % used)
        check(used < 0.5, "%.2f s of processor time in 3 s" % used)
        wait_until(lambda: all(any("MASQUERADE" in line for line in w.router.nat_ours(family))
                               for family in (4, 6)), "it ends with repairs", 40, 0.05)
        d.stop()


main()
