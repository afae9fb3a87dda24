/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Routes in VRFs: which table they are in.
 *
 * The routes are kept sorted by identity, which the table is a part of, and a VRF may come, go and
 * come back with another table. So they are arranged anew, in an array of their own beside the
 * configuration's, whenever one does; what has no table stands in front. For those who follow what
 * is wanted that is a new configuration.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "desired.h"

const struct nsh_vrf *nsh_desired_vrf(const struct nsh_desired *d, const char *name)
{
    for (size_t i = 0; i < d->n_vrfs; i++)
        if (strcmp(d->vrfs[i].name, name) == 0)
            return &d->vrfs[i];
    return NULL;
}

static bool names_vrf(const struct nsh_route *r)
{
    return r->props->vrf[0] != '\0';
}

static uint32_t table_of(const struct nsh_desired *d, const struct nsh_route *r)
{
    return nsh_desired_vrf(d, r->props->vrf)->table;
}

/* ---- one key ---- */

/* Of routes on one key all but one lose their place. */
static void settle_key(struct nsh_route *routes, size_t n)
{
    size_t stays = 0;

    for (size_t i = 1; i < n && names_vrf(&routes[stays]); i++)
        if (!names_vrf(&routes[i]) || routes[i].origin < routes[stays].origin)
            stays = i;
    for (size_t i = 0; i < n; i++)
        if (i != stays)
            routes[i].table = NSH_NO_TABLE;
}

static void settle_keys(struct nsh_route *routes, size_t n)
{
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && nsh_route_id_cmp(&routes[i], &routes[end]) == 0; end++)
            ;
        if (end - i > 1)
            settle_key(routes + i, end - i);
    }
    nsh_routes_sort(routes, n);
}

/* ---- all of them ---- */

/*
 * The routes in VRFs come first in their family, and in their order but for the table; so it is
 * enough to gather them by table, and to merge that with the rest: it must not take long where
 * they are a million.
 */
struct gathering {
    const struct nsh_desired *d;
    uint32_t *tables; /* that VRFs have, ascending, each once */
    size_t *next;     /* where the next route of each goes */
    size_t n_tables;
    /* The last answer: a million routes share their properties. */
    const struct nsh_route_props *props;
    size_t slot;
};

static int compare_tables(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void gathering_done(struct gathering *g)
{
    free(g->tables);
    free(g->next);
}

static int gathering_init(struct gathering *g, const struct nsh_desired *d)
{
    g->d = d;
    g->tables = calloc(d->n_vrfs, sizeof(*g->tables));
    g->next = calloc(d->n_vrfs, sizeof(*g->next));
    if (!g->tables || !g->next)
        return -ENOMEM;
    for (size_t i = 0; i < d->n_vrfs; i++)
        g->tables[i] = d->vrfs[i].table;
    qsort(g->tables, d->n_vrfs, sizeof(*g->tables), compare_tables);
    for (size_t i = 0; i < d->n_vrfs; i++)
        if (i == 0 || g->tables[i] != g->tables[g->n_tables - 1])
            g->tables[g->n_tables++] = g->tables[i];
    return 0;
}

static size_t slot_of(struct gathering *g, const struct nsh_route *r)
{
    uint32_t table;
    const uint32_t *found;

    if (r->props == g->props)
        return g->slot;
    table = table_of(g->d, r);
    found = bsearch(&table, g->tables, g->n_tables, sizeof(table), compare_tables);
    g->props = r->props;
    g->slot = found ? (size_t)(found - g->tables) : 0;
    return g->slot;
}

/* Copies routes in VRFs, with their tables, in order. */
static void gather(
        struct gathering *g, const struct nsh_route *from, size_t n, struct nsh_route *to)
{
    size_t at = 0;

    memset(g->next, 0, g->n_tables * sizeof(*g->next));
    for (size_t i = 0; i < n; i++)
        g->next[slot_of(g, &from[i])]++;
    for (size_t i = 0; i < g->n_tables; i++) {
        size_t count = g->next[i];

        g->next[i] = at;
        at += count;
    }
    for (size_t i = 0; i < n; i++) {
        size_t slot = slot_of(g, &from[i]);
        struct nsh_route *r = &to[g->next[slot]++];

        *r = from[i];
        r->table = g->tables[slot];
    }
}

/* Merges what was gathered at the end of `to` with the rest; true if two are on one key. */
static bool merge(struct nsh_route *to, size_t n, const struct nsh_route *rest, size_t n_rest)
{
    size_t left = n_rest, at = n_rest;
    bool twice = false;

    /* Once nothing is left, what was gathered is in its place. */
    while (left > 0 && at < n) {
        int r = nsh_route_id_cmp(&to[at], rest);

        twice = twice || r == 0;
        if (r < 0) {
            to[at - left] = to[at];
            at++;
        } else {
            to[at - left] = *rest++;
            left--;
        }
    }
    if (left > 0)
        memcpy(&to[at - left], rest, left * sizeof(*rest));
    return twice;
}

/* The first from `low` on that is of another family, or of another than no table. */
static size_t end_of(const struct nsh_config *c, size_t low, bool no_table)
{
    uint8_t family = low < c->n_routes ? c->routes[low].family : 0;
    size_t high = c->n_routes;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct nsh_route *r = &c->routes[middle];

        if (r->family == family && (!no_table || r->table == NSH_NO_TABLE))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int arrange(struct nsh_desired *d)
{
    NSH_CLEANUP(gathering_done) struct gathering g = {0};
    const struct nsh_config *c = d->config;
    struct nsh_route *routes;
    bool twice = false;

    if (gathering_init(&g, d) < 0 || !(routes = calloc(c->n_routes + 1, sizeof(*routes))))
        return -ENOMEM;
    for (size_t begin = 0, end; begin < c->n_routes; begin = end) {
        size_t rest = end_of(c, begin, true);

        end = end_of(c, begin, false);
        gather(&g, c->routes + begin, rest - begin, routes + end - (rest - begin));
        twice |= merge(routes + begin, end - begin, c->routes + rest, end - rest);
    }
    /* Two VRFs with one table may have a key in common as well. */
    if (twice || g.n_tables < d->n_vrfs)
        settle_keys(routes, c->n_routes);
    free(d->placed);
    d->routes = d->placed = routes;
    for (size_t i = 0; i < d->n_vrfs; i++)
        d->vrf_tables[i] = d->vrfs[i].table;
    return 0;
}

int nsh_desired_place(struct nsh_desired *d)
{
    int r = 0;

    if (d->n_vrfs > 0) {
        if (!d->vrf_tables)
            d->vrf_tables = calloc(d->n_vrfs, sizeof(*d->vrf_tables));
        r = d->vrf_tables ? arrange(d) : -ENOMEM;
    }
    return r == 0 ? nsh_desired_index(d) : r;
}

int nsh_desired_again(const struct nsh_desired *d, struct nsh_desired **ret)
{
    int r = nsh_desired_new(nsh_config_share(d->config), ret);

    if (r < 0)
        nsh_config_free(d->config);
    return r;
}

/* Who has the place that the route would have. */
static const struct nsh_route *holder(const struct nsh_desired *d, const struct nsh_route *route)
{
    struct nsh_route key = *route;
    size_t i;

    key.table = table_of(d, route);
    i = nsh_desired_find_route(d, &key);
    return i == SIZE_MAX ? NULL : &d->routes[i];
}

const char *nsh_desired_unplaced(
        const struct nsh_desired *d, const struct nsh_route *route, char *buf, size_t size)
{
    const struct nsh_vrf *vrf = nsh_desired_vrf(d, route->props->vrf);
    const struct nsh_route *other;
    const char *path;
    uint32_t line = 0;

    if (vrf->table == NSH_NO_TABLE) {
        snprintf(buf, size, vrf->ifindex == 0 ? "VRF %s does not exist" : "device %s is no VRF",
                vrf->name);
        return buf;
    }
    other = holder(d, route);
    path = other ? nsh_origins_resolve(d->config->origins, other->origin, &line) : NULL;
    snprintf(buf, size, "VRF %s is table %u, and the route at %s:%u has its place there", vrf->name,
            vrf->table, path ? path : "?", line);
    return buf;
}
