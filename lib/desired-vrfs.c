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

/* Of routes on one key, in the order of the files, all but one lose their place. */
static void settle_key(struct nsh_route *routes, size_t n)
{
    size_t stays = 0;

    while (stays < n && names_vrf(&routes[stays]))
        stays++;
    if (stays == n)
        stays = 0;
    for (size_t i = 0; i < n; i++)
        if (i != stays)
            routes[i].table = NSH_NO_TABLE;
}

/* True if a route has lost its place. */
static bool settle_keys(struct nsh_route *routes, size_t n)
{
    bool moved = false;

    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && nsh_route_id_cmp(&routes[i], &routes[end]) == 0; end++)
            ;
        if (end - i == 1)
            continue;
        settle_key(routes + i, end - i);
        moved = true;
    }
    return moved;
}

static int arrange(struct nsh_desired *d)
{
    const struct nsh_config *c = d->config;
    struct nsh_route *routes = calloc(c->n_routes + 1, sizeof(*routes));

    if (!routes)
        return -ENOMEM;
    for (size_t i = 0; i < c->n_routes; i++) {
        routes[i] = c->routes[i];
        if (names_vrf(&routes[i]))
            routes[i].table = table_of(d, &routes[i]);
    }
    nsh_routes_sort(routes, c->n_routes);
    if (settle_keys(routes, c->n_routes))
        nsh_routes_sort(routes, c->n_routes);
    free(d->placed);
    d->routes = d->placed = routes;
    return 0;
}

int nsh_desired_place(struct nsh_desired *d)
{
    int r = d->n_vrfs > 0 ? arrange(d) : 0;

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
