# SPDX-License-Identifier: GPL-2.0-or-later
"""doctor finds each culprit, and finds nothing once what it says was done."""

import json
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from netns import wait_until
from tap import case, check, contains, equal, main
from topology import CLIENT4, SERVER4, Lan, Router, Uplinks
from traffic import UdpEcho, udp_peer

DEFAULT = "routes:\n  - {to: default, via: 192.0.2.2, dev: eth1}\n"
SHARE = """version: 1
routes:
  - {to: default, via: 192.0.2.2, dev: eth1}
share:
  - {name: home, lan: eth0, wan: eth1, family: ipv4}
"""


def look(d, *options):
    """What it found: {check: its result}; the exit code says whether there is anything."""
    result = d.cli("doctor", "--json", *options)
    equal(result.stderr, "", "stderr")
    told = json.loads(result.stdout)
    checks = {c["name"]: c for c in told["checks"]}
    found = [c["name"] for c in told["checks"] if c["state"] == "found"]
    equal((told["looked_at"], told["found"]), (len(checks), len(found)), "the sums")
    equal(result.returncode, 3 if found else 0, "exit code of\n" + result.stdout)
    return checks


def found(d):
    """{check: its findings}."""
    return {name: c["findings"] for name, c in look(d).items() if c["state"] == "found"}


def one(d, name):
    """The one thing that is found, by the check of that name."""
    all_of_it = found(d)
    equal(list(all_of_it), [name], "what is found: %s" % all_of_it)
    equal(len(all_of_it[name]), 1, "how many findings: %s" % all_of_it[name])
    return all_of_it[name][0]


def do(d, finding, wrap=()):
    """Runs the command that it says."""
    d.ns.run(*wrap, "sh", "-c", finding["command"])


def well(d):
    equal(found(d), {}, "what is found then")


@case("a machine on which all is well, as text and as JSON")
def _():
    with Lan() as w:
        w.router.run("conntrack", "-L", check=False)  # loads what tells of it, where nobody has
        d = Daemon(w.router, SHARE).start()
        checks = look(d)
        equal({c["state"] for c in checks.values()}, {"ok"}, "the states of %s" % checks)
        result = d.cli("doctor", check=True)
        lines = result.stdout.splitlines()
        equal(len(lines), len(checks) + 1, "a line each, and one behind them")
        check(all(line.startswith("ok ") for line in lines[:-1]), "all are well: %s" % lines)
        equal(lines[-1], "%d things looked at, nothing found" % len(checks), "the last line")
        d.stop()


@case("no daemon")
def _():
    with Lan() as w:
        d = Daemon(w.router, SHARE)
        finding = one(d, "daemon")
        contains(finding["what"], "no daemon runs", "what")
        contains(finding["command"], "netshared run --config " + d.config, "the command")
        equal({look(d)[name]["state"] for name in ("trial", "sandbox", "objects", "fights")},
              {"idle"}, "what there is nothing to look at")
        before = w.router.tables_in_use()
        equal(before, w.router.tables_in_use(), "tables that came into being")
        d.start()
        well(d)
        d.stop()


@case("a daemon whose socket is gone, or elsewhere")
def _():
    with Lan() as w:
        d = Daemon(w.router, SHARE).start()
        for name in os.listdir(d.runtime):
            os.unlink(os.path.join(d.runtime, name))
        with w.router.inside():
            for _ in range(5000):  # more than any queue holds
                socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).connect("\0netshared")
        runs = "netshared (process %d) runs, but its socket is not in %s" % (d.pid, d.runtime)
        contains(one(d, "daemon")["what"], runs, "doctor")
        contains(d.cli("status").stderr, runs, "status")
        d.stop()


@case("nothing is wanted, and nothing runs")
def _():
    with Router() as w:
        well(Daemon(w.router, "version: 1\n"))


@case("nothing is touched by looking")
def _():
    with Lan() as w:
        d = Daemon(w.router, SHARE)
        look(d)
        d.cli("check")
        equal((w.router.tables_in_use(4), w.router.tables_in_use(6)), ([], []), "legacy tables")
        equal(w.router.run("nft", "list", "ruleset").stdout, "", "nftables")
        equal(os.path.exists(d.runtime) or os.path.exists(d.state), False, "directories")


@case("a file that is bad, one that is not in force, and a trial")
def _():
    with Lan() as w:
        d = Daemon(w.router, SHARE).start()
        d.write(SHARE.replace("192.0.2.2", "192.0.2.2/24"))
        finding = found(d)["file"][0]
        equal(finding["line"], 3, "the line")
        os.chmod(d.write(SHARE), 0o666)
        finding = one(d, "file")
        contains(finding["what"], "can be written by others", "what the daemon would refuse")
        equal(finding["fix"], "chmod go-w '%s'" % d.config, "what helps")
        d.reload(check=False)
        said = d.cli("doctor").stdout
        contains(said, "can be written by others", "what the daemon refused")
        contains(said, "refused", "that it did")
        w.router.run("sh", "-c", finding["fix"])
        d.reload()
        d.write(SHARE.replace("192.0.2.2", "192.0.2.2/24"))
        equal(look(d)["interfaces"]["state"], "unseen", "what needs the file")
        d.write(SHARE.replace("eth1}", "eth1, metric: 7}"))
        finding = one(d, "file")
        contains(finding["what"], "not what is in force", "what")
        finding["command"] = finding["command"].replace("netshared", d.binary, 1)
        do(d, finding)
        well(d)
        d.cli("try", d.write(SHARE, "other.yaml"), "--timeout", "1h", check=True)
        finding = one(d, "trial")
        contains(finding["what"], "on trial", "what")
        finding["command"] = finding["command"].replace("netshared", d.binary, 1)
        do(d, finding)
        d.write(SHARE)
        d.reload()
        well(d)
        d.stop()


@case("interfaces: a wrong name, with the right one as the hint, and one that is off")
def _():
    with Lan() as w:
        d = Daemon(w.router, SHARE.replace("lan: eth0", "lan: eht0")).start()
        findings = found(d)
        equal(list(findings), ["interfaces", "objects"], "what is found: %s" % findings)
        equal([len(f) for f in findings.values()], [1, 1], "how many findings: %s" % findings)
        finding = findings["interfaces"][0]
        equal((finding["what"], finding["fix"], finding["line"]),
              ("there is no interface 'eht0' now", "write 'eth0', if that is the one", 5), "it")
        equal(findings["objects"][0]["what"], "share home is pending: no interface eht0", "the share")
        d.reload(SHARE.replace("lan: eth0", "lan: enp0s31f6"))
        equal(found(d)["interfaces"][0]["fix"], "write one that there is: eth0", "what there is")
        # No hint that leads to an error, or to the LAN of another share.
        for text in (SHARE.replace("lan: eth0", "lan: [eth0, enp0s31f6]"),
                     SHARE + "  - {name: guests, lan: enp0s31f6, wan: eth1, family: ipv4}\n"):
            d.reload(text)
            equal(found(d)["interfaces"][0]["fix"], "there is no other", "all of them are taken")
        d.reload(SHARE)
        well(d)
        w.router.ip("link set eth0 down")
        do(d, one(d, "interfaces"))
        well(d)
        d.stop()


@case("gateways: one that is on no link, and on another one")
def _():
    with Lan() as w:
        d = Daemon(w.router, SHARE.replace("via: 192.0.2.2", "via: 192.0.3.2")).start()
        d.wait_state("default", "pending", "route")
        finding = found(d)["gateways"][0]
        equal(finding["what"], "the gateway 192.0.3.2 of default is not on the link of eth1", "it")
        contains(finding["fix"], "a gateway in 192.0.2.0/24", "the fix")
        d.reload(SHARE)
        well(d)
        d.reload(SHARE.replace("via: 192.0.2.2, dev: eth1", "via: 192.0.3.2"))
        contains(found(d)["gateways"][0]["what"], "is not on any link", "without a device")
        d.reload(SHARE.replace("via: 192.0.2.2, dev: eth1", "via: 192.0.3.2, dev: eth1, "
                                                            "on-link: true"))
        well(d)
        d.reload(SHARE.replace("via: 192.0.2.2, dev: eth1", "via: 192.0.3.2, dev: eth1").replace(
            "share:", "  - {to: 192.0.3.0/24, dev: eth1}\nshare:"))
        d.wait_state("default", "held", "route")
        well(d)
        d.stop()


@case("routes of another program in the place of ours")
def _():
    with Lan() as w:
        w.router.ip("route add default via 192.0.2.3 dev eth1 proto dhcp")
        d = Daemon(w.router, SHARE).start()
        d.wait_state("default", "conflicting", "route")
        finding = found(d)["routes"][0]
        contains(finding["what"], "the place of default has a route of protocol dhcp: default via "
                 "192.0.2.3 dev eth1", "what")
        contains(finding["fix"], "'on-conflict: replace'", "the fix")
        equal(finding["line"], 3, "the line")
        d.reload(SHARE.replace("dev: eth1}", "dev: eth1, on-conflict: replace}"))
        well(d)
        d.stop()


@case("the only default route goes with the file")
def _():
    with Lan() as w:
        d = Daemon(w.router, SHARE).start()
        d.wait_state("default", "held", "route")
        d.write(SHARE.replace("routes:\n  - {to: default, via: 192.0.2.2, dev: eth1}\n", ""))
        contains(d.cli("check").stderr, "warning: the file leaves this machine without a default route "
                 "of IPv4: the only one, default via 192.0.2.2 dev eth1", "check")
        equal(list(found(d)), ["file", "routes"], "what is found")
        contains(d.plan().stdout, "- route default via 192.0.2.2 dev eth1\n# the file leaves this machine "
                 "without a default route of IPv4", "plan")
        w.router.ip("route add default via 192.0.2.3 metric 9")
        equal(d.cli("check").stderr, "", "another one stays")
        equal(d.plan().stdout, "- route default via 192.0.2.2 dev eth1\n", "another one stays: plan")
        w.router.ip("route del default via 192.0.2.3 metric 9")
        d.write(SHARE.replace("dev: eth1", "dev: eth1, metric: 7"))
        equal(d.cli("check").stderr, "", "another one comes")
        d.stop()


@case("a masquerade whose way out no route uses")
def _():
    with Lan() as w:
        d = Daemon(w.router, "version: 1\nroutes:\n  - {to: default, via: 192.0.2.2, dev: eth1}\n"
                             "masquerade:\n  - {name: out, out: [eth0]}\n").start()
        finding = one(d, "ways-out")
        contains(finding["what"], "no route but its own subnet's leaves by 'eth0'", "what")
        equal(finding["line"], 5, "the line")
        d.reload("version: 1\n" + DEFAULT + "masquerade:\n  - {name: out, out: [eth1]}\n")
        well(d)
        # What another program's route does counts as well.
        d.reload("version: 1\nmasquerade:\n  - {name: out, out: [eth0]}\n")
        one(d, "ways-out")
        w.router.ip("route add 203.0.113.0/24 via 10.0.0.2")
        well(d)
        d.stop()


@case("a way out by which IPv6 alone leaves")
def _():
    with Lan() as w:
        w.router.ip("route add default via 2001:db8:b::2")
        share = "version: 1\nshare: [{name: home, lan: eth0, wan: eth1%s}]\n"
        d = Daemon(w.router, share % ", family: ipv4").start()
        for text in (share % ", family: ipv4", share % "",
                     "version: 1\nmasquerade: [{name: out, from: 10.0.0.0/24, out: eth1}]\n"):
            d.reload(text)
            contains(one(d, "ways-out")["what"], "no IPv4 route but its own subnet's leaves by 'eth1'",
                     "what")
        d.reload(share % ", family: ipv6")
        well(d)
        # A LAN without IPv4 misses nothing, and neither does a WAN without IPv6.
        w.router.ip("addr del 10.0.0.1/24 dev eth0")
        d.reload(share % "")
        well(d)
        w.router.ip_batch(["addr add 10.0.0.1/24 dev eth0", "route del default via 2001:db8:b::2",
                           "route add default via 192.0.2.2"])
        check("ways-out" not in found(d), "IPv6 is missed")
        d.reload(share % ", ipv6: masquerade")
        contains(found(d)["ways-out"][0]["what"], "no IPv6 route", "where it is asked for")
        d.stop()


@case("a share with its sides the wrong way round")
def _():
    with Lan() as w:
        d = Daemon(w.router, SHARE.replace("lan: eth0, wan: eth1", "lan: eth1, wan: eth0")).start()
        what = ("the default route leaves by 'eth1', which is in the 'lan' of 'home', and none by its "
                "'wan': the two may be the wrong way round")
        finding = one(d, "ways-out")
        equal((finding["what"], finding["fix"], finding["line"]),
              (what, "if the Internet is behind 'eth1', write it in 'wan', and in 'lan' those who "
               "share it", 5), "it")
        # There is something behind it: it may be meant.
        w.router.ip("route add 172.16.0.0/16 via 10.0.0.2")
        checks = look(d)["ways-out"]
        equal((checks["state"], [n["what"] for n in checks["notes"]]), ("ok", [what]), "the note")
        contains(d.cli("check").stderr, what, "check")
        d.reload(SHARE)
        well(d)
        d.stop()


@case("both sides of a share with the same addresses")
def _():
    with Lan() as w:
        w.router.ip("addr add 10.0.0.129/25 dev eth1")
        d = Daemon(w.router, SHARE).start()
        finding = one(d, "subnets")
        contains(finding["what"], "10.0.0.0/24 at eth0 and 10.0.0.128/25 at eth1", "what")
        w.router.ip("addr del 10.0.0.129/25 dev eth1")
        well(d)
        d.stop()


@case("a narrow way out without clamp-mss")
def _():
    with Lan() as w:
        w.router.ip("link set eth1 mtu 1492")
        d = Daemon(w.router, SHARE.replace("ipv4}", "ipv4, clamp-mss: false}")).start()
        contains(one(d, "segment-size")["what"], "at most 1492 bytes fit through 'eth1'", "what")
        d.reload(SHARE)
        well(d)
        d.stop()


@case("outside addresses that nobody answers for")
def _():
    with Lan() as w:
        text = """version: 1
routes:
  - {to: default, via: 192.0.2.2, dev: eth1}%s
network-map:
  - {name: m%d, dev: eth1, inside: '%s', outside: '%s'}
"""
        d = Daemon(w.router, text % ("", 4, "10.0.0.0/29", "192.0.2.8/29")).start()
        finding = one(d, "network-maps")
        contains(finding["what"], "nobody answers for 192.0.2.8 at 'eth1'", "what")
        route = "\n  - " + finding["fix"].split("the route ")[1].split("}")[0] + "}"
        UdpEcho(w.client, CLIENT4)
        equal(udp_peer(w.server, "192.0.2.10", timeout=0.5), None, "seen from")
        d.reload(text % (route, 4, "10.0.0.0/29", "192.0.2.8/29"))
        well(d)
        equal(udp_peer(w.server, "192.0.2.10"), SERVER4, "seen from, with its route")
        d.reload(text % ("", 6, "2001:db8:a::/125", "2001:db8:b::8/125"))
        finding = one(d, "network-maps")
        w.router.run("sh", "-c", finding["fix"].split("each address: ")[1])
        well(d)
        # No hint takes over the gateway; who followed one is told.
        for more in ("", "\n  - {to: 192.0.2.0/29, type: local, dev: lo}"):
            d.reload(text % (more, 4, "10.0.0.0/29", "192.0.2.0/29"))
            finding = found(d)["network-maps"][0]
            contains(finding["what"], "the outside addresses of 'm4', 192.0.2.0/29, have a gateway of "
                     "this machine among them, 192.0.2.2", "what")
            equal(finding["fix"], "write an 'outside' of addresses that nobody else has", "the fix")
        w.router.ip("route add 2001:db8:c::/48 via 2001:db8:b::2")
        d.reload(text % ("", 6, "2001:db8:a::/64", "2001:db8:b::/64"))
        contains(one(d, "network-maps")["what"], "among them, 2001:db8:b::2", "what")
        d.stop()


@case("a port-forward that leads nowhere, back out, or to this machine")
def _():
    with Lan() as w:
        text = SHARE + "port-forwards: [{name: web, in: eth1, protocol: tcp, port: 80, to: %s}]\n"
        d = Daemon(w.router, text % "10.0.0.2").start()
        well(d)
        for to, what in (("172.16.7.10", "the way to '172.16.7.10' leaves by eth1 to the gateway "
                          "192.0.2.2, and by eth1 comes what 'web' forwards there"),
                         ("10.0.0.255", "'10.0.0.255', to which 'web' forwards, is the broadcast "
                          "address of a subnet")):
            d.reload(text % to)
            contains(one(d, "port-forwards")["what"], what, "what")
        for to, what in (("192.0.2.77", "the way to '192.0.2.77' leaves by eth1, by which comes what"),
                         ("10.0.0.1", "'10.0.0.1', to which 'web' forwards, is an address of this")):
            d.reload(text % to)
            well(d)
            contains(look(d)["port-forwards"]["notes"][0]["what"], what, "the note")
            contains(d.cli("check").stderr, "%s:6:" % d.config, "check")
            contains(d.cli("check").stderr, what, "check")
        # A relay: what is masqueraded is answered by this way.
        d.reload(text % "172.16.7.10" + "masquerade: [{name: relay, to: 172.16.7.10, out: eth1}]\n")
        well(d)
        # A route that is wanted, and does not stand yet.
        d.write((text % "172.16.7.10").replace(
            "share:", "  - {to: 172.16.0.0/16, via: 10.0.0.2}\nshare:"))
        check("the way to '172" not in d.cli("check").stderr, "check before the route stands")
        d.stop()


@case("forwarding is left off, and off for a device alone")
def _():
    with Lan() as w:
        d = Daemon(w.router, SHARE + "settings: {forwarding: leave}\n").start()
        finding = one(d, "forwarding")
        contains(finding["what"], "'forwarding: leave'", "what")
        contains(d.cli("check").stderr, "%s:%d:12: warning: policies need IPv4 to be forwarded" %
                 (d.config, SHARE.count("\n") + 1), "check")
        do(d, finding)
        equal(w.router.sysctl("net.ipv4.ip_forward"), "1", "after its command")
        well(d)
        w.router.sysctl("net.ipv4.conf.eth0.forwarding", 0)
        finding = one(d, "forwarding")
        contains(finding["what"], "not for what comes in by 'eth0'", "what")
        do(d, finding)
        well(d)
        d.stop()


UPLINK = """version: 1
routes:
  - {to: default, via: 192.0.2.2, dev: eth1}
  - {to: default, via: 203.0.113.2, dev: eth2, table: 100}
"""


@case("a strict reverse-path filter where the way back is another one")
def _():
    with Uplinks() as w:
        w.router.sysctl("net.ipv4.conf.eth2.rp_filter", 1)
        d = Daemon(w.router, UPLINK + "rules:\n  - {priority: 100, mark: 1, table: 100, family: ipv4}\n").start()
        finding = one(d, "reverse-path")
        contains(finding["what"], "filter of 'eth2' is strict and drops replies to what rule 100 "
                 "sends out there: the way back is by eth1", "what")
        do(d, finding)
        equal(w.router.sysctl("net.ipv4.conf.eth2.rp_filter"), "2", "after its command")
        well(d)
        # Who sends is looked at on the way back, too: such a rule does no harm.
        w.router.sysctl("net.ipv4.conf.eth2.rp_filter", 1)
        d.reload(UPLINK + "rules:\n  - {priority: 100, from: 10.0.0.0/24, table: 100}\n")
        well(d)
        d.reload(UPLINK + "port-forwards:\n  - {name: web, in: eth2, protocol: tcp, port: 80, "
                          "to: 10.0.0.2}\n")
        contains(one(d, "reverse-path")["what"], "what comes for port-forward 'web'", "what")
        d.reload(UPLINK + "port-forwards:\n  - {name: web, in: eth2, protocol: tcp, port: 80, "
                          "to: 10.0.0.2}\n"
                          "rules:\n  - {priority: 100, from: 10.0.0.2, table: 100}\n")
        well(d)
        w.router.sysctl("net.ipv4.conf.all.rp_filter", 2)
        d.reload(UPLINK + "rules:\n  - {priority: 100, mark: 1, table: 100, family: ipv4}\n")
        well(d)
        d.stop()


@case("a way out that does not hear its routers any more")
def _():
    with Lan() as w:
        w.router.sysctl("net.ipv6.conf.all.forwarding", 1)
        d = Daemon(w.router, SHARE.replace(", family: ipv4", "")
                   + "settings: {forwarding: leave}\n").start()
        w.router.sysctl("net.ipv4.ip_forward", 1)
        finding = one(d, "advertisements")
        contains(finding["what"], "'eth1' forwards IPv6, and so does not hear", "what")
        do(d, finding)
        well(d)
        d.stop()


@case("NAT in both firewalls")
def _():
    with Lan() as w:
        w.router.iptables("-t nat -A POSTROUTING -o eth9 -j MASQUERADE")
        w.router.run("nft", "-f", "-", stdin="table ip mine {\n chain leaving {\n type nat hook "
                     "postrouting priority 100;\n oifname \"eth9\" masquerade\n }\n}\n")
        d = Daemon(w.router, SHARE).start()
        contains(one(d, "firewalls")["what"], "others in nftables", "what")
        w.router.iptables("-t nat -F POSTROUTING")
        d.reload(SHARE + "settings: {firewall: iptables}\n")
        finding = one(d, "firewalls")
        contains(finding["fix"], "'firewall: nftables' in the settings", "the fix")
        d.reload(SHARE + "settings: {firewall: nftables}\n")
        well(d)
        d.stop()


@case("a FORWARD of others that drops")
def _():
    with Lan() as w:
        UdpEcho(w.server, SERVER4)
        # A table with an owner takes no jump of ours; its rules are the only ones that help.
        w.router.run("nft", "-f", "-", stdin="table inet firewalld {\n chain filter_FORWARD {\n"
                     " type filter hook forward priority filter + 10;\n"
                     " ct state { established, related } accept\n reject\n }\n}\n")
        d = Daemon(w.router, SHARE).start()
        finding = found(d)["forward"][0]
        contains(finding["what"], "nftables chain inet firewalld filter_FORWARD drops what share "
                 "home lets through", "what")
        contains(finding["command"], "firewall-cmd --permanent --zone=trusted", "the command")
        w.router.run("nft", "insert rule inet firewalld filter_FORWARD iifname eth0 accept")
        d.wait_state("home", "held", "share")
        equal(udp_peer(w.client, SERVER4), "192.0.2.1", "seen from")
        well(d)
        d.stop()


@case("a FORWARD of others that drops what a masquerade leads out")
def _():
    with Lan() as w:
        UdpEcho(w.server, SERVER4)
        w.router.run("iptables-nft", "-P", "FORWARD", "DROP")
        d = Daemon(w.router, "version: 1\n" + DEFAULT +
                   "masquerade:\n  - {name: out, from: [10.0.0.0/24], out: [eth1]}\n").start()
        equal(udp_peer(w.client, SERVER4, timeout=0.5), None, "seen from")
        finding = one(d, "forward")
        contains(finding["what"], "nftables chain ip filter FORWARD drops what masquerade out lets "
                 "through", "what")
        do(d, finding)
        equal(udp_peer(w.client, SERVER4), "192.0.2.1", "seen from, after its command")
        well(d)
        d.stop()


@case("systemd-networkd takes away what is not its own")
def _():
    with Lan() as w:
        d = Daemon(w.router, SHARE).start()
        program = os.path.join(w.directory, "systemd-networkd")
        w.host("cp", "/bin/sleep", program)
        networkd = w.router.popen([program, "1h"])
        wait_until(lambda: "networkd" in found(d), "it is seen")
        finding = one(d, "networkd")
        contains(finding["what"], "takes away routes that are not", "what")
        with open(os.path.join(w.directory, "systemctl"), "w") as f:
            f.write("#!/bin/sh\n[ \"$*\" = 'restart systemd-networkd' ]\n")
        os.chmod(f.name, 0o755)
        # In a mount namespace of its own: /etc is this machine's.
        script = ("mount -t tmpfs tmpfs /etc/systemd && PATH=%s:$PATH && %s && exec %s doctor %s"
                  % (w.directory, finding["command"], d.binary, " ".join(d.options())))
        text = w.router.run("unshare", "-m", "sh", "-c", script).stdout
        contains(text, "nothing found", "after its command")
        networkd.kill()
        networkd.wait()
        well(d)
        d.stop()


@case("source ports run out")
def _():
    with Lan() as w:
        UdpEcho(w.server, SERVER4)
        policy = "masquerade:\n  - {name: out, out: [eth1], protocol: udp%s}\n"
        d = Daemon(w.router, "version: 1\n" + DEFAULT + policy % ", to-ports: 40000-40009").start()
        for _ in range(7):
            udp_peer(w.client, SERVER4)
        well(d)
        udp_peer(w.client, SERVER4)
        finding = one(d, "ports")
        contains(finding["what"], "8 of 10 source ports of 192.0.2.1 are in use towards 192.0.2.2 "
                 "port 5000 (protocol 17)", "what")
        equal((finding["fix"], finding["line"]), ("leave 'to-ports' out, or widen it", 5), "the fix")
        d.reload("version: 1\n" + DEFAULT + policy % "")
        well(d)
        d.stop()


@case("the daemon may too little")
def _():
    with Lan() as w:
        d = Daemon(w.router, SHARE)
        d.start(wrap=("setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw"))
        finding = found(d)["sandbox"][0]
        contains(finding["what"], "lacks CAP_NET_RAW", "what")
        contains(finding["fix"], "'CapabilityBoundingSet=CAP_NET_RAW'", "the fix")
        d.stop()
        d.start(wrap=("unshare", "-m", "sh", "-c", "mount --bind /proc/sys /proc/sys && "
                      "mount -o remount,ro,bind /proc/sys && exec \"$@\"", "sh"))
        finding = found(d)["sandbox"][0]
        contains(finding["what"], "/proc/sys/net is read-only for the daemon", "what")
        d.stop()
        d.start()
        well(d)
        d.stop()


@case("something keeps undoing a repair")
def _():
    with Lan() as w:
        d = Daemon(w.router, SHARE).start()
        begun = d.mark()
        while not d.count_log("keeps being undone", since=begun):
            mark = d.mark()
            w.router.ip("route del default")
            d.wait_log(r"route default.*(restored|keeps being undone)", since=mark)
        finding = found(d)["fights"][0]
        contains(finding["what"], "route default via 192.0.2.2 dev eth1 was repaired", "what")
        contains(finding["fix"], "stop that program from changing it", "the fix")
        d.stop()


@case("check of the machine's own file looks at the machine, of another file does not")
def _():
    with Lan() as w:
        d = Daemon(w.router, SHARE.replace("lan: eth0", "lan: eht0"))
        result = d.cli("check", check=True)
        contains(result.stderr, "%s:5:23: warning: there is no interface 'eht0' now\n"
                 "    5 |   - {name: home, lan: eht0, wan: eth1, family: ipv4}\n"
                 "      |                       ^\n" % d.config, "check")
        contains(result.stderr, "hint: write 'eth0', if that is the one", "check")
        equal(d.cli("check", "--strict").returncode, 1, "--strict")
        for text in (d.cli("check", d.config, check=True).stderr,
                     d.ns.run(d.binary, "check", "-", *d.options(), stdin=SHARE.replace(
                         "lan: eth0", "lan: eht0")).stderr):
            check("interface" not in text, "check of a file: " + text)
        told = json.loads(d.cli("check", "--json").stdout)
        equal([(t["line"], t["column"]) for t in told["diagnostics"]], [(5, 23)], "--json")
        check("forwarding" not in result.stderr, "forwarding is off: " + result.stderr)
        # On, and not by us: what has another name has no filter.
        open_to_all = ("there is no interface 'eht0' now; forwarding is on: what is there under another "
                       "name has no filter\n")
        w.router.sysctl("net.ipv4.ip_forward", 1)
        contains(d.cli("check").stderr, open_to_all, "check, forwarding is on")
        w.router.sysctl("net.ipv4.ip_forward", 0)
        # By us, it is not for others.
        d.write(SHARE)
        d.start()
        d.write(SHARE.replace("lan: eth0", "lan: eht0"))
        result = d.cli("check")
        contains(result.stderr, "there is no interface 'eht0' now\n", "check, forwarding is ours")
        d.write(SHARE.replace("lan: eth0", "lan: eht0") +
                "masquerade: [{name: out, out: eth1, family: ipv4}]\n")
        contains(d.cli("check").stderr, open_to_all, "check, another policy needs it")
        d.stop()


@case("who is not root sees less, and is told so")
def _():
    with Lan() as w:
        d = Daemon(w.router, SHARE).start()
        w.host("chmod", "755", w.directory, d.base)
        result = d.ns.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                          d.binary, "doctor", "--json", *d.options(), check=False)
        states = {c["name"]: c["state"] for c in json.loads(result.stdout)["checks"]}
        equal({states[n] for n in ("daemon", "trial", "objects", "fights", "firewalls", "ports")},
              {"unseen"}, "what is not seen: %s" % states)
        equal({states[n] for n in ("interfaces", "gateways", "forwarding")}, {"ok"}, "what is")
        d.stop()


main()
