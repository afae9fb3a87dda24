# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands in a namespace's firewalls, ours and theirs; and random damage to both.

What is damaged is chosen from what is wanted, not from what is found: so that chance alone decides,
and a seed gives the same commands however fast they are repaired. Many of them fail; that is all
the same.
"""

import re

from random_policies import DEVICES

# ---- what stands


def _normal_set(line):
    """Neither sizes, which are the kernel's matter, nor the seed of its hash."""
    return re.sub(r" (hashsize|maxelem|bucketsize|initval) \S+", "", line)


def _legacy(ns, family, ours, theirs):
    table = ""
    for line in ns.iptables_save(family, True):
        if line.startswith("*"):
            table = line[1:]
        elif "NETSHARED-" in line:
            rule = re.sub(r"^\[\d+:\d+\] ", "", line)
            chain = re.match(r"(?::|-A )(\S+)", rule).group(1)
            ours.setdefault("legacy%d %s %s" % (family, table, chain), []).append(rule)
        elif line != "COMMIT":
            theirs.setdefault("legacy%d %s" % (family, table), []).append(line)


def _nftables(ns, ours, theirs):
    text = ns.run("nft", "list", "ruleset").stdout
    for name, body in re.findall(r"^table (\S+ \S+) \{\n(.*?)^\}$", text, re.M | re.S):
        if name.endswith(" netshared-hold"):
            continue
        if not name.endswith(" netshared"):
            theirs["table " + name] = body.splitlines()
            continue
        flags = re.findall(r"^\t(\w.*[^{])$", body, re.M)
        if flags or not body:
            ours["table " + name] = flags
        # Sets, maps and objects of others in our table lead nowhere.
        for key, part in re.findall(r"^\t(\w+ \S+) \{\n(.*?)^\t\}$", body, re.M | re.S):
            if not re.match(r"set netshared-|chain ", key):
                continue
            part = re.sub(r"counter packets \d+ bytes \d+", "counter", part)
            ours["table %s %s" % (name, key)] = part.splitlines()


def look(ns):
    """(ours, theirs), each a dict of lists of lines."""
    ours, theirs = {}, {}
    for family in (4, 6):
        _legacy(ns, family, ours, theirs)
    _nftables(ns, ours, theirs)
    for line in sorted(ns.run("ipset", "save").stdout.splitlines()):
        name = line.split()[1]
        to = ours if name.startswith("netshared-") else theirs
        to.setdefault("set " + name, []).append(_normal_set(line))
    ours["forwarding"] = [ns.sysctl("net.ipv4.ip_forward"),
                          ns.sysctl("net.ipv6.conf.all.forwarding")]
    return ours, theirs


def _program(family):
    return "iptables-legacy" if family == 4 else "ip6tables-legacy"


def use_tables(ns):
    """All of the legacy ones: else a look would make a difference."""
    for family in (4, 6):
        for table in ("nat", "raw", "filter", "mangle"):
            ns.iptables("-t %s -S" % table, family)


def add_devices(ns):
    """Those that the files name, but for patterns: without them a policy would be pending."""
    for name in DEVICES:
        if not name.endswith("+"):
            ns.stub(name)


def dropping_filters(ns):
    """The legacy filter tables whose FORWARD has the policy DROP, by family, as text."""
    texts = {family: ns.run(_program(family) + "-save", "-t", "filter").stdout
             for family in (4, 6)}
    return {family: text for family, text in texts.items() if ":FORWARD DROP" in text}


def write_filters(ns, texts):
    """Those tables, with sets of the names that their rules look into."""
    for family, text in texts.items():
        for name in sorted(set(re.findall(r"--match-set (\S+)", text))):
            ns.run("ipset", "create", name, "hash:net", "family", "inet6" if family == 6 else "inet")
        ns.run(_program(family) + "-restore", "-w", stdin=text)


# ---- others at work


HOOKS = {"nat": ("PREROUTING", "POSTROUTING"), "filter": ("FORWARD", "INPUT"),
         "mangle": ("FORWARD",), "raw": ("PREROUTING",)}
# Of each rule by its hook; {p} is a prefix of the family.
RULES = {"POSTROUTING": ("-o eth7 -j MASQUERADE", "-s {p} -j ACCEPT", "-d {p} -j F-one",
                         "-p tcp -m tcp --dport 9 -j RETURN"),
         "PREROUTING": ("-i eth7 -j RETURN", "-s {p} -p udp -m udp --dport 9 -j ACCEPT"),
         "FORWARD": ("-i eth7 -j ACCEPT", "-s {p} -j F-one", "-o eth7 -m comment --comment "
                     "netshared -j RETURN", "-m conntrack --ctstate INVALID -j RETURN"),
         "INPUT": ("-i eth7 -j DROP", "-s {p} -m set --match-set theirs{n} src -j DROP")}
PREFIXES = {4: ("192.0.2.0/24", "198.51.100.9/32"), 6: ("2001:db8:1::/48", "2001:db8::9/128")}
NFT = ("add table {t}", "delete table {t}", "flush table {t}",
       "add chain {t} post {{ type nat hook postrouting priority {k}; }}",
       "add chain {t} fwd {{ type filter hook forward priority {k}; }}", "add chain {t} plain",
       "add rule {t} post oifname eth7 counter packets {k} bytes 300 masquerade",
       "insert rule {t} post meta mark {k} counter accept",
       "insert rule {t} fwd iifname eth7 counter packets {k} bytes 4 drop comment \"netshared\"",
       "add rule {t} fwd jump plain", "flush chain {t} fwd", "flush chain {t} post",
       "add set {t} some {{ type inet_service; flags interval; }}",
       "add element {t} some {{ {k}-9000 }}", "flush set {t} some",
       "add rule {t} fwd tcp dport @some counter accept", "flush ruleset ip6", "flush ruleset")


class Others:
    """Everybody else, in the router and in a namespace without netshared alike."""

    def __init__(self, rng, here, alone, say):
        self.rng, self.here, self.alone, self.say = rng, here, alone, say

    def both(self, *argv, alone=None):
        """Whether it works is not netshared's to decide."""
        codes = [ns.run(*command, check=False).returncode for ns, command in
                 ((self.here, argv), (self.alone, alone or argv))]
        self.say("both: %s%s" % (" ".join(argv), ": failed" if codes[0] else ""))
        if codes[0] != codes[1]:
            raise AssertionError("it works in one place alone: %s" % " ".join(argv))

    def xtables(self, backend=None):
        family = self.rng.choice((4, 6))
        backend = backend or self.rng.choice(("legacy", "legacy", "nft"))
        program = "iptables-" if family == 4 else "ip6tables-"
        return family, [program + backend, "-w", "5"]

    def rule(self, family):
        rng = self.rng
        table = rng.choice(list(HOOKS))
        hook = rng.choice(HOOKS[table])
        text = "-j F-one" if table == "raw" else rng.choice(RULES[hook])
        return table, hook, text.format(p=rng.choice(PREFIXES[family]), n=family).split()

    def change_rule(self):
        family, words = self.xtables()
        table, hook, rule = self.rule(family)
        verb = self.rng.choice(("-A", "-A", "-I", "-I", "-D"))
        count = ["-c", "5", "300"] if verb != "-D" else []
        self.both(*words, "-t", table, verb, hook, *rule, *count)

    def insert_between(self):
        """At a place that is counted with ours, which are not there in the other namespace."""
        family, words = self.xtables("legacy")
        table, hook, rule = self.rule(family)
        there = self.here.run(*words, "-t", table, "-S", hook).stdout.splitlines()[1:]
        place = min(self.rng.randint(1, 8), len(there) + 1)
        theirs = sum("NETSHARED-" not in line for line in there[:place - 1])
        command = [*words, "-t", table, "-I", hook]
        self.both(*command, str(place), *rule, alone=[*command, str(theirs + 1), *rule])

    def change_chain(self):
        _, words = self.xtables()
        verb, more = self.rng.choice((("-N", []), ("-N", []), ("-F", []), ("-X", []),
                                      ("-A", ["-p", "tcp", "-j", "RETURN"])))
        self.both(*words, "-t", self.rng.choice(list(HOOKS)), verb, "F-one", *more)

    def policy(self):
        _, words = self.xtables("legacy")
        self.both(*words, "-P", "FORWARD", self.rng.choice(("DROP", "ACCEPT")))

    def flush_table(self):
        """As `iptables -F` and `-X` do, in one commit."""
        _, words = self.xtables()
        table = self.rng.choice(list(HOOKS))
        self.both(*words, "-t", table, "-F")

    def clear_table(self):
        _, words = self.xtables()
        table = self.rng.choice(list(HOOKS))
        self.both("sh", "-c", "printf '*%s\\nCOMMIT\\n' | %s-restore -w" % (table, words[0]))

    def change_nft(self):
        table = self.rng.choice(("ip", "ip6", "inet")) + " others"
        self.both("nft", self.rng.choice(NFT).format(t=table, k=self.rng.randint(1, 99)))

    def change_set(self):
        rng, n = self.rng, self.rng.choice((4, 6))
        self.both("ipset", *rng.choice((
            "create theirs{n} hash:net family {f}", "create theirs{n} hash:net family {f}",
            "add theirs{n} {p}", "add theirs{n} {p}", "del theirs{n} {p}", "flush theirs{n}",
            "destroy theirs{n}", "flush")).format(
                n=n, f="inet" if n == 4 else "inet6", p=rng.choice(PREFIXES[n])).split())

    def acts(self, stopped):
        """Those whose result does not depend on what netshared does meanwhile, unless stopped."""
        often = [self.change_rule, self.change_chain, self.change_nft, self.change_set] * 3
        return often + [self.policy, self.flush_table, self.clear_table] + \
            ([self.insert_between] * 3 if stopped else [])


# ---- damage to ours


class Iptables:
    def __init__(self, rng, ns, say, wanted):
        self.rng, self.ns, self.say = rng, ns, say
        self.rules = []  # (family, table, chain, its rules)
        self.jumps = []  # (family, table, hook, target)
        self.sets = {key[4:]: [line.split()[2] for line in lines if line.startswith("add ")]
                     for key, lines in wanted.items() if key.startswith("set ")}
        for key, lines in wanted.items():
            words = key.split()
            if not words[0].startswith("legacy"):
                continue
            family, table, chain = int(words[0][-1]), words[1], words[2]
            texts = [line.split(" ", 2)[2] for line in lines if line.startswith("-A")]
            if chain.startswith("NETSHARED-"):
                self.rules.append((family, table, chain, texts))
            else:
                self.jumps += [(family, table, chain, text.split()[-1]) for text in texts]

    def run(self, *argv):
        code = self.ns.run(*argv, check=False).returncode
        self.say("here: %s%s" % (" ".join(argv), ": failed" if code else ""))

    def iptables(self, family, table, command):
        # Log prefixes are quoted.
        words = [w.strip('"') for w in re.findall(r'"[^"]*"|\S+', command)]
        self.run(_program(family), "-w", "5", "-t", table, *words)

    def some_rule(self, family, table):
        texts = [t for f, b, _, texts in self.rules if (f, b) == (family, table) for t in texts]
        return self.rng.choice(texts + ["-j RETURN"])

    def change_rule(self):
        family, table, chain, texts = self.rng.choice(self.rules)
        place = self.rng.randint(1, len(texts) + 1)
        text = self.some_rule(family, table)
        self.iptables(family, table, self.rng.choice((
            "-D {c} {n}", "-R {c} {n} {r}", "-I {c} {n} {r}", "-A {c} {r}", "-F {c}",
            "-R {c} {n} -s 10.99.0.0/16 {r}" if family == 4 else "-R {c} {n} -i lo {r}")).format(
                c=chain, n=place, r=text))

    def move_rule(self):
        family, table, chain, texts = self.rng.choice(self.rules)
        if texts:
            place = self.rng.randint(1, len(texts))
            self.iptables(family, table, "-D %s %d" % (chain, place))
            self.iptables(family, table, "-I %s %d %s" % (
                chain, self.rng.randint(1, len(texts)), texts[place - 1]))

    def change_jump(self):
        if self.jumps:
            family, table, hook, target = self.rng.choice(self.jumps)
            for command in self.rng.choice((
                    ["-D {h} -j {t}"], ["-A {h} -j {t}"], ["-I {h} -j {t}"],
                    ["-D {h} -j {t}", "-A {h} -j {t}"], ["-D {h} -j {t}", "-I {h} -j {t}"],
                    ["-D {h} -j {t}", "-A {h} -i lo -j {t}"], ["-D {h} -j {t}", "-I {h} -g {t}"])):
                self.iptables(family, table, command.format(h=hook, t=target))

    def change_chain(self):
        family, table, chain, _ = self.rng.choice(self.rules)
        way = self.rng.choice(("delete", "rename", "leave over", "lead to"))
        if way == "delete":
            for hook in HOOKS[table]:
                self.iptables(family, table, "-D %s -j %s" % (hook, chain))
            self.iptables(family, table, "-F " + chain)
            self.iptables(family, table, "-X " + chain)
        elif way == "rename":
            self.iptables(family, table, "-E %s %s" % (chain, self.rng.choice((
                "NETSHARED-gone", self.rng.choice(self.rules)[2]))))
        elif way == "leave over":
            self.iptables(family, table, "-N NETSHARED-left")
            self.iptables(family, table, "-A NETSHARED-left -j " + chain)
            self.iptables(family, table, "-I %s -j NETSHARED-left" % self.rng.choice(HOOKS[table]))
        else:
            self.iptables(family, table, "-A %s -j %s" % (self.rng.choice(self.rules)[2], chain))

    def change_set(self):
        if not self.sets:
            return
        name, other = (self.rng.choice(list(self.sets)) for _ in range(2))
        six = name.endswith("6")
        element = self.rng.choice(self.sets[name] or ["192.0.2.0/24"])
        for command in self.rng.choice((
                ["flush {s}"], ["swap {s} {o}"], ["rename {s} netshared-else"],
                ["add {s} {p}"], ["add {s} {p} nomatch"], ["del {s} {e}"], ["del {s} {e}"],
                ["del {s} {e}", "add {s} {p}"], ["del {s} {e}", "add {s} {e} nomatch"],
                ["create netshared-left hash:net"],
                ["create netshared-left hash:net family {f}", "add netshared-left {p}",
                 "swap netshared-left {s}"],
                ["create netshared-left hash:net family {f} timeout 500",
                 "swap netshared-left {s}", "add {s} {p}"])):
            self.run("ipset", *command.format(
                s=name, o=other, e=element, p=PREFIXES[6 if six else 4][0],
                f="inet6" if six else "inet").split())

    def acts(self, stopped):
        del stopped
        if not self.rules:
            return []
        return [self.change_rule] * 4 + [self.move_rule, self.change_jump, self.change_jump,
                                         self.change_chain, self.change_set, self.change_set]


class Nftables:
    def __init__(self, rng, ns, say, wanted):
        self.rng, self.ns, self.say = rng, ns, say
        self.chains = {}  # (table, chain): its rules
        self.sets = {}  # (table, set): elements
        for key, lines in wanted.items():
            words = key.split()
            if words[0] != "table" or len(words) < 5:
                continue
            where = " ".join(words[1:3]), words[4]
            if words[3] == "chain":
                self.chains[where] = [line.strip() for line in lines if " hook " not in line]
            else:
                self.sets[where] = re.findall(r"[\da-f][\da-f.:/-]+", "".join(
                    lines).partition("elements")[2])

    def nft(self, command):
        code = self.ns.run("nft", command, check=False).returncode
        self.say("here: nft %s%s" % (command, ": failed" if code else ""))

    def rule(self, table, chain, place):
        """(its handle, its text) if there are so many."""
        text = self.ns.run("nft", "-a", "list", "chain", *table.split(), chain, check=False).stdout
        rules = re.findall(r"^\t\t(?!type |policy )(.*) # handle (\d+)$", text, re.M)
        return (rules[place][1], rules[place][0]) if place < len(rules) else ("999", "return")

    def some(self, family=None):
        return self.rng.choice([c for c in self.chains if family in (None, c[0])])

    def change_rule(self):
        table, chain = self.some()
        texts = self.chains[table, chain]
        other = self.rng.choice(self.chains[self.some(table)] or ["return"])
        command = self.rng.choice((
            "delete rule {t} {c} handle {h}", "replace rule {t} {c} handle {h} {o}",
            "replace rule {t} {c} handle {h} {w}", "replace rule {t} {c} handle {h} iif lo {r}",
            "insert rule {t} {c} {o}", "add rule {t} {c} {o}", "add rule {t} {c} handle {h} {r}",
            "delete rule {t} {c} handle {h}; add rule {t} {c} {r}",
            "delete rule {t} {c} handle {h}; insert rule {t} {c} {r}",
            "insert rule {t} {c} counter accept", "flush chain {t} {c}"))
        handle, text = self.rule(table, chain, self.rng.randint(0, max(len(texts) - 1, 0)))
        self.nft(command.format(t=table, c=chain, h=handle, r=text, o=other,
                                w=text.replace("counter ", "")))

    def change_chain(self):
        table, chain = self.some()
        base = "filter" if chain.startswith("mangle") else chain.partition("_")[0]
        self.nft(self.rng.choice((
            "flush chain {t} {c}; delete chain {t} {c}", "rename chain {t} {c} nat-gone",
            "rename chain {t} {c} filter-gone", "chain {t} {c} {{ policy drop; }}",
            "add chain {t} nat-left", "add rule {t} {c} jump {o}", "add chain {t} leftover",
            "add chain {t} leftover {{ type {b} hook postrouting priority 0; }}",
            "add map {t} leftover {{ type ipv4_addr : verdict; }}",
            "add counter {t} leftover")).format(t=table, c=chain, o=self.some(table)[1],
                                            b=base if base == "nat" else "filter"))

    def change_table(self):
        table, _ = self.some()
        self.nft(self.rng.choice((
            "delete table {t}", "flush table {t}", "add table {t} {{ flags dormant; }}",
            "delete table {t}; add table {t}")).format(t=table))

    def change_set(self):
        if not self.sets:
            return
        table, name = self.rng.choice(list(self.sets))
        element = self.rng.choice(self.sets[table, name] or ["192.0.2.0/24"])
        prefix = PREFIXES[6 if table.startswith("ip6") else 4][0]
        self.nft(self.rng.choice((
            "flush set {t} {s}", "add element {t} {s} {{ {p} }}",
            "delete element {t} {s} {{ {e} }}", "delete element {t} {s} {{ {e} }}",
            "delete element {t} {s} {{ {e} }}; add element {t} {s} {{ {p} }}",
            "add set {t} netshared-left {{ type ipv4_addr; flags interval; }}",
            "flush table {t}; delete set {t} {s}; add set {t} {s} {{ type inet_service; }}",
            "flush table {t}; delete set {t} {s}; add set {t} {s} {{ type ipv4_addr; "
            "flags interval, timeout; timeout 5m; }}")).format(
                t=table, s=name, e=element, p=prefix))

    def acts(self, stopped):
        del stopped
        if not self.chains:
            return []
        return [self.change_rule] * 5 + [self.change_chain, self.change_table, self.change_set,
                                         self.change_set]
