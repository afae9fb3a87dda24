/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packet rules on the way up: one session under the lock for all of them.
 */
#include "reconcile-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "apply.h"
#include "cleanup.h"

#define COMMIT_TRIES 8
#define WHY_SIZE 512
/* A failure is tried again after that, and each further one after twice as long, 64 s at last. */
#define FAILURE_RETRY_USEC 1000000ULL
#define FAILURES_MAX 6

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

/* Of a policy's chains in one table the first one is told of. */
static bool is_first_in_table(const struct nsh_reconciler *r, size_t chain)
{
    const struct nsh_chain *chains = r->desired->chains;

    for (size_t i = chain; i-- > 0 && strcmp(chains[i].policy, chains[chain].policy) == 0;)
        if (in_table(&chains[i], chains[chain].family, chains[chain].table))
            return false;
    return true;
}

/* Once while it fails in the same way; `table` NSH_TABLE_COUNT: all policies of the family. */
static void table_failed(
        struct nsh_reconciler *r, int family, enum nsh_table table, const char *why)
{
    reconcile_failed(r, nsh_family_index(family));
    for (size_t i = 0; i < r->desired->n_chains; i++) {
        const struct nsh_chain *c = &r->desired->chains[i];
        struct report_args args = {.kind = NSH_REPORT_FAILED, .detail = why};
        bool all = table == NSH_TABLE_COUNT;
        bool news;

        if (!in_table(c, family, all ? c->table : table) || c->blocked ||
                (all && c->policy[0] == '\0'))
            continue;
        news = nsh_notes_set_reason(r->notes, NSH_OBJECT_CHAIN + i, why) != 0;
        if ((r->chain_states[i] != NSH_OBJECT_WRONG || news) &&
                (all ? reconcile_is_lead(r, i) : is_first_in_table(r, i)))
            report_chain(r, c, &args);
        r->chain_states[i] = NSH_OBJECT_WRONG;
    }
}

static void chain_mended(struct nsh_reconciler *r, const struct nsh_firewall_plan *plan, size_t i)
{
    struct nsh_chain *c = &r->desired->chains[i];
    const char *reason = nsh_firewall_plan_reason(plan, i);
    enum nsh_object_state before = r->chain_states[i];
    bool drift = !r->settling && (before == NSH_OBJECT_HELD || before == NSH_OBJECT_WRONG);
    bool gap = drift || (r->settling && r->occasion == NSH_OCCASION_START && r->earlier_run) ||
               (before == NSH_OBJECT_STANDBY && !r->settling);

    c->altered = c->altered || r->settling;
    /* Flows that began while it was away are to go, whatever it was away for. */
    if (gap && c->table == NSH_TABLE_NAT)
        reconcile_flows_want(r, nsh_family_index(c->family));
    if (drift) {
        reconcile_repaired(r, NSH_OBJECT_CHAIN + i, r->firewall_culprit, r->firewall_culprit_pid);
        reconcile_note_drift(r, i, NSH_REPORT_RESTORED, reason);
    } else if (before != NSH_OBJECT_STANDBY || r->settling) {
        /* Back from standby is told with what it depends on. */
        reconcile_note_news(r, i,
                strcmp(reason, "missing") == 0 || before == NSH_OBJECT_PENDING
                        ? NSH_REPORT_ADDED
                        : NSH_REPORT_CHANGED);
    }
}

/*
 * Who changed the family's rules, as far as it is certain. What no look has told of before can't be
 * laid at the door of whom the last look told of.
 */
void reconcile_look_for_culprit(struct nsh_reconciler *r, int family)
{
    struct nsh_firewall_culprit who;

    r->firewall_culprit[0] = '\0';
    r->firewall_culprit_pid = 0;
    if (r->settling || !r->firewall_told[nsh_family_index(family)] || !r->firewall->ops->culprit ||
            !r->firewall->ops->culprit(r->firewall, &who) ||
            !nsh_culprit_confirm(who.pid, who.name, r->firewall_culprit))
        return;
    r->firewall_culprit_pid = (pid_t)who.pid;
}

/* Its policy is pending as before. */
static void guard_mended(struct nsh_reconciler *r, const struct nsh_firewall_plan *plan, size_t i)
{
    if (r->desired->chains[i].guarded && !r->settling && nsh_firewall_plan_touches(plan, i)) {
        reconcile_repaired(r, NSH_OBJECT_CHAIN + i, r->firewall_culprit, r->firewall_culprit_pid);
        reconcile_note_drift(r, i, NSH_REPORT_RESTORED, nsh_firewall_plan_reason(plan, i));
    }
    r->desired->chains[i].guarded = true;
}

static void table_done(struct nsh_reconciler *r, const struct nsh_firewall_plan *plan, int family,
        enum nsh_table table, bool wrote)
{
    if (wrote && !r->settling && !reconcile_touches_some(r, plan, family, table))
        reconcile_repaired(
                r, reconcile_table_id(family, table), r->firewall_culprit, r->firewall_culprit_pid);
    for (size_t i = 0; i < r->desired->n_chains; i++) {
        if (!in_table(&r->desired->chains[i], family, table))
            continue;
        if (r->desired->chains[i].blocked) {
            guard_mended(r, plan, i);
            continue;
        }
        if (wrote && nsh_firewall_plan_touches(plan, i))
            chain_mended(r, plan, i);
        r->chain_states[i] = NSH_OBJECT_HELD;
        r->desired->chains[i].was_first = r->desired->chains[i].guarded = false;
        if (!(r->chain_news[i] & CHAIN_RETRIED)) /* else when all of its policy has come about */
            nsh_notes_set_reason(r->notes, NSH_OBJECT_CHAIN + i, NULL);
        if (!r->firewall->ops->ahead)
            reconcile_ahead_take(r, i, nsh_firewall_plan_ahead(plan, i));
    }
    r->ahead_dirty = r->ahead_dirty || wrote;
}

static int observe(void *userdata, const struct nsh_chain_seen *seen)
{
    return nsh_firewall_plan_observe(userdata, seen);
}

int reconcile_look(struct nsh_reconciler *r, struct nsh_firewall_plan *plan, int family,
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

/* What the plan has seen is all that is wanted: the way down need not look there in this pass. */
static void note_tidy(
        struct nsh_reconciler *r, struct nsh_firewall_plan *plan, int family, enum nsh_table table)
{
    size_t n = 1;

    if (nsh_firewall_plan_finish(plan, NSH_PHASE_DOWN) == 0)
        nsh_firewall_plan_steps(plan, &n);
    if (n == 0)
        r->tidy[nsh_family_index(family)] |= (uint8_t)(1U << table);
}

/* One look shows them all, and after a commit it would take another. */
static void look_at_the_rest(struct nsh_reconciler *r, int family)
{
    for (int t = 0; t < NSH_TABLE_COUNT; t++) {
        NSH_CLEANUP(nsh_firewall_plan_freep) struct nsh_firewall_plan *plan = NULL;

        if (reconcile_uses_table(r, family, (enum nsh_table)t) ||
                nsh_firewall_plan_new(r->desired, family, (enum nsh_table)t, &plan) < 0)
            continue;
        if (reconcile_look(r, plan, family, (enum nsh_table)t, NSH_PHASE_DOWN) == 0)
            note_tidy(r, plan, family, (enum nsh_table)t);
    }
}

/*
 * What is tried again takes the place of its guard, and what was wrong with that would not be seen
 * any more.
 */
static void look_at_guards(struct nsh_reconciler *r, int family, enum nsh_table table)
{
    NSH_CLEANUP(nsh_firewall_plan_freep) struct nsh_firewall_plan *plan = NULL;
    struct nsh_chain *chains = r->desired->chains;
    bool any = false;

    for (size_t i = 0; i < r->desired->n_chains; i++)
        if (in_table(&chains[i], family, table) && chains[i].guarded && !chains[i].blocked) {
            chains[i].rules = chains[i].guard;
            any = true;
        }
    if (!any)
        return;
    if (!r->settling && nsh_firewall_plan_new(r->desired, family, table, &plan) == 0 &&
            reconcile_look(r, plan, family, table, NSH_PHASE_UP) > 0)
        reconcile_look_for_culprit(r, family);
    for (size_t i = 0; i < r->desired->n_chains; i++) {
        if (!in_table(&chains[i], family, table) || !chains[i].guarded || chains[i].blocked)
            continue;
        chains[i].rules = chains[i].whole;
        if (plan)
            guard_mended(r, plan, i);
    }
}

/*
 * One table on the way up. 1: holds; 0: not now (the states say why); -errno with `ret_why`, of
 * which nothing was told yet.
 */
static int try_table(struct nsh_reconciler *r, int family, enum nsh_table table, bool *ret_raced,
        char *ret_why, size_t size)
{
    NSH_CLEANUP(nsh_firewall_plan_freep) struct nsh_firewall_plan *plan = NULL;
    int q = nsh_firewall_plan_new(r->desired, family, table, &plan);

    ret_why[0] = '\0';
    if (q == 0)
        q = reconcile_look(r, plan, family, table, NSH_PHASE_UP);
    if (q > 0 && reconcile_hold_back(r, plan, family, table))
        return 0;
    if (q > 0) {
        look_at_guards(r, family, table);
        q = nsh_apply_firewall_planned(
                r->firewall, plan, family, table, NSH_PHASE_UP, COMMIT_TRIES, ret_why, size);
        if (q == NSH_FIREWALL_OK) {
            r->work.commits++;
            reconcile_look_for_culprit(r, family);
            table_done(r, plan, family, table, true);
            note_tidy(r, plan, family, table);
            return 1;
        }
        *ret_raced = *ret_raced || q > 0;
    } else if (q == 0) {
        table_done(r, plan, family, table, false);
        note_tidy(r, plan, family, table);
        return 1;
    }
    if (q < 0 && ret_why[0] == '\0')
        snprintf(ret_why, size, "%s", strerror(-q));
    return q < 0 ? q : 0;
}

/* Why a policy is blocked: a step of it, and what became of that. */
static void block(struct nsh_reconciler *r, size_t chain, const char *why)
{
    char text[WHY_SIZE + 32];

    snprintf(text, sizeof text, "its %s rules: %s", nsh_table_name(r->desired->chains[chain].table),
            why);
    reconcile_block(r, chain, text);
    if (r->desired->chains[chain].table == NSH_TABLE_FILTER)
        reconcile_strip(r, chain);
    reconcile_failed(r, nsh_family_index(r->desired->chains[chain].family));
}

static bool may_block(const struct nsh_reconciler *r, size_t i, int family, enum nsh_table table)
{
    return in_table(&r->desired->chains[i], family, table) && reconcile_may_block(r, i);
}

/* No rule of this table can be had. */
static void table_unusable(
        struct nsh_reconciler *r, int family, enum nsh_table table, const char *why)
{
    for (size_t i = 0; i < r->desired->n_chains; i++)
        if (may_block(r, i, family, table))
            block(r, i, why);
    table_failed(r, family, table, why);
}

/*
 * A commit failed, and it may be for a policy that comes as a whole or not at all: the table
 * without these, and then with each of them.
 */
static int split_table(struct nsh_reconciler *r, int family, enum nsh_table table, bool *ret_raced,
        char *why, size_t size)
{
    nsh_autofree bool *left_out = calloc(r->desired->n_chains + 1, sizeof *left_out);
    int q = -ENOMEM, one;

    for (size_t i = 0; left_out && i < r->desired->n_chains; i++) {
        left_out[i] = may_block(r, i, family, table);
        if (left_out[i]) {
            reconcile_set_blocked(r, i, true);
            reconcile_strip(r, i);
        }
    }
    if (left_out)
        q = reconcile_uses_table(r, family, table)
                    ? try_table(r, family, table, ret_raced, why, size)
                    : 1;
    if (q < 0)
        table_failed(r, family, table, why);
    for (size_t i = 0; left_out && i < r->desired->n_chains; i++) {
        if (!left_out[i])
            continue;
        reconcile_set_blocked(r, i, false);
        one = try_table(r, family, table, ret_raced, why, size);
        if (one < 0)
            block(r, i, why);
        else if (one == 0)
            q = 0;
    }
    return q;
}

/* Guards are the first to be given up. True if there are any. */
static bool strip_guards(struct nsh_reconciler *r, int family, enum nsh_table table)
{
    bool any = false;

    for (size_t i = 0; i < r->desired->n_chains; i++)
        if (in_table(&r->desired->chains[i], family, table) &&
                nsh_chain_guards(&r->desired->chains[i])) {
            reconcile_strip(r, i);
            any = true;
        }
    if (any)
        reconcile_failed(r, nsh_family_index(family));
    return any;
}

/* 1: holds, as far as it is wanted now. */
static int up_table(struct nsh_reconciler *r, int family, enum nsh_table table, bool *ret_raced)
{
    char why[WHY_SIZE];
    int q = try_table(r, family, table, ret_raced, why, sizeof why);

    if (q < 0 && strip_guards(r, family, table))
        q = reconcile_uses_table(r, family, table)
                    ? try_table(r, family, table, ret_raced, why, sizeof why)
                    : 1;
    for (size_t i = 0; q < 0 && i < r->desired->n_chains; i++)
        if (may_block(r, i, family, table))
            return split_table(r, family, table, ret_raced, why, sizeof why);
    if (q < 0)
        table_failed(r, family, table, why);
    return q;
}

static void up_family(struct nsh_reconciler *r, int family)
{
    int f = nsh_family_index(family), q;
    bool raced = false;

    r->firewall_ready[f] = true;
    r->guards_dirty[f] = false;
    if (r->unwanted_dirty && r->firewall->ops->one_look)
        look_at_the_rest(r, family);
    for (size_t t = 0; t < NSH_ARRAY_SIZE(tables_up); t++) {
        if (!reconcile_uses_table(r, family, tables_up[t]))
            continue;
        /* Without the conntrack chain a policy still holds. */
        q = up_table(r, family, tables_up[t], &raced);
        if (q <= 0 && tables_up[t] != NSH_TABLE_RAW)
            r->firewall_ready[f] = false;
        if (tables_up[t] == NSH_TABLE_FILTER)
            r->filter[f] = q > 0 ? FILTER_STANDS : FILTER_LACKS;
    }
    /* One that was blocked on the way drops yet what it is to drop, and accepts no more. */
    if (r->guards_dirty[f] && reconcile_uses_table(r, family, NSH_TABLE_FILTER))
        up_table(r, family, NSH_TABLE_FILTER, &raced);
    r->guards_dirty[f] = false;
    reconcile_take_over(r, f);
    reconcile_hold(r->firewall, family, true);
    if (r->firewall_again[f] == 0 && !r->firewall_retried[f])
        r->firewall_failures[f] = 0;
    r->firewall_dirty[f] = raced || r->firewall_wait[f] > reconcile_now(r);
    r->firewall_told[f] = r->firewall_told[f] && r->firewall_dirty[f];
    if (raced)
        reconcile_retry_at(r, reconcile_now(r) + 10000);
    r->disturbed = r->disturbed || raced;
    /* Forwarding that waits for the filter alone does not wait for all of them. */
    if (r->firewall_ready[f] || r->forwarding_states[f] == NSH_OBJECT_PENDING)
        r->forwarding_dirty = true;
}

/*
 * All that is to be dropped is. False: or who knows. Without the lock: who holds it may take long,
 * and what changed since our last session stays to be found by the next.
 */
static bool look_at_filter(struct nsh_reconciler *r, int family)
{
    NSH_CLEANUP(nsh_firewall_plan_freep) struct nsh_firewall_plan *plan = NULL;
    int q = r->firewall->ops->open(r->firewall, NSH_FIREWALL_READ);

    if (q != NSH_FIREWALL_OK)
        return false;
    q = nsh_firewall_plan_new(r->desired, family, NSH_TABLE_FILTER, &plan);
    if (q == 0)
        q = reconcile_look(r, plan, family, NSH_TABLE_FILTER, NSH_PHASE_UP);
    r->firewall->ops->close(r->firewall);
    return q == 0;
}

bool reconcile_filter_stands(struct nsh_reconciler *r, int f)
{
    bool stands;

    if (!reconcile_uses_table(r, nsh_family_of(f), NSH_TABLE_FILTER))
        return true;
    if (r->filter[f] != FILTER_UNSEEN)
        return r->filter[f] == FILTER_STANDS;
    stands = look_at_filter(r, nsh_family_of(f));
    r->filter[f] = stands ? FILTER_STANDS : FILTER_LACKS;
    if (!stands)
        r->firewall_dirty[f] = true; /* no event has told of it yet */
    return stands;
}

/* Tables that this kernel has not; false: none of those that are wanted can be had. */
static bool family_can(struct nsh_reconciler *r, int family)
{
    bool any = false;

    for (size_t t = 0; t < NSH_ARRAY_SIZE(tables_up); t++) {
        char why[WHY_SIZE] = "";
        int q;

        if (tables_up[t] == NSH_TABLE_RAW || !reconcile_uses_table(r, family, tables_up[t]))
            continue;
        q = r->firewall->ops->probe(r->firewall, family, tables_up[t], why, sizeof why);
        if (q < 0)
            table_unusable(r, family, tables_up[t], why[0] ? why : strerror(-q));
        any = any || q == 0;
    }
    return any;
}

void reconcile_open_failed(struct nsh_reconciler *r, int error)
{
    char why[WHY_SIZE];

    snprintf(why, sizeof why, "cannot take the xtables lock: %s", strerror(-error));
    for (int f = 0; f < NSH_FAMILIES; f++) {
        table_failed(r, nsh_family_of(f), NSH_TABLE_COUNT, why);
        r->firewall_ready[f] = false;
    }
}

/* Something changed, and what can't be seen before the lock is free: no more "held" until then. */
static void waiting_for_lock(struct nsh_reconciler *r)
{
    for (size_t i = 0; i < r->desired->n_chains; i++) {
        if (r->desired->chains[i].standby || r->desired->chains[i].blocked ||
                !r->firewall_dirty[nsh_family_index(r->desired->chains[i].family)])
            continue;
        if (r->chain_states[i] == NSH_OBJECT_HELD)
            r->chain_states[i] = NSH_OBJECT_WRONG;
        nsh_notes_set_reason(r->notes, NSH_OBJECT_CHAIN + i,
                "the table may have changed; another program holds the xtables lock");
    }
}

/* What is out until the next try is wanted again, if this is one. */
static void begin_try(struct nsh_reconciler *r, int f, uint64_t now)
{
    bool resync = strcmp(r->account.trigger.text, "resync") == 0;

    if (r->firewall_again[f] > now && !r->settling && !resync)
        return;
    r->firewall_again[f] = 0;
    r->firewall_retried[f] = reconcile_unblock(r, nsh_family_of(f));
    reconcile_retry_sets(r, nsh_family_of(f));
}

static void take_due(struct nsh_reconciler *r, uint64_t now)
{
    for (int f = 0; f < NSH_FAMILIES; f++) {
        if (r->firewall_wait[f] <= now)
            r->firewall_wait[f] = 0;
        if (r->firewall_again[f] != 0 && r->firewall_again[f] <= now) {
            /* What is fought over has a pause of its own, and does not hold this one's try. */
            r->firewall_dirty[f] = true;
            r->firewall_wait[f] = 0;
        }
        if (r->firewall_dirty[f] && r->firewall_wait[f] == 0)
            begin_try(r, f, now);
    }
}

void reconcile_failed(struct nsh_reconciler *r, int f)
{
    uint64_t delay = FAILURE_RETRY_USEC << r->firewall_failures[f];

    if (r->firewall_again[f] != 0)
        return; /* in this pass already */
    r->firewall_again[f] = reconcile_now(r) + delay;
    if (r->firewall_failures[f] < FAILURES_MAX)
        r->firewall_failures[f]++;
}

/* The rules of a family can be compared now: they are marked, and the kernel has their tables. */
static bool rules_are_due(struct nsh_reconciler *r, int f, uint64_t now)
{
    int family = nsh_family_of(f);

    if ((!r->firewall_dirty[f] && !r->guards_dirty[f]) || r->firewall_wait[f] > now)
        return false;
    if (reconcile_has_chains(r, family) && family_can(r, family))
        return true;
    r->firewall_ready[f] = false;
    r->guards_dirty[f] = false;
    r->firewall_dirty[f] = false; /* a kernel that can't will not learn it by itself */
    r->firewall_again[f] = 0;
    return false;
}

/* Sets before the rules that refer to them; those that are only looked at again, after. */
static int up_under_lock(struct nsh_reconciler *r, int family, bool rules)
{
    int more = reconcile_sets_up(r, family, true);

    if (more > 0)
        return more;
    if (rules)
        up_family(r, family);
    if (!r->settling)
        reconcile_sets_up(r, family, false);
    return 0;
}

int reconcile_firewall_up(struct nsh_reconciler *r, bool *ret_wait)
{
    uint64_t now = reconcile_now(r);
    bool opened = false;
    int q = 0;

    *ret_wait = false;
    take_due(r, now);
    for (int f = 0; f < NSH_FAMILIES && q == 0; f++) {
        bool rules = rules_are_due(r, f, now);

        if (!rules && !reconcile_sets_due(r, nsh_family_of(f)))
            continue;
        q = opened ? NSH_FIREWALL_OK : r->firewall->ops->open(r->firewall, NSH_FIREWALL_WRITE);
        if (q == NSH_FIREWALL_BUSY) {
            waiting_for_lock(r);
            *ret_wait = true;
            return 0;
        }
        if (q < 0) {
            reconcile_open_failed(r, q);
            r->firewall_dirty[NSH_V4] = r->firewall_dirty[NSH_V6] = false;
            return 0;
        }
        opened = true;
        q = up_under_lock(r, nsh_family_of(f), rules);
    }
    if (opened)
        r->firewall->ops->close(r->firewall);
    reconcile_tell_drifts(r);
    return q;
}
