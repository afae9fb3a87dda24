# SPDX-License-Identifier: GPL-2.0-or-later
"""Life beside other firewalls and what writes rules: policies hold and pass packets before and
after the others' start, reload and stop, and the others' rules are byte for byte what they are
where netshared is not.

The same commands run in a second namespace without netshared, which is what "as they are" means.
What can't be run without a machine of its own is loaded as that program writes it: firewalld's
rule set as firewalld 1.3 made it, a container engine's and kube-proxy's as they document it.
"""

import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from netns import HOLDS, differences, wait_until
from tap import Skip, case, check, contains, equal, main
from topology import BASIC, CLIENT4, FAR4, SERVER4, SERVER6, WAN4, WAN6, Lan
from traffic import PORT, TcpEcho, TcpTransfer, UdpStream, tcp_peer

DATA = os.path.join(os.environ.get("NSH_TEST_DATA", "tests/data"), "others")
CONFIG = """
version: 1
settings: {firewall: %s, resync: 1h}
masquerade:
  - {name: six, family: ipv6, from: ["2001:db8:a::/64"], out: [eth1]}
share:
  - {name: home, lan: eth0, wan: eth1}
port-forwards:
  - {name: web, in: eth1, protocol: tcp, port: 7000, to: 10.0.0.2, to-port: %d}
""" % ("%s", PORT + 1)
# What the programs of each are called.
BACKENDS = {"iptables": "legacy", "nftables": "nft"}


def data(name):
    with open(os.path.join(DATA, name)) as f:
        return f.read()


def tables(ns):
    """The tables of `nft list ruleset`, by their names."""
    text = ns.run("nft", "-s", "list", "ruleset").stdout
    return {name: body.splitlines() for name, body in
            re.findall(r"^table (\S+ \S+) \{\n(.*?)^\}$", text, re.M | re.S)}


def everything(ns):
    """Rules of both kinds; all legacy tables are there first, or a look would make a difference."""
    state = {"table " + name: body for name, body in tables(ns).items()}
    for family in (4, 6):
        for table in ("nat", "raw", "filter", "mangle"):
            ns.iptables("-t %s -S" % table, family)
        state["legacy%d" % family] = ns.iptables_save(family)
    return state


def is_ours(line):
    return "NETSHARED-" in line or 'comment "netshared' in line


def without_guest(lines):
    """Without the chain of ours that a jump in their table leads to, and lines between chains."""
    text = "\n".join(line for line in lines if line) + "\n"
    return re.sub(r"^\tchain NETSHARED-forward \{\n.*?^\t\}\n", "", text,
                  flags=re.M | re.S).splitlines()


def theirs(ns):
    return {key: [line for line in without_guest(lines) if not is_ours(line)]
            for key, lines in everything(ns).items()
            if key.split(" ")[-1] not in ("netshared", "netshared-hold")}


class Neighbours(Lan):
    """The LAN with all policies held, and the namespace to compare with."""

    def __init__(self, firewall):
        super().__init__()
        self.firewall = firewall
        self.alone = self.ns("alone")
        self.serve()
        TcpEcho(self.client, CLIENT4, PORT + 1)
        for ns in (self.router, self.alone):
            everything(ns)
        self.daemon = Daemon(self.router, CONFIG % firewall).start()
        self.passes("before")

    def both(self, action, *args):
        for ns in (self.router, self.alone):
            action(ns, *args)

    def passes(self, when):
        wait_until(lambda: self.daemon.plan().returncode == 0, "all is as wanted " + when)
        equal([o["name"] for o in self.daemon.objects() if o["state"] != "held"], [],
              "not held " + when)
        equal((tcp_peer(self.client, SERVER4), tcp_peer(self.client, SERVER6),
               tcp_peer(self.server, WAN4, 7000)), (WAN4, WAN6, SERVER4),
              "seen from, IPv4, IPv6 and by the port-forward, " + when)

    def step(self, when, action, *args):
        """Something the others do, here and where they are alone."""
        self.both(action, *args)
        self.passes(when)
        difference = differences(theirs(self.alone), theirs(self.router))
        check(not difference, "the others' rules differ %s:\n%s" % (when, difference))

    def finish(self):
        equal(self.daemon.count_log("keeps being undone"), 0, "fights")
        self.daemon.stop()


def on_both(title):
    def add(function):
        for firewall in BACKENDS:
            def _(firewall=firewall):
                with Neighbours(firewall) as w:
                    function(w)
                    w.finish()
            case("%s, with firewall: %s" % (title, firewall))(_)
    return add


# -- iptables-restore


def restore(ns, backend, text, family=4, flush=False):
    program = ("iptables" if family == 4 else "ip6tables") + "-%s-restore" % backend
    ns.run(program, "-w", *([] if flush else ["--noflush"]), stdin=text)


def undone(text):
    """What takes away all that such a file brings."""
    lines = []
    for table in re.findall(r"^\*.*?^COMMIT$", text, re.M | re.S):
        chains = re.findall(r"^:(\S+) -", table, re.M)
        rules = [r for r in re.findall(r"^-[AI] (.*)$", table, re.M) if r.split()[0] not in chains]
        lines += [table.splitlines()[0]] + ["-D " + rule for rule in rules]
        lines += ["-F " + chain for chain in chains] + ["-X " + chain for chain in chains]
        lines += ["COMMIT"]
    return "\n".join(lines) + "\n"


@on_both("a container engine starts, starts again and stops")
def _(w):
    backend, text = BACKENDS[w.firewall], data("container-engine.rules")
    w.both(lambda ns: ns.run("iptables-" + backend, "-w", "-P", "FORWARD", "DROP"))
    w.step("after its start", restore, backend, text)
    w.step("after it has cleared its rules", restore, backend, undone(text))
    w.step("after another start", restore, backend, text)
    w.step("after its stop", restore, backend, undone(text))


@on_both("kube-proxy starts, syncs and cleans up")
def _(w):
    backend, text = BACKENDS[w.firewall], data("kube-proxy.rules")
    w.step("after its start", restore, backend, text)
    # A sync writes its chains anew and leaves the jumps.
    sync = "".join(line + "\n" for line in text.splitlines() if not line.startswith("-I"))
    for _ in range(3):
        w.step("after a sync", restore, backend, sync)
    w.step("after its cleanup", restore, backend, undone(text))


@on_both("rules by iptables-nft and iptables-legacy stand side by side")
def _(w):
    def add(ns, verb):
        for backend in ("nft", "legacy"):
            for program in ("iptables-", "ip6tables-"):
                for rule in ("-t nat %s POSTROUTING -o eth7 -j MASQUERADE",
                             "-t nat %s PREROUTING -p tcp --dport 9 -j REDIRECT --to-ports 10",
                             "-t filter %s FORWARD -i eth7 -j DROP",
                             "-t mangle %s FORWARD -o eth7 -j MARK --set-mark 7"):
                    ns.run(program + backend, "-w", *(rule % verb).split())

    w.step("after both have rules", add, "-A")
    w.step("after both have lost them", add, "-D")
    w.step("after both have inserted them", add, "-I")


@on_both("iptables-restore of a whole table, which takes ours away too")
def _(w):
    text = "*nat\n-A POSTROUTING -o eth7 -j MASQUERADE\nCOMMIT\n*filter\n-A FORWARD -i eth7 " \
        "-j DROP\nCOMMIT\n"
    for family in (4, 6):
        w.step("after it", restore, BACKENDS[w.firewall], text, family, True)


# -- nft


@on_both("nft flush ruleset")
def _(w):
    path = os.path.join(w.directory, "nftables.conf")
    shutil.copy(os.path.join(DATA, "nftables.conf"), path)
    os.chmod(path, 0o755)

    # What runs does not notice.
    transfer, stream = TcpTransfer(w.client, SERVER4), UdpStream(w.client, SERVER4)
    wait_until(lambda: stream.last_peer == WAN4, "the flow is translated")
    w.step("after a start of nftables.service", lambda ns: ns.run(path))
    w.step("after a reload", lambda ns: ns.run("nft", "-f", path))
    w.step("after a flush", lambda ns: ns.run("nft", "flush", "ruleset"))
    stream.stop()
    if w.firewall == "nftables" and not HOLDS:
        raise Skip("before Linux 5.12 nobody can own a table, which would hold connections")
    equal((len(stream.lost), stream.peers), (0, {WAN4}), "a UDP flow: lost, seen from")
    check(transfer.finish(), "the TCP transfer: %s" % transfer.error)


@on_both("firewalld starts, reloads and stops")
def _(w):
    def load(ns, before):
        ns.run("nft", "-f", "-", stdin=before + data("firewalld.nft"))

    w.step("after its start", load, "")
    w.step("after a reload", load, "delete table inet firewalld\n")
    w.step("after its stop", lambda ns: ns.run("nft", "delete", "table", "inet", "firewalld"))


# -- ufw


def ufw_files(ns):
    etc = os.path.join(ns.world.directory, "etc-" + ns.short)
    shutil.copytree("/etc/ufw", os.path.join(etc, "ufw"))
    shutil.copy("/etc/default/ufw", os.path.join(etc, "default"))


def ufw(ns, backend, *words):
    """With files of its own, and `iptables` the one of that name."""
    etc = os.path.join(ns.world.directory, "etc-" + ns.short)
    script = ('mount --bind "$1/ufw" /etc/ufw && mount --bind "$1/default" /etc/default/ufw || '
              'exit 125; shift; for p in iptables ip6tables; do for s in "" -save -restore; do '
              'mount --bind /usr/sbin/xtables-$1-multi "$(readlink -f /usr/sbin/$p$s)" || exit 125;'
              'done; done; shift; exec ufw "$@"')
    ns.run("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "ufw", etc,
           backend, *words)


@on_both("ufw is enabled, reloaded and disabled")
def _(w):
    if not os.path.exists("/usr/sbin/ufw"):
        raise Skip("no ufw here")
    backend = BACKENDS[w.firewall]
    w.both(ufw_files)
    w.step("after ufw enable", ufw, backend, "--force", "enable")
    w.step("after ufw allow", ufw, backend, "allow", "22/tcp")
    w.step("after ufw reload", ufw, backend, "reload")
    w.step("after ufw disable", ufw, backend, "disable")


# -- insertions at the head


@on_both("somebody inserts rules at the head, one after the other, as fail2ban does")
def _(w):
    def jail(ns):
        iptables(ns, "-N f2b-sshd", "-A f2b-sshd -j RETURN",
                 "-I INPUT 1 -p tcp -m multiport --dports 22 -j f2b-sshd",
                 "-I FORWARD 1 -p tcp -m multiport --dports 22 -j f2b-sshd")

    def ban(ns, number):
        iptables(ns, "-I f2b-sshd 1 -s 203.0.113.%d -j REJECT" % number,
                 "-I INPUT 1 -s 203.0.113.%d -j DROP" % number,
                 "-t nat -I PREROUTING 1 -s 203.0.113.%d -j ACCEPT" % number)

    def iptables(ns, *commands):
        for command in commands:
            ns.run("iptables-" + BACKENDS[w.firewall], "-w", *command.split())

    w.step("after its start", jail)
    for number in range(1, 21):
        w.both(ban, number)
    w.step("after 21 bans", ban, 21)


# -- rules that take packets before ours

BEHIND = r"masquerade lan-out is held, but a rule of others takes packets before it: "
END = r"masquerade lan-out changed .no rule of others comes first any more."


class Ahead(Lan):
    """A masquerade policy for 10.0.0.0/24 that goes out by eth1, and somebody who adds rules."""

    def __init__(self, firewall):
        super().__init__()
        self.firewall = firewall
        self.text = BASIC.replace("settings:\n", "settings:\n  firewall: %s\n" % firewall)
        self.serve(FAR4)
        self.daemon = Daemon(self.router, self.text).start()
        if firewall == "nftables":
            self.nft("add table ip other")
            self.nft("add chain ip other post { type nat hook postrouting priority 100; }")

    def nft(self, command):
        self.router.run("nft", command)

    def insert(self, rule):
        if self.firewall == "iptables":
            self.router.iptables("-t nat -I POSTROUTING " + rule)
        else:
            self.nft("insert rule ip other post " + rule)

    def clear(self):
        if self.firewall == "nftables":
            self.nft("flush chain ip other post")
            return
        for line in reversed(self.router.nat(4)):
            if line.startswith("-A POSTROUTING") and "NETSHARED-" not in line:
                self.router.iptables("-t nat -D " + line[3:])

    def reason(self):
        return self.daemon.object("lan-out", "masquerade").get("reason")


# A rule that takes ours, and rules that can't.
AHEAD = {
    "iptables": ("-j ACCEPT", "-A POSTROUTING -j ACCEPT", CLIENT4, (
        "-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE", "-o eth7 -j ACCEPT",
        "-o eth+ -s 10.0.1.0/24 -j ACCEPT", "! -s 10.0.0.0/8 -j ACCEPT", "! -o eth1 -j ACCEPT",
        "-s 172.17.0.5 -m comment --comment mine -j SNAT --to-source 192.0.2.9")),
    "nftables": ("oifname \"eth1\" snat to 192.0.2.77",
                 "oifname \"eth1\" snat to 192.0.2.77 (ip other post, handle ", "192.0.2.77", (
                     "ip saddr 172.17.0.0/16 oifname != \"docker0\" masquerade",
                     "oifname \"eth7\" masquerade", "oif \"eth0\" masquerade",
                     "ip saddr 10.0.1.0/24 masquerade", "ip saddr != 10.0.0.0/8 masquerade",
                     "oifname != \"eth1\" masquerade", "oifname \"wan*\" masquerade",
                     "ip saddr { 10.0.1.0/24, 10.0.4.0/23 } masquerade",
                     "oifname { \"eth7\", \"eth8\" } masquerade", "accept")),
}


for FIREWALL, (TAKES, TEXT, PEER, OTHERS) in AHEAD.items():
    def _(firewall=FIREWALL, takes=TAKES, text=TEXT, peer=PEER, others=OTHERS):
        with Ahead(firewall) as w:
            d = w.daemon
            w.server.ip("route add 192.0.2.77 via %s" % WAN4)
            for rule in others:
                w.insert(rule)
            w.insert(takes)
            line = d.wait_log(BEHIND)
            check(": " + text in line, "its text in " + line)
            check("; left alone (position: first goes before it)" in line, "what helps in " + line)
            contains(w.reason(), "behind " + text, "reason")
            contains(d.cli("status", check=True).stdout, "behind " + text, "status")
            equal(tcp_peer(w.client, FAR4), peer, "left alone: seen from")
            w.insert(takes)
            d.reload(w.text)
            w.clear()
            d.wait_log(END)
            equal((w.reason(), tcp_peer(w.client, FAR4)), (None, WAN4), "reason and seen from")
            equal((d.count_log(BEHIND), d.count_log(END)), (1, 1), "told")
            for rule in others:
                w.insert(rule)
            mark = d.mark()
            w.insert(takes)  # which is heard of after these
            d.wait_log(BEHIND, mark)
            w.clear()
            wait_until(lambda: d.count_log(END) == 2, "its end is told")
            equal((d.count_log(BEHIND), d.count_log(END)), (2, 2), "told")
            d.stop()
    case("a rule of others that takes packets before ours is told, with firewall: %s" % FIREWALL)(_)


for FIREWALL, (TAKES, TEXT, PEER, OTHERS) in AHEAD.items():
    def _(firewall=FIREWALL, takes=TAKES):
        with Ahead(firewall) as w:
            d = w.daemon
            d.stop()
            d.cli("remove", check=True)
            w.insert(takes)
            mark = d.mark()
            d.start()
            d.wait_log(BEHIND, mark)
            d.reload(w.text.replace("name: lan-out", "name: lan-out\n    position: first"))
            d.wait_log(END, mark)
            equal(tcp_peer(w.client, FAR4), WAN4, "seen from")
            d.stop()
    case("with position: first ours overtake it, with firewall: %s" % FIREWALL)(_)


@case("on nftables so many rules of others are looked at, and that there are more is told once")
def _():
    with Ahead("nftables") as w:
        d = w.daemon
        w.router.run("nft", "-f", "-", stdin="add rule ip other post oifname eth7 accept\n" * 4097)
        d.wait_log(r"rules of others before netshared's in POSTROUTING .ipv4.: not all judged: "
                   "more than 4096 rules")
        w.insert("oifname \"eth1\" masquerade")
        d.wait_log(BEHIND)
        w.clear()
        d.wait_log(END)
        w.insert("oifname \"eth1\" masquerade")
        wait_until(lambda: d.count_log(BEHIND) == 2, "told again")
        equal(d.count_log("not all judged"), 1, "told")
        d.stop()


TABLE = "table ip %s { chain post { type nat hook postrouting priority 100; snat to %s; }; }"


@case("on nftables neither what came last nor a repair decides who is first")
def _():
    with Ahead("nftables") as w:
        d = w.daemon
        d.stop()
        w.nft("flush ruleset")
        for last in ("192.0.2.76", "192.0.2.77"):
            w.server.ip("route add %s via %s" % (last, WAN4))
        w.nft(TABLE % ("before", "192.0.2.76"))
        d.start()
        equal(tcp_peer(w.client, FAR4), "192.0.2.76", "the one that was loaded before")
        w.nft("flush chain ip netshared nat_postrouting")
        d.wait_log("lan-out .*restored")
        equal(tcp_peer(w.client, FAR4), "192.0.2.76", "after a repair")
        w.nft("delete table ip before")
        equal(tcp_peer(w.client, FAR4), WAN4, "alone")
        w.nft(TABLE % ("after", "192.0.2.77"))
        equal(tcp_peer(w.client, FAR4), "192.0.2.77", "the one that was loaded after")
        d.reload(w.text.replace("name: lan-out", "name: lan-out\n    position: first"))
        equal(tcp_peer(w.client, FAR4), WAN4, "with position first")
        w.nft(TABLE % ("again", "192.0.2.77"))
        equal(tcp_peer(w.client, FAR4), WAN4, "and others that come after")
        d.stop()


@case("on nftables what others put into our table goes, and is called by its name")
def _():
    with Ahead("nftables") as w:
        d = w.daemon
        d.stop()
        things = {"set": "mine { type ipv4_addr; }", "map": "ours { type mark : mark; }",
                  "chain": "theirs", "counter": "none"}
        for thing, words in things.items():
            w.nft("add %s ip netshared %s" % (thing, words))
        plan = d.plan().stdout
        told = ("set mine", "map ours", "chain theirs", "object none")
        for what in told:
            check("- foreign %s in our table (ipv4)\n" % what in plan, "plan: " + plan)
        mark = d.mark()
        d.start()
        for what in told:
            d.wait_log("foreign %s removed" % what, since=mark)
        d.stop()


@case("on nftables the priority and what came last decide, and no rule of another family does")
def _():
    with Ahead("nftables") as w:
        d = w.daemon
        w.server.ip("route add 192.0.2.77 via %s" % WAN4)
        for words in ("table ip6 other", "chain ip6 other post { type nat hook postrouting priority "
                      "-100; }", "rule ip6 other post masquerade",
                      "chain ip other late { type nat hook postrouting priority 102; }",
                      "rule ip other late masquerade", "table inet both",
                      "chain inet both six { type nat hook postrouting priority 50; }",
                      "rule inet both six meta nfproto ipv6 masquerade",
                      "rule inet both six snat ip6 to 2001:db8::1",
                      "chain inet both four { type nat hook postrouting priority 50; }",
                      "rule inet both four snat ip to 192.0.2.77"):
            w.nft("add " + words)
        line = d.wait_log(BEHIND)
        check(re.search(r": snat ip to 192\.0\.2\.77 \(inet both four, handle \d+\); left alone \(/",
                        line), "its text, and no position that would help, in " + line)
        equal(tcp_peer(w.client, FAR4), "192.0.2.77", "seen from")
        d.stop()


main()
