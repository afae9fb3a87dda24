/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "learn.h"

#include <errno.h>
#include <linux/icmpv6.h>
#include <stdlib.h>
#include <string.h>

/* One nexthop of a foreign default route. */
struct source {
    uint32_t table, metric;
    uint32_t ifindex;
    uint32_t look; /* in which it was seen last */
    union nsh_addr via;
    uint8_t family, tos, protocol;
    uint8_t via_family, flags;
    uint8_t rank; /* by preference; the lowest counts */
};

struct nsh_learner {
    struct source *sources;
    size_t n, room;
    uint32_t look; /* 0: none was taken yet */
    bool looking, looked, disturbed;
};

int nsh_learner_new(struct nsh_learner **ret)
{
    *ret = calloc(1, sizeof(**ret));
    return *ret ? 0 : -ENOMEM;
}

void nsh_learner_free(struct nsh_learner *l)
{
    if (!l)
        return;
    free(l->sources);
    free(l);
}

void nsh_learner_clear(struct nsh_learner *l)
{
    free(l->sources);
    *l = (struct nsh_learner){0};
}

/* ---- sources ---- */

static bool is_source(const struct nsh_route *r)
{
    return r->dst_length == 0 && r->props->type == RTN_UNICAST;
}

static uint8_t rank_of(uint32_t preference)
{
    return preference == ICMPV6_ROUTER_PREF_HIGH ? 0 : preference == ICMPV6_ROUTER_PREF_LOW ? 2 : 1;
}

static struct source source_of(
        const struct nsh_learner *l, const struct nsh_route *r, const struct nsh_nexthop *n)
{
    return (struct source){
            .table = r->table,
            .metric = r->metric,
            .ifindex = n->ifindex,
            .look = l->look,
            .via = n->via,
            .family = r->family,
            .tos = r->tos,
            .protocol = r->protocol,
            .via_family = n->via_family,
            .flags = n->flags,
            .rank = rank_of(r->props->preference),
    };
}

static bool on_key(const struct source *s, const struct nsh_route *r)
{
    return s->family == r->family && s->table == r->table && s->metric == r->metric &&
           s->tos == r->tos;
}

static bool same_way(const struct source *s, const struct nsh_nexthop *n)
{
    return s->ifindex == n->ifindex && s->via_family == n->via_family &&
           nsh_addr_cmp(&s->via, &n->via) == 0;
}

static void drop(struct nsh_learner *l, size_t i)
{
    l->sources[i] = l->sources[--l->n];
}

static int add(struct nsh_learner *l, const struct nsh_route *r, const struct nsh_nexthop *n)
{
    struct source *grown;

    for (size_t i = 0; i < l->n; i++)
        if (on_key(&l->sources[i], r) && same_way(&l->sources[i], n)) {
            l->sources[i] = source_of(l, r, n);
            return 0;
        }
    if (l->n == NSH_LEARNED_MAX)
        return 0;
    if (l->n == l->room) {
        grown = reallocarray(l->sources, l->room * 2 + 8, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        l->sources = grown;
        l->room = l->room * 2 + 8;
    }
    l->sources[l->n++] = source_of(l, r, n);
    return 0;
}

static int add_all(struct nsh_learner *l, const struct nsh_route *r)
{
    int q = 0;

    for (uint32_t i = 0; i < r->props->n_nexthops && q == 0; i++)
        q = add(l, r, &r->props->nexthops[i]);
    return q;
}

/* ---- looks ---- */

void nsh_learner_begin(struct nsh_learner *l)
{
    l->look++;
    l->looking = true;
    l->disturbed = false;
}

int nsh_learner_see(struct nsh_learner *l, const struct nsh_route *seen)
{
    return is_source(seen) ? add_all(l, seen) : 0;
}

bool nsh_learner_end(struct nsh_learner *l)
{
    bool disturbed = l->disturbed;

    for (size_t i = l->n; i-- > 0;)
        if (l->sources[i].look != l->look)
            drop(l, i);
    l->looking = l->disturbed = false;
    l->looked = true;
    return disturbed;
}

bool nsh_learner_has_looked(const struct nsh_learner *l)
{
    return l->looked;
}

/* ---- events ---- */

/*
 * A replacement takes the place of what stood on the key, and an IPv6 message of several nexthops
 * has all there are.
 */
int nsh_learner_added(struct nsh_learner *l, const struct nsh_route *route, bool replaced)
{
    bool all = replaced || (route->family == AF_INET6 && route->props->n_nexthops > 1);

    if (route->dst_length != 0)
        return 0;
    for (size_t i = l->n; all && i-- > 0;)
        if (on_key(&l->sources[i], route))
            drop(l, i);
    return is_source(route) ? add_all(l, route) : 0;
}

static bool leads(const struct source *s, const struct nsh_route *r)
{
    for (uint32_t i = 0; i < r->props->n_nexthops; i++)
        if (same_way(s, &r->props->nexthops[i]))
            return true;
    return r->props->n_nexthops == 0;
}

void nsh_learner_removed(struct nsh_learner *l, const struct nsh_route *route)
{
    if (route->dst_length != 0)
        return;
    for (size_t i = l->n; i-- > 0;)
        if (on_key(&l->sources[i], route) && leads(&l->sources[i], route))
            drop(l, i);
    l->disturbed = l->looking;
}

bool nsh_learner_taken(struct nsh_learner *l, const struct nsh_route *ours)
{
    size_t before = l->n;

    if (ours->dst_length != 0)
        return false;
    for (size_t i = l->n; i-- > 0;)
        if (on_key(&l->sources[i], ours))
            drop(l, i);
    if (l->n != before)
        l->disturbed = l->looking;
    return l->n != before;
}

void nsh_learner_device_down(struct nsh_learner *l, uint32_t ifindex)
{
    for (size_t i = l->n; i-- > 0;)
        if (l->sources[i].ifindex == ifindex) {
            drop(l, i);
            l->disturbed = l->looking;
        }
}

bool nsh_learner_uses(const struct nsh_learner *l, int family, uint32_t ifindex)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->sources[i].family == family && l->sources[i].ifindex == ifindex)
            return true;
    return false;
}

/* ---- the choice ---- */

static int compare_numbers(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

/* The last of it is arbitrary, but the same at every start. */
static int compare(const struct source *a, const struct source *b)
{
    int r = compare_numbers(a->metric, b->metric);

    if (r == 0)
        r = compare_numbers(a->rank, b->rank);
    if (r == 0)
        r = compare_numbers(a->table != RT_TABLE_MAIN, b->table != RT_TABLE_MAIN);
    if (r == 0)
        r = compare_numbers(a->table, b->table);
    if (r == 0)
        r = compare_numbers(a->via_family, b->via_family);
    return r != 0 ? r : nsh_addr_cmp(&a->via, &b->via);
}

void nsh_learner_choose(const struct nsh_learner *l, struct nsh_link *link)
{
    const struct source *best = NULL;

    for (size_t i = 0; i < l->n && link->ifindex != 0; i++) {
        const struct source *s = &l->sources[i];

        if (s->family == link->learns && s->ifindex == link->ifindex &&
                (!best || compare(s, best) < 0))
            best = s;
    }
    link->learned = !l->looked                      ? NSH_LEARNED_UNKNOWN
                    : !best                         ? NSH_LEARNED_NOTHING
                    : best->via_family == AF_UNSPEC ? NSH_LEARNED_DEVICE
                                                    : NSH_LEARNED_GATEWAY;
    link->via_family = best && l->looked ? best->via_family : AF_UNSPEC;
    link->via_flags = best && l->looked ? best->flags : 0;
    link->via = best && l->looked ? best->via : (union nsh_addr){0};
}
