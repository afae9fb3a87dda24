/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "conntrack-match.h"

#include <stdlib.h>
#include <string.h>

/* As xtables does: a '+' at the end stands for any rest, and no name for any device. */
static bool device_matches(const char *pattern, const char *name)
{
    size_t n = strnlen(pattern, IFNAMSIZ);

    if (n == 0)
        return true;
    if (pattern[n - 1] == '+')
        return strncmp(pattern, name, n - 1) == 0;
    return strcmp(pattern, name) == 0;
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

const struct nsh_set *nsh_translations_set(
        const struct nsh_translations *in, uint8_t family, const char *name)
{
    const struct set_key key = {family, name};

    if (in->n_sets == 0)
        return NULL;
    return bsearch(&key, in->sets, in->n_sets, sizeof(*in->sets), compare_set);
}

/* No set: any address. */
static bool in_set(const struct nsh_translations *in, const char *name, uint8_t family,
        const union nsh_addr *addr)
{
    const struct nsh_set *set;

    if (name[0] == '\0')
        return true;
    set = nsh_translations_set(in, family, name);
    return set && set_contains(set, addr);
}

/* ---- rules ---- */

static bool in_range(const struct nsh_range *r, uint16_t port)
{
    return r->last == 0 || (port >= r->first && port <= r->last);
}

/* What of the rule an entry shows. */
static bool may_match(const struct nsh_translations *in, const struct nsh_packet_rule *rule,
        const struct nsh_flow *flow)
{
    return (rule->protocol == 0 || rule->protocol == flow->protocol) &&
           in_range(&rule->source_port, flow->source_port) &&
           in_range(&rule->destination_port, flow->destination_port) &&
           (flow->out[0] == '\0' || device_matches(rule->out, flow->out)) &&
           (!rule->translated || flow->led) && !(rule->ipsec && flow->plain) &&
           nsh_prefix_contains(&rule->from, flow->family, &flow->src) &&
           nsh_prefix_contains(&rule->to, flow->family, &flow->dst) &&
           in_set(in, rule->from_set, flow->family, &flow->src) &&
           in_set(in, rule->to_set, flow->family, &flow->dst);
}

enum nsh_match nsh_rule_match(const struct nsh_translations *in, const struct nsh_packet_rule *rule,
        const struct nsh_flow *flow)
{
    if (!may_match(in, rule, flow))
        return NSH_MATCH_NO;
    if (rule->mark.mask != 0 || rule->ipsec || rule->states != 0 || rule->syn ||
            rule->local != NSH_LOCAL_ANY || !device_matches(rule->in, "") ||
            (flow->out[0] == '\0' && !device_matches(rule->out, "")))
        return NSH_MATCH_MAYBE;
    return NSH_MATCH_YES;
}

bool nsh_action_translates(enum nsh_packet_action action)
{
    return action == NSH_PACKET_MASQUERADE || action == NSH_PACKET_SNAT ||
           action == NSH_PACKET_DNAT || action == NSH_PACKET_NETMAP;
}
