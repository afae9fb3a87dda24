/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of the guests in tables of others: firewall-nft-guest.c (which are to stand, and
 * whether they do), firewall-nft-guest-see.c (what stands) and firewall-nft-guest-send.c (the
 * transaction that makes it so).
 */
#pragma once

#include <string.h>

#include "firewall-nft.h"

/* A jump to our chain, wherever in its table it stands. */
struct nsh_nft_jump {
    char chain[NFT_NAME_MAXLEN];
    uint64_t handle;
    bool plain;
};

/* A base chain that drops something, and what is to become of it. */
struct nsh_nft_host {
    const struct nsh_nft_base *base;
    struct nsh_nft_judge *judge;
    bool *dropped;                    /* of each passage */
    bool wanted;                      /* a jump is to stand there */
    const struct nsh_passage *hosted; /* the last one that it is for */
    const char *wrong;                /* what is wrong with the jump; NULL: nothing */
    uint64_t behind; /* handle of the rule behind which a jump goes; 0: before all */
};

/* What there is and what there is to be of ours in one table. */
struct nsh_nft_guest {
    const struct nsh_nft_base *table; /* any chain of it */
    bool wanted, stands, differs;
    struct nftnl_rule **want, **seen;
    size_t n_want, n_seen;
    struct nsh_nft_jump *jumps;
    size_t n_jumps;
    size_t uses; /* of our chain: its rules, the jumps to it, and ways that are no jump's */
};

struct nsh_nft_passing {
    struct nsh_nft_channel *channel;
    struct nsh_passage *passages;
    size_t n;
    struct nsh_nft_bases bases;
    struct nsh_nft_host *hosts; /* one for each base chain */
    struct nsh_nft_work work;
    uint32_t generation;
    bool write;
    nsh_guest_told *told;
    void *userdata;
};

static inline bool nsh_nft_same_table(const struct nsh_nft_base *a, const struct nsh_nft_base *b)
{
    return a->family == b->family && strcmp(a->table, b->table) == 0;
}

/* Our chain and the jumps to it, into `g`. */
int nsh_nft_guest_see(struct nsh_nft_passing *p, struct nsh_nft_guest *g);
/* How what is put there is to be written. */
struct nsh_nft_guest_style nsh_nft_style_of(
        const struct nsh_nft_passing *p, const struct nsh_nft_guest *g);
/* A base chain of the guest's table that drops something; NULL: it is none of these. */
struct nsh_nft_host *nsh_nft_host_of(
        struct nsh_nft_passing *p, const struct nsh_nft_guest *g, const char *chain);
/* Somebody made his own way to our chain. */
bool nsh_nft_others_lead_to(struct nsh_nft_passing *p, const struct nsh_nft_guest *g);
/* With READ the kernel only says whether it would. OK, RACED or negative errno. */
int nsh_nft_guest_send(struct nsh_nft_passing *p, const struct nsh_nft_guest *g);
