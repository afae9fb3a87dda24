/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dumps of routes, one receive at a time.
 *
 * They have a socket of their own with strict checking, which makes the kernel filter. A kernel
 * without it sends everything; so what was asked for is looked at here again.
 *
 * Both families are two dumps, one after the other: AF_UNSPEC would ask further families, too.
 *
 * A dump that is given up half-way is not read to its end, which takes seconds with a million
 * routes: its socket is closed. The new one is opened in the network namespace the thread is in
 * then, so that must be the one the fib was made in.
 */
#include <errno.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>

#include "fib-netlink.h"

/* So many parts of 32 KiB are received before a thread reads ahead: 18,000 routes. */
#define PARTS_SHORT 32U

int nsh_fibnl_dump_reopen(struct nsh_fibnl *nl)
{
    int r;

    nsh_fibnl_ahead_stop(&nl->ahead);
    nsh_fibnl_channel_close(&nl->dumper);
    nl->dump.active = false;
    r = nsh_fibnl_channel_open(&nl->dumper, NSH_FIBNL_RX_SIZE);
    if (r < 0)
        return r;
    (void)nsh_fibnl_channel_set_option(&nl->dumper, NETLINK_GET_STRICT_CHK);
    return 0;
}

static int request(struct nsh_fibnl *nl, uint8_t family)
{
    const struct nsh_fib_filter *f = &nl->dump.filter;
    struct rtmsg rtm = {.rtm_family = family, .rtm_protocol = f->protocol};
    int r = nsh_fibnl_message_begin(nl, RTM_GETROUTE, NLM_F_DUMP);

    if (r < 0)
        return r;
    if (f->table < 256)
        rtm.rtm_table = (uint8_t)f->table;
    if (nlmsg_append(nl->msg, &rtm, sizeof(rtm), NLMSG_ALIGNTO) < 0 ||
            (f->table != 0 && nla_put_u32(nl->msg, RTA_TABLE, f->table) < 0))
        return -EMSGSIZE;
    r = nsh_fibnl_message_send(nl, &nl->dumper, &nl->dump.seq);
    if (r < 0)
        return r;
    nl->dump.family = family;
    nl->dump.parts = 0;
    nl->dump.active = true;
    return 0;
}

int nsh_fibnl_dump_begin(struct nsh_fib *fib, const struct nsh_fib_filter *filter)
{
    struct nsh_fibnl *nl = nsh_fibnl_of(fib);
    int r;

    if (nl->dump.active || !nl->dumper.sock) {
        r = nsh_fibnl_dump_reopen(nl);
        if (r < 0)
            return r;
    }
    nl->dump = (struct nsh_fibnl_dump){0};
    if (filter)
        nl->dump.filter = *filter;
    return request(nl, nl->dump.filter.family == AF_INET6 ? AF_INET6 : AF_INET);
}

static bool asked_for(const struct nsh_fibnl_dump *d, const struct nsh_route *route)
{
    return route->family == d->family &&
           (d->filter.protocol == 0 || route->protocol == d->filter.protocol) &&
           (d->filter.table == 0 || route->table == d->filter.table);
}

/* The end of one family: 1 when another follows, 0, or what went wrong. */
static int finish(struct nsh_fibnl *nl, int error)
{
    struct nsh_fibnl_dump *d = &nl->dump;

    d->active = false;
    /* A table nobody has put a route in is an empty one. */
    if (error < 0 && error != -ENOENT)
        return error;
    if (d->family == AF_INET && d->filter.family == AF_UNSPEC) {
        int r = request(nl, AF_INET6);

        return r < 0 ? r : 1;
    }
    return d->interrupted ? -EAGAIN : 0;
}

static int take_route(
        struct nsh_fibnl *nl, struct nlmsghdr *nlh, nsh_fib_route_seen *seen, void *userdata)
{
    struct nsh_route route;
    int r = nsh_fibnl_parse_route(nlh, &route, nl->dumper.props);

    if (r <= 0 || !asked_for(&nl->dump, &route))
        return r < 0 ? r : 0;
    return seen(userdata, &route);
}

static ssize_t receive(struct nsh_fibnl *nl)
{
    if (nl->dump.parts++ < PARTS_SHORT)
        return nsh_fibnl_channel_receive(&nl->dumper, 0);
    return nsh_fibnl_ahead_receive(&nl->ahead, &nl->dumper);
}

/*
 * Ends with -EAGAIN, after all routes were told, when the kernel says that the table changed in a
 * way that made the dump skip or repeat entries: to be dumped again.
 */
int nsh_fibnl_dump_read(struct nsh_fib *fib, nsh_fib_route_seen *seen, void *userdata)
{
    struct nsh_fibnl *nl = nsh_fibnl_of(fib);
    struct nlmsghdr *nlh;
    ssize_t n;
    int size;

    if (!nl->dump.active)
        return -EINVAL;
    n = receive(nl);
    if (n == -EINPROGRESS)
        return 1;
    if (n < 0)
        return n == -EAGAIN ? -ETIMEDOUT : (int)n;
    nlh = (struct nlmsghdr *)(void *)nl->dumper.rx;
    size = (int)n;
    for (; nlmsg_ok(nlh, size); nlh = nlmsg_next(nlh, &size)) {
        int r = 0;

        if (nlh->nlmsg_seq != nl->dump.seq)
            continue;
        if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
            nl->dump.interrupted = true;
        if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR)
            return finish(nl, nsh_fibnl_message_error(nlh, NULL, 0));
        if (nlh->nlmsg_type == RTM_NEWROUTE)
            r = take_route(nl, nlh, seen, userdata);
        if (r != 0)
            return r;
    }
    return 1;
}

int nsh_fibnl_test_dump_unfiltered(struct nsh_fib *fib)
{
    struct nsh_fibnl *nl = nsh_fibnl_of(fib);

    nsh_fibnl_ahead_stop(&nl->ahead);
    nsh_fibnl_channel_close(&nl->dumper);
    nl->dump.active = false;
    return nsh_fibnl_channel_open(&nl->dumper, NSH_FIBNL_RX_SIZE);
}
