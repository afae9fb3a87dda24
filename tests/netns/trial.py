# SPDX-License-Identifier: GPL-2.0-or-later
"""A configuration on trial: confirmed, gone back from, and over crashes and restarts."""

import fcntl
import json
import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from netns import wait_until
from tap import case, check, contains, equal, main, patience
from topology import CLIENT4, CLIENT6, LAN4, LAN6, SERVER4, SERVER6, Lan, Router
from traffic import TcpEcho

OLD, NEW = "10.1.0.0/16", "10.2.0.0/16"
FILE = """version: 1
settings: {resync: 1h%s}
routes:
  - {to: %s, via: 192.0.2.2, dev: eth1}
"""


def routes(w):
    return [line.split()[0] for line in w.router.ip("route show proto 110").splitlines()]


def started(w, setting=""):
    d = Daemon(w.router, FILE % (setting, OLD)).start()
    equal(routes(w), [OLD], "at first")
    return d


def problem(d):
    return d.status().get("problem", "")


@case("unconfirmed, it goes back by itself; confirmed, it stays")
def _():
    with Router() as w:
        d = started(w)
        result = d.cli("confirm")
        equal(result.returncode, 1, "exit code with nothing to confirm")
        contains(result.stderr, "no configuration is on trial", "why")
        new = d.write(FILE % ("", NEW), "new.yaml")
        mark = d.mark()
        said = d.cli("try", new, "--timeout", "1s", check=True).stdout
        contains(said, "netshared confirm", "how to keep it")
        contains(said, "cp %s %s" % (new, d.config), "how to keep it over a restart")
        d.wait_log("configuration %s is on trial" % new, since=mark)
        d.wait_log("error: configuration %s was not confirmed, the last accepted one runs: "
                   "its time of 1.0 s was over" % new, since=mark)
        d.wait_log("reloaded", since=mark)
        wait_until(lambda: routes(w) == [OLD], "the old one is back")
        contains(problem(d), "%s was not confirmed" % new, "in status")
        contains(problem(d), "netshared try %s; a reload takes %s" % (new, d.config), "what to do")
        contains(d.cli("confirm").stderr, "%s was, until " % new, "to who comes too late")
        d.cli("try", new, "--timeout", "1h", check=True)
        equal(routes(w), [NEW], "tried again")
        check(3500e6 < d.status()["trial_left_usec"] <= 3600e6, "what is left, in status")
        equal(problem(d), "", "no problem meanwhile")
        d.cli("confirm", check=True)
        d.wait_log("configuration %s was confirmed" % new, since=mark)
        check("trial_left_usec" not in d.status(), "it is over")
        mark = d.mark()
        d.cli("try", new, "--timeout", "1h", check=True)
        d.cli("revert", check=True)
        equal(routes(w), [NEW], "back to what was confirmed")
        d.wait_log("notice: configuration %s was withdrawn as asked, the last accepted one runs"
                   % new, since=mark)
        equal((problem(d), d.status()["state"]), ("", "running"), "what was wanted is no problem")
        d.stop()


@case("who is connected by SSH is named if the way back to him changes, before anything does")
def _():
    with Lan() as w:
        servers = [TcpEcho(w.router, a, port) for a, port in ((LAN4, 22), (LAN6, 22), (LAN4, 2222))]
        ends = [w.client.socket(socket.AF_INET6 if ":" in a else socket.AF_INET,
                                socket.SOCK_STREAM) for a in (LAN4, LAN6)]
        for end, address in zip(ends, (LAN4, LAN6)):
            end.connect((address, 22))
        away = "version: 1\nroutes:\n  - {to: %s, via: %s, dev: eth1%s}\n"
        d = Daemon(w.router, away % (OLD, SERVER4, "")).start()

        def said(text):
            d.write(text)
            result = d.cli("try", "--timeout", "1h", check=True)
            d.cli("revert", check=True)
            return result.stderr

        equal(said(away % (NEW, SERVER4, "")), "", "of what leads elsewhere")
        equal(said(away % (CLIENT4 + "/32", SERVER4, ", table: 77")), "", "of a table without a rule")
        told = said(away % (CLIENT4, SERVER4, ""))
        contains(told, "the way back to %s, which is connected by SSH, changes:" % CLIENT4, "a route")
        contains(told, "now:  10.0.0.0/24 dev eth0", "what it is")
        contains(told, "then: %s via %s dev eth1" % (CLIENT4, SERVER4), "what it would be")
        check(CLIENT6 not in told, told)
        told = said(away % ("default", SERVER6, ", table: 77") +
                    "rules:\n  - {from: %s, table: 77, priority: 100}\n" % LAN6)
        contains(told, "the way back to %s" % CLIENT6, "a rule")
        contains(told, "then: default via %s dev eth1 table 77" % SERVER6, "where it would lead")
        told = said(away % ("default", SERVER4, ", table: 77") +
                    "rules:\n  - {from: %s, table: 77, priority: 100}\n" % LAN4)
        contains(told, "then: default via %s dev eth1 table 77" % SERVER4, "the same in IPv4")
        told = said("version: 1\nroutes:\n  - {to: %s, type: blackhole}\n" % CLIENT4)
        contains(told, "then: blackhole %s" % CLIENT4, "nowhere")
        # The same by another port, where sshd says so.
        ends[0].close()
        other = w.client.socket(socket.AF_INET, socket.SOCK_STREAM)
        other.connect((LAN4, 2222))
        wait_until(lambda: ":22 " not in w.router.run("ss", "-4tn", "state", "established").stdout,
                   "the first session has ended")
        equal(said(away % (CLIENT4, SERVER4, "")), "", "nobody knows that it is SSH")
        session = "SSH_CONNECTION=%s %d %s 2222" % (CLIENT4, other.getsockname()[1], LAN4)
        d.write(away % (CLIENT4, SERVER4, ""))
        told = w.router.run("env", session, d.binary, "try", "--timeout", "1h", *d.options()).stderr
        contains(told, "connected by SSH (this very session), changes", "one's own")
        d.cli("revert", check=True)
        d.stop()
        for server in servers:
            server.stop()


@case("it outlives a crash with its deadline, and a file that was tried does not come back by a start")
def _():
    with Router() as w:
        d = started(w)
        d.write(FILE % ("", NEW))
        d.cli("try", "--timeout", "1h", check=True)
        d.kill9()
        d.start()
        equal(routes(w), [NEW], "the trial goes on")
        check(d.status()["trial_left_usec"] > 3000e6, "until its end")
        d.cli("revert", check=True)
        equal(routes(w), [OLD], "gone back")
        d.cli("try", "--timeout", "1h", check=True)
        d.cli("revert", check=True)
        equal(problem(d), "", "there was none before either")
        d.stop()
        d.start()
        equal(routes(w), [OLD], "the file on disk is what was refused")
        contains(problem(d), "was not confirmed", "and that is said")
        d.reload()
        equal(routes(w), [NEW], "a reload is somebody's will")
        equal(problem(d), "", "no problem any more")
        new = d.write(FILE % ("", OLD), "new.yaml")
        d.cli("try", new, "--timeout", "%ds" % patience(3), check=True)
        d.kill9()
        mark = d.mark()
        wait_until(lambda: not trial_left(d), "its time is over")
        d.start()
        d.wait_log("configuration %s was not confirmed, the last accepted one runs: its time was "
                   "over when netshared started" % new, since=mark)
        equal(routes(w), [NEW], "gone back at the start")
        d.write(FILE % ("", "10.3.0.0/16"))
        d.stop()
        d.start()
        equal(routes(w), ["10.3.0.0/16"], "another file counts as always")
        d.stop()


def trial_left(d):
    import time
    with open(os.path.join(d.state, "trial"), encoding="ascii") as f:
        return int(f.read().split()[1]) > time.time() * 1e6


def replaced(w, d, path, told, *before):
    """What `try` says if a reload comes while the file still waits for the lock, if that comes in
    time: a pass does not wait for it for ever."""
    mark = d.mark()
    with open(w.env["XTABLES_LOCKFILE"], "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        trying = w.router.popen([d.binary, "try", path, "--timeout", "1h", *d.options()],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        d.wait_log("%s is on trial:" % path, since=mark)
        for command in before:
            d.cli(command, check=True)
        again = w.router.popen([d.binary, "reload", *d.options()])
        d.wait_log(told, since=mark)
        out, err = trying.communicate(timeout=60)
    equal(again.wait(timeout=60), 0, "exit code of the reload")
    return trying.returncode, out, err


@case("a mended file that was tried and confirmed is refused no more")
def _():
    with Router() as w:
        d = started(w)
        d.reload("version: 2\n", check=False)
        wait_until(lambda: "was refused" in d.status_text(), "STATUS= after a bad one")
        new = d.write(FILE % ("", NEW), "new.yaml")
        d.cli("try", new, "--timeout", "1h", check=True)
        d.cli("confirm", check=True)
        contains(d.status()["reload_refused"], "was refused", "with another file than that on disk")
        d.write(FILE % ("", NEW))
        d.cli("try", "--timeout", "1h", check=True)
        d.reload("version: 2\n", check=False)
        d.cli("confirm", check=True)
        contains(d.status()["reload_refused"], "was refused", "when it was spoilt again meanwhile")
        d.write(FILE % ("", NEW))
        d.cli("try", "--timeout", "1h", check=True)
        d.cli("confirm", check=True)
        wait_until(lambda: "refused" not in d.status_text(), "STATUS= is of the file on disk")
        equal((d.status()["state"], "reload_refused" in d.status()), ("running", False), "then")
        d.stop()


@case("a file whose name is no UTF-8 is told of all the same")
def _():
    with Router() as w:
        d = started(w)
        odd = d.write(FILE % ("", NEW), "new\udcff.yaml")
        told = odd.replace("\udcff", "\ufffd")
        watch = w.router.popen([d.binary, "watch", "--json", *d.options()], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        contains(watch.stderr.readline(), "watching", "it has begun")
        d.cli("try", odd, "--timeout", "1h", check=True)
        contains(json.loads(watch.stdout.readline())["message"], "new\\xff.yaml is on trial",
                 "to who watches")
        status = d.status()
        equal((status["running_file"], [o["file"] for o in status["objects"]]), (told, [told]),
              "on trial")
        d.cli("confirm", check=True)
        contains(d.status()["other_file"], "what runs is %s as" % told, "confirmed")
        d.cli("try", odd, "--timeout", "1s", check=True)
        wait_until(lambda: "%s was not confirmed" % told in problem(d), "the problem")
        d.stop()
        watch.communicate(timeout=60)


@case("a file that was tried and confirmed is not the daemon's own, and all say so")
def _():
    with Router() as w:
        d = started(w)
        new = d.write(FILE % ("", NEW), "new.yaml")
        check("running_file" not in d.status(), "its own file runs")
        d.cli("try", new, "--timeout", "1h", check=True)
        equal((d.status()["running_file"], d.status().get("other_file")), (new, None), "on trial")
        contains(d.cli("status", check=True).stdout, "on trial:    %s, ends in" % new, "in text")
        d.cli("confirm", check=True)
        told = ("what runs is %s as it was tried and confirmed, not %s, which a reload or a restart "
                "takes; to keep what runs: cp %s %s; then netshared reload"
                % (new, d.config, new, d.config))
        equal(d.status()["other_file"], told, "in JSON")
        contains(d.cli("status", check=True).stdout, "warning:     " + told, "in text")
        contains(d.cli("explain", CLIENT4, SERVER4).stdout, "note: " + told, "explain")
        contains(d.cli("doctor").stdout, told, "doctor")
        # As it says: a restart takes the daemon's own file.
        d.stop()
        d.start()
        equal((routes(w), "other_file" in d.status()), ([OLD], False), "after a restart")
        # Named from where it stands, with drop-ins.
        os.mkdir(os.path.join(d.base, "new.d"))
        d.write("version: 1\n", "new.d/more.yaml")
        w.router.run("sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", d.base, d.binary, "try",
                     *d.options(), "new.yaml")
        d.cli("confirm", check=True)
        both = (os.path.join(d.base, "new.d"), os.path.splitext(d.config)[0] + ".d")
        contains(d.status()["other_file"], "cp %s %s, and its drop-ins, which are in %s, into %s; "
                 % (new, d.config, *both), "with drop-ins")
        # And as it says once more.
        w.router.run("cp", new, d.config)
        w.router.run("cp", "-r", *both)
        d.reload()
        equal((routes(w), "other_file" in d.status()), ([NEW], False), "copied and reloaded")
        d.stop()


def keep(w, d):
    """Does what status says, and gives the routes before the reload and after it."""
    told = d.status()["other_file"]
    command = told.split("to keep what runs: ")[1].split("; then netshared reload")[0]
    before = sorted(routes(w))
    equal(w.router.run("sh", "-c", command).stderr, "", command)
    d.reload()
    check("other_file" not in d.status(), "it runs its own file")
    return told, before, sorted(routes(w))


@case("what was tried and confirmed is kept, also if its files have changed since")
def _():
    with Router() as w:
        d = started(w)
        hop = "via: 192.0.2.2, dev: eth1"
        os.mkdir(os.path.join(d.base, "t"))
        new = d.write("version: 1\nroutes:\n  - {to: {file: nets.txt}, %s}\n" % hop, "t/x.yaml")
        nets = d.write("10.4.0.0/16\n", "t/nets.txt")
        listed = ", and its files of prefixes: nets.txt, from %s/t/ into %s/" % (d.base, d.base)
        copy = "cp %s %s%s" % (new, d.config, listed)
        # The client may have another main file than the daemon, as without --config.
        said = d.cli("try", new, "--timeout", "1h", "--config", "/none.yaml", check=True).stdout
        contains(said, "a reload read %s:" % d.config, "which file a reload reads")
        contains(said, copy, "how to keep it")
        d.cli("confirm", check=True)
        contains(d.status()["other_file"], "to keep what runs: %s; then" % copy, "as long as it is so")
        d.write("10.6.0.0/16\n", "t/nets.txt")
        contains(d.status()["other_file"], "; %s has changed since; to keep" % nets, "its prefixes")
        d.write("version: 1\n", "t/x.yaml")
        told, before, after = keep(w, d)
        contains(told, "; %s has changed since; to keep" % new, "the file")
        equal((before, after), (["10.4.0.0/16"], ["10.4.0.0/16"]), "kept")
        # With drop-ins, all of it gone.
        new = d.write("version: 1\n", "t/y's.yaml")
        os.mkdir(os.path.join(d.base, "t", "y's.d"))
        more = d.write("routes:\n  - {to: 10.5.0.0/16, %s}\n" % hop, "t/y's.d/more.yaml")
        d.cli("try", new, "--timeout", "1h", check=True)
        d.cli("confirm", check=True)
        for path in new, more:
            os.unlink(path)
        told, before, after = keep(w, d)
        contains(told, "the daemon can't read %s now (No such file or directory)" % new, "gone")
        equal((before, after), (["10.5.0.0/16"], ["10.5.0.0/16"]), "kept, drop-in and all")
        d.stop()


@case("a reload that ends a trial is told to all, and another trial in its place as well")
def _():
    with Router() as w:
        d = started(w)
        new = d.write(FILE % ("", NEW), "new.yaml")
        watcher = w.router.popen([d.binary, "watch", *d.options()], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
        watcher.stderr.readline()
        d.cli("try", new, "--timeout", "1h", check=True)
        mark = d.mark()
        other = d.write(FILE % ("", "10.3.0.0/16"), "other.yaml")
        d.cli("try", other, "--timeout", "1h", check=True)
        d.wait_log("configuration %s is on trial no more: another trial took its place" % new,
                   since=mark)
        mark = d.mark()
        d.reload()
        d.wait_log("configuration %s is on trial no more: a reload took its place" % other,
                   since=mark)
        equal(routes(w), [OLD], "the file on disk")
        late = d.cli("confirm")
        equal(late.returncode, 1, "exit code of one that comes too late")
        contains(late.stderr, "%s was, until " % other, "which")
        contains(late.stderr, ": a reload took its place", "why")
        # One that still waits to be written, for the lock: its client is told.
        waits = d.write("version: 1\nmasquerade: [{name: out, family: ipv4, out: eth1}]\n",
                        "waits.yaml")
        for _ in range(5):
            code, out, err = replaced(w, d, waits, "%s is on trial no more" % waits)
            if code == 1:
                break
        contains(err, "another configuration took its place at once", "who tried it")
        equal((out, code), ("", 1), "and no word of what is in force")
        # Unless somebody has confirmed it by then.
        code, out, err = replaced(w, d, waits, "%s was confirmed" % waits, "confirm")
        check("took its place" not in err, err)
        equal(code, 0, "exit code of a trial that was confirmed")
        d.stop()
        seen = watcher.communicate(timeout=20)[0]
        for path in new, other, waits:
            contains(seen, "%s is on trial no more" % path, "watch")


@case("a bad one is not tried, and what runs stays")
def _():
    with Router() as w:
        d = started(w)
        bad = d.write("version: 1\nroutes:\n  - {to: 10.0.0.1/8, dev: eth1}\n", "bad.yaml")
        result = d.cli("try", bad)
        equal(result.returncode, 1, "exit code")
        contains(result.stderr, bad + ":3:10:", "the place")
        equal(routes(w), [OLD], "what runs")
        check(not os.path.exists(os.path.join(d.state, "trial")), "no trial")
        writable = d.write(FILE % ("", NEW), "writable.yaml")
        os.chmod(writable, 0o666)
        result = d.cli("try", writable)
        equal(result.returncode, 1, "exit code, of a file that others may write to")
        contains(result.stderr, "can be written by others", "why")
        equal(routes(w), [OLD], "what runs")
        d.cli("try", "--trust-files", writable, check=True)
        d.cli("revert", check=True)
        for time in "0s", "999ms", "25h", "soon":
            equal(d.cli("try", "--timeout", time).returncode, 2, "--timeout " + time)
        d.stop()


@case("confirm-reload: a reload is a trial, and so is one that takes the setting away")
def _():
    with Router() as w:
        d = started(w)
        d.write(FILE % (", confirm-reload: 1h", NEW))
        said = d.reload().stderr
        contains(said, "on trial: 'netshared confirm' keeps it", "what reload says")
        equal(routes(w), [NEW], "reloaded")
        contains(d.cli("status").stdout, "on trial:    ends in", "status")
        d.cli("revert", check=True)
        equal(routes(w), [OLD], "gone back")
        d.reload()
        d.cli("confirm", check=True)
        d.reload(FILE % ("", OLD))
        check("trial_left_usec" in d.status(), "what runs wants this one to be confirmed too")
        d.cli("confirm", check=True)
        d.reload(FILE % ("", NEW))
        check("trial_left_usec" not in d.status(), "now it is off")
        d.stop()


@case("prefix files and drop-ins are tried with it, as they were then")
def _():
    with Router() as w:
        d = started(w)
        main_file = d.write("version: 1\nroutes:\n  - {to: {file: nets}, via: 192.0.2.2, dev: eth1}\n",
                            "with-files.yaml")
        nets = d.write("10.4.0.0/16\n", "nets")
        drop_in = d.write("routes:\n  - {to: 10.5.0.0/16, via: 192.0.2.2, dev: eth1}\n",
                          "with-files.d/more.yaml")
        d.cli("try", main_file, "--timeout", "1h", check=True)
        equal(sorted(routes(w)), ["10.4.0.0/16", "10.5.0.0/16"], "all of it")
        os.unlink(nets)
        os.unlink(drop_in)
        d.kill9()
        d.start()
        equal(sorted(routes(w)), ["10.4.0.0/16", "10.5.0.0/16"], "after a crash, without the files")
        d.cli("revert", check=True)
        equal(routes(w), [OLD], "gone back")
        d.stop()


@case("what is on trial is not confirmed by reading it once more, nor changed by one that is refused")
def _():
    with Router() as w:
        d = started(w)
        d.write(FILE % ("", NEW))
        d.cli("try", "--timeout", "1h", check=True)
        d.reload()
        check(d.status()["trial_left_usec"] > 3000e6, "the trial goes on after a reload of the same")
        accepted = os.path.join(d.state, "accepted")
        os.rename(accepted, accepted + ".aside")
        with open(accepted, "w", encoding="ascii") as f:
            f.write("rubbish")
        result = d.cli("try", d.write(FILE % ("", "10.7.0.0/16"), "another.yaml"))
        equal(result.returncode, 1, "exit code with nothing to go back to")
        contains(result.stderr, "can't be tried", "why")
        equal(routes(w), [NEW], "what is on trial")
        os.rename(accepted + ".aside", accepted)
        d.cli("confirm", check=True)
        d.write("version: 2\n")
        d.kill9()
        d.start()
        equal(routes(w), [NEW], "confirmed was what was on trial")
        d.stop()


main()
