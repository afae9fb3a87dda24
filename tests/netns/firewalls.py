# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies in iptables and in nftables: which is chosen, and the move from one to the other."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from netns import HOLDS, wait_until
from tap import Skip, case, check, equal, main
from topology import BASIC, BASIC6, FAR4, FAR6, WAN4, WAN6, Lan
from traffic import TcpTransfer, UdpStream, tcp_peer, udp_peer

FAMILIES = ((4, BASIC, FAR4, WAN4), (6, BASIC6, FAR6, WAN6))


def in_firewall(text, firewall, more=""):
    return text.replace("settings:\n", "settings:\n  firewall: %s\n%s" % (firewall, more))


def legacy(w, family):
    """What of ours stands in the legacy tables."""
    program = "iptables-legacy-save" if family == 4 else "ip6tables-legacy-save"
    rules = w.router.run(program).stdout
    return [line for line in rules.splitlines() if "NETSHARED" in line]


def nft(w):
    """What of ours stands in nf_tables."""
    rules = w.router.run("nft", "list", "ruleset").stdout
    return [line for line in rules.splitlines() if "netshared" in line and "table" in line]


def others_nat(w):
    """Somebody keeps NAT in nf_tables."""
    for words in ("table ip docker",
                  "chain ip docker post { type nat hook postrouting priority 100; }",
                  "rule ip docker post oifname docker0 masquerade"):
        w.router.run("nft", "add " + words)


for family, text, far, router in FAMILIES:
    def _(family=family, text=text, far=far, router=router):
        with Lan() as w:
            w.serve(far)
            d = Daemon(w.router, in_firewall(text, "iptables")).start()
            equal(tcp_peer(w.client, far), router, "seen from")
            transfer, stream = TcpTransfer(w.client, far), UdpStream(w.client, far)
            wait_until(lambda: stream.last_peer == router, "the flow is translated")
            for firewall in ("nftables", "iptables", "nftables"):
                before = transfer.total
                d.reload(in_firewall(text, firewall))
                equal(d.status()["firewall"], firewall, "the firewall in use")
                equal(d.object("lan-out", "masquerade")["state"], "held", "the policy")
                wait_until(lambda: not (nft(w) if firewall == "iptables" else legacy(w, family)),
                           "the old one is cleared")
                check(legacy(w, family) if firewall == "iptables" else nft(w), "the new one holds")
                equal(udp_peer(w.client, far), router, "a new flow is seen from")
                wait_until(lambda: transfer.total > before + (1 << 18), "the transfer goes on")
            stream.stop()
            equal((len(stream.lost), stream.peers), (0, {router}), "a UDP flow: lost, seen from")
            check(transfer.finish(), "the TCP transfer: %s" % transfer.error)
            d.stop()
    case("IPv%d: connections do not notice a move from one to the other and back" % family)(_)


def held(w):
    """The families whose connections would stay translated over a flush."""
    tables = w.router.run("nft", "list", "tables").stdout.split("\n")
    return [line.split()[1] for line in tables if line.endswith(" netshared-hold")]


@case("what keeps connections over a flush of nftables is there while it is needed")
def _():
    if not HOLDS:
        raise Skip("before Linux 5.12 nobody can own a table")
    with Lan() as w:
        w.serve(FAR4)
        both = in_firewall(BASIC, "nftables") + BASIC6[BASIC6.index("  - name"):].replace(
            "lan-out", "six")
        one = in_firewall(BASIC, "nftables")
        d = Daemon(w.router, one).start()
        for text, families in ((both, ["ip", "ip6"]), (one, ["ip"]),
                               (in_firewall(BASIC, "iptables"), []), (one, ["ip"]),
                               ("version: 1\nsettings: {firewall: nftables}\n", []),
                               (one, ["ip"])):
            d.reload(text)
            wait_until(lambda: held(w) == families, "%s are held: %s" % (families, held(w)))
        # All rules as they are listed: a copy can be loaded where no daemon runs, and then it goes.
        saved = w.router.run("nft", "list", "ruleset").stdout
        w.router.run("nft", "flush", "ruleset")
        equal(held(w), ["ip"], "held after a flush")
        legible = "flags owner" in saved  # nft before 0.9.9 has no word for the flag
        if legible:
            result = w.router.run("nft", "-f", "-", stdin="flush ruleset\n" + saved, check=False)
            check("Operation not permitted" in result.stderr, "what nft says: " + result.stderr)
        d.kill9()
        equal(held(w), [], "held after kill -9")
        if legible:
            w.router.run("nft", "-f", "-", stdin="flush ruleset\n" + saved)
            equal((held(w), nft(w)), ([], ["table ip netshared {"]), "what is there of the copy")
        d.start()
        equal((held(w), udp_peer(w.client, FAR4)), (["ip"], WAN4), "held, seen from")
        d.stop()
        equal(held(w), [], "held after a stop")


@case("auto goes to nftables where others have their NAT, and says why")
def _():
    with Lan() as w:
        w.serve(FAR4)
        others_nat(w)
        before = w.router.run("nft", "list table ip docker").stdout
        d = Daemon(w.router, BASIC).start()
        d.wait_log(r"firewall nftables is used .*others keep their NAT there")
        equal(udp_peer(w.client, FAR4), WAN4, "seen from")
        equal(legacy(w, 4), [], "in the legacy tables")
        equal(w.router.run("nft", "list table ip docker").stdout, before, "the others' table")
        d.stop()


@case("auto moves at once when others begin to, and what stood before goes")
def _():
    with Lan() as w:
        w.serve(FAR4)
        d = Daemon(w.router, BASIC).start()
        d.wait_log(r"firewall iptables is used")
        check(legacy(w, 4), "it stands in the legacy tables")
        mark = d.mark()
        transfer = TcpTransfer(w.client, FAR4)
        others_nat(w)
        d.wait_log(r"firewall nftables is used", mark)
        wait_until(lambda: not legacy(w, 4), "the legacy tables are cleared")
        equal(udp_peer(w.client, FAR4), WAN4, "seen from")
        # And not back.
        w.router.run("nft", "delete table ip docker")
        d.reload(BASIC)
        equal(d.status()["firewall"], "nftables", "the firewall in use")
        check(transfer.finish(), "the TCP transfer: %s" % transfer.error)
        d.stop()


MAP = """
version: 1
settings: {resync: 1h}
network-map:
  - {name: map, dev: eth1, inside: 10.0.0.0/24, outside: 198.51.100.0/24}
"""


def switches(d):
    with open("/proc/%d/status" % d.process.pid) as f:
        return int(next(line for line in f if line.startswith("voluntary")).split()[1])


@case("rules of others that translate nothing do not wake the daemon")
def _():
    with Lan() as w:
        for words in ("table ip busy", "chain ip busy forward { type filter hook forward priority 0; }",
                      "table ip nat", "chain ip nat POSTROUTING { type nat hook postrouting priority 1; }"):
            w.router.run("nft", "add " + words)
        # For what other policies forward, rules of others matter, and all of them are heard.
        d = Daemon(w.router, MAP).start()
        d.wait_log(r"firewall iptables is used")
        before = switches(d)
        # Each line is a change of its own, and one program makes all: a look once a second stays.
        w.router.run("nft", "-i", stdin=100 * "add rule ip busy forward counter; add chain ip busy c\n"
                     "flush chain ip busy forward\n")
        check(switches(d) - before < 20, "woken %d times by 200 changes" % (switches(d) - before))
        mark = d.mark()
        w.router.run("nft", "add rule ip nat POSTROUTING oifname docker0 masquerade")
        d.wait_log(r"firewall nftables is used", mark)
        d.stop()


BOTH = "rules of others translate addresses in nftables, and netshared's in iptables"


@case("NAT of others in both is told with what to do, and its end")
def _():
    with Lan() as w:
        others_nat(w)
        w.router.iptables("-t nat -A POSTROUTING -o eth9 -j MASQUERADE", 4)
        d = Daemon(w.router, BASIC)
        plan = d.plan().stdout
        check("# " + BOTH in plan, "plan: " + plan)
        said = json.loads(d.cli("check", "--json").stdout)["diagnostics"]
        equal([(e["severity"], e["file"], e["hint"][:24]) for e in said
               if e["message"].startswith(BOTH)],
              [("warning", d.config, "keep NAT in one of them:")], "check")
        equal(d.cli("check", "--strict").returncode, 1, "check --strict")
        d.start()
        line = d.wait_log(BOTH)
        check("; keep NAT in one of them: " in line, "what to do, in " + line)
        check(d.status()["both_firewalls"].startswith(BOTH), "status, as JSON")
        check("\nwarning:     " + BOTH in d.cli("status").stdout, "status")
        d.reload()
        w.router.run("nft", "delete table ip docker")
        d.wait_log("NAT of others in nftables is gone")
        equal(d.count_log(BOTH), 1, "how often it was told")
        check("both_firewalls" not in d.status(), "status after the end")
        plan = d.plan().stdout
        check(BOTH not in plan, "plan after the end: " + plan)
        d.stop()


def left_in(d):
    return sorted(line for line in d.plan().stdout.splitlines() if " left in " in line)


@case("what a killed daemon left in the other one goes at the next start, and with remove")
def _():
    with Lan() as w:
        w.serve(FAR4)
        d = Daemon(w.router, in_firewall(BASIC, "nftables")).start()
        check(nft(w), "it stands in nf_tables")
        d.kill9()
        d.write(in_firewall(BASIC, "iptables"))
        left = left_in(d)
        equal(left, ["- conntrack ipv4 left in nftables", "- jump from nat_postrouting to "
                     "nat-lan-out (ipv4) left in nftables", "- masquerade lan-out (ipv4) left in "
                     "nftables"], "plan")
        d.start()
        wait_until(lambda: not nft(w), "nf_tables is cleared")
        equal((left_in(d), d.plan().returncode), ([], 0), "plan, when it is cleared")
        equal(udp_peer(w.client, FAR4), WAN4, "seen from")
        d.kill9()
        d.write(in_firewall(BASIC, "nftables"))
        equal(left_in(d), ["- conntrack ipv4 left in iptables", "- jump from POSTROUTING to "
                           "NETSHARED-lan-out in nat (ipv4) left in iptables", "- masquerade lan-out "
                           "(ipv4) left in iptables"], "plan, by the names that iptables has")
        d.start()
        wait_until(lambda: not legacy(w, 4), "the legacy tables are cleared")
        other = d.write(in_firewall(BASIC, "iptables"), "other.yaml")
        d.cli("try", other, "--timeout", "1h", check=True)
        wait_until(lambda: not nft(w), "moved, on trial")
        plan = d.plan().stdout
        check("- masquerade lan-out (ipv4) on trial in iptables\n" in plan and "left" not in plan,
              "nothing is left over: " + plan)
        d.cli("revert", check=True)
        wait_until(lambda: not legacy(w, 4), "moved back")
        d.kill9()
        d.cli("remove", check=True)
        equal((nft(w), legacy(w, 4)), ([], []), "what stands of ours")


main()
