# SPDX-License-Identifier: GPL-2.0-or-later
"""A TCP transfer through a hundred rounds of flushing the NAT table and its repair.

A round begins over a second after the repair before it: something that undoes repairs more quickly
is a fight, and is met with patience. So this takes a few minutes.
"""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import firewall
from daemon import Daemon
from netns import HOLDS, wait_until
from tap import Skip, case, check, diag, equal, main
from topology import BASIC, FAR4, WAN4, Lan
from traffic import TcpTransfer, UdpStream

ROUNDS = int(os.environ.get("NETSHARED_TEST_ROUNDS", "100"))


@case("a TCP transfer and a UDP flow through %d rounds of flush and repair" % ROUNDS, timeout=900)
def _():
    if firewall.NAME == "nftables" and not HOLDS:
        raise Skip("before Linux 5.12 nobody can own a table, which would hold connections")
    with Lan() as w:
        w.serve(FAR4)
        d = Daemon(w.router, BASIC).start()
        ours = w.router.nat_ours()
        transfer = TcpTransfer(w.client, FAR4, block=1 << 13, interval=0.01)
        equal(transfer.peer, WAN4, "seen from")
        stream = UdpStream(w.client, FAR4, interval=0.01)
        wait_until(lambda: stream.last_peer == WAN4, "the flow is translated")
        longest = 0.0
        for number in range(ROUNDS):
            begun = time.monotonic()
            w.router.firewall.flush()
            if number % 10 == 9:
                w.router.firewall.flush_more()
            wait_until(lambda: w.router.nat_ours() == ours, "repaired in round %d" % number)
            longest = max(longest, time.monotonic() - begun)
            check(not transfer.error, "the transfer broke in round %d" % number)
            time.sleep(1.55)  # the round, not a wait
        check(transfer.finish(), "the TCP transfer: %s" % transfer.error)
        stream.stop()
        equal((len(stream.lost), stream.peers), (0, {WAN4}),
              "lost of %d, seen from" % stream.sent)
        diag("%d bytes, longest repair %.3f s" % (transfer.total, longest))
        equal(d.count_log(r"keeps being undone"), 0, "fights reported")
        d.stop()


main()
