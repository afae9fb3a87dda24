/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bans on nftables, as firewall-iptc-ban.c has them for iptables: rules with which a base chain of
 * others begins that can do nothing but drop, or chains of such rules that they lead to. Our jump
 * in such a chain comes behind those that name what they drop, even if that is all that it lets
 * through: somebody meant it. Of the others the judge of packets knows whether they leave anything.
 */
#include "firewall-nft.h"

#include <netinet/in.h>
#include <string.h>

/* Chains that lead to chains: with more than that it is not taken for bans, nor without an end. */
#define DEPTH 4

NSH_DEFINE_CLEANUP(struct nftnl_expr_iter *, nftnl_expr_iter_destroy)

struct look {
    struct nsh_nft_judge *judge;
    size_t *left; /* rules that may be looked at yet, the same one as often as it is come to */
};

/* What has been read of a rule. */
struct reading {
    struct look *look;
    unsigned int depth;
    bool named;       /* what it drops, by this rule or one that leads to it */
    bool naming;      /* what was loaded names it, if it is compared */
    bool of_protocol; /* what was loaded is the protocol */
    enum nsh_nft_ban kind;
};

static enum nsh_nft_ban kind_of(
        struct look *l, const struct nftnl_rule *rule, bool named, unsigned int depth);

/* ---- what a rule names ---- */

/* What was loaded is written somewhere, and compared with nothing. */
static void store(struct reading *r, const struct nftnl_expr *x)
{
    (void)x;
    r->naming = r->of_protocol = false;
}

static void load_meta(struct reading *r, const struct nftnl_expr *x)
{
    if (nftnl_expr_is_set(x, NFTNL_EXPR_META_SREG)) {
        store(r, x);
        return;
    }
    r->naming = r->naming || nsh_nft_number(x, NFTNL_EXPR_META_KEY) == NFT_META_MARK;
    r->of_protocol = nsh_nft_number(x, NFTNL_EXPR_META_KEY) == NFT_META_L4PROTO;
}

static void load_ct(struct reading *r, const struct nftnl_expr *x)
{
    static const uint32_t keys[] = {NFT_CT_MARK, NFT_CT_SRC, NFT_CT_DST, NFT_CT_PROTO_SRC,
            NFT_CT_PROTO_DST, NFT_CT_SRC_IP, NFT_CT_DST_IP, NFT_CT_SRC_IP6, NFT_CT_DST_IP6};

    if (nftnl_expr_is_set(x, NFTNL_EXPR_CT_SREG)) {
        store(r, x);
        return;
    }
    for (size_t i = 0; i < NSH_ARRAY_SIZE(keys); i++)
        r->naming = r->naming || nsh_nft_number(x, NFTNL_EXPR_CT_KEY) == keys[i];
}

/* Addresses and ports, whatever the family: of other parts of a header it is one too many. */
static void load_payload(struct reading *r, const struct nftnl_expr *x)
{
    uint32_t base = nsh_nft_number(x, NFTNL_EXPR_PAYLOAD_BASE);
    uint32_t at = nsh_nft_number(x, NFTNL_EXPR_PAYLOAD_OFFSET);

    if (nftnl_expr_is_set(x, NFTNL_EXPR_PAYLOAD_SREG)) {
        store(r, x);
        return;
    }
    r->of_protocol = base == NFT_PAYLOAD_NETWORK_HEADER && at == 9;
    r->naming = r->naming || base == NFT_PAYLOAD_LL_HEADER ||
                (base == NFT_PAYLOAD_NETWORK_HEADER && at >= 8 && !r->of_protocol) ||
                (base == NFT_PAYLOAD_TRANSPORT_HEADER && at < 4);
}

static bool is_all(const struct nftnl_expr *x, uint16_t attr, uint8_t byte)
{
    uint8_t data[16];
    uint32_t size = nsh_nft_bytes(x, attr, data, sizeof data);

    for (uint32_t i = 0; i < size; i++)
        if (data[i] != byte)
            return false;
    return true;
}

/* Of TCP and UDP alike all is of a protocol; of another it is a name. */
static void compare_protocol(struct reading *r, const struct nftnl_expr *x)
{
    uint8_t protocol = 0;

    if (nsh_nft_number(x, NFTNL_EXPR_CMP_OP) == NFT_CMP_EQ)
        (void)nsh_nft_bytes(x, NFTNL_EXPR_CMP_DATA, &protocol, sizeof protocol);
    r->named = r->named || (protocol != 0 && protocol != IPPROTO_TCP && protocol != IPPROTO_UDP);
}

static void compare(struct reading *r, const struct nftnl_expr *x)
{
    uint32_t op = nsh_nft_number(x, NFTNL_EXPR_CMP_OP);
    bool all = (op == NFT_CMP_GTE && is_all(x, NFTNL_EXPR_CMP_DATA, 0)) ||
               (op == NFT_CMP_LTE && is_all(x, NFTNL_EXPR_CMP_DATA, UINT8_MAX));

    if (r->of_protocol)
        compare_protocol(r, x);
    r->named = r->named || (r->naming && op != NFT_CMP_NEQ && !all);
    r->naming = r->naming && all;
    r->of_protocol = false;
}

static void range(struct reading *r, const struct nftnl_expr *x)
{
    bool all = is_all(x, NFTNL_EXPR_RANGE_FROM_DATA, 0) &&
               is_all(x, NFTNL_EXPR_RANGE_TO_DATA, UINT8_MAX);

    r->named = r->named ||
               (r->naming && nsh_nft_number(x, NFTNL_EXPR_RANGE_OP) == NFT_RANGE_EQ && !all);
    r->naming = false;
}

static void look_up(struct reading *r, const struct nftnl_expr *x)
{
    r->named = r->named ||
               (r->naming && !(nsh_nft_number(x, NFTNL_EXPR_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV));
    r->naming = false;
    if (nftnl_expr_is_set(x, NFTNL_EXPR_LOOKUP_DREG) &&
            nsh_nft_number(x, NFTNL_EXPR_LOOKUP_DREG) == NFT_REG_VERDICT)
        r->kind = NSH_NFT_NO_BAN; /* a map may have any verdict in it */
}

static void match(struct reading *r, const struct nftnl_expr *x)
{
    uint32_t size = 0;
    const void *info = nftnl_expr_get(x, NFTNL_EXPR_MT_INFO, &size);

    r->named = r->named || (info && nsh_forward_xt_names(nsh_nft_text(x, NFTNL_EXPR_MT_NAME),
                                            nsh_nft_number(x, NFTNL_EXPR_MT_REV), info, size));
}

static void pass_over(struct reading *r, const struct nftnl_expr *x)
{
    (void)r;
    (void)x;
}

/* ---- what it does ---- */

/* A RETURN at the end, or none yet, is what a program begins such a chain with. */
static enum nsh_nft_ban kind_of_chain(
        struct look *l, const char *chain, bool named, unsigned int depth)
{
    enum nsh_nft_ban kind = NSH_NFT_NAMED_BAN;
    struct nftnl_rule *const *rules;
    size_t n;

    if (depth > DEPTH || nsh_nft_judge_rules(l->judge, chain, &rules, &n) != 0)
        return NSH_NFT_NO_BAN;
    for (size_t i = 0; kind != NSH_NFT_NO_BAN && i < n; i++) {
        enum nsh_nft_ban one = kind_of(l, rules[i], named, depth);

        if (one != NSH_NFT_NEUTRAL && one != NSH_NFT_NAMED_BAN)
            kind = one;
    }
    return kind;
}

static void drop(struct reading *r, const struct nftnl_expr *x)
{
    (void)x;
    r->kind = r->named ? NSH_NFT_NAMED_BAN : NSH_NFT_BAN;
}

static void target(struct reading *r, const struct nftnl_expr *x)
{
    const char *name = nsh_nft_text(x, NFTNL_EXPR_TG_NAME);

    if (nsh_forward_xt_drops(name))
        drop(r, x);
    else if (strcmp(name, "LOG") != 0 && strcmp(name, "NFLOG") != 0)
        r->kind = NSH_NFT_NO_BAN;
}

static void immediate(struct reading *r, const struct nftnl_expr *x)
{
    const char *chain = nsh_nft_text(x, NFTNL_EXPR_IMM_CHAIN);

    if (!nftnl_expr_is_set(x, NFTNL_EXPR_IMM_VERDICT) || strcmp(chain, NSH_CHAIN_GUEST) == 0)
        return; /* data, or our own jump */
    switch (nsh_nft_verdict_of((int)nsh_nft_number(x, NFTNL_EXPR_IMM_VERDICT))) {
    case NSH_NFT_DROP:
        drop(r, x);
        break;
    case NSH_NFT_CONTINUE:
        break;
    case NSH_NFT_RETURN: /* of a base chain it is the end, and its policy may accept */
        r->kind = r->depth > 0 ? r->kind : NSH_NFT_NO_BAN;
        break;
    case NSH_NFT_JUMP:
        r->kind = kind_of_chain(r->look, chain, r->named, r->depth + 1);
        break;
    default:
        r->kind = NSH_NFT_NO_BAN;
        break;
    }
}

static const struct {
    const char *name;
    void (*read)(struct reading *r, const struct nftnl_expr *x);
} expressions[] = {
        {"meta", load_meta},
        {"ct", load_ct},
        {"payload", load_payload},
        {"cmp", compare},
        {"range", range},
        {"lookup", look_up},
        {"match", match},
        {"target", target},
        {"immediate", immediate},
        {"reject", drop},
        {"exthdr", pass_over},
        {"fib", pass_over},
        {"rt", pass_over},
        {"socket", pass_over},
        {"osf", pass_over},
        {"numgen", pass_over},
        {"hash", pass_over},
        {"xfrm", pass_over},
        {"tunnel", pass_over},
        {"bitwise", pass_over},
        {"byteorder", pass_over},
        {"limit", pass_over},
        {"quota", pass_over},
        {"connlimit", pass_over},
        {"dynset", store},
        {"counter", pass_over},
        {"objref", store},
        {"log", pass_over},
        {"last", pass_over},
};

/* One that is not known may do anything. */
static void read_expression(struct reading *r, const struct nftnl_expr *x)
{
    const char *name = nsh_nft_text(x, NFTNL_EXPR_NAME);

    for (size_t i = 0; i < NSH_ARRAY_SIZE(expressions); i++)
        if (strcmp(name, expressions[i].name) == 0) {
            expressions[i].read(r, x);
            return;
        }
    r->kind = NSH_NFT_NO_BAN;
}

static enum nsh_nft_ban kind_of(
        struct look *l, const struct nftnl_rule *rule, bool named, unsigned int depth)
{
    NSH_CLEANUP(nftnl_expr_iter_destroyp) struct nftnl_expr_iter *iter = NULL;
    struct reading r = {.look = l, .depth = depth, .named = named, .kind = NSH_NFT_NEUTRAL};
    struct nftnl_expr *x;

    if (*l->left == 0)
        return NSH_NFT_NO_BAN;
    --*l->left;
    iter = nftnl_expr_iter_create(rule);
    if (!iter)
        return NSH_NFT_NO_BAN;
    while (r.kind != NSH_NFT_NO_BAN && (x = nftnl_expr_iter_next(iter)))
        read_expression(&r, x);
    return r.kind;
}

enum nsh_nft_ban nsh_nft_ban_of(
        struct nsh_nft_judge *j, const struct nftnl_rule *rule, size_t *left)
{
    struct look l = {.judge = j, .left = left};

    return kind_of(&l, rule, false, 0);
}
