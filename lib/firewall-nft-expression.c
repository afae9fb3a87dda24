/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an expression of a rule says, whatever it leaves out.
 */
#include "firewall-nft.h"

#include <string.h>

uint32_t nsh_nft_number(const struct nftnl_expr *x, uint16_t attr)
{
    return nftnl_expr_is_set(x, attr) ? nftnl_expr_get_u32(x, attr) : 0;
}

const char *nsh_nft_text(const struct nftnl_expr *x, uint16_t attr)
{
    const char *s = nftnl_expr_is_set(x, attr) ? nftnl_expr_get_str(x, attr) : NULL;

    return s ? s : "";
}

uint32_t nsh_nft_bytes(const struct nftnl_expr *x, uint16_t attr, void *ret, uint32_t size)
{
    uint32_t length = 0;
    const void *data = nftnl_expr_is_set(x, attr) ? nftnl_expr_get(x, attr, &length) : NULL;

    length = !data ? 0 : length < size ? length : size;
    if (length > 0)
        memcpy(ret, data, length);
    return length;
}

bool nsh_nft_is_whole_key(const struct nftnl_expr *loaded, const struct nftnl_expr *lookup)
{
    bool meta = strcmp(nsh_nft_text(loaded, NFTNL_EXPR_NAME), "meta") == 0;

    return nsh_nft_number(loaded, meta ? NFTNL_EXPR_META_DREG : NFTNL_EXPR_PAYLOAD_DREG) ==
           nsh_nft_number(lookup, NFTNL_EXPR_LOOKUP_SREG);
}
