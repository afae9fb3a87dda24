/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The base chains of others at the hook forward, and how one is told of.
 */
#include "firewall-nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "newer.h"

void nsh_nft_bases_done(struct nsh_nft_bases *b)
{
    free(b->items);
    free(b->guests);
    *b = (struct nsh_nft_bases){0};
}

static const char *text_of(const struct nftnl_chain *c, uint16_t attr)
{
    const char *s = nftnl_chain_is_set(c, attr) ? nftnl_chain_get_str(c, attr) : NULL;

    return s ? s : "";
}

static int push(struct nsh_nft_base **array, size_t *n, const struct nsh_nft_base *one)
{
    struct nsh_nft_base *items = reallocarray(*array, *n + 1, sizeof(*items));

    if (!items)
        return -ENOMEM;
    *array = items;
    items[(*n)++] = *one;
    return 0;
}

static int take_chain(const struct nlmsghdr *answer, void *userdata)
{
    struct nsh_nft_bases *b = userdata;
    NSH_CLEANUP(nftnl_chain_freep) struct nftnl_chain *c = nftnl_chain_alloc();
    struct nsh_nft_base one = {0};

    if (!c)
        return -ENOMEM;
    if (nftnl_chain_nlmsg_parse(answer, c) < 0)
        return 0;
    one.family = nftnl_chain_get_u32(c, NFTNL_CHAIN_FAMILY);
    if (strcmp(text_of(c, NFTNL_CHAIN_TABLE), NSH_NFT_TABLE) == 0 && one.family != NFPROTO_INET)
        return 0;
    snprintf(one.table, sizeof one.table, "%s", text_of(c, NFTNL_CHAIN_TABLE));
    snprintf(one.name, sizeof one.name, "%s", text_of(c, NFTNL_CHAIN_NAME));
    one.uses = nftnl_chain_get_u32(c, NFTNL_CHAIN_USE);
    if (!nftnl_chain_is_set(c, NFTNL_CHAIN_HOOKNUM))
        return strcmp(one.name, NSH_CHAIN_GUEST) == 0 ? push(&b->guests, &b->n_guests, &one) : 0;
    one.drops = nftnl_chain_get_u32(c, NFTNL_CHAIN_POLICY) == NF_DROP;
    if (nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM) != NF_INET_FORWARD ||
            (!one.drops && one.uses == 0))
        return 0;
    return push(&b->items, &b->n, &one);
}

struct table_flags {
    uint32_t flags, owner;
};

static int take_flags(const struct nlmsghdr *answer, void *userdata)
{
    struct table_flags *f = userdata;
    const struct nlattr *attr;

    mnl_attr_for_each(attr, answer, sizeof(struct nfgenmsg))
    {
        if (mnl_attr_validate(attr, MNL_TYPE_U32) < 0)
            continue;
        if (mnl_attr_get_type(attr) == NFTA_TABLE_FLAGS)
            f->flags = ntohl(mnl_attr_get_u32(attr));
        if (mnl_attr_get_type(attr) == NSH_NFTA_TABLE_OWNER)
            f->owner = ntohl(mnl_attr_get_u32(attr));
    }
    return 0;
}

/* A table that is switched off drops nothing; one that has an owner is changed by nobody else. */
static int look_at_table(struct nsh_nft_channel *channel, struct nsh_nft_base *b)
{
    struct table_flags f = {0};
    char buf[512];
    struct nlmsghdr *m = nsh_nft_request(
            channel, buf, (int)b->family, NFT_MSG_GETTABLE, NLM_F_REQUEST | NLM_F_ACK);
    int r;

    mnl_attr_put_strz(m, NFTA_TABLE_NAME, b->table);
    r = nsh_nft_ask(channel, m, take_flags, &f);
    b->dormant = f.flags & NFT_TABLE_F_DORMANT;
    b->owner = f.flags & NSH_NFT_TABLE_F_OWNER ? f.owner : 0;
    return r;
}

int nsh_nft_bases_take(struct nsh_nft_channel *channel, struct nsh_nft_bases *ret)
{
    static const int families[] = {NFPROTO_IPV4, NFPROTO_IPV6, NFPROTO_INET};
    struct nsh_nft_bases b = {0};
    char buf[256];
    int r = 0;

    for (size_t i = 0; r == 0 && i < NSH_ARRAY_SIZE(families); i++) {
        r = nsh_nft_ask(channel,
                nsh_nft_request(channel, buf, families[i], NFT_MSG_GETCHAIN, NLM_F_DUMP),
                take_chain, &b);
        if (r == -EOPNOTSUPP || r == -EAFNOSUPPORT)
            r = 0;
    }
    for (size_t i = 0; r == 0 && i < b.n; i++)
        r = look_at_table(channel, &b.items[i]);
    if (r < 0)
        nsh_nft_bases_done(&b);
    else
        *ret = b;
    return r;
}

/* ---- words ---- */

static const char *family_name(const struct nsh_nft_base *b)
{
    return b->family == NFPROTO_INET ? "inet" : b->family == NFPROTO_IPV6 ? "ip6" : "ip";
}

const char *nsh_nft_base_format(const struct nsh_nft_base *b, char *buf, size_t size)
{
    snprintf(buf, size, "nftables chain %s %s %s", family_name(b), b->table, b->name);
    return buf;
}

bool nsh_nft_base_is_iptables(const struct nsh_nft_base *b)
{
    return b->family != NFPROTO_INET && strcmp(b->table, "filter") == 0 &&
           strcmp(b->name, "FORWARD") == 0;
}

bool nsh_nft_base_is_firewalld(const struct nsh_nft_base *b)
{
    return strcmp(b->table, "firewalld") == 0;
}

static bool is_plain(const struct nsh_nft_base *b)
{
    return nsh_forward_is_plain(b->table) && nsh_forward_is_plain(b->name);
}

/* To be read: as much of it as is enough for that. The commands have all of it. */
static void tell_what(const struct nsh_nft_base *b, char *buf, size_t size)
{
    if (is_plain(b))
        snprintf(buf, size, "nftables chain %s %.60s %.60s", family_name(b), b->table, b->name);
    else
        snprintf(buf, size, "nftables chain of family %s, whose name is no plain word,",
                family_name(b));
}

void nsh_nft_base_explain(const struct nsh_nft_base *b, const struct nsh_forward_path *paths,
        size_t n, struct nsh_forward_drop *ret)
{
    enum nsh_forward_tool tool = NSH_FORWARD_NFT;
    char where[NSH_GUEST_WHERE];

    tell_what(b, ret->what, sizeof ret->what);
    snprintf(where, sizeof where, "%s %s %s", family_name(b), b->table, b->name);
    if (nsh_nft_base_is_firewalld(b)) {
        tool = NSH_FORWARD_FIREWALLD;
    } else if (b->owner != 0) {
        tool = NSH_FORWARD_OWNER;
        snprintf(where, sizeof where, "the program that owns the table, with the port id %u,",
                b->owner);
    } else if (nsh_nft_base_is_iptables(b)) {
        /* What iptables writes it also has to read. */
        tool = NSH_FORWARD_IPTABLES;
        snprintf(where, sizeof where, "%s -I FORWARD",
                b->family == NFPROTO_IPV6 ? "ip6tables-nft" : "iptables-nft");
    } else if (!is_plain(b)) {
        tool = NSH_FORWARD_BY_HAND;
    }
    nsh_forward_fix(tool, where, paths, n, ret->fix, sizeof ret->fix);
}
