/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order of a pass.
 *
 * On the way up, packet rules come before forwarding, forwarding before routes and routes before
 * the policy routing rules that lead to them, so that nothing ever leaves untranslated or finds an
 * empty table; what is no longer wanted goes afterwards, the other way round. A pass
 * that can't get the xtables lock waits for it for a while before it goes on with the rest: the
 * order is worth more than a few seconds, but not more than the routes.
 */
#include "reconcile-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

#define LOCK_PATIENCE_USEC 5000000ULL
#define FAILURE_RETRY_USEC 1000000ULL
#define DISTURBED_RETRY_USEC 100000ULL

int nsh_reconciler_new(struct nsh_fib *fib, struct nsh_firewall *firewall, struct nsh_state *state,
        const struct nsh_reconciler_hooks *hooks, struct nsh_reconciler **ret)
{
    struct nsh_reconciler *r = calloc(1, sizeof *r);

    if (!r)
        return -ENOMEM;
    r->fib = fib;
    r->firewall = firewall;
    r->state = state;
    r->hooks = *hooks;
    r->earlier_run = state && nsh_state_protocol_load(state, &(uint8_t){0}) == 0;
    r->retry = NSH_NEVER;
    r->routes_wait = NSH_NEVER;
    r->rules_wait = NSH_NEVER;
    r->sets_wait = NSH_NEVER;
    r->flows_family = AF_UNSPEC;
    r->mark_arena = nsh_arena_new();
    if (!r->mark_arena || nsh_notes_new(&r->notes) < 0 || nsh_learner_new(&r->learner) < 0) {
        nsh_reconciler_free(r);
        return -ENOMEM;
    }
    *ret = r;
    return 0;
}

void nsh_reconciler_free(struct nsh_reconciler *r)
{
    if (!r)
        return;
    reconcile_previous_done(r);
    nsh_route_plan_free(r->route_plan);
    nsh_route_plan_free(r->key_plan);
    nsh_rule_plan_free(r->rule_plan);
    nsh_desired_free(r->desired);
    free(r->route_flags);
    free(r->route_states);
    free(r->rule_flags);
    free(r->rule_states);
    free(r->chain_states);
    free(r->chain_news);
    reconcile_drop_drifts(r);
    nsh_chain_index_done(&r->chain_index);
    free(r->set_marks);
    reconcile_drop_set_work(r);
    free(r->known);
    free(r->guest_marks);
    free(r->unjudged_marks);
    free(r->hosted);
    nsh_guests_done(&r->guests);
    free(r->keys);
    free(r->gate_marks);
    free(r->last_repair);
    free(r->before.items);
    reconcile_guards_free(&r->guards);
    nsh_notes_free(r->notes);
    nsh_arena_free(r->mark_arena);
    nsh_learner_free(r->learner);
    nsh_conntrack_free(r->conntrack);
    reconcile_flow_changes_free(r->flow_changes);
    free(r);
}

const struct nsh_desired *nsh_reconciler_desired(const struct nsh_reconciler *r)
{
    return r->desired;
}

void reconcile_retry_at(struct nsh_reconciler *r, uint64_t when)
{
    if (when < r->retry)
        r->retry = when;
}

/* ---- a look at what sends no events ---- */

bool nsh_reconciler_wants_poll(const struct nsh_reconciler *r)
{
    if (!r->desired)
        return false;
    /* What is blocked may wait for rules of others to change. */
    for (size_t i = 0; i < r->desired->n_chains; i++)
        if (!r->desired->chains[i].standby || r->desired->chains[i].blocked)
            return true;
    return false;
}

/* While one policy is fought over another may be hit: a look a second is for that. */
static void look_soon(struct nsh_reconciler *r, int f)
{
    uint64_t soon = reconcile_now(r) + NSH_BACKOFF_FIRST;

    if (r->firewall_wait[f] > soon)
        r->firewall_wait[f] = soon;
}

void nsh_reconciler_poll(struct nsh_reconciler *r)
{
    if (!nsh_reconciler_wants_poll(r))
        return;
    reconcile_poll_drops(r);
    reconcile_poll_ahead(r);
    for (int f = 0; f < NSH_FAMILIES; f++) {
        if (!reconcile_has_chains(r, nsh_family_of(f)))
            continue;
        if (reconcile_poll_sets(r, nsh_family_of(f)))
            reconcile_set_trigger(r, 0, "");
        for (int t = 0; t < NSH_TABLE_COUNT; t++) {
            if (!reconcile_uses_table(r, nsh_family_of(f), (enum nsh_table)t) ||
                    r->firewall->ops->changed(r->firewall, nsh_family_of(f), (enum nsh_table)t) <=
                            0)
                continue;
            reconcile_set_trigger(r, 0, "");
            r->firewall_dirty[f] = r->firewall_told[f] = true;
            look_soon(r, f);
            r->unwanted_dirty = true;
            break;
        }
    }
}

/* ---- a pass ---- */

static int compare_keys(const void *a, const void *b)
{
    const struct key_mark *x = a, *y = b;

    if (x->wanted != y->wanted)
        return x->wanted < y->wanted ? -1 : 1;
    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* Sorted by route; of several marks for one route the last tells what stands there now. */
static void settle_marks(struct nsh_reconciler *r)
{
    size_t n = 0;

    if (r->n_keys > 1)
        qsort(r->keys, r->n_keys, sizeof *r->keys, compare_keys);
    for (size_t i = 0; i < r->n_keys; i++) {
        if (i + 1 < r->n_keys && r->keys[i + 1].wanted == r->keys[i].wanted)
            continue;
        r->keys[n++] = r->keys[i];
    }
    r->n_keys = n;
    for (size_t i = 0; i < n; i++)
        r->keys[i].sequence = (uint32_t)i;
}

/*
 * While something waits, additions of foreign routes matter: they may be what it waits for. One
 * that nobody has learned a gateway for waits for a default route alone.
 */
static enum nsh_fib_foreign foreign_that_matter(const struct nsh_reconciler *r)
{
    if (r->route_counts[NSH_OBJECT_PENDING] > r->n_unlearned ||
            r->route_counts[NSH_OBJECT_CONFLICTING] > 0)
        return NSH_FIB_FOREIGN_ALL;
    return r->learns ? NSH_FIB_FOREIGN_DEFAULTS : NSH_FIB_FOREIGN_NONE;
}

void reconcile_follow_foreign(struct nsh_reconciler *r)
{
    enum nsh_fib_foreign foreign = foreign_that_matter(r);

    if (foreign == r->foreign || r->fib->ops->events_foreign(r->fib, foreign) < 0)
        return;
    r->foreign = foreign;
    if (foreign == NSH_FIB_FOREIGN_ALL) {
        /* What came between the failed write and this was dropped: once more. */
        r->links_dirty = true;
        reconcile_mark_routes(r, ROUTES_OURS);
    }
}

/* Another program has the lock: a timer brings us back. */
static void lock_is_held(struct nsh_reconciler *r)
{
    uint64_t now = reconcile_now(r);

    if (r->lock_since == 0)
        r->lock_since = now;
    reconcile_retry_at(r, now + LOCK_RETRY_USEC);
}

/* The order of start and reload is worth waiting for the lock, for a while. */
static bool order_waits(const struct nsh_reconciler *r)
{
    return r->settling && r->lock_since != 0 &&
           reconcile_now(r) - r->lock_since < LOCK_PATIENCE_USEC;
}

static int pass_down(struct nsh_reconciler *r)
{
    int q;

    if (!r->unwanted_dirty)
        return 0;
    q = reconcile_forwarding_off(r);
    if (q < 0)
        return q;
    q = reconcile_firewall_down(r);
    if (q < 0)
        return q;
    reconcile_let_go(r);
    q = reconcile_other_down(r) > 0 || q > 0;
    r->unwanted_dirty = q > 0;
    if (q > 0)
        lock_is_held(r);
    return 0;
}

static bool firewall_due(const struct nsh_reconciler *r, uint64_t now)
{
    for (int f = 0; f < NSH_FAMILIES; f++)
        if ((r->firewall_dirty[f] || r->guards_dirty[f]) && r->firewall_wait[f] <= now)
            return true;
    return false;
}

bool nsh_reconciler_complete(const struct nsh_reconciler *r)
{
    return r->desired && r->routes_dirty == ROUTES_CLEAN && !r->links_dirty && !r->rules_dirty &&
           r->job.phase == JOB_NONE && !r->gates_dirty && !r->gates_marked &&
           r->devices_dirty == DEVICES_CLEAN && !r->learned_dirty && !r->unwanted_dirty &&
           !r->drops_dirty && !r->guests_dirty && !firewall_due(r, reconcile_now(r)) &&
           !r->sets_urgent && r->lock_since == 0;
}

enum nsh_obstacle nsh_reconciler_obstacle(const struct nsh_reconciler *r)
{
    if (r->lock_since != 0)
        return NSH_OBSTACLE_LOCK;
    return r->disturbed ? NSH_OBSTACLE_CHANGES : NSH_OBSTACLE_NONE;
}

static int forget_earlier_protocol(struct nsh_reconciler *r)
{
    struct nsh_route_plan *plan = NULL, *key_plan = NULL;
    struct nsh_rule_plan *rules = NULL;

    if (nsh_route_plan_new(r->desired, r->route_flags, 0, &plan) < 0 ||
            nsh_route_plan_new(r->desired, r->route_flags, 0, &key_plan) < 0 ||
            nsh_rule_plan_new(r->desired, r->rule_flags, 0, &rules) < 0) {
        nsh_route_plan_free(plan);
        nsh_route_plan_free(key_plan);
        return -ENOMEM;
    }
    nsh_route_plan_free(r->route_plan);
    nsh_route_plan_free(r->key_plan);
    nsh_rule_plan_free(r->rule_plan);
    r->route_plan = plan;
    r->key_plan = key_plan;
    r->rule_plan = rules;
    r->also_ours = 0;
    return 0;
}

/* That nothing carries the earlier protocol any more shows in a further look. */
static void settle_protocol(struct nsh_reconciler *r)
{
    bool news = r->settling;

    if (r->also_ours != 0) {
        bool seen = r->earlier_seen || r->earlier_rules;

        if (seen && r->settling) {
            reconcile_mark_routes(r, ROUTES_OURS);
            r->rules_dirty = true;
        }
        if (seen || forget_earlier_protocol(r) < 0)
            return;
        news = true;
    }
    if (r->state && news)
        nsh_state_protocol_save(r->state, r->desired->protocol);
}

static void finish_pass(struct nsh_reconciler *r)
{
    r->work.finished++;
    nsh_notes_trim(r->notes, reconcile_now(r));
    r->failure = 0;
    r->n_rule_marks = 0;
    r->trigger = (struct trigger){0};
    if (nsh_reconciler_complete(r)) {
        settle_protocol(r);
        r->settling = false;
    }
    if (r->behind != ROUTES_CLEAN) {
        /* The difference is written; now for what the kernel really holds. */
        reconcile_mark_routes(r, r->behind);
        reconcile_set_trigger(r, 0, "resync");
        r->behind = ROUTES_CLEAN;
    }
    if (r->sets_dirty)
        reconcile_set_trigger(r, 0, "resync");
    reconcile_follow_foreign(r);
}

/*
 * Routes before the rules that lead to them, and unwanted rules before their routes. Once the order
 * is made, a rule does not wait for a comparison of many routes. 1: there is more to do.
 */
static int pass_routing(struct nsh_reconciler *r)
{
    int more = reconcile_routes(r), q;

    if (more < 0 || (more > 0 && r->settling))
        return more;
    q = reconcile_rules(r);
    if (q == 0 && !r->rules_dirty && reconcile_job_waits(r))
        more = reconcile_routes(r);
    return q < 0 || more < 0 ? (q < 0 ? q : more) : more > 0 || r->rules_dirty;
}

static int run_pass(struct nsh_reconciler *r)
{
    bool wait = false;
    int q;

    if (r->drops_dirty)
        reconcile_drops(r);
    q = reconcile_firewall_up(r, &wait);
    if (q < 0)
        return q;
    if (wait)
        lock_is_held(r);
    else
        r->lock_since = 0;
    if (order_waits(r) || (q > 0 && r->settling))
        return 0;
    reconcile_guests(r);
    q = reconcile_forwarding_on(r);
    reconcile_tell_news(r);
    if (r->ahead_dirty)
        reconcile_ahead(r);
    if (q == 0)
        q = pass_routing(r);
    if (q > 0) {
        /* The rest has its turn after what else is waiting, and knows what it is about. */
        if (!r->rules_dirty)
            r->trigger = (struct trigger){0};
        reconcile_follow_foreign(r);
        return 0;
    }
    if (q == 0 && !wait)
        q = pass_down(r);
    if (q == 0)
        finish_pass(r);
    return q;
}

/* The marks stay, and so does everything else until the pause is over: it would fail as well. */
static void pause_until(struct nsh_reconciler *r, uint64_t when)
{
    r->pause = when;
    reconcile_retry_at(r, when);
}

static void pass_failed(struct nsh_reconciler *r, int error)
{
    struct report_args args = {.kind = NSH_REPORT_FAILED, .detail = strerror(-error)};

    if (r->failure != error)
        report_plain(r, "configuration", NULL, &args);
    r->failure = error;
    reconcile_mark_everything(r);
}

int nsh_reconciler_run(struct nsh_reconciler *r)
{
    uint64_t now = reconcile_now(r);
    int q;

    if (!r->desired)
        return 0;
    reconcile_take_waiting(r, now);
    r->work.passes++;
    memset(r->tidy, 0, sizeof r->tidy);
    memset(r->filter, FILTER_UNSEEN, sizeof r->filter);
    r->pause = 0;
    r->disturbed = false;
    if (r->retry <= now)
        r->retry = NSH_NEVER;
    report_begin(r);
    q = reconcile_gates(r);
    if (q == 0)
        q = reconcile_vrfs(r);
    if (q == 0)
        q = reconcile_devices(r);
    if (q == 0)
        q = reconcile_learned(r);
    settle_marks(r);
    if (q == 0)
        q = run_pass(r);
    report_end(r);
    if (q == -EAGAIN) {
        /* Routes changed under every dump: again, when it is quieter. */
        r->disturbed = true;
        pause_until(r, now + DISTURBED_RETRY_USEC);
        return 0;
    }
    if (q < 0) {
        pass_failed(r, q);
        pause_until(r, now + FAILURE_RETRY_USEC);
        return q;
    }
    reconcile_flows(r);
    reconcile_flows_changed(r);
    return 0;
}

bool nsh_reconciler_due(const struct nsh_reconciler *r)
{
    uint64_t now = reconcile_now(r);

    if (!r->desired || now < r->pause)
        return false;
    if (nsh_reconciler_next(r) <= now || r->flows_family != AF_UNSPEC || r->flows_wanted[NSH_V4] ||
            r->flows_wanted[NSH_V6] || reconcile_flows_changed_due(r))
        return true;
    if (order_waits(r))
        return false;
    /* What needs a held lock, or was put off, comes back by the timer. */
    if (r->retry == NSH_NEVER &&
            (r->unwanted_dirty || r->guests_dirty || r->sets_dirty || firewall_due(r, now)))
        return true;
    return r->routes_dirty != ROUTES_CLEAN || r->job.phase != JOB_NONE || r->links_dirty ||
           r->drops_dirty || r->ahead_dirty || r->rules_dirty || r->forwarding_dirty ||
           r->gates_dirty || r->gates_marked || r->devices_dirty != DEVICES_CLEAN ||
           r->learned_dirty;
}

uint64_t nsh_reconciler_next(const struct nsh_reconciler *r)
{
    uint64_t next = r->retry < r->routes_wait ? r->retry : r->routes_wait;

    next = r->rules_wait < next ? r->rules_wait : next;
    next = r->sets_wait < next ? r->sets_wait : next;
    for (int f = 0; f < NSH_FAMILIES; f++) {
        if (r->firewall_dirty[f] && r->firewall_wait[f] != 0 && r->lock_since == 0 &&
                r->firewall_wait[f] < next)
            next = r->firewall_wait[f];
        if (r->firewall_again[f] != 0 && r->firewall_again[f] < next)
            next = r->firewall_again[f];
        if (r->forwarding_wait[f] != 0 && r->forwarding_wait[f] < next)
            next = r->forwarding_wait[f];
        if (r->forwarding_again[f] != 0 && r->lock_since == 0 && r->forwarding_again[f] < next)
            next = r->forwarding_again[f];
        if (r->flows_again[f].at != 0 && r->flows_again[f].at < next)
            next = r->flows_again[f].at;
    }
    if (reconcile_flows_changed_next(r) < next)
        next = reconcile_flows_changed_next(r);
    if (r->waiting_due != 0 && r->waiting_due < next)
        next = r->waiting_due;
    return next < r->pause ? r->pause : next;
}

/* ---- repairs and fights ---- */

bool reconcile_may_repair(
        struct nsh_reconciler *r, nsh_object_id id, uint64_t *ret_until, bool *ret_fight)
{
    struct nsh_repairs *repairs = nsh_notes_find_repairs(r->notes, id);

    *ret_fight = false;
    *ret_until = 0;
    if (!repairs)
        return true; /* the first time */
    return nsh_backoff_may_repair(&repairs->backoff, reconcile_now(r), ret_until, ret_fight);
}

void reconcile_repaired(struct nsh_reconciler *r, nsh_object_id id, const char *culprit, pid_t pid)
{
    struct nsh_repairs *repairs;

    nsh_notes_trim(r->notes, reconcile_now(r));
    repairs = nsh_notes_repairs(r->notes, id);
    if (!repairs)
        return;
    nsh_backoff_repaired(&repairs->backoff, reconcile_now(r));
    repairs->last = reconcile_now(r);
    repairs->count++;
    if (pid > 0)
        snprintf(repairs->culprit, sizeof repairs->culprit, "%s[%d]", culprit, (int)pid);
}

const char *reconcile_backoff_text(
        const struct nsh_reconciler *r, const struct nsh_backoff *b, char *buf, size_t size)
{
    snprintf(buf, size, "%u times in %.1f s; next try in %.0f s", b->undone,
            (double)(reconcile_now(r) - b->first) / 1e6, (double)b->delay / 1e6);
    return buf;
}

const char *reconcile_fight_text(
        const struct nsh_reconciler *r, nsh_object_id id, char *buf, size_t size)
{
    const struct nsh_repairs *repairs = nsh_notes_find_repairs(r->notes, id);

    if (repairs)
        return reconcile_backoff_text(r, &repairs->backoff, buf, size);
    snprintf(buf, size, "again and again");
    return buf;
}
