/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "default-routes.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

#include "cleanup.h"
#include "resolve.h"

NSH_DEFINE_CLEANUP(struct nsh_fib *, nsh_fib_free)

static bool is_default(const struct nsh_route *r)
{
    return r->dst_length == 0 && r->table == RT_TABLE_MAIN;
}

bool nsh_default_route_wanted(const struct nsh_desired *d, int family)
{
    const struct nsh_route first = {.family = (uint8_t)family, .table = RT_TABLE_MAIN};
    size_t i = nsh_desired_lower_bound(d, &first);

    return i < d->n_routes && d->routes[i].family == family && is_default(&d->routes[i]);
}

void nsh_default_routes_see(struct nsh_default_routes *all, struct nsh_fib *fib,
        const struct nsh_desired *d, uint8_t before, const struct nsh_route *seen)
{
    int f = nsh_family_index(seen->family);
    bool ours = seen->protocol == d->protocol || (before != 0 && seen->protocol == before);

    if (!is_default(seen) || seen->props->type != RTN_UNICAST)
        return;
    if (!ours)
        all->stays[f] = true;
    else if (all->goes[f][0] == '\0' && nsh_desired_find_route(d, seen) == SIZE_MAX)
        nsh_route_format_seen(fib, seen, all->goes[f], sizeof all->goes[f]);
}

const char *nsh_default_routes_lost(const struct nsh_default_routes *all,
        const struct nsh_desired *d, int family, char *buf, size_t size)
{
    int f = nsh_family_index(family);

    if (all->goes[f][0] == '\0' || all->stays[f] || nsh_default_route_wanted(d, family))
        return NULL;
    snprintf(buf, size,
            "the file leaves this machine without a default route of %s: the only one, %s, is "
            "netshared's, and is not in the file",
            f == NSH_V6 ? "IPv6" : "IPv4", all->goes[f]);
    return buf;
}

/* ---- asking ---- */

#define TRIES 3

struct asking {
    struct nsh_fib *fib;
    const struct nsh_desired *d;
    uint8_t before;
    struct nsh_default_routes all;
};

static int see(void *userdata, const struct nsh_route *seen)
{
    struct asking *a = userdata;

    nsh_default_routes_see(&a->all, a->fib, a->d, a->before, seen);
    return 0;
}

/* Where routes change all the time there may be no answer. */
static int ask(struct asking *a, int family)
{
    const struct nsh_fib_filter main = {.family = (uint8_t)family, .table = RT_TABLE_MAIN};
    int q = -EAGAIN;

    for (int tries = 0; q == -EAGAIN && tries < TRIES; tries++) {
        a->all = (struct nsh_default_routes){0};
        q = nsh_fib_dump(a->fib, &main, see, a);
    }
    return q;
}

static void advise(struct asking *a, int family, struct nsh_diags *to)
{
    const struct nsh_origins *files = a->d->config->origins;
    const char *path = nsh_origins_files(files) > 0 ? nsh_origins_file(files, 0) : NULL, *text;
    char buf[512];

    if (ask(a, family) < 0)
        return;
    text = nsh_default_routes_lost(&a->all, a->d, family, buf, sizeof buf);
    if (text)
        nsh_diag_add(to, NSH_DIAG_WARNING, path, 0, 0, NSH_DEFAULT_ROUTE_FIX, "%s", text);
}

void nsh_advise_default_routes(const struct nsh_desired *d, const bool had[static NSH_FAMILIES],
        uint8_t before, struct nsh_diags *to)
{
    NSH_CLEANUP(nsh_fib_freep) struct nsh_fib *fib = NULL;
    struct asking a = {.d = d, .before = before};

    for (int f = 0; f < NSH_FAMILIES; f++) {
        int family = nsh_family_of(f);

        if (!had[f] || nsh_default_route_wanted(d, family) ||
                (!fib && nsh_fib_netlink_new(&fib) < 0))
            continue;
        a.fib = fib;
        advise(&a, family, to);
    }
}
