# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands in a namespace's firewall, and how to break it, whichever of the two holds policies.

NETSHARED_TEST_FIREWALL says which: the scripts that concern policies run once on each. A case that
has a meaning on one alone says so with its reason: @case(..., only=XTABLES_LOCK).
"""

import os
import re
import socket
import struct

import rtnl
import tap

NAME = os.environ.get("NETSHARED_TEST_FIREWALL", "iptables")

# Which cases run on one alone, and why.
XTABLES_LOCK = ("iptables", "nf_tables has no lock that others could hold")
NO_SET_EVENTS = ("iptables", "nf_tables tells of each change to a set")


def setting():
    """What a drop-in has to say for it; nothing where it is the default."""
    return "" if NAME == "iptables" else "settings: {firewall: %s}\n" % NAME


class Iptables:
    MASQUERADE = "-s 10.0.0.0/24 -o eth1 -j MASQUERADE"

    def __init__(self, ns):
        self.ns = ns

    def ours(self, family=4):
        """Every line of nat and raw that has to do with netshared."""
        return [table + " " + line for table in ("nat", "raw")
                for line in self.ns.nat(family, table) if "NETSHARED-" in line]

    def packets(self, family=4):
        """Packets counted by each rule in our nat chains."""
        return [(int(match.group(1)), match.group(2)) for match in
                (re.match(r"\[(\d+):\d+\] (-A NETSHARED-.*)", line)
                 for line in self.ns.iptables_save(family, True)) if match]

    def chains(self, family=4):
        """The policies that have a chain for NAT."""
        return {line.split("NETSHARED-")[1] for line in self.ns.nat(family)
                if line.startswith("-N NETSHARED-")}

    def jumps(self, family=4):
        """The policies that packets come through on their way out, in order."""
        return [line.split("NETSHARED-")[1] for line in self.ns.nat(family)
                if line.startswith("-A POSTROUTING -j NETSHARED-")]

    def flush(self, family=4):
        """Takes NAT away, as an administrator would who starts anew; foreign rules go with it."""
        self.ns.iptables("-t nat -F", family)

    def flush_more(self, family=4):
        """And what was left of it, unless it has been filled again by now: then that is why."""
        program = "iptables-legacy" if family == 4 else "ip6tables-legacy"
        result = self.ns.run(program, "-w", "5", "-t", "nat", "-X", check=False)
        if result.returncode != 0:
            tap.check(re.search("Directory not empty|Too many links", result.stderr),
                      "-X failed otherwise: " + result.stderr)

    def flush_chain(self, policy, family=4):
        self.ns.iptables("-t nat -F NETSHARED-" + policy, family)

    def delete_jump(self, policy, family=4):
        self.ns.iptables("-t nat -D POSTROUTING -j NETSHARED-" + policy, family)

    def flush_conntrack(self, family=4):
        self.ns.iptables("-t raw -F NETSHARED-conntrack", family)

    def leave_over(self, policy, family=4):
        """A chain with our mark that nobody wants, and the way to it."""
        self.ns.iptables("-t nat -N NETSHARED-" + policy, family)
        self.ns.iptables("-t nat -I POSTROUTING -j NETSHARED-" + policy, family)

    def foreign(self, family=4):
        """A rule of somebody else's in the way of the same packets."""
        self.ns.iptables("-t nat -A POSTROUTING -p tcp -m tcp --dport 9 -j ACCEPT", family)

    def has_foreign(self, family=4):
        return "-A POSTROUTING -p tcp -m tcp --dport 9 -j ACCEPT" in self.ns.nat(family)

    def foreign_source(self, address, family=4):
        """A rule of somebody else's that gives the same packets another source."""
        self.ns.iptables("-t nat -I POSTROUTING -o eth1 -j SNAT --to-source " + address, family)

    def in_use(self, family=4):
        """The tables that exist here; asking does not bring one into being."""
        return self.ns.tables_in_use(family)

    def break_it(self, command, family=4):
        """One command of iptables."""
        self.ns.iptables(command, family)

    def elements(self, name, _family=4):
        """What is in a set, sorted."""
        lines = self.ns.run("ipset", "list", name).stdout.partition("Members:\n")[2].splitlines()
        return sorted(lines)

    def break_set(self, command, _family=4):
        """One command of ipset."""
        self.ns.run("ipset", *command.split())

    def set_changes(self):
        """Nothing tells of them."""
        return None


NETLINK_NETFILTER, NFNLGRP_NFTABLES = 12, 7
ELEMENT_MESSAGES = {10 << 8 | 12: "new", 10 << 8 | 14: "del"}
NFTA_SET_ELEM_LIST_ELEMENTS = 3


def _word(family):
    return "ip" if family == 4 else "ip6"


def _count_elements(data, counts):
    """Adds what the messages say."""
    while len(data) >= 16:
        length, kind = struct.unpack_from("IH", data)
        for what, value in rtnl.attribute_list(data[20:length]):
            if kind in ELEMENT_MESSAGES and what == NFTA_SET_ELEM_LIST_ELEMENTS:
                verb = ELEMENT_MESSAGES[kind]
                counts[verb] = counts.get(verb, 0) + len(rtnl.attribute_list(value))
        data = data[(length + 3) & ~3:]


class Nftables:
    MASQUERADE = 'oifname "eth1" ip saddr 10.0.0.0/24 counter masquerade'

    def __init__(self, ns):
        self.ns = ns

    def nft(self, command, *options, check=True):
        return self.ns.run("nft", *options, command, check=check).stdout

    def _lines(self, family, options):
        """(chain, line) of our tables, chain after chain as they stand; -t: no elements of sets."""
        lines, mine, chain = [], False, ""
        for line in self.ns.run("nft", *options, "list", "ruleset").stdout.splitlines():
            words = line.split()
            if words[:1] == ["table"]:
                mine = words[1:3] == [_word(family), "netshared"]
            elif mine and words[:1] in (["chain"], ["set"]):
                chain = words[1]
                lines.append((chain, words[0]))
            elif mine and words and words != ["}"]:
                lines.append((chain, line.strip()))
        return lines

    def ours(self, family=4):
        """Every line of ours; in which order chains were made means nothing."""
        return [" ".join(line) for line in
                sorted(self._lines(family, ["-s"]), key=lambda line: line[0])]

    def packets(self, family=4):
        found = []
        for chain, line in sorted(self._lines(family, ["-t"]), key=lambda line: line[0]):
            match = re.search(r"counter packets (\d+) bytes \d+", line)
            if match and chain.startswith("nat-"):
                found.append((int(match.group(1)), chain + " " + line.replace(match.group(), "")))
        return found

    def chains(self, family=4):
        return {chain[4:] for chain, line in self._lines(family, ["-t"])
                if line == "chain" and chain.startswith("nat-")}

    def jumps(self, family=4):
        return [re.search(r"jump nat-(\S+)", line).group(1)
                for chain, line in self._lines(family, ["-t"])
                if chain == "nat_postrouting" and "jump" in line]

    def flush(self, family=4):
        self.nft("flush ruleset " + _word(family))

    def flush_more(self, family=4):
        pass  # it took all

    def flush_chain(self, policy, family=4):
        self.nft("flush chain %s netshared nat-%s" % (_word(family), policy))

    def handle(self, chain, number, family=4):
        """Of the rule at that place, counted from 1."""
        text = self.nft("list chain %s netshared %s" % (_word(family), chain), "-a")
        rules = [line for line in text.splitlines()
                 if line.startswith("\t\t") and not line.strip().startswith("type ")]
        return rules[number - 1].rpartition("# handle ")[2]

    def delete_jump(self, policy, family=4):
        place = self.jumps(family).index(policy) + 1
        self.break_it("delete rule {t} nat_postrouting handle @nat_postrouting:%d" % place, family)

    def flush_conntrack(self, family=4):
        self.nft("flush chain %s netshared raw-conntrack" % _word(family))

    def leave_over(self, policy, family=4):
        self.nft("add table %s netshared" % _word(family))
        self.nft("add chain %s netshared nat-%s" % (_word(family), policy))

    def foreign(self, family=4):
        for words in ("table {o}", "chain {o} post { type nat hook postrouting priority 90; }",
                      "rule {o} post tcp dport 9 counter accept"):
            self.nft("add " + words.replace("{o}", _word(family) + " other"))

    def has_foreign(self, family=4):
        text = self.nft("list table %s other" % _word(family), check=False)
        return "tcp dport 9 counter packets 0 bytes 0 accept" in text

    def foreign_source(self, address, family=4):
        # Half of a priority does not exist; at an equal one the last to come is asked first.
        for words in ("table {o}", "chain {o} post { type nat hook postrouting priority 99; }",
                      "rule {o} post oifname eth1 snat to " + address):
            self.nft("add " + words.replace("{o}", _word(family) + " other"))

    def in_use(self, family=4):
        return [line.split()[2] for line in self.nft("list tables").splitlines()
                if line.split()[1] == _word(family)]

    def break_it(self, command, family=4):
        """One command of nft, {t} being our table and @CHAIN:N the handle of a rule in it."""
        command = command.replace("{t}", _word(family) + " netshared")
        self.nft(re.sub(r"@([a-z_-]+):(\d)",
                        lambda m: self.handle(m.group(1), int(m.group(2)), family), command))


    def elements(self, name, family=4):
        text = self.nft("list set %s netshared %s" % (_word(family), name))
        return sorted(re.findall(r"[0-9a-f.:]+/\d+", text.partition("elements = ")[2]))

    def break_set(self, command, family=4):
        self.break_it(command, family)

    def set_changes(self):
        """A function that gives what was said of elements since: "new" or "del", and how many."""
        hears = self.ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        hears.bind((0, 0))
        hears.setsockopt(rtnl.SOL_NETLINK, rtnl.NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTABLES)
        self.ns.world.closing.append(hears.close)

        def take():
            counts = {}
            while True:
                try:
                    _count_elements(hears.recv(1 << 20, socket.MSG_DONTWAIT), counts)
                except BlockingIOError:
                    return sorted(counts.items())

        return take


def of(ns):
    return Iptables(ns) if NAME == "iptables" else Nftables(ns)
