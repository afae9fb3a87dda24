/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All routes: a comparison in slices.
 *
 * A million routes take seconds to compare and write. So a comparison is a job that is worked at
 * for a few milliseconds at a time; in between the event loop goes on, and what an event tells of
 * one route is mended at once. The job then has nothing more to say of that route
 * (nsh_route_plan_settle): it may have been seen before the event, or would be seen after. Marks
 * of a wider scope that come while a job runs are for the next one, so that each comes to its end.
 *
 * A comparison normally sees our own routes alone, filtered by the kernel. Who else stands on a
 * wanted key shows only when an addition is refused with EEXIST; then, and at a resync, the
 * foreign ones are read too. After a reload the first comparison is with what was wanted before:
 * it writes the difference, and nothing else, and one with the kernel follows.
 */
#include "reconcile-internal.h"

#include <errno.h>

#include "resolve.h"

#define SLICE_USEC 5000ULL
#define DUMP_TRIES 3
#define ROUNDS_MAX 4 /* ours → all, and once more when the world moved */
/* One step of a slice, each well below a millisecond: routes looked at, and written. */
#define LOOK_STEP 16384U
#define CARRY_STEP 4096U
#define WRITE_STEP 256U

/* Reports of the job count as the job's, over all of its slices. */
static void swap_accounts(struct nsh_reconciler *r)
{
    struct account other = r->job.account;

    r->job.account = r->account;
    r->account = other;
}

/* ---- begin and end ---- */

static int begin(struct nsh_reconciler *r)
{
    struct job *j = &r->job;
    bool follows = j->rounds > 0;

    *j = (struct job){
            .phase = r->previous.desired ? JOB_CARRY : JOB_SKIP,
            .scope = r->routes_dirty,
            .delta = r->previous.desired && r->previous.delta,
            .fresh = !follows || j->fresh,
            .rounds = j->rounds,
            .writes = r->work.writes,
            .account = follows ? j->account : r->account,
    };
    r->routes_dirty = ROUTES_CLEAN;
    r->routes_wait = NSH_NEVER;
    if (!j->delta)
        return 0;
    /* Nobody looks at the kernel here: what an event has told is still to be mended. */
    j->fresh = false;
    return nsh_route_plan_begin(r->route_plan, NSH_SCOPE_OURS, NULL, 0);
}

/* It is written. What it leaves to a further one: a route just written may be a gateway's way. */
static int end(struct nsh_reconciler *r)
{
    struct job *j = &r->job;
    bool moved = false;
    int q = 0;

    if (j->scope == ROUTES_ALL && !j->delta)
        reconcile_take_shadows(r);
    if (r->work.writes > j->writes)
        q = reconcile_ways(r, j->scope, &moved);
    if (q < 0)
        return q;
    j->phase = JOB_NONE;
    if (j->delta && j->scope > r->behind)
        r->behind = j->scope;
    else if (!j->delta && j->scope >= r->behind)
        r->behind = ROUTES_CLEAN;
    if ((j->occupied || moved || j->learned) && j->rounds + 1 < ROUNDS_MAX) {
        reconcile_mark_routes(r, j->occupied ? ROUTES_ALL : ROUTES_OURS);
        j->rounds++;
        return 0;
    }
    j->rounds = 0;
    /* What was to be written anew after the last of them: the next one takes no look, and ends. */
    if (j->learned)
        reconcile_mark_routes(r, ROUTES_OURS);
    if (j->fresh)
        reconcile_drop_keys(r, r->n_keys);
    report_end(r);
    return 0;
}

void reconcile_job_cancel(struct nsh_reconciler *r)
{
    struct job *j = &r->job;

    if (j->phase != JOB_NONE)
        reconcile_mark_routes(r, j->scope);
    if (j->phase != JOB_NONE || j->rounds > 0) {
        swap_accounts(r);
        report_end(r);
        swap_accounts(r);
    }
    r->previous.delta = false;
    *j = (struct job){0};
}

/* ---- phases: each does a step; 1 when it has more ---- */

static int carry(struct nsh_reconciler *r)
{
    return reconcile_carry(r, CARRY_STEP);
}

static int skip(struct nsh_reconciler *r)
{
    uint64_t now = reconcile_now(r);
    size_t *at = &r->job.at;

    for (size_t n = 0; n < LOOK_STEP && *at < r->desired->n_routes; n++)
        reconcile_skip(r, (*at)++, now);
    return *at < r->desired->n_routes;
}

static int begin_dump(struct nsh_reconciler *r)
{
    struct nsh_fib_filter filter = {0};

    if (r->job.scope != ROUTES_ALL)
        filter.protocol = r->job.earlier ? r->also_ours : r->desired->protocol;
    return r->fib->ops->dump_begin(r->fib, &filter);
}

static int begin_comparison(struct nsh_reconciler *r)
{
    bool all = r->job.scope == ROUTES_ALL;
    int q = nsh_route_plan_begin(r->route_plan, all ? NSH_SCOPE_ALL : NSH_SCOPE_OURS, NULL, 0);

    if (all) {
        r->job.seen = 0;
        reconcile_look_begin(r);
    }
    r->work.full++;
    r->earlier_seen = false;
    r->job.earlier = false;
    return q < 0 ? q : begin_dump(r);
}

static int observe(void *userdata, const struct nsh_route *seen)
{
    struct nsh_reconciler *r = userdata;
    int q = r->job.scope == ROUTES_ALL && seen->dst_length == 0 ? reconcile_look_see(r, seen) : 0;

    r->job.seen++;
    if (q < 0)
        return q;
    if (r->also_ours != 0 && seen->protocol == r->also_ours)
        r->earlier_seen = true;
    return nsh_route_plan_observe(r->route_plan, seen);
}

static int dump(struct nsh_reconciler *r)
{
    int q = r->fib->ops->dump_read(r->fib, observe, r);

    r->disturbed = r->disturbed || q == -EAGAIN;
    if (q == -EAGAIN && ++r->job.tries < DUMP_TRIES) {
        q = begin_comparison(r); /* disturbed: once more from the beginning */
        return q < 0 ? q : 1;
    }
    if (q == 0 && r->job.scope == ROUTES_ALL) {
        r->all_seen = r->job.seen;
        reconcile_look_end(r);
    }
    if (q != 0 || r->job.scope == ROUTES_ALL || r->also_ours == 0 || r->job.earlier)
        return q;
    r->job.earlier = true;
    q = begin_dump(r);
    return q < 0 ? q : 1;
}

static int judge(struct nsh_reconciler *r)
{
    size_t from, to;
    int q = nsh_route_plan_judge(r->route_plan, LOOK_STEP, &from, &to);

    for (size_t i = from; i < to; i++)
        r->job.wrong += reconcile_take_verdict(r, r->route_plan, i);
    if (q == 0)
        r->account.routes_told.many =
                r->job.wrong + nsh_route_plan_unwanted(r->route_plan) > NSH_REPORT_SINGLE_MAX;
    return q;
}

static int write_some(struct nsh_reconciler *r)
{
    int more = nsh_route_plan_writes(r->route_plan, LOOK_STEP, WRITE_STEP);
    int q = more < 0 ? more : reconcile_write(r, r->route_plan);

    r->job.occupied |= r->occupied;
    return q < 0 ? q : more;
}

/* A rule that is no longer wanted may still lead to a route that is not: it goes first. */
static int wait_for_rules(struct nsh_reconciler *r)
{
    return r->rules_dirty && nsh_route_plan_unwanted(r->route_plan) > 0;
}

bool reconcile_job_waits(const struct nsh_reconciler *r)
{
    return r->job.phase == JOB_WAIT;
}

static int delete_some(struct nsh_reconciler *r)
{
    int more = nsh_route_plan_deletions(r->route_plan, LOOK_STEP, WRITE_STEP);
    int q = more < 0 ? more : reconcile_write(r, r->route_plan);

    return q < 0 ? q : more;
}

/* What is wanted has changed in the middle of it. */
static bool goes_on(const struct job *j)
{
    return j->learned && j->rounds + 1 < ROUNDS_MAX;
}

static int next_phase(struct nsh_reconciler *r)
{
    switch (r->job.phase) {
    case JOB_CARRY:
        r->job.phase = JOB_SKIP;
        return 0;
    case JOB_SKIP:
        r->job.phase = r->job.delta ? JOB_JUDGE : JOB_DUMP;
        return r->job.delta ? 0 : begin_comparison(r);
    case JOB_DUMP:
        r->job.phase = JOB_JUDGE;
        return 0;
    case JOB_JUDGE:
        r->job.phase = JOB_WRITE;
        return 0;
    case JOB_WRITE:
        /* The next round writes what the look has changed: before the rules, and sees this too. */
        if (goes_on(&r->job))
            return end(r);
        r->job.phase = JOB_WAIT;
        return 0;
    case JOB_WAIT:
        r->job.phase = JOB_DELETE;
        return 0;
    case JOB_DELETE:
        return end(r);
    case JOB_NONE:
        break;
    }
    return 0;
}

static int step(struct nsh_reconciler *r)
{
    static int (*const phases[])(struct nsh_reconciler *) = {
            [JOB_CARRY] = carry,
            [JOB_SKIP] = skip,
            [JOB_DUMP] = dump,
            [JOB_JUDGE] = judge,
            [JOB_WRITE] = write_some,
            [JOB_WAIT] = wait_for_rules,
            [JOB_DELETE] = delete_some,
    };
    int q;

    swap_accounts(r);
    q = phases[r->job.phase](r);
    if (q == 0)
        q = next_phase(r);
    swap_accounts(r);
    /* What follows in this pass is about the same. */
    if (r->job.phase == JOB_NONE && r->account.trigger.at == 0) {
        r->account.trigger = r->job.account.trigger;
        r->account.noticed = r->job.account.noticed;
    }
    return q < 0 ? q : 0;
}

/* ---- a slice ---- */

int reconcile_resolve(struct nsh_reconciler *r)
{
    bool changed;
    int q = nsh_desired_resolve(r->fib, r->desired, &changed);

    if (q < 0)
        return q;
    if (changed) {
        reconcile_mark_routes(r, ROUTES_OURS);
        r->learned_dirty = r->learns;
    }
    r->links_dirty = false;
    return 0;
}

static bool running(const struct nsh_reconciler *r)
{
    return r->job.phase != JOB_NONE;
}

/*
 * Marked keys are mended by themselves, unless a comparison that begins now sees them anyway.
 * Then, if it goes on for longer than this slice, they are not kept waiting for its end.
 */
static bool keys_are_due(const struct nsh_reconciler *r)
{
    return r->n_keys > 0 && (running(r) ? !r->job.fresh : r->routes_dirty == ROUTES_KEYS);
}

static int work(struct nsh_reconciler *r)
{
    int q = 0;

    if (!running(r) && r->routes_dirty >= ROUTES_OURS)
        q = begin(r);
    if (q == 0 && keys_are_due(r))
        q = reconcile_keys(r);
    if (q == 0 && running(r))
        q = step(r);
    return q;
}

int reconcile_routes(struct nsh_reconciler *r)
{
    uint64_t until = reconcile_now(r) + SLICE_USEC;
    bool ended = false;
    int q = 0;

    if (r->routes_wait <= reconcile_now(r))
        reconcile_mark_routes(r, ROUTES_OURS);
    if (r->links_dirty)
        q = reconcile_resolve(r);
    while (q == 0 && (running(r) || r->routes_dirty != ROUTES_CLEAN) && !ended) {
        bool ran = running(r) || r->routes_dirty >= ROUTES_OURS;

        q = work(r);
        ended = ran && !running(r) && r->job.rounds == 0;
        if (reconcile_job_waits(r) && r->rules_dirty)
            break;
        if (reconcile_now(r) >= until)
            break;
    }
    if (q < 0) {
        reconcile_job_cancel(r);
        return q;
    }
    r->job.fresh = false;
    if (reconcile_job_waits(r))
        return 0;
    return running(r) || (r->routes_dirty != ROUTES_CLEAN && !ended);
}
