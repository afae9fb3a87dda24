# SPDX-License-Identifier: GPL-2.0-or-later
"""Reload: the verdict of a load begun after it was asked for; all or nothing; never a gap."""

import contextlib
import errno
import fcntl
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import rtnl
from daemon import Daemon
from firewall import XTABLES_LOCK
from netns import wait_until
from tap import case, check, contains, equal, main, patience
from topology import BASIC, BASIC_ROUTE, FAR4, WAN4, Lan, Router
from traffic import UdpStream

AT = r"(?:\d{4}-\d\d-\d\d )?\d\d:\d\d"  # with the date, once midnight is past
HEAD = "version: 1\nsettings: {resync: 1h}\n"


def routes(*numbers):
    return "".join("  - {to: 10.%d.0.0/16, via: 192.0.2.2, dev: eth1}\n" % n for n in numbers)


def policies(*names):
    return "masquerade:\n" + "".join("  - {name: %s, from: [10.0.0.0/24], out: [eth1]}\n" % name
                                     for name in names)


def there(router):
    return sorted(int(line.split(".")[1]) for line in router.routes(4))


@case("what is added goes in before what is removed goes out, what stays is not touched")
def _():
    with Router() as w:
        d = Daemon(w.router, HEAD + "routes:\n" + routes(50, 51, 52) + policies("p", "q")).start()
        monitor = rtnl.Monitor(w.router, ("route",))
        d.reload(HEAD + "routes:\n" + routes(51, 52, 53) + policies("q", "r"))
        equal(there(w.router), [51, 52, 53], "routes at the verdict")
        events = monitor.take("route")
        equal([(e.verb, e.prefix) for e in events],
              [("new", "10.53.0.0/16"), ("del", "10.50.0.0/16")], "what happened, in order")
        equal(w.router.firewall.chains(), {"q", "r"}, "chains at the verdict")
        d.stop()


@case("a changed route is replaced in place")
def _():
    with Router() as w:
        d = Daemon(w.router, HEAD + "routes:\n" + routes(50)
                   + '  - {to: "2001:db8:c::/48", via: "2001:db8:b::2"}\n').start()
        monitor = rtnl.Monitor(w.router, ("route",))
        d.reload(HEAD + "routes:\n" + routes(50).replace("192.0.2.2", "192.0.2.3")
                 + '  - {to: "2001:db8:c::/48", via: "2001:db8:b::3"}\n')
        check(w.router.has_route("10.50.0.0/16 via 192.0.2.3 dev eth1"), w.router.routes(4))
        check(w.router.has_route("2001:db8:c::/48 via 2001:db8:b::3 dev eth1", 6),
              w.router.routes(6))
        equal([e for e in monitor.take("route") if e.verb == "del"], [], "removed for a moment")
        d.stop()


@case("a policy becomes one of another kind under its name: at once, and nothing fails")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        forward = ('version: 1\nport-forwards: [{name: lan-out, in: eth1, protocol: tcp, port: 80, '
                   'to: 10.0.0.2}]\n')
        for text, said in ((forward, "port-forward lan-out"), (BASIC, "masquerade lan-out")):
            mark = d.mark()
            d.reload(text)
            d.wait_log(said, since=mark)
            check(not re.search("not supported|nvalid|fail|pending", d.log_text()), d.log_text())
            equal(d.plan().stdout, "", "what is left to do")
        d.stop()


@case("packets flow through reloads that change everything around them")
def _():
    with Lan() as w:
        w.serve(FAR4)
        d = Daemon(w.router, BASIC).start()
        stream = UdpStream(w.client, FAR4)
        for n in range(10):
            d.reload(BASIC.replace("routes:\n", "routes:\n" + routes(50 + n, 150 + n))
                     + "  - {name: p%d, family: ipv4, out: [eth%d]}\n" % (n, n + 5))
        stream.stop()
        equal((len(stream.lost), stream.peers), (0, {WAN4}), "lost of %d, seen from" % stream.sent)
        d.stop()


@case("a bad file: every error in one go, exit 1, nothing changed")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        before = w.router.snapshot()
        monitor = rtnl.Monitor(w.router)
        result = d.reload(BASIC + """  - name: lan-out
    out: [eth1]
    form: [10.0.0.0/24]
routs: []
""", check=False)
        equal(result.returncode, 1, "exit code")
        for part in (":11:", ":13:5:", ":14:1:", "form", "from", "routs", "routes"):
            contains(result.stderr, part, "the errors")
        contains(result.stderr, d.config + ":8", "the place of the first of that name")
        equal(monitor.take(), [], "changes")
        equal(w.router.snapshot(), before, "the kernel")
        d.wait_log("routs")
        wait_until(lambda: "refused" in d.status_text(), "STATUS=, which comes after the answer")
        for text in (d.status_text(), d.status()["reload_refused"], d.cli("status").stdout):
            check(re.search(r"running the configuration of %s; the reload of %s was refused: %s:\d+: "
                            % (AT, AT, re.escape(d.config)), text), text)
        equal(d.status()["state"], "degraded", "the file is not what runs")
        # Too long, it is cut between two characters.
        for name in "é" * 120, "a" + "é" * 120:
            bad = d.write("form: 1\n", "netshared.d/%s.yaml" % name)
            d.reload(BASIC, check=False)
            wait_until(lambda n=name: "/" + n[:20] in d.status_text(), "STATUS= of " + name)
            check(re.search("é\\.\\.\\.;", d.status_text()), d.status_text())
            contains(d.status()["reload_refused"], name, "the whole of it")
            os.unlink(bad)
        d.reload(BASIC)
        wait_until(lambda: "refused" not in d.status_text(), "STATUS= after a good one")
        equal((d.status()["state"], "reload_refused" in d.status()), ("running", False), "then")
        d.stop()


@case("an interface that is not there: taken, with a warning for who asked and in the log")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        equal(d.reload(BASIC).stderr, "", "what is said of interfaces that are there")
        mark = d.mark()
        result = d.reload(BASIC.replace("out: [eth1]", "out: [ehh1, eth1, ppp+]"))
        for text in (result.stderr, d.wait_log("there is no interface", mark)):
            contains(text, "there is no interface 'ehh1' now: until there is, 'lan-out' does nothing "
                     "for it", "the warning")
        contains(result.stderr, "%s:8: warning" % d.config, "its place")
        contains(result.stderr, "write one that there is: eth0\n", "its hint: eth1 is in the list")
        check("ppp" not in result.stderr, result.stderr)
        # The other side of a share can't be meant.
        result = d.reload("version: 1\nshare: [{name: home, lan: eth7, wan: eth1}]\n")
        contains(result.stderr, "write 'eth0', if that is the one", "the hint")
        result = d.reload("version: 1\nshare: [{name: home, lan: eth7, wan: eth0}]\n")
        check("write 'eth0'" not in result.stderr, result.stderr)
        check("write 'eth0'" not in d.cli("check").stderr, "what check says of it")
        # Packet rules know no alternative names; and check has the same hint for each.
        w.router.ip("link property add dev eth0 altname lan0")
        for entry, fix in (("masquerade: [{name: out, out: [ehh1, eth1]}]", "write one that there is: eth0"),
                           ("masquerade: [{name: out, out: [ehh1]}]", "write 'eth1', if that is the one"),
                           ("masquerade: [{name: out, out: [lan0]}]", "write 'eth0', if that is the one"),
                           ("share: [{name: home, lan: [eth0, eth7], wan: eth1}]", "there is no other"),
                           ("share: [{name: home, lan: enp0s31f6, wan: eth1}]",
                            "write one that there is: eth0")):
            result = d.reload("version: 1\n%s\n" % entry)
            for text in (result.stderr, d.cli("check").stderr):
                contains(text, "hint: %s\n" % fix, entry)
        # check shows the very place, though it is about all of the policy.
        d.write("version: 1\nshare:\n  - name: eth7\n    wan: eth1\n    lan: [eth0, eth7]\n")
        contains(d.cli("check").stderr, "%s:5:17: warning: there is no interface 'eth7'" % d.config,
                 "the caret's place")
        # What waits for it says so already.
        equal(d.reload(BASIC.replace("out: [eth1]", "out: [tun0]\n    when: {dev-up: tun0}")).stderr,
              "", "what is said of one that is waited for")
        d.stop()


@case("the last default route goes with the file: it does, with a warning for who asked and in the log")
def _():
    with Router() as w:
        ways = ("  - {to: default, via: 192.0.2.2, dev: eth1}\n",
                '  - {to: default, via: "2001:db8:b::2", dev: eth1}\n')
        both = BASIC.replace("routes:\n", "routes:\n" + "".join(ways))
        w.router.ip_batch(["route add default via 192.0.2.2 proto static"])
        d = Daemon(w.router, both).start()
        for way, name, gone in zip(ways, ("IPv4", "IPv6"), ("192.0.2.2", "2001:db8:b::2")):
            mark = d.mark()
            result = d.reload(both.replace(way, ""))
            lost = ("warning: the file leaves this machine without a default route of %s: the only one, "
                    "default via %s dev eth1" % (name, gone))
            for text in (result.stderr, d.wait_log("leaves this machine", mark)):
                contains(text, lost, "the warning")
            contains(result.stderr, "%s: %s" % (d.config, lost), "where, and nothing of the other family")
            contains(result.stderr, "hint: write it in 'routes'", "what to do")
            equal(d.plan().stdout, "", "the file is done, all the same")
            equal(d.reload().stderr, "", "once more the same file")
            equal(d.reload(both).stderr, "", "it comes back")
        # What runs may be gone back from, but until then it has no way out.
        tried = d.write(both.replace(ways[0], ""), "other.yaml")
        contains(d.cli("try", tried, "--timeout", "1h", check=True).stderr, tried + ": warning: the file leaves",
                 "a trial")
        equal(d.cli("revert", check=True).stderr, "", "the way back")
        equal(d.reload(both.replace("dev: eth1}", "dev: eth1, metric: 7}", 1)).stderr, "", "another comes")
        w.router.ip("route add default via 192.0.2.3 metric 9")
        equal(d.reload(both.replace(ways[0], "")).stderr, "", "one of others stays")
        d.stop()


@case("a bad file, for a long time: drift is still repaired by the old configuration")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        ours = w.router.nat_ours()
        for text in ("", "\x00\x01\x02", "version: 2\n", "[", "routes: 1\n"):
            equal(d.reload(text, check=False).returncode, 1, "exit code for %r" % text)
        os.unlink(d.config)
        equal(d.reload(check=False).returncode, 1, "exit code without a file")
        os.mkdir(d.config)
        equal(d.reload(check=False).returncode, 1, "exit code for a directory")
        os.rmdir(d.config)
        os.mkfifo(d.config)
        equal(d.reload(check=False).returncode, 1, "exit code for a FIFO")
        os.unlink(d.config)
        w.router.ip("route del 198.51.100.0/24")
        w.router.firewall.flush()
        wait_until(lambda: w.router.has_route(BASIC_ROUTE), "the route is back")
        wait_until(lambda: w.router.nat_ours() == ours, "the rules are back")
        d.reload(BASIC)
        d.stop()


@case("a file that others may write is refused")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        os.chmod(d.config, 0o666)
        result = d.cli("reload")
        equal(result.returncode, 1, "exit code")
        contains(result.stderr, d.config, "which file")
        check(w.router.has_route(BASIC_ROUTE), "the route is kept")
        os.chmod(d.config, 0o644)
        d.reload()
        d.stop()


@case("twenty reloads at once, each verdict that of a load begun after the call")
def _():
    with Router() as w:
        d = Daemon(w.router, HEAD + "routes:\n" + routes(100)).start()
        argv = [d.binary, "reload"] + d.options()
        text = HEAD + "routes:\n"
        waiting = []
        for n in range(20):
            text += routes(101 + n)
            d.write(text)
            waiting.append((101 + n, w.router.popen(argv, stdout=subprocess.PIPE,
                                                    stderr=subprocess.STDOUT, text=True)))
        for number, process in reversed(waiting):
            said = process.communicate(timeout=30)[0]
            equal(process.returncode, 0, "exit code of a reload, which said\n" + said)
            check(number in there(w.router), "10.%d.0.0/16 is not in at its verdict" % number)
        equal(there(w.router), list(range(101, 121)), "routes at the end")
        d.stop()


@case("good and bad reloads at once: each gets the verdict of its own or a later file")
def _():
    with Router() as w:
        d = Daemon(w.router, HEAD + "routes:\n" + routes(100)).start()
        for n in range(15):
            d.write(HEAD + "routes:\n" + routes(100 + n))
            equal(d.cli("reload").returncode, 0, "a good one")
            equal(there(w.router), [100 + n], "routes at its verdict")
            d.write("version: 1\nroutes: [{to: 10.0.0.0/33}]\n")
            equal(d.cli("reload").returncode, 1, "a bad one")
            equal(there(w.router), [100 + n], "routes after a bad one")
        d.stop()


@case("clients that ask for a reload and go away do no harm")
def _():
    with Router() as w:
        d = Daemon(w.router, HEAD + "routes:\n" + routes(100)).start()
        d.signal(signal.SIGSTOP)
        d.write(HEAD + "routes:\n" + routes(101))
        asked = []
        for _ in range(3):
            process = w.router.popen([d.binary, "reload"] + d.options(), stderr=subprocess.DEVNULL)
            asked.append(process)
        wait_until(lambda: w.router.run("cat", "/proc/self/net/unix").stdout.count(d.runtime) > 3,
                   "they have connected")
        for process in asked:
            process.kill()
            process.wait()
        d.signal(signal.SIGCONT)
        d.reload()
        equal(there(w.router), [101], "routes")
        d.stop()


@case("SIGHUP reloads; a bad file then is said in the log")
def _():
    with Router() as w:
        d = Daemon(w.router, HEAD + "routes:\n" + routes(100)).start()
        d.write(HEAD + "routes:\n" + routes(101))
        seen = len(d.notified)
        d.signal(signal.SIGHUP)
        wait_until(lambda: there(w.router) == [101], "the new routes")
        d.wait_notified("READY=1", seen)
        d.write("version: 1\nroutes: [{to: 10.0.0.0/33}]\n")
        mark, seen = d.mark(), len(d.notified)
        d.signal(signal.SIGHUP)
        d.wait_log(r"10\.0\.0\.0/33", mark)
        d.wait_notified("READY=1", seen)
        equal(there(w.router), [101], "routes")
        d.stop()


@case("drop-ins: added in byte order; a setting said twice differently names both places")
def _():
    with Router() as w:
        d = Daemon(w.router, HEAD + "routes:\n" + routes(100))
        ten = d.write("routes:\n" + routes(101), "netshared.d/10-more.yaml")
        d.write("masquerade:\n  - {name: b, family: ipv4, out: [eth1]}\n", "netshared.d/20-b.yaml")
        d.write("masquerade:\n  - {name: a, family: ipv4, out: [eth1]}\n", "netshared.d/30-a.yaml")
        d.write("rubbish: [", "netshared.d/40-not-read.yaml.off")
        d.start()
        equal(there(w.router), [100, 101], "routes")
        equal(w.router.firewall.jumps(), ["b", "a"], "order")
        d.write("settings: {resync: 2h}\n", "netshared.d/50-setting.yaml")
        result = d.reload(check=False)
        equal(result.returncode, 1, "exit code")
        contains(result.stderr, "50-setting.yaml:1:", "the second place")
        contains(result.stderr, "netshared.yaml:2", "the first place")
        d.write("settings: {resync: 1h}\n", "netshared.d/50-setting.yaml")
        d.reload()
        d.write("routes:\n" + routes(100), "netshared.d/50-setting.yaml")
        result = d.reload(check=False)
        contains(result.stderr, "netshared.yaml:4", "the place of the first of two equal routes")
        os.unlink(os.path.join(d.base, "netshared.d/50-setting.yaml"))
        os.unlink(ten)
        d.reload()
        equal(there(w.router), [100], "routes without the drop-in")
        d.stop()


@case("the protocol changes by a reload: routes are marked anew, in place")
def _():
    with Router() as w:
        d = Daemon(w.router, HEAD + "routes:\n" + routes(100, 101)).start()
        monitor = rtnl.Monitor(w.router, ("route",))
        d.reload(HEAD.replace("1h", "1h, route-protocol: 111") + "routes:\n" + routes(100))
        equal(w.router.routes(4, proto="110"), [], "routes of the old mark")
        check(w.router.has_route("10.100.0.0/16 via 192.0.2.2", proto="111"), "the new mark")
        gone = [e.prefix for e in monitor.take() if e.verb == "del"]
        equal(gone, ["10.101.0.0/16"], "removed")
        d.kill9()
        d.write(HEAD.replace("1h", "1h, route-protocol: 112") + "routes:\n" + routes(100))
        d.start()
        equal(w.router.routes(4, proto="111"), [], "routes of the mark before the crash")
        check(w.router.has_route("10.100.0.0/16 via 192.0.2.2", proto="112"), "the newest mark")
        d.stop()


def knows(d, name):
    """The daemon has taken a configuration with this policy, whether it is applied or not."""
    return any((o["name"] + " ").startswith(name + " ") for o in d.objects())


def descriptors(pid):
    """What they lead to; one that is closed meanwhile is left out."""
    for fd in os.listdir("/proc/%d/fd" % pid):
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink("/proc/%d/fd/%s" % (pid, fd))


def connected(pid):
    """It waits for an answer at a socket of its own."""
    with open("/proc/%d/stat" % pid) as f:
        waits = f.read().rsplit(")", 1)[1].split()[0] == "S"
    return waits and any(link.startswith("socket:") for link in descriptors(pid))


@case("in the middle of a long reload a drift is repaired, and questions are answered", timeout=120)
def _():
    many = "".join("  - {to: 10.%d.%d.%d/26, type: blackhole}\n" % (
        n >> 10, n >> 2 & 255, n % 4 << 6) for n in range(100000))
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        d.write(BASIC.replace("masquerade:", many + "masquerade:"))
        monitor = rtnl.Monitor(w.router, ("route",))
        mark = d.mark()
        reload = w.router.popen([d.binary, "reload"] + d.options())
        while not any(e.prefix and e.prefix.startswith("10.") for e in monitor.next(60)):
            check(reload.poll() is None, "the first routes")
        d.signal(signal.SIGSTOP)
        w.router.ip("route del 198.51.100.0/24")
        status = w.router.popen([d.binary, "status"] + d.options(), stdout=subprocess.DEVNULL)
        wait_until(lambda: connected(status.pid), "it asks")
        check(not w.router.has_route("blackhole 10.97.167.192/26"), "the last route")
        d.signal(signal.SIGCONT)
        equal(status.wait(patience(60)), 0, "exit code of status")
        check(reload.poll() is None, "it was over before")
        d.wait_log("198.51.100.0/24 .*restored", mark)
        equal(reload.wait(patience(60)), 0, "exit code of the reload")
        said = [line for line in d.log_lines(mark) if "restored" in line or "reloaded" in line]
        check("restored" in said[0], "repaired after it: %s" % said)
        d.stop()


@case("a bad file while a good one waits for the xtables lock: each its own verdict",
      only=XTABLES_LOCK)
def _():
    bad = HEAD + "routes:\n  - to:\n" + "".join(
        "      - 10.%d.%d.%d/26\n" % (n >> 10, n >> 2 & 255, n % 4 * 64) for n in range(100000)
    ) + "    type: blackhole\n  - {bogus: 1}\n"
    with Router() as w:
        d = Daemon(w.router, HEAD + policies("before")).start()
        argv = [d.binary, "reload"] + d.options()
        with open(w.env["XTABLES_LOCKFILE"]) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            d.write(HEAD + policies("good"))
            good = w.router.popen(argv, stderr=subprocess.PIPE, text=True)
            wait_until(lambda: knows(d, "good"), "it is accepted")
            d.write(bad)
            other = w.router.popen(argv, stderr=subprocess.PIPE, text=True)
            wait_until(lambda: d.proc_status("Threads") > 1, "the bad file is being loaded")
        said = good.communicate(timeout=30)[1]
        equal(good.returncode, 0, "exit code of the good one, which said\n" + said)
        said = other.communicate(timeout=30)[1]
        equal(other.returncode, 1, "exit code of the bad one, which said\n" + said)
        contains(said, "bogus", "the errors")
        check("-A POSTROUTING -j NETSHARED-good" in w.router.nat(), w.router.nat())
        d.stop()


@case("two reloads while a start waits for the xtables lock: both are answered",
      only=XTABLES_LOCK)
def _():
    with Router() as w:
        d = Daemon(w.router, HEAD + policies("zero"))
        asked = []
        with open(w.env["XTABLES_LOCKFILE"], "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            d.start(wait=False)
            wait_until(lambda: d.cli("status").returncode == 0, "it answers")
            for name in ("one", "two"):
                d.write(HEAD + policies(name))
                asked.append(w.router.popen([d.binary, "reload"] + d.options(),
                                            stderr=subprocess.PIPE, text=True))
                wait_until(lambda: knows(d, name), "it is accepted")
        for process in asked:
            said = process.communicate(timeout=30)[1]
            equal(process.returncode, 0, "exit code of a reload, which said\n" + said)
        d.wait_notified("READY=1")
        wait_until(lambda: "-A POSTROUTING -j NETSHARED-two" in w.router.nat(), "its rules")
        d.stop()


@case("a state directory on a full disk, then a read-only one: said, and the reload succeeds")
def _():
    with Router() as w:
        d = Daemon(w.router, HEAD + policies("p"))
        os.mkdir(d.state, 0o700)
        d.start(wrap=("unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=64k,mode=700 none "
                      "'%s' && exec \"$@\"" % d.state, "sh"))
        with open("/proc/%d/root%s/filler" % (d.pid, d.state), "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(512))
            except OSError as e:
                equal(e.errno, errno.ENOSPC, "why no more fits")
        mark = d.mark()
        told = d.reload(HEAD + "routes:\n" + routes(50) + policies("q")).stderr
        contains(told, "could not be stored in %s (No space left on device)" % d.state, "who asked is told")
        equal(there(w.router), [50], "routes with the disk full")
        equal(w.router.firewall.jumps(), ["q"], "jumps")
        contains(d.wait_log("could not be stored", mark), d.state, "what is full")
        w.host("nsenter", "-m", "-t", str(d.pid), "mount", "-o", "remount,ro", d.state)
        mark = d.mark()
        d.reload(HEAD + "routes:\n" + routes(51))
        equal(there(w.router), [51], "routes with the disk read-only")
        equal(w.router.nat_ours(), [], "rules")
        equal(w.router.sysctl("net.ipv4.ip_forward"), "0", "forwarding, which is given back")
        d.wait_log("could not be stored", mark)
        equal(d.count_log("could not be applied"), 0, "passes that failed")
        d.stop()


@case("after a change of the protocol events are heard as before")
def _():
    with Router() as w:
        d = Daemon(w.router, HEAD + "routes:\n" + routes(100, 101)).start()
        for protocol in ("111", "112"):
            d.reload(HEAD.replace("1h", "1h, route-protocol: " + protocol) + "routes:\n"
                     + routes(100))
            line = "10.100.0.0/16 via 192.0.2.2 dev eth1"
            check(w.router.has_route(line, proto=protocol), "the new mark")
            mark = d.mark()
            w.router.ip("route del 10.100.0.0/16")
            d.wait_log(r"10\.100\.0\.0/16 .*restored", mark)
            check(w.router.has_route(line, proto=protocol), "the route is back")
            w.router.ip("route add 10.99.0.0/16 via 192.0.2.2 proto " + protocol)
            wait_until(lambda: not w.router.has_route("10.99.0.0/16", proto=protocol),
                       "what carries the mark and is not wanted goes")
        for old in ("110", "111"):
            equal(w.router.routes(4, proto=old), [], "routes of the mark " + old)
        d.stop()


main()
