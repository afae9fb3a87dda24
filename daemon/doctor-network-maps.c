/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether packets for the outside addresses of a network-map find this machine. Where they are of
 * the link's own subnet they are asked for there, by ARP or neighbour discovery, and the kernel
 * answers for what it has or, in IPv4, what a route of type local says it has. All others somebody
 * has to route here, which for private ones nobody on the Internet does.
 */
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "doctor.h"
#include "text.h"

#define LOOK_MAX 256U /* addresses of one map */

struct outside {
    const struct nsh_network_map *map;
    const struct nsh_survey_link *link;
};

/* ---- gateways among them ---- */

struct gateway {
    const struct outside *o;
    union nsh_addr address;
    bool found;
};

static void see_gateway(struct gateway *g, const struct nsh_nexthop *nh, uint32_t ifindex)
{
    if (g->found || nh->via_family == AF_UNSPEC || ifindex != g->o->link->ifindex ||
            !nsh_prefix_contains(&g->o->map->outside, nh->via_family, &nh->via))
        return;
    g->found = true;
    g->address = nh->via;
}

static int see_route(void *userdata, const struct nsh_route *r)
{
    for (uint32_t i = 0; i < r->props->n_nexthops; i++)
        see_gateway(userdata, &r->props->nexthops[i], r->props->nexthops[i].ifindex);
    return 0;
}

static void see_wanted(struct gateway *g, const struct nsh_desired *d, const struct nsh_route *r)
{
    for (uint32_t i = 0; i < r->props->n_nexthops; i++) {
        const struct nsh_nexthop *nh = &r->props->nexthops[i];

        if (nh->link != NSH_NO_LINK && nsh_desired_is_open(d, r->props->when))
            see_gateway(g, nh, d->links[nh->link].ifindex);
    }
}

/*
 * By an address that a gateway has nobody inside gets an answer. And no hint for the others: one
 * that takes all of them over, as the kernel's way to them, would take over the gateway as well.
 */
static bool holds_gateway(struct doctor *d, const struct outside *o)
{
    struct gateway g = {.o = o};
    char prefix[NSH_PREFIX_TEXT], address[NSH_ADDR_TEXT];

    if (nsh_fib_dump(d->fib, &(struct nsh_fib_filter){0}, see_route, &g) < 0)
        return false;
    for (size_t i = 0; i < d->desired->n_routes; i++)
        see_wanted(&g, d->desired, &d->desired->routes[i]);
    if (!g.found)
        return false;
    doctor_find(d, o->map->policy.origin, "write an 'outside' of addresses that nobody else has",
            "the outside addresses of '%s', %s, have a gateway of this machine among them, %s",
            o->map->policy.name, nsh_prefix_format(&o->map->outside, prefix),
            nsh_addr_format(o->map->outside.family, &g.address, address));
    return true;
}

/* ---- on the link ---- */

static bool is_own(const struct nsh_survey *s, int family, const union nsh_addr *a)
{
    for (size_t i = 0; i < s->n_addresses; i++)
        if (s->addresses[i].family == family && nsh_addr_cmp(&s->addresses[i].address, a) == 0)
            return true;
    return false;
}

/* A wanted route says that this machine has it. */
static bool will_be_own(const struct nsh_desired *d, int family, const union nsh_addr *a)
{
    for (size_t i = 0; i < d->n_routes && family == AF_INET; i++) {
        const struct nsh_route *r = &d->routes[i];
        const struct nsh_prefix p = {.addr = r->dst, .family = r->family, .length = r->dst_length};

        if (r->props->type == RTN_LOCAL && nsh_prefix_contains(&p, family, a) &&
                nsh_desired_is_open(d, r->props->when))
            return true;
    }
    return false;
}

/* Whether the kernel itself would look for the address on the link: then it does not answer. */
static bool is_elsewhere(struct doctor *d, const struct outside *o, const union nsh_addr *a)
{
    int family = o->map->outside.family;
    struct nsh_fib_path path;

    return !is_own(&d->survey, family, a) && !will_be_own(d->desired, family, a) &&
           d->fib->ops->lookup(d->fib, family, a, 0, NULL, &path) == 0 && path.on_link &&
           path.ifindex == o->link->ifindex;
}

static bool answers_for_others(const struct doctor *d, const struct outside *o)
{
    if (o->map->outside.family == AF_INET)
        return doctor_sysctl_of(d, AF_INET, o->link->name, "proxy_arp_pvlan") == 1;
    return doctor_sysctl_of(d, AF_INET6, o->link->name, "proxy_ndp") == 1 ||
           doctor_sysctl_of(d, AF_INET6, "all", "proxy_ndp") == 1;
}

static union nsh_addr at(const struct nsh_prefix *p, unsigned i)
{
    union nsh_addr a = p->addr;
    size_t last = nsh_addr_size(p->family) - 1;

    a.bytes[last] = (uint8_t)(a.bytes[last] + i % 256);
    return a;
}

static void tell_of_unanswered(struct doctor *d, const struct outside *o, const union nsh_addr *a)
{
    const struct nsh_network_map *m = o->map;
    char prefix[NSH_PREFIX_TEXT], address[NSH_ADDR_TEXT], dev[NSH_TEXT_DEVICE], fix[512];

    nsh_prefix_format(&m->outside, prefix);
    nsh_addr_format(m->outside.family, a, address);
    if (m->outside.family == AF_INET)
        snprintf(fix, sizeof fix,
                "write the route {to: %s, type: local, dev: lo}, and this machine answers for "
                "them; or have the router there route them to it",
                prefix);
    else
        snprintf(fix, sizeof fix,
                "have the router there route %s to this machine; or, for each address: sysctl -w "
                "net/ipv6/conf/%s/proxy_ndp=1 && ip neigh add proxy %s dev %s",
                prefix, nsh_text_word(o->link->name, dev, sizeof dev), address, dev);
    doctor_find(d, m->policy.origin, fix,
            "nobody answers for %s at '%s': the outside addresses of '%s' are of that link's own "
            "subnet, and this machine does not have them",
            address, o->link->name, m->policy.name);
}

static void look_on_link(struct doctor *d, const struct outside *o, const struct nsh_prefix *subnet)
{
    const struct nsh_prefix *part =
            subnet->length > o->map->outside.length ? subnet : &o->map->outside;
    unsigned bits = nsh_addr_bits(part->family) - part->length, n = LOOK_MAX;

    if (bits < 8)
        n = 1U << bits;
    if (answers_for_others(d, o))
        return;
    for (unsigned i = 0; i < n; i++) {
        union nsh_addr a = at(part, i);

        if (!is_elsewhere(d, o, &a))
            continue;
        tell_of_unanswered(d, o, &a);
        return;
    }
}

/* ---- elsewhere ---- */

/* The device leads to the world, and this machine has an address there that the world knows. */
static bool is_public(const struct nsh_survey *s, const struct nsh_survey_link *l, int family)
{
    for (size_t i = 0; l->leads_out[nsh_family_index(family)] && i < s->n_addresses; i++)
        if (s->addresses[i].ifindex == l->ifindex && s->addresses[i].family == family &&
                !nsh_addr_is_private(family, &s->addresses[i].address) &&
                !nsh_addr_is_link_local(family, &s->addresses[i].address))
            return true;
    return false;
}

static void look_beyond(struct doctor *d, const struct outside *o)
{
    const struct nsh_prefix *outside = &o->map->outside;
    char prefix[NSH_PREFIX_TEXT];

    if (!nsh_addr_is_private(outside->family, &outside->addr) ||
            !is_public(&d->survey, o->link, outside->family))
        return;
    doctor_find(d, o->map->policy.origin,
            "write a prefix that is routed to this machine; or leave what leaves there to a "
            "'share' or 'masquerade'",
            "'%s' leads to the Internet, where nobody routes %s: what '%s' translates gets no "
            "answer",
            o->link->name, nsh_prefix_format(outside, prefix), o->map->policy.name);
}

/* ---- all of them ---- */

static void look_at(struct doctor *d, const struct outside *o)
{
    const struct nsh_prefix *outside = &o->map->outside;

    if (holds_gateway(d, o))
        return;
    for (size_t i = 0; i < d->survey.n_subnets; i++) {
        const struct nsh_survey_subnet *s = &d->survey.subnets[i];

        if (s->ifindex == o->link->ifindex && doctor_overlap(&s->prefix, outside)) {
            look_on_link(d, o, &s->prefix);
            return;
        }
    }
    look_beyond(d, o);
}

void doctor_network_maps(struct doctor *d)
{
    const struct nsh_config *c;

    if (!doctor_can_judge(d))
        return;
    c = d->desired->config;
    for (size_t i = 0; i < c->n_network_maps; i++) {
        const struct nsh_network_map *m = &c->network_maps[i];

        for (size_t k = 0; k < d->survey.n_links; k++) {
            const struct outside o = {.map = m, .link = &d->survey.links[k]};

            if (doctor_in_force(d, &m->policy) && !o.link->alias && o.link->up &&
                    doctor_is_side(&d->survey, &m->devices, o.link->ifindex))
                look_at(d, &o);
        }
    }
}
