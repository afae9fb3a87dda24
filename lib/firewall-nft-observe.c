/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Our table of nftables as the contract sees it: a chain of ours as it is, and the base chains of
 * a hook, one or two, as the one built-in chain of iptables.
 */
#include "firewall-nft-session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int nsh_nft_take_look(struct nsh_nft *f, int family, struct nsh_nft_look **ret)
{
    struct nsh_nft_look *l = &f->looks[nsh_nft_index(family)];
    uint32_t now = 0;
    int r = 0;

    *ret = l;
    if (l->valid)
        r = nsh_nft_generation(&f->channel, &now);
    if (r < 0 || (l->valid && now == l->generation))
        return r;
    f->touches[nsh_nft_index(family)] = f->watch.touches;
    return nsh_nft_look_take(&f->channel, family, l);
}

/* Of what somebody put into our table: as nft calls it. */
static const char *stray_words(const struct nsh_nft_chain *c, char *buf, size_t size)
{
    static const char *const things[] = {
            [NSH_NFT_CHAIN] = "chain",
            [NSH_NFT_SET] = "set",
            [NSH_NFT_OBJECT] = "object",
            [NSH_NFT_FLOWTABLE] = "flowtable",
    };

    if (!nsh_chain_is_stray(c->contract))
        return NULL;
    snprintf(buf, size, "%s %s", c->is_map ? "map" : things[c->thing], c->name);
    return buf;
}

static int see_chain(
        const struct nsh_nft_chain *c, int family, nsh_chain_observed *observed, void *userdata)
{
    struct nsh_chain_seen seen = {
            .family = (uint8_t)family, .table = c->table, .name = c->contract};
    char stray[NFT_NAME_MAXLEN + 16];
    nsh_autofree struct nsh_packet_rule *rules = calloc(c->n_rules + 1, sizeof *rules);
    nsh_autofree struct nsh_traffic *traffic = calloc(c->n_rules + 1, sizeof *traffic);

    if (!rules || !traffic)
        return -ENOMEM;
    for (size_t i = 0; i < c->n_rules; i++) {
        rules[i] = c->rules[i].value;
        traffic[i] = c->rules[i].traffic;
    }
    seen.stray = stray_words(c, stray, sizeof stray);
    seen.rules = rules;
    seen.traffic = traffic;
    seen.n_rules = c->n_rules;
    return observed(userdata, &seen);
}

static bool is_plain(const struct nsh_packet_rule *r)
{
    struct nsh_packet_rule plain = {.action = NSH_PACKET_JUMP};

    memcpy(plain.target, r->target, sizeof plain.target);
    return nsh_packet_rule_equal(r, &plain);
}

static void see_jumps(const struct nsh_nft_chain *c, enum nsh_table table,
        struct nsh_jump_seen *jumps, struct nsh_chain_seen *seen)
{
    for (size_t i = 0; c && i < c->n_rules; i++) {
        struct nsh_jump_seen *jump = &jumps[seen->n_jumps];
        enum nsh_table of;

        *jump = (struct nsh_jump_seen){.index = seen->n_total++};
        if (!nsh_nft_chain_parse(c->rules[i].refers, &of, jump->target) || of != table)
            continue;
        jump->first = c->place == 0;
        jump->kind = c->rules[i].kind;
        jump->plain = jump->kind != NSH_POLICY_NONE && is_plain(&c->rules[i].value);
        seen->n_jumps++;
    }
}

static int see_hook(const struct nsh_nft_look *l, const struct nsh_nft_hook *hook,
        nsh_chain_observed *observed, void *userdata)
{
    struct nsh_chain_seen seen = {.family = (uint8_t)l->family,
            .table = hook->table,
            .name = hook->name,
            .builtin = true};
    struct nsh_nft_chain *bases[NSH_NFT_PLACES];
    nsh_autofree struct nsh_jump_seen *jumps = NULL;

    nsh_nft_look_bases(l, hook, bases);
    if (!bases[0] && !bases[1])
        return 0;
    jumps = calloc((bases[0] ? bases[0]->n_rules : 0) + (bases[1] ? bases[1]->n_rules : 0) + 1,
            sizeof *jumps);
    if (!jumps)
        return -ENOMEM;
    see_jumps(bases[0], hook->table, jumps, &seen);
    seen.first_foreign = seen.n_total;
    see_jumps(bases[1], hook->table, jumps, &seen);
    seen.jumps = jumps;
    if (!nsh_nft_look_good(l, bases)) {
        seen.n_jumps = 0;
        seen.first_foreign = 0;
        seen.hidden = true;
    }
    return observed(userdata, &seen);
}

static int see_table(const struct nsh_nft_look *l, enum nsh_table table,
        nsh_chain_observed *observed, void *userdata)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < nsh_nft_n_hooks; i++)
        if (nsh_nft_hooks[i].table == table)
            r = see_hook(l, &nsh_nft_hooks[i], observed, userdata);
    for (size_t i = 0; r == 0 && i < l->n_chains; i++)
        if (l->chains[i]->table == table && !l->chains[i]->hook)
            r = see_chain(l->chains[i], l->family, observed, userdata);
    return r;
}

/* Only a look: what changed since the last session of writing is still a change. */
static int look(struct nsh_nft *f, int family, struct nsh_nft_look **ret)
{
    int r;

    if (!nsh_nft_in_use())
        return 1;
    r = nsh_nft_channel_open(&f->channel);
    if (r == 0)
        r = nsh_nft_take_look(f, family, ret);
    return nsh_nft_is_absent(r) ? 1 : r;
}

int nsh_nft_observe(struct nsh_firewall *fw, int family, enum nsh_table table,
        nsh_chain_observed *observed, void *userdata)
{
    struct nsh_nft *f = nsh_nft_of(fw);
    struct nsh_nft_look *l;
    int r;

    if (!f->open || !nsh_nft_is_place(family, table))
        return -EINVAL;
    if (f->mode == NSH_FIREWALL_READ) {
        r = look(f, family, &l);
        return r == 0 ? see_table(l, table, observed, userdata) : r < 0 ? r : 0;
    }
    /* The mark before the look: what changes in between makes a difference later. */
    nsh_nft_watch_take(&f->watch);
    nsh_nft_watch_mark(&f->watch, family, table, true);
    r = nsh_nft_take_look(f, family, &l);
    if (r == 0)
        r = see_table(l, table, observed, userdata);
    if (r != 0)
        nsh_nft_watch_mark(&f->watch, family, table, false);
    return r;
}
