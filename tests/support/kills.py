# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 at any moment of anything netshared does, beside rules and routes of others.

Two files want different things, and some the same. After each kill the next start has to make of
whatever stands what an undisturbed start makes of the file; and nothing of others' may differ.
"""

import contextlib
import os
import random
import signal
import subprocess
import time

import damage
from daemon import Daemon
from netns import NotYet, differences, wait_until
from tap import check, diag, equal
from topology import Router

N_ROUTES = 200
# Both want these; what comes and goes with one file is of another number.
FILE = """version: 1
settings: {{resync: 1h, on-stop: {on_stop}}}
routes:
  - {{to: 198.51.100.0/24, via: 192.0.2.2, dev: eth1}}
  - {{to: "2001:db8:c::/48", via: "2001:db8:b::2", dev: eth1}}
{routes}
rules:
  - {{from: 10.1.{n}.0/24, table: 100, priority: 1000}}
  - {{from: "2001:db8:1{n}::/64", table: 100, priority: 1000}}
masquerade:
  - {{name: lan-out, from: [10.0.0.0/24], out: [eth1]}}
  - {{name: set-{n}, from: [{prefixes}], out: [eth1]}}
  - {{name: changes, family: ipv6, out: [eth{n}]}}
share:
  - {{name: home, lan: eth0, wan: eth{n}, family: [{families}]}}
port-forwards:
  - {{name: web, in: eth1, protocol: tcp, port: 443, to: 10.0.0.1{n}}}
"""
FOREIGN = ("-t nat -A POSTROUTING -p tcp -m tcp --dport 9 -j ACCEPT", "-N F-one",
           "-A FORWARD -i eth7 -j F-one", "-t mangle -A FORWARD -i eth7 -j ACCEPT",
           "-t raw -A PREROUTING -i eth7 -j RETURN", "-P FORWARD DROP")
FOREIGN_NFT = """
table inet others {
    set some { type inet_service; elements = { 9, 99 } }
    chain forward {
        type filter hook forward priority 5; policy accept;
        iifname "eth7" counter packets 5 bytes 300 drop comment "netshared"
        tcp dport @some counter packets 1 bytes 2 accept
    }
}
"""


def file(n, on_stop, families):
    return FILE.format(
        n=n, on_stop=on_stop, families=families,
        routes="".join("  - {to: 10.%d.%d.0/24, via: 192.0.2.%d}\n" % (64 + n, k, 2 + n)
                       for k in range(N_ROUTES)),
        prefixes=", ".join("10.9.%d.0/24" % (2 * k + n) for k in range(20)))


FILES = (file(1, "keep", "ipv4"), file(2, "remove", "ipv4, ipv6"))


class Kills(Router):
    def __init__(self, seed):
        super().__init__()
        self.rng = random.Random(seed)
        self.kinds = (self.start, self.reload, self.repair, self.stop, self.apply, self.remove)
        self.lasts = {}  # seconds within which each is killed; at first what it takes undisturbed
        self.inside = dict.fromkeys((kind.__name__ for kind in self.kinds), 0)  # not over yet
        self.n_kills = 0
        self.said = ""
        try:
            self.prepare()
        except BaseException:
            self.diagnose()
            self.close()
            raise

    def prepare(self):
        router = self.router
        router.stub("eth2")
        damage.use_tables(router)
        for command in FOREIGN:
            for family in (4, 6):
                router.iptables(command, family)
        router.run("nft", "-f", "-", stdin=FOREIGN_NFT)
        router.run("ipset", "create", "theirs", "hash:net")
        router.run("ipset", "add", "theirs", "192.0.2.0/24")
        router.ip_batch(["route add 203.0.113.0/24 via 192.0.2.3", "rule add from 10.7.0.0/16 "
                         "table 77 priority 900", "route add 10.64.0.0/16 via 192.0.2.9 table 77",
                         "-6 route add 2001:db8:d::/48 via 2001:db8:b::3",
                         "-6 rule add from 2001:db8:7::/48 table 77 priority 900"])
        wait_until(lambda: all(map(router.settled, ("eth0", "eth1", "eth2"))), "all has settled")
        self.pristine = self.look()
        self.daemon = Daemon(router, FILES[0])
        self.wanted = []
        for text in FILES:
            self.daemon.write(text)
            self.daemon.start()
            self.wanted.append(self.look())
            self.daemon.kill9()
            self.daemon.cli("remove", check=True)
            self.same(self.pristine, "after remove")
        self.file = 0
        self.daemon.write(FILES[0])
        self.daemon.start()

    # -- what stands

    def look(self):
        ours, theirs = damage.look(self.router)
        state = {"ours " + key: lines for key, lines in ours.items()}
        state.update(("theirs " + key, lines) for key, lines in theirs.items())
        for family in (4, 6):
            state["routes%d" % family] = sorted(self.router.routes_but_local(family))
            state["rules%d" % family] = self.router.ip("-N -%d rule show" % family).splitlines()
        for device in ("eth0", "eth1", "eth2"):
            state["accept_ra " + device] = self.router.sysctl(
                "net.ipv6.conf.%s.accept_ra" % device)
        return state

    def same(self, wanted, when):
        difference = differences(wanted, self.look())
        check(not difference, "%s: %s is not as it should be:\n%s" % (self.said, when, difference))

    # -- what is done, each with the process that is to be killed

    def other_file(self):
        self.file = 1 - self.file
        self.daemon.write(FILES[self.file])

    def popen(self, *words):
        return self.router.popen([self.daemon.binary, *words, *self.daemon.options()],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def end(self):
        """The daemon, politely or not."""
        if self.rng.random() < 0.5:
            self.daemon.stop()
        else:
            self.daemon.kill9()

    def start(self):
        self.end()
        way = self.rng.choice(("", "removed", "damaged", "other file"))
        if way == "removed":
            self.daemon.cli("remove", check=True)
            self.same(self.pristine, "after remove")
        elif way == "damaged":
            self.damage()
        elif way == "other file":
            self.other_file()
        seen = len(self.daemon.notified)
        self.daemon.start(wait=False)
        return self.daemon.process, lambda: any("READY=1" in text for _, text in
                                                self.daemon.notified[seen:])

    def reload(self):
        self.other_file()
        process = self.popen("reload")
        return self.daemon.process, lambda: process.poll() is not None

    def repair(self):
        self.damage()
        self.router.sysctl("net.ipv4.ip_forward", 0)  # what comes back last
        return self.daemon.process, lambda: self.router.sysctl("net.ipv4.ip_forward") == "1"

    def stop(self):
        self.daemon.signal(signal.SIGTERM)
        return self.daemon.process, lambda: self.daemon.process.poll() is not None

    def apply(self):
        self.end()
        self.other_file()
        process = self.popen("apply")
        return process, lambda: process.poll() is not None

    def remove(self):
        self.end()
        process = self.popen("remove")
        return process, lambda: process.poll() is not None

    def damage(self):
        """To ours alone, of every kind."""
        router = self.router
        for act in self.rng.sample((
                lambda: router.ip("route flush proto 110"),
                lambda: router.ip("-6 route flush proto 110"),
                lambda: router.ip("rule del priority 1000", check=False),
                lambda: router.firewall.flush_chain("lan-out"),
                lambda: router.firewall.delete_jump("lan-out"),
                lambda: router.firewall.flush_conntrack(),
                lambda: router.firewall.leave_over("left")), self.rng.randint(1, 4)):
            with contextlib.suppress(Exception):  # what is to be broken is not there
                act()

    # -- a kill

    def measure(self):
        for kind in self.kinds:
            self.said = kind.__name__
            begun = time.monotonic()
            process, is_over = kind()
            wait_until(is_over, "%s is over" % self.said, 20, 0.001)
            self.lasts[self.said] = time.monotonic() - begun
            self.kill(process)
            self.converges()
        diag("seconds of each: " + ", ".join("%s %.3f" % i for i in self.lasts.items()))

    def kill(self, process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.wait(20)
        if self.daemon.running():
            self.daemon.kill9()

    def one(self):
        kind = self.rng.choice(self.kinds)
        name = kind.__name__
        share = self.rng.random()
        self.n_kills += 1
        self.said = "kill %d, %s at %.3f of %.3f s" % (self.n_kills, name, share,
                                                       self.lasts[name])
        process, is_over = kind()
        time.sleep(share * self.lasts[name])  # any moment will do
        over = is_over()
        self.kill(process)
        self.inside[name] += not over
        self.lasts[name] *= 0.9 if over else 1.1  # half of the kills come before it is over
        if self.rng.random() < 0.2:
            self.daemon.cli("remove", check=True)
            self.same(self.pristine, "after remove")
        self.converges()

    def converges(self):
        self.daemon.start()

        def settled():
            plan = self.daemon.plan()
            self.left = plan.stdout + plan.stderr
            return plan.returncode == 0

        try:
            wait_until(settled, "nothing to do", 10, 0.03)
        except NotYet as e:
            raise NotYet("%s: %s:\n%s" % (self.said, e, self.left)) from None
        self.same(self.wanted[self.file], "after the next start")

    def finish(self):
        self.daemon.stop()
        self.daemon.cli("remove", check=True)
        self.same(self.pristine, "at the end")
        equal(self.daemon.log_text().count("AddressSanitizer"), 0, "reports of sanitizers")
        diag("%d kills, of them before it was over: %s" % (
            self.n_kills, ", ".join("%d of %s" % (n, kind) for kind, n in self.inside.items())))
