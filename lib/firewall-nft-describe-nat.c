/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a rule of others does with a packet: how it translates, or where it leads.
 */
#include "firewall-nft-describe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>

/* Targets of iptables, and statements of nft, that translate. */
static const char *const targets[] = {"MASQUERADE", "SNAT", "DNAT", "REDIRECT", "NETMAP"};
static const char *const statements[] = {"masq", "nat", "redir", "target"};

/* ---- as the kernel lists it ---- */

static const struct nlattr *find(const struct nlattr *nest, uint16_t type)
{
    const struct nlattr *attr;

    mnl_attr_for_each_nested(attr, nest) if (mnl_attr_get_type(attr) == type) return attr;
    return NULL;
}

/* An immediate value is a verdict as well, perhaps one that leads to a chain. */
static bool leads_on(const struct nlattr *expression)
{
    static const uint16_t path[] = {
            NFTA_EXPR_DATA, NFTA_IMMEDIATE_DATA, NFTA_DATA_VERDICT, NFTA_VERDICT_CHAIN};
    const struct nlattr *at = expression;

    for (size_t i = 0; at && i < NSH_ARRAY_SIZE(path); i++)
        at = find(at, path[i]);
    return at != NULL;
}

static bool matters(const struct nlattr *expression)
{
    const struct nlattr *attr = find(expression, NFTA_EXPR_NAME);
    const char *name =
            attr && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0 ? mnl_attr_get_str(attr) : "";

    for (size_t i = 0; i < NSH_ARRAY_SIZE(statements); i++)
        if (strcmp(name, statements[i]) == 0)
            return true;
    return strcmp(name, "immediate") == 0 && leads_on(expression);
}

bool nsh_nft_may_translate(const struct nlmsghdr *rule)
{
    const struct nlattr *attr, *expression;

    mnl_attr_for_each(attr, rule, sizeof(struct nfgenmsg))
    {
        if (mnl_attr_get_type(attr) != NFTA_RULE_EXPRESSIONS)
            continue;
        mnl_attr_for_each_nested(expression, attr) if (matters(expression)) return true;
    }
    return false;
}

/* ---- statements ---- */

/* Of those that end it: others have a chain with them. */
static void put_verdict(struct nsh_nft_teller *t, enum nsh_nft_verdict verdict)
{
    if (verdict == NSH_NFT_ACCEPT || verdict == NSH_NFT_DROP)
        nsh_nft_put(t, verdict == NSH_NFT_DROP ? "drop " : "accept ");
}

void nsh_nft_tell_immediate(struct nsh_nft_teller *t, const struct nftnl_expr *x)
{
    uint32_t reg = nsh_nft_number(x, NFTNL_EXPR_IMM_DREG);
    enum nsh_nft_verdict verdict =
            nsh_nft_verdict_of((int)nsh_nft_number(x, NFTNL_EXPR_IMM_VERDICT));

    if (t->verdicts && nftnl_expr_is_set(x, NFTNL_EXPR_IMM_VERDICT))
        put_verdict(t, verdict);
    if (nftnl_expr_is_set(x, NFTNL_EXPR_IMM_VERDICT) &&
            (verdict == NSH_NFT_JUMP || verdict == NSH_NFT_GOTO))
        snprintf(t->chain, NFT_NAME_MAXLEN, "%s", nsh_nft_text(x, NFTNL_EXPR_IMM_CHAIN));
    if (reg >= NFT_REG_1 && reg <= NSH_NFT_REGISTERS)
        t->sizes[reg - 1] =
                nsh_nft_bytes(x, NFTNL_EXPR_IMM_DATA, t->data[reg - 1], sizeof t->data[reg - 1]);
}

/* False: it is not a fixed value. */
static bool read_port(const struct nsh_nft_teller *t, uint32_t reg, uint16_t *ret)
{
    if (reg < NFT_REG_1 || reg > NSH_NFT_REGISTERS || t->sizes[reg - 1] < sizeof *ret)
        return false;
    memcpy(ret, t->data[reg - 1], sizeof *ret);
    *ret = ntohs(*ret);
    return true;
}

static void put_nat_ports(struct nsh_nft_teller *t, uint32_t min, uint32_t max)
{
    uint16_t first, last;

    if (!min)
        return;
    if (!read_port(t, min, &first) || !read_port(t, max ? max : min, &last))
        nsh_nft_put(t, ":...");
    else if (first == last)
        nsh_nft_put(t, ":%u", first);
    else
        nsh_nft_put(t, ":%u-%u", first, last);
}

static void put_address(struct nsh_nft_teller *t, uint32_t reg, bool brackets)
{
    union nsh_addr a = {0};
    char buf[NSH_ADDR_TEXT];

    if (reg < NFT_REG_1 || reg > NSH_NFT_REGISTERS ||
            t->sizes[reg - 1] < nsh_addr_size(t->family)) {
        nsh_nft_put(t, "...");
        return;
    }
    memcpy(a.bytes, t->data[reg - 1], nsh_addr_size(t->family));
    nsh_nft_put(t, brackets ? "[%s]" : "%s", nsh_addr_format(t->family, &a, buf));
}

static void put_flags(struct nsh_nft_teller *t, uint32_t flags)
{
    if (flags & NF_NAT_RANGE_PROTO_RANDOM)
        nsh_nft_put(t, " random");
    if (flags & NF_NAT_RANGE_PROTO_RANDOM_FULLY)
        nsh_nft_put(t, " fully-random");
    if (flags & NF_NAT_RANGE_PERSISTENT)
        nsh_nft_put(t, " persistent");
    nsh_nft_put(t, " ");
}

void nsh_nft_tell_masquerade(struct nsh_nft_teller *t, const struct nftnl_expr *x)
{
    uint32_t min = nsh_nft_number(x, NFTNL_EXPR_MASQ_REG_PROTO_MIN);

    nsh_nft_put(t, min ? "masquerade to " : "masquerade");
    put_nat_ports(t, min, nsh_nft_number(x, NFTNL_EXPR_MASQ_REG_PROTO_MAX));
    put_flags(t, nsh_nft_number(x, NFTNL_EXPR_MASQ_FLAGS));
    t->takes = true;
}

void nsh_nft_tell_redirect(struct nsh_nft_teller *t, const struct nftnl_expr *x)
{
    uint32_t min = nsh_nft_number(x, NFTNL_EXPR_REDIR_REG_PROTO_MIN);

    nsh_nft_put(t, min ? "redirect to " : "redirect");
    put_nat_ports(t, min, nsh_nft_number(x, NFTNL_EXPR_REDIR_REG_PROTO_MAX));
    put_flags(t, nsh_nft_number(x, NFTNL_EXPR_REDIR_FLAGS));
    t->takes = true;
}

void nsh_nft_tell_nat(struct nsh_nft_teller *t, const struct nftnl_expr *x)
{
    uint32_t family = nsh_nft_number(x, NFTNL_EXPR_NAT_FAMILY);
    uint32_t min = nsh_nft_number(x, NFTNL_EXPR_NAT_REG_ADDR_MIN);
    uint32_t max = nsh_nft_number(x, NFTNL_EXPR_NAT_REG_ADDR_MAX);
    uint32_t port = nsh_nft_number(x, NFTNL_EXPR_NAT_REG_PROTO_MIN);

    t->fits = t->fits && (family == NFPROTO_UNSPEC || family == NFPROTO_INET ||
                                 (family == NFPROTO_IPV6) == (t->family == AF_INET6));
    nsh_nft_put(t, "%s %sto ",
            nsh_nft_number(x, NFTNL_EXPR_NAT_TYPE) == NFT_NAT_SNAT ? "snat" : "dnat",
            !t->inet || family == NFPROTO_INET ? ""
            : family == NFPROTO_IPV6           ? "ip6 "
                                               : "ip ");
    if (min)
        put_address(t, min, port && t->family == AF_INET6);
    if (max && max != min) {
        nsh_nft_put(t, "-");
        put_address(t, max, port && t->family == AF_INET6);
    }
    put_nat_ports(t, port, nsh_nft_number(x, NFTNL_EXPR_NAT_REG_PROTO_MAX));
    put_flags(t, nsh_nft_number(x, NFTNL_EXPR_NAT_FLAGS));
    t->takes = true;
}

void nsh_nft_tell_target(struct nsh_nft_teller *t, const struct nftnl_expr *x)
{
    const char *name = nsh_nft_text(x, NFTNL_EXPR_TG_NAME);

    nsh_nft_put(t, "xt target \"%.28s\" ", name);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(targets); i++)
        t->takes = t->takes || strcmp(name, targets[i]) == 0;
}
