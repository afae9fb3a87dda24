/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

int nsh_desired_look_up(struct nsh_fib *fib, const struct nsh_desired *d, const char *vrf,
        int family, const union nsh_addr *gateway, struct nsh_fib_path *ret)
{
    const struct nsh_vrf *v = nsh_desired_vrf(d, vrf);

    if (v && v->table != NSH_NO_TABLE &&
            fib->ops->vrf_lookup(fib, v->ifindex, family, gateway, ret) == 0 && ret->on_link)
        return 0;
    return fib->ops->lookup(fib, family, gateway, 0, NULL, ret);
}

static int resolve_one(
        struct nsh_fib *fib, const struct nsh_desired *d, const struct nsh_link *l, uint32_t *ret)
{
    struct nsh_fib_path path;
    int q;

    *ret = 0;
    if (l->gateway_family == AF_UNSPEC) {
        q = fib->ops->link_index(fib, l->name, ret);
        return q == -ENODEV ? 0 : q;
    }
    /* A gateway behind another gateway is no nexthop: the kernel will say so when it is written. */
    q = nsh_desired_look_up(fib, d, l->vrf, l->gateway_family, &l->gateway, &path);
    if (q == 0 && path.on_link)
        *ret = path.ifindex;
    return q == -ENOMEM || q == -EPERM ? q : 0;
}

int nsh_desired_resolve(struct nsh_fib *fib, struct nsh_desired *d, bool *ret_changed)
{
    bool changed = false;

    for (size_t i = 0; i < d->n_links; i++) {
        uint32_t ifindex;
        int q = resolve_one(fib, d, &d->links[i], &ifindex);

        if (q < 0)
            return q;
        changed = changed || ifindex != d->links[i].ifindex;
        d->links[i].ifindex = ifindex;
    }
    *ret_changed = changed;
    return 0;
}

int nsh_desired_resolve_vrfs(struct nsh_fib *fib, struct nsh_desired *d, bool *ret_changed)
{
    bool changed = false;

    for (size_t i = 0; i < d->n_vrfs; i++) {
        uint32_t ifindex, table;
        int q = fib->ops->vrf(fib, d->vrfs[i].name, &ifindex, &table);

        if (q == -ENODEV)
            ifindex = table = 0;
        else if (q < 0)
            return q;
        changed = changed || table != d->vrf_tables[i];
        d->vrfs[i].ifindex = ifindex;
        d->vrfs[i].table = table;
    }
    *ret_changed = changed;
    return 0;
}

/* By its very name: packet rules know no other. */
static int resolve_device(struct nsh_fib *fib, const struct nsh_device *d, uint32_t *ret)
{
    char name[IFNAMSIZ] = "";
    int q = fib->ops->link_index(fib, d->name, ret);

    if (q == 0)
        q = fib->ops->link_name(fib, *ret, name);
    if (q == -ENODEV || (q == 0 && strcmp(name, d->name) != 0))
        *ret = 0;
    return q == -ENODEV ? 0 : q;
}

static bool is_without_ipv6(struct nsh_fib *fib, const char *device)
{
    char key[64];
    int value;

    snprintf(key, sizeof key, "net/ipv6/conf/%s/disable_ipv6", device);
    return fib->ops->sysctl_get(fib, key, &value) == 0 && value != 0;
}

/* Where IPv4 shows and IPv6 does not, there is none. */
static bool has_no_ipv6(struct nsh_fib *fib)
{
    int value;

    return fib->ops->sysctl_get(fib, "net/ipv6/conf/all/forwarding", &value) == -ENOENT &&
           fib->ops->sysctl_get(fib, "net/ipv4/ip_forward", &value) == 0;
}

static bool any_ipv6_policy(const struct nsh_desired *d)
{
    for (size_t i = 0; i < d->n_chains; i++)
        if (d->chains[i].family == AF_INET6)
            return true;
    return false;
}

/* What is found stays found, whatever becomes of the next: it would not be told again. */
static int update_device(struct nsh_fib *fib, struct nsh_device *one, bool ipv6, bool *ret_changed)
{
    uint32_t ifindex = 0;
    bool without;
    int q = resolve_device(fib, one, &ifindex);

    if (q < 0)
        return q;
    without = ipv6 && ifindex != 0 && is_without_ipv6(fib, one->name);
    *ret_changed = *ret_changed || ifindex != one->ifindex || without != one->without_ipv6;
    one->ifindex = ifindex;
    one->without_ipv6 = without;
    one->marked = false;
    return 0;
}

int nsh_desired_resolve_marked(struct nsh_fib *fib, struct nsh_desired *d, bool *ret_changed)
{
    bool ipv6 = any_ipv6_policy(d);

    *ret_changed = false;
    for (size_t i = 0; i < d->n_devices; i++) {
        int q = d->devices[i].marked ? update_device(fib, &d->devices[i], ipv6, ret_changed) : 0;

        if (q < 0)
            return q;
    }
    return 0;
}

int nsh_desired_resolve_devices(struct nsh_fib *fib, struct nsh_desired *d, bool *ret_changed)
{
    bool ipv6 = any_ipv6_policy(d), lacks = ipv6 && has_no_ipv6(fib);

    *ret_changed = !d->devices_known || lacks != d->lacks[NSH_V6];
    for (size_t i = 0; i < d->n_devices; i++) {
        int q = update_device(fib, &d->devices[i], ipv6, ret_changed);

        if (q < 0)
            return q;
    }
    d->lacks[NSH_V6] = lacks;
    d->devices_known = true;
    return 0;
}

const char *nsh_desired_missing_link(const struct nsh_desired *d, const struct nsh_route *r)
{
    const struct nsh_route_props *p = r->props;

    if (p->n_nexthops == 0 || nsh_route_count_present(p, d->links) > 0)
        return NULL;
    return d->links[p->nexthops[0].link].name;
}

/* The links of a copy, in which each device is one by name. Returns how many names were found. */
static uint32_t name_links(
        struct nsh_fib *fib, struct nsh_route_props *props, struct nsh_link *links)
{
    uint32_t named = 0;

    for (uint32_t i = 0; i < props->n_nexthops; i++) {
        struct nsh_nexthop *nh = &props->nexthops[i];

        if (nh->ifindex == 0 || fib->ops->link_name(fib, nh->ifindex, links[i].name) < 0)
            continue;
        links[i].ifindex = nh->ifindex;
        nh->link = i;
        named++;
    }
    return named;
}

const char *nsh_route_format_seen(
        struct nsh_fib *fib, const struct nsh_route *r, char *buf, size_t size)
{
    struct nsh_link links[NSH_NEXTHOPS_MAX] = {0};
    size_t n = nsh_route_props_size(r->props->n_nexthops);
    nsh_autofree struct nsh_route_props *props = malloc(n);
    struct nsh_route copy = *r;

    if (!props || r->props->n_nexthops > NSH_NEXTHOPS_MAX)
        return nsh_route_format(r, NULL, buf, size);
    memcpy(props, r->props, n);
    copy.props = props;
    return nsh_route_format(&copy, name_links(fib, props, links) > 0 ? links : NULL, buf, size);
}
