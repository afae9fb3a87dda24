#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`netshared check` for programs: JSON, standard input, strictness, and what editors match."""
import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from manual import read
from tap import case, check, contains, equal, main

NETSHARED = os.environ["NETSHARED"]
GOOD = "version: 1\nroutes:\n  - {to: 10.0.0.0/8, via: 192.0.2.1}\n"
BAD = "version: 1\nroutes:\n  - to: 10.0.0.1/24\n    via: 192.0.2.1\n"
UNWISE = GOOD + "masquerade:\n  - {name: lan-out, out: eth0}\n"


class Folder:
    """Files in a directory of the test's own, which nobody else can write to."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = self.folder.name
        return self

    def __exit__(self, *args):
        self.folder.cleanup()

    def write(self, text, name="netshared.yaml"):
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as f:
            f.write(text)
        os.chmod(path, 0o644)
        return path

    def check(self, *argv, text=None):
        return subprocess.run([NETSHARED, "check", *argv], input=text, cwd=self.path,
                              capture_output=True, text=True, errors="surrogateescape",
                              timeout=60, check=False)

    def json(self, *argv, code=0, text=None):
        result = self.check("--json", *argv, text=text)
        equal(result.stderr, "", "stderr beside JSON")
        equal(result.returncode, code, "exit code, with\n" + result.stdout)
        return json.loads(result.stdout)


@case("--json: a good file, a warning, and an error with all its parts")
def _():
    with Folder() as f:
        path = f.write(GOOD)
        equal(f.json(path), {"file": path, "ok": True, "errors": 0, "warnings": 0,
                             "diagnostics": []}, "of a good file")
        said = f.json(f.write(UNWISE))
        equal((said["ok"], said["errors"], said["warnings"]), (True, 0, 1), "of an unwise file")
        equal(said["diagnostics"][0]["severity"], "warning", "the severity")
        said = f.json(f.write(BAD), code=1)
        equal((said["ok"], said["errors"], said["warnings"]), (False, 1, 0), "of a bad file")
        equal(said["diagnostics"], [
            {"severity": "error", "file": path, "line": 3, "column": 9,
             "message": "10.0.0.1/24 has host bits set", "hint": "write 10.0.0.0/24",
             "source": "  - to: 10.0.0.1/24"}], "the diagnosis")


@case("routes of one prefix of which the file breaks off before the rest")
def _():
    with Folder() as f:
        for text in ("  - {to: [10.0.0.0/8, 10.0.0.0/8", "  - {to: [10.0.0.0/8, 10.0.0.0/8], vai: 1}"):
            equal(f.check(f.write("version: 1\nroutes:\n" + text)).returncode, 1, "exit code")


@case("--json: what has no place, and more than is shown")
def _():
    with Folder() as f:
        said = f.json("none.yaml", code=1)["diagnostics"][0]
        equal(sorted(said), ["file", "hint", "message", "severity"], "keys of what has no line")
        said = f.json(f.write("version: 1\nroutes:\n" + "  - {to: x, dev: eth0}\n" * 70), code=1)
        equal(said["errors"], 70, "how many there are")
        equal(len(said["diagnostics"]), 50, "how many are shown")


@case("--json: names and text that are no UTF-8")
def _():
    with Folder() as f:
        path = f.write("version: 1\nroutes:\n  - {to: \"\\e[31m\"}\n", "odd\udcff\n.yaml")
        said = f.json(path, code=1)
        check("�" in said["file"], "the path in %r" % said)
        contains(said["diagnostics"][0]["message"], "\\x1b[31m", "the message")


@case("--strict: warnings fail")
def _():
    with Folder() as f:
        path = f.write(UNWISE)
        equal(f.check(path).returncode, 0, "exit code without it")
        result = f.check("--strict", path)
        equal(result.returncode, 1, "exit code with it")
        contains(result.stderr, "1 warning, and --strict takes none", "why")
        equal(result.stdout, "", "stdout")
        equal(f.json("--strict", path, code=1)["ok"], False, "ok, in JSON")
        equal(f.check("--strict", f.write(GOOD)).returncode, 0, "exit code for a good file")


@case("--strict: two policies that can't be meant together, each with its place")
def _():
    with Folder() as f:
        path = f.write("version: 1\nshare:\n- {name: home, lan: eth1, wan: eth0}\n")
        drop_in = f.write("share:\n- {name: back, lan: eth0, wan: eth1}\n",
                          "netshared.d/back.yaml")
        said = f.json("--strict", path, code=1)["diagnostics"]
        equal([(d["severity"], d["file"], d["line"]) for d in said], [("warning", drop_in, 2)],
              "what is told, and where")
        contains(said[0]["hint"], "'home' is at %s:3" % path, "the other place")


@case("a drop-in whose name does not end as it should")
def _():
    with Folder() as f:
        path = f.write(GOOD)
        other = f.write("rules: [", "netshared.d/lan.yml")
        f.write("", "netshared.d/.hidden.yml")
        f.write("", "netshared.d/lan.yaml.bak")
        said = f.json("--strict", path, code=1)["diagnostics"]
        equal(said, [{"severity": "warning", "file": other, "hint": "name it lan.yaml",
                      "message": "this file is not read: the name of a drop-in ends in .yaml"}],
              "what is told")
        os.rename(other, f.path + "/netshared.d/lan.YAML")
        equal(f.json(path)["warnings"], 1, "in capital letters")


@case("one error for a name that is used twice, and what helps where there is no file")
def _():
    with Folder() as f:
        path = f.write(GOOD + "masquerade:\n  - {name: lan, out: eth0}\n  - {name: lan, out: eth0}\n")
        told = f.json(path, code=1)
        equal([d["message"] for d in told["diagnostics"]], ["two policies have the name 'lan'"],
              "what is told")
        result = f.check(f.path + "/none.yaml")
        contains(result.stderr, "hint: 'netshared import --output FILE' writes one", "what helps")
        result = f.check(f.write(GOOD, "good.yaml"))
        contains(result.stdout, "the file alone was read; whether this machine has what it needs tells: netshared "
                 "check --config %s/good.yaml\n" % f.path, "what was not done")


@case("--help tells the exit statuses of each command")
def _():
    def told(*argv):
        return subprocess.run([NETSHARED, *argv, "--help"], capture_output=True, text=True,
                              check=True).stdout

    for command, words in (("check", "2 usage.\n"), ("plan", ", 3 something would change.\n"),
                           ("doctor", ", 3 something was found.\n"),
                           ("explain", ", 3 it is stopped.\n")):
        contains(told(command), "Exit status: 0 ok, 1 failed, 2 usage", command)
        contains(told(command), words, command)
        if command != "check":
            contains(told(), "3 of %s: %s" % (command, words[4:-2]), "of all")


@case("what is disabled is counted")
def _():
    with Folder() as f:
        path = f.write(UNWISE + "  - {name: off, out: eth1, enabled: false}\n")
        contains(f.check(path).stdout, ": ok, 1 route, 2 policies (1 disabled)\n", "the verdict")


@case("standard input stands for the file of --config")
def _():
    with Folder() as f:
        path = f.write(BAD)
        result = f.check("--config", path, "-", text=GOOD)
        equal(result.returncode, 0, "exit code of good input, with\n" + result.stderr)
        contains(result.stdout, path + ": ok, 1 route", "the verdict")
        f.write(GOOD)
        said = f.json("--config", path, "-", code=1, text=BAD)["diagnostics"][0]
        equal((said["file"], said["line"]), (path, 3), "where the error is")
        # Found when all was read: the line is the input's too, not that of the file on the disk.
        twice = "# one\n# two\n" + GOOD + "  - {to: 10.0.0.0/8, via: 192.0.2.2}\n"
        said = f.json("--config", path, "-", code=1, text=twice)["diagnostics"][0]
        equal(said["source"], "  - {to: 10.0.0.0/8, via: 192.0.2.2}", "the source line")
        f.write("routes:\n  - {to: 10.0.0.0/8, via: 192.0.2.3}\n", "netshared.d/more.yaml")
        said = f.json("--config", path, "-", code=1, text=GOOD)["diagnostics"][0]
        contains(said["file"], "netshared.d/more.yaml", "the drop-in's error")
        f.write("192.0.2.0/24\n198.51.100.0/24\n", "prefixes")
        os.unlink(os.path.join(f.path, "netshared.d/more.yaml"))
        result = f.check("-c", "./netshared.yaml", "-", text="version: 1\nroutes:\n"
                         "  - {to: {file: prefixes}, via: 203.0.113.1}\n")
        contains(result.stdout, "ok, 2 routes", "a prefix file beside it, with\n" + result.stderr)
        equal(f.check("-", text="").returncode, 1, "exit code for no input")


@case("the regular expression in the manual matches every line that names a place")
def _():
    shown = re.search(r"^\.EX\n(\^.*)\n\.EE$", read("man/netshared.8"), re.M).group(1)
    matcher = re.compile(shown.replace("\\e", "\\"), re.M)
    with Folder() as f:
        path = f.write(BAD + "  - {to: 10.0.0.0/8, vai: 192.0.2.1}\n"
                       "masquerade:\n  - {name: lan-out, out: eth0}\n"
                       "  - {name: lan-out, out: eth0}\n")
        found = matcher.findall(f.check(path).stderr)
        said = f.json(path, code=1)["diagnostics"]
        equal([(file, int(line), int(column or 0), severity, text)
               for file, line, column, severity, text in found],
              [(d["file"], d["line"], d.get("column", 0), d["severity"], d["message"])
               for d in said], "what it finds")
        check(len(found) >= 3, "several in\n" + f.check(path).stderr)


main(root=False)
