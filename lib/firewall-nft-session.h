/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of the contract on nftables: firewall-nft.c (the session, and what needs none),
 * firewall-nft-observe.c, firewall-nft-transact.c and firewall-nft-session-sets.c.
 */
#pragma once

#include <errno.h>

#include "firewall-nft.h"

struct nsh_nft {
    struct nsh_firewall fw;
    bool open;
    enum nsh_firewall_mode mode;
    struct nsh_nft_channel channel;
    struct nsh_nft_aside aside; /* with another socket */
    struct nsh_nft_watch watch;
    struct nsh_nft_others others;
    struct nsh_nft_look looks[2];        /* of this session */
    uint32_t touches[2];                 /* of the watch, when they were taken */
    uint8_t probed[2];                   /* bits of tables that the kernel can hold */
    bool holds[2];                       /* what stays over a flush is there */
    bool holds_not;                      /* this kernel has no such thing */
    uint32_t judged;                     /* generation at which others were judged; 0: not */
    uint32_t ahead_judged;               /* the same, for who translates first */
    struct nsh_firewall_culprit evictor; /* of what the last look missed there; pid 0: not known */
};

static inline struct nsh_nft *nsh_nft_of(struct nsh_firewall *fw)
{
    return (struct nsh_nft *)fw;
}

static inline bool nsh_nft_is_family(int family)
{
    return family == AF_INET || family == AF_INET6;
}

static inline bool nsh_nft_is_place(int family, enum nsh_table table)
{
    return nsh_nft_is_family(family) && (unsigned int)table < NSH_TABLE_COUNT;
}

/* A kernel without nf_tables holds nothing. */
static inline bool nsh_nft_is_absent(int error)
{
    return error == -EOPNOTSUPP || error == -EINVAL || error == -EPROTONOSUPPORT;
}

/* ---- looking (firewall-nft-observe.c) ---- */

/* The look of this session, if nobody has written since; else another. */
int nsh_nft_take_look(struct nsh_nft *f, int family, struct nsh_nft_look **ret);
/* As observe() of the contract. */
int nsh_nft_observe(struct nsh_firewall *fw, int family, enum nsh_table table,
        nsh_chain_observed *observed, void *userdata);

/* ---- writing (firewall-nft-transact.c) ---- */

/* Sends what was made from a look, again if it must be. */
int nsh_nft_send(struct nsh_nft *f, struct nsh_nft_batch *b, const struct nsh_nft_look *l,
        struct nsh_nft_failure *failure);
/* As commit() of the contract. */
int nsh_nft_commit(struct nsh_firewall *fw, int family, enum nsh_table table,
        const struct nsh_firewall_op *ops, size_t n, char *ret_why, size_t size);

/* ---- sets, as the contract has them (firewall-nft-session-sets.c) ---- */

int nsh_nft_see_sets(
        struct nsh_firewall *fw, int family, nsh_set_observed *observed, void *userdata);
int nsh_nft_see_set(struct nsh_firewall *fw, int family, const char *name,
        nsh_set_element_observed *observed, void *userdata);
int nsh_nft_write_set(
        struct nsh_firewall *fw, const struct nsh_set_op *op, char *ret_why, size_t size);
void nsh_nft_drop_set(struct nsh_firewall *fw);
int nsh_nft_changed_set(struct nsh_firewall *fw, int family, const char *name);
