/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "desired.h"
#include "intern.h"
#include "probes.h"

NSH_DEFINE_CLEANUP(struct nsh_desired *, nsh_desired_free)

static unsigned family_bit(int family)
{
    return family == AF_INET6 ? NSH_FAMILY_IPV6 : NSH_FAMILY_IPV4;
}

/* ---- a policy's rules for one family ---- */

/*
 * The prefixes of one family in a list, as rules name them. A list that is not there is one "any";
 * a list with nothing of the family in it matches nothing, and must never come to mean everything.
 */
struct choice {
    const struct nsh_prefix *list;
    uint32_t n;
    int family;
};

static bool choice_fits(const struct choice *c, uint32_t i)
{
    return c->list[i].family == AF_UNSPEC || c->list[i].family == c->family;
}

static size_t choice_count(const struct choice *c)
{
    size_t n = 0;

    if (!c->list)
        return 1;
    for (uint32_t i = 0; i < c->n; i++)
        n += choice_fits(c, i);
    return n;
}

/* The next one at or behind *at, which is then moved past it; false at the end. */
static bool choice_next(const struct choice *c, uint32_t *at, struct nsh_prefix *ret)
{
    if (!c->list) {
        *ret = (struct nsh_prefix){.family = AF_UNSPEC};
        return (*at)++ == 0;
    }
    for (; *at < c->n; (*at)++) {
        if (!choice_fits(c, *at))
            continue;
        *ret = c->list[(*at)++];
        if (ret->length == 0)
            *ret = (struct nsh_prefix){.family = AF_UNSPEC};
        return true;
    }
    return false;
}

static struct nsh_packet_rule *fill_exempt(
        struct nsh_packet_rule *r, const struct choice *c, bool to)
{
    struct nsh_prefix p;

    if (!c->list)
        return r;
    for (uint32_t i = 0; choice_next(c, &i, &p); r++) {
        r->action = NSH_PACKET_RETURN;
        *(to ? &r->to : &r->from) = p;
    }
    return r;
}

static struct nsh_packet_rule *fill_masquerade(struct nsh_packet_rule *r, const struct choice *from,
        const struct choice *to, const struct nsh_masquerade *m)
{
    struct nsh_prefix src, dst;

    for (uint32_t i = 0; choice_next(from, &i, &src);)
        for (uint32_t k = 0; choice_next(to, &k, &dst);)
            for (uint32_t o = 0; o < m->n_out; o++, r++) {
                r->action = NSH_PACKET_MASQUERADE;
                r->from = src;
                r->to = dst;
                memcpy(r->out, m->out[o], sizeof(r->out));
            }
    return r;
}

static int make_rules(struct nsh_arena *arena, const struct nsh_masquerade *m, int family,
        struct nsh_chain *chain)
{
    const struct choice from = {m->from, m->n_from, family}, to = {m->to, m->n_to, family};
    const struct choice not_from = {m->except_from, m->n_except_from, family};
    const struct choice not_to = {m->except_to, m->n_except_to, family};
    struct nsh_packet_rule *rules, *end;
    size_t n, size;

    if (__builtin_mul_overflow(choice_count(&from), choice_count(&to), &n) ||
            __builtin_mul_overflow(n, (size_t)m->n_out, &n))
        return -ENOMEM;
    n += not_from.list ? choice_count(&not_from) : 0;
    n += not_to.list ? choice_count(&not_to) : 0;
    if (__builtin_mul_overflow(n, sizeof(*rules), &size))
        return -ENOMEM;
    rules = nsh_arena_alloc(arena, size > 0 ? size : 1);
    if (!rules)
        return -ENOMEM;

    end = fill_exempt(rules, &not_from, false);
    end = fill_exempt(end, &not_to, true);
    end = fill_masquerade(end, &from, &to, m);
    chain->rules = rules;
    chain->n_rules = (size_t)(end - rules);
    return 0;
}

/* ---- chains ---- */

static int add_policy(struct nsh_desired *d, const struct nsh_masquerade *m, int family)
{
    struct nsh_chain *c = &d->chains[d->n_chains];
    int r;

    *c = (struct nsh_chain){
            .family = (uint8_t)family,
            .table = NSH_TABLE_NAT,
            .kind = NSH_POLICY_MASQUERADE,
            .hook = "POSTROUTING",
            .position = m->position,
            .origin = m->origin,
            .when = m->when,
    };
    snprintf(c->policy, sizeof(c->policy), "%s", m->name);
    nsh_chain_make_name(c->name, c->policy, 0);
    r = make_rules(d->arena, m, family, c);
    if (r == 0)
        d->n_chains++;
    return r;
}

/* It stands for no policy and no packet comes to it: that it is there keeps conntrack in use. */
static void add_conntrack(struct nsh_desired *d, int family)
{
    static const struct nsh_packet_rule track = {
            .states = NSH_STATE_INVALID, .action = NSH_PACKET_RETURN};

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
    const struct nsh_config *c = d->config;
    bool used[NSH_FAMILIES] = {false};

    /* Each policy in both families, and the conntrack chains. */
    d->chains = calloc(c->n_masquerades * NSH_FAMILIES + NSH_FAMILIES, sizeof(*d->chains));
    if (!d->chains)
        return -ENOMEM;
    for (size_t i = 0; i < c->n_masquerades; i++)
        for (int f = 0; f < NSH_FAMILIES; f++) {
            int r;

            if (!(c->masquerades[i].families & family_bit(nsh_family_of(f))))
                continue;
            r = add_policy(d, &c->masquerades[i], nsh_family_of(f));
            if (r < 0)
                return r;
            used[f] = true;
        }
    for (int f = 0; f < NSH_FAMILIES; f++)
        if (used[f])
            add_conntrack(d, nsh_family_of(f));
    return 0;
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
    if (!d)
        return;
    nsh_config_free(d->config);
    nsh_arena_free(d->arena);
    free(d->chains);
    free(d->placed);
    free(d->gate_states);
    free(d->probe_routes);
    free(d->dependents.first);
    free(d->dependents.n);
    free(d->dependents.routes);
    free(d);
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
