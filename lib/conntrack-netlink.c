/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two sockets: one on which the kernel's table of flows is read in pieces, and one on which entries
 * are deleted while that goes on. A piece is one receive of at most 32 KiB, and what it names is
 * deleted before the next.
 *
 * Which way a flow goes is asked of the kernel twice: towards its source (the device it comes in
 * by), then towards its destination as if it came in there. A way by the loopback is one from or to
 * this host itself, whatever made the address its own. Flows come in groups between the same
 * hosts, so the last answers are kept for the pass.
 *
 * A packet of the other side may be under way when a flow's entry is deleted. It is then the first
 * one to be tracked, as a flow of its own from there to here, and all that follows belongs to that:
 * the first direction decides about translation, and it is the wrong one. So what was deleted is
 * remembered, and a later pass deletes such a reversed entry too, whatever its route.
 */
#include "conntrack-netlink.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netlink/msg.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "netlink.h"
#include "newer.h"

#define CANDIDATES_MAX 65536 /* looked up in one pass */
#define LOOPBACK 1           /* index of `lo` in every network namespace */

/* ---- sockets ---- */

static int open_socket(int *fd, int protocol)
{
    int one = 1, r;

    *fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (*fd < 0)
        return errno == EPROTONOSUPPORT || errno == EAFNOSUPPORT ? -EOPNOTSUPP : -errno;
    r = nsh_netlink_connect(*fd);
    if (r < 0)
        return r;
    /* Answers to a deletion without a copy of the request. */
    (void)setsockopt(*fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
    return 0;
}

static int send_all(int fd, const void *data, size_t size)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t n;

    do
        n = sendto(fd, data, size, 0, (struct sockaddr *)&kernel, sizeof kernel);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == size ? 0 : -EIO;
}

/*
 * The kernel has its answer ready when the request was sent, and the next piece of a dump when
 * the one before was taken, so that this never waits. Only the kernel is listened to.
 */
static int receive(int fd, void *buf, size_t size)
{
    ssize_t n;

    do
        n = nsh_netlink_receive(fd, buf, size, MSG_DONTWAIT);
    while (n == 0);
    return (int)n;
}

int nsh_ct_receive(struct nsh_conntrack *ct)
{
    return receive(ct->dump_fd, ct->piece, NSH_CT_PIECE);
}

/* The error in an NLMSG_ERROR or NLMSG_DONE, which is 0 in an answer to what went well. */
static int message_error(struct nlmsghdr *h)
{
    int error;

    if (!nlmsg_valid_hdr(h, sizeof error))
        return h->nlmsg_type == NLMSG_DONE ? 0 : -EPROTO;
    memcpy(&error, nlmsg_data(h), sizeof error);
    return error < 0 ? error : 0;
}

static int request_dump(int fd, uint16_t type, uint32_t seq, const void *body, size_t size)
{
    struct {
        struct nlmsghdr h;
        char body[64];
    } m = {.h = {.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = seq}};

    if (size > sizeof m.body)
        return -EINVAL;
    memcpy(m.body, body, size);
    m.h.nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
    return send_all(fd, &m, m.h.nlmsg_len);
}

/* ---- deleting ---- */

/*
 * One answer for each request, in order. An entry that went by itself meanwhile is none of ours
 * to count.
 */
static int read_answers(struct nsh_conntrack *ct)
{
    alignas(struct nlmsghdr) char buf[4096];
    int failed = 0;

    while (ct->batch_answered < ct->batch_count) {
        int n = receive(ct->delete_fd, buf, sizeof buf);
        struct nlmsghdr *h = (struct nlmsghdr *)buf;

        if (n < 0)
            return n;
        for (; nlmsg_ok(h, n); h = nlmsg_next(h, &n)) {
            const struct nsh_chain *whose;
            int error;

            if (h->nlmsg_type != NLMSG_ERROR || ct->batch_answered == ct->batch_count)
                continue;
            whose = ct->whose[ct->batch_answered++];
            error = message_error(h);
            if (error == 0)
                ct->deleted++;
            else if (error != -ENOENT)
                failed = error;
            if (error == 0 && whose && ct->dropped)
                ct->dropped(ct->userdata, whose);
        }
    }
    return failed;
}

static void empty_batch(struct nsh_conntrack *ct)
{
    ct->batch_size = 0;
    ct->batch_count = ct->batch_answered = 0;
}

int nsh_ct_delete_flush(struct nsh_conntrack *ct)
{
    int r;

    if (ct->batch_count == 0)
        return 0;
    r = send_all(ct->delete_fd, ct->batch, ct->batch_size);
    if (r >= 0)
        r = read_answers(ct);
    empty_batch(ct);
    return r;
}

int nsh_ct_delete(
        struct nsh_conntrack *ct, const struct nsh_ct_entry *e, const struct nsh_chain *whose)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        size_t n = ct->batch_count == NSH_CT_BATCH_MAX
                           ? 0
                           : nsh_ct_entry_put_delete(e, ++ct->seq, ct->batch + ct->batch_size,
                                     sizeof ct->batch - ct->batch_size);
        int r;

        if (n > 0) {
            ct->batch_size += n;
            ct->whose[ct->batch_count++] = whose;
            return 0;
        }
        r = nsh_ct_delete_flush(ct);
        if (r < 0)
            return r;
    }
    return 0; /* larger than the whole buffer: no entry of the kernel is */
}

/* ---- judging ---- */

/* false: it is not one that is passed on. */
static bool find_out(const struct nsh_conntrack *ct, struct nsh_fib *fib,
        const struct nsh_ct_entry *e, struct nsh_ct_answer *a)
{
    struct nsh_fib_path in, out;

    if (fib->ops->lookup(fib, ct->family, &e->src, 0, NULL, &in) < 0)
        return false;
    /* What begins here is translated by the policies as well, but can't be born in a gap of them
     * with an address that is not this machine's. */
    if (in.ifindex == LOOPBACK && !ct->any)
        return false;
    if (fib->ops->lookup(fib, ct->family, &e->dst, in.ifindex == LOOPBACK ? 0 : in.ifindex, &e->src,
                &out) < 0 ||
            out.ifindex == LOOPBACK)
        return false;
    a->ifindex = out.ifindex;
    return fib->ops->link_name(fib, out.ifindex, a->out) >= 0;
}

static struct nsh_ct_memory *memory_of(struct nsh_conntrack *ct, int family)
{
    return &ct->memories[family == AF_INET6];
}

struct nsh_ct_memory *nsh_ct_memory(struct nsh_conntrack *ct)
{
    return memory_of(ct, ct->family);
}

const struct nsh_ct_answer *nsh_ct_way_out(
        struct nsh_conntrack *ct, struct nsh_fib *fib, const struct nsh_ct_entry *e)
{
    struct nsh_ct_answer *a;

    for (size_t i = 0; i < NSH_CT_CACHE; i++) {
        a = &ct->cache[i];
        if (a->used && nsh_addr_cmp(&a->src, &e->src) == 0 && nsh_addr_cmp(&a->dst, &e->dst) == 0)
            return a;
    }
    a = &ct->cache[ct->cache_next++ % NSH_CT_CACHE];
    *a = (struct nsh_ct_answer){.src = e->src, .dst = e->dst, .used = true};
    if (!find_out(ct, fib, e, a))
        a->out[0] = '\0';
    return a;
}

static bool judge(struct nsh_conntrack *ct, struct nsh_fib *fib,
        const struct nsh_translations *wanted, const struct nsh_ct_entry *e)
{
    const char *out = nsh_ct_way_out(ct, fib, e)->out;
    struct nsh_flow flow = {
            .family = e->family,
            .protocol = (uint8_t)e->began.protocol,
            .led = nsh_addr_cmp(&e->began.dst, &e->dst) != 0,
            .src = e->src,
            .dst = e->dst,
            .source_port = ntohs(e->began.src_port),
            .destination_port = ntohs(e->answers.src_port),
    };

    memcpy(flow.out, out, sizeof(flow.out));
    return out[0] != '\0' && nsh_chains_translate(wanted, &flow);
}

static bool is_candidate(const struct nsh_conntrack *ct, const struct nsh_ct_entry *e)
{
    return !e->translated && !e->torn && !nsh_ct_addr_stays(ct->family, &e->src) &&
           !nsh_ct_addr_stays(ct->family, &e->dst);
}

/* ---- a pass ---- */

/* Closed with the sockets is whatever they still hold: no late answer meets the next pass. */
int nsh_ct_finish(struct nsh_conntrack *ct, int result)
{
    nsh_closep(&ct->dump_fd);
    nsh_closep(&ct->delete_fd);
    ct->dump_fd = ct->delete_fd = -1;
    ct->running = false;
    empty_batch(ct);
    free(ct->piece);
    ct->piece = NULL;
    return result;
}

/*
 * Where the kernel can, it leaves out translated entries itself, if these do not matter; older ones
 * ignore the wish.
 */
static int start_dump(struct nsh_conntrack *ct)
{
    struct {
        struct nfgenmsg nf;
        struct nlattr status;
        uint32_t value;
        struct nlattr mask;
        uint32_t mask_value;
    } body = {
            .nf = {.nfgen_family = (uint8_t)ct->family, .version = NFNETLINK_V0},
            .status = {.nla_len = 8, .nla_type = CTA_STATUS},
            .mask = {.nla_len = 8, .nla_type = NSH_CTA_STATUS_MASK},
            .mask_value = htonl(IPS_SRC_NAT),
    };

    _Static_assert(sizeof body == sizeof body.nf + 16, "attributes have no padding");
    ct->dump_seq = ++ct->seq;
    return request_dump(ct->dump_fd, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, ct->dump_seq,
            &body, ct->any ? sizeof body.nf : sizeof body);
}

int nsh_ct_begin(struct nsh_conntrack *ct, int family, bool any)
{
    int r;

    if (family != AF_INET && family != AF_INET6)
        return -EAFNOSUPPORT;
    nsh_ct_finish(ct, 0);
    ct->family = family;
    ct->any = any;
    ct->surveyed = false;
    ct->deleted = ct->candidates = 0;
    ct->cache_next = 0;
    ct->piece_at = ct->piece_size = 0;
    nsh_ct_memory_settle(memory_of(ct, family));
    memset(ct->cache, 0, sizeof ct->cache);
    ct->piece = malloc(NSH_CT_PIECE);
    r = ct->piece ? open_socket(&ct->dump_fd, NETLINK_NETFILTER) : -ENOMEM;
    if (r >= 0)
        r = open_socket(&ct->delete_fd, NETLINK_NETFILTER);
    if (r >= 0)
        r = start_dump(ct);
    ct->running = r >= 0;
    return r < 0 ? nsh_ct_finish(ct, r) : 0;
}

int nsh_conntrack_begin(struct nsh_conntrack *ct, int family)
{
    return nsh_ct_begin(ct, family, false);
}

int nsh_ct_message(struct nlmsghdr *h)
{
    int r;

    if (h->nlmsg_type != NLMSG_DONE && h->nlmsg_type != NLMSG_ERROR)
        return 1;
    r = message_error(h);
    return r == -EINVAL ? -EOPNOTSUPP : r; /* nothing there that knows such requests */
}

/* 1: more in the dump; 0: its end. */
static int look_at(struct nsh_conntrack *ct, struct nsh_fib *fib,
        const struct nsh_translations *wanted, struct nlmsghdr *h)
{
    struct nsh_ct_entry e;
    int r = nsh_ct_message(h);

    if (r <= 0 || !nsh_ct_entry_parse(h, ct->family, &e) || !is_candidate(ct, &e))
        return r;
    if (++ct->candidates > CANDIDATES_MAX)
        return 0; /* the rest keeps its address until it ends, as after any missed gap */
    if (!nsh_ct_memory_has(nsh_ct_memory(ct), &e.began)) {
        if (!judge(ct, fib, wanted, &e))
            return 1;
        nsh_ct_memory_add(nsh_ct_memory(ct), &e.answers);
    }
    r = nsh_ct_delete(ct, &e, NULL);
    return r < 0 ? r : 1;
}

int nsh_conntrack_step(
        struct nsh_conntrack *ct, struct nsh_fib *fib, const struct nsh_translations *wanted)
{
    struct nlmsghdr *h;
    int n, r = 1, flushed;

    if (!ct->running)
        return -EINVAL;
    n = nsh_ct_receive(ct);
    if (n < 0)
        return nsh_ct_finish(ct, n);
    for (h = (struct nlmsghdr *)ct->piece; r == 1 && nlmsg_ok(h, n); h = nlmsg_next(h, &n))
        if (h->nlmsg_seq == ct->dump_seq)
            r = look_at(ct, fib, wanted, h);
    flushed = nsh_ct_delete_flush(ct);
    if (flushed < 0)
        r = flushed;
    return r == 1 ? 1 : nsh_ct_finish(ct, r);
}

void nsh_conntrack_forget(struct nsh_conntrack *ct, int family)
{
    nsh_ct_memory_done(memory_of(ct, family));
}

size_t nsh_conntrack_deleted(const struct nsh_conntrack *ct)
{
    return ct->deleted;
}

int nsh_conntrack_new(struct nsh_conntrack **ret)
{
    struct nsh_conntrack *ct = calloc(1, sizeof *ct);

    if (!ct)
        return -ENOMEM;
    ct->dump_fd = ct->delete_fd = -1;
    *ret = ct;
    return 0;
}

void nsh_conntrack_free(struct nsh_conntrack *ct)
{
    if (!ct)
        return;
    nsh_ct_finish(ct, 0);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(ct->memories); i++)
        nsh_ct_memory_done(&ct->memories[i]);
    free(ct);
}
