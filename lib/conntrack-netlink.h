/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What conntrack-netlink.c (sockets, and the search after a gap) and conntrack-netlink-changed.c
 * share; internal to them.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conntrack-entry.h"
#include "conntrack-memory.h"
#include "conntrack.h"

#define NSH_CT_PIECE 32768      /* the kernel fills no more than this in one receive */
#define NSH_CT_BATCH_BYTES 8192 /* deletions in one send */
#define NSH_CT_BATCH_MAX 48     /* their answers fit a default receive buffer */
#define NSH_CT_CACHE 32
#define NSH_CT_ADDRESSES_MAX 256

struct nsh_ct_answer {
    union nsh_addr src, dst;
    bool used;
    uint32_t ifindex;
    char out[IFNAMSIZ]; /* "": it does not go through this machine */
};

/* What a masquerade may take. */
struct nsh_ct_address {
    uint32_t ifindex;
    union nsh_addr address;
};

struct nsh_conntrack {
    int dump_fd, delete_fd;
    int family;
    bool running;
    bool any; /* a search for changed flows: whatever address they have */
    uint32_t seq, dump_seq;
    size_t deleted, candidates;
    struct nsh_ct_answer cache[NSH_CT_CACHE];
    size_t cache_next;
    struct nsh_ct_memory memories[2]; /* IPv4, IPv6 */
    char *piece;                      /* NSH_CT_PIECE bytes, during a pass */
    /* Of a search for changed flows: */
    int piece_at, piece_size; /* what of the piece was not looked at yet */
    bool surveyed, plain;
    struct nsh_ct_address addresses[NSH_CT_ADDRESSES_MAX];
    size_t n_addresses;
    size_t batch_size;
    uint32_t batch_count, batch_answered;
    const struct nsh_chain *whose[NSH_CT_BATCH_MAX]; /* of each deletion; NULL: nobody is told */
    nsh_flow_dropped *dropped;
    void *userdata;
    char batch[NSH_CT_BATCH_BYTES];
};

/* Starts a pass; `any`: over all entries, whatever addresses they have. */
int nsh_ct_begin(struct nsh_conntrack *ct, int family, bool any);
/* Ends it. Returns `result`. */
int nsh_ct_finish(struct nsh_conntrack *ct, int result);
/* What the kernel has ready of the dump, into `piece`: its size or negative errno. */
int nsh_ct_receive(struct nsh_conntrack *ct);
/* Negative errno, or 0 at the end of the dump; 1: an entry, or nothing of interest. */
int nsh_ct_message(struct nlmsghdr *h);
/* Deletes the entry, now or with others; `whose` is told when it is gone. */
int nsh_ct_delete(
        struct nsh_conntrack *ct, const struct nsh_ct_entry *e, const struct nsh_chain *whose);
/* All that was put off. */
int nsh_ct_delete_flush(struct nsh_conntrack *ct);
/* The device by which a flow leaves, as far as that was found out. */
const struct nsh_ct_answer *nsh_ct_way_out(
        struct nsh_conntrack *ct, struct nsh_fib *fib, const struct nsh_ct_entry *e);
/* Of the family of the pass. */
struct nsh_ct_memory *nsh_ct_memory(struct nsh_conntrack *ct);
