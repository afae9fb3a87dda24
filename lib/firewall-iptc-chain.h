/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is read of chains of others, to judge what they do: firewall-iptc-forward.c (with a packet
 * that is imagined) and firewall-iptc-ban.c (with what they name); nothing else includes this.
 */
#pragma once

#include "firewall-iptc-xt.h"

/* What both families have in the head of a rule. */
struct nsh_xt_head {
    const uint8_t *from, *from_mask, *to, *to_mask;
    const char *in, *out;
    const uint8_t *in_mask, *out_mask;
    unsigned int protocol; /* 0: any */
    uint8_t inverted;      /* IPT_INV_* */
    bool leaves;           /* goto */
};

struct nsh_xt_head nsh_xt_head_of(const struct nsh_xt *xt, const void *rule);
/*
 * The rules of a chain, malloc'd; NULL: no memory. libiptc has one place for how far it has come in
 * a chain, which a look at another one in between would take away.
 */
const void **nsh_xt_rules(
        const struct nsh_xt *xt, struct xtc_handle *h, const char *chain, size_t *ret_n);
