/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the netlink implementation share; nothing else includes this, but for tests
 * that need the hooks at the end.
 */
#pragma once

#include <linux/netlink.h>
#include <pthread.h>

#include "cleanup.h"
#include "fib.h"

struct nl_msg;
struct nl_sock;

/* Larger than any datagram the kernel sends on a dump (32 KiB) or as an event. */
#define NSH_FIBNL_RX_SIZE ((size_t)64 * 1024)
#define NSH_FIBNL_BATCH_MAX 128U
#define NSH_FIBNL_BATCH_BYTES ((size_t)32 * 1024)
#define NSH_FIBNL_WHY_MAX 128U

/*
 * A socket with the buffers that belong to it. Each has its own, so that a callback for an event
 * or a dumped route may call any other operation of the fib.
 */
struct nsh_fibnl_channel {
    struct nl_sock *sock;
    int fd;
    uint32_t port;
    uint8_t *rx;
    size_t rx_size;
    struct nsh_route_props *props; /* scratch, room for NSH_NEXTHOPS_MAX */
};

/* A thread that receives the parts of a long dump, one ahead of who reads them. */
struct nsh_fibnl_ahead {
    bool running; /* the rest is there only then */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct nsh_fibnl_channel channel; /* the dump's socket, with a buffer of its own */
    /* of what it has received, under the mutex */
    bool full;
    bool last; /* nothing follows */
    bool quit;
    ssize_t size; /* or a negative errno */
};

/* One operation of a batch on its way. */
struct nsh_fibnl_slot {
    size_t op;
    int error; /* 0, or negative errno */
    char why[NSH_FIBNL_WHY_MAX];
};

struct nsh_fibnl_dump {
    struct nsh_fib_filter filter;
    uint32_t seq;
    uint8_t family;   /* of the request under way */
    uint32_t parts;   /* received of it */
    bool active;      /* a request is under way, or there are answers not read */
    bool interrupted; /* the kernel said that the table changed meanwhile */
};

struct nsh_fibnl {
    struct nsh_fib fib;
    struct nsh_fibnl_channel command;
    struct nsh_fibnl_channel dumper;
    struct nsh_fibnl_channel ruler; /* other dumps, also while one of routes is under way */
    struct nsh_fibnl_channel events;
    uint32_t seq;

    struct nl_msg *msg; /* the one message every request is built in */
    uint32_t messages;  /* begun in it */
    uint8_t *tx;        /* a batch of them */
    size_t batch_max;   /* as many as have room for their errors in the receive buffer */
    struct nsh_fibnl_slot slots[NSH_FIBNL_BATCH_MAX];

    struct nsh_fibnl_dump dump;
    struct nsh_fibnl_ahead ahead; /* of it */
    uint8_t events_protocol;
    enum nsh_fib_foreign events_foreign;
    bool events_lost;          /* some were, since the queue was empty */
    int forwarding_written[2]; /* IPv4, IPv6: last written through this fib; -1: never */
};

static inline struct nsh_fibnl *nsh_fibnl_of(struct nsh_fib *fib)
{
    return (struct nsh_fibnl *)fib; /* its first member */
}

/* ---- channel ---- */

int nsh_fibnl_channel_open(struct nsh_fibnl_channel *c, size_t rx_size);
/* Takes NULL members; the channel can be opened again. */
void nsh_fibnl_channel_close(struct nsh_fibnl_channel *c);
/* Wants `bytes` of receive buffer, beyond the system's limit if the process may. */
void nsh_fibnl_channel_set_buffer(struct nsh_fibnl_channel *c, int bytes);
bool nsh_fibnl_channel_set_option(struct nsh_fibnl_channel *c, int option);
int nsh_fibnl_channel_send(struct nsh_fibnl_channel *c, const void *data, size_t size);
/*
 * One datagram into c->rx: its size; 0 for one that is not from the kernel; -EMSGSIZE if it did
 * not fit; -errno. `flags` are those of recvmsg(2).
 */
ssize_t nsh_fibnl_channel_receive(struct nsh_fibnl_channel *c, int flags);

/* ---- a long dump ---- */

/*
 * As nsh_fibnl_channel_receive, but soon: -EINPROGRESS when nothing has come yet. Then, and until
 * the dump has ended or nsh_fibnl_ahead_stop, nothing else is to use the channel's socket.
 */
ssize_t nsh_fibnl_ahead_receive(struct nsh_fibnl_ahead *a, struct nsh_fibnl_channel *c);
void nsh_fibnl_ahead_stop(struct nsh_fibnl_ahead *a);

/* ---- messages ---- */

/* Starts nl->msg anew. */
int nsh_fibnl_message_begin(struct nsh_fibnl *nl, int type, int flags);
int nsh_fibnl_message_send(struct nsh_fibnl *nl, struct nsh_fibnl_channel *c, uint32_t *ret_seq);
/* Error of an NLMSG_ERROR or NLMSG_DONE message (0: none), and the kernel's words if `why`. */
int nsh_fibnl_message_error(struct nlmsghdr *nlh, char *why, size_t size);

/* The message for an operation, in nl->msg. Negative errno if it can't even be asked for. */
int nsh_fibnl_build_route(
        struct nsh_fibnl *nl, const struct nsh_link *links, const struct nsh_fib_op *op);
/*
 * A route message as a normalised value with `props` (room for NSH_NEXTHOPS_MAX). 1; 0 for what is
 * no entry of a table netshared could write (cached, with a source prefix); -EBADMSG.
 *
 * A route that says more than struct nsh_route can hold (encapsulation, realms, an expiry, more
 * nexthops than NSH_NEXTHOPS_MAX) has bit RTAX_UNSPEC in metrics_set: it equals no wanted route.
 */
int nsh_fibnl_parse_route(
        struct nlmsghdr *nlh, struct nsh_route *ret, struct nsh_route_props *props);
#define NSH_FIBNL_INEXACT (1U << RTAX_UNSPEC)

/* The message for an operation on a rule, in nl->msg. */
int nsh_fibnl_build_rule(struct nsh_fibnl *nl, const struct nsh_fib_rule_op *op);
/*
 * A rule message as a normalised value; `inexact` if it says more than that can hold. 1; 0 for a
 * family netshared has no rules of; -EBADMSG.
 */
int nsh_fibnl_parse_rule(struct nlmsghdr *nlh, struct nsh_rule *ret);

/*
 * Builds operation `index` in nl->msg; negative errno if it can't even be asked for. Sends them
 * batch by batch, as nsh_fibnl_submit does.
 */
typedef int nsh_fibnl_build(struct nsh_fibnl *nl, const void *ops, size_t index);
int nsh_fibnl_submit_all(struct nsh_fibnl *nl, nsh_fibnl_build *build, const void *ops, size_t n,
        nsh_fib_failed *failed, void *userdata);

/*
 * Sends nl->msg and waits for the answer of type `type`, which stays in the receive buffer of the
 * command socket until the next command.
 */
int nsh_fibnl_ask(struct nsh_fibnl *nl, int type, struct nlmsghdr **ret);
/* Asks for the link with this name or alternative name; -ENODEV. */
int nsh_fibnl_ask_link(struct nsh_fibnl *nl, const char *name, struct nlmsghdr **ret);

/* ---- operations ---- */

int nsh_fibnl_dump_begin(struct nsh_fib *fib, const struct nsh_fib_filter *filter);
int nsh_fibnl_dump_read(struct nsh_fib *fib, nsh_fib_route_seen *seen, void *userdata);
/* Opens the dump socket, or opens it anew. */
int nsh_fibnl_dump_reopen(struct nsh_fibnl *nl);

int nsh_fibnl_submit(struct nsh_fib *fib, const struct nsh_link *links,
        const struct nsh_fib_op *ops, size_t n, nsh_fib_failed *failed, void *userdata);

int nsh_fibnl_rules_dump(struct nsh_fib *fib, nsh_fib_rule_seen *seen, void *userdata);
/*
 * A short dump, read to its end in one go, on a socket of its own since one of routes may be under
 * way on the other. `header` is that of the request; `each` takes one answer of `type` and returns
 * 0 to go on. -EAGAIN, after all were told: what is dumped changed meanwhile.
 */
typedef int nsh_fibnl_each(void *userdata, struct nlmsghdr *nlh);
int nsh_fibnl_short_dump(struct nsh_fibnl *nl, int request, const void *header, size_t size,
        int type, nsh_fibnl_each *each, void *userdata);
int nsh_fibnl_addresses(struct nsh_fib *fib, nsh_fib_address_seen *seen, void *userdata);
int nsh_fibnl_links(struct nsh_fib *fib, nsh_fib_link_seen *seen, void *userdata);
/* The address that an address message is about; false: none. */
bool nsh_fibnl_parse_address(struct nlmsghdr *nlh, struct nsh_fib_address *ret);

int nsh_fibnl_rules_submit(struct nsh_fib *fib, const struct nsh_fib_rule_op *ops, size_t n,
        nsh_fib_failed *failed, void *userdata);

int nsh_fibnl_link_index(struct nsh_fib *fib, const char *name, uint32_t *ret_ifindex);
int nsh_fibnl_link_name(struct nsh_fib *fib, uint32_t ifindex, char ret_name[static IFNAMSIZ]);
int nsh_fibnl_vrf(
        struct nsh_fib *fib, const char *name, uint32_t *ret_ifindex, uint32_t *ret_table);
int nsh_fibnl_vrf_lookup(struct nsh_fib *fib, uint32_t vrf, int family, const union nsh_addr *addr,
        struct nsh_fib_path *ret);
int nsh_fibnl_lookup(struct nsh_fib *fib, int family, const union nsh_addr *addr, uint32_t iif,
        const union nsh_addr *from, struct nsh_fib_path *ret);

int nsh_fibnl_path(
        struct nsh_fib *fib, const struct nsh_fib_question *q, struct nsh_fib_answer *ret);
int nsh_fibnl_entry(struct nsh_fib *fib, const struct nsh_fib_question *q, nsh_fib_route_seen *seen,
        void *userdata);

int nsh_fibnl_proxied(
        struct nsh_fib *fib, uint32_t ifindex, int family, const union nsh_addr *addr);

int nsh_fibnl_neighbour(
        struct nsh_fib *fib, uint32_t ifindex, int family, const union nsh_addr *addr);

int nsh_fibnl_sysctl_get(struct nsh_fib *fib, const char *key, int *ret);
int nsh_fibnl_sysctl_set(struct nsh_fib *fib, const char *key, int value);
int nsh_fibnl_sysctl_each_ipv6_conf(
        struct nsh_fib *fib, void (*each)(void *userdata, const char *name), void *userdata);

int nsh_fibnl_events_open(struct nsh_fib *fib, uint8_t protocol);
int nsh_fibnl_events_read(struct nsh_fib *fib, nsh_fib_event_seen *seen, void *userdata);
int nsh_fibnl_events_foreign(struct nsh_fib *fib, enum nsh_fib_foreign foreign);

/* The filter of the event socket. `own_port`: whose changes are dropped. */
int nsh_fibnl_events_filter(
        int fd, uint32_t own_port, uint8_t protocol, enum nsh_fib_foreign foreign);

/* ---- for tests ---- */

/* Exactly this small a receive buffer for events. */
int nsh_fibnl_test_events_buffer(struct nsh_fib *fib, int bytes);
/* The dump socket without strict checking, as on a kernel that has none. */
int nsh_fibnl_test_dump_unfiltered(struct nsh_fib *fib);
/* The message that would add the route, the caller's to free; NULL when there is none. */
uint8_t *nsh_fibnl_test_message(struct nsh_fib *fib, const struct nsh_link *links,
        const struct nsh_route *route, size_t *ret_size);
