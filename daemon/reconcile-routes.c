/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Single routes: judge, write, remember what became of them; and those that an event told of,
 * which are mended by themselves. All of them together are the matter of reconcile-job.c.
 */
#include "reconcile-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apply.h"
#include "cleanup.h"
#include "resolve.h"

const struct key_mark *reconcile_find_mark(const struct nsh_reconciler *r, size_t wanted)
{
    size_t low = 0, high = r->n_keys;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (r->keys[mid].wanted < wanted)
            low = mid + 1;
        else
            high = mid;
    }
    return low < r->n_keys && r->keys[low].wanted == wanted ? &r->keys[low] : NULL;
}

/* ---- states ---- */

static void tell(struct nsh_reconciler *r, size_t wanted, enum nsh_report_kind kind,
        const char *cause, const char *detail)
{
    const struct key_mark *mark = reconcile_find_mark(r, wanted);
    struct report_args args = {
            .kind = kind,
            .cause = cause,
            .detail = detail,
            .sender = mark ? mark->sender : 0,
            .at = mark ? mark->at : 0,
            .culprit = mark && mark->culprit_pid > 0 ? mark->culprit : NULL,
            .culprit_pid = mark ? mark->culprit_pid : 0,
    };

    report_route(r, &r->desired->routes[wanted], &args);
}

void reconcile_set_state(struct nsh_reconciler *r, size_t wanted, enum nsh_object_state state)
{
    if (r->route_flags[wanted] & ROUTE_UNLEARNED)
        r->n_unlearned--;
    r->route_flags[wanted] &= (uint8_t)~ROUTE_UNLEARNED;
    r->route_counts[r->route_states[wanted]]--;
    r->route_counts[state]++;
    r->route_states[wanted] = (uint8_t)state;
}

static void become_held(struct nsh_reconciler *r, size_t wanted)
{
    reconcile_set_state(r, wanted, NSH_OBJECT_HELD);
    r->route_flags[wanted] |= NSH_ROUTE_WAS_HELD;
    r->route_flags[wanted] &= (uint8_t)~ROUTE_OWN_CHANGE;
    /* What shadows it is seen only when foreign routes are read, and holds until then. */
    if (!(r->route_flags[wanted] & ROUTE_SHADOW_TOLD))
        nsh_notes_set_reason(r->notes, wanted, NULL);
}

static void become(struct nsh_reconciler *r, size_t wanted, enum nsh_object_state state,
        enum nsh_report_kind kind, const char *reason)
{
    bool news = nsh_notes_set_reason(r->notes, wanted, reason) != 0;

    r->route_flags[wanted] &= (uint8_t) ~(ROUTE_SHADOW_TOLD | ROUTE_OWN_CHANGE);
    if (r->route_states[wanted] == state && !news)
        return;
    reconcile_set_state(r, wanted, state);
    tell(r, wanted, kind, NULL, reason);
}

/* Waiting, while a route that was wanted before goes on standing on the key: no gap, but tell. */
static void become_pending(
        struct nsh_reconciler *r, const struct nsh_route_plan *plan, size_t wanted, const char *why)
{
    char reason[320];

    if (nsh_route_plan_stands(plan, wanted))
        snprintf(reason, sizeof reason, "%s; the route from before stays meanwhile", why);
    else
        snprintf(reason, sizeof reason, "%s", why);
    become(r, wanted, NSH_OBJECT_PENDING, NSH_REPORT_PENDING, reason);
}

#define FOREIGN_TEXT 600

static const char *format_foreign(
        struct nsh_reconciler *r, const struct nsh_route *other, char *buf, size_t size)
{
    const char *protocol = nsh_route_protocol_name(other->protocol);
    char text[512];

    nsh_route_format_seen(r->fib, other, text, sizeof text);
    if (protocol)
        snprintf(buf, size, "%s proto %s", text, protocol);
    else
        snprintf(buf, size, "%s proto %u", text, other->protocol);
    return buf;
}

static void become_conflicting(
        struct nsh_reconciler *r, const struct nsh_route_plan *plan, size_t wanted)
{
    const struct nsh_route *other = nsh_route_plan_conflict(plan, wanted);
    char reason[FOREIGN_TEXT] = "another route";

    if (other)
        format_foreign(r, other, reason, sizeof reason);
    become(r, wanted, NSH_OBJECT_CONFLICTING, NSH_REPORT_CONFLICT, reason);
}

/* ---- foreign routes that come before ours ---- */

static void take_shadow(struct nsh_reconciler *r, const struct nsh_route_shadow *shadow)
{
    char by[FOREIGN_TEXT], reason[FOREIGN_TEXT + 32];

    if (r->route_states[shadow->wanted] != NSH_OBJECT_HELD)
        return;
    format_foreign(r, &shadow->by, by, sizeof by);
    snprintf(reason, sizeof reason, "behind %s", by);
    nsh_notes_set_reason(r->notes, shadow->wanted, reason);
    if (r->route_flags[shadow->wanted] & ROUTE_SHADOW_TOLD)
        return;
    r->route_flags[shadow->wanted] |= ROUTE_SHADOW_TOLD;
    tell(r, shadow->wanted, NSH_REPORT_SHADOWED, NULL, by);
}

static int compare_shadows(const void *a, const void *b)
{
    const struct nsh_route_shadow *x = a, *y = b;

    return (x->wanted > y->wanted) - (x->wanted < y->wanted);
}

/* One that is not shadowed any more may be told of again. */
void reconcile_take_shadows(struct nsh_reconciler *r)
{
    size_t n;
    const struct nsh_route_shadow *shadows = nsh_route_plan_shadows(r->route_plan, &n);

    for (size_t i = 0; i < r->desired->n_routes; i++) {
        struct nsh_route_shadow key = {.wanted = i};

        if (!(r->route_flags[i] & ROUTE_SHADOW_TOLD) ||
                (n > 0 && bsearch(&key, shadows, n, sizeof key, compare_shadows)))
            continue;
        r->route_flags[i] &= (uint8_t)~ROUTE_SHADOW_TOLD;
        nsh_notes_set_reason(r->notes, i, NULL);
    }
    for (size_t i = 0; i < n; i++)
        take_shadow(r, &shadows[i]);
}

/* ---- what is not to be written now ---- */

static bool backing_off(struct nsh_reconciler *r, size_t wanted, uint64_t now)
{
    const struct nsh_repairs *repairs;

    if (r->route_states[wanted] != NSH_OBJECT_WRONG)
        return false;
    repairs = nsh_notes_find_repairs(r->notes, wanted);
    if (!repairs || repairs->backoff.not_before <= now)
        return false;
    if (repairs->backoff.not_before < r->routes_wait)
        r->routes_wait = repairs->backoff.not_before;
    return true;
}

void reconcile_skip(struct nsh_reconciler *r, size_t wanted, uint64_t now)
{
    r->route_flags[wanted] &= (uint8_t) ~(NSH_ROUTE_SKIP | NSH_ROUTE_WITHDRAWN);
    switch (nsh_desired_standing(r->desired, &r->desired->routes[wanted], NULL)) {
    case NSH_STANDING_STANDBY:
    case NSH_STANDING_UNLEARNED:
    case NSH_STANDING_UNPLACED:
        r->route_flags[wanted] |= NSH_ROUTE_WITHDRAWN;
        return;
    case NSH_STANDING_UNDECIDED:
        r->route_flags[wanted] |= NSH_ROUTE_SKIP;
        return;
    case NSH_STANDING_WANTED:
        break;
    }
    if (nsh_desired_missing_link(r->desired, &r->desired->routes[wanted]) ||
            backing_off(r, wanted, now))
        r->route_flags[wanted] |= NSH_ROUTE_SKIP;
}

/* Drift that comes back too quickly is a fight: the repair waits. */
static bool hold_back_fight(struct nsh_reconciler *r, size_t wanted)
{
    enum nsh_object_state state = r->route_states[wanted];
    uint64_t until;
    bool fight;
    char text[96];

    if (r->settling || (r->route_flags[wanted] & ROUTE_OWN_CHANGE) ||
            (state != NSH_OBJECT_HELD && state != NSH_OBJECT_WRONG) ||
            reconcile_may_repair(r, wanted, &until, &fight))
        return false;
    r->route_flags[wanted] |= NSH_ROUTE_SKIP;
    reconcile_set_state(r, wanted, NSH_OBJECT_WRONG);
    nsh_notes_set_reason(r->notes, wanted, "something keeps undoing the repair; backing off");
    if (until < r->routes_wait)
        r->routes_wait = until;
    if (fight)
        tell(r, wanted, NSH_REPORT_FIGHT, NULL, reconcile_fight_text(r, wanted, text, sizeof text));
    return true;
}

/* One that is left out since its device is not there. */
static void take_missing(struct nsh_reconciler *r, const struct nsh_route_plan *plan, size_t wanted)
{
    const char *missing = nsh_desired_missing_link(r->desired, &r->desired->routes[wanted]);
    char reason[64];

    if (!missing)
        return;
    snprintf(reason, sizeof reason, "interface %s does not exist", missing);
    become_pending(r, plan, wanted, reason);
}

/* What it waits for is no foreign route of another kind. */
static void wait_for_none(struct nsh_reconciler *r, size_t wanted)
{
    reconcile_set_state(r, wanted, NSH_OBJECT_PENDING);
    r->route_flags[wanted] |= ROUTE_UNLEARNED;
    r->n_unlearned++;
}

static void become_unplaced(struct nsh_reconciler *r, size_t wanted)
{
    char reason[384];

    nsh_desired_unplaced(r->desired, &r->desired->routes[wanted], reason, sizeof reason);
    become(r, wanted, NSH_OBJECT_PENDING, NSH_REPORT_PENDING, reason);
    wait_for_none(r, wanted);
}

/* Nobody has learned a gateway it could lead to. That it was lost was told of the gateway. */
static void become_unlearned(struct nsh_reconciler *r, size_t wanted, const struct nsh_link *link)
{
    bool own = (r->route_flags[wanted] & ROUTE_OWN_CHANGE) != 0;
    char reason[96];

    if (link->ifindex == 0)
        snprintf(reason, sizeof reason, "interface %s does not exist", link->name);
    else
        snprintf(reason, sizeof reason, "no default route of others over %s tells its gateway",
                link->name);
    if (own)
        nsh_notes_set_reason(r->notes, wanted, reason);
    else
        become(r, wanted, NSH_OBJECT_PENDING, NSH_REPORT_PENDING, reason);
    wait_for_none(r, wanted);
}

/* A gate is closed, which was told of the gate; or a gateway or the table is missing. */
static void take_withdrawn(struct nsh_reconciler *r, size_t wanted)
{
    const struct nsh_desired *d = r->desired;
    struct nsh_hold hold;

    switch (nsh_desired_standing(d, &d->routes[wanted], &hold)) {
    case NSH_STANDING_UNLEARNED:
        become_unlearned(r, wanted, &d->links[hold.link]);
        break;
    case NSH_STANDING_UNPLACED:
        become_unplaced(r, wanted);
        break;
    case NSH_STANDING_STANDBY:
    case NSH_STANDING_WANTED:
    case NSH_STANDING_UNDECIDED:
        reconcile_set_state(r, wanted, NSH_OBJECT_STANDBY);
        nsh_notes_set_reason(r->notes, wanted, NULL);
        break;
    }
    r->route_flags[wanted] &=
            (uint8_t) ~(NSH_ROUTE_WAS_HELD | ROUTE_SHADOW_TOLD | ROUTE_OWN_CHANGE);
}

bool reconcile_take_verdict(
        struct nsh_reconciler *r, const struct nsh_route_plan *plan, size_t wanted)
{
    bool skip = (r->route_flags[wanted] & NSH_ROUTE_SKIP) != 0;

    if (r->route_flags[wanted] & NSH_ROUTE_WITHDRAWN) {
        take_withdrawn(r, wanted);
        return false;
    }
    switch (nsh_route_plan_verdict(plan, wanted)) {
    case NSH_ROUTE_RIGHT:
        become_held(r, wanted);
        break;
    case NSH_ROUTE_CONFLICT:
        /* Who holds the key of one that can't be written anyhow may change before it can. */
        if (skip)
            take_missing(r, plan, wanted);
        else
            become_conflicting(r, plan, wanted);
        break;
    case NSH_ROUTE_WRONG:
        if (!skip)
            return !hold_back_fight(r, wanted);
        take_missing(r, plan, wanted);
        break;
    case NSH_ROUTE_UNKNOWN:
        break;
    }
    return false;
}

/* ---- outcomes ---- */

static void route_done(struct nsh_reconciler *r, const struct nsh_route_step *step)
{
    static const enum nsh_report_kind settled[] = {
            [NSH_ROUTE_ADD] = NSH_REPORT_ADDED,
            [NSH_ROUTE_REPLACE] = NSH_REPORT_CHANGED,
            [NSH_ROUTE_ADOPT] = NSH_REPORT_ADOPTED,
    };
    static const char *const causes[] = {
            [NSH_ROUTE_ADD] = "missing",
            [NSH_ROUTE_REPLACE] = "changed",
            [NSH_ROUTE_ADOPT] = "replaced",
    };
    size_t wanted = step->wanted;
    const struct key_mark *mark = reconcile_find_mark(r, wanted);
    enum nsh_object_state before = r->route_states[wanted];
    bool was_held = (r->route_flags[wanted] & NSH_ROUTE_WAS_HELD) != 0;
    bool own = before == NSH_OBJECT_STANDBY || r->route_flags[wanted] & ROUTE_OWN_CHANGE;

    become_held(r, wanted);
    if (own && !r->settling)
        return; /* told with what it depends on */
    if (r->settling || !was_held) {
        tell(r, wanted, settled[step->action], NULL, NULL);
        return;
    }
    if (before == NSH_OBJECT_HELD || before == NSH_OBJECT_WRONG)
        reconcile_repaired(r, wanted, mark ? mark->culprit : NULL, mark ? mark->culprit_pid : 0);
    if (mark)
        tell(r, wanted, NSH_REPORT_RESTORED, mark->gone ? "removed" : "replaced", NULL);
    else
        tell(r, wanted, NSH_REPORT_RESTORED, causes[step->action],
                r->account.trigger.text[0] ? r->account.trigger.text : NULL);
}

/* Not wanted now, and that was told with what it depends on. */
static bool was_withdrawn(const struct nsh_reconciler *r, const struct nsh_route *route)
{
    size_t wanted = nsh_desired_find_route(r->desired, route);

    return wanted != SIZE_MAX && r->route_flags[wanted] & NSH_ROUTE_WITHDRAWN && !r->settling;
}

static void unwanted_written(struct nsh_reconciler *r, const struct nsh_route_step *step,
        enum nsh_route_outcome outcome, const char *why)
{
    struct report_args args = {
            .kind = outcome == NSH_WRITE_DONE ? NSH_REPORT_REMOVED : NSH_REPORT_FAILED,
            .detail = outcome == NSH_WRITE_DONE ? NULL : why,
    };

    if (outcome == NSH_WRITE_DONE && was_withdrawn(r, &step->route))
        return;
    report_route(r, &step->route, &args);
}

static void written(void *userdata, const struct nsh_route_step *step,
        enum nsh_route_outcome outcome, int error, const char *why)
{
    struct nsh_reconciler *r = userdata;

    (void)error;
    r->work.writes++;
    if (step->wanted == SIZE_MAX) {
        unwanted_written(r, step, outcome, why);
        return;
    }
    if (step->action == NSH_ROUTE_DELETE)
        return; /* a double of ours beside it */
    switch (outcome) {
    case NSH_WRITE_DONE:
        reconcile_learn_written(r, &step->route);
        route_done(r, step);
        break;
    case NSH_WRITE_OCCUPIED:
        /*
         * Who holds it is known already; that it still does is no news. But a new configuration
         * may have other ideas of what to do about it.
         */
        if (r->route_states[step->wanted] != NSH_OBJECT_CONFLICTING || r->settling)
            r->occupied = true;
        break;
    case NSH_WRITE_PENDING:
        /* Where foreign ones were not looked at, who holds it is known better from before. */
        if (r->route_states[step->wanted] == NSH_OBJECT_CONFLICTING && !r->settling &&
                r->plan == r->route_plan && r->job.scope != ROUTES_ALL)
            break;
        become_pending(r, r->plan, step->wanted, why);
        break;
    case NSH_WRITE_REFUSED:
        become(r, step->wanted, NSH_OBJECT_WRONG, NSH_REPORT_FAILED, why);
        break;
    }
}

int reconcile_write(struct nsh_reconciler *r, const struct nsh_route_plan *plan)
{
    r->occupied = false;
    r->plan = plan;
    return nsh_apply_routes(r->fib, r->desired, plan, written, r);
}

/* A single route put back leads where it did before: then only what had no way may have one now. */
static bool any_way_may_differ(const struct nsh_reconciler *r, enum route_mark scope)
{
    for (size_t i = 0; i < r->desired->n_links; i++)
        if (r->desired->links[i].gateway_family != AF_UNSPEC &&
                (scope != ROUTES_KEYS || r->desired->links[i].ifindex == 0))
            return true;
    return false;
}

int reconcile_ways(struct nsh_reconciler *r, enum route_mark scope, bool *ret_moved)
{
    int q;

    *ret_moved = false;
    q = any_way_may_differ(r, scope) ? nsh_desired_resolve(r->fib, r->desired, ret_moved) : 0;
    r->learned_dirty = r->learned_dirty || (*ret_moved && r->learns);
    return q;
}

/* ---- those that were marked one by one ---- */

/* So many are mended at a time: each waits for the kernel's one lock for routes anew. */
#define KEYS_STEP 64U

static int feed_keys(struct nsh_reconciler *r, size_t n)
{
    nsh_autofree size_t *keys = calloc(n, sizeof *keys);
    int q;

    if (!keys)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        keys[i] = r->keys[i].wanted;
    q = nsh_route_plan_begin(r->key_plan, NSH_SCOPE_KEYS, keys, n);
    for (size_t i = 0; q == 0 && i < n; i++)
        if (!r->keys[i].gone)
            q = nsh_route_plan_observe(r->key_plan, &r->keys[i].seen);
    return q;
}

/* What is known of them comes first; and a comparison under way has no more to say of them. */
static int take_over_keys(struct nsh_reconciler *r, size_t n)
{
    uint64_t now = reconcile_now(r);
    int q = 0;

    for (size_t i = 0; i < n && q == 0; i++) {
        if (r->job.phase != JOB_NONE && (r->job.delta || r->job.phase >= JOB_DUMP))
            nsh_route_plan_settle(r->route_plan, r->keys[i].wanted);
        q = reconcile_carry_one(r, r->keys[i].wanted);
        reconcile_skip(r, r->keys[i].wanted, now);
    }
    return q;
}

static int judge_keys(struct nsh_reconciler *r, size_t n)
{
    size_t from, to, wrong = 0;

    nsh_route_plan_judge(r->key_plan, SIZE_MAX, &from, &to);
    for (size_t i = 0; i < n; i++)
        wrong += reconcile_take_verdict(r, r->key_plan, r->keys[i].wanted);
    r->account.routes_told.many = r->many_keys || wrong > NSH_REPORT_SINGLE_MAX;
    return nsh_route_plan_writes(r->key_plan, SIZE_MAX, SIZE_MAX);
}

/* What is not wanted now goes after the rules that lead to it. */
static int withdraw_keys(struct nsh_reconciler *r)
{
    bool occupied = r->occupied;
    int q = 0;

    if (nsh_route_plan_unwanted(r->key_plan) == 0)
        return 0;
    if (r->rules_dirty)
        q = reconcile_rules(r);
    if (q < 0)
        return q;
    if (r->rules_dirty) {
        reconcile_mark_routes(r, ROUTES_OURS); /* that has the patience */
        return 0;
    }
    q = nsh_route_plan_deletions(r->key_plan, SIZE_MAX, SIZE_MAX);
    if (q == 0)
        q = reconcile_write(r, r->key_plan);
    r->occupied = occupied;
    return q;
}

void reconcile_drop_keys(struct nsh_reconciler *r, size_t n)
{
    r->n_keys -= n;
    for (size_t i = 0; i < r->n_keys; i++) {
        r->keys[i] = r->keys[n + i];
        r->keys[i].sequence = (uint32_t)i;
    }
    if (r->n_keys > 0)
        return;
    r->many_keys = false;
    nsh_arena_reset(r->mark_arena);
    if (r->routes_dirty == ROUTES_KEYS)
        r->routes_dirty = ROUTES_CLEAN;
}

static int mend_keys(struct nsh_reconciler *r, size_t n)
{
    uint64_t writes = r->work.writes;
    bool moved = false;
    int q = take_over_keys(r, n);

    if (q == 0)
        q = feed_keys(r, n);
    if (q == 0)
        q = judge_keys(r, n);
    if (q == 0)
        q = reconcile_write(r, r->key_plan);
    if (q == 0)
        q = withdraw_keys(r);
    if (q == 0 && r->work.writes > writes)
        q = reconcile_ways(r, ROUTES_KEYS, &moved);
    if (q < 0)
        return q;
    reconcile_drop_keys(r, n);
    if (r->occupied || moved)
        reconcile_mark_routes(r, r->occupied ? ROUTES_ALL : ROUTES_OURS);
    return 0;
}

int reconcile_keys(struct nsh_reconciler *r)
{
    size_t n = r->n_keys < KEYS_STEP ? r->n_keys : KEYS_STEP;
    bool settling = r->settling;
    int q;

    r->many_keys |= r->n_keys > n;
    /* An event tells of drift, also while a new configuration is being put in force. */
    r->settling = settling && r->job.phase == JOB_NONE;
    q = mend_keys(r, n);
    r->settling = settling;
    return q;
}
