/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packet rules on the way down: chains, jumps and sets of ours that are not wanted go, in one
 * session under the lock, the other way round than they came.
 */
#include "reconcile-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apply.h"
#include "cleanup.h"

#define COMMIT_TRIES 8
#define WHY_SIZE 512

NSH_DEFINE_CLEANUP(struct nsh_firewall_plan *, nsh_firewall_plan_free)

/* What kept conntrack in use goes when nothing is translated any more. */
static const enum nsh_table tables_down[] = {
        NSH_TABLE_MANGLE, NSH_TABLE_NAT, NSH_TABLE_FILTER, NSH_TABLE_RAW};

/* The chains that are gone, to be told a policy at a time. */
struct gone {
    struct nsh_chain *chains;
    size_t n, size;
};

static void gone_done(struct gone *g)
{
    free(g->chains);
}

static bool plans_deletion(const struct nsh_firewall_plan *plan, const char *chain)
{
    size_t n;
    const struct nsh_firewall_op *steps = nsh_firewall_plan_steps(plan, &n);

    for (size_t i = 0; i < n; i++)
        if (steps[i].verb == NSH_CHAIN_DELETE && strcmp(steps[i].chain, chain) == 0)
            return true;
    return false;
}

/* Not wanted now, and that was told with what it depends on. */
static bool is_on_standby(const struct nsh_reconciler *r, const struct nsh_chain *gone)
{
    size_t i = nsh_chain_index_find(&r->chain_index, gone->family, gone->table, gone->name);

    return i != SIZE_MAX && r->desired->chains[i].standby;
}

static int note_gone(struct gone *g, const struct nsh_chain *chain)
{
    if (g->n == g->size) {
        size_t size = g->size > 0 ? g->size * 2 : 8;
        void *grown = reallocarray(g->chains, size, sizeof *g->chains);

        if (!grown)
            return -ENOMEM;
        g->chains = grown;
        g->size = size;
    }
    g->chains[g->n++] = *chain;
    return 0;
}

/* Its kind is known from the configuration before; else it is guessed from where it stood. */
static enum nsh_policy_kind kind_of(
        const struct nsh_reconciler *r, const struct nsh_chain *chains, size_t n)
{
    enum nsh_policy_kind kind = reconcile_kind_before(r, chains[0].policy);
    bool filter = false, mangle = false;

    for (size_t i = 0; i < n; i++) {
        filter = filter || chains[i].table == NSH_TABLE_FILTER;
        mangle = mangle || chains[i].table == NSH_TABLE_MANGLE;
    }
    if (kind != NSH_POLICY_NONE || chains[0].policy[0] == '\0')
        return kind;
    return mangle ? NSH_POLICY_SHARE : filter ? NSH_POLICY_PORT_FORWARD : NSH_POLICY_MASQUERADE;
}

static void report_stays(struct nsh_reconciler *r, struct nsh_chain *chain)
{
    struct report_args args = {
            .kind = NSH_REPORT_FAILED,
            .detail = "its chain was emptied but stays, because a foreign rule jumps to it",
    };

    if (!r->settling)
        return; /* it was said before */
    chain->kind = kind_of(r, chain, 1);
    report_chain(r, chain, &args);
}

/* What somebody put into our table. */
static void report_stray(struct nsh_reconciler *r, const char *what)
{
    struct report_args args = {.kind = NSH_REPORT_REMOVED};

    report_plain(r, "foreign", what, &args);
}

/* `still`: what would be done now. A chain that a foreign rule leads to could only be emptied. */
static int take_removed(struct nsh_reconciler *r, const struct nsh_firewall_plan *done,
        const struct nsh_firewall_plan *still, struct gone *g)
{
    size_t n;
    const struct nsh_firewall_op *steps = nsh_firewall_plan_steps(done, &n);
    int q = 0;

    for (size_t i = 0; q == 0 && i < n; i++) {
        struct nsh_chain chain = {.family = steps[i].family, .table = steps[i].table};

        /* A guest belongs to no policy. */
        if (steps[i].verb != NSH_CHAIN_DELETE ||
                (steps[i].table == NSH_TABLE_FILTER &&
                        strcmp(steps[i].chain, NSH_CHAIN_GUEST) == 0))
            continue;
        memcpy(chain.name, steps[i].chain, sizeof chain.name);
        if (strcmp(chain.name, NSH_CHAIN_CONNTRACK) != 0)
            nsh_chain_policy(chain.name, chain.policy);
        if (plans_deletion(still, chain.name))
            report_stays(r, &chain);
        else if (nsh_chain_is_stray(chain.name))
            report_stray(r, steps[i].stray);
        else if (r->settling || !is_on_standby(r, &chain))
            q = note_gone(g, &chain);
    }
    return q;
}

static int compare_gone(const void *a, const void *b)
{
    const struct nsh_chain *x = a, *y = b;
    int q = strcmp(x->policy, y->policy);

    return q != 0 ? q : x->family - y->family;
}

/*
 * A policy that is out until the next try was told of (0); one that lost a chain has changed.
 */
static int what_became(const struct nsh_reconciler *r, const struct nsh_chain *gone)
{
    size_t i = nsh_chain_index_policy(&r->chain_index, gone->family, gone->policy);
    int kind = NSH_REPORT_REMOVED;

    if (gone->policy[0] == '\0' && r->firewall_retried[nsh_family_index(gone->family)])
        return 0; /* what serves all came for the try alone */
    for (; i != SIZE_MAX; i = reconcile_next_of_policy(r, i)) {
        if (r->desired->chains[i].blocked)
            return 0;
        if (!r->desired->chains[i].standby)
            kind = NSH_REPORT_CHANGED;
    }
    return kind;
}

/* Those of one policy; `n4` of them are of IPv4 and come first. What serves all has no name. */
static void report_gone_policy(
        struct nsh_reconciler *r, struct nsh_chain *chains, size_t n4, size_t n)
{
    int told4 = n4 > 0 ? what_became(r, &chains[0]) : 0;
    int told6 = n > n4 ? what_became(r, &chains[n4]) : 0;
    struct report_args args = {.both = told4 == told6 && chains[0].policy[0] != '\0'};

    chains[0].kind = kind_of(r, chains, n);
    args.kind = (enum nsh_report_kind)told4;
    if (told4 != 0)
        report_chain(r, &chains[0], &args);
    args.kind = (enum nsh_report_kind)told6;
    if (told6 == 0 || args.both)
        return;
    chains[n4].kind = chains[0].kind;
    report_chain(r, &chains[n4], &args);
}

static void report_gone(struct nsh_reconciler *r, struct gone *g)
{
    size_t n, n4;

    if (g->n > 1)
        qsort(g->chains, g->n, sizeof *g->chains, compare_gone);
    for (size_t i = 0; i < g->n; i += n) {
        const struct nsh_chain *first = &g->chains[i];

        n4 = 0;
        for (n = 0; i + n < g->n && strcmp(first[n].policy, first->policy) == 0; n++)
            n4 += first[n].family == AF_INET;
        report_gone_policy(r, &g->chains[i], n4, n);
    }
}

/* True in *ret_any if something unwanted stands. Only looks: no lock, no new table. */
static int look_down(struct nsh_reconciler *r, bool *ret_any)
{
    int q = r->firewall->ops->open(r->firewall, NSH_FIREWALL_READ);

    *ret_any = false;
    if (q != NSH_FIREWALL_OK)
        return q < 0 ? q : 0;
    for (int f = 0; f < NSH_FAMILIES && q >= 0; f++) {
        if (reconcile_sets_unwanted(r, nsh_family_of(f)))
            *ret_any = true;
        for (int t = 0; t < NSH_TABLE_COUNT && q >= 0; t++) {
            NSH_CLEANUP(nsh_firewall_plan_freep) struct nsh_firewall_plan *plan = NULL;

            if (r->tidy[f] & (1U << t))
                continue;
            q = nsh_firewall_plan_new(r->desired, nsh_family_of(f), (enum nsh_table)t, &plan);
            if (q == 0)
                q = reconcile_look(r, plan, nsh_family_of(f), (enum nsh_table)t, NSH_PHASE_DOWN);
            *ret_any = *ret_any || q > 0;
        }
    }
    r->firewall->ops->close(r->firewall);
    return q < 0 ? q : 0;
}

static int down_table(struct nsh_reconciler *r, int family, enum nsh_table table, struct gone *g)
{
    NSH_CLEANUP(nsh_firewall_plan_freep) struct nsh_firewall_plan *plan = NULL, *still = NULL;
    char why[WHY_SIZE] = "";
    int q = nsh_firewall_plan_new(r->desired, family, table, &plan);

    if (q == 0)
        q = nsh_firewall_plan_new(r->desired, family, table, &still);
    if (q < 0)
        return q;
    /* What changed since the way up was judged there no more: it has to be, by another pass. */
    if (reconcile_uses_table(r, family, table) &&
            r->firewall->ops->changed(r->firewall, family, table) > 0)
        r->firewall_dirty[nsh_family_index(family)] = true;
    else if (r->tidy[nsh_family_index(family)] & (1U << table))
        return 0;
    q = reconcile_look(r, plan, family, table, NSH_PHASE_DOWN);
    if (q <= 0)
        return 0; /* a table that can't be read holds nothing of ours */
    q = nsh_apply_firewall_planned(
            r->firewall, plan, family, table, NSH_PHASE_DOWN, COMMIT_TRIES, why, sizeof why);
    if (q == NSH_FIREWALL_OK) {
        r->work.commits++;
        if (reconcile_look(r, still, family, table, NSH_PHASE_DOWN) >= 0)
            return take_removed(r, plan, still, g);
    } else if (q < 0) {
        struct report_args args = {.kind = NSH_REPORT_FAILED, .detail = why};

        report_plain(r, "removal of unwanted chains", family == AF_INET6 ? "ipv6" : "ipv4", &args);
    }
    return q > 0;
}

/* A share's accepts go after what it translates; its sets after all that refers to them. */
static int down_family(struct nsh_reconciler *r, int family, struct gone *g, bool *ret_again)
{
    int q = 0;

    for (size_t t = 0; t < NSH_ARRAY_SIZE(tables_down) && q >= 0; t++) {
        q = down_table(r, family, tables_down[t], g);
        *ret_again = *ret_again || q > 0;
    }
    if (q >= 0 && reconcile_sets_down(r, family) > 0)
        *ret_again = true;
    return q;
}

void reconcile_let_go(struct nsh_reconciler *r)
{
    for (int f = 0; f < NSH_FAMILIES; f++)
        if (!reconcile_has_chains(r, nsh_family_of(f)))
            reconcile_hold(r->firewall, nsh_family_of(f), false);
}

/* 0, 1: once more later (the lock is held, a set is being written), -errno. */
int reconcile_firewall_down(struct nsh_reconciler *r)
{
    NSH_CLEANUP(gone_done) struct gone g = {0};
    bool any, again = false;
    int q = look_down(r, &any);

    if (q < 0 || !any)
        return 0;
    q = r->firewall->ops->open(r->firewall, NSH_FIREWALL_WRITE);
    if (q == NSH_FIREWALL_BUSY)
        return 1;
    if (q < 0) {
        reconcile_open_failed(r, q);
        return 0;
    }
    for (int f = 0; f < NSH_FAMILIES && q >= 0; f++)
        q = down_family(r, nsh_family_of(f), &g, &again);
    r->firewall->ops->close(r->firewall);
    report_gone(r, &g);
    return q < 0 ? q : again;
}
