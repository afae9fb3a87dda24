/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dumps of rules. They are few, and are read to the end in one go; on a socket of their own, since
 * a dump of routes may be under way on the other.
 */
#include <errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdlib.h>
#include <string.h>

#include "fib-netlink.h"

struct rule_dump {
    nsh_fib_rule_seen *seen;
    void *userdata;
    uint8_t family;
    uint32_t seq;
    bool interrupted; /* the kernel said that the rules changed meanwhile */
};

static int open_ruler(struct nsh_fibnl *nl)
{
    int r;

    if (nl->ruler.sock)
        return 0;
    r = nsh_fibnl_channel_open(&nl->ruler, NSH_FIBNL_RX_SIZE);
    if (r == 0)
        (void)nsh_fibnl_channel_set_option(&nl->ruler, NETLINK_GET_STRICT_CHK);
    return r;
}

static int request(struct nsh_fibnl *nl, struct rule_dump *d)
{
    struct fib_rule_hdr header = {.family = d->family};
    int r = nsh_fibnl_message_begin(nl, RTM_GETRULE, NLM_F_DUMP);

    if (r < 0)
        return r;
    if (nlmsg_append(nl->msg, &header, sizeof(header), NLMSG_ALIGNTO) < 0)
        return -EMSGSIZE;
    return nsh_fibnl_message_send(nl, &nl->ruler, &d->seq);
}

/* A family without rules (a kernel without policy routing, or without IPv6) has none. */
static int end(const struct rule_dump *d, int error)
{
    if (error == -EAFNOSUPPORT || error == -EOPNOTSUPP)
        return 0;
    return error == 0 && d->interrupted ? -EAGAIN : error;
}

/* One datagram. 1 when more follows, 0 at the end. */
static int read_some(struct nsh_fibnl *nl, struct rule_dump *d)
{
    struct nlmsghdr *nlh = (struct nlmsghdr *)(void *)nl->ruler.rx;
    ssize_t n = nsh_fibnl_channel_receive(&nl->ruler, 0);
    int size = (int)n;

    if (n < 0)
        return n == -EAGAIN ? -ETIMEDOUT : (int)n;
    for (; nlmsg_ok(nlh, size); nlh = nlmsg_next(nlh, &size)) {
        struct nsh_rule rule;
        int r;

        if (nlh->nlmsg_seq != d->seq)
            continue;
        if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
            d->interrupted = true;
        if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR)
            return end(d, nsh_fibnl_message_error(nlh, NULL, 0));
        if (nlh->nlmsg_type != RTM_NEWRULE)
            continue;
        r = nsh_fibnl_parse_rule(nlh, &rule);
        if (r == 1 && rule.family == d->family)
            r = d->seen(d->userdata, &rule);
        if (r != 0)
            return r;
    }
    return 1;
}

static int dump_family(struct nsh_fibnl *nl, struct rule_dump *d)
{
    int r = request(nl, d);

    if (r < 0)
        return r;
    do
        r = read_some(nl, d);
    while (r == 1);
    return r;
}

int nsh_fibnl_rules_dump(struct nsh_fib *fib, nsh_fib_rule_seen *seen, void *userdata)
{
    static const uint8_t families[] = {AF_INET, AF_INET6};
    struct nsh_fibnl *nl = nsh_fibnl_of(fib);
    int r = open_ruler(nl);

    for (size_t i = 0; r == 0 && i < NSH_ARRAY_SIZE(families); i++) {
        struct rule_dump d = {.seen = seen, .userdata = userdata, .family = families[i]};

        r = dump_family(nl, &d);
    }
    /* What is left of one that was given up would be in the way of the next. */
    if (r != 0)
        nsh_fibnl_channel_close(&nl->ruler);
    return r;
}
