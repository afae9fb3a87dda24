/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "conntrack.h"

#include <stdlib.h>
#include <string.h>

/* As xtables does: a '+' at the end stands for any rest, and no name for any device. */
static bool out_matches(const char *pattern, const char *out)
{
    size_t n = strnlen(pattern, IFNAMSIZ);

    if (n == 0)
        return true;
    if (pattern[n - 1] == '+')
        return strncmp(pattern, out, n - 1) == 0;
    return strcmp(pattern, out) == 0;
}

/* ---- sets ---- */

struct set_key {
    uint8_t family;
    const char *name;
};

static int compare_set(const void *key, const void *set)
{
    const struct set_key *k = key;
    const struct nsh_set *s = set;

    return k->family != s->family ? (int)k->family - (int)s->family : strcmp(k->name, s->name);
}

/* The first prefix that does not come before `key`: 0..n. */
static size_t lower_bound(const struct nsh_set *set, const struct nsh_prefix *key)
{
    size_t low = 0, high = set->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (nsh_prefix_cmp(&set->prefixes[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Looks for the address among the prefixes of each length that there is. */
static bool set_contains(const struct nsh_set *set, const union nsh_addr *addr)
{
    struct nsh_prefix key = {.family = set->family};
    size_t at = 0;

    while (at < set->n) {
        key.length = set->prefixes[at].length;
        key.addr = *addr;
        nsh_prefix_mask(&key);
        at = lower_bound(set, &key);
        if (at < set->n && nsh_prefix_cmp(&set->prefixes[at], &key) == 0)
            return true;
        memset(key.addr.bytes, 0xff, sizeof(key.addr.bytes));
        at = lower_bound(set, &key);
        at += at < set->n && nsh_prefix_cmp(&set->prefixes[at], &key) == 0;
    }
    return false;
}

/* No set: any address. A set that is not known holds none. */
static bool in_set(const struct nsh_translations *wanted, const char *name, uint8_t family,
        const union nsh_addr *addr)
{
    const struct set_key key = {family, name};
    const struct nsh_set *set = NULL;

    if (name[0] == '\0')
        return true;
    if (wanted->n_sets > 0)
        set = bsearch(&key, wanted->sets, wanted->n_sets, sizeof(*set), compare_set);
    return set && set_contains(set, addr);
}

/* ---- rules ---- */

static bool in_range(const struct nsh_range *r, uint16_t port)
{
    return r->last == 0 || (port >= r->first && port <= r->last);
}

static bool rule_matches(const struct nsh_translations *wanted, const struct nsh_packet_rule *rule,
        const struct nsh_flow *flow)
{
    if (rule->mark.mask != 0 || rule->ipsec || rule->states != 0 || rule->local != NSH_LOCAL_ANY ||
            rule->in[0] != '\0')
        return false; /* an entry does not show it */
    return nsh_prefix_contains(&rule->from, flow->family, &flow->src) &&
           nsh_prefix_contains(&rule->to, flow->family, &flow->dst) &&
           in_set(wanted, rule->from_set, flow->family, &flow->src) &&
           in_set(wanted, rule->to_set, flow->family, &flow->dst) &&
           out_matches(rule->out, flow->out) &&
           (rule->protocol == 0 || rule->protocol == flow->protocol) &&
           in_range(&rule->source_port, flow->source_port) &&
           in_range(&rule->destination_port, flow->destination_port) &&
           (!rule->translated || flow->led);
}

static bool translates(enum nsh_packet_action action)
{
    return action == NSH_PACKET_MASQUERADE || action == NSH_PACKET_SNAT ||
           action == NSH_PACKET_NETMAP;
}

static bool chain_translates(const struct nsh_translations *wanted, const struct nsh_chain *chain,
        const struct nsh_flow *flow)
{
    for (size_t i = 0; i < chain->n_rules; i++) {
        const struct nsh_packet_rule *rule = &chain->rules[i];

        if (rule->action != NSH_PACKET_RETURN && !translates(rule->action))
            continue;
        if (rule_matches(wanted, rule, flow))
            return translates(rule->action);
    }
    return false;
}

bool nsh_chains_translate(const struct nsh_translations *wanted, const struct nsh_flow *flow)
{
    for (size_t i = 0; i < wanted->n_chains; i++) {
        const struct nsh_chain *c = wanted->chains[i];

        if (c->family == flow->family && c->table == NSH_TABLE_NAT && c->hook &&
                strcmp(c->hook, "POSTROUTING") == 0 && chain_translates(wanted, c, flow))
            return true;
    }
    return false;
}
