/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Routes that are right each by itself, of which one hides the other: what `check` warns of. A
 * second way with another device may be there for when the first is down; by the same device it
 * would be down as well.
 */
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "config-advise.h"

#define LOOK_BACK 16 /* routes of one prefix that are compared */

static bool same_prefix(const struct nsh_route *a, const struct nsh_route *b)
{
    /* One of which the rest could not be read has none. */
    return a->props && b->props && a->family == b->family && a->table == b->table &&
           a->dst_length == b->dst_length && nsh_addr_cmp(&a->dst, &b->dst) == 0 &&
           strcmp(a->props->vrf, b->props->vrf) == 0;
}

/* The one device by which it leads; NULL: it names none, or several. */
static const char *device_of(const struct nsh_loader *l, const struct nsh_route *r)
{
    const struct nsh_nexthop *nh = r->props->nexthops;

    if (r->props->n_nexthops != 1 || nh->link == NSH_NO_LINK)
        return NULL;
    return l->links.links[nh->link].name[0] != '\0' ? l->links.links[nh->link].name : NULL;
}

/*
 * If the kernel takes `b` it takes `a`: one without a gateway, or with the same. Another gateway
 * may be in a subnet that is not there.
 */
static bool is_as_reachable(
        const struct nsh_loader *l, const struct nsh_route *a, const struct nsh_route *b)
{
    const struct nsh_nexthop *one = a->props->nexthops, *other = b->props->nexthops;
    const char *device = device_of(l, a), *second = device_of(l, b);

    return device && second && strcmp(device, second) == 0 &&
           (one->via_family == AF_UNSPEC || (one->via_family == other->via_family &&
                                                    nsh_addr_cmp(&one->via, &other->via) == 0));
}

/* Whenever `b` could lead anywhere, `a` is there and has all of its packets. */
static bool hides(const struct nsh_loader *l, const struct nsh_route *a, const struct nsh_route *b)
{
    if (a->tos != b->tos || a->metric >= b->metric || a->props->varies != 0 ||
            a->props->when != NSH_NO_GATE || a->props->type == RTN_THROW)
        return false;
    return a->props->n_nexthops == 0 || is_as_reachable(l, a, b);
}

static void warn(struct nsh_loader *l, const struct nsh_route *a, const struct nsh_route *b)
{
    char place[NSH_PLACE_TEXT], hint[NSH_HINT_TEXT + NSH_PLACE_TEXT], key[160], first[160];
    uint32_t line;

    (void)snprintf(hint, sizeof(hint),
            "it is at %s: leave one of them out; if this one is to stand in, that one needs a "
            "'check' or 'when'",
            nsh_loader_place(l, a->origin, place, sizeof(place)));
    l->path = nsh_origins_resolve(l->config->origins, b->origin, &line);
    nsh_loader_warning(l, (struct nsh_yaml_mark){.line = line}, hint,
            "the route %s can never act: %s has a lower metric and is there whenever this is",
            nsh_route_format_key(b, key, sizeof(key)),
            nsh_route_format_key(a, first, sizeof(first)));
}

void nsh_advise_routes(struct nsh_loader *l)
{
    const struct nsh_route *routes = l->config->routes;

    for (size_t i = 1; i < l->config->n_routes && l->advise; i++)
        for (size_t k = i; k-- > 0 && i - k <= LOOK_BACK && same_prefix(&routes[k], &routes[i]);)
            if (hides(l, &routes[k], &routes[i])) {
                warn(l, &routes[k], &routes[i]);
                break;
            }
}
