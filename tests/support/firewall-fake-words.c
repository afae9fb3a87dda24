/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The words of a rule, as iptables-extensions(8) has them, turned into a value. Whatever is not in
 * the table below makes it a rule that is kept as its words.
 */
#include "firewall-fake-table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct reading {
    const struct fake_table *table;
    char *const *words;
    size_t n, at;
    struct nsh_packet_rule rule;
    bool limited; /* as a LOG rule of ours is */
    bool negated; /* the next option is */
};

static int read_prefix(const char *word, struct nsh_prefix *ret)
{
    return nsh_prefix_parse(word, ret) == NSH_PREFIX_OK ? 0 : -EINVAL;
}

static int read_source(struct reading *r, const char *word)
{
    return read_prefix(word, &r->rule.from);
}

static int read_destination(struct reading *r, const char *word)
{
    return read_prefix(word, &r->rule.to);
}

static int read_map(struct reading *r, const char *word)
{
    return read_prefix(word, &r->rule.map);
}

static int read_in(struct reading *r, const char *word)
{
    snprintf(r->rule.in, sizeof(r->rule.in), "%s", word);
    return 0;
}

static int read_out(struct reading *r, const char *word)
{
    snprintf(r->rule.out, sizeof(r->rule.out), "%s", word);
    return 0;
}

static int read_protocol(struct reading *r, const char *word)
{
    static const struct {
        const char *name;
        uint8_t number;
    } names[] = {{"icmp", IPPROTO_ICMP}, {"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP},
            {"dccp", IPPROTO_DCCP}, {"gre", IPPROTO_GRE}, {"esp", IPPROTO_ESP}, {"ah", IPPROTO_AH},
            {"ipv6-icmp", IPPROTO_ICMPV6}, {"sctp", IPPROTO_SCTP}, {"udplite", IPPROTO_UDPLITE}};
    unsigned number;

    for (size_t i = 0; i < NSH_ARRAY_SIZE(names); i++)
        if (strcmp(word, names[i].name) == 0) {
            r->rule.protocol = names[i].number;
            return 0;
        }
    if (sscanf(word, "%u", &number) != 1 || number > UINT8_MAX)
        return -EINVAL;
    r->rule.protocol = (uint8_t)number;
    return 0;
}

/* The options of a match tell what it is; of these, each has one that a value can say. */
static int read_match(struct reading *r, const char *word)
{
    static const char *const known[] = {"tcp", "udp", "dccp", "sctp", "multiport", "mark", "set",
            "policy", "addrtype", "conntrack", "limit"};

    (void)r;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(known); i++)
        if (strcmp(word, known[i]) == 0)
            return 0;
    return -EINVAL;
}

static int read_range(const char *word, char between, struct nsh_range *ret)
{
    char sign;
    int n = sscanf(word, "%u%c%u", &ret->first, &sign, &ret->last);

    if (n == 1)
        ret->last = ret->first;
    return n == 1 || (n == 3 && sign == between) ? 0 : -EINVAL;
}

static int read_sport(struct reading *r, const char *word)
{
    return read_range(word, ':', &r->rule.source_port);
}

static int read_dport(struct reading *r, const char *word)
{
    return read_range(word, ':', &r->rule.destination_port);
}

static int read_flags(struct reading *r, const char *word)
{
    r->rule.syn =
            strcmp(word, "SYN,RST") == 0 && r->at < r->n && strcmp(r->words[r->at], "SYN") == 0;
    r->at++;
    return r->rule.syn ? 0 : -EINVAL;
}

static int read_mark(struct reading *r, const char *word)
{
    r->rule.mark.mask = UINT32_MAX;
    return sscanf(word, "%x/%x", &r->rule.mark.value, &r->rule.mark.mask) >= 1 ? 0 : -EINVAL;
}

static int read_set(struct reading *r, const char *word)
{
    const char *side = r->at < r->n ? r->words[r->at++] : "";

    snprintf(
            strcmp(side, "src") == 0 ? r->rule.from_set : r->rule.to_set, NSH_SET_NAME, "%s", word);
    return strcmp(side, "src") == 0 || strcmp(side, "dst") == 0 ? 0 : -EINVAL;
}

static int read_direction(struct reading *r, const char *word)
{
    (void)r;
    return strcmp(word, "out") == 0 ? 0 : -EINVAL;
}

static int read_policy(struct reading *r, const char *word)
{
    r->rule.ipsec = true;
    return strcmp(word, "ipsec") == 0 ? 0 : -EINVAL;
}

/* `! --dst-type LOCAL --limit-iface-in`, behind the same without both. */
static int read_local(struct reading *r, const char *word)
{
    if (strcmp(word, "LOCAL") != 0)
        return -EINVAL;
    if (!r->negated) {
        r->rule.local = NSH_LOCAL_YES;
        return 0;
    }
    r->negated = false;
    r->rule.local = NSH_LOCAL_FAR;
    return r->at < r->n && strcmp(r->words[r->at++], "--limit-iface-in") == 0 ? 0 : -EINVAL;
}

static int read_states(struct reading *r, const char *word)
{
    static const struct {
        const char *name;
        uint8_t bit;
    } names[] = {{"INVALID", NSH_STATE_INVALID}, {"NEW", NSH_STATE_NEW},
            {"RELATED", NSH_STATE_RELATED}, {"ESTABLISHED", NSH_STATE_ESTABLISHED}};

    if (strcmp(word, "DNAT") == 0) {
        r->rule.translated = true;
        return 0;
    }
    for (const char *at = word; *at;) {
        size_t n = strcspn(at, ","), i = 0;

        while (i < NSH_ARRAY_SIZE(names) &&
                (strlen(names[i].name) != n || strncmp(names[i].name, at, n) != 0))
            i++;
        if (i == NSH_ARRAY_SIZE(names))
            return -EINVAL;
        r->rule.states |= names[i].bit;
        at += at[n] ? n + 1 : n;
    }
    return 0;
}

static int read_limit(struct reading *r, const char *word)
{
    char wanted[16];

    snprintf(wanted, sizeof(wanted), "%u/sec", NSH_PACKET_LOG_RATE / 60);
    r->limited = true;
    return strcmp(word, wanted) == 0 ? 0 : -EINVAL;
}

static int read_burst(struct reading *r, const char *word)
{
    char wanted[16];

    (void)r;
    snprintf(wanted, sizeof(wanted), "%u", NSH_PACKET_LOG_BURST);
    return strcmp(word, wanted) == 0 ? 0 : -EINVAL;
}

static int read_target(struct reading *r, const char *word)
{
    static const struct {
        const char *name;
        enum nsh_packet_action action;
    } targets[] = {{"RETURN", NSH_PACKET_RETURN}, {"ACCEPT", NSH_PACKET_ACCEPT},
            {"DROP", NSH_PACKET_DROP}, {"MASQUERADE", NSH_PACKET_MASQUERADE},
            {"SNAT", NSH_PACKET_SNAT}, {"DNAT", NSH_PACKET_DNAT}, {"NETMAP", NSH_PACKET_NETMAP},
            {"LOG", NSH_PACKET_LOG}, {"TCPMSS", NSH_PACKET_CLAMP_MSS}};

    for (size_t i = 0; i < NSH_ARRAY_SIZE(targets); i++)
        if (strcmp(word, targets[i].name) == 0) {
            r->rule.action = targets[i].action;
            return 0;
        }
    if (!fake_table_find(r->table, word) && !nsh_chain_is_ours(word))
        return -EINVAL;
    r->rule.action = NSH_PACKET_JUMP;
    snprintf(r->rule.target, sizeof(r->rule.target), "%s", word);
    return 0;
}

static int read_addresses(char *word, struct nsh_packet_nat *n)
{
    char *last = strchr(word, '-');
    uint8_t family;

    if (last)
        *last++ = '\0';
    if (!nsh_addr_parse(word, &n->family, &n->first))
        return -EINVAL;
    n->last = n->first;
    return !last || (nsh_addr_parse(last, &family, &n->last) && family == n->family) ? 0 : -EINVAL;
}

/* "ADDRESS[-ADDRESS][:PORT[-PORT]]", IPv6 addresses before ports in brackets, or ":PORT" alone. */
static int read_to(struct reading *r, const char *word)
{
    nsh_autofree char *copy = strdup(word);
    char *address = copy, *ports = NULL;

    if (!copy)
        return -ENOMEM;
    if (address[0] == '[') {
        address++;
        ports = strchr(address, ']');
        if (!ports)
            return -EINVAL;
        *ports++ = '\0';
        ports = ports[0] == ':' ? ports : NULL;
    } else if (strchr(copy, ':') == strrchr(copy, ':')) {
        ports = strchr(copy, ':');
    }
    if (ports) {
        *ports++ = '\0';
        if (read_range(ports, '-', &r->rule.nat.ports) < 0)
            return -EINVAL;
    }
    return address[0] ? read_addresses(address, &r->rule.nat) : 0;
}

static int read_to_ports(struct reading *r, const char *word)
{
    return read_range(word, '-', &r->rule.nat.ports);
}

static int read_random(struct reading *r, const char *word)
{
    r->rule.nat.random = strcmp(word, "--random") == 0 ? NSH_RANDOM_PORTS : NSH_RANDOM_FULLY;
    return 0;
}

static int read_persistent(struct reading *r, const char *word)
{
    (void)word;
    r->rule.nat.persistent = true;
    return 0;
}

static int read_log(struct reading *r, const char *word)
{
    snprintf(r->rule.log, sizeof(r->rule.log), "%s", word);
    return 0;
}

static int read_clamp(struct reading *r, const char *word)
{
    (void)r;
    (void)word;
    return 0;
}

/* Counters are no part of the value. */
static int read_counters(struct reading *r, const char *word)
{
    (void)word;
    r->at++;
    return 0;
}

static const struct {
    const char *name;
    int (*read)(struct reading *r, const char *word);
    bool bare; /* no word follows: the option itself is read */
} options[] = {
        {"-s", read_source},
        {"-d", read_destination},
        {"-i", read_in},
        {"-o", read_out},
        {"-p", read_protocol},
        {"-m", read_match},
        {"-j", read_target},
        {"-c", read_counters},
        {"--sport", read_sport},
        {"--sports", read_sport},
        {"--dport", read_dport},
        {"--dports", read_dport},
        {"--tcp-flags", read_flags},
        {"--mark", read_mark},
        {"--match-set", read_set},
        {"--dir", read_direction},
        {"--pol", read_policy},
        {"--dst-type", read_local},
        {"--ctstate", read_states},
        {"--limit", read_limit},
        {"--limit-burst", read_burst},
        {"--to-ports", read_to_ports},
        {"--to-source", read_to},
        {"--to-destination", read_to},
        {"--to", read_map},
        {"--random", read_random, true},
        {"--random-fully", read_random, true},
        {"--persistent", read_persistent, true},
        {"--log-prefix", read_log},
        {"--clamp-mss-to-pmtu", read_clamp, true},
};

static int read_option(struct reading *r)
{
    const char *name = r->words[r->at++];

    if (strcmp(name, "!") == 0 && r->at < r->n) {
        name = r->words[r->at++];
        r->negated = true;
    }
    for (size_t i = 0; i < NSH_ARRAY_SIZE(options); i++) {
        if (strcmp(name, options[i].name) != 0)
            continue;
        if (options[i].bare)
            return options[i].read(r, name);
        return r->at < r->n ? options[i].read(r, r->words[r->at++]) : -EINVAL;
    }
    return -EINVAL;
}

int fake_rule_parse(
        const struct fake_table *t, char *const *words, size_t n, struct nsh_packet_rule *ret)
{
    struct reading r = {.table = t, .words = words, .n = n, .rule = {.action = NSH_PACKET_OTHER}};
    int rc = 0;

    while (rc == 0 && r.at < r.n) {
        rc = read_option(&r);
        if (r.negated)
            rc = -EINVAL; /* nothing but --dst-type may be */
    }
    if (rc < 0)
        return rc;
    if (r.rule.action == NSH_PACKET_OTHER || r.limited != (r.rule.action == NSH_PACKET_LOG))
        return -EINVAL;
    *ret = r.rule;
    return 0;
}
