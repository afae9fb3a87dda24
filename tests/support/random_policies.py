# SPDX-License-Identifier: GPL-2.0-or-later
"""Random files that netshared accepts: policies of every kind with every key."""

import ipaddress

NAMES = ("home", "guests", "web", "lan-out", "a", "sixteen-letters1", "0", "office")
DEVICES = ("eth0", "eth1", "wan+", "tun7", "a-long-dev-name")
FAMILIES = ("ipv4", "ipv6")
# Of addresses that are nobody's: private ones, and those for documentation.
BLOCKS = {"ipv4": (10 << 24, 8, 32), "ipv6": (0xfd00 << 112, 16, 128)}
# Eight prefixes become rules, more of them a set.
LENGTHS = (1, 1, 2, 3, 8, 9, 10, 40, 300)


def _prefix(rng, family, longest=None):
    start, least, most = BLOCKS[family]
    length = rng.choice([least + 1, least + 8, least + 12, most, rng.randint(least + 1, most)])
    length = min(length, longest or length)
    number = start | rng.getrandbits(most - least)
    kind = ipaddress.IPv4Network if family == "ipv4" else ipaddress.IPv6Network
    return kind((number, length), strict=False)


def prefixes(rng, family, n):
    """n different ones; some of them lie in others."""
    found = {}
    while len(found) < n:
        p = _prefix(rng, family)
        found[p] = None
        if rng.random() < 0.2 and len(found) < n and p.prefixlen < p.max_prefixlen:
            found[next(p.subnets())] = None
    return [str(p) for p in found]


def address(rng, family):
    start, least, most = BLOCKS[family]
    return str(ipaddress.ip_address(start | rng.getrandbits(most - least)))


def _text(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(map(_text, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join("%s: %s" % (k, _text(v)) for k, v in value.items()) + "}"
    return '"%s"' % value if ":" in str(value) else str(value)


class Files:
    """Makes them one after the other; prefixes of files stand in the directory."""

    def __init__(self, rng, directory):
        self.rng = rng
        self.directory = directory
        self.n_lists = self.n_files = 0

    def maybe(self, chance, policy, key, value):
        if self.rng.random() < chance:
            policy[key] = value()

    def some(self, values, most=3):
        return self.rng.sample(values, self.rng.randint(1, min(most, len(values))))

    def lists(self, families, single=False):
        """Of each family something, as a list or with a file."""
        rng, items = self.rng, []
        for family in families:
            items += prefixes(rng, family, 1 if single else rng.choice(LENGTHS))
        if rng.random() < 0.03:
            items.append("0.0.0.0/0" if families[0] == "ipv4" else "::/0")
        rng.shuffle(items)
        if len(items) > 8 and rng.random() < 0.3:
            self.n_lists += 1
            path = "%s/list-%d" % (self.directory, self.n_lists)
            with open(path, "w") as f:
                f.write("".join(item + "\n" for item in items[1:]))
            return [items[0], {"file": path}]
        return items

    def head(self, name, families):
        policy = {"name": name, "family": list(families)}
        self.maybe(0.1, policy, "enabled", lambda: False)
        self.maybe(0.15, policy, "when", lambda: {"dev-up": self.rng.choice(["lo", "eth77"])})
        return policy

    def families(self):
        return self.rng.choice([["ipv4"], ["ipv6"], ["ipv4", "ipv6"]])

    def port(self):
        return self.rng.randint(1, 65000)

    def ports(self):
        first = self.port()
        return self.rng.choice([first, "%d-%d" % (first, first + self.rng.randint(1, 500))])

    def masquerade(self, name):
        rng, families = self.rng, self.families()
        policy = self.head(name, families)
        policy["out"] = rng.choice(["any", rng.choice(DEVICES), self.some(DEVICES)])
        for key, chance in (("from", 0.6), ("to", 0.25), ("except-from", 0.2), ("except-to", 0.4)):
            self.maybe(chance, policy, key, lambda: self.lists(families))
        self.maybe(0.2, policy, "except-out", lambda: self.some(DEVICES))
        ported = rng.random() < 0.5
        if ported:
            policy["protocol"] = self.some(["tcp", "udp", "sctp"], 2)
            self.maybe(0.4, policy, "source-port", self.ports)
            self.maybe(0.6, policy, "destination-port", lambda: [self.port(), self.ports()]
                       if rng.random() < 0.3 else self.ports())
            self.maybe(0.4, policy, "to-ports", self.ports)
        elif rng.random() < 0.3:
            policy["protocol"] = [47, "icmp" if families == ["ipv4"] else 50]
        self.maybe(0.2, policy, "mark", lambda: rng.choice(["7", "0x10/0xf0", "0xffffffff"]))
        if len(families) == 1 and rng.random() < 0.3:
            ends = sorted({ipaddress.ip_address(address(rng, families[0])) for _ in range(2)})
            policy["to-source"] = "-".join(map(str, ends[:rng.randint(1, len(ends))]))
            self.maybe(0.4, policy, "persistent", lambda: True)
        self.maybe(0.4, policy, "random", lambda: rng.choice(["none", "ports", "fully"]))
        self.maybe(0.4, policy, "position", lambda: rng.choice(["first", "last"]))
        self.maybe(0.3, policy, "ipsec", lambda: rng.choice(["exclude", "include"]))
        self.maybe(0.2, policy, "log", lambda: True)
        return policy

    def share(self, name):
        rng, families = self.rng, self.families()
        policy, devices = self.head(name, families), self.some(DEVICES, 4)
        devices += [d for d in DEVICES if d not in devices][:2 - len(devices)]
        n_lan = rng.randint(1, len(devices) - 1)
        policy.update({"lan": devices[:n_lan], "wan": devices[n_lan:]})
        if "ipv6" in families:
            self.maybe(0.5, policy, "ipv6", lambda: rng.choice(["forward", "masquerade"]))
        for key in ("allow-inbound", "clamp-mss", "isolate"):
            self.maybe(0.4, policy, key, lambda: rng.random() < 0.5)
        return policy

    def port_forward(self, name):
        rng, family = self.rng, self.rng.choice(FAMILIES)
        policy = self.head(name, [family])
        first, n = self.port(), rng.choice([1, 1, 2, 7])
        policy.update({"in": self.some(DEVICES), "protocol": rng.choice(["tcp", "udp", "both"]),
                       "port": first if n == 1 else "%d-%d" % (first, first + n - 1),
                       "to": address(rng, family)})
        if rng.random() < 0.5:
            to = self.port()
            policy["to-port"] = to if rng.random() < 0.5 else "%d-%d" % (to, to + n - 1)
        self.maybe(0.4, policy, "from", lambda: self.lists([family]))
        if rng.random() < 0.5:
            policy["hairpin"] = True
            self.maybe(0.5, policy, "hairpin-from", lambda: self.lists([family]))
        return policy

    def network_map(self, name):
        rng, family = self.rng, self.rng.choice(FAMILIES)
        inside = _prefix(rng, family)
        outside = inside
        while outside == inside:
            outside = _prefix(rng, family, inside.prefixlen)
            outside = type(inside)((outside.network_address, inside.prefixlen), strict=False)
        return dict(self.head(name, [family]), dev=self.some(DEVICES), inside=str(inside),
                    outside=str(outside))

    def file(self, firewall):
        """The text of one."""
        rng = self.rng
        self.n_files += 1
        names = rng.sample(NAMES, rng.choice([0, 1, 2, 3, 3, 4, 5, 8]))
        makers = {"masquerade": self.masquerade, "share": self.share,
                  "port-forwards": self.port_forward, "network-map": self.network_map}
        sections = {}
        for name in names:
            section = rng.choice([*makers, "masquerade"])
            sections.setdefault(section, []).append(makers[section](name))
        text = "version: 1\nsettings: {resync: 1s, firewall: %s}\n" % firewall
        for section, policies in sections.items():
            text += section + ":\n" + "".join("  - %s\n" % _text(p) for p in policies)
        return text
