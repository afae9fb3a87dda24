/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One transaction: messages between a begin and an end, sent in one piece, which the kernel takes
 * as a whole or not at all. Each has a number of its own, by which the kernel's errors are led back
 * to the step that wrote it. The begin names the generation the messages were made from: after
 * somebody else's transaction the kernel refuses them.
 */
#include "firewall-nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/batch.h>
#include <libnftnl/common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netlink.h"

/* A message with one attribute of the largest size, and some more. */
#define ROOM (80U << 10)
#define RECEIVE 65536

void nsh_nft_batch_init(struct nsh_nft_batch *b)
{
    *b = (struct nsh_nft_batch){.step = NSH_NFT_NO_STEP};
}

void nsh_nft_batch_done(struct nsh_nft_batch *b)
{
    free(b->bytes);
    free(b->messages);
    nsh_nft_batch_init(b);
}

static bool make_room(struct nsh_nft_batch *b)
{
    if (b->max - b->size < ROOM) {
        size_t max = b->max * 2 > ROOM * 2 ? b->max * 2 : ROOM * 2;
        uint8_t *bytes = realloc(b->bytes, max);

        if (!bytes)
            return false;
        b->bytes = bytes;
        b->max = max;
    }
    if (b->n_messages == b->messages_max) {
        size_t max = b->messages_max > 0 ? b->messages_max * 2 : 64;
        struct nsh_nft_message *messages = reallocarray(b->messages, max, sizeof *messages);

        if (!messages)
            return false;
        b->messages = messages;
        b->messages_max = max;
    }
    return true;
}

/* The first one in the buffer is the begin: number 0. */
static bool begin(struct nsh_nft_batch *b)
{
    struct nlmsghdr *m;

    if (!make_room(b))
        return false;
    if (b->size > 0)
        return true;
    m = nftnl_batch_begin((char *)b->bytes, 0);
    mnl_attr_put_u32(m, NFNL_BATCH_GENID, 0); /* its place */
    b->size = m->nlmsg_len;
    return true;
}

struct nlmsghdr *nsh_nft_batch_open(
        struct nsh_nft_batch *b, uint16_t type, int family, uint16_t flags)
{
    if (b->error == 0 && !begin(b))
        b->error = -ENOMEM;
    if (b->error != 0)
        return NULL;
    b->messages[b->n_messages++] = (struct nsh_nft_message){.at = b->size, .step = b->step};
    return nftnl_nlmsg_build_hdr(
            (char *)b->bytes + b->size, type, (uint16_t)family, flags, (uint32_t)b->n_messages);
}

void nsh_nft_batch_close(struct nsh_nft_batch *b, const struct nlmsghdr *message)
{
    b->size += MNL_ALIGN(message->nlmsg_len);
}

/* ---- sending ---- */

static void set_generation(struct nsh_nft_batch *b, uint32_t generation)
{
    struct nlmsghdr *m = (struct nlmsghdr *)b->bytes;
    struct nlattr *attr;

    mnl_attr_for_each(
            attr, m, sizeof(struct nfgenmsg)) if (mnl_attr_get_type(attr) == NFNL_BATCH_GENID) *
            (uint32_t *)mnl_attr_get_payload(attr) = htonl(generation);
}

/* The whole is one message to the socket, which has to be allowed to hold it. */
static int let_send(int fd, size_t size)
{
    int now = 0, want = size > INT32_MAX / 4 ? INT32_MAX / 4 : (int)size + 65536;
    socklen_t length = sizeof now;

    if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &now, &length) == 0 && now / 2 >= want)
        return 0;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &want, sizeof want) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &want, sizeof want);
    return 0;
}

static int send_bytes(const struct nsh_nft_channel *c, const struct nsh_nft_batch *b)
{
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t n;

    let_send(c->fd, b->size);
    do
        n = sendto(c->fd, b->bytes, b->size, 0, (const struct sockaddr *)&kernel, sizeof kernel);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == b->size ? 0 : -EIO;
}

/* ---- answers ---- */

/* The name of the expression that begins at `offset` of a message; "" if that is none. */
static void name_expression(const struct nlmsghdr *m, uint32_t offset, char *ret, size_t size)
{
    const struct nlattr *element, *attr;

    if (offset < sizeof *m || offset > m->nlmsg_len - sizeof *element ||
            (m->nlmsg_type & 0xff) != NFT_MSG_NEWRULE)
        return;
    element = (const struct nlattr *)((const uint8_t *)m + offset);
    if (mnl_attr_get_type(element) != NFTA_LIST_ELEM ||
            mnl_attr_get_len(element) < MNL_ATTR_HDRLEN ||
            mnl_attr_get_len(element) > m->nlmsg_len - offset)
        return;
    mnl_attr_for_each_nested(attr, element) if (mnl_attr_get_type(attr) == NFTA_EXPR_NAME &&
                                                mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
            snprintf(ret, size, "%s", mnl_attr_get_str(attr));
}

/* Only the head of the refused message comes back (NETLINK_CAP_ACK), then what is said about it. */
static void take_details(const struct nsh_nft_batch *b, const struct nlmsghdr *m,
        const struct nlmsghdr *refused, struct nsh_nft_failure *f)
{
    const struct nlattr *attr;

    if (!(m->nlmsg_flags & NLM_F_ACK_TLVS) || !(m->nlmsg_flags & NLM_F_CAPPED))
        return;
    mnl_attr_for_each(attr, m, sizeof(struct nlmsgerr))
    {
        uint16_t type = mnl_attr_get_type(attr);

        if (type == NLMSGERR_ATTR_MSG && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
            snprintf(f->said, sizeof f->said, "%s", mnl_attr_get_str(attr));
        if (type == NLMSGERR_ATTR_OFFS && refused && mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
            name_expression(refused, mnl_attr_get_u32(attr), f->expression, sizeof f->expression);
    }
    (void)b;
}

static void take_failure(const struct nsh_nft_batch *b, const struct nlmsghdr *m,
        const struct nlmsgerr *e, struct nsh_nft_failure *f)
{
    const struct nlmsghdr *refused = NULL;

    *f = (struct nsh_nft_failure){.error = e->error, .step = NSH_NFT_NO_STEP};
    if (e->msg.nlmsg_seq > 0 && e->msg.nlmsg_seq <= b->n_messages) {
        const struct nsh_nft_message *message = &b->messages[e->msg.nlmsg_seq - 1];

        refused = (const struct nlmsghdr *)(b->bytes + message->at);
        f->step = message->step;
        f->type = refused->nlmsg_type & 0xff;
    }
    take_details(b, m, refused, f);
}

/*
 * The first error counts; the kernel lists them all. Answers that found no room were errors: of a
 * good transaction there is one, that of its last message.
 */
static int take_verdict(
        const struct nsh_nft_channel *c, const struct nsh_nft_batch *b, struct nsh_nft_failure *f)
{
    bool done = false;

    for (;;) {
        ssize_t n = nsh_netlink_receive(c->fd, c->buf, RECEIVE, MSG_DONTWAIT);
        const struct nlmsghdr *m = (const struct nlmsghdr *)c->buf;
        int left = (int)n;

        if (n == -ENOBUFS || n == -EMSGSIZE)
            continue;
        if (n < 0)
            break;
        for (; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
            const struct nlmsgerr *e = mnl_nlmsg_get_payload(m);

            if (m->nlmsg_type != NLMSG_ERROR || mnl_nlmsg_get_payload_len(m) < sizeof *e)
                continue;
            if (e->error < 0 && f->error == 0)
                take_failure(b, m, e, f);
            done = done || (e->error == 0 && e->msg.nlmsg_seq == b->n_messages);
        }
    }
    if (f->error == 0 && !done)
        f->error = -EIO;
    return f->error;
}

int nsh_nft_batch_send(struct nsh_nft_channel *c, struct nsh_nft_batch *b, uint32_t generation,
        bool check, struct nsh_nft_failure *ret)
{
    size_t size = b->size;
    int r;

    *ret = (struct nsh_nft_failure){.step = NSH_NFT_NO_STEP, .error = b->error};
    if (b->error != 0 || b->n_messages == 0)
        return b->error;
    set_generation(b, generation);
    ((struct nlmsghdr *)(b->bytes + b->messages[b->n_messages - 1].at))->nlmsg_flags |= NLM_F_ACK;
    /* Without its end the kernel judges it all, and takes nothing. */
    if (!check)
        b->size += nftnl_batch_end((char *)b->bytes + size, (uint32_t)b->n_messages + 1)->nlmsg_len;
    r = send_bytes(c, b);
    b->size = size;
    if (r < 0) {
        ret->error = r;
        return r;
    }
    r = take_verdict(c, b, ret);
    return r == -ERESTART ? NSH_FIREWALL_RACED : r;
}
