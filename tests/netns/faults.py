# SPDX-License-Identifier: GPL-2.0-or-later
"""What a kernel and a disk refuse for a while: told as it is, the rest held, all well after it."""

import contextlib
import errno
import os
import resource
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from firewall import XTABLES_LOCK
from netns import CommandFailed, differences, wait_until
from tap import case, check, contains, equal, main
from topology import BASIC, BASIC6, BASIC_ROUTE, Router

FORWARDING = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}
SECOND = BASIC.replace("resync: 1h", "resync: 1s")
SHARE = BASIC.partition("masquerade:")[0] + "share:\n  - {name: home, lan: eth0, wan: eth1, " \
    "family: ipv4}\n"
BOTH = BASIC + BASIC6.partition("masquerade:\n")[2].replace("lan-out", "lan-out6")
# Each has a mount of its own over a directory, as a unit with a sandbox has.
ON_TMPFS = ("unshare", "-m", "sh", "-c",
            "mount -t tmpfs -o size=%s,mode=755 none '%s' && { %s; }; exec \"$@\"")
READ_ONLY = ("unshare", "-m", "sh", "-c", "mount --bind /proc/sys /proc/sys && "
             "mount -o remount,bind,ro /proc/sys && exec \"$@\"", "sh")
FILL = "dd if=/dev/zero of='%s/filler' bs=512 2>/dev/null"


def on_tmpfs(directory, size, then="true"):
    os.makedirs(directory, mode=0o700, exist_ok=True)
    return (*ON_TMPFS[:-1], ON_TMPFS[-1] % (size, directory, then), "sh")


def mounts(d, *words):
    """A command where the daemon's mounts are."""
    return d.world.host("nsenter", "-m", "-t", str(d.pid), *words)


def among_its_mounts(d, *words):
    return d.ns.run("nsenter", "-m", "-t", str(d.pid), d.binary, *words, *d.options(), check=False)


def converged(d):
    """`plan` has nothing to do, and `status` says so."""
    def look():
        return d.plan().returncode == 0 and all(o["state"] == "held" for o in d.objects())

    wait_until(look, "all is held", 20, 0.05)


def is_made(damage):
    """False when another writer was in its way."""
    try:
        damage()
    except CommandFailed:
        return False
    return True


def is_group(process):
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


class Writers:
    """Others who write into the same tables all the time; what they leave in the end is known.

    One of them has another lock than the rest: what it writes, and what it makes fail, is known
    when it has ended.
    """

    ASIDE = "XTABLES_LOCKFILE=$XTABLES_LOCKFILE.other iptables-legacy -t nat "
    LOOPS = ("ip route replace 203.0.113.0/24 via 192.0.2.$n",
             "ip route del 203.0.113.64/26; ip route add 203.0.113.64/26 via 192.0.2.$n",
             "iptables-legacy -w 5 -t nat -A POSTROUTING -o eth7 -j ACCEPT && "
             "iptables-legacy -w 5 -t nat -D POSTROUTING -o eth7 -j ACCEPT",
             ASIDE + "-A POSTROUTING -o eth8 -j ACCEPT; " + ASIDE + "-D POSTROUTING -o eth8 -j ACCEPT",
             "nft add rule ip others some counter && nft flush chain ip others some")

    def __init__(self, ns):
        self.ns = ns
        ns.run("nft", "add table ip others; add chain ip others some")
        ns.ip("route add 203.0.113.64/26 via 192.0.2.9")
        self.processes = [ns.popen(["sh", "-c", "n=3; while test -e /proc/self; do n=$((10 - n)); "
                                    + loop + "; n=$((10 - n)); echo; done"], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   start_new_session=True)
                          for loop in self.LOOPS]

    def go_on(self):
        """Each has been through its loop once more than before."""
        for process in self.processes:
            check(process.stdout.readline(), "a writer ended: %s" % process.args)

    def stop(self):
        for process in self.processes:
            os.killpg(process.pid, signal.SIGKILL)  # with what it runs
            process.wait()
            process.stdout.close()
        wait_until(lambda: not any(map(is_group, self.processes)), "what they ran has ended")
        for device in ("eth7", "eth8"):
            while "-A POSTROUTING -o %s -j ACCEPT" % device in self.ns.nat():
                self.ns.iptables("-t nat -D POSTROUTING -o %s -j ACCEPT" % device)


@case("others write into the same tables all the time: each repair goes in, nothing of theirs goes")
def _():
    with Router() as w:
        d = Daemon(w.router, SECOND).start()
        ours = w.router.nat_ours()
        w.router.firewall.foreign()
        writers = Writers(w.router)
        damages = (lambda: w.router.ip("route del " + BASIC_ROUTE),
                   lambda: w.router.firewall.flush_chain("lan-out"),
                   lambda: w.router.firewall.delete_jump("lan-out"))
        for damage in damages * 2:
            writers.go_on()
            wait_until(lambda damage=damage: is_made(damage), "the damage is done")
            wait_until(lambda: w.router.has_route(BASIC_ROUTE) and
                       "lan-out" in w.router.firewall.jumps(), "it is repaired", 20, 0.03)
        d.reload(SECOND.replace("10.0.0.0/24", "10.1.0.0/24"))
        d.reload(SECOND)
        writers.go_on()
        writers.stop()
        converged(d)
        equal(w.router.nat_ours(), ours, "the rules")
        check(w.router.firewall.has_foreign(), "a rule of others is there")
        check(w.router.has_route("203.0.113.0/24", proto=None), "a route of others is there")
        equal(d.count_log("failed|could not"), 0, "what was said to have failed")
        d.stop()


@case("buffers that hold two events, under churn: what is lost is found, and said once in a while",
      timeout=120)
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        ours = w.router.nat_ours()
        check(d.shrink_event_buffers() > 0, "no socket that hears events")
        churn = ["route replace 203.0.113.%d/32 via 192.0.2.%d" % (n % 256, 2 + n % 7)
                 for n in range(2000)] + ["route flush root 203.0.113.0/24"]
        rules = "add table ip others; add chain ip others some; " + \
            "add rule ip others some counter; " * 50 + "delete table ip others"
        for stopped in (True, False, False):
            if stopped:
                d.signal(signal.SIGSTOP)
            w.router.ip_batch(churn + ["route del " + BASIC_ROUTE] + churn)
            w.router.run("nft", rules)
            w.router.firewall.flush_chain("lan-out")
            w.router.run("nft", rules)
            d.signal(signal.SIGCONT)
            wait_until(lambda: w.router.has_route(BASIC_ROUTE), "the route is back", 20, 0.03)
        wait_until(lambda: w.router.nat_ours() == ours, "the rules are back", 20, 0.03)
        d.wait_log("events were lost")
        converged(d)
        equal(w.router.ip("route show root 203.0.113.0/24"), "", "routes of others that came back")
        d.stop()


def takes_the_rest(d):
    """From now on there is no new descriptor for it; gives what takes that back."""
    used = {int(name) for name in os.listdir("/proc/%d/fd" % d.pid)}
    free = next(fd for fd in range(len(used) + 1) if fd not in used)
    before = resource.prlimit(d.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(d.pid, resource.RLIMIT_NOFILE, (free, before[1]))
    return lambda: resource.prlimit(d.pid, resource.RLIMIT_NOFILE, before)


def is_busy(d):
    """Whether it would run; how much of a processor it gets says nothing on a busy machine."""
    time.sleep(0.02)
    with open("/proc/%d/stat" % d.pid) as f:
        return f.read().rpartition(") ")[2].startswith("R")


@case("no descriptors left: it goes on, says so, repairs what it can, and all is well after it")
def _():
    with Router() as w:
        d = Daemon(w.router, SECOND).start()
        ours = w.router.nat_ours()
        paths = [d.socket_path(), os.path.join(d.runtime, "metrics")]
        give_back, mark = takes_the_rest(d), d.mark()
        with contextlib.ExitStack() as stack:
            for path in paths * 10:
                client = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                client.connect(path)
            d.write(SECOND.replace("10.0.0.0/24", "10.1.0.0/24"))
            d.signal(signal.SIGHUP)
            d.wait_log(os.strerror(errno.EMFILE), mark)
            w.router.ip("route del " + BASIC_ROUTE)
            wait_until(lambda: w.router.has_route(BASIC_ROUTE), "the route is back")
            w.router.firewall.flush_chain("lan-out")
            check(sum(is_busy(d) for _ in range(50)) < 25, "it is busy with what it can't have")
        give_back()
        wait_until(lambda: w.router.nat_ours() == ours, "the rules are back", 30)
        check(d.count_log("error|warning", mark) < 10, "it goes on about it:\n" + d.log_text(mark))
        d.reload()
        check(w.router.nat_ours() != ours, "the new file is not in force")
        converged(d)
        d.stop()


@case("a full runtime directory: it starts, and is asked, reloaded, tried and measured")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC)
        d.start(wrap=on_tmpfs(d.runtime, "4k", FILL % d.runtime))
        with contextlib.suppress(OSError):
            with open("/proc/%d/root%s/more" % (d.pid, d.runtime), "wb", buffering=0) as f:
                f.write(bytes(1))
            check(False, "the directory is not full")
        check(w.router.has_route(BASIC_ROUTE), "the route")
        new = d.write(BASIC.replace("198.51.100.0/24", "10.9.0.0/16"), "new.yaml")
        for words in (["status"], ["reload"], ["metrics"], ["try", new, "--timeout", "1h"],
                      ["revert"]):
            result = among_its_mounts(d, *words)
            equal(result.returncode, 0, "exit code of %s, which said\n%s" % (words, result.stderr))
        wait_until(lambda: w.router.has_route(BASIC_ROUTE), "the trial is over")
        second = w.router.run("nsenter", "-m", "-t", str(d.pid), d.binary, "run", *d.options(),
                              check=False)
        equal(second.returncode, 1, "exit code of a second one, which said\n" + second.stderr)
        contains(second.stderr, "keeps this network namespace already", "why")
        mounts(d, "rm", d.runtime + "/filler")
        equal(among_its_mounts(d, "plan").returncode, 0, "nothing to do")
        d.stop()


@case("a runtime directory without an inode left: it says which, and changes nothing")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC)
        before = w.router.snapshot()
        d.start(wait=False, wrap=on_tmpfs(d.runtime, "1m,nr_inodes=1"))
        equal(d.wait_exit(), 1, "exit code")
        contains(d.log_text(), "in %s: %s" % (d.runtime, os.strerror(errno.ENOSPC)), "why")
        equal(differences(before, w.router.snapshot()), "", "what it changed")


@case("a full directory of the xtables lock: the rules go in when there is room", only=XTABLES_LOCK)
def _():
    with Router() as w:
        directory = os.path.join(w.directory, "lock")
        d = Daemon(w.router, SECOND)
        d.start(wrap=on_tmpfs(directory, "1m,nr_inodes=1"),
                env={"XTABLES_LOCKFILE": os.path.join(directory, "xtables.lock")})
        check(w.router.has_route(BASIC_ROUTE), "the route does not wait for it")
        equal(w.router.nat_ours(), [], "rules without the lock")
        contains(d.wait_state("lan-out", "wrong")["reason"], os.strerror(errno.ENOSPC), "why")
        w.router.ip("route del " + BASIC_ROUTE)
        wait_until(lambda: w.router.has_route(BASIC_ROUTE), "the route is back")
        mounts(d, "mount", "-o", "remount,nr_inodes=9", directory)
        d.wait_state("lan-out", "held", timeout=30)
        converged(d)
        d.stop()


@case("a start with a read-only /proc/sys: the rest is held, forwarding goes on when it can")
def _():
    with Router() as w:
        d = Daemon(w.router, BOTH).start(wrap=READ_ONLY)
        check(w.router.has_route(BASIC_ROUTE), "the route")
        # What listens to routers is to go on with that first.
        for family, key in ((4, FORWARDING[4]), (6, "net.ipv6.conf.eth0.accept_ra")):
            line = d.wait_log("cannot write /proc/sys/" + key.replace(".", "/"))
            contains(line, os.strerror(errno.EROFS), "why")
            o = d.wait_state("ipv%d" % family, "wrong", "forwarding")
            contains(o["reason"], os.strerror(errno.EROFS), "why, in status")
            check("lan-out" in w.router.firewall.jumps(family)[0], "the rules")
        mounts(d, "umount", "-l", "/proc/sys")  # it may be reading there
        wait_until(lambda: all(w.router.sysctl(key) == "1" for key in FORWARDING.values()),
                   "forwarding is on", 30)
        converged(d)
        d.stop()


@case("forwarding can't be given back: apply fails, and a stop says that it is not all")
def _():
    with Router() as w:
        d = Daemon(w.router, BOTH).start()
        d.stop()
        d.write("version: 1\nsettings: {on-stop: remove}\n")
        result = d.ns.run(*READ_ONLY, d.binary, "apply", *d.options(), check=False)
        contains(result.stdout + result.stderr, "it stays as it is, since /proc/sys/", "what is told")
        equal(result.returncode, 1, "exit status of apply")
        equal(w.router.nat_ours(), [], "rules")
        d.start(wrap=READ_ONLY)
        d.stop()
        d.wait_log("not all that it held could be removed")
        d.cli("apply", check=True)
        equal([w.router.sysctl(key) for key in FORWARDING.values()], ["0", "0"], "at last")


@case("/proc/sys becomes read-only: that forwarding stays off is told, and the rest is held")
def _():
    with Router() as w:
        d = Daemon(w.router, BOTH).start(wrap=("unshare", "-m"))
        mounts(d, "mount", "--bind", "/proc/sys", "/proc/sys")
        mounts(d, "mount", "-o", "remount,bind,ro", "/proc/sys")
        ours = w.router.nat_ours()
        mark = d.mark()
        for key in FORWARDING.values():
            w.router.sysctl(key, 0)
        for family, key in FORWARDING.items():
            line = d.wait_log("cannot write /proc/sys/" + key.replace(".", "/"), mark)
            contains(line, os.strerror(errno.EROFS), "why")
            o = d.wait_state("ipv%d" % family, "wrong", "forwarding")
            contains(o["reason"], os.strerror(errno.EROFS), "why, in status")
        w.router.ip("route del " + BASIC_ROUTE)
        w.router.firewall.flush_chain("lan-out")
        wait_until(lambda: w.router.has_route(BASIC_ROUTE), "the route is back")
        wait_until(lambda: w.router.nat_ours() == ours, "the rules are back")
        mounts(d, "umount", "-l", "/proc/sys")  # it may be reading there
        wait_until(lambda: all(w.router.sysctl(key) == "1" for key in FORWARDING.values()),
                   "forwarding is on", 30)
        converged(d)
        check(d.count_log("cannot write /proc/sys", mark) < 10, "said again and again")
        d.stop()


for what, text in (("a masquerade", SECOND), ("a share", SHARE)):
    def _(text=text):
        with Router() as w:
            d = Daemon(w.router, text)
            d.start(wrap=on_tmpfs(d.state, "4k", FILL % d.state))
            contains(d.wait_log("could not be stored"), d.state, "what is full")
            d.wait_log("cannot note in the state directory what it was before")
            check(any(os.strerror(errno.ENOSPC) in o.get("reason", "") for o in d.objects()),
                  "why, in status: %s" % d.objects())
            check(w.router.has_route(BASIC_ROUTE), "the route")
            d.signal(signal.SIGHUP)  # one more try
            d.wait_log("reloaded")
            equal(w.router.sysctl(FORWARDING[4]), "0",
                  "forwarding, of which nobody would know what it was before")
            mounts(d, "mount", "-o", "remount,size=1m", d.state)
            wait_until(lambda: w.router.sysctl(FORWARDING[4]) == "1", "forwarding is on", 30)
            contains(mounts(d, "cat", d.state + "/sysctls"), "net/ipv4/ip_forward 0 1",
                     "what is remembered")
            converged(d)
            d.stop()
    case("a start with a full state directory and %s: forwarding goes on when there is room for "
         "what it was" % what)(_)


main()
