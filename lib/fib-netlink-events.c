/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events: multicast notifications as values.
 *
 * They are hints where to look, not a description of the state: some changes have none, and any
 * can be lost. A lost one is told as NSH_FIB_OVERRUN.
 */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netconf.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>
#include <sys/socket.h>

#include "fib-netlink.h"

#define EVENT_BUFFER (4 * 1024 * 1024)
/* Datagrams in one call; with more the descriptor stays readable. */
#define READ_MAX 1024

int nsh_fibnl_events_foreign(struct nsh_fib *fib, enum nsh_fib_foreign foreign)
{
    struct nsh_fibnl *nl = nsh_fibnl_of(fib);

    if (!nl->events.sock)
        return -EINVAL;
    nl->events_foreign = foreign;
    return nsh_fibnl_events_filter(nl->events.fd, nl->command.port, nl->events_protocol, foreign);
}

static int join_groups(int fd)
{
    static const int groups[] = {
            RTNLGRP_LINK,
            RTNLGRP_IPV4_IFADDR,
            RTNLGRP_IPV6_IFADDR,
            RTNLGRP_IPV4_ROUTE,
            RTNLGRP_IPV6_ROUTE,
            RTNLGRP_IPV4_RULE,
            RTNLGRP_IPV6_RULE,
            RTNLGRP_IPV4_NETCONF,
            RTNLGRP_IPV6_NETCONF,
    };

    for (size_t i = 0; i < NSH_ARRAY_SIZE(groups); i++)
        if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(groups[i])) < 0)
            return -errno;
    return 0;
}

static int open_events(struct nsh_fibnl *nl)
{
    int r = nsh_fibnl_channel_open(&nl->events, NSH_FIBNL_RX_SIZE);

    if (r < 0)
        return r;
    nsh_fibnl_channel_set_buffer(&nl->events, EVENT_BUFFER);
    /* First the filter, then the groups: nothing slips in between. */
    r = nsh_fibnl_events_foreign(&nl->fib, NSH_FIB_FOREIGN_NONE);
    if (r < 0)
        return r;
    return join_groups(nl->events.fd);
}

int nsh_fibnl_events_open(struct nsh_fib *fib, uint8_t protocol)
{
    struct nsh_fibnl *nl = nsh_fibnl_of(fib);
    int r;

    nl->events_protocol = protocol;
    if (nl->events.sock) {
        r = nsh_fibnl_events_foreign(fib, nl->events_foreign);
        return r < 0 ? r : nl->events.fd;
    }
    r = open_events(nl);
    if (r < 0) {
        nsh_fibnl_channel_close(&nl->events);
        return r;
    }
    return nl->events.fd;
}

/* ---- one message ---- */

static bool parse_route(struct nsh_fibnl *nl, struct nlmsghdr *nlh, struct nsh_fib_event *event)
{
    event->type = nlh->nlmsg_type == RTM_NEWROUTE ? NSH_FIB_ROUTE_NEW : NSH_FIB_ROUTE_GONE;
    event->route_flags =
            nlh->nlmsg_flags & (NLM_F_REPLACE | NLM_F_EXCL | NLM_F_CREATE | NLM_F_APPEND);
    if (nsh_fibnl_parse_route(nlh, &event->route, nl->events.props) != 1)
        return false;
    event->family = event->route.family;
    return true;
}

static bool parse_rule(struct nsh_fibnl *nl, struct nlmsghdr *nlh, struct nsh_fib_event *event)
{
    event->type = NSH_FIB_RULE;
    event->gone = nlh->nlmsg_type == RTM_DELRULE;
    if (nsh_fibnl_parse_rule(nlh, &event->rule) != 1)
        return false;
    event->family = event->rule.family;
    /* While all routes are asked for, foreign rules pass the filter. */
    return event->rule.protocol == nl->events_protocol;
}

/* Without a word of it, which no kernel since 2.6.38 leaves out, it may. */
static bool speaks_ipv6(struct nlmsghdr *nlh)
{
    const struct nlattr *families = nlmsg_find_attr(nlh, sizeof(struct ifinfomsg), IFLA_AF_SPEC);

    return !families || nla_find(nla_data(families), nla_len(families), AF_INET6);
}

static bool parse_link(struct nsh_fibnl *nl, struct nlmsghdr *nlh, struct nsh_fib_event *event)
{
    const struct ifinfomsg *info = nlmsg_data(nlh);
    const struct nlattr *name;

    (void)nl;
    /* A port that leaves its bridge is told as a deletion of family AF_BRIDGE; it still exists. */
    if (nlmsg_datalen(nlh) < (int)sizeof(*info) || info->ifi_family != AF_UNSPEC)
        return false;
    event->type = NSH_FIB_LINK;
    event->ifindex = (uint32_t)info->ifi_index;
    event->up = info->ifi_flags & IFF_UP;
    event->gone = nlh->nlmsg_type == RTM_DELLINK;
    event->ipv6 = speaks_ipv6(nlh);
    name = nlmsg_find_attr(nlh, sizeof(*info), IFLA_IFNAME);
    if (name && nla_len(name) > 0)
        nla_strlcpy(event->name, name, sizeof(event->name));
    return true;
}

static bool parse_address(struct nsh_fibnl *nl, struct nlmsghdr *nlh, struct nsh_fib_event *event)
{
    const struct ifaddrmsg *addr = nlmsg_data(nlh);
    struct nsh_fib_address address;

    (void)nl;
    if (nlmsg_datalen(nlh) < (int)sizeof(*addr))
        return false;
    event->type = NSH_FIB_ADDRESS;
    event->ifindex = addr->ifa_index;
    event->family = addr->ifa_family;
    if (nsh_fibnl_parse_address(nlh, &address))
        event->address = address.address;
    event->gone = nlh->nlmsg_type == RTM_DELADDR;
    return true;
}

/*
 * Only what concerns all interfaces. The kernel does not say who wrote; a value that is the one
 * written through this fib is taken for the echo of that.
 */
static bool parse_netconf(struct nsh_fibnl *nl, struct nlmsghdr *nlh, struct nsh_fib_event *event)
{
    struct nlattr *tb[NETCONFA_MAX + 1];
    const struct netconfmsg *conf;
    int *written;

    if (nlmsg_parse(nlh, sizeof(*conf), tb, NETCONFA_MAX, NULL) < 0)
        return false;
    conf = nlmsg_data(nlh);
    if ((conf->ncm_family != AF_INET && conf->ncm_family != AF_INET6) || !tb[NETCONFA_IFINDEX] ||
            !tb[NETCONFA_FORWARDING] || nla_len(tb[NETCONFA_IFINDEX]) < (int)sizeof(int32_t) ||
            nla_len(tb[NETCONFA_FORWARDING]) < (int)sizeof(int32_t))
        return false;
    written = &nl->forwarding_written[conf->ncm_family == AF_INET6];
    if (nla_get_s32(tb[NETCONFA_IFINDEX]) != NETCONFA_IFINDEX_ALL ||
            nla_get_s32(tb[NETCONFA_FORWARDING]) == *written)
        return false;
    *written = -1; /* somebody else's from now on: our old value from them is news too */
    event->type = NSH_FIB_FORWARDING;
    event->family = conf->ncm_family;
    return true;
}

static bool parse_event(struct nsh_fibnl *nl, struct nlmsghdr *nlh, struct nsh_fib_event *ret)
{
    static const struct {
        uint16_t type;
        bool (*parse)(struct nsh_fibnl *nl, struct nlmsghdr *nlh, struct nsh_fib_event *event);
    } types[] = {
            {RTM_NEWROUTE, parse_route},
            {RTM_DELROUTE, parse_route},
            {RTM_NEWRULE, parse_rule},
            {RTM_DELRULE, parse_rule},
            {RTM_NEWLINK, parse_link},
            {RTM_DELLINK, parse_link},
            {RTM_NEWADDR, parse_address},
            {RTM_DELADDR, parse_address},
            {RTM_NEWNETCONF, parse_netconf},
    };

    for (size_t i = 0; i < NSH_ARRAY_SIZE(types); i++)
        if (nlh->nlmsg_type == types[i].type) {
            *ret = (struct nsh_fib_event){.sender = nlh->nlmsg_pid};
            return types[i].parse(nl, nlh, ret);
        }
    return false;
}

/* ---- reading ---- */

static void take_datagram(struct nsh_fibnl *nl, int size, nsh_fib_event_seen *seen, void *userdata)
{
    struct nlmsghdr *nlh = (struct nlmsghdr *)(void *)nl->events.rx;

    for (; nlmsg_ok(nlh, size); nlh = nlmsg_next(nlh, &size)) {
        struct nsh_fib_event event;

        if (parse_event(nl, nlh, &event))
            seen(userdata, &event);
    }
}

/*
 * Once some are lost the kernel drops all the others as well, without saying so again, until what
 * is queued has been read (netlink_broadcast_deliver in net/netlink/af_netlink.c): where that takes
 * another call, the loss is told once more when it is done.
 */
int nsh_fibnl_events_read(struct nsh_fib *fib, nsh_fib_event_seen *seen, void *userdata)
{
    static const struct nsh_fib_event overrun = {.type = NSH_FIB_OVERRUN};
    struct nsh_fibnl *nl = nsh_fibnl_of(fib);
    bool told = false;

    if (!nl->events.sock)
        return -EINVAL;
    for (int n = 0; n < READ_MAX; n++) {
        ssize_t size = nsh_fibnl_channel_receive(&nl->events, MSG_DONTWAIT);

        if (size == -EAGAIN) {
            if (nl->events_lost && !told)
                seen(userdata, &overrun);
            nl->events_lost = false;
            return n;
        }
        if (size == -ENOBUFS || size == -EMSGSIZE) {
            if (!nl->events_lost) {
                seen(userdata, &overrun);
                told = true;
            }
            nl->events_lost = true;
        } else if (size < 0)
            return (int)size;
        else
            take_datagram(nl, (int)size, seen, userdata);
    }
    return READ_MAX;
}

int nsh_fibnl_test_events_buffer(struct nsh_fib *fib, int bytes)
{
    struct nsh_fibnl *nl = nsh_fibnl_of(fib);

    if (setsockopt(nl->events.fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) < 0)
        return -errno;
    return 0;
}
