/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "passage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/* Masquerade policies that are judged; of more the first. */
#define EXITS_MAX 64U
/* Of their sources, for each of which the kernel is asked where it is. */
#define SOURCES_MAX 128U
/* Networks of shares' LANs, each there and back, that bans are looked for. */
#define BAN_NETS_MAX 128U

static bool lets_through(const struct nsh_chain *c)
{
    return c->table == NSH_TABLE_FILTER &&
           (c->kind == NSH_POLICY_SHARE || c->kind == NSH_POLICY_PORT_FORWARD);
}

/* Where connections that are led elsewhere come in. */
static const struct nsh_chain *entry_of(const struct nsh_desired *d, size_t chain)
{
    const struct nsh_chain *c = &d->chains[chain];

    for (size_t i = chain; i-- > 0 && strcmp(d->chains[i].policy, c->policy) == 0;)
        if (d->chains[i].family == c->family && d->chains[i].table == NSH_TABLE_NAT &&
                d->chains[i].hook && strcmp(d->chains[i].hook, "PREROUTING") == 0)
            return &d->chains[i];
    return NULL;
}

static bool can_be_banned(const struct nsh_chain *c)
{
    return lets_through(c) && c->kind == NSH_POLICY_SHARE && !c->standby && !c->blocked;
}

static bool is_exit(const struct nsh_chain *c)
{
    return c->kind == NSH_POLICY_MASQUERADE && c->table == NSH_TABLE_NAT && !c->standby;
}

static void add_passage(struct nsh_passages *p, const struct nsh_desired *d, size_t chain)
{
    struct nsh_forward_path *paths = &p->paths[p->n * NSH_PASSAGE_PATHS];

    p->items[p->n] = (struct nsh_passage){
            .chain = &d->chains[chain],
            .paths = paths,
            .n_paths = nsh_forward_paths(
                    &d->chains[chain], entry_of(d, chain), paths, NSH_PASSAGE_PATHS),
            .barred = d->chains[chain].standby || d->chains[chain].blocked,
    };
    p->chains[p->n++] = chain;
}

static void add_exit(struct nsh_passages *p, const struct nsh_desired *d, struct nsh_fib *fib,
        size_t *sources, size_t chain)
{
    struct nsh_forward_path *paths = &p->paths[p->n * NSH_PASSAGE_PATHS];

    p->items[p->n] = (struct nsh_passage){
            .chain = &d->chains[chain],
            .paths = paths,
            .n_paths = nsh_exit_paths(d, fib, &d->chains[chain], sources, paths, NSH_PASSAGE_PATHS),
            .barred = true,
            .exit = true,
    };
    p->chains[p->n++] = chain;
}

static void add_ban(struct nsh_passages *p, struct nsh_ban_nets *nets)
{
    struct nsh_forward_path *paths = &p->paths[p->n * NSH_PASSAGE_PATHS];
    const struct nsh_passage *share = &p->items[p->n - 1];

    p->items[p->n] = (struct nsh_passage){
            .chain = share->chain,
            .paths = paths,
            .n_paths = nsh_ban_paths(nets, share, paths, NSH_PASSAGE_PATHS),
            .barred = true,
            .exit = true,
            .ban = true,
    };
    p->chains[p->n] = p->chains[p->n - 1];
    p->n++;
}

int nsh_passages_new(const struct nsh_desired *d, struct nsh_fib *fib, struct nsh_passages *ret)
{
    NSH_CLEANUP(nsh_ban_nets_done) struct nsh_ban_nets nets = {0};
    struct nsh_passages p = {0};
    size_t n = 0, bans = 0, exits = 0, sources = SOURCES_MAX;

    for (size_t i = 0; i < d->n_chains; i++) {
        n += lets_through(&d->chains[i]);
        bans += can_be_banned(&d->chains[i]);
        exits += exits < EXITS_MAX && is_exit(&d->chains[i]);
    }
    if (bans > 0 && nsh_ban_nets_new(fib, BAN_NETS_MAX, &nets) < 0)
        return -ENOMEM;
    n += bans;
    p.items = calloc(n + exits + 1, sizeof *p.items);
    p.chains = calloc(n + exits + 1, sizeof *p.chains);
    p.paths = calloc(n + exits + 1, NSH_PASSAGE_PATHS * sizeof *p.paths);
    if (!p.items || !p.chains || !p.paths) {
        nsh_passages_done(&p);
        return -ENOMEM;
    }
    for (size_t i = 0; i < d->n_chains; i++) {
        if (lets_through(&d->chains[i]))
            add_passage(&p, d, i);
        if (can_be_banned(&d->chains[i]))
            add_ban(&p, &nets);
        else if (is_exit(&d->chains[i]) && exits > 0 && exits--)
            add_exit(&p, d, fib, &sources, i);
    }
    *ret = p;
    return 0;
}

void nsh_passages_done(struct nsh_passages *p)
{
    free(p->items);
    free(p->chains);
    free(p->paths);
    *p = (struct nsh_passages){0};
}

/* The first chain that drops it is told of. */
static int ask_one(struct nsh_passages *p, struct nsh_firewall *fw, bool holds,
        enum nsh_firewall_mode mode, nsh_guest_told *told, void *userdata)
{
    nsh_autofree struct nsh_passage *items = calloc(p->n + 1, sizeof *items);
    int q;

    if (!fw || !fw->ops->pass)
        return 0;
    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < p->n; i++)
        items[i] = p->items[i];
    q = fw->ops->pass(fw, mode, holds, items, p->n, told, userdata);
    for (size_t i = 0; i < p->n; i++) {
        struct nsh_passage *one = &p->items[i];

        one->hosted = one->hosted || items[i].hosted;
        if (items[i].dropped && items[i].by_firewall) {
            one->by_firewall = one->hosted = true;
        } else if (items[i].dropped && !one->dropped) {
            one->dropped = true;
            one->drop = items[i].drop;
        }
    }
    return q;
}

int nsh_passages_ask(struct nsh_passages *p, struct nsh_firewall *holds, struct nsh_firewall *other,
        enum nsh_firewall_mode mode, nsh_guest_told *told, void *userdata)
{
    int q;

    for (size_t i = 0; i < p->n; i++)
        p->items[i].dropped = p->items[i].by_firewall = p->items[i].hosted = false;
    q = ask_one(p, holds, true, mode, told, userdata);
    return q < 0 ? q : ask_one(p, other, false, mode, told, userdata);
}

/* ---- the chain in iptables ---- */

static bool is_guest(const struct nsh_passage *p, int family)
{
    return p->by_firewall && !p->barred && p->chain->family == family;
}

static void want_family(
        struct nsh_guests *g, const struct nsh_passages *p, int family, struct nsh_packet_rule **at)
{
    struct nsh_chain *c = &g->chains[g->desired.n_chains];

    *c = (struct nsh_chain){.family = (uint8_t)family,
            .table = NSH_TABLE_FILTER,
            .name = NSH_CHAIN_GUEST,
            .hook = "FORWARD",
            .position = NSH_POSITION_FIRST,
            .rules = *at};
    for (size_t i = 0; i < p->n; i++)
        for (size_t k = 0; is_guest(&p->items[i], family) && k < p->items[i].chain->n_rules; k++)
            if (p->items[i].chain->rules[k].action == NSH_PACKET_ACCEPT)
                (*at)[c->n_rules++] = p->items[i].chain->rules[k];
    *at += c->n_rules;
    g->desired.n_chains += c->n_rules > 0;
}

int nsh_guests_want(struct nsh_guests *g, const struct nsh_passages *p)
{
    struct nsh_packet_rule *rules;
    size_t n = 0;

    for (size_t i = 0; i < p->n; i++)
        n += p->items[i].chain->n_rules;
    rules = calloc(n + 1, sizeof *rules);
    if (!rules)
        return -ENOMEM;
    free(g->rules);
    g->rules = rules;
    g->desired = (struct nsh_desired){.chains = g->chains};
    for (int f = 0; f < NSH_FAMILIES; f++)
        want_family(g, p, nsh_family_of(f), &rules);
    return 0;
}

void nsh_guests_done(struct nsh_guests *g)
{
    free(g->rules);
    *g = (struct nsh_guests){0};
}
