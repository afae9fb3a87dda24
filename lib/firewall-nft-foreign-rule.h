/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two halves of a rule of others as a value: firewall-nft-foreign-match.c (what a packet must
 * be) and firewall-nft-foreign-rule.c (all of it, and what becomes of the packet).
 */
#pragma once

#include "firewall-nft.h"
#include "foreign.h"

/* What a register can hold that is understood. */
enum nsh_nft_field {
    NSH_NFT_OTHER,
    NSH_NFT_IN, /* devices, up to OUT_INDEX */
    NSH_NFT_OUT,
    NSH_NFT_IN_INDEX,
    NSH_NFT_OUT_INDEX,
    NSH_NFT_MARK,
    NSH_NFT_FAMILY,
    NSH_NFT_PROTOCOL,
    NSH_NFT_FROM,
    NSH_NFT_TO,
    NSH_NFT_SPORT,
    NSH_NFT_DPORT,
};

struct nsh_nft_reader {
    struct nsh_foreign_rule *f;
    bool fits;                /* it is for the family */
    enum nsh_nft_field field; /* that was loaded last */
    uint32_t size;            /* of the field, bytes */
    const struct nftnl_expr *loaded;
    char what[32]; /* of OTHER: what it is called */
    uint8_t mask[16];
    uint32_t mask_size; /* 0: all of it */
    uint16_t low;       /* end of a range of ports */
    bool has_low;
    uint8_t data[NSH_NFT_REGISTERS][16];
    uint32_t sizes[NSH_NFT_REGISTERS];
    nsh_nft_read_set *read_set;
    void *userdata;
};

/* Expressions that match. */
void nsh_nft_read_load(struct nsh_nft_reader *r, const struct nftnl_expr *x);
void nsh_nft_read_ct(struct nsh_nft_reader *r, const struct nftnl_expr *x);
void nsh_nft_read_meta(struct nsh_nft_reader *r, const struct nftnl_expr *x);
void nsh_nft_read_payload(struct nsh_nft_reader *r, const struct nftnl_expr *x);
void nsh_nft_read_bitwise(struct nsh_nft_reader *r, const struct nftnl_expr *x);
void nsh_nft_read_cmp(struct nsh_nft_reader *r, const struct nftnl_expr *x);
void nsh_nft_read_range(struct nsh_nft_reader *r, const struct nftnl_expr *x);
void nsh_nft_read_lookup(struct nsh_nft_reader *r, const struct nftnl_expr *x);
/* Behind the last of them: a lower end whose upper end did not come. */
void nsh_nft_read_end(struct nsh_nft_reader *r);

/* False: it is no prefix. */
bool nsh_nft_range_prefix(
        const struct nsh_nft_reader *r, const struct nsh_nft_range *range, struct nsh_prefix *ret);
