# SPDX-License-Identifier: GPL-2.0-or-later
"""Prefixes in files of their own: in force, read again by a reload, kept for a start without them."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import rtnl
from daemon import Daemon
from tap import case, check, contains, equal, main
from topology import Router

TEXT = """
version: 1
settings: {resync: 1h}
routes:
  - {to: {file: lists/both.txt}, type: blackhole, metric: 7}
  - {to: {file: lists/both.txt}, via: 192.0.2.2, family: ipv4, table: 100}
"""
LIST = "# as published\r\n10.1.0.0/16\r\n10.2.0.0/16 # two\r\n\r\n2001:db8:9::/48\r\n10.1.0.0/16\r\n"


def prefixes(router, family=4, table="main"):
    return [next(word for word in line.split() if "/" in word)
            for line in router.routes(family, table=table)]


@case("a list in force, in both families and two tables")
def _():
    with Router() as w:
        d = Daemon(w.router, TEXT)
        d.write(LIST, "lists/both.txt")
        d.start()
        equal(prefixes(w.router), ["10.1.0.0/16", "10.2.0.0/16"], "main")
        equal(prefixes(w.router, 6), ["2001:db8:9::/48"], "IPv6")
        equal(prefixes(w.router, 4, "100"), ["10.1.0.0/16", "10.2.0.0/16"], "table 100")
        o = [o for o in d.objects("route") if o["name"].startswith("10.2.0.0/16")][0]
        contains(str(o), "lists/both.txt", "where it is from")
        d.stop()


@case("a reload reads it again and sends what changed, no more")
def _():
    with Router() as w:
        d = Daemon(w.router, TEXT)
        d.write(LIST, "lists/both.txt")
        d.start()
        monitor = rtnl.Monitor(w.router, ("route",))
        d.write(LIST.replace("10.2", "10.3"), "lists/both.txt")
        d.reload()
        equal(prefixes(w.router), ["10.1.0.0/16", "10.3.0.0/16"], "main")
        events = sorted((e.verb, e.prefix) for e in monitor.take("route"))
        equal(events, [("del", "10.2.0.0/16")] * 2 + [("new", "10.3.0.0/16")] * 2, "messages")
        d.stop()


@case("a bad line refuses the reload, names the place and shows nothing of it")
def _():
    with Router() as w:
        d = Daemon(w.router, TEXT)
        d.write(LIST, "lists/both.txt")
        d.start()
        d.write("10.1.0.0/16\n  root:secret\n", "lists/both.txt")
        result = d.reload(check=False)
        equal(result.returncode, 1, "exit code")
        text = result.stdout + result.stderr + d.log_text()
        contains(text, "lists/both.txt:2:3: error: ", "the errors")
        check("secret" not in text, "content of the file in\n" + text)
        equal(prefixes(w.router), ["10.1.0.0/16", "10.2.0.0/16"], "main")
        d.stop()


@case("a start without the list runs the accepted configuration, list and all")
def _():
    with Router() as w:
        d = Daemon(w.router, TEXT)
        path = d.write(LIST, "lists/both.txt")
        d.start()
        d.stop()
        os.unlink(path)
        w.router.ip("route flush proto 110")
        w.router.ip("-6 route flush proto 110")
        d.start()
        d.wait_log("can't be opened")
        equal(prefixes(w.router), ["10.1.0.0/16", "10.2.0.0/16"], "main")
        equal(prefixes(w.router, 6), ["2001:db8:9::/48"], "IPv6")
        equal(prefixes(w.router, 4, "100"), ["10.1.0.0/16", "10.2.0.0/16"], "table 100")
        d.stop()


main()
