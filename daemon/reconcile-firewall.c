/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packet rules: one session under the lock for everything on the way up, another for what goes.
 *
 * The object of a fight is a family's table, not a policy: what undoes one, a flush or a restore
 * of the whole table, undoes all, and a table is committed as a whole.
 */
#include "reconcile-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "apply.h"
#include "cleanup.h"

#define COMMIT_TRIES 8
#define WHY_SIZE 512
#define FAILURE_RETRY_USEC 1000000ULL

/*
 * The inert conntrack chain first: connections are tracked before the first one is translated. What
 * filters comes before what opens.
 */
static const enum nsh_table tables_up[] = {
        NSH_TABLE_RAW, NSH_TABLE_FILTER, NSH_TABLE_NAT, NSH_TABLE_MANGLE};

NSH_DEFINE_CLEANUP(struct nsh_firewall_plan *, nsh_firewall_plan_free)

bool reconcile_has_chains(const struct nsh_reconciler *r, int family)
{
    for (size_t i = 0; i < r->desired->n_chains; i++)
        if (r->desired->chains[i].family == family && !r->desired->chains[i].standby)
            return true;
    return false;
}

static bool in_table(const struct nsh_chain *c, int family, enum nsh_table table)
{
    return c->family == family && c->table == table && !c->standby;
}

bool reconcile_uses_table(const struct nsh_reconciler *r, int family, enum nsh_table table)
{
    for (size_t i = 0; i < r->desired->n_chains; i++)
        if (in_table(&r->desired->chains[i], family, table))
            return true;
    return false;
}

static nsh_object_id table_id(int family, enum nsh_table table)
{
    return NSH_OBJECT_TABLE + (unsigned)nsh_family_index(family) * NSH_TABLE_COUNT + table;
}

static void table_failed(
        struct nsh_reconciler *r, int family, enum nsh_table table, const char *why)
{
    r->firewall_again[nsh_family_index(family)] = reconcile_now(r) + FAILURE_RETRY_USEC;
    for (size_t i = 0; i < r->desired->n_chains; i++) {
        const struct nsh_chain *c = &r->desired->chains[i];
        struct report_args args = {.kind = NSH_REPORT_FAILED, .detail = why};
        bool news;

        if (!in_table(c, family, table))
            continue;
        news = nsh_notes_set_reason(r->notes, NSH_OBJECT_CHAIN + i, why) != 0;
        if (r->chain_states[i] != NSH_OBJECT_WRONG || news)
            report_chain(r, c, &args);
        r->chain_states[i] = NSH_OBJECT_WRONG;
    }
}

static void chain_mended(struct nsh_reconciler *r, const struct nsh_firewall_plan *plan, size_t i)
{
    const struct nsh_chain *c = &r->desired->chains[i];
    const char *reason = nsh_firewall_plan_reason(plan, i);
    enum nsh_object_state before = r->chain_states[i];
    bool drift = !r->settling && (before == NSH_OBJECT_HELD || before == NSH_OBJECT_WRONG);
    struct report_args args = {
            .kind = drift                            ? NSH_REPORT_RESTORED
                    : strcmp(reason, "missing") == 0 ? NSH_REPORT_ADDED
                                                     : NSH_REPORT_CHANGED,
            .cause = drift ? reason : NULL,
            .detail = drift && strcmp(r->account.trigger.text, "resync") == 0
                              ? r->account.trigger.text
                              : NULL,
    };

    if (drift)
        reconcile_repaired(r, NSH_OBJECT_CHAIN + i);
    if (c->table == NSH_TABLE_NAT &&
            (drift || (r->settling && r->occasion == NSH_OCCASION_START && r->earlier_run)))
        reconcile_flows_want(r, nsh_family_index(c->family));
    /* Back from standby: told with what it depends on. Flows that began before it are to go. */
    if (before == NSH_OBJECT_STANDBY && !r->settling) {
        if (c->table == NSH_TABLE_NAT)
            reconcile_flows_want(r, nsh_family_index(c->family));
        return;
    }
    report_chain(r, c, &args);
}

/* Nothing is touched but what is back from standby: that is no drift. */
static bool is_own_change(const struct nsh_reconciler *r, const struct nsh_firewall_plan *plan,
        int family, enum nsh_table table)
{
    for (size_t i = 0; i < r->desired->n_chains; i++)
        if (in_table(&r->desired->chains[i], family, table) && nsh_firewall_plan_touches(plan, i) &&
                r->chain_states[i] != NSH_OBJECT_STANDBY)
            return false;
    return true;
}

static void table_done(struct nsh_reconciler *r, const struct nsh_firewall_plan *plan, int family,
        enum nsh_table table, bool wrote)
{
    if (wrote && !r->settling && !is_own_change(r, plan, family, table))
        reconcile_repaired(r, table_id(family, table));
    for (size_t i = 0; i < r->desired->n_chains; i++) {
        if (!in_table(&r->desired->chains[i], family, table))
            continue;
        if (wrote && nsh_firewall_plan_touches(plan, i))
            chain_mended(r, plan, i);
        r->chain_states[i] = NSH_OBJECT_HELD;
        nsh_notes_set_reason(r->notes, NSH_OBJECT_CHAIN + i, NULL);
    }
}

static int observe(void *userdata, const struct nsh_chain_seen *seen)
{
    return nsh_firewall_plan_observe(userdata, seen);
}

/* What is to be done in one table, without doing it. Number of steps or -errno. */
static int look(struct nsh_reconciler *r, struct nsh_firewall_plan *plan, int family,
        enum nsh_table table, enum nsh_firewall_phase phase)
{
    size_t n;
    int q;

    nsh_firewall_plan_begin(plan);
    q = r->firewall->ops->observe(r->firewall, family, table, observe, plan);
    if (q == 0)
        q = nsh_firewall_plan_finish(plan, phase);
    if (q < 0)
        return q;
    nsh_firewall_plan_steps(plan, &n);
    return n > 0;
}

/* Drift found in a table: true if it has to wait. */
static bool hold_back(struct nsh_reconciler *r, const struct nsh_firewall_plan *plan, int family,
        enum nsh_table table)
{
    nsh_object_id id = table_id(family, table);
    uint64_t until;
    bool fight;
    char text[96];

    if (r->settling || is_own_change(r, plan, family, table) ||
            reconcile_may_repair(r, id, &until, &fight))
        return false;
    r->firewall_wait[nsh_family_index(family)] = until;
    reconcile_fight_text(r, id, text, sizeof text);
    for (size_t i = 0; i < r->desired->n_chains; i++) {
        struct report_args args = {.kind = NSH_REPORT_FIGHT, .detail = text};

        if (!in_table(&r->desired->chains[i], family, table) || !nsh_firewall_plan_touches(plan, i))
            continue;
        r->chain_states[i] = NSH_OBJECT_WRONG;
        nsh_notes_set_reason(
                r->notes, NSH_OBJECT_CHAIN + i, "something keeps undoing the repair; backing off");
        if (fight)
            report_chain(r, &r->desired->chains[i], &args);
    }
    return true;
}

/* One table on the way up. 1: holds; 0: does not (the states say why); -errno: no memory. */
static int up_table(struct nsh_reconciler *r, int family, enum nsh_table table, bool *ret_raced)
{
    NSH_CLEANUP(nsh_firewall_plan_freep) struct nsh_firewall_plan *plan = NULL;
    char why[WHY_SIZE] = "";
    int q = nsh_firewall_plan_new(r->desired, family, table, &plan);

    if (q < 0)
        return q;
    q = look(r, plan, family, table, NSH_PHASE_UP);
    if (q < 0) {
        table_failed(r, family, table, strerror(-q));
        return 0;
    }
    if (q == 0) {
        table_done(r, plan, family, table, false);
        return 1;
    }
    if (hold_back(r, plan, family, table))
        return 0;
    r->work.commits++;
    q = nsh_apply_firewall(
            r->firewall, plan, family, table, NSH_PHASE_UP, COMMIT_TRIES, why, sizeof why);
    if (q == NSH_FIREWALL_OK) {
        table_done(r, plan, family, table, true);
        return 1;
    }
    if (q < 0)
        table_failed(r, family, table, why[0] ? why : strerror(-q));
    else
        *ret_raced = true;
    return 0;
}

static int up_family(struct nsh_reconciler *r, int family)
{
    int f = nsh_family_index(family);
    bool raced = false;
    int q = 0;

    r->firewall_ready[f] = true;
    for (size_t t = 0; t < NSH_ARRAY_SIZE(tables_up); t++) {
        if (!reconcile_uses_table(r, family, tables_up[t]))
            continue;
        q = up_table(r, family, tables_up[t], &raced);
        if (q < 0)
            return q;
        /* Without the conntrack chain a policy still holds. */
        if (tables_up[t] != NSH_TABLE_RAW && q == 0)
            r->firewall_ready[f] = false;
    }
    r->firewall_dirty[f] = raced || r->firewall_wait[f] > reconcile_now(r);
    if (raced)
        reconcile_retry_at(r, reconcile_now(r) + 10000);
    r->forwarding_dirty = r->forwarding_dirty || r->firewall_ready[f];
    return 0;
}

static bool family_can(struct nsh_reconciler *r, int family)
{
    for (size_t t = 0; t < NSH_ARRAY_SIZE(tables_up); t++) {
        char why[WHY_SIZE] = "";
        int q;

        if (!reconcile_uses_table(r, family, tables_up[t]))
            continue;
        q = r->firewall->ops->probe(r->firewall, family, tables_up[t], why, sizeof why);
        if (q == 0)
            continue;
        table_failed(r, family, NSH_TABLE_NAT, why[0] ? why : strerror(-q));
        return false;
    }
    return true;
}

static void open_failed(struct nsh_reconciler *r, int error)
{
    char why[WHY_SIZE];

    snprintf(why, sizeof why, "cannot take the xtables lock: %s", strerror(-error));
    for (int f = 0; f < NSH_FAMILIES; f++) {
        table_failed(r, nsh_family_of(f), NSH_TABLE_NAT, why);
        r->firewall_ready[f] = false;
    }
}

/* Something changed, and what can't be seen before the lock is free: no more "held" until then. */
static void waiting_for_lock(struct nsh_reconciler *r)
{
    for (size_t i = 0; i < r->desired->n_chains; i++) {
        if (r->desired->chains[i].standby ||
                !r->firewall_dirty[nsh_family_index(r->desired->chains[i].family)])
            continue;
        if (r->chain_states[i] == NSH_OBJECT_HELD)
            r->chain_states[i] = NSH_OBJECT_WRONG;
        nsh_notes_set_reason(r->notes, NSH_OBJECT_CHAIN + i,
                "the table may have changed; another program holds the xtables lock");
    }
}

int reconcile_firewall_up(struct nsh_reconciler *r, bool *ret_wait)
{
    uint64_t now = reconcile_now(r);
    bool opened = false;
    int q = 0;

    *ret_wait = false;
    for (int f = 0; f < NSH_FAMILIES; f++) {
        if (r->firewall_wait[f] <= now)
            r->firewall_wait[f] = 0;
        if (r->firewall_again[f] != 0 && r->firewall_again[f] <= now)
            r->firewall_dirty[f] = true;
        if (r->firewall_dirty[f])
            r->firewall_again[f] = 0;
    }
    for (int f = 0; f < NSH_FAMILIES && q >= 0; f++) {
        int family = nsh_family_of(f);

        if (!r->firewall_dirty[f] || r->firewall_wait[f] > now)
            continue;
        if (!reconcile_has_chains(r, family) || !family_can(r, family)) {
            r->firewall_ready[f] = false;
            r->firewall_dirty[f] = false; /* a kernel that can't will not learn it by itself */
            r->firewall_again[f] = 0;
            continue;
        }
        if (!opened) {
            q = r->firewall->ops->open(r->firewall, NSH_FIREWALL_WRITE);
            if (q == NSH_FIREWALL_BUSY) {
                waiting_for_lock(r);
                *ret_wait = true;
                return 0;
            }
            if (q < 0) {
                open_failed(r, q);
                r->firewall_dirty[NSH_V4] = r->firewall_dirty[NSH_V6] = false;
                return 0;
            }
            opened = true;
        }
        q = up_family(r, family);
    }
    if (opened)
        r->firewall->ops->close(r->firewall);
    return q < 0 ? q : 0;
}

/* ---- down ---- */

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
    for (size_t i = 0; i < r->desired->n_chains; i++) {
        const struct nsh_chain *c = &r->desired->chains[i];

        if (c->standby && c->family == gone->family && c->table == gone->table &&
                strcmp(c->name, gone->name) == 0)
            return true;
    }
    return false;
}

/* `still`: what would be done now. A chain that a foreign rule leads to could only be emptied. */
static void report_removed(struct nsh_reconciler *r, const struct nsh_firewall_plan *done,
        const struct nsh_firewall_plan *still)
{
    size_t n;
    const struct nsh_firewall_op *steps = nsh_firewall_plan_steps(done, &n);

    for (size_t i = 0; i < n; i++) {
        struct nsh_chain gone = {.family = steps[i].family, .table = steps[i].table};
        struct report_args args = {.kind = NSH_REPORT_REMOVED};

        if (steps[i].verb != NSH_CHAIN_DELETE)
            continue;
        if (plans_deletion(still, steps[i].chain)) {
            if (!r->settling)
                continue; /* said before */
            args.kind = NSH_REPORT_FAILED;
            args.detail = "its chain was emptied but stays, because a foreign rule jumps to it";
        }
        memcpy(gone.name, steps[i].chain, sizeof gone.name);
        if (gone.table == NSH_TABLE_NAT)
            snprintf(
                    gone.policy, sizeof gone.policy, "%.16s", gone.name + strlen(NSH_CHAIN_PREFIX));
        if (args.kind == NSH_REPORT_REMOVED && !r->settling && is_on_standby(r, &gone))
            continue;
        report_chain(r, &gone, &args);
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
        for (int t = 0; t < NSH_TABLE_COUNT && q >= 0; t++) {
            NSH_CLEANUP(nsh_firewall_plan_freep) struct nsh_firewall_plan *plan = NULL;

            q = nsh_firewall_plan_new(r->desired, nsh_family_of(f), (enum nsh_table)t, &plan);
            if (q == 0)
                q = look(r, plan, nsh_family_of(f), (enum nsh_table)t, NSH_PHASE_DOWN);
            *ret_any = *ret_any || q > 0;
        }
    }
    r->firewall->ops->close(r->firewall);
    return q < 0 ? q : 0;
}

static int down_table(struct nsh_reconciler *r, int family, enum nsh_table table)
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
    q = look(r, plan, family, table, NSH_PHASE_DOWN);
    if (q <= 0)
        return 0; /* a table that can't be read holds nothing of ours */
    r->work.commits++;
    q = nsh_apply_firewall(
            r->firewall, plan, family, table, NSH_PHASE_DOWN, COMMIT_TRIES, why, sizeof why);
    if (q == NSH_FIREWALL_OK) {
        if (look(r, still, family, table, NSH_PHASE_DOWN) >= 0)
            report_removed(r, plan, still);
    } else if (q < 0) {
        struct report_args args = {.kind = NSH_REPORT_FAILED, .detail = why};

        report_plain(r, "removal of unwanted chains", family == AF_INET6 ? "ipv6" : "ipv4", &args);
    }
    return q > 0;
}

/* 0, 1: once more later (the lock is held), -errno. NAT first, then what kept conntrack in use. */
int reconcile_firewall_down(struct nsh_reconciler *r)
{
    bool any, again = false;
    int q = look_down(r, &any);

    if (q < 0 || !any)
        return 0;
    q = r->firewall->ops->open(r->firewall, NSH_FIREWALL_WRITE);
    if (q == NSH_FIREWALL_BUSY)
        return 1;
    if (q < 0) {
        open_failed(r, q);
        return 0;
    }
    for (int f = 0; f < NSH_FAMILIES && q >= 0; f++) {
        for (int t = 0; t < NSH_TABLE_COUNT && q >= 0; t++) {
            q = down_table(r, nsh_family_of(f), (enum nsh_table)t);
            again = again || q > 0;
        }
    }
    r->firewall->ops->close(r->firewall);
    return q < 0 ? q : again;
}
