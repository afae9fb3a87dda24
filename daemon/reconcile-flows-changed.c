/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `flush-conntrack: changed`: a flow is translated as its first packet was for as long as it lasts.
 * When the policies change, those flows are dropped from conntrack that would be translated
 * otherwise now, so that their next packet is.
 *
 * What stood before is kept until the new policies hold and the old ones are gone; then the table
 * of flows is gone through, a piece in each pass. Should they change again meanwhile, a flow may be
 * of either time, and it begins anew with both.
 */
#include "reconcile-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/* The policies as they stand at one time. */
struct standing {
    struct nsh_desired *desired; /* a share of it */
    const struct nsh_chain **chains[NSH_FAMILIES];
    size_t n[NSH_FAMILIES];
};

/* Flows that were dropped because of one policy. */
struct dropped {
    char policy[NSH_POLICY_NAME];
    enum nsh_policy_kind kind;
    uint64_t n;
};

struct flow_changes {
    struct nsh_conntrack *conntrack;
    struct standing before[NSH_CHANGE_MAX], now;
    size_t n_before;
    bool wanted[NSH_FAMILIES];
    int family;   /* AF_UNSPEC: no search in progress */
    bool answers; /* it is for what met the deletions of one before */
    struct nsh_change change;
    struct follow_up follow_ups[NSH_FAMILIES];
    struct dropped *dropped;
    size_t n_dropped, last;
};

static void standing_done(struct standing *s)
{
    nsh_desired_free(s->desired);
    for (int f = 0; f < NSH_FAMILIES; f++)
        free(s->chains[f]);
    *s = (struct standing){0};
}

static void add_chains(struct standing *s, int f, enum nsh_position position)
{
    for (size_t i = 0; i < s->desired->n_chains; i++) {
        const struct nsh_chain *c = &s->desired->chains[i];

        if (c->family == nsh_family_of(f) && c->table == NSH_TABLE_NAT && !c->standby &&
                c->position == position)
            s->chains[f][s->n[f]++] = c;
    }
}

/* In the order in which a packet comes to them. */
static int standing_take(struct nsh_desired *d, struct standing *ret)
{
    NSH_CLEANUP(standing_done) struct standing s = {.desired = nsh_desired_share(d)};

    for (int f = 0; f < NSH_FAMILIES; f++) {
        s.chains[f] = calloc(d->n_chains + 1, sizeof(struct nsh_chain *));
        if (!s.chains[f])
            return -ENOMEM;
        add_chains(&s, f, NSH_POSITION_FIRST);
        add_chains(&s, f, NSH_POSITION_LAST);
    }
    *ret = s;
    s = (struct standing){0};
    return 0;
}

static struct nsh_translations translations_of(const struct standing *s, int f)
{
    return (struct nsh_translations){s->chains[f], s->n[f], s->desired->sets, s->desired->n_sets};
}

/* ---- what stood before ---- */

static void give_up_search(struct flow_changes *c)
{
    standing_done(&c->now);
    c->family = AF_UNSPEC;
    c->answers = false;
    c->n_dropped = c->last = 0;
}

static void forget_before(struct flow_changes *c)
{
    for (size_t i = 0; i < c->n_before; i++)
        standing_done(&c->before[i]);
    c->n_before = 0;
    memset(c->wanted, 0, sizeof c->wanted);
}

void reconcile_flows_change(struct nsh_reconciler *r, const struct nsh_settings *settings)
{
    struct flow_changes *c = r->flow_changes;

    if (!settings || settings->flush_conntrack != NSH_FLUSH_CONNTRACK_CHANGED) {
        reconcile_flow_changes_free(c);
        r->flow_changes = NULL;
        return;
    }
    if (!c)
        c = r->flow_changes = calloc(1, sizeof *c);
    if (!c || !r->desired)
        return;
    give_up_search(c);
    if (c->n_before == NSH_CHANGE_MAX)
        standing_done(&c->before[--c->n_before]);
    if (standing_take(r->desired, &c->before[c->n_before]) == 0)
        c->n_before++;
    for (int f = 0; f < NSH_FAMILIES; f++)
        c->wanted[f] = c->n_before > 0;
}

void reconcile_flow_changes_free(struct flow_changes *c)
{
    if (!c)
        return;
    give_up_search(c);
    forget_before(c);
    nsh_conntrack_free(c->conntrack);
    free(c->dropped);
    free(c);
}

/* ---- a search ---- */

/* What is wanted of NAT holds, and nothing else of it does. */
static bool policies_hold(const struct nsh_reconciler *r, int f)
{
    if (r->settling || r->unwanted_dirty || r->firewall_dirty[f] || r->lock_since != 0)
        return false;
    for (size_t i = 0; i < r->desired->n_chains; i++) {
        const struct nsh_chain *c = &r->desired->chains[i];

        if (c->family == nsh_family_of(f) && c->table == NSH_TABLE_NAT && !c->standby &&
                r->chain_states[i] != NSH_OBJECT_HELD)
            return false;
    }
    return true;
}

/* The family whose flows can be gone through now; -1: none. */
static int due_family(const struct nsh_reconciler *r, bool *ret_answers)
{
    const struct flow_changes *c = r->flow_changes;

    *ret_answers = false;
    for (int f = 0; f < NSH_FAMILIES; f++)
        if (c->wanted[f] && policies_hold(r, f))
            return f;
    *ret_answers = true;
    for (int f = 0; f < NSH_FAMILIES; f++)
        if (c->follow_ups[f].at != 0 && c->follow_ups[f].at <= reconcile_now(r))
            return f;
    return -1;
}

bool reconcile_flows_changed_due(const struct nsh_reconciler *r)
{
    bool answers;

    return r->flow_changes &&
           (r->flow_changes->family != AF_UNSPEC || due_family(r, &answers) >= 0);
}

uint64_t reconcile_flows_changed_next(const struct nsh_reconciler *r)
{
    uint64_t next = NSH_NEVER;

    for (int f = 0; r->flow_changes && f < NSH_FAMILIES; f++) {
        uint64_t at = r->flow_changes->follow_ups[f].at;

        next = at != 0 && at < next ? at : next;
    }
    return next;
}

/* False: no flow is concerned. */
static bool compare(struct flow_changes *c, int f)
{
    c->change = (struct nsh_change){.now = translations_of(&c->now, f), .n_before = c->n_before};
    for (size_t i = 0; i < c->n_before; i++)
        c->change.before[i] = translations_of(&c->before[i], f);
    return nsh_change_prepare(&c->change);
}

/* 1: there is nothing to look for. */
static int begin(struct nsh_reconciler *r, int f, bool answers)
{
    struct flow_changes *c = r->flow_changes;
    int q = 0;

    c->follow_ups[f].at = 0;
    if (!answers) {
        c->wanted[f] = false;
        c->follow_ups[f] = (struct follow_up){0};
        q = standing_take(r->desired, &c->now);
        if (q == 0 && !compare(c, f))
            return 1;
    }
    if (q == 0 && !c->conntrack)
        q = nsh_conntrack_new(&c->conntrack);
    if (q == 0)
        q = nsh_conntrack_begin_changed(c->conntrack, nsh_family_of(f));
    if (q == 0) {
        c->family = nsh_family_of(f);
        c->answers = answers;
    }
    return q;
}

static void note_dropped(void *userdata, const struct nsh_chain *whose)
{
    struct flow_changes *c = userdata;
    struct dropped *grown;
    size_t i = c->last;

    if (i >= c->n_dropped || strcmp(c->dropped[i].policy, whose->policy) != 0)
        for (i = 0; i < c->n_dropped && strcmp(c->dropped[i].policy, whose->policy) != 0;)
            i++;
    if (i == c->n_dropped) {
        grown = reallocarray(c->dropped, c->n_dropped + 1, sizeof *grown);
        if (!grown)
            return;
        c->dropped = grown;
        c->dropped[c->n_dropped++] = (struct dropped){.kind = whose->kind};
        memcpy(c->dropped[i].policy, whose->policy, sizeof whose->policy);
    }
    c->dropped[i].n++;
    c->last = i;
}

static void tell_dropped(struct nsh_reconciler *r)
{
    struct flow_changes *c = r->flow_changes;
    struct report_args args = {.kind = NSH_REPORT_DROPPED};
    uint64_t untold = 0;
    char text[96];

    for (size_t i = 0; i < c->n_dropped; i++) {
        struct nsh_chain chain = {.family = (uint8_t)c->family, .kind = c->dropped[i].kind};

        if (i >= NSH_REPORT_SINGLE_MAX) {
            untold += c->dropped[i].n;
            continue;
        }
        memcpy(chain.policy, c->dropped[i].policy, sizeof chain.policy);
        args.count = c->dropped[i].n;
        report_chain(r, &chain, &args);
    }
    if (untold == 0)
        return;
    snprintf(text, sizeof text, "dropped from conntrack for %zu more policies",
            c->n_dropped - NSH_REPORT_SINGLE_MAX);
    args = (struct report_args){.kind = NSH_REPORT_SUMMARY, .count = untold, .detail = text};
    report_plain(r, "flow", NULL, &args);
}

static void end(struct nsh_reconciler *r)
{
    struct flow_changes *c = r->flow_changes;
    int f = nsh_family_index(c->family);

    tell_dropped(r);
    if (!reconcile_follow_up(r, &c->follow_ups[f], nsh_conntrack_deleted(c->conntrack) > 0))
        nsh_conntrack_forget(c->conntrack, c->family);
    give_up_search(c);
}

static void fail(struct nsh_reconciler *r, int error)
{
    struct report_args args = {.kind = NSH_REPORT_FAILED, .detail = strerror(-error)};

    if (error != -EOPNOTSUPP)
        report_plain(r, "search for flows that are to be translated otherwise", NULL, &args);
    give_up_search(r->flow_changes);
}

void reconcile_flows_changed(struct nsh_reconciler *r)
{
    struct flow_changes *c = r->flow_changes;
    bool answers;
    int f, q = 0;

    if (!c)
        return;
    if (c->family == AF_UNSPEC) {
        f = due_family(r, &answers);
        if (f < 0)
            return;
        q = begin(r, f, answers);
    }
    if (q == 0)
        q = nsh_conntrack_step_changed(
                c->conntrack, r->fib, c->answers ? NULL : &c->change, note_dropped, c);
    else if (q > 0)
        give_up_search(c);
    if (q == 0)
        end(r);
    else if (q < 0)
        fail(r, q);
    if (c->family == AF_UNSPEC && !c->wanted[NSH_V4] && !c->wanted[NSH_V6])
        forget_before(c);
}
