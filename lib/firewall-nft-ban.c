/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bans on nftables, as firewall-iptc-ban.c has them for iptables: rules with which a base chain of
 * others begins that can do nothing but drop, or chains of such rules that they lead to. Our jump
 * in such a chain comes behind them. Whether they drop all that it lets through, or only what they
 * name, the judge of packets knows.
 */
#include "firewall-nft.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Chains that lead to chains: with more than that it is not taken for bans, nor without an end. */
#define DEPTH 4

NSH_DEFINE_CLEANUP(struct nftnl_expr_iter *, nftnl_expr_iter_destroy)

struct look {
    struct nsh_nft_judge *judge;
    size_t *left; /* rules that may be looked at yet, the same one as often as it is come to */
};

static enum nsh_nft_ban kind_of(struct look *l, const struct nftnl_rule *rule, unsigned int depth);

/* A RETURN at the end, or none yet, is what a program begins such a chain with. */
static bool has_only_bans(struct look *l, const char *chain, unsigned int depth)
{
    struct nftnl_rule *const *rules;
    size_t n;

    if (depth > DEPTH || nsh_nft_judge_rules(l->judge, chain, &rules, &n) != 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (kind_of(l, rules[i], depth) == NSH_NFT_NO_BAN)
            return false;
    return true;
}

/* Matches, and what lets a packet go on. */
static bool is_harmless(const char *name)
{
    static const char *const names[] = {"meta", "ct", "payload", "exthdr", "fib", "rt", "socket",
            "osf", "numgen", "hash", "xfrm", "tunnel", "cmp", "range", "bitwise", "byteorder",
            "match", "lookup", "limit", "quota", "connlimit", "dynset", "counter", "objref", "log",
            "last"};

    for (size_t i = 0; i < NSH_ARRAY_SIZE(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static enum nsh_nft_ban kind_of_target(const struct nftnl_expr *x)
{
    const char *name = nftnl_expr_get_str(x, NFTNL_EXPR_TG_NAME);

    if (name && nsh_forward_xt_drops(name))
        return NSH_NFT_BAN;
    return name && (strcmp(name, "LOG") == 0 || strcmp(name, "NFLOG") == 0) ? NSH_NFT_NEUTRAL
                                                                            : NSH_NFT_NO_BAN;
}

static enum nsh_nft_ban kind_of_immediate(
        struct look *l, const struct nftnl_expr *x, unsigned int depth)
{
    const char *chain = nftnl_expr_get_str(x, NFTNL_EXPR_IMM_CHAIN);

    if (!nftnl_expr_is_set(x, NFTNL_EXPR_IMM_VERDICT))
        return NSH_NFT_NEUTRAL; /* data */
    switch (nsh_nft_verdict_of((int)nftnl_expr_get_u32(x, NFTNL_EXPR_IMM_VERDICT))) {
    case NSH_NFT_DROP:
        return NSH_NFT_BAN;
    case NSH_NFT_CONTINUE:
        return NSH_NFT_NEUTRAL;
    case NSH_NFT_RETURN: /* of a base chain it is the end, and its policy may accept */
        return depth > 0 ? NSH_NFT_NEUTRAL : NSH_NFT_NO_BAN;
    case NSH_NFT_JUMP:
        return chain && has_only_bans(l, chain, depth + 1) ? NSH_NFT_BAN : NSH_NFT_NO_BAN;
    default:
        return NSH_NFT_NO_BAN;
    }
}

static enum nsh_nft_ban kind_of_expression(
        struct look *l, const struct nftnl_expr *x, unsigned int depth)
{
    const char *name = nftnl_expr_get_str(x, NFTNL_EXPR_NAME);

    if (!name)
        return NSH_NFT_NO_BAN;
    if (strcmp(name, "immediate") == 0)
        return kind_of_immediate(l, x, depth);
    if (strcmp(name, "target") == 0)
        return kind_of_target(x);
    if (strcmp(name, "reject") == 0)
        return NSH_NFT_BAN;
    if (strcmp(name, "lookup") == 0 && nftnl_expr_is_set(x, NFTNL_EXPR_LOOKUP_DREG) &&
            nftnl_expr_get_u32(x, NFTNL_EXPR_LOOKUP_DREG) == NFT_REG_VERDICT)
        return NSH_NFT_NO_BAN; /* a map may have any verdict in it */
    return is_harmless(name) ? NSH_NFT_NEUTRAL : NSH_NFT_NO_BAN;
}

static enum nsh_nft_ban kind_of(struct look *l, const struct nftnl_rule *rule, unsigned int depth)
{
    NSH_CLEANUP(nftnl_expr_iter_destroyp) struct nftnl_expr_iter *iter = NULL;
    enum nsh_nft_ban kind;
    struct nftnl_expr *x;

    if (*l->left == 0)
        return NSH_NFT_NO_BAN;
    --*l->left;
    iter = nftnl_expr_iter_create(rule);
    kind = iter ? NSH_NFT_NEUTRAL : NSH_NFT_NO_BAN;
    while (kind != NSH_NFT_NO_BAN && iter && (x = nftnl_expr_iter_next(iter))) {
        enum nsh_nft_ban one = kind_of_expression(l, x, depth);

        if (one != NSH_NFT_NEUTRAL)
            kind = one;
    }
    return kind;
}

enum nsh_nft_ban nsh_nft_ban_of(
        struct nsh_nft_judge *j, const struct nftnl_rule *rule, size_t *left)
{
    struct look l = {.judge = j, .left = left};

    return kind_of(&l, rule, 0);
}
