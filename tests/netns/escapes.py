# SPDX-License-Identifier: GPL-2.0-or-later
"""Names that others chose, with what moves a terminal's cursor or what a shell would run.

The kernel lets interfaces, chains, sets, comments and processes be called nearly anything. Every
command and the journal show them without a control character, and what is printed to be run by
root runs nothing but what it says.
"""

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import firewall
from daemon import Daemon
from tap import case, check, equal, main
from topology import CLIENT4, FAR4, Router

ESC, C1, BIDI = "\x1b[31m", "\u009b31m", "\u202e"
DEVICE, SECOND, DOWN = "e" + ESC, "b;id>&2", "c;id"  # 15 bytes at most
CHAIN, COMMENT = "x" + ESC + "$(id>&2)", "c\x1b]0;t\x07" + C1 + BIDI + "\r`id>&2`'\"\\"
TEXT = """version: 1
settings: {resync: 1h}
routes:
  - {to: 198.51.100.0/24, via: 192.0.2.2, dev: eth1}
  - {to: 198.51.101.0/24, via: 192.0.2.2, dev: eth1}
  - {to: 203.0.113.0/24, dev: "b;id>&2"}
share:
  - {name: home, lan: eth0, wan: eth1, family: ipv4}
masquerade:
  - {name: odd, from: [10.0.0.0/24], out: ["b;id>&2"]}
"""
HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def harmless(what, data):
    text = data.decode()  # UTF-8, all of it
    bad = HARMFUL.search(text)
    check(not bad, "%s: %r in %r" % (what, bad and bad.group(), text[:4000]))
    return text


def say(d, *argv, timeout=60):
    with d.ns.inside():
        result = subprocess.run([d.binary, *argv, *d.options()], env=d.world.env, timeout=timeout,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, check=False)
    name = "netshared " + " ".join(argv)
    return harmless(name, result.stdout), harmless(name + ", its errors", result.stderr)


def add_devices(w):
    for number, name in enumerate((DEVICE, SECOND)):
        w.router.run("ip", "link", "add", "name", name, "type", "veth", "peer", "name",
                     "p%d" % number)
        w.router.run("ip", "addr", "add", "192.168.%d.1/24" % number, "dev", name)
        w.router.run("ip", "link", "set", "dev", name, "up")
        w.router.run("ip", "link", "set", "dev", "p%d" % number, "up")
    w.router.run("ip", "link", "add", "name", DOWN, "type", "veth", "peer", "name", "d;id")
    w.router.run("ip", "addr", "add", "192.168.9.1/24", "dev", DOWN)
    w.router.run("ip", "link", "property", "add", "dev", DEVICE, "altname", "alt" + ESC)
    # In the way of one of ours, and beside them.
    w.router.run("ip", "route", "add", "198.51.101.0/24", "dev", DEVICE)
    w.router.run("ip", "route", "add", "10.99.0.0/24", "dev", SECOND)
    w.router.run("ip", "rule", "add", "iif", DEVICE, "lookup", "77")


def quoted(text):
    return '"%s"' % text.replace('"', "'")


def add_rules_iptables(w):
    def iptables(*argv):
        w.router.run("iptables-legacy", "-w", *argv)

    w.router.run("ipset", "create", "s" + ESC, "hash:net")
    iptables("-N", CHAIN)
    iptables("-A", CHAIN, "-o", DEVICE, "-m", "comment", "--comment", COMMENT, "-j", "DROP")
    iptables("-A", CHAIN, "-i", "eth0", "-m", "comment", "--comment", COMMENT, "-j", "DROP")
    iptables("-A", "FORWARD", "-m", "comment", "--comment", COMMENT, "-j", CHAIN)
    iptables("-t", "nat", "-N", CHAIN)
    iptables("-t", "nat", "-A", "POSTROUTING", "-j", CHAIN)
    for rule in (("-o", SECOND, "-j", "MASQUERADE"),
                 ("-o", "eth1", "-m", "comment", "--comment", COMMENT, "-j", "MASQUERADE"),
                 ("-o", DEVICE, "-m", "set", "--match-set", "s" + ESC, "src", "-j", "MASQUERADE")):
        iptables("-t", "nat", "-A", CHAIN, *rule)
        iptables("-t", "nat", "-I", "POSTROUTING", *rule)


def add_rules_nft(w):
    w.router.run("nft", "-f", "-", stdin="""
table ip others {
  comment %(c)s
  chain forward {
    type filter hook forward priority 0; policy accept;
    iifname "eth0" drop comment %(c)s
    oifname %(d)s drop comment %(c)s
  }
  chain post {
    type nat hook postrouting priority 90;
    oifname "eth1" masquerade comment %(c)s
    oifname %(d)s masquerade
    oifname %(s)s masquerade
  }
}
""" % {"c": quoted(COMMENT), "d": quoted(DEVICE), "s": quoted(SECOND)})


def judge_commands(text):
    """Lines that are commands: a name in them is a word, whatever it would be to a shell."""
    for line in text.splitlines():
        line = re.sub("^what helps: +run: ", "", line.strip().lstrip("#").strip())
        if re.match(r"(sudo )?(ip|iptables|nft|ipset|sysctl|chmod|chown)[a-z0-9-]* [^-]", line):
            words = shlex.shlex(line, posix=True, punctuation_chars=True)
            words.whitespace_split = True
            with contextlib.suppress(ValueError):
                check("id" not in list(words), "a shell would run it: " + line)


def drift(w, d):
    """By a process with a name of that kind."""
    mark = d.mark()
    script = ("import ctypes, subprocess; ctypes.CDLL(None).prctl(15, b'p\\x1b[7m\\n');"
              "import socket, struct, sys\n"
              "s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); s.bind((0, 0))\n"
              "b = struct.pack('=BBBBBBBBI', 2, 24, 0, 0, 254, 0, 255, 0, 0)\n"
              "b += struct.pack('=HH4s', 8, 1, socket.inet_aton('198.51.100.0'))\n"
              "s.send(struct.pack('=IHHII', 16 + len(b), 25, 5, 1, 0) + b); sys.stdin.read()\n")
    process = w.router.popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
    d.wait_log("198.51.100.0.*restored", mark)
    process.stdin.close()
    process.wait()


COMMANDS = (("status",), ("status", "--json"), ("plan",), ("plan", "--json"), ("check",),
            ("check", "--json"), ("doctor",), ("doctor", "--json"), ("import",),
            ("metrics",), ("metrics", "--openmetrics"),
            ("explain", CLIENT4, FAR4, "--in", "eth0"), ("explain", CLIENT4, FAR4, "--json"),
            ("explain", CLIENT4, "203.0.113.7", "--in", "eth0"),
            ("explain", CLIENT4, "10.99.0.1", "--in", "eth0"),
            ("explain", CLIENT4, "192.168.9.7", "--in", "eth0"),
            ("explain", CLIENT4, FAR4, "--in", DEVICE),
            ("explain", CLIENT4, FAR4, "--in", "no" + ESC), ("no" + ESC,), ("status", "--no" + ESC))


@case("no control character of a name or a comment gets through to a terminal, file or journal")
def _():
    with Router() as w:
        add_devices(w)
        (add_rules_nft if firewall.NAME == "nftables" else add_rules_iptables)(w)
        d = Daemon(w.router, TEXT).start()
        watch = w.router.popen([d.binary, "watch", *d.options()], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
        os.read(watch.stdout.fileno(), 1)
        drift(w, d)
        for argv in COMMANDS:
            text, errors = say(d, *argv)
            check(text or errors, "netshared %s says nothing" % (argv,))
            if "--json" in argv and text:
                json.loads(text)
            judge_commands(text)
        w.router.firewall.flush()
        d.wait_log("home .*restored")
        # A shell puts what it is given into the command line as it is.
        given = w.router.run(d.binary, "complete", "--", "explain", CLIENT4, FAR4, "--in", "")
        equal(sorted(given.stdout.split("\n")), ["", "eth0", "eth1", "lo", "p0", "p1"], "completed")
        watch.terminate()
        harmless("watch", watch.stdout.read())
        harmless("the journal", d.log_text().encode())
        d.stop()


main()
