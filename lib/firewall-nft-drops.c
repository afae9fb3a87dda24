/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether one packet is dropped by base chains of others, as they stand.
 */
#include "firewall-nft.h"

#include <errno.h>
#include <linux/netfilter.h>

static bool concerns(const struct nsh_nft_base *b, int family)
{
    return !b->dormant &&
           (b->family == NFPROTO_INET || (b->family == NFPROTO_IPV6) == (family == AF_INET6));
}

static int ask_base(const struct nsh_nft_base *b, int family, const struct nsh_forward_path *path,
        bool accepted, struct nsh_forward_drop *ret)
{
    struct nsh_nft_work work = {.rules = NSH_NFT_JUDGED_MAX, .steps = NSH_NFT_STEPS_MAX};
    NSH_CLEANUP(nsh_nft_judge_freep) struct nsh_nft_judge *judge = NULL;
    struct nsh_forward_path general[2];
    int r = nsh_nft_judge_new(b, &work, &judge);

    if (r == 0)
        r = nsh_nft_judge_path(judge, family, path, accepted);
    if (r > 0)
        nsh_nft_base_explain(b, general, nsh_forward_general(path, general), ret);
    return r;
}

int nsh_nft_drops(struct nsh_nft_channel *c, int family, const struct nsh_forward_path *path,
        bool accepted, struct nsh_forward_drop *ret)
{
    NSH_CLEANUP(nsh_nft_bases_done) struct nsh_nft_bases bases = {0};
    int r = nsh_nft_bases_take(c, &bases);

    for (size_t i = 0; r == 0 && i < bases.n; i++)
        if (concerns(&bases.items[i], family))
            r = ask_base(&bases.items[i], family, path, accepted, ret);
    return r;
}
