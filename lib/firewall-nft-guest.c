/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests: a chain of ours in a table of others, which accepts what our policies let through and
 * one of that table's base chains drops, and one jump to it at that base chain's start. A jump
 * can't leave its table, so each table has its own.
 *
 * Which jumps are to stand is judged anew each time, as if none of ours stood there. A table is
 * written in one transaction, in which nothing but our chain and the jumps to it is named. A jump
 * that rules of others have come to stand before stays where it is, unless these drop what it would
 * accept. One that is put there goes behind the bans with which the chain begins.
 */
#include "firewall-nft-guest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 5

static void rules_done(struct nftnl_rule **rules, size_t n)
{
    for (size_t i = 0; i < n; i++)
        nftnl_rule_free(rules[i]);
    free(rules);
}

static void guest_done(struct nsh_nft_guest *g)
{
    rules_done(g->want, g->n_want);
    rules_done(g->seen, g->n_seen);
    free(g->jumps);
}

static void pass_done(struct nsh_nft_passing *p)
{
    for (size_t i = 0; p->hosts && i < p->bases.n; i++) {
        nsh_nft_judge_free(p->hosts[i].judge);
        free(p->hosts[i].dropped);
    }
    free(p->hosts);
    nsh_nft_bases_done(&p->bases);
}

/* ---- judging ---- */

static bool concerns(const struct nsh_nft_base *b, const struct nsh_passage *p)
{
    return b->family == NFPROTO_INET ||
           (b->family == NFPROTO_IPV6) == (p->chain->family == AF_INET6);
}

/* By the bans that our jump comes behind. */
static int judge_bans(struct nsh_nft_host *h, const struct nsh_passage *share,
        const struct nsh_forward_path *path)
{
    struct nftnl_rule *const *rules;
    const enum nsh_nft_ban *bans;
    size_t n = 0, n_rules;
    int r = nsh_nft_judge_bans(h->judge, &bans, &n);

    if (r == 0 && n > 0)
        r = nsh_nft_judge_rules(h->judge, h->base->name, &rules, &n_rules);
    for (size_t i = 0; r >= 0 && i < n; i++) {
        for (size_t k = 0; r == 0 && bans[i] == NSH_NFT_BAN && k < share->n_paths; k++)
            r = nsh_nft_judge_rule(h->judge, share->chain->family, &share->paths[k], rules[i]);
        if (r != 0)
            return r < 0 ? r : 0; /* it is overtaken */
        r = nsh_nft_judge_rule(h->judge, share->chain->family, path, rules[i]);
        if (r != 0 || nsh_nft_judge_met(h->judge))
            return r;
    }
    return r < 0 ? r : 0;
}

/* What takes part of a share's packets away, be it before our jump or where there is none. */
static int judge_ban(
        struct nsh_nft_host *h, const struct nsh_passage *p, const struct nsh_forward_path *path)
{
    return h->hosted == p - 1 ? judge_bans(h, p - 1, path)
                              : nsh_nft_judge_path(h->judge, p->chain->family, path,
                                        NSH_NFT_GUEST_ABSENT, false);
}

/* 1: it is dropped. By which paths is put into `ret`, if that is not NULL. */
static int judge_passage(struct nsh_nft_host *h, const struct nsh_passage *p,
        enum nsh_nft_guest_view guest, struct nsh_forward_path *ret, size_t *ret_n)
{
    struct nsh_forward_path told[NSH_PASSAGE_PATHS];
    bool dropped[NSH_PASSAGE_PATHS] = {false};
    size_t n;

    for (size_t i = 0; i < p->n_paths; i++) {
        int r = p->ban ? judge_ban(h, p, &p->paths[i])
                       : nsh_nft_judge_path(
                                 h->judge, p->chain->family, &p->paths[i], guest, !p->exit);

        if (r < 0)
            return r;
        dropped[i] = r > 0;
    }
    n = nsh_passage_dropped(p, dropped, ret ? ret : told);
    if (ret_n)
        *ret_n = n;
    return n > 0;
}

static bool may_host(const struct nsh_nft_base *b)
{
    return b->owner == 0 && !nsh_nft_base_is_firewalld(b);
}

static int explain(struct nsh_nft_host *h, struct nsh_passage *p)
{
    nsh_autofree struct nsh_forward_path *paths = calloc(p->n_paths + 1, sizeof(*paths));
    size_t n = 0;
    int r = paths ? judge_passage(h, p, NSH_NFT_GUEST_ABSENT, paths, &n) : -ENOMEM;

    if (r < 0 || p->dropped)
        return r < 0 ? r : 0; /* the first one is told of */
    p->dropped = true;
    p->drop.hosts = may_host(h->base);
    nsh_nft_base_explain(h->base, paths, n, &p->drop);
    return 0;
}

static int judge_host(struct nsh_nft_passing *p, struct nsh_nft_host *h)
{
    int r = 0;

    h->dropped = calloc(p->n + 1, sizeof(*h->dropped));
    if (!h->dropped)
        return -ENOMEM;
    for (size_t i = 0; r >= 0 && i < p->n; i++) {
        struct nsh_passage *one = &p->passages[i];

        if (h->base->dormant || !concerns(h->base, one) ||
                (one->ban && h->dropped[i - 1] && h->hosted != one - 1))
            continue;
        r = judge_passage(h, one, NSH_NFT_GUEST_ABSENT, NULL, NULL);
        h->dropped[i] = r > 0;
        if (r > 0 && (one->exit || !may_host(h->base))) {
            r = explain(h, one);
        } else if (r > 0 && !one->barred) {
            h->wanted = true;
            h->hosted = one;
        }
    }
    return r < 0 ? r : 0;
}

static void tell_unjudged(struct nsh_nft_passing *p, const struct nsh_nft_base *base)
{
    char where[NSH_GUEST_WHERE];
    const struct nsh_guest_seen seen = {
            .verb = NSH_GUEST_UNJUDGED,
            .where = nsh_nft_base_format(base, where, sizeof where),
            .reason = "too many rules",
    };

    if (p->told)
        p->told(p->userdata, &seen);
}

static int judge_hosts(struct nsh_nft_passing *p)
{
    struct nsh_nft_work *work = &p->work;
    int r = 0;

    *work = NSH_NFT_WORK;
    p->hosts = calloc(p->bases.n + 1, sizeof(*p->hosts));
    if (!p->hosts)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < p->bases.n; i++) {
        p->hosts[i].base = &p->bases.items[i];
        r = nsh_nft_judge_new(&p->bases.items[i], work, &p->hosts[i].judge);
        if (r == 0)
            r = judge_host(p, &p->hosts[i]);
        if (r == 0 && nsh_nft_judge_is_cut(p->hosts[i].judge))
            tell_unjudged(p, &p->bases.items[i]);
    }
    return r;
}

/* ---- what is to stand ---- */

static struct nftnl_rule *push_rule(struct nftnl_rule ***array, size_t *n)
{
    struct nftnl_rule **rules = reallocarray(*array, *n + 1, sizeof(struct nftnl_rule *));
    struct nftnl_rule *rule = rules ? nftnl_rule_alloc() : NULL;

    if (rules)
        *array = rules;
    if (rule)
        rules[(*n)++] = rule;
    return rule;
}

static int want_rules(struct nsh_nft_passing *p, struct nsh_nft_guest *g, const struct nsh_chain *c)
{
    const struct nsh_nft_guest_style style = nsh_nft_style_of(p, g);
    char comment[64];
    int r = 0;

    snprintf(comment, sizeof comment, "%s %s", nsh_policy_noun(c->kind), c->policy);
    for (size_t i = 0; r == 0 && i < c->n_rules; i++) {
        struct nftnl_rule *rule;

        if (c->rules[i].action != NSH_PACKET_ACCEPT)
            continue;
        rule = push_rule(&g->want, &g->n_want);
        r = rule ? nsh_nft_encode_guest(&style, c->family, &c->rules[i], rule) : -ENOMEM;
        if (r == 0)
            r = nsh_nft_set_comment(rule, comment);
    }
    return r;
}

/* Of passages in their order those that one of its base chains drops. */
static int want_guest(struct nsh_nft_passing *p, struct nsh_nft_guest *g)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < p->n; i++) {
        bool dropped = false;

        for (size_t k = 0; k < p->bases.n; k++)
            dropped = dropped || (p->hosts[k].wanted && p->hosts[k].dropped[i] &&
                                         nsh_nft_same_table(p->hosts[k].base, g->table));
        if (!dropped || p->passages[i].barred)
            continue;
        g->wanted = true;
        r = want_rules(p, g, p->passages[i].chain);
    }
    return r;
}

/* ---- comparing ---- */

static void compare_rules(struct nsh_nft_guest *g)
{
    g->differs = g->n_want != g->n_seen;
    for (size_t i = 0; !g->differs && i < g->n_want; i++)
        g->differs = !nsh_nft_rule_same(g->want[i], g->seen[i]);
}

/* Whether what it leads to lets through all that it is there for. */
static int is_in_time(struct nsh_nft_passing *p, struct nsh_nft_host *h)
{
    for (size_t i = 0; i < p->n; i++) {
        int r = h->dropped[i] && !p->passages[i].barred
                        ? judge_passage(h, &p->passages[i], NSH_NFT_GUEST_ACCEPTS, NULL, NULL)
                        : 0;

        if (r != 0)
            return r < 0 ? r : 0;
    }
    return 1;
}

/* Whether it drops for certain what the jump is there for. */
static int drops_all(
        struct nsh_nft_passing *p, struct nsh_nft_host *h, const struct nftnl_rule *rule)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < p->n; i++) {
        const struct nsh_passage *one = &p->passages[i];

        for (size_t k = 0; r == 0 && h->dropped[i] && !one->barred && k < one->n_paths; k++)
            r = nsh_nft_judge_rule(h->judge, one->chain->family, &one->paths[k], rule);
    }
    return r;
}

static int find_place(struct nsh_nft_passing *p, struct nsh_nft_host *h)
{
    struct nftnl_rule *const *rules;
    const enum nsh_nft_ban *bans;
    size_t n = 0, n_rules;
    int q, r = nsh_nft_judge_bans(h->judge, &bans, &n);

    h->behind = 0;
    if (r < 0 || n == 0)
        return r;
    q = nsh_nft_judge_rules(h->judge, h->base->name, &rules, &n_rules);
    for (size_t i = 0; q >= 0 && i < n; i++) {
        q = bans[i] == NSH_NFT_BAN ? drops_all(p, h, rules[i]) : 0;
        if (q > 0)
            break;
        if (q == 0 && bans[i] != NSH_NFT_NEUTRAL)
            h->behind = nftnl_rule_get_u64(rules[i], NFTNL_RULE_HANDLE);
    }
    return q < 0 ? q : 0;
}

static int compare_host(
        struct nsh_nft_passing *p, const struct nsh_nft_guest *g, struct nsh_nft_host *h)
{
    size_t n = 0;
    bool plain = true;
    int r = 1;

    for (size_t i = 0; i < g->n_jumps; i++)
        if (strcmp(g->jumps[i].chain, h->base->name) == 0) {
            n++;
            plain = plain && g->jumps[i].plain;
        }
    if (h->wanted && n == 1 && plain)
        r = is_in_time(p, h);
    if (!h->wanted)
        h->wrong = n > 0 ? "not wanted" : NULL;
    else if (n == 0)
        h->wrong = g->stands ? "jump missing" : "missing";
    else if (n > 1 || !plain)
        h->wrong = n > 1 ? "jump doubled" : "jump altered";
    else if (r == 0)
        h->wrong = "jump behind a rule of others";
    if (r >= 0 && h->wanted && h->wrong)
        r = find_place(p, h);
    return r < 0 ? r : 0;
}

/* ---- a table ---- */

/* What it can't be is known before anything else is put up for it. */
static void refuse(struct nsh_nft_passing *p, const struct nsh_nft_guest *g, int error)
{
    char help[sizeof((struct nsh_forward_drop *)NULL)->fix];

    for (size_t k = 0; k < p->bases.n; k++) {
        struct nsh_nft_host *h = &p->hosts[k];

        for (size_t i = 0; h->wanted && nsh_nft_same_table(h->base, g->table) && i < p->n; i++) {
            struct nsh_passage *one = &p->passages[i];

            if (!h->dropped[i] || one->dropped || explain(h, one) < 0)
                continue;
            memcpy(help, one->drop.fix, sizeof help);
            snprintf(one->drop.fix, sizeof one->drop.fix, "no jump can be put there: %s; %.640s",
                    strerror(-error), help);
        }
    }
}

static void tell(struct nsh_nft_passing *p, const struct nsh_nft_base *b, enum nsh_guest_verb verb,
        const char *reason)
{
    char where[NSH_GUEST_WHERE];
    struct nsh_guest_seen seen = {.verb = verb, .reason = reason};

    seen.where = nsh_nft_base_format(b, where, sizeof where);
    if (p->told)
        p->told(p->userdata, &seen);
}

static void tell_host(
        struct nsh_nft_passing *p, const struct nsh_nft_guest *g, const struct nsh_nft_host *h)
{
    const char *reason = h->wrong;

    if (!reason && h->wanted && g->differs)
        reason = g->n_seen == 0 ? "flushed" : "changed";
    if (!h->wanted && reason)
        tell(p, h->base, NSH_GUEST_REMOVE, reason);
    else if (h->wanted && !reason)
        tell(p, h->base, NSH_GUEST_STANDS, NULL);
    else if (h->wanted)
        tell(p, h->base, strcmp(reason, "missing") == 0 ? NSH_GUEST_ADD : NSH_GUEST_CHANGE, reason);
}

/* Nothing there drops any more. It is told where the jumps stood, not what they led to. */
static void tell_leftovers(struct nsh_nft_passing *p, const struct nsh_nft_guest *g)
{
    struct nsh_nft_base host = *g->table;

    for (size_t i = 0; i < g->n_jumps; i++) {
        memcpy(host.name, g->jumps[i].chain, sizeof host.name);
        tell(p, &host, NSH_GUEST_REMOVE, "not wanted");
    }
}

static void tell_guest(struct nsh_nft_passing *p, const struct nsh_nft_guest *g)
{
    bool any = false;

    for (size_t i = 0; i < p->bases.n; i++)
        if (nsh_nft_same_table(p->hosts[i].base, g->table)) {
            any = any || p->hosts[i].wanted || p->hosts[i].wrong;
            tell_host(p, g, &p->hosts[i]);
        }
    if (!any)
        tell_leftovers(p, g);
}

static bool is_right(struct nsh_nft_passing *p, const struct nsh_nft_guest *g)
{
    if (g->wanted ? g->differs : g->stands && !(g->n_seen == 0 && nsh_nft_others_lead_to(p, g)))
        return false;
    for (size_t i = 0; i < p->bases.n; i++)
        if (nsh_nft_same_table(p->hosts[i].base, g->table) && p->hosts[i].wrong)
            return false;
    return true;
}

/* Somebody wrote in between, or took away what was being read: all is looked at again. */
static bool is_raced(int r)
{
    return r == NSH_FIREWALL_RACED || r == -EINTR || r == -ENOENT;
}

static int do_table(struct nsh_nft_passing *p, const struct nsh_nft_base *table)
{
    NSH_CLEANUP(guest_done) struct nsh_nft_guest g = {.table = table};
    int r = want_guest(p, &g);

    if (r == 0)
        r = nsh_nft_guest_see(p, &g);
    compare_rules(&g);
    for (size_t i = 0; r == 0 && i < p->bases.n; i++)
        if (nsh_nft_same_table(p->hosts[i].base, table))
            r = compare_host(p, &g, &p->hosts[i]);
    if (r < 0 || (!g.wanted && !g.stands))
        return r;
    if (is_right(p, &g)) {
        if (g.wanted)
            tell_guest(p, &g);
        return 0;
    }
    r = nsh_nft_guest_send(p, &g);
    if (r == NSH_FIREWALL_OK)
        tell_guest(p, &g);
    if (r < 0 && g.wanted) {
        refuse(p, &g, r);
        return p->write ? r : 0;
    }
    if (r < 0 && !p->write && !is_raced(r)) {
        tell_guest(p, &g); /* it is to go all the same, and whoever tries it hears why it can't */
        return 0;
    }
    return r;
}

/*
 * Each table once, whether one of its chains drops something or one of ours stands there. One that
 * refuses does not keep the others from theirs.
 */
static int do_tables(struct nsh_nft_passing *p)
{
    int r = 0;

    for (size_t i = 0; !is_raced(r) && i < p->bases.n + p->bases.n_guests; i++) {
        const struct nsh_nft_base *table =
                i < p->bases.n ? &p->bases.items[i] : &p->bases.guests[i - p->bases.n];
        bool done = false;

        for (size_t k = 0; k < i; k++)
            done = done ||
                   nsh_nft_same_table(table,
                           k < p->bases.n ? &p->bases.items[k] : &p->bases.guests[k - p->bases.n]);
        if (done)
            continue;
        int one = do_table(p, table);
        if (r == 0 || is_raced(one))
            r = one;
    }
    return r;
}

static void note_hosted(struct nsh_nft_passing *p)
{
    for (size_t k = 0; p->hosts && k < p->bases.n; k++)
        for (size_t i = 0; p->hosts[k].wanted && i < p->n; i++)
            p->passages[i].hosted = p->passages[i].hosted || p->hosts[k].dropped[i];
}

static int pass_once(struct nsh_nft_passing *p)
{
    int r = nsh_nft_generation(p->channel, &p->generation);

    for (size_t i = 0; i < p->n; i++)
        p->passages[i].dropped = p->passages[i].by_firewall = p->passages[i].hosted = false;
    if (r == 0)
        r = nsh_nft_bases_take(p->channel, false, &p->bases);
    if (r == 0)
        r = judge_hosts(p);
    note_hosted(p);
    return r < 0 ? r : do_tables(p);
}

/* A table goes with the program that owns it, of which no generation tells. */
static bool is_owned(const struct nsh_nft_passing *p)
{
    for (size_t i = 0; i < p->bases.n; i++)
        if (p->bases.items[i].owner != 0)
            return true;
    return false;
}

int nsh_nft_pass(struct nsh_nft_channel *c, bool write, struct nsh_passage *passages, size_t n,
        nsh_guest_told *told, void *userdata, uint32_t *ret_generation)
{
    int r = NSH_FIREWALL_RACED;

    for (int i = 0; i < TRIES && is_raced(r); i++) {
        NSH_CLEANUP(pass_done)
        struct nsh_nft_passing p = {.channel = c,
                .passages = passages,
                .n = n,
                .write = write,
                .told = told,
                .userdata = userdata};

        r = pass_once(&p);
        *ret_generation = is_owned(&p) ? 0 : p.generation;
    }
    return is_raced(r) ? -EAGAIN : r;
}
