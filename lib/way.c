/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "way.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/* ---- what was observed ---- */

void nsh_ways_want(struct nsh_ways *w, int family, const union nsh_addr *to)
{
    if (w->n_wanted == NSH_WAYS_MAX)
        return;
    w->wanted[w->n_wanted].family = (uint8_t)family;
    w->wanted[w->n_wanted++].to = *to;
}

int nsh_ways_see_rule(void *ways, const struct nsh_rule *rule)
{
    struct nsh_ways *w = ways;
    struct nsh_rule *rules = reallocarray(w->rules, w->n_rules + 1, sizeof *rules);

    if (!rules)
        return -ENOMEM;
    w->rules = rules;
    rules[w->n_rules++] = *rule;
    return 0;
}

bool nsh_way_route_covers(const struct nsh_route *r, int family, const union nsh_addr *to)
{
    const struct nsh_prefix p = {.addr = r->dst, .family = r->family, .length = r->dst_length};

    return r->family == family && nsh_prefix_contains(&p, family, to);
}

static bool is_wanted(const struct nsh_ways *w, const struct nsh_route *route)
{
    for (size_t i = 0; i < w->n_wanted; i++)
        if (nsh_way_route_covers(route, w->wanted[i].family, &w->wanted[i].to))
            return true;
    return false;
}

int nsh_ways_see_route(void *ways, const struct nsh_route *route)
{
    struct nsh_ways *w = ways;
    size_t size = nsh_route_props_size(route->props->n_nexthops);
    struct nsh_route_props *props;
    struct nsh_route *routes;

    if (!is_wanted(w, route))
        return 0;
    routes = reallocarray(w->routes, w->n_routes + 1, sizeof *routes);
    if (!routes)
        return -ENOMEM;
    w->routes = routes;
    props = malloc(size);
    if (!props)
        return -ENOMEM;
    memcpy(props, route->props, size);
    routes[w->n_routes] = *route;
    routes[w->n_routes++].props = props;
    return 0;
}

void nsh_ways_done(struct nsh_ways *w)
{
    for (size_t i = 0; i < w->n_routes; i++)
        free((void *)w->routes[i].props);
    free(w->routes);
    free(w->rules);
    *w = (struct nsh_ways){0};
}

/* ---- rules ---- */

static bool in_range(const struct nsh_range *r, uint16_t port)
{
    return r->last == 0 || (port >= r->first && port <= r->last);
}

static bool in_prefix(const struct nsh_prefix *p, int family, const union nsh_addr *addr)
{
    static const union nsh_addr none;

    return p->family == AF_UNSPEC || nsh_prefix_contains(p, family, addr ? addr : &none);
}

/* What is forwarded is nobody's, which counts as root's. */
bool nsh_way_rule_matches(const struct nsh_rule *r, const struct nsh_way_query *q)
{
    bool same = in_prefix(&r->to, q->family, q->to) && in_prefix(&r->from, q->family, q->from) &&
                (r->iif[0] == '\0' || strcmp(r->iif, q->iif) == 0) && r->oif[0] == '\0' &&
                (q->mark & r->mark.mask) == r->mark.value && r->tos == 0 &&
                (r->ip_protocol == 0 || r->ip_protocol == q->protocol) &&
                in_range(&r->source_port, q->source_port) &&
                in_range(&r->destination_port, q->destination_port) && r->uids.first == 0;

    return r->family == q->family && same != r->invert;
}

/* Whom this machine's own packets are from is not known. */
static bool is_certain(const struct nsh_rule *r, const struct nsh_way_query *q)
{
    bool anyone = r->uids.first == 0 && r->uids.last == NSH_UID_ANY_LAST;

    return !r->inexact && (anyone || strcmp(q->iif, "lo") != 0);
}

/* ---- routes ---- */

bool nsh_way_is_better(const struct nsh_route *a, const struct nsh_route *b)
{
    if (a->dst_length != b->dst_length)
        return a->dst_length > b->dst_length;
    return a->metric < b->metric;
}

bool nsh_way_leaves_by(const struct nsh_route *r, uint32_t ifindex)
{
    for (uint32_t i = 0; i < r->props->n_nexthops; i++)
        if (r->props->nexthops[i].ifindex == ifindex)
            return true;
    return false;
}

static const struct nsh_route *best_in(
        const struct nsh_ways *w, uint32_t table, const struct nsh_way_query *q)
{
    const struct nsh_route *best = NULL;

    for (size_t i = 0; i < w->n_routes; i++) {
        const struct nsh_route *r = &w->routes[i];

        if (r->table == table && r->tos == 0 && nsh_way_route_covers(r, q->family, q->to) &&
                (!best || nsh_way_is_better(r, best)))
            best = r;
    }
    return best;
}

/* What the rule comes to; true: it ends there. */
static bool follow(const struct nsh_ways *w, const struct nsh_rule *r,
        const struct nsh_way_query *q, struct nsh_way *ret)
{
    const struct nsh_route *route = NULL;

    if (r->action == FR_ACT_TO_TBL) {
        route = best_in(w, r->table, q);
        if (!route || route->props->type == RTN_THROW ||
                (r->suppress_length != NSH_SUPPRESS_NONE &&
                        route->dst_length <= r->suppress_length))
            return false;
        if (r->suppress_group != NSH_SUPPRESS_NONE)
            ret->certain = false;
    } else if (r->action != FR_ACT_BLACKHOLE && r->action != FR_ACT_UNREACHABLE &&
               r->action != FR_ACT_PROHIBIT) {
        return false;
    }
    ret->rule = r;
    ret->route = route;
    return true;
}

void nsh_way_find(const struct nsh_ways *w, const struct nsh_way_query *q, struct nsh_way *ret)
{
    uint32_t from = 0; /* a goto leads there */

    *ret = (struct nsh_way){.certain = true};
    for (size_t i = 0; i < w->n_rules; i++) {
        const struct nsh_rule *r = &w->rules[i];

        if (r->family != q->family || r->priority < from)
            continue;
        if (!is_certain(r, q))
            ret->certain = false;
        if (!nsh_way_rule_matches(r, q) || r->inexact)
            continue;
        if (r->l3mdev) {
            ret->vrf = ret->vrf ? ret->vrf : r;
            continue;
        }
        if (r->action == FR_ACT_GOTO)
            from = r->target;
        else if (follow(w, r, q, ret))
            return;
    }
}
