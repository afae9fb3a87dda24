# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon without memory: one allocation fails, or that one and each after it.

Whichever it is, in netshared or in a library: it is never ended by a signal, and when it gives up
it says so; the next start makes everything well. Each 211th is tried, those of a start among them,
the one kind and the other in turn; NSH_STRIDE=1 tries all, both ways.
"""

import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from netns import NotYet, wait_until
from tap import case, check, diag, main
from topology import BASIC_ROUTE, Router

FAILNTH = os.environ["NSH_FAILNTH"]
STRIDE = int(os.environ.get("NSH_STRIDE", "211"))
LONG = 300 if STRIDE > 100 else 80000
CONFIG = """version: 1
settings: {resync: 1h}
routes:
  - {to: 198.51.100.0/24, via: 192.0.2.2, dev: eth1}
rules:
  - {from: 10.1.0.0/24, table: 100, priority: 1000}
masquerade:
  - {name: lan-out, from: [10.0.0.0/24, 10.2.0.0/24], out: [eth1]}
share:
  - {name: home, lan: eth0, wan: eth1}
"""


def preload(n, every):
    return ("env", "LD_PRELOAD=" + FAILNTH, "NSH_FAIL_AT=%d" % n) + (("NSH_FAIL_ALL=1",) * every)


def is_up(d):
    """False when it gave up. READY may be what there was no memory for."""
    wait_until(lambda: os.path.exists(d.socket_path()) or not d.running(), "it starts or ends", 30)
    return d.running()


class Kept:
    """A daemon that has been there before, and lives again and again."""

    def __init__(self, w):
        self.router = w.router
        self.daemon = Daemon(w.router, CONFIG).start()
        self.ours = w.router.nat_ours()
        self.daemon.stop()
        self.every, self.since = False, 0

    def live(self, n, every, act):
        """A life of which the n-th allocation fails; how many there were."""
        d, mark = self.daemon, self.daemon.mark()
        self.every, self.since = every, len(d.notified)
        d.start(wait=False, wrap=preload(n, every))
        if is_up(d):
            act()
            d.signal(signal.SIGTERM)
        code = d.wait_exit(30)
        said = d.log_text(mark)
        check(code in (0, 1), "with allocation %d%s it ended with %d:\n%s" % (
            n, " and each after it" * every, code, said))
        check(code == 0 or "memory" in said, "it does not say why:\n" + said)
        return int(said.rpartition("allocations: ")[2] or 0)

    def recover(self):
        self.daemon.start()
        wait_until(lambda: self.daemon.plan().returncode == 0 and
                   self.router.has_route(BASIC_ROUTE) and self.router.nat_ours() == self.ours,
                   "all is well again", 20, 0.05)
        self.daemon.stop()

    # -- what is done meanwhile

    def command(self, name):
        """With no memory at all nobody is even told that there is no answer."""
        try:
            self.daemon.cli(name, timeout=3 if self.every else 60)
        except subprocess.TimeoutExpired:
            check(self.every, "no answer to " + name)

    def all_of_it(self):
        self.router.ip("route del " + BASIC_ROUTE, check=False)
        self.router.firewall.flush()
        for name in ("reload", "status", "metrics"):
            self.command(name)

    def is_ready(self):
        """Said, or not said for want of memory."""
        try:
            self.daemon.wait_notified("READY=1", self.since, timeout=1 if self.every else 20)
        except NotYet:
            check(self.every, "it never said that it is ready")

    def status(self):
        self.is_ready()
        self.command("status")


@case("whichever allocation fails: it goes on or says why not, and the next start is well",
      timeout=LONG)
def _():
    with Router() as w:
        k = Kept(w)
        last = k.live(0, False, k.all_of_it)
        check(last > 1000, "%d allocations were seen" % last)
        for i, n in enumerate(range(1, last, STRIDE)):
            for every in (False, True) if STRIDE == 1 else (bool(i % 2),):
                k.live(n, every, k.all_of_it)
                k.recover()
        diag("%d allocations" % last)


@case("asked when there is no memory left: it goes on", timeout=LONG)
def _():
    with Router() as w:
        k = Kept(w)
        unasked = k.live(0, False, k.is_ready)
        asked = k.live(0, False, k.status)
        check(asked > unasked, "an answer without an allocation")
        # The first of them make the connection: all of those. A stop has some, too.
        for n in range(unasked - 10, asked if STRIDE == 1 else unasked + 30):
            k.live(n, True, k.status)
        k.recover()
        diag("%d allocations" % (asked - unasked))


main()
