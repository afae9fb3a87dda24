/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Short dumps: rules, addresses and links.
 */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ipv6.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>

#include "fib-netlink.h"

/* ---- any of them ---- */

struct short_dump {
    int type;
    nsh_fibnl_each *each;
    void *userdata;
    uint32_t seq;
    bool interrupted; /* the kernel said that something changed meanwhile */
};

static int open_channel(struct nsh_fibnl *nl)
{
    int r;

    if (nl->ruler.sock)
        return 0;
    r = nsh_fibnl_channel_open(&nl->ruler, NSH_FIBNL_RX_SIZE);
    if (r == 0)
        (void)nsh_fibnl_channel_set_option(&nl->ruler, NETLINK_GET_STRICT_CHK);
    return r;
}

static int end(const struct short_dump *d, int error)
{
    return error == 0 && d->interrupted ? -EAGAIN : error;
}

/* One datagram. 1 when more follows, 0 at the end. */
static int read_some(struct nsh_fibnl *nl, struct short_dump *d)
{
    struct nlmsghdr *nlh = (struct nlmsghdr *)(void *)nl->ruler.rx;
    ssize_t n = nsh_fibnl_channel_receive(&nl->ruler, 0);
    int size = (int)n;

    if (n < 0)
        return n == -EAGAIN ? -ETIMEDOUT : (int)n;
    for (; nlmsg_ok(nlh, size); nlh = nlmsg_next(nlh, &size)) {
        int r;

        if (nlh->nlmsg_seq != d->seq)
            continue;
        if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
            d->interrupted = true;
        if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR)
            return end(d, nsh_fibnl_message_error(nlh, NULL, 0));
        if (nlh->nlmsg_type != d->type)
            continue;
        r = d->each(d->userdata, nlh);
        if (r != 0)
            return r;
    }
    return 1;
}

int nsh_fibnl_short_dump(struct nsh_fibnl *nl, int request, const void *header, size_t size,
        int type, nsh_fibnl_each *each, void *userdata)
{
    struct short_dump d = {.type = type, .each = each, .userdata = userdata};
    int r = open_channel(nl);

    if (r == 0)
        r = nsh_fibnl_message_begin(nl, request, NLM_F_DUMP);
    if (r == 0 && nlmsg_append(nl->msg, (void *)header, size, NLMSG_ALIGNTO) < 0)
        r = -EMSGSIZE;
    if (r == 0)
        r = nsh_fibnl_message_send(nl, &nl->ruler, &d.seq);
    if (r == 0)
        do
            r = read_some(nl, &d);
        while (r == 1);
    /* What is left of one that was given up would be in the way of the next. */
    if (r != 0)
        nsh_fibnl_channel_close(&nl->ruler);
    return r;
}

/* ---- addresses ---- */

bool nsh_fibnl_parse_address(struct nlmsghdr *nlh, struct nsh_fib_address *ret)
{
    const struct ifaddrmsg *addr = nlmsg_data(nlh);
    const struct nlattr *attr, *net;
    uint32_t flags;
    size_t size;

    if (nlmsg_datalen(nlh) < (int)sizeof(*addr) ||
            (addr->ifa_family != AF_INET && addr->ifa_family != AF_INET6) ||
            addr->ifa_prefixlen > nsh_addr_bits(addr->ifa_family))
        return false;
    size = nsh_addr_size(addr->ifa_family);
    /* With a peer IFA_ADDRESS is the other end's. */
    attr = nlmsg_find_attr(nlh, sizeof(*addr), IFA_LOCAL);
    net = nlmsg_find_attr(nlh, sizeof(*addr), IFA_ADDRESS);
    if (!attr)
        attr = net;
    if (!attr || nla_len(attr) < (int)size)
        return false;
    *ret = (struct nsh_fib_address){.ifindex = addr->ifa_index,
            .family = addr->ifa_family,
            .scope = addr->ifa_scope,
            .net = {.family = addr->ifa_family, .length = addr->ifa_prefixlen}};
    memcpy(ret->address.bytes, nla_data(attr), size);
    if (!net || nla_len(net) < (int)size)
        net = attr;
    memcpy(ret->net.addr.bytes, nla_data(net), size);
    nsh_prefix_mask(&ret->net);
    attr = nlmsg_find_attr(nlh, sizeof(*addr), IFA_FLAGS);
    flags = attr && nla_len(attr) >= (int)sizeof(flags) ? nla_get_u32(attr) : addr->ifa_flags;
    ret->usable = !(flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED));
    /* For IPv6 the same bit says: temporary. */
    ret->secondary = addr->ifa_family == AF_INET && (flags & IFA_F_SECONDARY);
    return true;
}

struct address_dump {
    nsh_fib_address_seen *seen;
    void *userdata;
};

static int take_address(void *userdata, struct nlmsghdr *nlh)
{
    const struct address_dump *d = userdata;
    struct nsh_fib_address address;

    if (nsh_fibnl_parse_address(nlh, &address))
        d->seen(d->userdata, &address);
    return 0;
}

int nsh_fibnl_addresses(struct nsh_fib *fib, nsh_fib_address_seen *seen, void *userdata)
{
    struct address_dump d = {.seen = seen, .userdata = userdata};
    const struct ifaddrmsg header = {.ifa_family = AF_UNSPEC};

    return nsh_fibnl_short_dump(
            nsh_fibnl_of(fib), RTM_GETADDR, &header, sizeof(header), RTM_NEWADDR, take_address, &d);
}

/* ---- links ---- */

struct link_dump {
    nsh_fib_link_seen *seen;
    void *userdata;
};

static const char *get_name(const struct nlattr *attr)
{
    const char *name = attr ? nla_data(attr) : NULL;

    return name && memchr(name, '\0', (size_t)nla_len(attr)) ? name : NULL;
}

/* disable_ipv6 is one of its settings for IPv6, if it has any. */
static bool is_without_ipv6(struct nlmsghdr *nlh)
{
    struct nlattr *at = nlmsg_find_attr(nlh, sizeof(struct ifinfomsg), IFLA_AF_SPEC);
    int32_t value;

    at = at ? nla_find(nla_data(at), nla_len(at), AF_INET6) : NULL;
    at = at ? nla_find(nla_data(at), nla_len(at), IFLA_INET6_CONF) : NULL;
    if (!at || nla_len(at) < (int)((DEVCONF_DISABLE_IPV6 + 1) * sizeof(value)))
        return false;
    memcpy(&value, (const int32_t *)nla_data(at) + DEVCONF_DISABLE_IPV6, sizeof(value));
    return value != 0;
}

static int take_link(void *userdata, struct nlmsghdr *nlh)
{
    const struct link_dump *d = userdata;
    const struct ifinfomsg *info = nlmsg_data(nlh);
    struct nlattr *names, *name, *mtu;
    struct nsh_fib_link link;
    int left;

    if (nlmsg_datalen(nlh) < (int)sizeof(*info))
        return 0;
    link = (struct nsh_fib_link){
            .ifindex = (uint32_t)info->ifi_index,
            .up = info->ifi_flags & IFF_UP,
            .noarp = info->ifi_flags & IFF_NOARP,
            .carrier = info->ifi_flags & IFF_RUNNING,
            .without_ipv6 = is_without_ipv6(nlh),
    };
    mtu = nlmsg_find_attr(nlh, sizeof(*info), IFLA_MTU);
    if (mtu && nla_len(mtu) >= (int)sizeof(uint32_t))
        link.mtu = nla_get_u32(mtu);
    link.name = get_name(nlmsg_find_attr(nlh, sizeof(*info), IFLA_IFNAME));
    if (link.name)
        d->seen(d->userdata, &link);
    names = nlmsg_find_attr(nlh, sizeof(*info), IFLA_PROP_LIST);
    if (!names)
        return 0;
    nla_for_each_nested(name, names, left)
    {
        link.name = get_name(name);
        if (link.name && nla_type(name) == IFLA_ALT_IFNAME)
            d->seen(d->userdata, &link);
    }
    return 0;
}

int nsh_fibnl_links(struct nsh_fib *fib, nsh_fib_link_seen *seen, void *userdata)
{
    struct link_dump d = {.seen = seen, .userdata = userdata};
    const struct {
        struct ifinfomsg info;
        struct nlattr attr;
        uint32_t mask;
    } request = {
            .info = {.ifi_family = AF_UNSPEC},
            .attr = {.nla_len = NLA_HDRLEN + sizeof(uint32_t), .nla_type = IFLA_EXT_MASK},
            .mask = RTEXT_FILTER_SKIP_STATS,
    };

    return nsh_fibnl_short_dump(
            nsh_fibnl_of(fib), RTM_GETLINK, &request, sizeof(request), RTM_NEWLINK, take_link, &d);
}
