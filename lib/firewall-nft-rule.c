/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules as they are, without a look at what they mean: a comment, and whether two say the same.
 */
#include "firewall-nft.h"

#include <errno.h>
#include <libnftnl/udata.h>
#include <string.h>

NSH_DEFINE_CLEANUP(struct nftnl_udata_buf *, nftnl_udata_buf_free)
NSH_DEFINE_CLEANUP(struct nftnl_expr_iter *, nftnl_expr_iter_destroy)

/* iptables-nft shows it too. */
int nsh_nft_set_comment(struct nftnl_rule *rule, const char *comment)
{
    NSH_CLEANUP(nftnl_udata_buf_freep)
    struct nftnl_udata_buf *u = nftnl_udata_buf_alloc(NFTNL_UDATA_COMMENT_MAXLEN);

    if (!u)
        return -ENOMEM;
    if (!nftnl_udata_put_strz(u, NFTNL_UDATA_RULE_COMMENT, comment))
        return -EINVAL;
    return nftnl_rule_set_data(
                   rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(u), nftnl_udata_buf_len(u)) < 0
                   ? -ENOMEM
                   : 0;
}

#define ATTRS_MAX 5

/* All that an expression of a guest's rule says; 0 ends them. */
static const struct {
    const char *name;
    uint16_t attrs[ATTRS_MAX + 1];
} kinds[] = {
        {"meta", {NFTNL_EXPR_META_KEY, NFTNL_EXPR_META_DREG}},
        {"ct", {NFTNL_EXPR_CT_KEY, NFTNL_EXPR_CT_DREG}},
        {"payload", {NFTNL_EXPR_PAYLOAD_DREG, NFTNL_EXPR_PAYLOAD_BASE, NFTNL_EXPR_PAYLOAD_OFFSET,
                            NFTNL_EXPR_PAYLOAD_LEN}},
        {"cmp", {NFTNL_EXPR_CMP_SREG, NFTNL_EXPR_CMP_OP, NFTNL_EXPR_CMP_DATA}},
        {"bitwise", {NFTNL_EXPR_BITWISE_SREG, NFTNL_EXPR_BITWISE_DREG, NFTNL_EXPR_BITWISE_LEN,
                            NFTNL_EXPR_BITWISE_MASK, NFTNL_EXPR_BITWISE_XOR}},
        {"match", {NFTNL_EXPR_MT_NAME, NFTNL_EXPR_MT_REV, NFTNL_EXPR_MT_INFO}},
        {"immediate", {NFTNL_EXPR_IMM_DREG, NFTNL_EXPR_IMM_VERDICT, NFTNL_EXPR_IMM_CHAIN}},
};

static const char *name_of(const struct nftnl_expr *x)
{
    const char *name = nftnl_expr_get_str(x, NFTNL_EXPR_NAME);

    return name ? name : "";
}

/* iptables-nft makes a match of a comment. */
static bool says_nothing(const struct nftnl_expr *x)
{
    const char *match;

    if (strcmp(name_of(x), "counter") == 0)
        return true;
    if (strcmp(name_of(x), "match") != 0)
        return false;
    match = nftnl_expr_get_str(x, NFTNL_EXPR_MT_NAME);
    return match && strcmp(match, "comment") == 0;
}

static struct nftnl_expr *next(struct nftnl_expr_iter *iter)
{
    struct nftnl_expr *x = nftnl_expr_iter_next(iter);

    while (x && says_nothing(x))
        x = nftnl_expr_iter_next(iter);
    return x;
}

static bool attr_same(const struct nftnl_expr *a, const struct nftnl_expr *b, uint16_t attr)
{
    uint32_t a_size = 0, b_size = 0;
    bool is_set = nftnl_expr_is_set(a, attr);
    const void *x, *y;

    if (is_set != nftnl_expr_is_set(b, attr))
        return false;
    x = is_set ? nftnl_expr_get(a, attr, &a_size) : NULL;
    y = is_set ? nftnl_expr_get(b, attr, &b_size) : NULL;
    return a_size == b_size && (a_size == 0 || (x && y && memcmp(x, y, a_size) == 0));
}

static bool expression_same(const struct nftnl_expr *a, const struct nftnl_expr *b)
{
    bool same = false;

    if (strcmp(name_of(a), name_of(b)) != 0)
        return false;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(kinds); i++) {
        if (strcmp(kinds[i].name, name_of(a)) != 0)
            continue;
        same = true;
        for (const uint16_t *attr = kinds[i].attrs; *attr != 0; attr++)
            same = same && attr_same(a, b, *attr);
    }
    return same;
}

bool nsh_nft_rule_same(const struct nftnl_rule *a, const struct nftnl_rule *b)
{
    NSH_CLEANUP(nftnl_expr_iter_destroyp)
    struct nftnl_expr_iter *i = nftnl_expr_iter_create(a), *k = nftnl_expr_iter_create(b);
    struct nftnl_expr *x = i && k ? next(i) : NULL, *y = i && k ? next(k) : NULL;

    while (x && y && expression_same(x, y)) {
        x = next(i);
        y = next(k);
    }
    return i && k && !x && !y;
}
