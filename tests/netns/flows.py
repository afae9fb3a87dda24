# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections over a flush of the NAT table: running ones live, ones born in the gap are mended."""

import contextlib
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import firewall
from daemon import Daemon
from netns import HOLDS, wait_until
from tap import Skip, case, check, equal, main, patience
from topology import (BASIC, BASIC6, CLIENT4, CLIENT6, FAR4, FAR6, SERVER4, SERVER6, WAN4, WAN6,
                      Lan)
from traffic import TcpTransfer, UdpEcho, UdpStream, udp_peer

FAMILIES = ((4, BASIC, FAR4, SERVER4, CLIENT4, WAN4, "192.0.2.0/24"),
            (6, BASIC6, FAR6, SERVER6, CLIENT6, WAN6, "2001:db8:b::/64"))


@contextlib.contextmanager
def gap(w, d, family):
    """NAT is flushed, and as long as it lasts nobody can repair it."""
    d.signal(signal.SIGSTOP)
    try:
        w.router.firewall.flush(family)
        yield
    finally:
        d.signal(signal.SIGCONT)


def born_in_gap(w, d, family, address, client):
    """A flow that began untranslated."""
    with gap(w, d, family):
        stream = UdpStream(w.client, address)
        wait_until(lambda: stream.last_peer == client, "untranslated in the gap")
    return stream


for family, text, far, near, client, router, near_net in FAMILIES:
    def _(family=family, text=text, far=far, client=client, router=router):
        with Lan() as w:
            w.serve(far)
            d = Daemon(w.router, text).start()
            equal(udp_peer(w.client, far), router, "seen from")
            mark = d.mark()
            stream = born_in_gap(w, d, family, far, client)
            d.wait_log(r"lan-out.*restored", mark)
            wait_until(lambda: stream.last_peer == router, "the router's address is seen", 1.0)
            wait_until(lambda: len(stream.answers) > 100, "it goes on")
            equal(stream.last_peer, router, "seen from")
            stream.stop()
            d.stop()
    case("IPv%d: a UDP flow born in the gap shows the router's address soon" % family)(_)

    def _(family=family, text=text, far=far, client=client, router=router):
        with Lan() as w:
            UdpEcho(w.server, far, delay=0.005)
            d = Daemon(w.router, text).start()
            with gap(w, d, family):
                streams = [UdpStream(w.client, far, interval=patience(0.02)) for _ in range(20)]
                wait_until(lambda: all(s.last_peer == client for s in streams), "untranslated")
            # An answer that is under way while its entry is deleted turns the flow around.
            wait_until(lambda: all(s.last_peer == router for s in streams),
                       "the router's address is seen of each")
            for stream in streams:
                stream.stop()
            d.stop()
    case("IPv%d: twenty UDP flows born in the gap, with answers under way" % family)(_)

    def _(family=family, text=text, far=far, near=near, client=client, router=router,
          near_net=near_net):
        with Lan() as w:
            w.serve(far, near)
            d = Daemon(w.router, text.replace("    out:", "    except-to: [\"%s\"]\n    out:"
                                              % near_net)).start()
            equal(udp_peer(w.client, near), client, "exempted, seen from")
            equal(udp_peer(w.client, far), router, "seen from")
            exempt = UdpStream(w.client, near)
            stream = born_in_gap(w, d, family, far, client)
            wait_until(lambda: stream.last_peer == router, "the router's address is seen")
            stream.stop()
            exempt.stop()
            equal((exempt.lost, exempt.peers), ([], {client}), "the exempted flow")
            d.stop()
    case("IPv%d: exempted traffic keeps its address and is not disturbed" % family)(_)

    def _(family=family, text=text, far=far, router=router):
        with Lan() as w:
            w.serve(far)
            d = Daemon(w.router, text).start()
            if firewall.NAME == "nftables" and not HOLDS:
                raise Skip("before Linux 5.12 nobody can own a table, which would hold connections")
            transfer, stream = TcpTransfer(w.client, far), UdpStream(w.client, far)
            wait_until(lambda: stream.last_peer == router, "the flow is translated")
            for _ in range(3):
                mark = d.mark()
                w.router.firewall.flush(family)
                d.wait_log(r"lan-out.*restored", mark)
            seen, so_far = stream.last_peer, len(stream.answers)
            wait_until(lambda: len(stream.answers) > so_far + 50, "the flow goes on")
            equal((seen, stream.last_peer), (router, router), "seen from after the repairs")
            stream.stop()
            equal((len(stream.lost), stream.peers), (0, {router}), "a UDP flow: lost, seen from")
            check(transfer.finish(), "the TCP transfer: %s" % transfer.error)
            d.stop()
    case("IPv%d: running connections do not notice flush and repair" % family)(_)


@case("IPv4: flows born while netshared was down are mended by its start")
def _():
    with Lan() as w:
        w.serve(FAR4)
        d = Daemon(w.router, BASIC).start()
        d.kill9()
        w.router.firewall.flush()
        stream = UdpStream(w.client, FAR4)
        wait_until(lambda: stream.last_peer == CLIENT4, "untranslated without netshared")
        w.no_way_back(4)
        d.start()
        wait_until(lambda: stream.last_peer == WAN4, "the router's address is seen")
        stream.stop()
        d.stop()


@case("IPv4: at a first start no packet leaves with a private address")
def _():
    with Lan() as w:
        w.serve(FAR4, SERVER4)
        stream = UdpStream(w.client, FAR4)  # nothing forwards it yet
        d = Daemon(w.router, BASIC).start()
        wait_until(lambda: len(stream.answers) > 50, "packets flow")
        stream.stop()
        equal(stream.peers, {WAN4}, "seen from")
        d.stop()


main()
