/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The message that adds, replaces or deletes a route.
 *
 * A deletion says all that the kernel compares, since the kernel takes the first entry that fits
 * what is said, and what is left out fits everything:
 * - IPv4 compares type, scope, protocol, preferred source, metrics and nexthops. A metric of 0
 *   cannot be said (0 is "any"), but entries stand in the order of their metrics, so the one
 *   without is the first to be found. Only if it went by itself just before would one of ours
 *   with another metric, and all else the same, go in its place, until the next comparison.
 * - IPv6 compares metric, protocol, device and gateway; with a gateway it deletes that nexthop
 *   alone, without one all the siblings, whoever's they are. So each nexthop is named.
 */
#include <errno.h>
#include <linux/icmpv6.h>
#include <linux/if_link.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>

#include "fib-netlink.h"

/* The kernel hangs IPv6 entries without a nexthop on it; it has this index in each namespace. */
#define LOOPBACK_IFINDEX 1U

/* Metrics with a number in RTA_METRICS. */
#define METRICS_NUMERIC \
    (~((1U << RTAX_UNSPEC) | (1U << RTAX_LOCK) | (1U << RTAX_CC_ALGO)) & ((2U << RTAX_MAX) - 1))

static int put_u32(struct nl_msg *msg, int type, uint32_t value)
{
    return nla_put_u32(msg, type, value) < 0 ? -EMSGSIZE : 0;
}

static int put_addr(struct nl_msg *msg, int type, int family, const union nsh_addr *addr)
{
    return nla_put(msg, type, (int)nsh_addr_size(family), addr->bytes) < 0 ? -EMSGSIZE : 0;
}

/*
 * The device to name in the message; 0: none, the kernel's choice. A device that is named in the
 * configuration and absent must not become the kernel's choice.
 */
static int device_of(
        const struct nsh_nexthop *n, const struct nsh_link *links, uint32_t *ret_ifindex)
{
    if (n->link == NSH_NO_LINK || !links) {
        *ret_ifindex = n->ifindex;
        return 0;
    }
    if (nsh_nexthop_is_absent(n, links))
        return -ENODEV;
    *ret_ifindex = links[n->link].ifindex;
    return 0;
}

static int put_via(struct nl_msg *msg, int family, const struct nsh_nexthop *n)
{
    union {
        struct rtvia via;
        uint8_t bytes[sizeof(struct rtvia) + sizeof(union nsh_addr)];
    } v = {0};
    size_t size;

    if (n->via_family == AF_UNSPEC)
        return 0;
    if (n->via_family == family)
        return put_addr(msg, RTA_GATEWAY, family, &n->via);
    if (family != AF_INET || n->via_family != AF_INET6)
        return -EINVAL;
    size = nsh_addr_size(n->via_family);
    v.via.rtvia_family = n->via_family;
    memcpy(v.bytes + sizeof(struct rtvia), n->via.bytes, size);
    return nla_put(msg, RTA_VIA, (int)(sizeof(struct rtvia) + size), v.bytes) < 0 ? -EMSGSIZE : 0;
}

static int put_single(
        struct nl_msg *msg, int family, const struct nsh_link *links, const struct nsh_nexthop *n)
{
    uint32_t ifindex;
    int r = device_of(n, links, &ifindex);

    if (r == 0 && ifindex != 0)
        r = put_u32(msg, RTA_OIF, ifindex);
    if (r == 0)
        r = put_via(msg, family, n);
    return r;
}

static int put_multipath_nexthop(
        struct nl_msg *msg, int family, const struct nsh_link *links, const struct nsh_nexthop *n)
{
    struct rtnexthop *rtnh;
    uint32_t ifindex, start;
    int r = device_of(n, links, &ifindex);

    if (r < 0)
        return r;
    start = nlmsg_hdr(msg)->nlmsg_len;
    rtnh = nlmsg_reserve(msg, sizeof(*rtnh), NLMSG_ALIGNTO);
    if (!rtnh)
        return -EMSGSIZE;
    *rtnh = (struct rtnexthop){
            .rtnh_flags = n->flags,
            .rtnh_hops = n->weight > 0 ? (uint8_t)(n->weight - 1) : 0,
            .rtnh_ifindex = (int)ifindex,
    };
    r = put_via(msg, family, n);
    if (r < 0)
        return r;
    rtnh->rtnh_len = (unsigned short)(nlmsg_hdr(msg)->nlmsg_len - start);
    return 0;
}

static int put_multipath(struct nl_msg *msg, int family, const struct nsh_link *links,
        const struct nsh_route_props *props)
{
    struct nlattr *nest = nla_nest_start(msg, RTA_MULTIPATH);
    bool some = nsh_route_count_present(props, links) > 0;

    if (!nest)
        return -EMSGSIZE;
    for (uint32_t i = 0; i < props->n_nexthops; i++) {
        int r;

        if (some && nsh_nexthop_is_absent(&props->nexthops[i], links))
            continue;
        r = put_multipath_nexthop(msg, family, links, &props->nexthops[i]);
        if (r < 0)
            return r;
    }
    /* libnl cuts off a nest it finds empty, and these are not. */
    return nla_nest_end(msg, nest) < 0 ? -EMSGSIZE : 0;
}

static int put_nexthops(
        struct nl_msg *msg, const struct nsh_link *links, const struct nsh_fib_op *op)
{
    const struct nsh_route_props *props = op->route.props;

    if (op->verb == NSH_FIB_DELETE) {
        if (props->n_nexthops == 0 && op->route.family == AF_INET6)
            return put_u32(msg, RTA_OIF, LOOPBACK_IFINDEX);
        /* Cut off when it was read: an IPv4 list that is not whole would fit nothing. */
        if (props->n_nexthops == NSH_NEXTHOPS_MAX && (props->metrics_set & NSH_FIBNL_INEXACT) &&
                op->route.family == AF_INET)
            return 0;
    }
    if (props->n_nexthops == 1)
        return put_single(msg, op->route.family, links, &props->nexthops[0]);
    if (props->n_nexthops > 1)
        return put_multipath(msg, op->route.family, links, props);
    return 0;
}

static int put_metrics(struct nl_msg *msg, const struct nsh_route_props *props)
{
    uint32_t set = props->metrics_set & METRICS_NUMERIC;
    struct nlattr *nest;
    int r = 0;

    if (set == 0 && props->metrics_lock == 0 && props->congestion_control[0] == '\0')
        return 0;
    nest = nla_nest_start(msg, RTA_METRICS);
    if (!nest)
        return -EMSGSIZE;
    if (props->metrics_lock != 0)
        r = put_u32(msg, RTAX_LOCK, props->metrics_lock);
    for (unsigned i = 0; i <= RTAX_MAX && r == 0; i++)
        if (set & (1U << i))
            r = put_u32(msg, (int)i, props->metrics[i]);
    if (r == 0 && props->congestion_control[0] != '\0' &&
            nla_put_string(msg, RTAX_CC_ALGO, props->congestion_control) < 0)
        r = -EMSGSIZE;
    if (r == 0 && nla_nest_end(msg, nest) < 0)
        r = -EMSGSIZE;
    return r;
}

static int put_rtmsg(struct nl_msg *msg, const struct nsh_fib_op *op)
{
    const struct nsh_route *route = &op->route;
    const struct nsh_route_props *props = route->props;
    struct rtmsg rtm = {
            .rtm_family = route->family,
            .rtm_dst_len = route->dst_length,
            .rtm_tos = route->tos,
            .rtm_table = route->table < 256 ? (uint8_t)route->table : RT_TABLE_COMPAT,
            .rtm_protocol = route->protocol,
            .rtm_scope = route->family == AF_INET ? props->scope : RT_SCOPE_UNIVERSE,
            .rtm_type = props->type,
            .rtm_flags = props->n_nexthops == 1 ? props->nexthops[0].flags : 0,
    };

    return nlmsg_append(msg, &rtm, sizeof(rtm), NLMSG_ALIGNTO) < 0 ? -EMSGSIZE : 0;
}

static int put_route(struct nl_msg *msg, const struct nsh_link *links, const struct nsh_fib_op *op)
{
    const struct nsh_route *route = &op->route;
    const struct nsh_route_props *props = route->props;
    /* Neither is compared on an IPv6 deletion. */
    bool all = op->verb != NSH_FIB_DELETE || route->family == AF_INET;
    int r = put_rtmsg(msg, op);

    if (r == 0)
        r = put_u32(msg, RTA_TABLE, route->table);
    if (r == 0)
        r = put_addr(msg, RTA_DST, route->family, &route->dst);
    if (r == 0 && route->metric != 0)
        r = put_u32(msg, RTA_PRIORITY, route->metric);
    if (r == 0 && all && props->has_source)
        r = put_addr(msg, RTA_PREFSRC, route->family, &props->source);
    if (r == 0 && all)
        r = put_metrics(msg, props);
    if (r == 0 && all && props->preference != ICMPV6_ROUTER_PREF_MEDIUM)
        r = nla_put_u8(msg, RTA_PREF, (uint8_t)props->preference) < 0 ? -EMSGSIZE : 0;
    if (r == 0)
        r = put_nexthops(msg, links, op);
    return r;
}

int nsh_fibnl_build_route(
        struct nsh_fibnl *nl, const struct nsh_link *links, const struct nsh_fib_op *op)
{
    static const struct {
        int type, flags;
    } verbs[] = {
            [NSH_FIB_ADD] = {RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL},
            [NSH_FIB_REPLACE] = {RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE},
            [NSH_FIB_DELETE] = {RTM_DELROUTE, 0},
    };
    int r;

    if ((op->route.family != AF_INET && op->route.family != AF_INET6) ||
            op->route.props->n_nexthops > NSH_NEXTHOPS_MAX)
        return -EINVAL;
    r = nsh_fibnl_message_begin(nl, verbs[op->verb].type, verbs[op->verb].flags);
    if (r == 0)
        r = put_route(nl->msg, links, op);
    /* Nothing can stand on a device that is not there. */
    if (r == -ENODEV && op->verb == NSH_FIB_DELETE)
        return -ESRCH;
    return r;
}

uint8_t *nsh_fibnl_test_message(struct nsh_fib *fib, const struct nsh_link *links,
        const struct nsh_route *route, size_t *ret_size)
{
    const struct nsh_fib_op op = {.verb = NSH_FIB_ADD, .route = *route};
    struct nsh_fibnl *nl = nsh_fibnl_of(fib);
    uint8_t *copy;

    if (nsh_fibnl_build_route(nl, links, &op) < 0)
        return NULL;
    *ret_size = nlmsg_hdr(nl->msg)->nlmsg_len;
    copy = malloc(*ret_size);
    if (copy)
        memcpy(copy, nlmsg_hdr(nl->msg), *ret_size);
    return copy;
}
