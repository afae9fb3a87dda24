/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What there is of a guest: our chain, and the jumps to it, wherever in its table they stand. The
 * kernel counts what refers to a chain: so the table, which may be large, is gone through only
 * where the base chains, read already, do not have all of them.
 */
#include "firewall-nft-guest.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>

NSH_DEFINE_CLEANUP(struct nftnl_expr_iter *, nftnl_expr_iter_destroy)

static bool leads_to_guest(const struct nftnl_rule *rule)
{
    NSH_CLEANUP(nftnl_expr_iter_destroyp)
    struct nftnl_expr_iter *iter = nftnl_expr_iter_create(rule);
    struct nftnl_expr *x;

    while (iter && (x = nftnl_expr_iter_next(iter)))
        if (strcmp(nsh_nft_text(x, NFTNL_EXPR_NAME), "immediate") == 0 &&
                strcmp(nsh_nft_text(x, NFTNL_EXPR_IMM_CHAIN), NSH_CHAIN_GUEST) == 0)
            return true;
    return false;
}

/* It does nothing else. */
static bool is_plain(const struct nftnl_rule *rule)
{
    NSH_CLEANUP(nftnl_rule_freep) struct nftnl_rule *plain = nftnl_rule_alloc();
    struct nsh_packet_rule jump = {.action = NSH_PACKET_JUMP, .target = NSH_CHAIN_GUEST};
    const struct nsh_nft_guest_style style = {0};

    return plain && nsh_nft_encode_guest(&style, AF_UNSPEC, &jump, plain) == 0 &&
           nsh_nft_rule_same(rule, plain);
}

static int note_jump(struct nsh_nft_guest *g, const struct nftnl_rule *rule)
{
    struct nsh_nft_jump *jumps;

    if (!leads_to_guest(rule))
        return 0;
    jumps = reallocarray(g->jumps, g->n_jumps + 1, sizeof(*jumps));

    if (!jumps)
        return -ENOMEM;
    g->jumps = jumps;
    jumps[g->n_jumps] = (struct nsh_nft_jump){
            .handle = nftnl_rule_get_u64(rule, NFTNL_RULE_HANDLE), .plain = is_plain(rule)};
    snprintf(jumps[g->n_jumps].chain, sizeof jumps->chain, "%s",
            nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN));
    g->n_jumps++;
    return 0;
}

/* ---- our chain ---- */

static int take_rule(const struct nlmsghdr *answer, void *userdata)
{
    struct nsh_nft_guest *g = userdata;
    NSH_CLEANUP(nftnl_rule_freep) struct nftnl_rule *rule = nftnl_rule_alloc();
    struct nftnl_rule **rules;

    if (!rule)
        return -ENOMEM;
    if (nsh_nft_parse_rule(answer, rule) < 0)
        return 0;
    rules = reallocarray(g->seen, g->n_seen + 1, sizeof(struct nftnl_rule *));
    if (!rules)
        return -ENOMEM;
    g->seen = rules;
    rules[g->n_seen++] = NSH_TAKE_PTR(rule);
    return 0;
}

/* ---- the ways to it ---- */

/* Those in base chains, as far as these have been read; 0 also where `n` have been found. */
static int see_in_bases(struct nsh_nft_passing *p, struct nsh_nft_guest *g, size_t n)
{
    struct nftnl_rule *const *rules;
    size_t n_rules;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < p->bases.n && g->n_jumps < n; i++) {
        if (!nsh_nft_same_table(p->hosts[i].base, g->table))
            continue;
        r = nsh_nft_judge_rules(p->hosts[i].judge, p->hosts[i].base->name, &rules, &n_rules);
        for (size_t k = 0; r >= 0 && k < n_rules && g->n_jumps < n; k++)
            if (note_jump(g, rules[k]) < 0)
                r = -ENOMEM;
    }
    return r < 0 ? r : 0;
}

static int take_jump(const struct nlmsghdr *answer, void *userdata)
{
    NSH_CLEANUP(nftnl_rule_freep) struct nftnl_rule *rule = nftnl_rule_alloc();

    if (!rule)
        return -ENOMEM;
    return nsh_nft_parse_rule(answer, rule) < 0 ? 0 : note_jump(userdata, rule);
}

static int see_rules(struct nsh_nft_passing *p, struct nsh_nft_guest *g, const char *chain,
        int (*take)(const struct nlmsghdr *answer, void *userdata))
{
    char buf[512];
    struct nlmsghdr *m =
            nsh_nft_request(p->channel, buf, (int)g->table->family, NFT_MSG_GETRULE, NLM_F_DUMP);

    mnl_attr_put_strz(m, NFTA_RULE_TABLE, g->table->table);
    if (chain)
        mnl_attr_put_strz(m, NFTA_RULE_CHAIN, chain);
    return nsh_nft_ask(p->channel, m, take, g);
}

int nsh_nft_guest_see(struct nsh_nft_passing *p, struct nsh_nft_guest *g)
{
    const struct nsh_nft_base *ours = NULL;
    int r;

    for (size_t i = 0; !ours && i < p->bases.n_guests; i++)
        if (nsh_nft_same_table(&p->bases.guests[i], g->table))
            ours = &p->bases.guests[i];
    g->stands = ours;
    if (!ours)
        return 0;
    g->uses = ours->uses;
    r = see_rules(p, g, NSH_CHAIN_GUEST, take_rule);
    if (r == 0)
        r = see_in_bases(p, g, ours->uses - g->n_seen);
    if (r < 0 || g->n_jumps + g->n_seen >= ours->uses)
        return r;
    g->n_jumps = 0;
    return see_rules(p, g, NULL, take_jump);
}
