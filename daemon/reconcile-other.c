/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The firewall that does not hold the policies: what is left there of ours goes, once what is
 * wanted holds where it is to be. Flows that run are kept by conntrack, whichever firewall began
 * them.
 */
#include "reconcile-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apply.h"
#include "cleanup.h"

#define COMMIT_TRIES 8

NSH_DEFINE_CLEANUP(struct nsh_firewall_plan *, nsh_firewall_plan_free)

void nsh_reconciler_use(
        struct nsh_reconciler *r, struct nsh_firewall *firewall, struct nsh_firewall *other)
{
    bool moved = r->firewall != firewall;

    if (moved)
        reconcile_drop_set_work(r);
    r->firewall = firewall;
    r->other = other;
    r->other_dirty = other != NULL;
    if (!moved || !r->desired)
        return;
    for (size_t i = 0; i < r->desired->n_chains; i++)
        if (!r->desired->chains[i].standby)
            r->chain_states[i] = NSH_OBJECT_UNKNOWN;
    for (size_t i = 0; i < r->desired->n_sets; i++)
        r->set_marks[i] = (struct set_mark){
                .state = r->set_marks[i].state == NSH_OBJECT_STANDBY ? NSH_OBJECT_STANDBY
                                                                     : NSH_OBJECT_UNKNOWN,
                .before = SIZE_MAX,
        };
    r->settling = true; /* what is written now is no repair */
    r->occasion = NSH_OCCASION_RELOAD;
    reconcile_mark_everything(r);
}

static int observe(void *userdata, const struct nsh_chain_seen *seen)
{
    return nsh_firewall_plan_observe(userdata, seen);
}

static int note_any(void *userdata, const char *name)
{
    (void)name;
    *(bool *)userdata = true;
    return 0;
}

/* What has been taken away there, to be told. */
struct cleared {
    bool rules;              /* of policies, or sets */
    bool jump[NSH_FAMILIES]; /* in a chain of others */
};

static void note_step(struct cleared *c, const struct nsh_firewall_op *step)
{
    if (step->table == NSH_TABLE_FILTER && strcmp(step->chain, NSH_CHAIN_GUEST) == 0)
        c->jump[nsh_family_index(step->family)] = true;
    else
        c->rules = true;
}

/* But for a chain of ours that is a guest there. */
static bool table_holds_ours(
        struct nsh_reconciler *r, int family, enum nsh_table table, struct cleared *to)
{
    const struct nsh_firewall_op *steps = NULL;
    struct nsh_firewall *fw = r->other;
    NSH_CLEANUP(nsh_firewall_plan_freep) struct nsh_firewall_plan *plan = NULL;
    size_t n = 0;

    if (nsh_firewall_plan_new(&r->guests.desired, family, table, &plan) < 0)
        return false;
    nsh_firewall_plan_begin(plan);
    if (fw->ops->observe(fw, family, table, observe, plan) == 0 &&
            nsh_firewall_plan_finish(plan, NSH_PHASE_DOWN) == 0)
        steps = nsh_firewall_plan_steps(plan, &n);
    for (size_t i = 0; i < n; i++)
        note_step(to, &steps[i]);
    return n > 0;
}

/* Only looks: nothing comes into use by it. */
static bool holds_ours(struct nsh_reconciler *r)
{
    struct nsh_firewall *fw = r->other;
    struct cleared unused = {0};
    bool any = false;

    if (fw->ops->open(fw, NSH_FIREWALL_READ) != NSH_FIREWALL_OK)
        return false;
    for (int f = 0; f < NSH_FAMILIES; f++) {
        for (int t = 0; t < NSH_TABLE_COUNT && !any; t++)
            any = table_holds_ours(r, nsh_family_of(f), (enum nsh_table)t, &unused);
        if (!any && fw->ops->sets &&
                fw->ops->sets(fw, nsh_family_of(f), note_any, &any) == -EINPROGRESS)
            any = true;
    }
    fw->ops->close(fw);
    return any;
}

/* 0, 1: somebody wrote in between; -errno with words. */
static int clear_table(
        struct nsh_reconciler *r, int family, enum nsh_table table, char *why, size_t size)
{
    NSH_CLEANUP(nsh_firewall_plan_freep) struct nsh_firewall_plan *plan = NULL;
    int q = nsh_firewall_plan_new(&r->guests.desired, family, table, &plan);

    if (q == 0)
        q = nsh_apply_firewall(
                r->other, plan, family, table, NSH_PHASE_DOWN, COMMIT_TRIES, why, size);
    return q;
}

/* In a session. */
static int clear_all(struct nsh_reconciler *r, struct cleared *to, char *why, size_t size)
{
    static const enum nsh_table tables[] = {
            NSH_TABLE_MANGLE, NSH_TABLE_NAT, NSH_TABLE_FILTER, NSH_TABLE_RAW};
    int worst = 0;

    for (int f = 0; f < NSH_FAMILIES; f++) {
        for (size_t t = 0; t < NSH_ARRAY_SIZE(tables); t++) {
            int q = 0;

            if (table_holds_ours(r, nsh_family_of(f), tables[t], to))
                q = clear_table(r, nsh_family_of(f), tables[t], why, size);
            worst = q != 0 ? q : worst;
        }
        if (reconcile_sets_clear(r->other, nsh_family_of(f)) > 0)
            worst = 1;
    }
    return worst;
}

/* All that is wanted of packet rules holds, or nothing of it is wanted. */
static bool holds_here(const struct nsh_reconciler *r)
{
    for (int f = 0; f < NSH_FAMILIES; f++)
        if (r->firewall_dirty[f] || r->firewall_again[f] != 0 || r->firewall_wait[f] != 0)
            return false;
    for (size_t i = 0; i < r->desired->n_chains; i++)
        if (!r->desired->chains[i].standby && r->desired->chains[i].policy[0] != '\0' &&
                r->chain_states[i] != NSH_OBJECT_HELD)
            return false;
    return !r->sets_urgent;
}

static void other_is_clear(struct nsh_reconciler *r)
{
    r->other_dirty = false;
    for (int f = 0; f < NSH_FAMILIES; f++)
        reconcile_hold(r->other, nsh_family_of(f), false);
}

/* Of a jump alone, which and why; where rules of policies went, it went with them. */
static void tell_cleared(struct nsh_reconciler *r, const struct cleared *c)
{
    struct report_args args = {.kind = NSH_REPORT_REMOVED};

    if (c->rules || (!c->jump[NSH_V4] && !c->jump[NSH_V6])) {
        report_plain(r, "rules of netshared in", r->other->ops->name, &args);
        return;
    }
    args.detail = "no policy needs it";
    for (int f = 0; f < NSH_FAMILIES; f++)
        if (c->jump[f])
            report_plain(r, "jump in", reconcile_place_in_iptables(nsh_family_of(f)), &args);
}

int reconcile_other_down(struct nsh_reconciler *r)
{
    struct report_args args = {.kind = NSH_REPORT_FAILED};
    struct cleared cleared = {0};
    char why[256] = "";
    int q;

    if (!r->other_dirty || !holds_here(r))
        return 0;
    if (!holds_ours(r)) {
        other_is_clear(r);
        return 0;
    }
    q = r->other->ops->open(r->other, NSH_FIREWALL_WRITE);
    if (q == NSH_FIREWALL_BUSY)
        return 1;
    if (q == NSH_FIREWALL_OK) {
        q = clear_all(r, &cleared, why, sizeof why);
        r->other->ops->close(r->other);
    }
    if (q > 0)
        return 1;
    other_is_clear(r);
    if (q == 0) {
        tell_cleared(r, &cleared);
        return 0;
    }
    args.detail = why[0] ? why : strerror(-q);
    report_plain(r, "removal of our rules in", r->other->ops->name, &args);
    return 0;
}
