# SPDX-License-Identifier: GPL-2.0-or-later
"""On kernels without something: netshared starts, says what it can't do there, and does the rest.

`without.py legacy|nftables|firewalls|ipv6|audit` says what is missing; each first makes sure that it
is. By hand, in machines whose kernels are without (see tests/matrix.sh).
"""

import errno
import os
import socket
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))

from daemon import Daemon
from netns import IPV6, wait_until
from tap import case, check, contains, equal, main
from topology import BASIC_ROUTE, CLIENT4, FAR4, WAN4, Lan
from traffic import tcp_peer

WITHOUT = sys.argv.pop(1)
NETLINK_AUDIT, NETLINK_NETFILTER = 9, 12
IPT_SO_GET_INFO = 64
NFT_GETGEN = 10 << 8 | 16

CONFIG = """version: 1
settings: {firewall: %s}
routes:
  - {to: 198.51.100.0/24, via: 192.0.2.2, dev: eth1}
masquerade:
  - {name: lan-out, from: [10.0.0.0/24], out: [eth1]}
"""
IPV6_ROUTE = """
  - {to: "2001:db8:c::/48", via: "2001:db8:b::2", dev: eth1}
"""
IPV6_TOO = CONFIG.replace("masquerade:", IPV6_ROUTE.strip("\n") + "\nmasquerade:") + """
  - {name: six-out, from: ["2001:db8:a::/64"], out: [eth1]}
share:
  - {name: home, lan: eth0, wan: eth1}
"""


def without(names, what, timeout=60):
    """A case of kernels without one of those."""
    return case(what, timeout) if WITHOUT in names.split() else lambda function: None


# ---- what the kernel itself answers ----

def legacy_answers(ns):
    with ns.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
        try:
            s.getsockopt(socket.SOL_IP, IPT_SO_GET_INFO, 84)
        except OSError as e:
            return e.errno
    return 0


def nft_answers(ns):
    with ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as s:
        s.send(struct.pack("=IHHIIBBH", 20, NFT_GETGEN, 5, 1, 0, 0, 0, 0))
        kind, = struct.unpack_from("=H", answer := s.recv(8192), 4)
        return -struct.unpack_from("=i", answer, 16)[0] if kind == 2 else 0


def opens(*words):
    try:
        socket.socket(*words).close()
    except OSError as e:
        return e.errno
    return 0


def is_missing(ns):
    if WITHOUT in ("legacy", "firewalls"):
        equal(legacy_answers(ns), errno.ENOPROTOOPT, "what the kernel says of legacy iptables")
    if WITHOUT in ("nftables", "firewalls"):
        check(nft_answers(ns) in (errno.EINVAL, errno.EOPNOTSUPP), "nf_tables answers")
    if WITHOUT == "ipv6":
        equal((IPV6, opens(socket.AF_INET6, socket.SOCK_DGRAM)), (False, errno.EAFNOSUPPORT), "IPv6")
    if WITHOUT == "audit":
        equal(opens(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_AUDIT), errno.EPROTONOSUPPORT, "audit")


# ---- what netshared makes of it ----

def bad_lines(d):
    return [line for line in d.log_lines() if ": error: " in line or ": warning: " in line]


def route_is_kept(w, d):
    """It holds, and comes back."""
    d.wait_state("198.51.100.0/24", "held", "route")
    mark = d.mark()
    w.router.ip("route del 198.51.100.0/24")
    d.wait_log(r"route 198\.51\.100\.0/24 .* restored", since=mark)
    equal(w.router.has_route(BASIC_ROUTE), True, "the route")


def all_is_kept(w, d, damage):
    """And packets pass, translated; a flush is repaired."""
    w.serve(FAR4)
    d.wait_state("lan-out", "held", "masquerade")
    d.wait_state("ipv4", "held", "forwarding")
    route_is_kept(w, d)
    equal(tcp_peer(w.client, FAR4), WAN4, "seen from")
    mark = d.mark()
    w.router.run(*damage.split())
    d.wait_log(r"masquerade lan-out .*restored", since=mark)
    wait_until(lambda: tcp_peer(w.client, FAR4) == WAN4, "seen from there again")
    equal(d.plan().stdout, "", "plan")


def load(used):
    """As iptables does wherever it is used; a daemon without CAP_SYS_MODULE can't."""
    for table in ("nat", "raw", "filter", "mangle") if used == "iptables" else ():
        for program in ("iptables-legacy", "ip6tables-legacy")[:1 + IPV6]:
            subprocess.run([program, "-t", table, "-S"], stdout=subprocess.DEVNULL, check=True)


FLUSH = {"iptables": "iptables-legacy -t nat -F", "nftables": "nft flush ruleset"}


def nothing_is_said(setting, used):
    """Of what is missing and nobody asked for: no error, no warning. Gives what it said."""
    with Lan() as w:
        is_missing(w.router)
        load(used)
        d = Daemon(w.router, CONFIG % setting).start()
        d.wait_log("firewall %s is used" % used)
        all_is_kept(w, d, FLUSH[used])
        equal(bad_lines(d), [], "what it complains of")
        d.stop()
        return d.log_text()


def said_of_policy(setting, words):
    """What was asked for and can't be had; the route is kept, and nothing passes untranslated."""
    with Lan() as w:
        is_missing(w.router)
        w.serve(FAR4)
        d = Daemon(w.router, CONFIG % setting).start()
        wrong = d.wait_state("lan-out", "wrong", "masquerade")
        contains(wrong["reason"], words, "why")
        check(any(words in line for line in bad_lines(d)), "the log does not say so:\n" + d.log_text())
        contains(d.status_text(), "wrong", "what systemd is told")
        equal(w.router.sysctl("net.ipv4.ip_forward"), "0", "forwarding")
        route_is_kept(w, d)
        said = len(bad_lines(d))
        d.reload()
        d.write(CONFIG.partition("masquerade")[0] % setting)
        d.reload()
        equal(d.objects("masquerade"), [], "policies once none is wanted")
        check(len(bad_lines(d)) <= 2 * said, "it says so again and again:\n" + d.log_text())
        d.stop()


@without("legacy", "without legacy tables: nftables is chosen, it says why, all is kept", 120)
def _():
    with Lan() as w:
        is_missing(w.router)
        d = Daemon(w.router, CONFIG % "auto").start()
        contains(d.wait_log("firewall nftables is used"), "no legacy iptables for IPv4", "why")
        all_is_kept(w, d, FLUSH["nftables"])
        equal(bad_lines(d), [], "what it complains of")
        d.stop()


@without("legacy firewalls", "without legacy tables, but asked for: it says what can be done")
def _():
    said_of_policy("iptables", "the kernel has no legacy iptables for IPv4: load the module ip_tables")


@without("nftables", "without nf_tables: iptables is chosen, all is kept, nobody misses it", 120)
def _():
    nothing_is_said("auto", "iptables")


@without("nftables firewalls", "without nf_tables, but asked for: it says so")
def _():
    said_of_policy("nftables", "nf_tables")


@without("firewalls", "without any firewall: it says so, and keeps routes")
def _():
    said_of_policy("auto", "the kernel has no legacy iptables for IPv4")


@without("ipv6", "without IPv6, which nobody asks for, on iptables: all is kept", 120)
def _():
    nothing_is_said("iptables", "iptables")


@without("ipv6", "without IPv6, which nobody asks for, on nftables: all is kept", 120)
def _():
    nothing_is_said("nftables", "nftables")


def ipv6_asked_for(used):
    with Lan() as w:
        is_missing(w.router)
        load(used)
        d = Daemon(w.router, IPV6_TOO % used).start()
        for name, kind, state in (("2001:db8:c::/48", "route", "wrong"),
                                  ("six-out", "masquerade", "pending"),
                                  ("home (ipv6)", "share", "pending")):
            contains(d.wait_state(name, state, kind)["reason"], "IPv6", "why " + name)
        d.wait_state("home (ipv4)", "held", "share")
        d.wait_state("lan-out", "held", "masquerade")
        d.wait_state("ipv4", "held", "forwarding")
        w.serve(FAR4)
        equal(tcp_peer(w.client, FAR4), WAN4, "seen from")
        route_is_kept(w, d)
        d.stop()
        equal(tcp_peer(w.client, FAR4), WAN4, "it stays; not " + CLIENT4)


@without("ipv6", "without IPv6, but asked for, on iptables: it says so, IPv4 is kept", 120)
def _():
    ipv6_asked_for("iptables")


@without("ipv6", "without IPv6, but asked for, on nftables: it says so, IPv4 is kept", 120)
def _():
    ipv6_asked_for("nftables")


@without("audit", "without audit: a flush of iptables is repaired, and nobody is named", 120)
def _():
    said = nothing_is_said("iptables", "iptables")
    contains(said, "masquerade lan-out was flushed; restored in", "who did it")


main()
