/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket on which the adapter asks and writes. The kernel answers a request before its send
 * returns, so that nothing is waited for here. Answers are taken only from the kernel itself.
 */
#include "firewall-nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <sys/time.h>

#include "netlink.h"

#define RECEIVE 65536
/* For what nobody foresaw. */
#define ANSWER_TIMEOUT_SECONDS 10

int nsh_nft_socket(int flags, uint32_t *ret_port)
{
    nsh_autoclose int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_NETFILTER);
    struct sockaddr_nl addr = {.nl_family = AF_NETLINK};
    socklen_t size = sizeof addr;
    int r;

    if (fd < 0)
        return errno == EPROTONOSUPPORT ? -EOPNOTSUPP : -errno;
    r = nsh_netlink_connect(fd); /* which binds it too */
    if (r < 0)
        return r;
    if (getsockname(fd, (struct sockaddr *)&addr, &size) < 0)
        return -errno;
    *ret_port = addr.nl_pid;
    return NSH_TAKE_FD(fd);
}

void nsh_nft_channel_init(struct nsh_nft_channel *c)
{
    *c = (struct nsh_nft_channel){.fd = -1};
}

void nsh_nft_channel_done(struct nsh_nft_channel *c)
{
    nsh_closep(&c->fd);
    free(c->buf);
    nsh_nft_channel_init(c);
}

int nsh_nft_channel_open(struct nsh_nft_channel *c)
{
    const struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_SECONDS};
    const int on = 1;

    if (c->fd >= 0)
        return 0;
    if (!c->buf)
        c->buf = malloc(RECEIVE + 1);
    if (!c->buf)
        return -ENOMEM;
    c->fd = nsh_nft_socket(0, &c->port);
    if (c->fd < 0) {
        int r = c->fd;

        c->fd = -1;
        return r;
    }
    if (setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) < 0)
        return -errno;
    /* Only a message's head comes back with an error, and words with it; both may be missing. */
    (void)setsockopt(c->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    (void)setsockopt(c->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
    return 0;
}

struct nlmsghdr *nsh_nft_request(
        struct nsh_nft_channel *c, void *buf, int family, uint16_t type, uint16_t flags)
{
    return nftnl_nlmsg_build_hdr(buf, type, (uint16_t)family, flags, ++c->seq);
}

struct answers {
    int (*seen)(const struct nlmsghdr *answer, void *userdata);
    void *userdata;
    bool torn;
};

/* 1: more is to come. */
static int take_message(const struct nlmsghdr *m, struct answers *a)
{
    const struct nlmsgerr *e = mnl_nlmsg_get_payload(m);
    int r;

    a->torn = a->torn || (m->nlmsg_flags & NLM_F_DUMP_INTR);
    if (m->nlmsg_type == NLMSG_ERROR)
        return mnl_nlmsg_get_payload_len(m) < sizeof *e || e->error > 0 ? -EPROTO : e->error;
    if (m->nlmsg_type == NLMSG_DONE) {
        const int *error = mnl_nlmsg_get_payload(m);

        return mnl_nlmsg_get_payload_len(m) >= sizeof *error && *error < 0 ? *error : 0;
    }
    r = a->seen(m, a->userdata);
    return r != 0 ? r : 1;
}

/*
 * One receive. 1: more is to come. libnftnl takes what is to be text without looking for its end:
 * behind all that was received there is one.
 */
static int take_answers(struct nsh_nft_channel *c, uint32_t seq, struct answers *a, bool *ret_end)
{
    ssize_t n = nsh_netlink_receive(c->fd, c->buf, RECEIVE, 0);
    const struct nlmsghdr *m = (const struct nlmsghdr *)c->buf;
    int left = (int)n;

    if (n < 0)
        return n == -EAGAIN ? -ETIMEDOUT : (int)n;
    c->buf[n] = '\0';
    for (; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
        int r;

        if (m->nlmsg_seq != seq)
            continue;
        r = take_message(m, a);
        if (r != 1) {
            *ret_end = true;
            return r;
        }
    }
    return 0;
}

static int send_all(const struct nsh_nft_channel *c, const void *data, size_t size)
{
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t n;

    do
        n = sendto(c->fd, data, size, 0, (const struct sockaddr *)&kernel, sizeof kernel);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == size ? 0 : -EIO;
}

/* What is left of an answer that nobody wants any more would be taken for that of the next. */
static void skip_rest(const struct nsh_nft_channel *c)
{
    while (recv(c->fd, c->buf, RECEIVE, MSG_DONTWAIT) > 0)
        ;
}

int nsh_nft_ask(struct nsh_nft_channel *c, const struct nlmsghdr *request,
        int (*seen)(const struct nlmsghdr *answer, void *userdata), void *userdata)
{
    struct answers a = {.seen = seen, .userdata = userdata};
    bool end = false;
    int r = send_all(c, request, request->nlmsg_len);

    while (r == 0 && !end)
        r = take_answers(c, request->nlmsg_seq, &a, &end);
    if (r == -E2BIG && c->stops)
        nsh_closep(&c->fd);
    else if (r != 0)
        skip_rest(c);
    return r == 0 && a.torn ? -EINTR : r;
}

static int take_generation(const struct nlmsghdr *m, void *userdata)
{
    const struct nlattr *attr;

    mnl_attr_for_each(
            attr, m, sizeof(struct nfgenmsg)) if (mnl_attr_get_type(attr) == NFTA_GEN_ID &&
                                                  mnl_attr_validate(attr, MNL_TYPE_U32) == 0) *
            (uint32_t *)userdata = ntohl(mnl_attr_get_u32(attr));
    return 0;
}

int nsh_nft_generation(struct nsh_nft_channel *c, uint32_t *ret)
{
    char buf[256];
    uint32_t generation = 0;
    int r = nsh_nft_ask(c,
            nsh_nft_request(c, buf, AF_UNSPEC, NFT_MSG_GETGEN, NLM_F_REQUEST | NLM_F_ACK),
            take_generation, &generation);

    if (r == 0)
        *ret = generation;
    return r;
}
