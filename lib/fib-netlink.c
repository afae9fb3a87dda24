/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel contract over netlink: its life, and questions with one answer.
 *
 * Sockets of their own, because their options exclude each other: one for commands, which waits for
 * acknowledgements; two for dumps, strict; one for events, filtered in the kernel. They belong to
 * the network namespace the thread is in when they are opened (the events' one with events_open,
 * the dumps' one again when a dump was given up), so a fib is used from a thread that stays there.
 */
#include <errno.h>
#include <linux/if_link.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>
#include <sys/socket.h>

#include "fib-netlink.h"

#define COMMAND_RX_SIZE ((size_t)32 * 1024)
#define COMMAND_BUFFER (256 * 1024)
/* Memory the kernel counts for the answer to one failed message, rounded up. */
#define ANSWER_COST 2048U
/* Room for NSH_NEXTHOPS_MAX nexthops and all metrics. */
#define MESSAGE_SIZE 4096U

static void netlink_free(struct nsh_fib *fib)
{
    struct nsh_fibnl *nl = nsh_fibnl_of(fib);

    nsh_fibnl_ahead_stop(&nl->ahead);
    nsh_fibnl_channel_close(&nl->command);
    nsh_fibnl_channel_close(&nl->dumper);
    nsh_fibnl_channel_close(&nl->ruler);
    nsh_fibnl_channel_close(&nl->events);
    if (nl->msg)
        nlmsg_free(nl->msg);
    free(nl->tx);
    free(nl);
}

static const struct nsh_fib_ops netlink_ops = {
        .free = netlink_free,
        .dump_begin = nsh_fibnl_dump_begin,
        .dump_read = nsh_fibnl_dump_read,
        .submit = nsh_fibnl_submit,
        .rules_dump = nsh_fibnl_rules_dump,
        .rules_submit = nsh_fibnl_rules_submit,
        .addresses = nsh_fibnl_addresses,
        .links = nsh_fibnl_links,
        .link_index = nsh_fibnl_link_index,
        .link_name = nsh_fibnl_link_name,
        .vrf = nsh_fibnl_vrf,
        .lookup = nsh_fibnl_lookup,
        .vrf_lookup = nsh_fibnl_vrf_lookup,
        .path = nsh_fibnl_path,
        .entry = nsh_fibnl_entry,
        .proxied = nsh_fibnl_proxied,
        .neighbour = nsh_fibnl_neighbour,
        .sysctl_get = nsh_fibnl_sysctl_get,
        .sysctl_set = nsh_fibnl_sysctl_set,
        .sysctl_each_ipv6_conf = nsh_fibnl_sysctl_each_ipv6_conf,
        .events_open = nsh_fibnl_events_open,
        .events_read = nsh_fibnl_events_read,
        .events_foreign = nsh_fibnl_events_foreign,
};

static int open_command(struct nsh_fibnl *nl)
{
    int bytes = 0, r = nsh_fibnl_channel_open(&nl->command, COMMAND_RX_SIZE);
    socklen_t size = sizeof(bytes);

    if (r < 0)
        return r;
    /* Without them an error is a bare number, and repeats the request. */
    (void)nsh_fibnl_channel_set_option(&nl->command, NETLINK_EXT_ACK);
    (void)nsh_fibnl_channel_set_option(&nl->command, NETLINK_CAP_ACK);

    nsh_fibnl_channel_set_buffer(&nl->command, COMMAND_BUFFER);
    if (getsockopt(nl->command.fd, SOL_SOCKET, SO_RCVBUF, &bytes, &size) < 0)
        return -errno;
    nl->batch_max = (size_t)bytes / ANSWER_COST;
    if (nl->batch_max < 1)
        nl->batch_max = 1;
    if (nl->batch_max > NSH_FIBNL_BATCH_MAX)
        nl->batch_max = NSH_FIBNL_BATCH_MAX;
    return 0;
}

int nsh_fib_netlink_new(struct nsh_fib **ret)
{
    struct nsh_fibnl *nl = calloc(1, sizeof(*nl));
    int r;

    if (!nl)
        return -ENOMEM;
    nl->fib.ops = &netlink_ops;
    nl->command.fd = nl->dumper.fd = nl->ruler.fd = nl->events.fd = -1;
    nl->forwarding_written[0] = nl->forwarding_written[1] = -1;
    nl->msg = nlmsg_alloc_size(MESSAGE_SIZE);
    nl->tx = malloc(NSH_FIBNL_BATCH_BYTES);
    r = nl->msg && nl->tx ? open_command(nl) : -ENOMEM;
    if (r == 0)
        r = nsh_fibnl_dump_reopen(nl);
    if (r < 0) {
        netlink_free(&nl->fib);
        return r;
    }
    *ret = &nl->fib;
    return 0;
}

/* ---- one question, one answer ---- */

int nsh_fibnl_ask(struct nsh_fibnl *nl, int type, struct nlmsghdr **ret)
{
    uint32_t seq;
    int r = nsh_fibnl_message_send(nl, &nl->command, &seq);

    if (r < 0)
        return r;
    for (;;) {
        struct nlmsghdr *nlh = (struct nlmsghdr *)(void *)nl->command.rx;
        ssize_t n = nsh_fibnl_channel_receive(&nl->command, 0);
        int size = (int)n;

        if (n < 0)
            return n == -EAGAIN ? -ETIMEDOUT : (int)n;
        for (; nlmsg_ok(nlh, size); nlh = nlmsg_next(nlh, &size)) {
            if (nlh->nlmsg_seq != seq)
                continue;
            if (nlh->nlmsg_type == NLMSG_ERROR) {
                r = nsh_fibnl_message_error(nlh, NULL, 0);
                return r < 0 ? r : -EBADMSG;
            }
            if (nlh->nlmsg_type == type) {
                *ret = nlh;
                return 0;
            }
        }
    }
}

/* By index, or by name in the attribute `name_type`. */
static int ask_link(struct nsh_fibnl *nl, uint32_t ifindex, int name_type, const char *name,
        struct nlmsghdr **ret)
{
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex};
    int r = nsh_fibnl_message_begin(nl, RTM_GETLINK, 0);

    if (r < 0)
        return r;
    if (nlmsg_append(nl->msg, &info, sizeof(info), NLMSG_ALIGNTO) < 0 ||
            nla_put_u32(nl->msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS) < 0 ||
            (name && nla_put_string(nl->msg, name_type, name) < 0))
        return -EMSGSIZE;
    r = nsh_fibnl_ask(nl, RTM_NEWLINK, ret);
    if (r == 0 && nlmsg_datalen(*ret) < (int)sizeof(info))
        return -EBADMSG;
    return r;
}

int nsh_fibnl_ask_link(struct nsh_fibnl *nl, const char *name, struct nlmsghdr **ret)
{
    int r;

    if (name[0] == '\0' || strlen(name) >= IFNAMSIZ)
        return -ENODEV;
    r = ask_link(nl, 0, IFLA_IFNAME, name, ret);
    if (r != -ENODEV)
        return r;
    r = ask_link(nl, 0, IFLA_ALT_IFNAME, name, ret);
    /* A kernel that does not know the attribute finds the question empty. */
    return r == -EINVAL || r == -EOPNOTSUPP ? -ENODEV : r;
}

int nsh_fibnl_link_index(struct nsh_fib *fib, const char *name, uint32_t *ret_ifindex)
{
    const struct ifinfomsg *info;
    struct nlmsghdr *nlh;
    int r = nsh_fibnl_ask_link(nsh_fibnl_of(fib), name, &nlh);

    if (r < 0)
        return r;
    info = nlmsg_data(nlh);
    *ret_ifindex = (uint32_t)info->ifi_index;
    return 0;
}

int nsh_fibnl_link_name(struct nsh_fib *fib, uint32_t ifindex, char ret_name[static IFNAMSIZ])
{
    struct nsh_fibnl *nl = nsh_fibnl_of(fib);
    const struct nlattr *attr;
    struct nlmsghdr *nlh;
    int r;

    if (ifindex == 0 || ifindex > INT32_MAX)
        return -ENODEV;
    r = ask_link(nl, ifindex, 0, NULL, &nlh);
    if (r < 0)
        return r;
    attr = nlmsg_find_attr(nlh, sizeof(struct ifinfomsg), IFLA_IFNAME);
    if (!attr || nla_len(attr) < 1)
        return -EBADMSG;
    nla_strlcpy(ret_name, attr, IFNAMSIZ);
    return 0;
}

/* ---- lookup ---- */

static int put_lookup(struct nsh_fibnl *nl, int family, const union nsh_addr *addr, uint32_t iif,
        const union nsh_addr *from, uint32_t oif)
{
    int size = (int)nsh_addr_size(family);
    struct rtmsg rtm = {
            .rtm_family = (uint8_t)family,
            .rtm_dst_len = nsh_addr_bits(family),
            .rtm_src_len = from ? nsh_addr_bits(family) : 0,
    };
    int r = nsh_fibnl_message_begin(nl, RTM_GETROUTE, 0);

    if (r < 0)
        return r;
    if (nlmsg_append(nl->msg, &rtm, sizeof(rtm), NLMSG_ALIGNTO) < 0 ||
            nla_put(nl->msg, RTA_DST, size, addr->bytes) < 0 ||
            (from && nla_put(nl->msg, RTA_SRC, size, from->bytes) < 0) ||
            (iif != 0 && nla_put_u32(nl->msg, RTA_IIF, iif) < 0) ||
            (oif != 0 && nla_put_u32(nl->msg, RTA_OIF, oif) < 0))
        return -EMSGSIZE;
    return 0;
}

/*
 * Asks for the path, not for the table's entry (RTM_F_FIB_MATCH): of several nexthops the path
 * has the one that would be taken. An address of this host is found on `lo`, on-link.
 */
static int look_up(struct nsh_fibnl *nl, int family, const union nsh_addr *addr, uint32_t iif,
        const union nsh_addr *from, uint32_t oif, struct nsh_fib_path *ret)
{
    struct nlattr *tb[RTA_MAX + 1];
    const struct rtmsg *rtm;
    struct nlmsghdr *nlh;
    int r;

    if (family != AF_INET && family != AF_INET6)
        return -EAFNOSUPPORT;
    r = put_lookup(nl, family, addr, iif, from, oif);
    if (r == 0)
        r = nsh_fibnl_ask(nl, RTM_NEWROUTE, &nlh);
    if (r < 0)
        return r;
    if (nlmsg_parse(nlh, sizeof(*rtm), tb, RTA_MAX, NULL) < 0)
        return -EBADMSG;
    rtm = nlmsg_data(nlh);
    /* A path that leads nowhere is answered with its error; an entry that says so is none either.
     */
    if (rtm->rtm_type >= RTN_BLACKHOLE)
        return -ENETUNREACH;
    if (!tb[RTA_OIF] || nla_len(tb[RTA_OIF]) < (int)sizeof(uint32_t))
        return -ENETUNREACH;
    ret->ifindex = nla_get_u32(tb[RTA_OIF]);
    ret->on_link = !tb[RTA_GATEWAY] && !tb[RTA_VIA];
    return 0;
}

int nsh_fibnl_lookup(struct nsh_fib *fib, int family, const union nsh_addr *addr, uint32_t iif,
        const union nsh_addr *from, struct nsh_fib_path *ret)
{
    return look_up(nsh_fibnl_of(fib), family, addr, iif, from, 0, ret);
}

int nsh_fibnl_vrf_lookup(struct nsh_fib *fib, uint32_t vrf, int family, const union nsh_addr *addr,
        struct nsh_fib_path *ret)
{
    return look_up(nsh_fibnl_of(fib), family, addr, 0, NULL, vrf, ret);
}
