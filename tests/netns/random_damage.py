# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever the file says and whatever is done to it: soon what is wanted stands, and nothing else.

Random files, random rules of others beside what they ask for, and random damage to both: while
netshared runs, while it is stopped, while it is dead, and during a reload. From time to time all is
quiet. Then `plan` has nothing to do; what is ours is what `apply` makes of the same file in a
namespace where nothing of it ever was; and what is others' is what it is where netshared is not.

NSH_SEED repeats a run, NSH_STEPS makes it longer, NSH_TRACE says what is done.
"""

import os
import random
import shutil
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import damage
import firewall
from daemon import Daemon
from netns import NotYet, World, differences, wait_until
from random_policies import Files
from tap import case, check, diag, equal, main

SEED = int(os.environ.get("NSH_SEED", "20260101"))
STEPS = int(os.environ.get("NSH_STEPS", "16"))
OURS = {"iptables": damage.Iptables, "nftables": damage.Nftables}
# Damage within a moment of its repair is a fight in the end, which takes its time.
ENOUGH = 6


def daemon(ns, text, name=None):
    """The file says which firewall."""
    d = Daemon(ns, text, name)
    shutil.rmtree(os.path.splitext(d.config)[0] + ".d", ignore_errors=True)
    return d


class Random(World):
    def __init__(self):
        super().__init__()
        self.rng = random.Random(SEED)
        self.said = []
        self.here, self.alone = self.ns("here"), self.ns("alone")
        for ns in (self.here, self.alone):
            damage.use_tables(ns)
            damage.add_devices(ns)
        self.files = Files(self.rng, self.directory)
        self.others = damage.Others(self.rng, self.here, self.alone, self.say)
        self.n_done = 0
        self.choose()
        self.daemon = daemon(self.here, self.text).start()
        self.quiet()

    def say(self, what):
        self.said.append(what)
        if "NSH_TRACE" in os.environ:
            diag(what)

    # -- what is wanted

    def choose(self):
        """Another file, and what it makes where nothing is."""
        which = firewall.NAME if self.rng.random() < 0.9 else self.rng.choice(list(OURS))
        self.text = self.files.file(which)
        self.wanted = self.fresh()
        self.ours = OURS[which](self.rng, self.here, self.say, self.wanted)
        self.say("file:\n" + self.text)

    def fresh(self, filters=None):
        """What it makes where nothing is but the legacy filter tables that others wrote."""
        ns = self.ns("fresh")
        damage.use_tables(ns)
        damage.add_devices(ns)
        damage.write_filters(ns, filters or {})
        daemon(ns, self.text, "fresh-%d" % self.files.n_files).cli("apply", check=True)
        self.daemons.pop()  # its log is of no interest
        ours, _ = damage.look(ns)
        self.namespaces.remove(ns)
        ns.delete()
        return ours

    def wanted_here(self):
        """Where others drop what is forwarded, that may be a jump more."""
        filters = damage.dropping_filters(self.alone)
        return self.fresh(filters) if filters else self.wanted

    def reload(self):
        """Under way; its end is to be waited for."""
        self.choose()
        self.daemon.write(self.text)
        return self.here.popen([self.daemon.binary, "reload", *self.daemon.options()])

    # -- a step

    def act(self, stopped):
        for _ in range(self.rng.randint(1, 5)):
            if not stopped and self.n_done >= ENOUGH:
                return
            self.n_done += not stopped
            acts = [self.others.acts(stopped), self.ours.acts(stopped)]
            self.rng.choice(self.rng.choice([a for a in acts if a]))()
        self.n_done += 1

    def running(self):
        reload = self.reload() if self.rng.random() < 0.3 else None
        self.act(False)
        if reload:
            equal(reload.wait(30), 0, "exit code of the reload")

    def stopped(self):
        self.daemon.signal(signal.SIGSTOP)
        self.act(True)
        self.daemon.signal(signal.SIGCONT)
        if self.rng.random() < 0.3:
            equal(self.reload().wait(30), 0, "exit code of the reload")

    def dead(self):
        if self.rng.random() < 0.3:
            process = self.reload()
            self.daemon.kill9()
            process.wait(30)
        else:
            self.daemon.kill9()
        if self.rng.random() < 0.7:
            self.act(True)
        self.daemon.start()
        self.n_done = 0

    def step(self):
        ways = [self.dead] if self.n_done >= ENOUGH else [self.running, self.stopped] * 2 + \
            [self.dead]
        way = self.rng.choice(ways)
        self.say("-- " + way.__name__)
        way()
        self.quiet()

    # -- quiet

    def settled(self):
        plan = self.daemon.plan()
        self.left = plan.stdout + plan.stderr
        return plan.returncode == 0 and all(
            o["state"] in ("held", "standby", "disabled") or "drops forwarded packets" in o.get("reason", "")
            for o in self.daemon.objects())

    def quiet(self):
        self.say("-- quiet")
        try:
            wait_until(self.settled, "nothing to do", 20, 0.03)
        except NotYet as e:
            raise NotYet("%s:\n%s%s" % (e, self.left, self.daemon.objects())) from None
        ours, theirs = damage.look(self.here)
        _, alone = damage.look(self.alone)
        for what, wanted, found in (("ours", self.wanted_here(), ours), ("others'", alone, theirs)):
            difference = differences(wanted, found)
            check(not difference, "%s is not as it should be:\n%s" % (what, difference))


@case("anything happens (NSH_SEED=%d NSH_STEPS=%d)" % (SEED, STEPS), timeout=30 + 4 * STEPS)
def _():
    with Random() as w:
        try:
            for _ in range(STEPS):
                w.step()
            w.daemon.stop()
            w.daemon.cli("remove", check=True)
            equal({k: v for k, v in damage.look(w.here)[0].items() if k != "forwarding"}, {},
                  "what stands of ours in the end")
        except Exception:
            quiet = [i for i, line in enumerate(w.said[:-1]) if line == "-- quiet"]
            begin = quiet[-1] if quiet else 0
            diag("\n".join(w.said[begin:]) + "\nthe file:\n" + w.text)
            diag("repeat it: NSH_SEED=%d NSH_STEPS=%d NETSHARED_TEST_FIREWALL=%s NSH_TRACE=1 "
                 "python3 tests/netns/random_damage.py" % (SEED, STEPS, firewall.NAME))
            raise


main()
