/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether one packet is dropped by base chains of others, as they stand.
 */
#include "firewall-nft.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <stdio.h>
#include <string.h>

#define TRIES 5

/* At the hooks of a device, which come before all others, or behind. */
static bool is_at_device(const struct nsh_nft_base *b, const struct nsh_forward_path *path)
{
    const char *device = path->hook == NSH_HOOK_PREROUTING ? path->in : path->out;

    if (b->devices[0][0] == '\0')
        return true;
    for (size_t i = 0; i < NSH_NFT_DEVICES && b->devices[i][0] != '\0'; i++)
        if (strcmp(b->devices[i], device) == 0)
            return true;
    return false;
}

static bool concerns(const struct nsh_nft_base *b, int family, const struct nsh_forward_path *path)
{
    bool same = b->family == NFPROTO_INET || b->family == NFPROTO_NETDEV ||
                (b->family == NFPROTO_IPV6) == (family == AF_INET6);

    return !b->dormant && same && b->hook == path->hook && is_at_device(b, path) &&
           !(b->nat && path->reply);
}

/* What has a priority of its own in the kernel: whose connection it is, and its addresses. */
static struct nsh_forward_path seen_by(const struct nsh_nft_base *b,
        const struct nsh_forward_path *before, const struct nsh_forward_path *after)
{
    bool enters = b->hook == NSH_HOOK_PREROUTING || b->hook == NSH_HOOK_OUTPUT;
    int translated = enters ? NF_IP_PRI_NAT_DST : NF_IP_PRI_NAT_SRC;
    struct nsh_forward_path path = b->nat || b->priority <= translated ? *before : *after;

    path.untracked = enters && b->priority < NF_IP_PRI_CONNTRACK;
    return path;
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

/* Of FORWARD all that is like it is spared, elsewhere this packet. */
static void explain(const struct nsh_nft_base *b, const struct nsh_forward_path *path,
        struct nsh_forward_drop *ret)
{
    struct nsh_forward_path paths[2] = {nsh_forward_alone(path)};
    size_t n = b->hook == NSH_HOOK_FORWARD ? nsh_forward_like(path, paths) : 1;

    ret->hosts = b->hook == NSH_HOOK_FORWARD;
    nsh_nft_base_explain(b, paths, n, ret);
}

/* For certain, else as it might be. */
static int judge_both(struct nsh_nft_judge *judge, int family, const struct nsh_forward_path *path,
        bool *ret_doubtful)
{
    int r;

    nsh_nft_judge_set_mood(judge, NSH_MOOD_HOPES);
    r = nsh_nft_judge_path(judge, family, path, NSH_NFT_GUEST_STANDS, false);
    *ret_doubtful = r == 0;
    if (r != 0)
        return r;
    nsh_nft_judge_set_mood(judge, NSH_MOOD_DOUBTS);
    return nsh_nft_judge_path(judge, family, path, NSH_NFT_GUEST_STANDS, false);
}

static int ask_base(const struct nsh_nft_base *b, int family, const struct nsh_forward_path *path,
        struct nsh_forward_drop *ret)
{
    struct nsh_nft_work work = NSH_NFT_WORK;
    NSH_CLEANUP(nsh_nft_judge_freep) struct nsh_nft_judge *judge = NULL;
    struct nsh_forward_path general[2];
    const struct nftnl_rule *rule;
    int r = nsh_nft_judge_new(b, &work, &judge);

    *ret = (struct nsh_forward_drop){0};
    if (r == 0)
        r = judge_both(judge, family, path, &ret->doubtful);
    if (r < 0)
        return r;
    for (size_t i = 0; i < NSH_EFFECT_COUNT; i++) {
        rule = nsh_nft_judge_effect(judge, (enum nsh_effect)i);
        if (rule)
            tell_rule(rule, family, b, ret->effects[i], sizeof ret->effects[i]);
    }
    if (r == 0)
        return 0;
    rule = nsh_nft_judge_dropper(judge);
    if (rule)
        tell_rule(rule, family, b, ret->rule, sizeof ret->rule);
    explain(b, path, ret);
    nsh_forward_general(path, general);
    r = is_named(judge, family, &general[path->reply]);
    ret->named = r > 0;
    return r < 0 ? r : 1;
}

static int drops_once(struct nsh_nft_channel *c, int family, const struct nsh_forward_path *before,
        const struct nsh_forward_path *after, struct nsh_forward_drop *ret)
{
    NSH_CLEANUP(nsh_nft_bases_done) struct nsh_nft_bases bases = {0};
    int r = nsh_nft_bases_take(c, true, &bases);

    *ret = (struct nsh_forward_drop){0};
    for (size_t i = 0; r >= 0 && i < bases.n; i++) {
        const struct nsh_nft_base *b = &bases.items[i];
        struct nsh_forward_path path = seen_by(b, before, after);
        struct nsh_forward_drop one;

        if (!concerns(b, family, &path))
            continue;
        r = ask_base(b, family, &path, &one);
        if (r >= 0 && nsh_forward_found(ret, r > 0, &one))
            return 1;
    }
    return r < 0 ? r : ret->doubtful;
}

/* What is being read may change, or be taken away, meanwhile: all is looked at again. */
int nsh_nft_drops(struct nsh_nft_channel *c, int family, const struct nsh_forward_path *before,
        const struct nsh_forward_path *after, struct nsh_forward_drop *ret)
{
    int r = -EINTR;

    for (int i = 0; i < TRIES && (r == -EINTR || r == -ENOENT); i++)
        r = drops_once(c, family, before, after, ret);
    return r == -EINTR || r == -ENOENT ? -EAGAIN : r;
}
