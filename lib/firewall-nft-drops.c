/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether one packet is dropped by base chains of others, as they stand.
 */
#include "firewall-nft.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/netfilter.h>
#include <stdio.h>

#define TRIES 5

static bool concerns(const struct nsh_nft_base *b, int family)
{
    return !b->dormant &&
           (b->family == NFPROTO_INET || (b->family == NFPROTO_IPV6) == (family == AF_INET6));
}

static void tell_rule(const struct nftnl_rule *rule, int family, const struct nsh_nft_base *b,
        char *buf, size_t size)
{
    const char *chain = nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN);
    char text[NSH_AHEAD_TEXT];

    nsh_nft_rule_format(rule, family, text, sizeof text);
    snprintf(buf, size, "%.160s (chain %.48s, handle %" PRIu64 ")", text, chain ? chain : b->name,
            nftnl_rule_get_u64(rule, NFTNL_RULE_HANDLE));
}

/* The same rule would not have been the one, had less been known of the packet. */
static int is_named(struct nsh_nft_judge *judge, int family, const struct nsh_forward_path *general)
{
    const struct nftnl_rule *rule = nsh_nft_judge_dropper(judge);
    int r = rule ? nsh_nft_judge_path(judge, family, general, NSH_NFT_GUEST_STANDS, false) : 0;

    return r < 0 ? r : rule && (r == 0 || nsh_nft_judge_dropper(judge) != rule);
}

static int ask_base(const struct nsh_nft_base *b, int family, const struct nsh_forward_path *path,
        struct nsh_forward_drop *ret)
{
    struct nsh_nft_work work = NSH_NFT_WORK;
    NSH_CLEANUP(nsh_nft_judge_freep) struct nsh_nft_judge *judge = NULL;
    struct nsh_forward_path general[2];
    const struct nftnl_rule *rule;
    int r = nsh_nft_judge_new(b, &work, &judge);

    if (r == 0)
        r = nsh_nft_judge_path(judge, family, path, NSH_NFT_GUEST_STANDS, false);
    if (r <= 0)
        return r;
    *ret = (struct nsh_forward_drop){.named = false};
    rule = nsh_nft_judge_dropper(judge);
    if (rule)
        tell_rule(rule, family, b, ret->rule, sizeof ret->rule);
    nsh_nft_base_explain(b, general, nsh_forward_general(path, general), ret);
    r = is_named(judge, family, &general[path->reply]);
    ret->named = r > 0;
    return r < 0 ? r : 1;
}

static int drops_once(struct nsh_nft_channel *c, int family, const struct nsh_forward_path *path,
        struct nsh_forward_drop *ret)
{
    NSH_CLEANUP(nsh_nft_bases_done) struct nsh_nft_bases bases = {0};
    int r = nsh_nft_bases_take(c, &bases);

    for (size_t i = 0; r == 0 && i < bases.n; i++)
        if (concerns(&bases.items[i], family))
            r = ask_base(&bases.items[i], family, path, ret);
    return r;
}

/* What is being read may change, or be taken away, meanwhile: all is looked at again. */
int nsh_nft_drops(struct nsh_nft_channel *c, int family, const struct nsh_forward_path *path,
        struct nsh_forward_drop *ret)
{
    int r = -EINTR;

    for (int i = 0; i < TRIES && (r == -EINTR || r == -ENOENT); i++)
        r = drops_once(c, family, path, ret);
    return r == -EINTR || r == -ENOENT ? -EAGAIN : r;
}
