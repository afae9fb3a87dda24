/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A route message of the kernel as a plain value.
 *
 * The kernel is believed to tell the truth, not to be free of surprises: every length is checked,
 * and a route that says more than the value can hold is marked, so that it is never taken for one
 * that is wanted (NSH_FIBNL_INEXACT).
 */
#include <errno.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>

#include "fib-netlink.h"

static uint32_t get_u32(const struct nlattr *attr, uint32_t otherwise)
{
    return attr && nla_len(attr) >= (int)sizeof(uint32_t) ? nla_get_u32(attr) : otherwise;
}

static bool get_addr(const struct nlattr *attr, int family, union nsh_addr *ret)
{
    size_t size = nsh_addr_size(family);

    if (nla_len(attr) < (int)size)
        return false;
    *ret = (union nsh_addr){0};
    memcpy(ret->bytes, nla_data(attr), size);
    return true;
}

/* RTA_GATEWAY is of the route's family; RTA_VIA names its own. */
static bool parse_via(struct nlattr *tb[], int family, struct nsh_nexthop *ret, bool *inexact)
{
    const struct rtvia *via;
    uint8_t via_family;

    if (tb[RTA_GATEWAY]) {
        ret->via_family = (uint8_t)family;
        return get_addr(tb[RTA_GATEWAY], family, &ret->via);
    }
    if (!tb[RTA_VIA])
        return true;
    if (nla_len(tb[RTA_VIA]) < (int)sizeof(*via))
        return false;
    via = nla_data(tb[RTA_VIA]);
    if (via->rtvia_family != AF_INET && via->rtvia_family != AF_INET6) {
        *inexact = true;
        return true;
    }
    via_family = (uint8_t)via->rtvia_family;
    if (nla_len(tb[RTA_VIA]) < (int)(sizeof(*via) + nsh_addr_size(via_family)))
        return false;
    ret->via_family = via_family;
    memcpy(ret->via.bytes, via->rtvia_addr, nsh_addr_size(via_family));
    return true;
}

/* What makes a nexthop more than a gateway and a device. */
static bool has_extras(struct nlattr *tb[])
{
    return tb[RTA_ENCAP] || tb[RTA_FLOW];
}

static bool parse_multipath(
        const struct nlattr *attr, int family, struct nsh_route_props *props, bool *inexact)
{
    uint8_t *at = nla_data(attr);
    size_t left = (size_t)nla_len(attr);

    while (left >= sizeof(struct rtnexthop)) {
        struct nsh_nexthop *n = &props->nexthops[props->n_nexthops];
        struct nlattr *tb[RTA_MAX + 1];
        struct rtnexthop rtnh;
        size_t step;

        memcpy(&rtnh, at, sizeof(rtnh));
        if (rtnh.rtnh_len < sizeof(rtnh) || rtnh.rtnh_len > left)
            return false;
        if (props->n_nexthops == NSH_NEXTHOPS_MAX) {
            *inexact = true;
            return true;
        }
        if (nla_parse(tb, RTA_MAX, (void *)(at + sizeof(rtnh)), (int)(rtnh.rtnh_len - sizeof(rtnh)),
                    NULL) < 0)
            return false;
        *n = (struct nsh_nexthop){
                .link = NSH_NO_LINK,
                .ifindex = (uint32_t)rtnh.rtnh_ifindex,
                .weight = (uint16_t)(rtnh.rtnh_hops + 1),
                .flags = rtnh.rtnh_flags & RTNH_F_ONLINK,
        };
        if (!parse_via(tb, family, n, inexact))
            return false;
        *inexact |= has_extras(tb);
        props->n_nexthops++;
        step = RTNH_ALIGN(rtnh.rtnh_len);
        at += step < left ? step : left;
        left -= step < left ? step : left;
    }
    return true;
}

static bool parse_nexthops(
        struct nlattr *tb[], const struct rtmsg *rtm, struct nsh_route_props *props, bool *inexact)
{
    struct nsh_nexthop *n = &props->nexthops[0];

    if (tb[RTA_MULTIPATH])
        return parse_multipath(tb[RTA_MULTIPATH], rtm->rtm_family, props, inexact);
    if (!tb[RTA_OIF] && !tb[RTA_GATEWAY] && !tb[RTA_VIA])
        return true;
    *n = (struct nsh_nexthop){
            .link = NSH_NO_LINK,
            .ifindex = get_u32(tb[RTA_OIF], 0),
            .weight = 1,
            .flags = rtm->rtm_flags & RTNH_F_ONLINK,
    };
    props->n_nexthops = 1;
    return parse_via(tb, rtm->rtm_family, n, inexact);
}

/* The one metric that is a name; false: longer than any that can be asked for. */
static bool get_name(const struct nlattr *attr, struct nsh_route_props *props)
{
    size_t n = strnlen(nla_data(attr), (size_t)nla_len(attr));

    if (n >= sizeof(props->congestion_control))
        return false;
    memcpy(props->congestion_control, nla_data(attr), n);
    return true;
}

static bool parse_metrics(const struct nlattr *attr, struct nsh_route_props *props, bool *inexact)
{
    struct nlattr *tb[RTAX_MAX + 1];

    if (!attr)
        return true;
    if (nla_parse(tb, RTAX_MAX, nla_data(attr), nla_len(attr), NULL) < 0)
        return false;
    props->metrics_lock = get_u32(tb[RTAX_LOCK], 0);
    if (tb[RTAX_CC_ALGO])
        *inexact |= !get_name(tb[RTAX_CC_ALGO], props);
    for (unsigned i = RTAX_UNSPEC + 1; i <= RTAX_MAX; i++) {
        if (!tb[i] || i == RTAX_LOCK || i == RTAX_CC_ALGO)
            continue;
        props->metrics[i] = get_u32(tb[i], 0);
        props->metrics_set |= 1U << i;
    }
    return true;
}

/* True for a route with an expiry, which the kernel will take away by itself. */
static bool expires(const struct nlattr *attr)
{
    struct rta_cacheinfo info;

    if (!attr || nla_len(attr) < (int)sizeof(info))
        return false;
    memcpy(&info, nla_data(attr), sizeof(info));
    return info.rta_expires != 0;
}

static bool parse_addresses(struct nlattr *tb[], const struct rtmsg *rtm, struct nsh_route *route,
        struct nsh_route_props *props)
{
    if (rtm->rtm_dst_len > nsh_addr_bits(rtm->rtm_family))
        return false;
    if (tb[RTA_DST] && !get_addr(tb[RTA_DST], rtm->rtm_family, &route->dst))
        return false;
    props->has_source = tb[RTA_PREFSRC] != NULL;
    return !tb[RTA_PREFSRC] || get_addr(tb[RTA_PREFSRC], rtm->rtm_family, &props->source);
}

int nsh_fibnl_parse_route(
        struct nlmsghdr *nlh, struct nsh_route *ret, struct nsh_route_props *props)
{
    struct nlattr *tb[RTA_MAX + 1];
    const struct rtmsg *rtm;
    struct nsh_route route;
    bool inexact;

    if (nlmsg_parse(nlh, sizeof(*rtm), tb, RTA_MAX, NULL) < 0)
        return -EBADMSG;
    rtm = nlmsg_data(nlh);
    if (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6)
        return 0;
    /* Neither a cached path, nor what only holds for some source, is an entry of our kind. */
    if ((rtm->rtm_flags & RTM_F_CLONED) || rtm->rtm_src_len > 0)
        return 0;

    memset(props, 0, nsh_route_props_size(0));
    props->type = rtm->rtm_type;
    props->scope = rtm->rtm_scope;
    route = (struct nsh_route){
            .table = get_u32(tb[RTA_TABLE], rtm->rtm_table),
            .metric = get_u32(tb[RTA_PRIORITY], 0),
            .props = props,
            .family = rtm->rtm_family,
            .dst_length = rtm->rtm_dst_len,
            .tos = rtm->rtm_tos,
            .protocol = rtm->rtm_protocol,
    };
    if (tb[RTA_PREF] && nla_len(tb[RTA_PREF]) > 0)
        props->preference = nla_get_u8(tb[RTA_PREF]);
    inexact = has_extras(tb) || expires(tb[RTA_CACHEINFO]);
    if (!parse_addresses(tb, rtm, &route, props) ||
            !parse_metrics(tb[RTA_METRICS], props, &inexact) ||
            !parse_nexthops(tb, rtm, props, &inexact))
        return -EBADMSG;

    nsh_route_normalize(&route, props);
    if (inexact)
        props->metrics_set |= NSH_FIBNL_INEXACT;
    *ret = route;
    return 1;
}
