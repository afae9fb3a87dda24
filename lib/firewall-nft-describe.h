/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files share that describe a rule of others.
 */
#pragma once

#include "firewall-nft.h"

struct nsh_nft_teller {
    int family;
    bool inet; /* its table is of both families */
    struct nsh_ahead_seen *ret;
    size_t at; /* in its text */
    bool takes, fits;
    bool verdicts;                   /* are told of */
    char *chain;                     /* where it leads */
    const struct nftnl_expr *loaded; /* what is compared next */
    uint8_t mask[16];
    uint32_t mask_size; /* 0: all of it */
    uint8_t data[NSH_NFT_REGISTERS][16];
    uint32_t sizes[NSH_NFT_REGISTERS];
    uint16_t low;               /* end of a range of ports */
    bool protocol_untold;       /* it is said with the ports, if there are any */
    nsh_nft_read_set *read_set; /* NULL: none is worth it */
    void *userdata;
    struct nsh_nft_range ranges[NSH_NFT_RANGES_MAX]; /* of the first set */
    size_t n_ranges;
    const struct nftnl_expr *ranged; /* what it is about */
};

void nsh_nft_put(struct nsh_nft_teller *t, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* ---- what it does with a packet (firewall-nft-describe-nat.c) ---- */

void nsh_nft_tell_immediate(struct nsh_nft_teller *t, const struct nftnl_expr *x);
void nsh_nft_tell_masquerade(struct nsh_nft_teller *t, const struct nftnl_expr *x);
void nsh_nft_tell_redirect(struct nsh_nft_teller *t, const struct nftnl_expr *x);
void nsh_nft_tell_nat(struct nsh_nft_teller *t, const struct nftnl_expr *x);
void nsh_nft_tell_target(struct nsh_nft_teller *t, const struct nftnl_expr *x);
