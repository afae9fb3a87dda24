/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of a packet by the kernel's rules and routes: the way it would go, and the entry
 * of a table that says so; and what is known of neighbours, and answered to them as a proxy.
 */
#include <errno.h>
#include <linux/neighbour.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>
#include <unistd.h>

#include "fib-netlink.h"

static int put_u32(struct nl_msg *msg, int type, uint32_t value)
{
    return value == 0 || nla_put_u32(msg, type, value) >= 0 ? 0 : -EMSGSIZE;
}

/* Ports are in network byte order, and nothing but for a protocol that has them. */
static int put_port(struct nl_msg *msg, int type, uint16_t port)
{
    return port == 0 || nla_put_u16(msg, type, htons(port)) >= 0 ? 0 : -EMSGSIZE;
}

/* The kernel makes up a packet of these protocols alone. */
static bool is_known_protocol(const struct nsh_fib_question *q)
{
    return q->protocol == IPPROTO_TCP || q->protocol == IPPROTO_UDP ||
           (q->protocol == IPPROTO_ICMP && q->family == AF_INET) ||
           (q->protocol == IPPROTO_ICMPV6 && q->family == AF_INET6);
}

static int put_protocol(struct nl_msg *msg, const struct nsh_fib_question *q)
{
    int r;

    if (!is_known_protocol(q))
        return 0;
    if (nla_put_u8(msg, RTA_IP_PROTO, q->protocol) < 0)
        return -EMSGSIZE;
    r = put_port(msg, RTA_SPORT, q->source_port);
    return r < 0 ? r : put_port(msg, RTA_DPORT, q->destination_port);
}

static int put_question(struct nl_msg *msg, const struct nsh_fib_question *q, uint32_t flags)
{
    int size = (int)nsh_addr_size(q->family), r;
    struct rtmsg rtm = {
            .rtm_family = q->family,
            .rtm_dst_len = nsh_addr_bits(q->family),
            .rtm_src_len = q->has_from ? nsh_addr_bits(q->family) : 0,
            .rtm_flags = flags,
    };

    if (nlmsg_append(msg, &rtm, sizeof(rtm), NLMSG_ALIGNTO) < 0 ||
            nla_put(msg, RTA_DST, size, q->to.bytes) < 0 ||
            (q->has_from && nla_put(msg, RTA_SRC, size, q->from.bytes) < 0))
        return -EMSGSIZE;
    r = put_u32(msg, RTA_IIF, q->iif);
    if (r == 0)
        r = put_u32(msg, RTA_OIF, q->oif);
    if (r == 0)
        r = put_u32(msg, RTA_MARK, q->mark);
    return r < 0 ? r : put_protocol(msg, q);
}

static int ask(struct nsh_fibnl *nl, const struct nsh_fib_question *q, uint32_t flags,
        struct nlmsghdr **ret)
{
    int r;

    if (q->family != AF_INET && q->family != AF_INET6)
        return -EAFNOSUPPORT;
    r = nsh_fibnl_message_begin(nl, RTM_GETROUTE, 0);
    if (r == 0)
        r = put_question(nl->msg, q, flags);
    return r < 0 ? r : nsh_fibnl_ask(nl, RTM_NEWROUTE, ret);
}

static bool take_address(const struct nlattr *attr, int family, union nsh_addr *ret)
{
    size_t size = nsh_addr_size(family);

    if (!attr || nla_len(attr) < (int)size)
        return false;
    *ret = (union nsh_addr){0};
    memcpy(ret->bytes, nla_data(attr), size);
    return true;
}

static void take_via(struct nlattr *tb[], int family, struct nsh_fib_answer *ret)
{
    const struct rtvia *via = tb[RTA_VIA] ? nla_data(tb[RTA_VIA]) : NULL;

    if (take_address(tb[RTA_GATEWAY], family, &ret->via)) {
        ret->via_family = (uint8_t)family;
    } else if (via && nla_len(tb[RTA_VIA]) >= (int)(sizeof(*via) + sizeof(ret->via.v6)) &&
               via->rtvia_family == AF_INET6) {
        ret->via_family = AF_INET6;
        memcpy(ret->via.bytes, via->rtvia_addr, sizeof(ret->via.v6));
    }
}

/* A path that leads nowhere is answered with its error; an entry that says so is none either. */
static int error_of(uint8_t type)
{
    switch (type) {
    case RTN_BLACKHOLE:
        return -EINVAL;
    case RTN_PROHIBIT:
        return -EACCES;
    case RTN_UNREACHABLE:
        return -EHOSTUNREACH;
    case RTN_THROW:
        return -ENETUNREACH;
    default:
        return 0;
    }
}

int nsh_fibnl_path(
        struct nsh_fib *fib, const struct nsh_fib_question *q, struct nsh_fib_answer *ret)
{
    struct nlattr *tb[RTA_MAX + 1];
    struct nsh_fib_answer a = {0};
    const struct rtmsg *rtm;
    struct nlmsghdr *nlh;
    int r = ask(nsh_fibnl_of(fib), q, RTM_F_LOOKUP_TABLE, &nlh);

    if (r < 0)
        return r;
    if (nlmsg_parse(nlh, sizeof(*rtm), tb, RTA_MAX, NULL) < 0)
        return -EBADMSG;
    rtm = nlmsg_data(nlh);
    a.type = rtm->rtm_type;
    a.table = tb[RTA_TABLE] && nla_len(tb[RTA_TABLE]) >= (int)sizeof(uint32_t)
                      ? nla_get_u32(tb[RTA_TABLE])
                      : rtm->rtm_table;
    if (tb[RTA_OIF] && nla_len(tb[RTA_OIF]) >= (int)sizeof(uint32_t))
        a.ifindex = nla_get_u32(tb[RTA_OIF]);
    take_via(tb, q->family, &a);
    a.has_source = take_address(tb[RTA_PREFSRC], q->family, &a.source);
    r = error_of(a.type);
    if (r < 0)
        return r;
    *ret = a;
    return 0;
}

int nsh_fibnl_entry(struct nsh_fib *fib, const struct nsh_fib_question *q, nsh_fib_route_seen *seen,
        void *userdata)
{
    struct nsh_fibnl *nl = nsh_fibnl_of(fib);
    struct nsh_route route;
    struct nlmsghdr *nlh;
    int r = ask(nl, q, RTM_F_LOOKUP_TABLE | RTM_F_FIB_MATCH, &nlh);

    if (r == 0)
        r = nsh_fibnl_parse_route(nlh, &route, nl->command.props);
    if (r < 0)
        return r;
    if (r == 0)
        return -ENOENT;
    route.props = nl->command.props;
    return seen(userdata, &route);
}

/* What was found long ago says little. */
#define NEIGHBOUR_SECONDS 30

static bool is_fresh(struct nlmsghdr *nlh)
{
    struct nlattr *attr = nlmsg_find_attr(nlh, sizeof(struct ndmsg), NDA_CACHEINFO);
    struct nda_cacheinfo info;

    if (!attr || nla_len(attr) < (int)sizeof(info))
        return false;
    memcpy(&info, nla_data(attr), sizeof(info));
    return info.ndm_updated < NEIGHBOUR_SECONDS * (uint32_t)sysconf(_SC_CLK_TCK);
}

static int ask_neighbour(struct nsh_fib *fib, uint32_t ifindex, int family,
        const union nsh_addr *addr, uint8_t flags, struct nlmsghdr **ret)
{
    struct nsh_fibnl *nl = nsh_fibnl_of(fib);
    struct ndmsg ndm = {
            .ndm_family = (uint8_t)family, .ndm_ifindex = (int)ifindex, .ndm_flags = flags};
    int r = nsh_fibnl_message_begin(nl, RTM_GETNEIGH, 0);

    if (r < 0)
        return r;
    if (nlmsg_append(nl->msg, &ndm, sizeof(ndm), NLMSG_ALIGNTO) < 0 ||
            nla_put(nl->msg, NDA_DST, (int)nsh_addr_size(family), addr->bytes) < 0)
        return -EMSGSIZE;
    r = nsh_fibnl_ask(nl, RTM_NEWNEIGH, ret);
    return r == 0 && nlmsg_datalen(*ret) < (int)sizeof(ndm) ? -EBADMSG : r;
}

int nsh_fibnl_neighbour(
        struct nsh_fib *fib, uint32_t ifindex, int family, const union nsh_addr *addr)
{
    struct nlmsghdr *nlh;
    int r = ask_neighbour(fib, ifindex, family, addr, 0, &nlh);

    if (r < 0)
        return r;
    return is_fresh(nlh) ? ((const struct ndmsg *)nlmsg_data(nlh))->ndm_state : -ENOENT;
}

int nsh_fibnl_proxied(struct nsh_fib *fib, uint32_t ifindex, int family, const union nsh_addr *addr)
{
    struct nlmsghdr *nlh;
    int r = ask_neighbour(fib, ifindex, family, addr, NTF_PROXY, &nlh);

    return r == -ENOENT ? 0 : r < 0 ? r : 1;
}
