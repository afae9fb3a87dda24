/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "offline.h"

/* Far from tables that are given by number, and the same for both files. */
#define VRF_TABLE 0x6e000000U
/* The device of a gateway that is behind no interface of the file. */
#define ANY_DEVICE 1U

struct offline_fib {
    struct nsh_fib base;
    const struct nsh_desired *held;
    uint8_t protocol;
    char (*names)[IFNAMSIZ]; /* of interfaces; the index of one is its place + ANY_DEVICE + 1 */
    uint32_t n_names;
};

static struct offline_fib *offline_of(struct nsh_fib *fib)
{
    return (struct offline_fib *)fib;
}

static void offline_free(struct nsh_fib *fib)
{
    free(offline_of(fib)->names);
    free(fib);
}

/* ---- interfaces ---- */

static int link_index(struct nsh_fib *fib, const char *name, uint32_t *ret_ifindex)
{
    struct offline_fib *f = offline_of(fib);
    char(*more)[IFNAMSIZ];
    uint32_t i;

    for (i = 0; i < f->n_names && strcmp(f->names[i], name) != 0;)
        i++;
    if (i == f->n_names) {
        more = realloc(f->names, (i + 1) * sizeof(*more));
        if (!more)
            return -ENOMEM;
        f->names = more;
        snprintf(f->names[f->n_names++], IFNAMSIZ, "%s", name);
    }
    *ret_ifindex = ANY_DEVICE + 1 + i;
    return 0;
}

static int link_name(struct nsh_fib *fib, uint32_t ifindex, char ret_name[static IFNAMSIZ])
{
    const struct offline_fib *f = offline_of(fib);

    if (ifindex == ANY_DEVICE) { /* it has none, and is not to be told of */
        ret_name[0] = '\0';
        return 0;
    }
    if (ifindex < ANY_DEVICE || ifindex - ANY_DEVICE > f->n_names)
        return -ENODEV;
    snprintf(ret_name, IFNAMSIZ, "%s", f->names[ifindex - ANY_DEVICE - 1]);
    return 0;
}

static int vrf(struct nsh_fib *fib, const char *name, uint32_t *ret_ifindex, uint32_t *ret_table)
{
    int q = link_index(fib, name, ret_ifindex);

    if (q == 0)
        *ret_table = VRF_TABLE + *ret_ifindex;
    return q;
}

/* The device by which the file itself reaches the gateway, where it names one. */
static uint32_t device_to(const struct nsh_desired *held, int family, const union nsh_addr *gateway)
{
    for (size_t i = 0; i < held->n_routes; i++) {
        const struct nsh_route_props *p = held->routes[i].props;

        for (uint32_t k = 0; k < p->n_nexthops; k++) {
            const struct nsh_nexthop *n = &p->nexthops[k];

            if (n->via_family == family && n->link != NSH_NO_LINK &&
                    held->links[n->link].ifindex != 0 && nsh_addr_cmp(&n->via, gateway) == 0)
                return held->links[n->link].ifindex;
        }
    }
    return ANY_DEVICE;
}

static int lookup(struct nsh_fib *fib, int family, const union nsh_addr *addr, uint32_t iif,
        const union nsh_addr *from, struct nsh_fib_path *ret)
{
    (void)iif;
    (void)from;
    *ret = (struct nsh_fib_path){
            .ifindex = device_to(offline_of(fib)->held, family, addr), .on_link = true};
    return 0;
}

static int vrf_lookup(struct nsh_fib *fib, uint32_t in, int family, const union nsh_addr *addr,
        struct nsh_fib_path *ret)
{
    (void)in;
    return lookup(fib, family, addr, 0, NULL, ret);
}

/* ---- what it holds ---- */

static int dump_begin(struct nsh_fib *fib, const struct nsh_fib_filter *filter)
{
    (void)fib;
    (void)filter;
    return 0;
}

/* As the kernel shows a route: with the devices themselves. */
static int show(const struct offline_fib *f, const struct nsh_route *route,
        nsh_fib_route_seen *seen, void *userdata)
{
    union nsh_route_room effective, room;
    struct nsh_route now = nsh_desired_effective(f->held, route, &effective);

    memcpy(&room, now.props, nsh_route_props_size(now.props->n_nexthops));
    for (uint32_t i = 0; i < room.props.n_nexthops; i++) {
        struct nsh_nexthop *n = &room.props.nexthops[i];

        if (n->link != NSH_NO_LINK)
            n->ifindex = f->held->links[n->link].ifindex;
        n->link = NSH_NO_LINK;
    }
    now.props = &room.props;
    now.protocol = f->protocol;
    return seen(userdata, &now);
}

static int dump_read(struct nsh_fib *fib, nsh_fib_route_seen *seen, void *userdata)
{
    const struct offline_fib *f = offline_of(fib);
    int r = 0;

    for (size_t i = 0; i < f->held->n_routes && r == 0; i++)
        if (nsh_desired_standing(f->held, &f->held->routes[i], NULL) == NSH_STANDING_WANTED)
            r = show(f, &f->held->routes[i], seen, userdata);
    return r;
}

static int rules_dump(struct nsh_fib *fib, nsh_fib_rule_seen *seen, void *userdata)
{
    const struct offline_fib *f = offline_of(fib);
    int r = 0;

    for (size_t i = 0; i < f->held->n_rules && r == 0; i++) {
        struct nsh_rule rule = f->held->rules[i];

        rule.protocol = f->protocol;
        if (nsh_desired_is_open(f->held, rule.when))
            r = seen(userdata, &rule);
    }
    return r;
}

/* A file names devices, not what is on them. */
static int addresses(struct nsh_fib *fib, nsh_fib_address_seen *seen, void *userdata)
{
    (void)fib;
    (void)seen;
    (void)userdata;
    return 0;
}

static int links(struct nsh_fib *fib, nsh_fib_link_seen *seen, void *userdata)
{
    (void)fib;
    (void)seen;
    (void)userdata;
    return 0;
}

static int sysctl_get(struct nsh_fib *fib, const char *key, int *ret)
{
    const struct nsh_desired *held = offline_of(fib)->held;

    if (strcmp(key, "net/ipv4/ip_forward") == 0)
        *ret = held->forwarding[NSH_V4];
    else if (strcmp(key, "net/ipv6/conf/all/forwarding") == 0)
        *ret = held->forwarding[NSH_V6];
    else
        return -ENOENT;
    return 0;
}

static int sysctl_each_ipv6_conf(
        struct nsh_fib *fib, void (*each)(void *userdata, const char *name), void *userdata)
{
    (void)fib;
    (void)each;
    (void)userdata;
    return 0;
}

static const struct nsh_fib_ops ops = {
        .free = offline_free,
        .dump_begin = dump_begin,
        .dump_read = dump_read,
        .rules_dump = rules_dump,
        .addresses = addresses,
        .links = links,
        .link_index = link_index,
        .link_name = link_name,
        .vrf = vrf,
        .lookup = lookup,
        .vrf_lookup = vrf_lookup,
        .sysctl_get = sysctl_get,
        .sysctl_each_ipv6_conf = sysctl_each_ipv6_conf,
};

int nsh_offline_fib_new(struct nsh_desired *held, uint8_t protocol, struct nsh_fib **ret)
{
    struct offline_fib *f = calloc(1, sizeof(*f));

    if (!f)
        return -ENOMEM;
    *f = (struct offline_fib){.base.ops = &ops, .held = held, .protocol = protocol};
    *ret = &f->base;
    return 0;
}
