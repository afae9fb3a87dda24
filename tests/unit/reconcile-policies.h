/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Wanted chains and sets of all kinds, put beside what a configuration gives: shares with a chain
 * in each table, and masquerades whose sources stand in a set.
 */
#pragma once

#include "reconcile-world.h"

#define RP_CHAINS_MAX 64
#define RP_SETS_MAX 8

/* Room for further chains, before the conntrack chains. */
static inline struct nsh_chain *rp_add_chain(struct nsh_desired *d, enum nsh_policy_kind kind,
        const char *policy, int family, enum nsh_table table, const char *hook)
{
    struct nsh_chain *grown = calloc(d->n_chains + 1, sizeof(*grown));
    size_t at = d->n_chains;
    struct nsh_chain *c;

    assert_non_null(grown);
    while (at > 0 && d->chains[at - 1].policy[0] == '\0')
        at--;
    if (at > 0)
        memcpy(grown, d->chains, at * sizeof(*grown));
    if (d->n_chains > at)
        memcpy(&grown[at + 1], &d->chains[at], (d->n_chains - at) * sizeof(*grown));
    free(d->chains);
    d->chains = grown;
    d->n_chains++;
    c = &grown[at];
    c->family = (uint8_t)family;
    c->table = table;
    c->kind = kind;
    c->hook = hook;
    c->position = table == NSH_TABLE_FILTER ? NSH_POSITION_FIRST : NSH_POSITION_LAST;
    snprintf(c->policy, sizeof(c->policy), "%s", policy);
    nsh_chain_make_name(c->name, policy, 0);
    return c;
}

static inline void rp_set_rules(
        struct nsh_desired *d, struct nsh_chain *c, const struct nsh_packet_rule *rules, size_t n)
{
    struct nsh_packet_rule *copy = nsh_arena_alloc(d->arena, n * sizeof(*copy));

    assert_non_null(copy);
    memcpy(copy, rules, n * sizeof(*copy));
    c->rules = copy;
    c->n_rules = n;
}

/* The conntrack chain of the family, if it is not there yet. */
static inline void rp_add_conntrack(struct nsh_desired *d, int family)
{
    static const struct nsh_packet_rule track = {
            .states = NSH_STATE_INVALID, .action = NSH_PACKET_RETURN};
    struct nsh_chain *c;

    for (size_t i = 0; i < d->n_chains; i++)
        if (d->chains[i].table == NSH_TABLE_RAW && d->chains[i].family == family)
            return;
    c = rp_add_chain(d, NSH_POLICY_NONE, "", family, NSH_TABLE_RAW, NULL);
    c->position = NSH_POSITION_LAST;
    snprintf(c->name, sizeof(c->name), "%s", NSH_CHAIN_CONNTRACK);
    c->rules = &track;
    c->n_rules = 1;
}

/* Sharing of eth0 with eth1: filter, NAT and MSS. */
static inline void rp_add_share(struct nsh_desired *d, const char *name, int family)
{
    static const struct nsh_packet_rule filter[] = {
            {.in = "eth1", .out = "eth0", .states = NSH_STATE_INVALID, .action = NSH_PACKET_DROP},
            {.in = "eth1", .out = "eth0", .action = NSH_PACKET_ACCEPT},
            {.in = "eth0",
                    .out = "eth1",
                    .states = NSH_STATE_RELATED | NSH_STATE_ESTABLISHED,
                    .action = NSH_PACKET_ACCEPT},
            {.in = "eth0", .out = "eth1", .translated = true, .action = NSH_PACKET_ACCEPT},
            {.in = "eth0", .out = "eth1", .action = NSH_PACKET_DROP},
    };
    static const struct nsh_packet_rule nat[] = {
            {.ipsec = true, .action = NSH_PACKET_RETURN},
            {.out = "eth0", .action = NSH_PACKET_MASQUERADE},
    };
    static const struct nsh_packet_rule mangle[] = {
            {.out = "eth0", .protocol = IPPROTO_TCP, .syn = true, .action = NSH_PACKET_CLAMP_MSS},
            {.in = "eth0", .protocol = IPPROTO_TCP, .syn = true, .action = NSH_PACKET_CLAMP_MSS},
    };
    struct nsh_chain *c;

    c = rp_add_chain(d, NSH_POLICY_SHARE, name, family, NSH_TABLE_FILTER, "FORWARD");
    rp_set_rules(d, c, filter, NSH_ARRAY_SIZE(filter));
    if (family == AF_INET) {
        c = rp_add_chain(d, NSH_POLICY_SHARE, name, family, NSH_TABLE_NAT, "POSTROUTING");
        rp_set_rules(d, c, nat, NSH_ARRAY_SIZE(nat));
    }
    c = rp_add_chain(d, NSH_POLICY_SHARE, name, family, NSH_TABLE_MANGLE, "FORWARD");
    rp_set_rules(d, c, mangle, NSH_ARRAY_SIZE(mangle));
    rp_add_conntrack(d, family);
    nsh_desired_settle(d);
}

/* The i-th of a set's prefixes: 10.x.y.0/24, then on. */
static inline struct nsh_prefix rp_prefix(int family, unsigned i)
{
    struct nsh_prefix p = {.family = (uint8_t)family, .length = family == AF_INET6 ? 64 : 30};
    uint8_t *at = p.addr.bytes + (family == AF_INET6 ? 4 : 0);

    p.addr.bytes[0] = family == AF_INET6 ? 0xfd : 10;
    at[family == AF_INET6 ? 0 : 1] = (uint8_t)(i >> 14);
    at[family == AF_INET6 ? 1 : 2] = (uint8_t)(i >> 6);
    at[family == AF_INET6 ? 2 : 3] = (uint8_t)(i << 2);
    return p;
}

/* Masquerading of what is in a set of `n` prefixes, the first of them `from` on. */
static inline void rp_add_set(
        struct nsh_desired *d, const char *policy, int family, unsigned from, size_t n)
{
    struct nsh_packet_rule rule = {.out = "eth0", .action = NSH_PACKET_MASQUERADE};
    struct nsh_set *sets = calloc(d->n_sets + 1, sizeof(*sets));
    struct nsh_prefix *prefixes = nsh_arena_alloc(d->arena, (n + 1) * sizeof(*prefixes));
    struct nsh_set s = {.family = (uint8_t)family, .prefixes = prefixes, .n = n};
    size_t at = 0;

    assert_true(sets && prefixes);
    for (size_t i = 0; i < n; i++)
        prefixes[i] = rp_prefix(family, from + (unsigned)i);
    snprintf(s.policy, sizeof(s.policy), "%s", policy);
    snprintf(
            s.name, sizeof(s.name), "%s%s_f%d", NSH_SET_PREFIX, policy, family == AF_INET6 ? 6 : 4);
    while (at < d->n_sets &&
            (d->sets[at].family < family ||
                    (d->sets[at].family == family && strcmp(d->sets[at].name, s.name) < 0)))
        at++;
    if (at > 0)
        memcpy(sets, d->sets, at * sizeof(*sets));
    sets[at] = s;
    if (d->n_sets > at)
        memcpy(&sets[at + 1], &d->sets[at], (d->n_sets - at) * sizeof(*sets));
    free(d->sets);
    d->sets = sets;
    d->n_sets++;
    memcpy(rule.from_set, s.name, sizeof(rule.from_set));
    rp_set_rules(d,
            rp_add_chain(d, NSH_POLICY_MASQUERADE, policy, family, NSH_TABLE_NAT, "POSTROUTING"),
            &rule, 1);
    rp_add_conntrack(d, family);
    nsh_desired_settle(d);
}
