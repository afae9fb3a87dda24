# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9, restart and stop under traffic: no packet lost, nothing touched.

And kill -9 at random moments: NSH_KILLS says how often, NSH_SEED repeats a run.
"""

import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import rtnl
from daemon import Daemon
from kills import Kills
from netns import wait_until
from tap import case, check, equal, main
from topology import BASIC, BASIC6, FAR4, FAR6, WAN4, WAN6, Lan
from traffic import TcpTransfer, UdpStream

SEED = int(os.environ.get("NSH_SEED", "20260101"))
KILLS = int(os.environ.get("NSH_KILLS", "4"))
BOTH = BASIC.replace("routes:\n", 'routes:\n  - {to: "2001:db8:c::/48", via: "2001:db8:b::2"}\n') \
    + BASIC6.partition("masquerade:\n")[2].replace("lan-out", "lan-out6")


def under_traffic(act):
    """Runs act(world, daemon) while packets of both families go through the router."""
    with Lan() as w:
        w.serve(FAR4, FAR6)
        d = Daemon(w.router, BOTH).start()
        streams = [UdpStream(w.client, address) for address in (FAR4, FAR6)]
        transfer = TcpTransfer(w.client, FAR4)
        wait_until(lambda: all(len(s.answers) > 20 for s in streams), "packets flow")
        counters = w.router.nat_packets(4), w.router.nat_packets(6)
        monitor = rtnl.Monitor(w.router)
        ours = w.router.nat_ours(4), w.router.nat_ours(6)
        act(w, d)
        equal(monitor.take(), [], "what was touched")
        equal((w.router.nat_ours(4), w.router.nat_ours(6)), ours, "rules")
        equal((w.router.nat_packets(4), w.router.nat_packets(6)), counters, "NAT counters")
        for stream, router in zip(streams, (WAN4, WAN6)):
            stream.stop()
            equal((len(stream.lost), stream.peers), (0, {router}),
                  "lost of %d, seen from" % stream.sent)
        check(transfer.finish(), "the TCP transfer: %s" % transfer.error)
        check(transfer.peer == WAN4, "TCP is seen from")
        d.stop()


@case("kill -9 and start: no packet lost, nothing touched")
def _():
    def act(w, d):
        for _ in range(5):
            d.kill9()
            d.start()

    under_traffic(act)


@case("stop and start: no packet lost, nothing touched")
def _():
    def act(w, d):
        for _ in range(5):
            d.stop()
            check(w.router.has_route("198.51.100.0/24"), "on-stop: keep keeps")
            d.start()

    under_traffic(act)


@case("killed in the middle of a start or a reload, again and again: the next start mends all")
def _():
    many = "".join("  - {to: 10.%d.%d.0/24, via: 192.0.2.2}\n" % (64 + n // 256, n % 256)
                   for n in range(2000))
    with Lan() as w:
        d = Daemon(w.router, BASIC.replace("routes:\n", "routes:\n" + many))
        for n in range(8):
            d.start(wait=False)
            try:
                wait_until(lambda: len(w.router.routes(4)) > 250 * n, "some routes", 5, 0.001)
            finally:
                d.kill9()
        d.start()
        equal(len(w.router.routes(4)), 2001, "routes")
        equal(w.router.firewall.jumps(), ["lan-out"], "the policy")
        d.write(BASIC)
        monitor = rtnl.Monitor(w.router, ("route",))
        process = w.router.popen([d.binary, "reload"] + d.options(), stderr=subprocess.DEVNULL)
        wait_until(lambda: any(e.verb == "del" for e in monitor.next(0.1)),
                   "the reload removes routes", 10, 0)
        d.kill9()
        process.wait(20)
        if len(w.router.routes(4)) > 1:  # else it was through before the signal
            check(process.returncode != 0, "a reload whose daemon died is not a success")
        d.start()
        equal(len(w.router.routes(4)), 1, "routes after the next start")
        d.stop()


@case("killed at any moment of anything, the next start makes all as it was meant "
      "(NSH_SEED=%d NSH_KILLS=%d)" % (SEED, KILLS), timeout=60 + 5 * KILLS)
def _():
    with Kills(SEED) as w:
        w.measure()
        for _ in range(KILLS):
            w.one()
        w.finish()


@case("what is no longer wanted at a restart goes, what is wanted stays untouched")
def _():
    with Lan() as w:
        d = Daemon(w.router, BASIC.replace("routes:\n", "routes:\n  - {to: 10.9.0.0/16, "
                                           "via: 192.0.2.2}\n")
                   + "  - {name: gone, family: ipv4, out: [eth1]}\n").start()
        d.kill9()
        d.write(BASIC)
        monitor = rtnl.Monitor(w.router)
        d.start()
        events = monitor.take()
        equal([(e.verb, e.prefix) for e in events], [("del", "10.9.0.0/16")], "changes")
        equal((w.router.firewall.chains(), w.router.firewall.jumps()), ({"lan-out"}, ["lan-out"]),
              "the wanted policy alone")
        d.stop()


@case("SIGTERM keeps all; STOPPING is told to systemd")
def _():
    with Lan() as w:
        d = Daemon(w.router, BOTH).start()
        before = w.router.snapshot()
        d.signal(signal.SIGTERM)
        equal(d.wait_exit(), 0, "exit code")
        equal(w.router.snapshot(), before, "the kernel")
        check(any("STOPPING=1" in text for _, text in d.notified), "STOPPING=1 was told")
        check(not os.path.exists(d.socket_path()), "the control socket is gone")


main()
