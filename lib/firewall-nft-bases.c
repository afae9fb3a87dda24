/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The base chains of others, and how one at the hook forward is told of.
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

struct take {
    struct nsh_nft_bases *bases;
    bool all;
};

static void take_devices(const struct nftnl_chain *c, struct nsh_nft_base *one)
{
    const char *const *names = nftnl_chain_is_set(c, NFTNL_CHAIN_DEVICES)
                                       ? nftnl_chain_get(c, NFTNL_CHAIN_DEVICES)
                                       : NULL;
    size_t n = 0;

    snprintf(one->devices[0], sizeof one->devices[0], "%s", text_of(c, NFTNL_CHAIN_DEV));
    while (names && names[n] && n < NSH_NFT_DEVICES) {
        snprintf(one->devices[n], sizeof one->devices[n], "%s", names[n]);
        n++;
    }
    if (n == NSH_NFT_DEVICES)
        one->devices[0][0] = '\0';
}

/* False: what is forwarded, or this machine's own, does not come there. */
static bool take_hook(const struct nftnl_chain *c, struct nsh_nft_base *one)
{
    static const enum nsh_hook hooks[] = {
            [NF_INET_PRE_ROUTING] = NSH_HOOK_PREROUTING,
            [NF_INET_LOCAL_IN] = NSH_HOOK_INPUT,
            [NF_INET_FORWARD] = NSH_HOOK_FORWARD,
            [NF_INET_LOCAL_OUT] = NSH_HOOK_OUTPUT,
            [NF_INET_POST_ROUTING] = NSH_HOOK_POSTROUTING,
            [NSH_NF_INET_INGRESS] = NSH_HOOK_PREROUTING,
    };
    uint32_t hook = nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM);
    bool device = one->family == NFPROTO_NETDEV || hook == NSH_NF_INET_INGRESS;

    one->priority = nftnl_chain_get_s32(c, NFTNL_CHAIN_PRIO);
    one->nat = strcmp(text_of(c, NFTNL_CHAIN_TYPE), "nat") == 0;
    if (device) {
        take_devices(c, one);
        one->priority = INT32_MIN; /* whatever it says, it comes before all others, or behind */
    }
    if (one->family == NFPROTO_NETDEV)
        one->hook = hook == NF_NETDEV_INGRESS ? NSH_HOOK_PREROUTING : NSH_HOOK_POSTROUTING;
    else if (hook < NSH_ARRAY_SIZE(hooks))
        one->hook = hooks[hook];
    else
        return false;
    if (device && one->hook == NSH_HOOK_POSTROUTING)
        one->priority = INT32_MAX;
    return true;
}

static int take_chain(const struct nlmsghdr *answer, void *userdata)
{
    const struct take *take = userdata;
    struct nsh_nft_bases *b = take->bases;
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
    if (!take_hook(c, &one) || (one.hook != NSH_HOOK_FORWARD && !take->all) ||
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

int nsh_nft_bases_take(struct nsh_nft_channel *channel, bool all, struct nsh_nft_bases *ret)
{
    static const int families[] = {NFPROTO_IPV4, NFPROTO_IPV6, NFPROTO_INET, NFPROTO_NETDEV};
    struct nsh_nft_bases b = {0};
    struct take take = {.bases = &b, .all = all};
    size_t n = NSH_ARRAY_SIZE(families) - (all ? 0 : 1);
    char buf[256];
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++) {
        r = nsh_nft_ask(channel,
                nsh_nft_request(channel, buf, families[i], NFT_MSG_GETCHAIN, NLM_F_DUMP),
                take_chain, &take);
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
    if (b->family == NFPROTO_NETDEV)
        return "netdev";
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

/* Of any table of iptables'. */
static bool is_builtin(const struct nsh_nft_base *b)
{
    static const char *const tables[] = {"filter", "mangle", "raw", "security", "nat"};

    for (size_t i = 0; i < NSH_ARRAY_SIZE(tables); i++)
        if (strcmp(b->table, tables[i]) == 0)
            return (b->family == NFPROTO_IPV4 || b->family == NFPROTO_IPV6) &&
                   strcmp(b->name, nsh_forward_hook_name(b->hook)) == 0;
    return false;
}

static void tell_builtin(const struct nsh_nft_base *b, char *buf, size_t size)
{
    bool filter = strcmp(b->table, "filter") == 0;

    snprintf(buf, size, "%s%s%s -I %s",
            b->family == NFPROTO_IPV6 ? "ip6tables-nft" : "iptables-nft", filter ? "" : " -t ",
            filter ? "" : b->table, b->name);
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
    if (nsh_nft_base_is_firewalld(b) && b->hook != NSH_HOOK_FORWARD) {
        snprintf(ret->fix, sizeof ret->fix, "firewalld, which wrote it, has to let it through");
        return;
    }
    if (nsh_nft_base_is_firewalld(b)) {
        tool = NSH_FORWARD_FIREWALLD;
    } else if (b->owner != 0) {
        tool = NSH_FORWARD_OWNER;
        snprintf(where, sizeof where, "the program that owns the table, with the port id %u,",
                b->owner);
    } else if (is_builtin(b)) {
        /* What iptables writes it also has to read. */
        tool = NSH_FORWARD_IPTABLES;
        tell_builtin(b, where, sizeof where);
    } else if (!is_plain(b)) {
        tool = NSH_FORWARD_BY_HAND;
    }
    nsh_forward_fix(tool, where, paths, n, ret->fix, sizeof ret->fix);
}
