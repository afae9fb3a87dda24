# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts, stops, second daemons, bad files at start, clients that say nothing."""

import os
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import rtnl
from daemon import Daemon
from netns import holds_for, wait_until
from tap import case, check, contains, equal, main
from topology import BASIC, BASIC6, BASIC_ROUTE, Router

BAD = BASIC.replace("192.0.2.2", "192.0.2.999")
THOUSAND = "version: 1\nroutes:\n" + "".join(
    "  - {to: 10.%d.%d.0/24, via: 192.0.2.2}\n" % (100 + n // 256, n % 256) for n in range(1000))


@case("a second daemon in the namespace is refused, the first is not disturbed")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        monitor = rtnl.Monitor(w.router)
        result = d.cli("run", timeout=20)
        equal(result.returncode, 1, "exit code of the second")
        contains(result.stderr, str(d.pid), "whom it names")
        equal(monitor.take(), [], "changes")
        equal(d.cli("status").returncode, 0, "the first still answers")
        d.kill9()
        d.start()  # a lock left behind by a crash is no lock
        d.stop()


@case("one daemon per namespace: several share a runtime directory")
def _():
    with Router() as w:
        first = Daemon(w.router, BASIC).start()
        second = Daemon(w.peer, "version: 1\nroutes:\n  - {to: 10.9.0.0/16, type: blackhole}\n")
        second.runtime = first.runtime
        second.start()
        equal([o["name"].split()[0] for o in first.objects("route")], ["198.51.100.0/24"],
              "status in one")
        contains(str(second.objects("route")), "10.9.0.0/16", "status in the other")
        second.stop()
        equal(first.cli("status").returncode, 0, "the first still answers")
        first.stop()


@case("a start with a bad file runs the last accepted configuration and says so")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC)
        drop_in = d.write("masquerade:\n  - {name: extra, family: ipv4, out: [eth1]}\n",
                          "netshared.d/extra.yaml")
        d.start().stop()
        before = w.router.snapshot()
        d.write(BAD)
        os.unlink(drop_in)
        monitor, mark = rtnl.Monitor(w.router), d.mark()
        d.start()
        equal(monitor.take(), [], "changes")
        equal(w.router.snapshot(), before, "the kernel")
        d.wait_log(r":6:32:", mark)
        d.wait_log(r"(?i)last accepted", mark)
        contains(d.status_text().lower(), "last accepted", "STATUS=")
        contains(d.status()["reload_refused"], "the file was refused at the start, ", "status")
        contains(d.status()["reload_refused"], ": %s:6: " % d.config, "what is wrong with the file")
        w.router.ip("route del 198.51.100.0/24")
        wait_until(lambda: w.router.has_route(BASIC_ROUTE), "the route is kept")
        equal(d.cli("reload").returncode, 1, "reload of the file that is still bad")
        d.reload(BASIC)
        wait_until(lambda: "last accepted" not in d.status_text().lower(),
                   "STATUS= after a good reload")
        d.stop()


@case("a start with a bad file and nothing accepted: exit 1, the kernel untouched")
def _():
    with Router() as w:
        monitor = rtnl.Monitor(w.router)
        d = Daemon(w.router, BAD)
        d.start(wait=False)
        equal(d.wait_exit(), 1, "exit code")
        contains(d.log_text(), ":6:32:", "the error")
        os.unlink(d.config)
        d.start(wait=False)
        equal(d.wait_exit(), 1, "exit code without a file")
        equal(monitor.take(), [], "changes")
        equal(w.router.firewall.in_use(), [], "iptables tables")
        check(not any("READY=1" in text for _, text in d.notified), "READY was said")


@case("a kept configuration that is damaged is not run")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        d.stop()
        d.cli("remove", check=True)
        with open(os.path.join(d.state, "accepted"), "wb") as f:
            f.write(b"\xff\x00rubbish" * 1000)
        d.write(BAD)
        d.start(wait=False)
        equal(d.wait_exit(), 1, "exit code")
        equal(w.router.routes(4), [], "routes")


@case("nothing wanted: it runs, and brings no iptables table into being")
def _():
    with Router() as w:
        before = w.router.routes(4, proto=None), w.router.routes(6, proto=None)
        monitor = rtnl.Monitor(w.router)
        d = Daemon(w.router, "version: 1\n").start()
        equal(d.status()["counts"]["held"], 0, "held")
        equal(monitor.take(), [], "changes")
        equal((w.router.routes(4, proto=None), w.router.routes(6, proto=None)), before, "routes")
        equal(w.router.firewall.in_use(), [], "iptables tables")
        d.stop()


@case("only routes wanted: no iptables table comes into being")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC.partition("masquerade:")[0]).start()
        check(w.router.has_route(BASIC_ROUTE), "the route")
        equal((w.router.firewall.in_use(4), w.router.firewall.in_use(6)), ([], []), "tables")
        equal(w.router.sysctl("net.ipv4.ip_forward"), "0", "forwarding")
        d.stop()


@case("a thousand routes at start are one summary line")
def _():
    with Router() as w:
        d = Daemon(w.router, THOUSAND).start()
        equal(len(w.router.routes(4)), 1000, "routes")
        d.wait_log(r"1,?000")
        check(d.count_log(".") <= 10, "more lines than that:\n" + d.log_text())
        equal(d.status()["counts"]["held"], 1000, "held")
        mark = d.mark()
        d.signal(signal.SIGSTOP)
        w.router.ip("route flush proto 110")
        d.signal(signal.SIGCONT)
        wait_until(lambda: len(w.router.routes(4)) == 1000, "all are back")
        d.wait_state("10.100.0.0/24", "held")
        check(d.count_log(".", mark) <= 40, "a line for each:\n" + d.log_text(mark)[:3000])
        d.stop()
        mark = d.mark()
        d.start()
        check(d.count_log(".", mark) <= 10, "more lines than that:\n" + d.log_text(mark)[:3000])
        d.stop()


@case("a restart with a thousand routes in place writes none")
def _():
    with Router() as w:
        d = Daemon(w.router, THOUSAND).start()
        d.stop()
        monitor = rtnl.Monitor(w.router, ("route",))
        d.start()
        equal(d.status()["work"]["route_messages"], 0, "route messages")
        equal(monitor.take(), [], "changes")
        equal(d.status()["counts"]["held"], 1000, "held")
        d.stop()


@case("a thousand foreign routes come and go: nothing is compared, nothing written")
def _():
    with Router() as w:
        d = Daemon(w.router, "settings: {resync: 1h}\n" + THOUSAND).start()
        before = d.status()["work"]
        for verb in ("add", "del"):
            w.router.ip_batch(["route %s 172.%d.%d.0/24 via 192.0.2.2" % (
                verb, 16 + n // 256, n % 256) for n in range(1000)])
        # One of ours behind them: when that is back, all before it was heard.
        w.router.ip("route del 10.100.0.0/24")
        d.wait_state("10.100.0.0/24", "held")
        wait_until(lambda: d.status()["work"]["route_messages"] > before["route_messages"],
                   "it is repaired")
        after = d.status()["work"]
        equal(after["route_messages"], before["route_messages"] + 1, "route messages")
        for key in ("full_comparisons", "overruns"):
            equal(after[key], before[key], key)
        d.stop()


@case("clients that connect and say nothing hold up nobody")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        silent = []
        for n in range(8):
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            s.connect(d.socket_path())
            if n % 2:
                s.send(b"\0AUTH EXTERNAL ")
            silent.append(s)
        equal(d.cli("status", timeout=10).returncode, 0, "status")
        w.router.ip("route del 198.51.100.0/24")
        wait_until(lambda: w.router.has_route(BASIC_ROUTE), "the route is kept")
        equal(d.cli("reload", timeout=10).returncode, 0, "reload")
        more = []
        for n in range(500):  # more than anyone needs
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            s.settimeout(0.5)
            try:
                s.connect(d.socket_path())
            except OSError:
                pass
            more.append(s)
        w.router.ip("route del 198.51.100.0/24")
        wait_until(lambda: w.router.has_route(BASIC_ROUTE), "the route is kept")
        for s in silent + more:
            s.close()
        wait_until(lambda: d.cli("status", timeout=20).returncode == 0, "status afterwards")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.connect(d.socket_path())
            try:
                s.sendall(os.urandom(1 << 16))
            except OSError:
                pass
        equal(d.cli("status").returncode, 0, "status after rubbish")
        d.stop()


@case("a client that asks and does not read holds up nobody")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        asking = w.router.popen([d.binary, "status"] + d.options(), stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        asking.send_signal(signal.SIGSTOP)
        for _ in range(3):
            equal(d.cli("status", timeout=10).returncode, 0, "status")
        asking.send_signal(signal.SIGCONT)
        asking.wait(20)
        d.stop()


@case("other users get no answer")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        equal(os.stat(d.socket_path()).st_mode & 0o777, 0o600, "mode of the socket")
        for directory in (w.directory, d.base, d.runtime):
            os.chmod(directory, 0o755)
        os.chmod(d.socket_path(), 0o666)
        result = w.router.run("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                              d.binary, "status", *d.options(), check=False, timeout=30)
        check(result.returncode != 0, "a stranger was told the status")
        equal(d.cli("status").returncode, 0, "root is")
        # The directory is the service's, or root's: what helps is the same; or their own, and open.
        for owner, mode, why in ((12345, 0o755, "this takes root (sudo)"),
                                 (0, 0o755, "this takes root (sudo)"),
                                 (65534, 0o775, "it can be written by others")):
            os.chown(d.runtime, owner, owner)
            os.chmod(d.runtime, mode)
            result = w.router.run("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                                  d.binary, "apply", *d.options(), check=False, timeout=30)
            contains(result.stderr, why, "what apply says to a stranger")
        d.stop()


@case("STATUS= counts routes and policies, and what is pending")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC.replace("routes:\n", "routes:\n  - {to: 10.9.0.0/16, "
                                           "via: 172.16.0.2}\n")).start()
        text = d.status_text()
        contains(text, "1 pending", "STATUS=")
        check("route" in text, "STATUS= says " + text)
        d.stop()


@case("the watchdog is fed")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC)
        # WATCHDOG_PID has to be that of the daemon, so it is left out: then any process may.
        d.start(env={"WATCHDOG_USEC": "1000000"})
        seen = len(d.notified)
        d.wait_notified("WATCHDOG=1", seen, timeout=5)
        d.stop()


@case("in a namespace without tables or devices it waits for them")
def _():
    with Router() as w:
        empty = w.ns("empty")
        d = Daemon(empty, BASIC).start()
        equal(d.object("198.51.100.0/24")["state"], "pending", "the route")
        w.veth(empty, "eth1", w.peer, "eth7")
        empty.ip("addr add 192.0.2.1/24 dev eth1")
        d.wait_state("198.51.100.0/24", "held")
        d.stop()


@case("IPv6 alone")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC6).start()
        equal(w.router.firewall.in_use(4), [], "IPv4 tables")
        check(w.router.nat_ours(6), "the policy")
        d.stop()


@case("a state directory that can't be written: said, and it runs")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC)
        with open(d.state, "w") as f:
            f.write("a file where the directory should be")
        d.start(wait=False)
        try:
            d.wait_notified("READY=1", timeout=10)
        except Exception:
            equal(d.wait_exit(), 1, "exit code")
            contains(d.log_text(), d.state, "what it could not use")
            equal(w.router.routes(4), [], "routes after a refused start")
            return
        holds_for(d.running, "it runs", 0.2)
        contains(d.log_text(), d.state, "what it could not use")
        d.stop()


@case("a daemon of another namespace with the same state directory is refused")
def _():
    with Router() as w:
        first = Daemon(w.router, BASIC).start()
        second = Daemon(w.peer, "version: 1\nroutes:\n  - {to: 10.9.0.0/16, type: blackhole}\n")
        second.state = first.state

        def kept():
            found = {}
            for name in os.listdir(first.state):
                with open(os.path.join(first.state, name), "rb") as f:
                    found[name] = f.read()
            return found

        before, here, there = kept(), rtnl.Monitor(w.router), rtnl.Monitor(w.peer)
        rules = w.router.nat_ours()
        second.start(wait=False)
        equal(second.wait_exit(), 1, "exit code of the second")
        contains(second.log_text(), first.state, "what it says")
        contains(second.log_text(), "--state-directory", "the way out")
        for monitor in (here, there):
            equal([e for e in monitor.take("route") if e.proto == 110], [], "changes")
        equal(kept(), before, "the state of the first")
        equal(w.router.nat_ours(), rules, "the rules of the first")
        w.router.ip("route del 198.51.100.0/24")
        wait_until(lambda: w.router.has_route(BASIC_ROUTE), "the first goes on keeping it")
        first.stop()
        second.start()  # nobody uses it any more
        second.stop()


main()
