/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "desired-build.h"
#include "intern.h"
#include "probes.h"

NSH_DEFINE_CLEANUP(struct nsh_desired *, nsh_desired_free)

static unsigned family_bit(int family)
{
    return family == AF_INET6 ? NSH_FAMILY_IPV6 : NSH_FAMILY_IPV4;
}

/* ---- chains and sets ---- */

static bool begin_policy(struct nsh_builder *b, enum nsh_policy_kind kind,
        const struct nsh_policy *policy, int family)
{
    if (policy->disabled || !(policy->families & family_bit(family)))
        return false;
    b->kind = kind;
    b->policy = policy;
    memset(b->sides, 0, sizeof(b->sides));
    b->family = family;
    return true;
}

/*
 * From the special to the general, since the first that translates a packet settles it: who wants
 * one port or network treated in its own way wants it so behind a share, too.
 */
static void add_policies(struct nsh_builder *b, const struct nsh_config *c)
{
    for (size_t i = 0; i < c->n_port_forwards; i++)
        for (int f = 0; f < NSH_FAMILIES; f++)
            if (begin_policy(
                        b, NSH_POLICY_PORT_FORWARD, &c->port_forwards[i].policy, nsh_family_of(f)))
                nsh_build_port_forward(b, &c->port_forwards[i]);
    for (size_t i = 0; i < c->n_network_maps; i++)
        for (int f = 0; f < NSH_FAMILIES; f++)
            if (begin_policy(
                        b, NSH_POLICY_NETWORK_MAP, &c->network_maps[i].policy, nsh_family_of(f)))
                nsh_build_network_map(b, &c->network_maps[i]);
    for (size_t i = 0; i < c->n_masquerades; i++)
        for (int f = 0; f < NSH_FAMILIES; f++)
            if (begin_policy(b, NSH_POLICY_MASQUERADE, &c->masquerades[i].policy, nsh_family_of(f)))
                nsh_build_masquerade(b, &c->masquerades[i]);
    for (size_t i = 0; i < c->n_shares; i++)
        for (int f = 0; f < NSH_FAMILIES; f++)
            if (begin_policy(b, NSH_POLICY_SHARE, &c->shares[i].policy, nsh_family_of(f)))
                nsh_build_share(b, &c->shares[i]);
}

/* It stands for no policy and no packet comes to it: that it is there keeps conntrack in use. */
static void add_conntrack(struct nsh_builder *b, int family)
{
    static const struct nsh_packet_rule track = {
            .states = NSH_STATE_INVALID, .action = NSH_PACKET_RETURN};
    struct nsh_desired *d = b->d;

    if (nsh_build_grow(b, &d->chains, d->n_chains + 1, &b->chains_room, sizeof(*d->chains)))
        d->chains[d->n_chains++] = (struct nsh_chain){
                .family = (uint8_t)family,
                .table = NSH_TABLE_RAW,
                .name = NSH_CHAIN_CONNTRACK,
                .rules = &track,
                .n_rules = 1,
        };
}

static int make_chains(struct nsh_desired *d)
{
    struct nsh_builder b = {.d = d};
    bool used[NSH_FAMILIES] = {false};

    add_policies(&b, d->config);
    for (size_t i = 0; i < d->n_chains; i++)
        used[nsh_family_index(d->chains[i].family)] = true;
    for (int f = 0; f < NSH_FAMILIES; f++)
        if (used[f])
            add_conntrack(&b, nsh_family_of(f));
    nsh_build_sort_sets(&b);
    free(b.rules);
    return b.error;
}

/* ---- gates ---- */

/*
 * What a check is about counts as working until it has failed often enough; whether a condition
 * holds is seen before anything else.
 */
static struct nsh_gate_state *initial_states(const struct nsh_config *c)
{
    struct nsh_gate_state *states = calloc(c->n_gates + 1, sizeof(*states));

    if (!states)
        return NULL;
    states[NSH_NO_GATE].open = true;
    for (size_t i = 1; i < c->n_gates; i++)
        states[i].open = c->gates[i].kind == NSH_GATE_CHECK;
    return states;
}

/* ---- probes ---- */

static int find_probe_routes(struct nsh_desired *d)
{
    const struct nsh_config *c = d->config;

    if (c->n_ways == 0)
        return 0;
    /* Each way has two. */
    d->probe_routes = calloc(2 * c->n_ways, sizeof(*d->probe_routes));
    if (!d->probe_routes)
        return -ENOMEM;
    for (size_t i = 0; i < d->n_routes && d->n_probe_routes < 2 * c->n_ways; i++)
        if (nsh_probes_route_is(c, &d->routes[i]))
            d->probe_routes[d->n_probe_routes++] = i;
    return 0;
}

/* ---- the whole ---- */

int nsh_desired_new(struct nsh_config *config, struct nsh_desired **ret)
{
    NSH_CLEANUP(nsh_desired_freep) struct nsh_desired *d = calloc(1, sizeof(*d));
    int r;

    if (!d)
        return -ENOMEM;
    d->arena = nsh_arena_new();
    if (!d->arena)
        return -ENOMEM;
    d->config = config;
    d->routes = config->routes;
    d->n_routes = config->n_routes;
    d->links = config->links;
    d->n_links = config->n_links;
    d->rules = config->rules;
    d->n_rules = config->n_rules;
    d->gates = config->gates;
    d->n_gates = config->n_gates;
    d->protocol = config->settings.route_protocol;
    d->gate_states = initial_states(config);
    d->vrfs = config->vrfs;
    d->n_vrfs = config->n_vrfs;
    r = d->gate_states ? nsh_desired_place(d) : -ENOMEM;
    if (r == 0)
        r = find_probe_routes(d);
    if (r == 0)
        r = make_chains(d);
    if (r == 0)
        r = nsh_desired_list_devices(d);
    if (r < 0) {
        d->config = NULL; /* stays the caller's */
        return r;
    }
    nsh_desired_settle(d);
    *ret = NSH_TAKE_PTR(d);
    return 0;
}

void nsh_desired_free(struct nsh_desired *d)
{
    if (!d || d->others > 0) {
        if (d)
            d->others--;
        return;
    }
    nsh_config_free(d->config);
    nsh_arena_free(d->arena);
    free(d->chains);
    free(d->placed);
    free(d->vrf_tables);
    free(d->sets);
    free(d->devices);
    free(d->gate_states);
    free(d->probe_routes);
    free(d->dependents.first);
    free(d->dependents.n);
    free(d->dependents.routes);
    free(d);
}

struct nsh_desired *nsh_desired_share(struct nsh_desired *d)
{
    d->others++;
    return d;
}

size_t nsh_desired_lower_bound(const struct nsh_desired *d, const struct nsh_route *key)
{
    size_t low = 0, high = d->n_routes;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (nsh_route_id_cmp(&d->routes[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t nsh_desired_find_route(const struct nsh_desired *d, const struct nsh_route *key)
{
    size_t i = nsh_desired_lower_bound(d, key);

    return i < d->n_routes && nsh_route_id_cmp(&d->routes[i], key) == 0 ? i : SIZE_MAX;
}

static bool same_prefix(const struct nsh_route *a, const struct nsh_route *b)
{
    return a->family == b->family && a->table == b->table && a->dst_length == b->dst_length &&
           nsh_addr_cmp(&a->dst, &b->dst) == 0;
}

/* A route for one tos comes before those for any, whatever their metrics. */
static bool takes_from(const struct nsh_route *seen, const struct nsh_route *want)
{
    if (seen->tos == want->tos)
        return seen->metric < want->metric;
    return seen->tos != 0 && want->tos == 0;
}

size_t nsh_desired_find_shadowed(
        const struct nsh_desired *d, const struct nsh_route *seen, size_t at)
{
    while (at > 0 && same_prefix(&d->routes[at - 1], seen))
        at--;
    for (; at < d->n_routes && same_prefix(&d->routes[at], seen); at++)
        if (takes_from(seen, &d->routes[at]))
            return at;
    return SIZE_MAX;
}

size_t nsh_desired_find_rule(const struct nsh_desired *d, const struct nsh_rule *rule)
{
    size_t low = 0, high = d->n_rules;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int r = nsh_rule_cmp(&d->rules[middle], rule);

        if (r == 0)
            return middle;
        if (r < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return SIZE_MAX;
}

/* ---- names ---- */

static bool has_both(const struct nsh_desired *d, size_t chain)
{
    const struct nsh_chain *chains = d->chains, *c = &chains[chain];

    for (size_t i = chain; i-- > 0 && strcmp(chains[i].policy, c->policy) == 0;)
        if (chains[i].family != c->family)
            return true;
    for (size_t i = chain + 1; i < d->n_chains && strcmp(chains[i].policy, c->policy) == 0; i++)
        if (chains[i].family != c->family)
            return true;
    return false;
}

const char *nsh_desired_policy_name(
        const struct nsh_desired *d, size_t chain, char *buf, size_t size)
{
    const struct nsh_chain *c = &d->chains[chain];

    snprintf(buf, size, "%s%s", c->policy,
            !has_both(d, chain)     ? ""
            : c->family == AF_INET6 ? " (ipv6)"
                                    : " (ipv4)");
    return buf;
}
