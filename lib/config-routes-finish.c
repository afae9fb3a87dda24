/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The routes of all files together: sorted, and none given twice.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config-advise.h"

static void report_double(
        struct nsh_loader *l, const struct nsh_route *first, const struct nsh_route *second)
{
    char place[NSH_PLACE_TEXT], hint[NSH_HINT_TEXT], key[160];
    uint32_t line;

    l->path = nsh_origins_resolve(l->config->origins, second->origin, &line);
    if (first->origin == second->origin)
        (void)snprintf(hint, sizeof(hint), "both are on this line");
    else
        (void)snprintf(hint, sizeof(hint), "the first is at %s",
                nsh_loader_place(l, first->origin, place, sizeof(place)));
    nsh_loader_error(l, (struct nsh_yaml_mark){.line = line}, hint, "the route %s is given twice",
            nsh_route_format_key(second, key, sizeof(key)));
}

struct twin {
    size_t first, second;
    nsh_origin origin;
};

static int compare_twins(const void *a, const void *b)
{
    const struct twin *x = a, *y = b;

    return (x->origin > y->origin) - (x->origin < y->origin);
}

/* In the order of the files, since that is how they will be mended. */
static void find_doubles(struct nsh_loader *l)
{
    const struct nsh_route *routes = l->config->routes;
    nsh_autofree struct twin *twins = NULL;
    size_t n = 0, room = 0, first = 0;

    for (size_t i = 1; i < l->config->n_routes; i++) {
        if (nsh_route_id_cmp(&routes[first], &routes[i]) != 0) {
            first = i;
            continue;
        }
        if (!nsh_loader_grow(l, &twins, n, &room, sizeof(*twins)))
            return;
        twins[n++] = (struct twin){.first = first, .second = i, .origin = routes[i].origin};
    }
    if (n > 0)
        qsort(twins, n, sizeof(*twins), compare_twins);
    for (size_t i = 0; i < n; i++)
        report_double(l, &routes[twins[i].first], &routes[twins[i].second]);
}

/* false: no memory, reported. */
static bool keep(struct nsh_loader *l, void *ret, const void *items, size_t size)
{
    void *copy;

    if (size == 0)
        return true;
    copy = nsh_arena_alloc(l->config->arena, size);
    if (!copy) {
        nsh_loader_no_memory(l);
        return false;
    }
    memcpy(copy, items, size);
    memcpy(ret, &copy, sizeof(copy));
    return true;
}

void nsh_finish_routes(struct nsh_loader *l)
{
    struct nsh_config *c = l->config;
    struct nsh_route *trimmed;

    nsh_routes_sort(c->routes, c->n_routes);
    find_doubles(l);
    nsh_advise_routes(l);
    if (c->n_routes == 0) {
        free(c->routes);
        c->routes = NULL;
    } else if ((trimmed = realloc(c->routes, c->n_routes * sizeof(*trimmed)))) {
        c->routes = trimmed;
    }
    if (!keep(l, &c->links, l->links.links, l->links.n * sizeof(*c->links)) ||
            !keep(l, &c->vrfs, l->vrfs, l->n_vrfs * sizeof(*c->vrfs)))
        return;
    c->n_links = l->links.n;
    c->n_vrfs = l->n_vrfs;
}
