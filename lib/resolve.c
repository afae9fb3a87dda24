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

static bool is_without_ipv6(struct nsh_fib *fib, const char *device)
{
    char key[64];
    int value;

    snprintf(key, sizeof key, "net/ipv6/conf/%s/disable_ipv6", device);
    return fib->ops->sysctl_get(fib, key, &value) == 0 && value != 0;
}

const char *nsh_forwarding_key(int family)
{
    return family == AF_INET6 ? "net/ipv6/conf/all/forwarding" : "net/ipv4/ip_forward";
}

bool nsh_desired_is_forwarded(
        struct nsh_fib *fib, const struct nsh_desired *d, int family, bool ours)
{
    bool leave = d->config->settings.forwarding == NSH_FORWARDING_LEAVE;
    int value;

    return d->forwarding[nsh_family_index(family)] ||
           ((leave || !ours) &&
                   fib->ops->sysctl_get(fib, nsh_forwarding_key(family), &value) == 0 &&
                   value != 0);
}

/* Where IPv4 shows and IPv6 does not, there is none. */
static bool has_no_ipv6(struct nsh_fib *fib)
{
    int value;

    return fib->ops->sysctl_get(fib, nsh_forwarding_key(AF_INET6), &value) == -ENOENT &&
           fib->ops->sysctl_get(fib, nsh_forwarding_key(AF_INET), &value) == 0;
}

static bool any_ipv6_policy(const struct nsh_desired *d)
{
    for (size_t i = 0; i < d->n_chains; i++)
        if (d->chains[i].family == AF_INET6)
            return true;
    return false;
}

/* It has not gone: it is there under another name. */
static bool was_renamed(struct nsh_fib *fib, const struct nsh_device *one)
{
    char name[IFNAMSIZ];

    return one->ifindex != 0 && fib->ops->link_name(fib, one->ifindex, name) == 0 &&
           strcmp(name, one->name) != 0;
}

/* What is found stays found, whatever becomes of the next: it would not be told again. */
static void take_device(struct nsh_fib *fib, struct nsh_device *one, const struct nsh_device *now,
        bool *ret_changed)
{
    one->renamed = now->ifindex == 0 && (one->renamed || was_renamed(fib, one));
    *ret_changed =
            *ret_changed || now->ifindex != one->ifindex || now->without_ipv6 != one->without_ipv6;
    one->ifindex = now->ifindex;
    one->without_ipv6 = now->without_ipv6;
    one->marked = false;
}

/* By its very name: packet rules know no other. */
static int ask_for_device(
        struct nsh_fib *fib, const struct nsh_device *d, bool ipv6, struct nsh_device *ret)
{
    char name[IFNAMSIZ] = "";
    int q = fib->ops->link_index(fib, d->name, &ret->ifindex);

    if (q == 0)
        q = fib->ops->link_name(fib, ret->ifindex, name);
    if (q == -ENODEV || (q == 0 && strcmp(name, d->name) != 0))
        ret->ifindex = 0;
    ret->without_ipv6 = ipv6 && ret->ifindex != 0 && is_without_ipv6(fib, d->name);
    return q == -ENODEV ? 0 : q;
}

/* So many are asked for one by one: a machine may have thousands of links. */
#define FEW_DEVICES 8
#define LOOK_TRIES 3

struct links_look {
    const struct nsh_desired *d;
    bool ipv6;
    struct nsh_device *found; /* as they are named in `d` */
    uint32_t last;
};

static void see_link(void *userdata, const struct nsh_fib_link *l)
{
    struct links_look *look = userdata;
    const struct nsh_device *named = nsh_desired_device(look->d, l->name);

    if (named && l->ifindex != look->last) /* else it is another name */
        look->found[named - look->d->devices] = (struct nsh_device){
                .ifindex = l->ifindex, .without_ipv6 = look->ipv6 && l->without_ipv6};
    look->last = l->ifindex;
}

/* In *ret, the caller's to free. A look that was disturbed is none, and there is another. */
static int look_at_links(
        struct nsh_fib *fib, const struct nsh_desired *d, bool ipv6, struct nsh_device **ret)
{
    nsh_autofree struct nsh_device *found = malloc(d->n_devices * sizeof(*found));
    int q = found ? -EAGAIN : -ENOMEM;

    for (int i = 0; i < LOOK_TRIES && q == -EAGAIN; i++) {
        struct links_look look = {.d = d, .ipv6 = ipv6, .found = found};

        memset(found, 0, d->n_devices * sizeof(*found));
        q = fib->ops->links(fib, see_link, &look);
    }
    if (q == 0)
        *ret = NSH_TAKE_PTR(found);
    return q;
}

static int resolve_devices(struct nsh_fib *fib, struct nsh_desired *d, bool all, bool *ret_changed)
{
    nsh_autofree struct nsh_device *found = NULL;
    bool ipv6 = any_ipv6_policy(d);
    size_t n = 0;
    int q = 0;

    for (size_t i = 0; i < d->n_devices; i++)
        n += all || d->devices[i].marked;
    if (n > FEW_DEVICES)
        q = look_at_links(fib, d, ipv6, &found);
    for (size_t i = 0; q == 0 && i < d->n_devices; i++) {
        struct nsh_device now = {0};

        if (!all && !d->devices[i].marked)
            continue;
        if (!found)
            q = ask_for_device(fib, &d->devices[i], ipv6, &now);
        if (q == 0)
            take_device(fib, &d->devices[i], found ? &found[i] : &now, ret_changed);
    }
    return q;
}

int nsh_desired_resolve_marked(struct nsh_fib *fib, struct nsh_desired *d, bool *ret_changed)
{
    *ret_changed = false;
    return resolve_devices(fib, d, false, ret_changed);
}

int nsh_desired_resolve_devices(struct nsh_fib *fib, struct nsh_desired *d, bool *ret_changed)
{
    bool lacks = any_ipv6_policy(d) && has_no_ipv6(fib);
    int q;

    *ret_changed = false;
    q = resolve_devices(fib, d, true, ret_changed);
    if (q < 0)
        return q;
    *ret_changed = *ret_changed || !d->devices_known || lacks != d->lacks[NSH_V6];
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
