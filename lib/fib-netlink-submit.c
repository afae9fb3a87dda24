/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing routes and rules: many messages in one send, one acknowledgement for all.
 *
 * The kernel works a datagram off message by message, answers each failure, and goes on. So only
 * the last message asks for an acknowledgement: when that is there, every failure before it is,
 * too. A batch is kept so small that all its messages could fail and their answers still fit the
 * receive buffer; else the kernel drops answers (ENOBUFS), and what was written is unknown.
 *
 * Failures are collected and told when the batch is through: in order, those that were found
 * before sending among those of the kernel.
 */
#include <errno.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>
#include <sys/socket.h>

#include "fib-netlink.h"

struct batch {
    size_t n;       /* slots used */
    size_t n_sent;  /* of them, in the buffer */
    size_t bytes;   /* in nl->tx */
    size_t last;    /* offset of the last message */
    uint32_t first; /* sequence number of slot 0 */
    uint32_t fence; /* sequence number of the last message */
};

/* 1: taken; 0: no more room, send first. */
static int add_op(struct nsh_fibnl *nl, struct batch *b, nsh_fibnl_build *build, const void *ops,
        size_t index)
{
    struct nsh_fibnl_slot *slot = &nl->slots[b->n];
    struct nlmsghdr *nlh = nlmsg_hdr(nl->msg);
    size_t size;
    int r;

    if (b->n == nl->batch_max)
        return 0;
    r = build(nl, ops, index);
    size = NLMSG_ALIGN(nlh->nlmsg_len);
    if (r == 0 && b->bytes + size > NSH_FIBNL_BATCH_BYTES)
        return 0;

    slot->op = index;
    slot->error = r;
    slot->why[0] = '\0';
    if (r == 0) {
        nlh->nlmsg_pid = nl->command.port;
        nlh->nlmsg_seq = b->first + (uint32_t)b->n;
        memcpy(nl->tx + b->bytes, nlh, nlh->nlmsg_len);
        b->last = b->bytes;
        b->fence = nlh->nlmsg_seq;
        b->bytes += size;
        b->n_sent++;
    }
    b->n++;
    return 1;
}

/* Takes the answers of one datagram; true when the fence was among them. */
static bool take_answers(struct nsh_fibnl *nl, const struct batch *b, int size)
{
    struct nlmsghdr *nlh = (struct nlmsghdr *)(void *)nl->command.rx;
    bool through = false;

    for (; nlmsg_ok(nlh, size); nlh = nlmsg_next(nlh, &size)) {
        uint32_t at = nlh->nlmsg_seq - b->first;

        if (nlh->nlmsg_type != NLMSG_ERROR || at >= b->n)
            continue;
        nl->slots[at].error =
                nsh_fibnl_message_error(nlh, nl->slots[at].why, sizeof(nl->slots[at].why));
        through |= nlh->nlmsg_seq == b->fence;
    }
    return through;
}

/* Throws away what is left on the command socket, so that the next request finds it empty. */
static void drain(struct nsh_fibnl *nl)
{
    ssize_t n;

    do
        n = nsh_fibnl_channel_receive(&nl->command, MSG_DONTWAIT);
    while (n >= 0 || n == -EMSGSIZE || n == -ENOBUFS);
}

static int send_batch(struct nsh_fibnl *nl, const struct batch *b)
{
    struct nlmsghdr *last = (struct nlmsghdr *)(void *)(nl->tx + b->last);
    bool through = false;
    int r;

    if (b->n_sent == 0)
        return 0;
    last->nlmsg_flags |= NLM_F_ACK;
    r = nsh_fibnl_channel_send(&nl->command, nl->tx, b->bytes);
    if (r < 0)
        return r;
    while (!through) {
        ssize_t n = nsh_fibnl_channel_receive(&nl->command, 0);

        if (n < 0) {
            drain(nl);
            return n == -EAGAIN ? -ETIMEDOUT : (int)n;
        }
        through = take_answers(nl, b, (int)n);
    }
    return 0;
}

static void tell_failures(
        const struct nsh_fibnl *nl, const struct batch *b, nsh_fib_failed *failed, void *userdata)
{
    for (size_t i = 0; i < b->n; i++)
        if (nl->slots[i].error < 0 && failed)
            failed(userdata, nl->slots[i].op, nl->slots[i].error, nl->slots[i].why);
}

int nsh_fibnl_submit_all(struct nsh_fibnl *nl, nsh_fibnl_build *build, const void *ops, size_t n,
        nsh_fib_failed *failed, void *userdata)
{
    for (size_t i = 0; i < n;) {
        struct batch b = {.first = nl->seq + 1};
        int r;

        while (i < n && add_op(nl, &b, build, ops, i) == 1)
            i++;
        nl->seq += (uint32_t)b.n;
        r = send_batch(nl, &b);
        if (r < 0)
            return r;
        tell_failures(nl, &b, failed, userdata);
    }
    return 0;
}

struct route_ops {
    const struct nsh_link *links;
    const struct nsh_fib_op *ops;
    struct built *built;
};

/* Of which operation nl->msg holds the message, as long as no other was begun in it. */
struct built {
    const struct nsh_fib_op *op; /* NULL: none */
    uint32_t messages;
};

/* True if their messages differ in the destination alone. */
static bool alike(const struct nsh_fib_op *a, const struct nsh_fib_op *b)
{
    const struct nsh_route *x = &a->route, *y = &b->route;

    return a->verb == b->verb && x->props == y->props && x->family == y->family &&
           x->table == y->table && x->metric == y->metric && x->dst_length == y->dst_length &&
           x->tos == y->tos && x->protocol == y->protocol;
}

/* Of a million routes most are like the one before: then only the destination is written anew. */
static int build_route(struct nsh_fibnl *nl, const void *ops, size_t index)
{
    const struct route_ops *routes = ops;
    const struct nsh_fib_op *op = &routes->ops[index];
    struct built *built = routes->built;
    struct nlattr *dst;
    int r;

    if (built->op && built->messages == nl->messages && alike(built->op, op) &&
            (dst = nlmsg_find_attr(nlmsg_hdr(nl->msg), sizeof(struct rtmsg), RTA_DST))) {
        memcpy(nla_data(dst), op->route.dst.bytes, (size_t)nla_len(dst));
        return 0;
    }
    r = nsh_fibnl_build_route(nl, routes->links, op);
    *built = (struct built){.op = r == 0 ? op : NULL, .messages = nl->messages};
    return r;
}

int nsh_fibnl_submit(struct nsh_fib *fib, const struct nsh_link *links,
        const struct nsh_fib_op *ops, size_t n, nsh_fib_failed *failed, void *userdata)
{
    struct built built = {0};
    const struct route_ops routes = {.links = links, .ops = ops, .built = &built};

    return nsh_fibnl_submit_all(nsh_fibnl_of(fib), build_route, &routes, n, failed, userdata);
}

static int build_rule(struct nsh_fibnl *nl, const void *ops, size_t index)
{
    return nsh_fibnl_build_rule(nl, &((const struct nsh_fib_rule_op *)ops)[index]);
}

int nsh_fibnl_rules_submit(struct nsh_fib *fib, const struct nsh_fib_rule_op *ops, size_t n,
        nsh_fib_failed *failed, void *userdata)
{
    return nsh_fibnl_submit_all(nsh_fibnl_of(fib), build_rule, ops, n, failed, userdata);
}
