/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Routes: compare in the marked scope, write what differs, remember what became of it.
 *
 * A comparison normally sees our own routes alone, filtered by the kernel. Who else stands on a
 * wanted key shows only when an addition is refused with EEXIST; then, and at a resync, the
 * foreign ones are read too.
 */
#include "reconcile-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apply.h"
#include "cleanup.h"
#include "resolve.h"

#define DUMP_TRIES 3
#define ROUNDS_MAX 4 /* keys → ours → all, and once more when the world moved */

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

static void become_held(struct nsh_reconciler *r, size_t wanted)
{
    r->route_states[wanted] = NSH_OBJECT_HELD;
    r->route_flags[wanted] |= NSH_ROUTE_WAS_HELD;
    /* What shadows it is seen only when foreign routes are read, and holds until then. */
    if (!(r->route_flags[wanted] & ROUTE_SHADOW_TOLD))
        nsh_notes_set_reason(r->notes, wanted, NULL);
}

static void become(struct nsh_reconciler *r, size_t wanted, enum nsh_object_state state,
        enum nsh_report_kind kind, const char *reason)
{
    bool news = nsh_notes_set_reason(r->notes, wanted, reason) != 0;

    r->route_flags[wanted] &= (uint8_t)~ROUTE_SHADOW_TOLD;
    if (r->route_states[wanted] == state && !news)
        return;
    r->route_states[wanted] = (uint8_t)state;
    tell(r, wanted, kind, NULL, reason);
}

/* Waiting, while a route that was wanted before goes on standing on the key: no gap, but tell. */
static void become_pending(struct nsh_reconciler *r, size_t wanted, const char *why)
{
    char reason[320];

    if (nsh_route_plan_stands(r->route_plan, wanted))
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

static void become_conflicting(struct nsh_reconciler *r, size_t wanted)
{
    const struct nsh_route *other = nsh_route_plan_conflict(r->route_plan, wanted);
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
static void take_shadows(struct nsh_reconciler *r)
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

static void mark_skip(struct nsh_reconciler *r, size_t wanted, uint64_t now)
{
    r->route_flags[wanted] &= (uint8_t)~NSH_ROUTE_SKIP;
    if (nsh_desired_missing_link(r->desired, &r->desired->routes[wanted]) ||
            backing_off(r, wanted, now))
        r->route_flags[wanted] |= NSH_ROUTE_SKIP;
}

static void mark_skips(struct nsh_reconciler *r, enum route_mark scope)
{
    uint64_t now = reconcile_now(r);

    if (scope == ROUTES_KEYS) {
        for (size_t i = 0; i < r->n_keys; i++)
            mark_skip(r, r->keys[i].wanted, now);
        return;
    }
    r->routes_wait = NSH_NEVER;
    for (size_t i = 0; i < r->desired->n_routes; i++)
        mark_skip(r, i, now);
}

/*
 * Drift that comes back too quickly is a fight: the repair waits. True when a step is held back,
 * so that the plan has to be made again without it.
 */
static bool hold_back_fights(struct nsh_reconciler *r)
{
    size_t n;
    const struct nsh_route_step *steps = nsh_route_plan_steps(r->route_plan, &n);
    bool held_back = false;

    if (r->settling)
        return false;
    for (size_t i = 0; i < n; i++) {
        size_t wanted = steps[i].wanted;
        uint64_t until;
        bool fight;
        char text[96];

        if (wanted == SIZE_MAX || steps[i].action == NSH_ROUTE_DELETE ||
                (r->route_states[wanted] != NSH_OBJECT_HELD &&
                        r->route_states[wanted] != NSH_OBJECT_WRONG))
            continue;
        if (reconcile_may_repair(r, wanted, &until, &fight))
            continue;
        held_back = true;
        r->route_flags[wanted] |= NSH_ROUTE_SKIP;
        r->route_states[wanted] = NSH_OBJECT_WRONG;
        nsh_notes_set_reason(r->notes, wanted, "something keeps undoing the repair; backing off");
        if (until < r->routes_wait)
            r->routes_wait = until;
        if (fight)
            tell(r, wanted, NSH_REPORT_FIGHT, NULL,
                    reconcile_fight_text(r, wanted, text, sizeof text));
    }
    return held_back;
}

/* ---- feeding the plan ---- */

static int observe(void *userdata, const struct nsh_route *seen)
{
    struct nsh_reconciler *r = userdata;

    if (r->also_ours != 0 && seen->protocol == r->also_ours)
        r->earlier_seen = true;
    return nsh_route_plan_observe(r->route_plan, seen);
}

static int feed_keys(struct nsh_reconciler *r)
{
    nsh_autofree size_t *keys = calloc(r->n_keys + 1, sizeof *keys);
    int q;

    if (!keys)
        return -ENOMEM;
    for (size_t i = 0; i < r->n_keys; i++)
        keys[i] = r->keys[i].wanted;
    q = nsh_route_plan_begin(r->route_plan, NSH_SCOPE_KEYS, keys, r->n_keys);
    for (size_t i = 0; q == 0 && i < r->n_keys; i++)
        if (!r->keys[i].gone)
            q = nsh_route_plan_observe(r->route_plan, &r->keys[i].seen);
    return q == 0 ? nsh_route_plan_finish(r->route_plan) : q;
}

static int feed_dump(struct nsh_reconciler *r, enum route_mark scope)
{
    struct nsh_fib_filter filter = {0};
    uint64_t begun;
    int q = nsh_route_plan_begin(
            r->route_plan, scope == ROUTES_ALL ? NSH_SCOPE_ALL : NSH_SCOPE_OURS, NULL, 0);

    if (q < 0)
        return q;
    r->work.full++;
    r->earlier_seen = false;
    if (scope != ROUTES_ALL)
        filter.protocol = r->desired->protocol;
    begun = reconcile_now(r);
    q = nsh_fib_dump(r->fib, &filter, observe, r);
    if (scope == ROUTES_ALL)
        r->all_cost = reconcile_now(r) - begun;
    if (q == 0 && scope != ROUTES_ALL && r->also_ours != 0) {
        filter.protocol = r->also_ours;
        q = nsh_fib_dump(r->fib, &filter, observe, r);
    }
    return q == 0 ? nsh_route_plan_finish(r->route_plan) : q;
}

/* A dump that was disturbed is begun again. */
static int feed(struct nsh_reconciler *r, enum route_mark scope)
{
    int q = -EAGAIN;

    if (scope == ROUTES_KEYS)
        return feed_keys(r);
    for (int i = 0; i < DUMP_TRIES && q == -EAGAIN; i++)
        q = feed_dump(r, scope);
    return q;
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

    become_held(r, wanted);
    if (r->settling || !was_held) {
        tell(r, wanted, settled[step->action], NULL, NULL);
        return;
    }
    if (before == NSH_OBJECT_HELD || before == NSH_OBJECT_WRONG)
        reconcile_repaired(r, wanted);
    if (mark)
        tell(r, wanted, NSH_REPORT_RESTORED, mark->gone ? "removed" : "replaced", NULL);
    else
        tell(r, wanted, NSH_REPORT_RESTORED, causes[step->action],
                r->trigger.text[0] ? r->trigger.text : NULL);
}

static void unwanted_written(struct nsh_reconciler *r, const struct nsh_route_step *step,
        enum nsh_route_outcome outcome, const char *why)
{
    struct report_args args = {
            .kind = outcome == NSH_WRITE_DONE ? NSH_REPORT_REMOVED : NSH_REPORT_FAILED,
            .detail = outcome == NSH_WRITE_DONE ? NULL : why,
    };

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
        become_pending(r, step->wanted, why);
        break;
    case NSH_WRITE_REFUSED:
        become(r, step->wanted, NSH_OBJECT_WRONG, NSH_REPORT_FAILED, why);
        break;
    }
}

/* One that was left out since its device is not there. */
static void take_missing(struct nsh_reconciler *r, size_t wanted)
{
    const char *missing = nsh_desired_missing_link(r->desired, &r->desired->routes[wanted]);
    char reason[64];

    if (!missing)
        return;
    snprintf(reason, sizeof reason, "interface %s does not exist", missing);
    become_pending(r, wanted, reason);
}

static void take_verdict(struct nsh_reconciler *r, size_t wanted)
{
    bool skipped = (r->route_flags[wanted] & NSH_ROUTE_SKIP) != 0;

    switch (nsh_route_plan_verdict(r->route_plan, wanted)) {
    case NSH_ROUTE_RIGHT:
        become_held(r, wanted);
        break;
    case NSH_ROUTE_CONFLICT:
        /* Who holds the key of one that can't be written anyhow may change before it can. */
        if (skipped)
            take_missing(r, wanted);
        else
            become_conflicting(r, wanted);
        break;
    case NSH_ROUTE_WRONG:
        if (skipped)
            take_missing(r, wanted);
        break;
    case NSH_ROUTE_UNKNOWN:
        break;
    }
}

static void take_verdicts(struct nsh_reconciler *r, enum route_mark scope)
{
    if (scope == ROUTES_KEYS) {
        for (size_t i = 0; i < r->n_keys; i++)
            take_verdict(r, r->keys[i].wanted);
        return;
    }
    for (size_t i = 0; i < r->desired->n_routes; i++)
        take_verdict(r, i);
}

/* ---- rounds ---- */

static int round_of(struct nsh_reconciler *r, enum route_mark scope)
{
    bool left = false;
    size_t n;
    int q;

    mark_skips(r, scope);
    q = feed(r, scope);
    if (q == 0 && hold_back_fights(r))
        q = feed(r, scope);
    if (q < 0)
        return q;
    take_verdicts(r, scope);
    nsh_route_plan_steps(r->route_plan, &n);
    r->routes_told.many = n > NSH_REPORT_SINGLE_MAX;
    r->occupied = false;
    /* A rule that is no longer wanted may still lead to a route that is not: it goes first. */
    if (!r->rules_dirty) {
        q = nsh_apply_routes(r->fib, r->desired, r->route_plan, written, r);
    } else {
        q = nsh_apply_routes_up(r->fib, r->desired, r->route_plan, written, r, &left);
        r->routes_left = r->routes_left || left;
    }
    if (q == 0 && scope == ROUTES_ALL)
        take_shadows(r);
    return q;
}

static int resolve(struct nsh_reconciler *r)
{
    bool changed;
    int q = nsh_desired_resolve(r->fib, r->desired, &changed);

    if (q < 0)
        return q;
    if (changed && r->routes_dirty < ROUTES_OURS)
        r->routes_dirty = ROUTES_OURS;
    r->links_dirty = false;
    return 0;
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

/* One round, and what it leaves to a further one: a route just written may be a gateway's way. */
static int round_and_ways(struct nsh_reconciler *r, enum route_mark scope)
{
    uint64_t writes = r->work.writes;
    bool moved = false;
    int q = round_of(r, scope);

    if (q == 0 && r->work.writes > writes && any_way_may_differ(r, scope))
        q = nsh_desired_resolve(r->fib, r->desired, &moved);
    if (q == 0)
        r->routes_dirty = r->occupied ? ROUTES_ALL : moved ? ROUTES_OURS : ROUTES_CLEAN;
    return q;
}

int reconcile_routes(struct nsh_reconciler *r)
{
    int q;

    if (r->routes_wait <= reconcile_now(r) && r->routes_dirty < ROUTES_OURS)
        r->routes_dirty = ROUTES_OURS;
    if (r->links_dirty) {
        q = resolve(r);
        if (q < 0)
            return q;
    }
    for (int i = 0; i < ROUNDS_MAX && r->routes_dirty != ROUTES_CLEAN; i++) {
        q = round_and_ways(r, r->routes_dirty);
        if (q < 0)
            return q;
    }
    r->routes_dirty = ROUTES_CLEAN;
    return 0;
}
