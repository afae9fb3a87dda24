# SPDX-License-Identifier: GPL-2.0-or-later
"""A router whose routes netshared keeps, for tests that break them one way or another."""

from daemon import Daemon
from netns import wait_until
from tap import check
from topology import Router

HOUR = "version: 1\nsettings: {resync: 1h}\nroutes:\n"
BOTH = HOUR + """
  - {to: 198.51.100.0/24, via: 192.0.2.2, dev: eth1}
  - {to: "2001:db8:c::/48", via: "2001:db8:b::2", dev: eth1}
"""


class Kept:
    """A router whose daemon keeps routes; says when they are back as they were."""

    def __init__(self, text=BOTH, prepare=None):
        self.world = Router()
        try:
            self.router = self.world.router
            if prepare:
                prepare(self.router)
            self.daemon = Daemon(self.router, text).start()
            self.ours = self.now()
            check(any(self.ours), "no routes went in: %s" % (self.ours,))
        except BaseException:
            self.world.diagnose()
            self.world.close()
            raise
        self.mark = self.daemon.mark()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if error[0] is None:
            try:
                self.daemon.stop()
            except BaseException:
                self.world.close()
                raise
        self.world.__exit__(*error)

    def now(self):
        return [self.routes(4), self.routes(6)]

    def routes(self, family):
        return self.router.routes(family)

    def wait_back(self, what="the routes are as before"):
        try:
            wait_until(lambda: self.now() == self.ours, what)
        except Exception:
            check(False, "%s: are %s, were %s" % (what, self.now(), self.ours))

    def wait_restored(self, prefix):
        self.daemon.wait_log(r"route %s .*restored" % prefix.replace(".", r"\."), self.mark)
