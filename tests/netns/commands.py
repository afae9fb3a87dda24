# SPDX-License-Identifier: GPL-2.0-or-later
"""The program's commands: what they print, what they change, how they end."""

import contextlib
import json
import os
import pty
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import rtnl
from daemon import Daemon
from netns import differences
from tap import Skip, case, check, contains, equal, main
from topology import BASIC, BASIC_ROUTE, Router

TWO = BASIC.replace("routes:\n", 'routes:\n  - {to: "2001:db8:c::/48", via: "2001:db8:b::2"}\n') \
    + """  - {name: six, family: ipv6, out: [eth1]}
"""


@case("usage errors exit 2, --help and --version exit 0")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC)
        for argv in ((), ("bogus",), ("run", "--bogus"), ("run", "file"), ("check", "a", "b"),
                     ("reload", "now"), ("--config",), ("status", "--config"), ("plan", "x")):
            result = w.router.run(d.binary, *argv, check=False, timeout=20)
            equal(result.returncode, 2, "exit code of netshared %s, which said\n%s%s" % (
                " ".join(argv), result.stdout, result.stderr))
            check(result.stderr and not result.stdout, "an error goes to stderr, and alone")
        result = w.router.run(d.binary, "--help")
        for word in ("run", "reload", "check", "plan", "apply", "remove", "status", "--config",
                     "--runtime-directory", "--state-directory", "--version"):
            contains(result.stdout, word, "--help")
        equal(result.stderr, "", "stderr of --help")
        check(w.router.run(d.binary, "--version").stdout.startswith("netshared "), "--version")


@case("complete: the names of the policies that the daemon has")
def _():
    with Router() as w:
        d = Daemon(w.router, TWO)
        takes = re.search(r"^  (\w+) \[?NAME\]?", w.router.run(d.binary, "--help").stdout, re.M)
        if not takes:
            raise Skip("no command takes a name")
        d.start()
        d.write("version: 1\n")
        said = w.router.run(d.binary, "complete", "--", *d.options(), takes.group(1), "").stdout
        equal(sorted(said.split("\n")), ["", "lan-out\tmasquerade", "six\tmasquerade"],
              "what is proposed")


@case("status: what is disabled, and defaults that are of two families")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC.replace("routes:\n", "routes:\n  - {to: default, via: {learned-on:"
                                           " eth1}, family: [ipv4, ipv6], table: 100}\n")
                   + "share:\n  - {name: off, lan: eth0, wan: eth1, enabled: false}\n").start()
        equal([(o["kind"], o["state"], o["policy"], o["line"]) for o in d.objects("share")],
              [("share", "disabled", "off", BASIC.count("\n") + 3)], "what is disabled")
        equal(d.status()["counts"]["disabled"], 1, "how many are")
        text = d.cli("status").stdout
        check(re.search(r"^disabled +share +off ", text, re.M), "it is in " + text)
        contains(text, ", 1 disabled\n", "the counts")
        for family in ("ipv4", "ipv6"):
            contains(text, "default via learned-on eth1 table 100 (%s)" % family, "a default")
        contains(d.cli("status", "off").stdout, "disabled", "status off")
        d.stop()


@case("check: good, bad, and what only it warns of")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC)
        monitor = rtnl.Monitor(w.router)
        said = d.cli("check", check=True).stderr
        contains(said, ":8:5: warning: 'lan-out' switches forwarding on", "for one without a share")
        guarded = d.write("version: 1\nshare:\n  - {name: home, lan: eth0, wan: eth1}\n"
                          "masquerade:\n  - {name: lan-out, out: eth1, to-source: 192.0.2.1}\n",
                          "guarded.yaml")
        equal(w.router.run(d.binary, "check", guarded).stderr, "", "stderr for a good file")
        asking = d.write("version: 1\nroutes:\n  - {to: default, via: 192.0.2.2, dev: eth1, "
                         "check: {ping: 198.51.100.1}}\n", "asking.yaml")
        result = w.router.run(d.binary, "check", asking)
        contains(result.stdout, ": ok, 1 route, 0 policies", "what is in it, without the probes'")
        other = d.write("version: 1\nroutes:\n  - {to: 10.0.0.1/8, via: 192.0.2.2}\n", "other.yaml")
        result = w.router.run(d.binary, "check", other, check=False)
        equal(result.returncode, 1, "exit code for a bad file")
        contains(result.stderr, other + ":3:10:", "the place")
        contains(result.stderr, "10.0.0.0/8", "the hint")
        os.chmod(d.config, 0o666)
        result = d.cli("check")
        equal(result.returncode, 0, "exit code for an unsafe file")
        contains(result.stderr, "warning", "stderr for an unsafe file")
        equal(w.router.run(d.binary, "check", d.base + "/none.yaml", check=False).returncode, 1,
              "exit code for no file")
        equal(monitor.take(), [], "changes")


@case("plan: +, ~ and - with exit 3, and nothing with exit 0")
def _():
    with Router() as w:
        d = Daemon(w.router, TWO)
        before = w.router.snapshot()
        result = d.plan()
        equal(result.returncode, 3, "exit code, with\n" + result.stderr)
        lines = result.stdout.splitlines()
        for start in ("+ route 198.51.100.0/24 via 192.0.2.2 dev eth1",
                      "+ route 2001:db8:c::/48 via 2001:db8:b::2",
                      "+ masquerade lan-out", "+ masquerade six",
                      "+ forwarding ipv4", "+ forwarding ipv6"):
            check(any(line.startswith(start) for line in lines), "no %r in\n%s" % (
                start, result.stdout))
        equal(differences(before, w.router.snapshot()), "", "what plan changed")
        d.cli("apply", check=True)
        result = d.plan()
        equal((result.returncode, result.stderr), (0, ""), "plan then, with " + result.stdout)
        check(not any(line[:2] in ("+ ", "- ", "~ ") for line in result.stdout.splitlines()),
              result.stdout)
        w.router.ip("route replace 198.51.100.0/24 via 192.0.2.3 dev eth1 proto 110")
        w.router.ip("route add 10.77.0.0/16 via 192.0.2.2 proto 110")
        w.router.firewall.flush_chain("lan-out")
        w.router.firewall.leave_over("old")
        result = d.plan()
        equal(result.returncode, 3, "exit code")
        lines = result.stdout.splitlines()
        for start in ("~ route 198.51.100.0/24", "- route 10.77.0.0/16 via 192.0.2.2",
                      "~ masquerade lan-out", "- policy old (ipv4)"):
            check(any(line.startswith(start) for line in lines), "no %r in\n%s" % (
                start, result.stdout))
        check(not any("2001:db8" in line or "six" in line or "forwarding" in line
                      for line in lines), "more than is to do:\n" + result.stdout)
        was = w.router.run(d.binary, "plan", *d.options(), "--config",
                           d.write("version: 1\n", "none.yaml"), check=False)
        for line in "- policy old (ipv4)", "- masquerade lan-out (ipv4)":
            contains(was.stdout, line, "of what apply put there the kind is known")
        document = d.cli("plan", "--json")
        equal(document.returncode, 3, "exit code with --json")
        changes = json.loads(document.stdout)["changes"]
        marks = {"add": "+", "change": "~", "remove": "-"}
        equal(["%s %s" % (marks[c["action"]], c["object"]) for c in changes],
              [line for line in lines if line[0] != "#"], "--json and the lines")
        equal({c["kind"] for c in changes} - {"jump", "chain"},
              {"masquerade", "policy", "route"}, "kinds")
        on_terminal = " ".join((d.binary, "plan", "--config", d.config, "--runtime-directory",
                                d.runtime, "--state-directory", d.state))
        shown = w.router.run("env", "-u", "NO_COLOR", "TERM=xterm", "script", "-qec", on_terminal,
                             "/dev/null", check=False).stdout
        contains(shown, "\x1b[33m~ masquerade lan-out", "on a terminal")
        shown = w.router.run("env", "NO_COLOR=1", "TERM=xterm", "script", "-qec", on_terminal,
                             "/dev/null", check=False).stdout
        check("\x1b[" not in shown, "NO_COLOR: %r" % shown)
        d.write("routes: [")
        result = d.plan()
        equal(result.returncode, 1, "exit code for a bad file")
        contains(result.stderr, d.config + ":", "the place")


@case("plan --config of another file while the daemon runs changes nothing")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        monitor = rtnl.Monitor(w.router)
        other = d.write(TWO, "other.yaml")
        result = w.router.run(d.binary, "plan", "--config", other, "--runtime-directory", d.runtime,
                              "--state-directory", d.state, check=False)
        equal(result.returncode, 3, "exit code")
        check("198.51.100.0/24" not in result.stdout, "what is right already:\n" + result.stdout)
        equal(monitor.take(), [], "changes")
        d.stop()


OFFLINE = """version: 1
routes:
  - {to: default, via: 203.0.113.1, dev: eth1}
  - {to: 10.9.0.0/16, via: 203.0.113.1}
  - {to: 10.8.0.0/16, via: 192.0.2.2, when: {dev-up: eth7}}
  - {to: 10.7.0.0/16, vrf: blue, via: 192.0.2.2}
  - {to: 10.6.0.0/16, nexthops: [{via: 192.0.2.2, dev: eth8}, {via: 192.0.2.3, dev: eth9}]}
rules:
  - {from: 10.1.0.0/24, table: 100, priority: 1000}
masquerade:
  - {name: lan-out, from: [10.0.0.0/24], out: [eth1]}
  - {name: first, position: first, from: [10.0.0.0/24], out: [eth8]}
  - {name: many, from: [%s], out: [eth2]}
share:
  - {name: home, lan: eth3, wan: eth1}
""" % ", ".join("10.0.%d.0/24" % n for n in range(1, 40, 2))


@case("plan --offline: one file against another, on a machine that has nothing of it")
def _():
    with Router() as w:
        d = Daemon(w.router, OFFLINE)
        monitor = rtnl.Monitor(w.router)

        def offline(old, new):
            d.write(new)
            result = d.cli("plan", "--offline", d.write(old, "old.yaml"))
            return result.returncode, {line for line in result.stdout.splitlines()
                                       if not line.startswith("#")}

        equal(offline(OFFLINE, OFFLINE), (0, set()), "the same")
        equal(offline(OFFLINE, OFFLINE.replace("settings", "").replace(
            "version: 1", "version: 1\nsettings: {route-protocol: 111}")), (0, set()),
              "with another mark")
        changed = OFFLINE
        for old, new in (("to: default, via: 203.0.113.1", "to: default, via: 203.0.113.2"),
                         ("priority: 1000", "priority: 1001"), ("10.0.3.0/24", "10.1.3.0/24"),
                         ("from: [10.0.0.0/24], out: [eth8]", "from: [10.0.0.0/23], out: [eth8]"),
                         ("192.0.2.3, dev: eth9", "192.0.2.3, dev: eth9, weight: 2"),
                         ("  - {name: home, lan: eth3, wan: eth1}\n", ""), ("share:\n", "")):
            check(old in changed, old)
            changed = changed.replace(old, new)
        code, lines = offline(OFFLINE, changed)
        equal(code, 3, "exit code")
        for line in ("~ route default via 203.0.113.2 dev eth1",
                     "- rule from 10.1.0.0/24 lookup 100 priority 1000",
                     "+ rule from 10.1.0.0/24 lookup 100 priority 1001",
                     "~ masquerade first: 1 of 2 rules changed",
                     "~ set netshared-many_f4: lacked 1 of 20 prefixes and held 1 too many",
                     "- share home (ipv4)", "- conntrack ipv6", "- forwarding ipv6"):
            check(line in lines, "no %r in\n%s" % (line, "\n".join(sorted(lines))))
        check(any(line.startswith("~ route 10.6.0.0/16 ") for line in lines), lines)
        check(not any("lan-out" in line or "10.8.0.0" in line or "10.7.0.0" in line
                      for line in lines), lines)
        _, lines = offline(OFFLINE, OFFLINE.replace("lan: eth3", "lan: eth5"))
        check(any(re.fullmatch(r"~ share home \(ipv4\) in filter: \d+ rules with device eth3, not eth5",
                               line) for line in lines), lines)
        _, back = offline(changed, OFFLINE)
        check("+ share home (ipv4) in filter" in back, back)
        # The device of a gateway that neither file names is not told of.
        one = "version: 1\nroutes:\n  - {to: 192.0.2.0/24, via: 203.0.113.1}\n"
        equal(offline(one, "version: 1\n"), (3, {"- route 192.0.2.0/24 via 203.0.113.1"}), "no device")
        equal(offline(one, one), (0, set()), "the same without one")
        result = d.cli("plan", "--offline", d.write("routes: [", "old.yaml"))
        equal(result.returncode, 1, "exit code for a bad file")
        equal(monitor.take(), [], "changes of this machine")


@case("apply: once, without a daemon; a second changes nothing; a bad file changes nothing")
def _():
    with Router() as w:
        d = Daemon(w.router, TWO)
        d.cli("apply", check=True)
        check(w.router.has_route(BASIC_ROUTE + " proto 110"), w.router.routes(4))
        equal(w.router.firewall.jumps(), ["lan-out"], "jumps")
        equal(w.router.sysctl("net.ipv4.ip_forward"), "1", "forwarding")
        equal(w.router.sysctl("net.ipv6.conf.all.forwarding"), "1", "IPv6 forwarding")
        d.write(TWO.replace("routes:\n", "routes:\n  - {to: default, via: 192.0.2.2}\n"))
        equal(d.cli("apply", check=True).stderr.count("warning"), 0, "a default route comes")
        d.write(TWO)
        contains(d.cli("apply", check=True).stderr, "warning: the file leaves this machine without a default route",
                 "and goes")
        d.write(TWO.replace("routes:\n", "routes:\n  - {to: default, via: 192.0.2.2}\n"))
        d.cli("apply", check=True)
        w.router.ip("route add default via 192.0.2.3 metric 9")
        d.write(TWO)
        equal(d.cli("apply", check=True).stderr.count("warning"), 0, "another program's stays")
        w.router.ip("route del default via 192.0.2.3 metric 9")
        monitor, before = rtnl.Monitor(w.router), w.router.snapshot()
        equal(d.cli("apply", check=True).stderr.count("warning"), 0, "once more")
        d.write(TWO.replace("192.0.2.2", "192.0.2.999"))
        result = d.cli("apply")
        equal(result.returncode, 1, "exit code for a bad file")
        contains(result.stderr, d.config + ":7:32:", "the place")
        equal(monitor.take(), [], "changes")
        equal(w.router.snapshot(), before, "the kernel")


@case("apply while the daemon runs asks it")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        d.write(TWO)
        d.cli("apply", check=True)
        check(w.router.has_route("2001:db8:c::/48", 6), "the new route")
        equal(d.object("2001:db8:c::/48")["state"], "held", "the daemon knows of it")
        d.write("version: 1\nroutes: [{to: 10.0.0.0/33}]\n")
        result = d.cli("apply")
        equal(result.returncode, 1, "exit code for a bad file")
        contains(result.stderr, "10.0.0.0/33", "the error")
        d.stop()


@case("remove takes away all that is ours and nothing else, without a daemon")
def _():
    with Router() as w:
        w.router.ip("route add 10.88.0.0/16 via 192.0.2.2 proto static")
        w.router.firewall.foreign()
        before = w.router.snapshot()
        d = Daemon(w.router, TWO).start()
        d.kill9()
        w.router.ip("route add 10.77.0.0/16 via 192.0.2.2 table 99 proto 110")
        w.router.firewall.leave_over("left-over")
        d.cli("remove", check=True)
        equal(differences(before, w.router.snapshot()), "", "what differs from before netshared")
        d.cli("remove", check=True)  # nothing to do is no error
        equal(d.plan().returncode, 3, "plan afterwards")


@case("remove needs neither the file nor the state directory")
def _():
    with Router() as w:
        before = w.router.snapshot()
        d = Daemon(w.router, TWO.replace("resync: 1h", "resync: 1h\n  forwarding: leave")).start()
        d.stop()
        os.unlink(d.config)
        for name in os.listdir(d.state):
            os.unlink(os.path.join(d.state, name))
        d.cli("remove", check=True)
        equal(differences(before, w.router.snapshot()), "", "what differs from before netshared")


@case("remove knows another route-protocol than the default, without the file")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC.replace("1h", "1h\n  route-protocol: 111")).start()
        check(w.router.has_route(BASIC_ROUTE, proto="111"), w.router.routes(4, proto="111"))
        d.kill9()
        os.unlink(d.config)
        d.cli("remove", check=True)
        equal(w.router.routes(4, proto="111"), [], "routes after remove")


@case("remove while the daemon runs is refused, or the daemon would put all back")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        before = w.router.snapshot()
        result = d.cli("remove")
        equal(result.returncode, 1, "exit code")
        contains(result.stderr, "run", "why")
        equal(differences(before, w.router.snapshot()), "", "what it changed")
        d.stop()


@case("commands that need the daemon say that there is none")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC)
        for command in ("reload", "status"):
            result = d.cli(command)
            equal(result.returncode, 1, "exit code of " + command)
            contains(result.stderr, "no daemon", "what %s says" % command)


@case("status: a table for people, JSON for programs")
def _():
    with Router() as w:
        d = Daemon(w.router, TWO).start()
        w.router.ip("route del 198.51.100.0/24")
        d.wait_log("restored")
        table = d.cli("status", check=True).stdout
        for part in ("198.51.100.0/24", "2001:db8:c::/48", "lan-out", "six", "held"):
            contains(table, part, "the table")
        status = json.loads(d.cli("status", "--json", check=True).stdout)
        missing = {"held", "pending", "conflicting", "wrong"} - set(status["counts"])
        equal(missing, set(), "missing in counts")
        route = [o for o in status["objects"] if o["name"].startswith("198.51.100.0/24")][0]
        equal((route["kind"], route["state"], route["repairs"], route["file"], route["line"]),
              ("route", "held", 1, d.config, 7), "the route")
        policy = [o for o in status["objects"] if o["name"].startswith("lan-out")][0]
        equal((policy["kind"], policy["state"], policy["line"]), ("masquerade", "held", 9),
              "the policy")
        equal(status["counts"]["held"],
              sum(o["state"] == "held" for o in status["objects"]), "counts")
        d.stop()


@case("directories come from systemd's variables when no option says otherwise")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC)
        os.mkdir(d.runtime, 0o755)
        os.mkdir(d.state, 0o700)
        environment = dict(w.env, RUNTIME_DIRECTORY=d.runtime, STATE_DIRECTORY=d.state)
        w.router.run(d.binary, "apply", "--config", d.config, env=environment)
        check(os.path.exists(os.path.join(d.state, "sysctls")), os.listdir(d.state))
        d.start()
        result = w.router.run(d.binary, "status", env=environment)
        contains(result.stdout, "198.51.100.0/24", "status by RUNTIME_DIRECTORY")
        d.stop()


@case("plan: what an interface is called does not reach the terminal raw")
def _():
    with Router() as w:
        w.router.stub("\x1b[31mred")
        w.router.ip("route add 10.77.0.0/16 dev \x1b[31mred proto 110")
        d = Daemon(w.router, BASIC)
        result = d.plan()
        equal(result.returncode, 3, "exit code, with\n" + result.stderr)
        check("\x1b" not in result.stdout + result.stderr, repr(result.stdout + result.stderr))
        contains(result.stdout, "- route 10.77.0.0/16 dev \\x1b[31mred\n", "the name, escaped")
        d.start()
        d.cli("status", check=True)
        check("\x1b" not in d.log_text(), repr(d.log_text()))
        d.stop()


@case("busctl is a client too")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC)
        d.start()
        where = ("busctl", "--address=unix:path=" + os.path.join(d.runtime, "control"))
        target = ("io.netshared", "/io/netshared/Control")
        said = w.router.run(*where, "introspect", *target).stdout
        for word in ("io.netshared.Control", ".Reload", ".Status", ".Version"):
            contains(said, word, "introspection")
        called = w.router.run(*where, "call", *target, "io.netshared.Control", "Reload").stdout
        contains(called, "bs true", "the verdict")
        d.stop()
        check(not os.path.lexists(os.path.join(d.runtime, "control")), "its name goes with it")


@case("watch: a line for all that happens, and JSON for programs")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC)
        result = d.cli("watch")
        equal(result.returncode, 1, "exit code without a daemon")
        contains(result.stderr, "no daemon runs", "why")
        d.start()
        text, as_json = (w.router.popen([d.binary, "watch", *words, *d.options()],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
                         for words in ((), ("--json",)))
        for process in text, as_json:
            contains(process.stderr.readline(), "watching", "once it has begun")
        w.router.ip("route del " + BASIC_ROUTE)
        line = text.stdout.readline()
        contains(line, "route " + BASIC_ROUTE, "the repair")
        contains(line, "was removed", "what had happened")
        event = json.loads(as_json.stdout.readline())
        equal((event["action"], event["kind"], event["cause"]), ("restored", "route", "removed"),
              "the same in JSON")
        equal(event["file"], d.config, "its file")
        d.write("version: 2\n")
        d.reload(check=False)
        contains(text.stdout.readline(), "reload refused", "a bad file")
        d.stop()
        rest = text.communicate(timeout=20)
        contains(rest[0], "stopped", "the end")
        contains(rest[1], "ended the connection", "and why watch ends")
        as_json.communicate(timeout=20)
        equal((text.returncode, as_json.returncode), (1, 1), "exit codes")


@case("an error is JSON where JSON is wanted, and output that can't be written is an error")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC)

        def error(*argv, code=1):
            result = d.cli(*argv)
            equal(result.returncode, code, "exit code of " + " ".join(argv))
            told = json.loads(result.stdout)
            equal(list(told), ["error"], "of " + " ".join(argv))
            return told["error"]

        for argv in (("status", "a", "b"), ("statsu",), ("status", "--no-such"), ("plan", "--offline"),
                     ("reload",), ("explain", "10.0.0.1", "here")):
            result = d.cli(*argv[:1], "--json", *argv[1:])
            contains(result.stderr, "netshared: " + error(*argv[:1], "--json", *argv[1:], code=2),
                     "the same words")
        equal(d.cli("statsu").stdout, "", "of one that asks for text")
        for command in "status", "watch":
            contains(error(command, "--json"), "no daemon runs", command)
        d.start()
        # Who may not is told who may.
        for path, mode in (w.directory, 0o755), (d.base, 0o755), (d.config, 0o644):
            os.chmod(path, mode)
        for command in "status", "reload", "plan", "import":
            result = w.router.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                  d.binary, command, *d.options(), check=False)
            equal(result.returncode, 1, "exit code of %s as nobody" % command)
            contains(result.stderr, "this takes root (sudo)", command)
        contains(error("status", "--json", "nobody"), "nothing in the status is named 'nobody'",
                 "the name")
        bad = d.write("version: 1\nroutes: 5\n", "bad.yaml")
        contains(error("plan", "--json", "--offline", bad), bad + ":2:9: error:", "the place")
        empty = d.write("version: 1\n", "empty.yaml")
        full = "exec \"$@\" >/dev/full"
        for words in ("--help", "--version", "check", "check --json", "plan --offline " + empty,
                      "plan --json --offline " + empty, "status", "status --json", "doctor",
                      "doctor --json", "metrics", "import",
                      "explain --json 10.0.0.2 192.0.2.9", "explain 10.0.0.2 192.0.2.9"):
            options = d.options() if not words.startswith("--") else []
            result = w.router.run("sh", "-c", full, "sh", d.binary, *words.split(), *options,
                                  check=False)
            equal((result.returncode, result.stderr.count("written")), (1, 1),
                  words + ", which said " + result.stderr)
            contains(result.stderr, "standard output can't be written to", words)
            if words in ("check", "--version"):
                contains(result.stderr, "No space left on device", words)
            check("daemon" not in result.stderr, result.stderr)
        watcher = w.router.popen(["sh", "-c", full, "sh", d.binary, "watch", *d.options()],
                                 stderr=subprocess.PIPE, text=True)
        contains(watcher.stderr.readline(), "watching", "it has begun")
        w.router.ip("route del " + BASIC_ROUTE)
        contains(watcher.communicate(timeout=20)[1], "can't be written to", "watch")
        equal(watcher.returncode, 1, "exit code of watch")
        d.stop()


@case("who sits at a terminal is told that there is nothing to do")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC)
        for expected in "+ route", "nothing to do\r\n":
            ours, its = pty.openpty()
            process = w.router.popen([d.binary, "plan", *d.options()], stdout=its)
            os.close(its)
            said = b""
            with contextlib.suppress(OSError):  # how the end of a terminal is told
                while piece := os.read(ours, 4096):
                    said += piece
            os.close(ours)
            process.wait(timeout=20)
            contains(said.decode(), expected, "plan on a terminal")
            d.cli("apply", check=True)
        equal(d.plan().stdout, "", "in a pipe")


main()
