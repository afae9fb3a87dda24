/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of a guest, in one transaction in which nothing but our chain and the jumps to it is
 * named.
 */
#include "firewall-nft-guest.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <linux/netlink.h>

#define COMMENT "netshared"

struct nsh_nft_guest_style nsh_nft_style_of(
        const struct nsh_nft_passing *p, const struct nsh_nft_guest *g)
{
    struct nsh_nft_guest_style style = {.table = g->table->family};

    for (size_t i = 0; i < p->bases.n; i++)
        if (nsh_nft_same_table(&p->bases.items[i], g->table))
            style.iptables = style.iptables || nsh_nft_base_is_iptables(&p->bases.items[i]);
    return style;
}

static int put_chain(
        struct nsh_nft_batch *b, const struct nsh_nft_guest *g, uint16_t type, uint16_t flags)
{
    struct nlmsghdr *m =
            nsh_nft_batch_open(b, type, (int)g->table->family, (uint16_t)(NLM_F_REQUEST | flags));

    if (!m)
        return -ENOMEM;
    mnl_attr_put_strz(m, NFTA_CHAIN_TABLE, g->table->table);
    mnl_attr_put_strz(m, NFTA_CHAIN_NAME, NSH_CHAIN_GUEST);
    nsh_nft_batch_close(b, m);
    return 0;
}

/* `handle` 0: all rules of the chain. */
static int put_delete(
        struct nsh_nft_batch *b, const struct nsh_nft_guest *g, const char *chain, uint64_t handle)
{
    struct nlmsghdr *m =
            nsh_nft_batch_open(b, NFT_MSG_DELRULE, (int)g->table->family, NLM_F_REQUEST);

    if (!m)
        return -ENOMEM;
    mnl_attr_put_strz(m, NFTA_RULE_TABLE, g->table->table);
    mnl_attr_put_strz(m, NFTA_RULE_CHAIN, chain);
    if (handle)
        mnl_attr_put_u64(m, NFTA_RULE_HANDLE, htobe64(handle));
    nsh_nft_batch_close(b, m);
    return 0;
}

static int put_rule(struct nsh_nft_batch *b, const struct nsh_nft_guest *g, const char *chain,
        struct nftnl_rule *rule, uint16_t flags)
{
    struct nlmsghdr *m = nsh_nft_batch_open(b, NFT_MSG_NEWRULE, (int)g->table->family,
            (uint16_t)(NLM_F_REQUEST | NLM_F_CREATE | flags));

    if (!m)
        return -ENOMEM;
    nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, g->table->table);
    nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain);
    nftnl_rule_nlmsg_build_payload(m, rule);
    nsh_nft_batch_close(b, m);
    return 0;
}

/* Before all that stands there but bans. */
static int put_jump(struct nsh_nft_passing *p, struct nsh_nft_batch *b,
        const struct nsh_nft_guest *g, const struct nsh_nft_host *h)
{
    NSH_CLEANUP(nftnl_rule_freep) struct nftnl_rule *rule = nftnl_rule_alloc();
    struct nsh_packet_rule jump = {.action = NSH_PACKET_JUMP, .target = NSH_CHAIN_GUEST};
    const struct nsh_nft_guest_style style = nsh_nft_style_of(p, g);
    int r = rule ? nsh_nft_encode_guest(&style, AF_UNSPEC, &jump, rule) : -ENOMEM;

    if (r == 0)
        r = nsh_nft_set_comment(rule, COMMENT);
    if (r == 0 && h->behind)
        nftnl_rule_set_u64(rule, NFTNL_RULE_POSITION, h->behind);
    return r < 0 ? r : put_rule(b, g, h->base->name, rule, h->behind ? NLM_F_APPEND : 0);
}

struct nsh_nft_host *nsh_nft_host_of(
        struct nsh_nft_passing *p, const struct nsh_nft_guest *g, const char *chain)
{
    for (size_t i = 0; i < p->bases.n; i++)
        if (nsh_nft_same_table(p->hosts[i].base, g->table) &&
                strcmp(p->hosts[i].base->name, chain) == 0)
            return &p->hosts[i];
    return NULL;
}

/* Jumps from base chains are ours; from others somebody made his own way to our chain. */
static int put_jumps_away(
        struct nsh_nft_passing *p, struct nsh_nft_batch *b, const struct nsh_nft_guest *g)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < g->n_jumps; i++) {
        const struct nsh_nft_host *h = nsh_nft_host_of(p, g, g->jumps[i].chain);

        if (h && h->wrong)
            r = put_delete(b, g, g->jumps[i].chain, g->jumps[i].handle);
    }
    return r;
}

bool nsh_nft_others_lead_to(struct nsh_nft_passing *p, const struct nsh_nft_guest *g)
{
    for (size_t i = 0; i < g->n_jumps; i++)
        if (!nsh_nft_host_of(p, g, g->jumps[i].chain))
            return true;
    return g->uses > g->n_jumps + g->n_seen; /* elements of a map */
}

static int put_wanted(
        struct nsh_nft_passing *p, struct nsh_nft_batch *b, const struct nsh_nft_guest *g)
{
    int r = g->stands ? 0 : put_chain(b, g, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL);

    if (r == 0 && g->differs && g->n_seen > 0)
        r = put_delete(b, g, NSH_CHAIN_GUEST, 0);
    for (size_t i = 0; r == 0 && g->differs && i < g->n_want; i++)
        r = put_rule(b, g, NSH_CHAIN_GUEST, g->want[i], NLM_F_APPEND);
    for (size_t i = 0; r == 0 && i < p->bases.n; i++) {
        const struct nsh_nft_host *h = &p->hosts[i];

        if (nsh_nft_same_table(h->base, g->table) && h->wanted && h->wrong)
            r = put_jump(p, b, g, h);
    }
    return r;
}

static int put_unwanted(
        struct nsh_nft_passing *p, struct nsh_nft_batch *b, const struct nsh_nft_guest *g)
{
    int r = g->n_seen > 0 ? put_delete(b, g, NSH_CHAIN_GUEST, 0) : 0;

    if (r == 0 && !nsh_nft_others_lead_to(p, g))
        r = put_chain(b, g, NFT_MSG_DELCHAIN, 0);
    return r;
}

int nsh_nft_guest_send(struct nsh_nft_passing *p, const struct nsh_nft_guest *g)
{
    NSH_CLEANUP(nsh_nft_batch_done) struct nsh_nft_batch b;
    struct nsh_nft_failure failure;
    int r;

    nsh_nft_batch_init(&b);
    r = put_jumps_away(p, &b, g);
    if (r == 0)
        r = g->wanted ? put_wanted(p, &b, g) : put_unwanted(p, &b, g);
    if (r == 0)
        r = nsh_nft_batch_send(p->channel, &b, p->generation, !p->write, &failure);
    if (r == NSH_FIREWALL_OK && p->write)
        p->generation++;
    return r;
}
